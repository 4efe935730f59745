//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser};
use troupe_pool::Config;

use crate::options::value;

pub(crate) const HELP: &str = "\
Hashes files, and every file under directories; or verifies lists of such hashes.

usage: checksum [OPTIONS] [PATH...]
       checksum [OPTIONS] --check [LIST...]

`-`, or no PATH or LIST, is standard input.
The lists are those of sha256sum: either program accepts what the other writes.
Files are printed in sorted order. A PATH is read whatever it is: a link, a FIFO, a device. In
directories only regular files are read, and links are not followed.

options:
  -c, --check        verify the files listed in each LIST
      --actors N     threads that hash (default: one per available core)
      --mailbox N    files that may wait per thread (default: 1024)
      --quiet        no progress, no summary, no skipped files; with --check, no OK
      --help         this text

only with --check:
      --ignore-missing  no error for files that do not exist, if others are verified
      --status          print no verdicts and no warnings: the exit status says it
      --strict          exit status 1 for improperly formatted lines, too
  -w, --warn            tell where the improperly formatted lines are

Of --quiet, --status and --warn the last one given counts.

exit status:
  0    every file was hashed, or verified
  1    a file could not be read, did not match, or a list has no valid line
  2    the command line is wrong
  130  interrupted; what was finished is printed, after half a second at most

A second Ctrl-C or SIGTERM ends it immediately. Signals within a second count as one.
";

/// Lines that wait to be printed cost about 200 bytes each, so a long mailbox is cheap;
/// and it lets the small files behind a huge one go on while that one is hashed.
const MAILBOX: usize = 1024;

/// The options behind settings of the library.
pub(crate) const SETTINGS: &[(&str, &str)] = &[("max", "--actors"), ("mailbox_size", "--mailbox")];

#[derive(Debug)]
pub(crate) enum Task {
    Sum(Vec<PathBuf>),
    Check(Vec<PathBuf>, Rules),
}

/// How strict `--check` is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) ignore_missing: bool,
    pub(crate) strict: bool,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Say {
    #[default]
    Most,
    /// Besides, where improperly formatted lines are.
    Warn,
    Quiet,
    /// Only errors.
    Status,
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) task: Task,
    pub(crate) say: Say,
    /// Not yet checked: the library says what is wrong with a number better than we could.
    pub(crate) config: Config,
}

/// Parses the arguments; `None` if all that is wanted is the help.
pub(crate) fn parse(mut parser: Parser) -> Result<Option<Args>, lexopt::Error> {
    let mut config = Config::default()
        .thread_name("checksum")
        .mailbox_size(MAILBOX);
    let (mut names, mut is_check, mut say, mut rules) =
        (Vec::new(), false, Say::default(), Rules::default());
    let mut for_check = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("actors") => config = config.max(value("--actors", &mut parser)?),
            Arg::Long("mailbox") => config = config.mailbox_size(value("--mailbox", &mut parser)?),
            Arg::Short('c') | Arg::Long("check") => is_check = true,
            Arg::Long("quiet") => say = Say::Quiet,
            Arg::Long("status") => {
                say = Say::Status;
                for_check = Some("--status");
            }
            Arg::Short('w') | Arg::Long("warn") => {
                say = Say::Warn;
                for_check = Some("--warn");
            }
            Arg::Long("ignore-missing") => {
                rules.ignore_missing = true;
                for_check = Some("--ignore-missing");
            }
            Arg::Long("strict") => {
                rules.strict = true;
                for_check = Some("--strict");
            }
            Arg::Long("help") => return Ok(None),
            Arg::Value(name) => names.push(PathBuf::from(name)),
            other => return Err(other.unexpected()),
        }
    }
    if names.is_empty() {
        names.push("-".into());
    }
    let task = match for_check {
        _ if is_check => Task::Check(names, rules),
        Some(option) => return Err(format!("{option}: only with --check").into()),
        None => Task::Sum(names),
    };
    Ok(Some(Args { task, say, config }))
}

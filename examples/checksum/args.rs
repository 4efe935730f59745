//! The command line.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser};
use troupe_pool::Config;

use crate::options::value;

pub(crate) const HELP: &str = "\
Hashes every file under each PATH, or verifies a list of such hashes.

usage: checksum [OPTIONS] PATH...
       checksum [OPTIONS] --check FILE

The lists are those of sha256sum: either program accepts what the other writes.
Files are printed in sorted order. Symbolic links are not followed.

options:
  --check        verify the files listed in FILE (`-` is standard input)
  --actors N     threads that hash (default: one per available core)
  --mailbox N    files that may wait per thread (default: 1024)
  --quiet        no progress, no summary, no skipped files; with --check, no OK
  --help         this text

exit status:
  0    every file was hashed, or verified
  1    a file could not be read, did not match, or the list has no valid line
  2    the command line is wrong
  130  interrupted; what was finished is printed
";

/// Lines that wait to be printed cost about 200 bytes each, so a long mailbox is cheap;
/// and it lets the small files behind a huge one go on while that one is hashed.
const MAILBOX: usize = 1024;

/// The options behind settings of the library.
pub(crate) const SETTINGS: &[(&str, &str)] = &[("max", "--actors"), ("mailbox_size", "--mailbox")];

#[derive(Debug)]
pub(crate) enum Task {
    Sum(Vec<PathBuf>),
    Check(PathBuf),
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) task: Task,
    pub(crate) quiet: bool,
    /// Not yet checked: the library says what is wrong with a number better than we could.
    pub(crate) config: Config,
}

/// Parses the arguments; `None` if all that is wanted is the help.
pub(crate) fn parse(mut parser: Parser) -> Result<Option<Args>, lexopt::Error> {
    let mut config = Config::default()
        .thread_name("checksum")
        .mailbox_size(MAILBOX);
    let (mut names, mut check, mut quiet) = (Vec::new(), false, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("actors") => config = config.max(value("--actors", &mut parser)?),
            Arg::Long("mailbox") => config = config.mailbox_size(value("--mailbox", &mut parser)?),
            Arg::Long("check") => check = true,
            Arg::Long("quiet") => quiet = true,
            Arg::Long("help") => return Ok(None),
            Arg::Value(name) => names.push(PathBuf::from(name)),
            other => return Err(other.unexpected()),
        }
    }
    let task = if check {
        Task::Check(one_list(names)?)
    } else {
        Task::Sum(some_paths(names)?)
    };
    Ok(Some(Args {
        task,
        quiet,
        config,
    }))
}

fn one_list(names: Vec<PathBuf>) -> Result<PathBuf, lexopt::Error> {
    let [list] = <[_; 1]>::try_from(names).map_err(|_| "--check takes one FILE")?;
    Ok(list)
}

fn some_paths(mut paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, lexopt::Error> {
    if paths.is_empty() {
        return Err("no PATH given".into());
    }
    // In a list `-` means standard input, so the file of that name gets another.
    for path in paths.iter_mut().filter(|path| *path == Path::new("-")) {
        *path = PathBuf::from("./-");
    }
    Ok(paths)
}

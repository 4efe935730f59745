//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use lexopt::{Arg, Parser, ValueExt};
use troupe_pool::Config;

pub(crate) const HELP: &str = "\
Checks the links of Markdown and HTML documents: whether what they lead to is
there, and has the anchor that a fragment asks for.

usage: linkcheck [OPTIONS] PATH|URL...
       linkcheck [OPTIONS] --demo

A folder is walked for .md and .html files; hidden folders, node_modules and
folders with a CACHEDIR.TAG are passed over. From a URL on, the pages of the
same origin are read that are at most --depth links away. Fragments are checked
in local files and in pages that are read. Each URL is asked once: with HEAD,
and where that gets 403, 404, 405 or 501, with GET.

options:
  --demo             check a flaky site that this program serves on loopback
  --offline          skip http and https
  --depth N          how far from a URL pages are read (default: 1)
  --root DIR         where local links that begin with / start (default: .)
  --allow-list FILE  links that need not work, one pattern per line, * is any text
  --per-host N       requests at once to one host (default: 4)
  --timeout S        seconds that a request may take (default: 10)
  --redirects N      redirects that a link may take (default: 10)
  --retries N        how often what may pass is tried again (default: 2)
  --backoff S        seconds before the first retry, then doubled (default: 1)
  --min N, --max N   actors, at least and at most (default: 1 and 16)
  --mailbox N        works that may wait per actor (default: 2)
  --idle-timeout S   seconds after which an idle actor retires (default: 5)
  --json             findings and summary as JSON
  --svg FILE         draw actors, busy, queued and retrying over time
  --quiet            no progress, no summary
  --help             this text

exit status:
  0    every link is good
  1    some are broken
  2    the check could not be made
  130  interrupted; what was found is printed
";

/// Everything but the demo's sites, which have to be started first.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) names: Vec<PathBuf>,
    pub(crate) is_demo: bool,
    pub(crate) is_offline: bool,
    pub(crate) is_json: bool,
    pub(crate) is_quiet: bool,
    pub(crate) depth: usize,
    pub(crate) root: PathBuf,
    pub(crate) allow_list: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) per_host: usize,
    pub(crate) timeout: Duration,
    pub(crate) redirects: usize,
    pub(crate) retries: u32,
    pub(crate) backoff: Duration,
    /// Not yet checked: the library says what is wrong with a number better than we could.
    pub(crate) config: Config,
}

impl Args {
    fn new(is_demo: bool) -> Self {
        let config = Config::dynamic(1, 16)
            .mailbox_size(2)
            .thread_name("linkcheck");
        let args = Args {
            names: Vec::new(),
            is_demo,
            is_offline: false,
            is_json: false,
            is_quiet: false,
            depth: 1,
            root: PathBuf::from("."),
            allow_list: None,
            svg: None,
            per_host: 4,
            timeout: Duration::from_secs(10),
            redirects: 10,
            retries: 2,
            backoff: Duration::from_secs(1),
            config: config.clone().idle_timeout(Duration::from_secs(5)),
        };
        if !is_demo {
            return args;
        }
        // Everything is near, and nobody wants to wait long.
        Args {
            depth: 2,
            per_host: 32,
            timeout: Duration::from_secs(1),
            backoff: Duration::from_millis(300),
            config: config.idle_timeout(Duration::from_millis(300)),
            ..args
        }
    }
}

/// Parses the arguments; `None` if all that is wanted is the help.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Option<Args>, lexopt::Error> {
    // It changes defaults, so it has to be known before the first option.
    let is_demo = words.iter().any(|word| word == "--demo");
    let mut parser = Parser::from_args(words);
    let mut args = Args::new(is_demo);
    while let Some(arg) = parser.next()? {
        let config = args.config.clone();
        let Arg::Long(name) = arg else {
            match arg {
                Arg::Value(name) => args.names.push(PathBuf::from(name)),
                other => return Err(other.unexpected()),
            }
            continue;
        };
        // The name borrows the parser, which has to give the value too.
        match &*name.to_owned() {
            "demo" => {}
            "offline" => args.is_offline = true,
            "json" => args.is_json = true,
            "quiet" => args.is_quiet = true,
            "help" => return Ok(None),
            "root" => args.root = parser.value()?.into(),
            "allow-list" => args.allow_list = Some(parser.value()?.into()),
            "svg" => args.svg = Some(parser.value()?.into()),
            name @ "depth" => args.depth = number(name, &mut parser)?,
            name @ "redirects" => args.redirects = number(name, &mut parser)?,
            name @ "retries" => args.retries = number(name, &mut parser)?,
            name @ "per-host" => args.per_host = at_least_one(name, &mut parser)?,
            name @ "timeout" => args.timeout = seconds(name, &mut parser)?,
            name @ "backoff" => args.backoff = seconds(name, &mut parser)?,
            name @ "min" => args.config = config.min(number(name, &mut parser)?),
            name @ "max" => args.config = config.max(number(name, &mut parser)?),
            name @ "mailbox" => args.config = config.mailbox_size(number(name, &mut parser)?),
            name @ "idle-timeout" => args.config = config.idle_timeout(seconds(name, &mut parser)?),
            name => return Err(Arg::Long(name).unexpected()),
        }
    }
    match (args.is_demo, args.names.is_empty()) {
        (true, false) => Err("--demo takes no PATH and no URL".into()),
        (false, true) => Err("no PATH and no URL given".into()),
        (true, true) if args.is_offline => Err("--demo needs the web that it serves".into()),
        _ => Ok(Some(args)),
    }
}

/// The value of an option, which the message names: a bare "invalid digit" helps nobody.
fn number<T>(option: &str, parser: &mut Parser) -> Result<T, lexopt::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let value = parser.value()?.string()?;
    value
        .parse()
        .map_err(|error| format!("--{option}: {value:?}: {error}").into())
}

fn at_least_one(option: &str, parser: &mut Parser) -> Result<usize, lexopt::Error> {
    match number(option, parser)? {
        0 => Err(format!("--{option}: 0: must be at least 1").into()),
        number => Ok(number),
    }
}

fn seconds(option: &str, parser: &mut Parser) -> Result<Duration, lexopt::Error> {
    let seconds: f64 = number(option, parser)?;
    // A longer time than a day is a mistake, and could overflow the clock.
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time <= Duration::from_secs(86_400) && !time.is_zero() => Ok(time),
        _ => Err(format!("--{option}: {seconds}: must be more than 0 and at most 86400").into()),
    }
}

//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use lexopt::{Arg, Parser};
use regex::{Regex, RegexSet};
use troupe_pool::Config;
use ureq::http::{HeaderMap, header};

use crate::{
    filter::Filter,
    header::{Header, USER_AGENT},
    options::{at_least_1, some_seconds, value},
    statuses::Statuses,
};

pub(crate) const HELP: &str = "\
Checks the links of Markdown and HTML documents: whether what they lead to is
there, and has the anchor that a fragment asks for.

usage: linkcheck [OPTIONS] PATH|URL...
       linkcheck [OPTIONS] --demo

A folder is walked for .md and .html files; hidden folders, node_modules and
folders with a CACHEDIR.TAG are passed over. From a URL on, the pages of the
same origin, and of the one that it redirects to, are read that are at most
--depth links away. Fragments are checked in local files and in pages that are
read. Each URL is checked once: with GET if it is read, otherwise with HEAD, and
then with GET if HEAD gets no good answer.

options:
  --demo             check a flaky site that this program serves on loopback, with
                     --depth 2 --per-host 32 --timeout 1 --backoff 0.3
                     --idle-timeout 0.3 if nothing else is said
  --offline          skip http and https
  --depth N          how far from a URL pages are read (default: 1)
  --root DIR         where local links that begin with / start (default: .)
  --allow-list FILE  links that need not work, one pattern per line, * is any text
  --exclude REGEX    pass over links with a match, as written or as a URL (repeatable)
  --include REGEX    check links with a match although they are excluded; without
                     --exclude, check no others (repeatable)
  --accept LIST      statuses that are good, as 200..=299,403 (default: 200..=299)
  --header LINE      a header for each request, to whichever host, as 'Name: value'
                     (repeatable)
  --user-agent TEXT  the name of the program that asks
  --ca FILE          for https, trust the certificates in FILE (PEM), and no others
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
  2    the check could not be made, or nothing was checked
  130  interrupted; what was found is printed, after half a second at most
  141  nobody reads the output any more, as in a pipe to head
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
    pub(crate) filter: Filter,
    pub(crate) accept: Statuses,
    pub(crate) headers: HeaderMap,
    pub(crate) ca: Option<PathBuf>,
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
            filter: Filter::default(),
            accept: Statuses::default(),
            headers: HeaderMap::new(),
            ca: None,
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
    let parser = &mut Parser::from_args(words);
    let mut args = Args::new(is_demo);
    let (mut exclude, mut include) = (Vec::new(), Vec::new());
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("demo") => {}
            Arg::Long("offline") => args.is_offline = true,
            Arg::Long("json") => args.is_json = true,
            Arg::Long("quiet") => args.is_quiet = true,
            Arg::Long("help") => return Ok(None),
            Arg::Long("root") => args.root = parser.value()?.into(),
            Arg::Long("allow-list") => args.allow_list = Some(parser.value()?.into()),
            Arg::Long("exclude") => exclude.push(value("--exclude", parser)?),
            Arg::Long("include") => include.push(value("--include", parser)?),
            Arg::Long("accept") => args.accept = value("--accept", parser)?,
            Arg::Long("header") => {
                let Header { name, value } = value("--header", parser)?;
                args.headers.append(name, value);
            }
            Arg::Long("user-agent") => {
                let name = value("--user-agent", parser)?;
                args.headers.insert(header::USER_AGENT, name);
            }
            Arg::Long("ca") => args.ca = Some(parser.value()?.into()),
            Arg::Long("svg") => args.svg = Some(parser.value()?.into()),
            Arg::Long("depth") => args.depth = value("--depth", parser)?,
            Arg::Long("redirects") => args.redirects = value("--redirects", parser)?,
            Arg::Long("retries") => args.retries = value("--retries", parser)?,
            Arg::Long("per-host") => args.per_host = at_least_1("--per-host", parser)?,
            Arg::Long("timeout") => args.timeout = some_seconds("--timeout", parser)?,
            Arg::Long("backoff") => args.backoff = some_seconds("--backoff", parser)?,
            Arg::Long("min") => args.config.min = value("--min", parser)?,
            Arg::Long("max") => args.config.max = value("--max", parser)?,
            Arg::Long("mailbox") => args.config.mailbox_size = value("--mailbox", parser)?,
            Arg::Long("idle-timeout") => {
                args.config.idle_timeout = some_seconds("--idle-timeout", parser)?;
            }
            Arg::Value(name) => args.names.push(PathBuf::from(name)),
            other => return Err(other.unexpected()),
        }
    }
    args.headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    args.filter = Filter::new(set(&exclude)?, set(&include)?);
    match (args.is_demo, args.names.is_empty()) {
        (true, false) => Err("--demo takes no PATH and no URL".into()),
        (false, true) => Err("no PATH and no URL given".into()),
        (true, true) if args.is_offline => Err("--demo needs the web that it serves".into()),
        _ => Ok(Some(args)),
    }
}

/// Each has been parsed, so that its error names its option. All together may be too large.
fn set(patterns: &[Regex]) -> Result<RegexSet, lexopt::Error> {
    RegexSet::new(patterns.iter().map(Regex::as_str)).map_err(|error| error.to_string().into())
}

//! The command line.

use std::{fs, ops::RangeInclusive, time::Duration};

use lexopt::{Arg, Error, Parser, ValueExt};
use troupe_pool::{Config, Mode};

use crate::{
    options::{at_least_1, checked, duration, seconds, some_seconds, value},
    simulation::Simulation,
};

pub(crate) const HELP: &str = "\
Answers JSON-RPC 1.0 calls of Worker.Do over TCP, each a work of a bounded pool.

usage: rpc_server [OPTIONS]

addresses (port 0 takes a free one; the first lines of output name them):
  --listen ADDR         for calls (default: 127.0.0.1:4488)
  --ops ADDR            for /, /stats, /trend, /metrics, /healthz (default: 127.0.0.1:4489)

pool:
  --mode MODE           fixed, or dynamic: from --min to --max actors (default: fixed)
  --max N               actors (default: one per available core)
  --min N               actors that stay; dynamic only (default: 0)
  --idle-timeout SECS   after which an actor retires; dynamic only (default: 60)
  --mailbox N           works that may wait for each actor (default: 16)
  --pool POOL           troupe, or threadpool for comparison (default: troupe)
  --wait MS             how long calls that came together may wait for room and then to begin, from
                        when the first of them was read (default: 0, no wait for room, and as long
                        as it takes to begin)
  --retries N           attempts after the first that failed (default: 3)

simulated work:
  --work-ms MIN..MAX    how long a work takes, unless its call says (default: 0..1)
  --error-rate RATE     share of the attempts that fail (default: 0)
  --panic-rate RATE     share of the attempts that panic (default: 0)
  --seed N              decides which (default: 1)

limits:
  --connections N       at once (default: 2048, or what the system allows)
  --in-flight N         calls of a connection that are not yet answered (default: 256)
  --frame BYTES         the longest value (default: 65536)
  --stall SECS          how long a client may take for a value, or take nothing (default: 10)
  --grace SECS          how long a shutdown may take (default: 30)

  --help                this text

The first SIGTERM or SIGINT stops listening and drains; the second takes back what has not begun;
the third ends the process at once. Signals within a second count as one. When all is answered, each
client is told, and has to close within --stall from its last answer, and within --grace; what it
sends meanwhile is thrown away.

exit status:
  0  stopped by a signal, and every call that was taken in was answered, but for those of clients
     that had gone or took no answer for --stall
  1  something went wrong, or --grace was over before every work had ended and every answer was
     written, or the third signal came
  2  the command line is wrong
";

/// The options behind settings of the library.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("max", "--max"),
    ("min", "--min"),
    ("mailbox_size", "--mailbox"),
];

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) listen: String,
    pub(crate) ops: String,
    /// Not yet checked: the library says what is wrong with a setting better than we could.
    pub(crate) config: Config,
    pub(crate) is_threadpool: bool,
    pub(crate) wait: Duration,
    pub(crate) retries: u32,
    pub(crate) simulation: Simulation,
    pub(crate) limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) frame: usize,
    pub(crate) stall: Duration,
    pub(crate) grace: Duration,
}

/// Parses the arguments; `None` if all that is wanted is the help. The server needs `files` open
/// files besides one for each connection.
pub(crate) fn parse(parser: &mut Parser, files: usize) -> Result<Option<Args>, Error> {
    let (mut listen, mut ops) = ("127.0.0.1:4488".into(), "127.0.0.1:4489".into());
    let mut config = Config::default().thread_name("rpc");
    let mut dynamic_only = None;
    let mut is_threadpool = false;
    let (mut wait, mut retries) = (Duration::ZERO, 3);
    let mut simulation = Simulation {
        work: Duration::ZERO..=Duration::from_millis(1),
        error_rate: 0.0,
        panic_rate: 0.0,
        seed: 1,
    };
    let mut connections = None;
    let mut limits = Limits {
        connections: 0, // Known only below.
        in_flight: 256,
        frame: 65_536,
        stall: Duration::from_secs(10),
        grace: Duration::from_secs(30),
    };
    let is_rate = |rate: &f64| (0.0..=1.0).contains(rate);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("listen") => listen = parser.value()?.string()?,
            Arg::Long("ops") => ops = parser.value()?.string()?,
            Arg::Long("mode") => {
                config.mode = match parser.value()?.string()?.as_str() {
                    "fixed" => Mode::Fixed,
                    "dynamic" => Mode::Dynamic,
                    other => {
                        return Err(format!("--mode: neither fixed nor dynamic: {other:?}").into());
                    }
                }
            }
            Arg::Long("max") => config.max = value("--max", parser)?,
            Arg::Long("min") => {
                config.min = value("--min", parser)?;
                dynamic_only = Some("--min");
            }
            Arg::Long("idle-timeout") => {
                config.idle_timeout = seconds("--idle-timeout", parser)?;
                dynamic_only = Some("--idle-timeout");
            }
            Arg::Long("mailbox") => config.mailbox_size = value("--mailbox", parser)?,
            Arg::Long("pool") => {
                is_threadpool = match parser.value()?.string()?.as_str() {
                    "troupe" => false,
                    "threadpool" => true,
                    other => {
                        let message = format!("--pool: neither troupe nor threadpool: {other:?}");
                        return Err(message.into());
                    }
                }
            }
            Arg::Long("wait") => wait = duration("--wait", value("--wait", parser)?, 1e-3)?,
            Arg::Long("retries") => retries = value("--retries", parser)?,
            Arg::Long("work-ms") => simulation.work = range(&parser.value()?.string()?)?,
            Arg::Long("error-rate") => {
                simulation.error_rate = checked("--error-rate", parser, is_rate, "from 0 to 1")?;
            }
            Arg::Long("panic-rate") => {
                simulation.panic_rate = checked("--panic-rate", parser, is_rate, "from 0 to 1")?;
            }
            Arg::Long("seed") => simulation.seed = value("--seed", parser)?,
            Arg::Long("connections") => connections = Some(at_least_1("--connections", parser)?),
            Arg::Long("in-flight") => limits.in_flight = at_least_1("--in-flight", parser)?,
            Arg::Long("frame") => {
                let is_fine = |bytes: &usize| (64..=1 << 30).contains(bytes);
                limits.frame = checked("--frame", parser, is_fine, "from 64 to 1073741824")?;
            }
            Arg::Long("stall") => limits.stall = some_seconds("--stall", parser)?,
            Arg::Long("grace") => limits.grace = seconds("--grace", parser)?,
            Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if let Some(option) = dynamic_only.filter(|_| config.mode == Mode::Fixed) {
        return Err(format!("{option}: only with --mode dynamic").into());
    }
    if is_threadpool && (config.mode == Mode::Dynamic || !wait.is_zero()) {
        return Err("--pool: threadpool has neither --mode dynamic nor --wait".into());
    }
    if is_threadpool && config.max == 0 {
        return Err("--max: it must be at least 1: 0".into()); // It would panic.
    }
    if simulation.error_rate + simulation.panic_rate > 1.0 {
        return Err("--panic-rate: with --error-rate it must be at most 1".into());
    }
    limits.connections = connections_allowed(connections, files)?;
    Ok(Some(Args {
        listen,
        ops,
        config,
        is_threadpool,
        wait,
        retries,
        simulation,
        limits,
    }))
}

/// `MIN..MAX`, in milliseconds.
fn range(text: &str) -> Result<RangeInclusive<Duration>, Error> {
    let millisecond = |text: &str| {
        let number = text
            .parse()
            .map_err(|error| format!("--work-ms: {error}: {text:?}"))?;
        duration("--work-ms", number, 1e-3)
    };
    let (min, max) = text
        .split_once("..")
        .ok_or_else(|| format!("--work-ms: it must be MIN..MAX: {text:?}"))?;
    let (min, max) = (millisecond(min)?, millisecond(max)?);
    if min > max {
        return Err(format!("--work-ms: MIN must be at most MAX: {text:?}").into());
    }
    Ok(min..=max)
}

/// A connection beyond what the system allows would be accepted late or not at all, and without
/// an answer: that is found here rather than under load.
fn connections_allowed(wanted: Option<usize>, own_files: usize) -> Result<usize, Error> {
    let files = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("--connections: the limit of open files: {error}"))?;
    let others = open_files() + own_files;
    let allowed = usize::try_from(files)
        .unwrap_or(usize::MAX)
        .saturating_sub(others);
    let connections = wanted.unwrap_or(allowed.clamp(1, 2048));
    if connections > allowed {
        return Err(format!(
            "--connections: the system allows {files} open files, so at most {allowed}: \
             {connections}"
        )
        .into());
    }
    Ok(connections)
}

/// Those that the process has been started with. Where they cannot be listed, the standard three.
fn open_files() -> usize {
    fs::read_dir("/dev/fd").map_or(3, |files| files.count().saturating_sub(1)) // One of them is this list.
}

//! The command line.

use std::time::Duration;

use lexopt::{Arg, Error, Parser, ValueExt};

use crate::options::{at_least_1, checked, some_seconds, value};

pub(crate) const HELP: &str = "\
Calls Worker.Do of a JSON-RPC 1.0 server, and counts the answers.

usage: rpc_client [OPTIONS]

options:
  --connect ADDR    the server (default: 127.0.0.1:4488)
  --connections N   (default: 4)
  --window N        calls in flight on a connection, at most (default: 64)
  --rate N          calls a second, on all connections together (default: what the window allows)
  --duration SECS   how long to send (default: 10)
  --patience SECS   how long to wait for the last answers (default: 10)
  --work-us N       microseconds that each call asks for (default: as the server likes)
  --help            this text

exit status:
  0  every call was answered
  1  some were not, or the server could not be reached
  2  the command line is wrong
";

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) connect: String,
    pub(crate) connections: usize,
    pub(crate) window: usize,
    pub(crate) rate: Option<f64>,
    pub(crate) duration: Duration,
    pub(crate) patience: Duration,
    pub(crate) work_us: Option<u64>,
}

/// Parses the arguments; `None` if all that is wanted is the help.
pub(crate) fn parse(parser: &mut Parser) -> Result<Option<Args>, Error> {
    let mut args = Args {
        connect: "127.0.0.1:4488".into(),
        connections: 4,
        window: 64,
        rate: None,
        duration: Duration::from_secs(10),
        patience: Duration::from_secs(10),
        work_us: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("connect") => args.connect = parser.value()?.string()?,
            Arg::Long("connections") => args.connections = at_least_1("--connections", parser)?,
            Arg::Long("window") => args.window = at_least_1("--window", parser)?,
            Arg::Long("rate") => {
                let is_fine = |rate: &f64| (1e-3..=1e9).contains(rate);
                args.rate = Some(checked("--rate", parser, is_fine, "from 0.001 to 1e9")?);
            }
            Arg::Long("duration") => args.duration = some_seconds("--duration", parser)?,
            Arg::Long("patience") => args.patience = some_seconds("--patience", parser)?,
            Arg::Long("work-us") => args.work_us = Some(value("--work-us", parser)?),
            Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    // Where the system allows fewer, the connections that it refuses say so.
    rlimit::increase_nofile_limit(u64::MAX).ok();
    Ok(Some(args))
}

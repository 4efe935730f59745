//! The command line.

use std::{thread, time::Duration};

use axum_example::server::Times;
use lexopt::{Arg, Error, Parser, ValueExt};

use crate::options::{at_least_1, checked, duration, seconds, some_seconds, value};

pub(crate) const HELP: &str = "\
Serves GET /call/{id}, each a blocking call on a bounded pool, GET /stats, and GET /healthz.

usage: axum-example [serve] [OPTIONS]
       axum-example load [OPTIONS]

load starts a server with each pool, puts the same load on it, and prints a table.

both:
  --max N              actors (default: 8)
  --mailbox N          works that may wait for each actor (default: 4)
  --runtime-threads N  threads of the async runtime (default: one per available core)
  --work-ms MS         how long a call of the back end takes (default: 50)
  --error-every N      rejects the ids that N divides; 0 rejects none (default: 10)
  --panic-every N      panics at the ids before those that N divides; 0 at none (default: 100)

serve:
  --listen ADDR        port 0 takes a free one (default: 127.0.0.1:3000)
  --pool POOL          troupe; for comparison spawn-blocking, or limited: the same behind tower's
                       load shed and a concurrency limit of --max x (--mailbox + 1)
                       (default: troupe)
  --header-timeout SECS
                       how long a client may take for the head of a request, and how long a
                       connection may be idle (default: 10)
  --grace SECS         how long a shutdown may take; what is late then has one second more
                       (default: 30)

load:
  --requests N         each on a separate connection (default: 400)
  --leave N            besides, clients that ask and go away after half a --work-ms (default: 0)
  --over SECS          in which the requests come, evenly (default: 0, all at once)

  --help               this text

The first SIGTERM or SIGINT drains; the second ends the process at once. Signals within a second
count as one.

exit status:
  0    stopped by a signal, every request answered, every work finished; load: every bar is met
  1    something went wrong, or --grace was over
  2    the command line is wrong
  130  ended by a second signal
";

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Help,
    Serve(Both, Serve),
    Load(Both, Load),
}

/// Not yet checked, as far as the library says better what is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both {
    pub(crate) max: usize,
    pub(crate) mailbox: usize,
    pub(crate) runtime_threads: usize,
    pub(crate) work: Duration,
    pub(crate) error_every: u64,
    pub(crate) panic_every: u64,
}

/// The pool behind the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Troupe,
    SpawnBlocking,
    Limited,
}

impl Both {
    /// As many works as the troupe can hold.
    pub(crate) fn places(&self) -> usize {
        self.max.saturating_mul(self.mailbox.saturating_add(1))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Serve {
    pub(crate) listen: String,
    pub(crate) pool: Behind,
    pub(crate) times: Times,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) leave: usize,
    pub(crate) over: Duration,
}

pub(crate) fn parse(parser: &mut Parser) -> Result<Command, Error> {
    let mut both = Both {
        max: 8,
        mailbox: 4,
        runtime_threads: thread::available_parallelism().map_or(1, usize::from),
        work: Duration::from_millis(50),
        error_every: 10,
        panic_every: 100,
    };
    let mut serve = Serve {
        listen: "127.0.0.1:3000".into(),
        pool: Behind::Troupe,
        times: Times {
            head: Duration::from_secs(10),
            grace: Duration::from_secs(30),
        },
    };
    let mut load = Load {
        requests: 400,
        leave: 0,
        over: Duration::ZERO,
    };
    let mut command = None;
    let (mut for_serve, mut for_load, mut for_places) = (None, None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(name) if command.is_none() => match name.to_str() {
                Some(name @ ("serve" | "load")) => command = Some(name == "load"),
                _ => return Err(format!("neither serve nor load: {name:?}").into()),
            },
            Arg::Long("max") => {
                both.max = value("--max", parser)?;
                for_places = Some("--max");
            }
            Arg::Long("mailbox") => {
                both.mailbox = value("--mailbox", parser)?;
                for_places = Some("--mailbox");
            }
            Arg::Long("runtime-threads") => {
                let is_fine = |threads: &usize| (1..=1024).contains(threads);
                both.runtime_threads =
                    checked("--runtime-threads", parser, is_fine, "from 1 to 1024")?;
            }
            Arg::Long("work-ms") => {
                both.work = duration("--work-ms", value("--work-ms", parser)?, 1e-3)?;
            }
            Arg::Long("error-every") => both.error_every = value("--error-every", parser)?,
            Arg::Long("panic-every") => both.panic_every = value("--panic-every", parser)?,
            Arg::Long("listen") => {
                serve.listen = parser.value()?.string()?;
                for_serve = Some("--listen");
            }
            Arg::Long("pool") => {
                serve.pool = match parser.value()?.string()?.as_str() {
                    "troupe" => Behind::Troupe,
                    "spawn-blocking" => Behind::SpawnBlocking,
                    "limited" => Behind::Limited,
                    other => return Err(format!("--pool: no such pool: {other:?}").into()),
                };
                for_serve = Some("--pool");
            }
            Arg::Long("header-timeout") => {
                serve.times.head = some_seconds("--header-timeout", parser)?;
                for_serve = Some("--header-timeout");
            }
            Arg::Long("grace") => {
                serve.times.grace = seconds("--grace", parser)?;
                for_serve = Some("--grace");
            }
            Arg::Long("requests") => {
                load.requests = at_least_1("--requests", parser)?;
                for_load = Some("--requests");
            }
            Arg::Long("leave") => {
                load.leave = value("--leave", parser)?;
                for_load = Some("--leave");
            }
            Arg::Long("over") => {
                load.over = seconds("--over", parser)?;
                for_load = Some("--over");
            }
            Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if command == Some(true) {
        if let Some(option) = for_serve {
            return Err(format!("{option}: only with serve").into());
        }
        return Ok(Command::Load(both, load));
    }
    if let Some(option) = for_load {
        return Err(format!("{option}: only with load").into());
    }
    if let Some(option) = for_places.filter(|_| serve.pool == Behind::SpawnBlocking) {
        return Err(format!("{option}: not with --pool spawn-blocking").into());
    }
    Ok(Command::Serve(both, serve))
}

impl Load {
    /// A connection beyond what the system allows would hang: that is found here rather than under
    /// load. Both sides have the same limit.
    pub(crate) fn check(&self, files: u64) -> Result<(), Error> {
        /// Files that the rest of a process may need.
        const OTHERS: u64 = 64;
        let allowed = files.saturating_sub(OTHERS);
        let wanted = self.requests.saturating_add(self.leave);
        if wanted as u64 > allowed {
            return Err(format!(
                "--requests: the system allows {files} open files, so with --leave at most {allowed}: {wanted}"
            )
            .into());
        }
        Ok(())
    }
}

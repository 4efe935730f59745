//! The command lines.

use std::{fs, path::PathBuf, process, time::Duration};

use lexopt::{Arg, Parser, ValueExt};

use crate::{
    nodes::Server,
    options::{at_least_1, checked, seconds, some_seconds, value},
    plan::{self, Plan},
    stream::{Rule, Stream},
};

pub(crate) const HELP: &str = "\
Works from a Redis stream, at least once each, on a troupe in each worker process.

usage: broker-example worker [OPTIONS]    do works until SIGTERM or Ctrl-C; start as many as you like
       broker-example produce [OPTIONS]   send works
       broker-example demo [OPTIONS]      kill workers in the middle, and count what is lost
       broker-example bench [OPTIONS]     compare with a plain loop

where (worker, produce):
  --url URL             redis://, rediss:// (with TLS), redis+unix://; any node of a cluster
                        (default: redis://127.0.0.1:6379)
  --cacert FILE         trust servers by these certificates (default: those of the system)
  --cert FILE           this program's own certificate, for a server that asks for one
  --key FILE            its key; all three in PEM
  --stream KEY          dead letters go to KEY:dead; in a cluster, with braces, as {works}
                        (default: works)

worker:
  --group NAME          the consumer group (default: workers)
  --name NAME           of this worker, for the group (default: host name and process id)
  --actors N            works that run at once (default: 8)
  --mailbox N           works that may wait for each actor (default: 31)
  --work-timeout S      the longest that a work takes (default: 1)
  --min-idle S          after which a message belongs to a dead worker; one that has waited for all
                        of it but work-timeout is given back, and not begun (default: 60)
  --max-deliveries N    attempts before a message is a dead letter (default: 3)
  --retry-after S       how long a message that failed rests (default: 0)
  --claim-every S       how often to look for messages to take over (default: 1)
  --key-field NAME      do messages with equal values of this field one at a time, in the order in
                        which this worker gets them (default: none)
  --grace S             how long the end may take (default: 30)
  --stats S             print a line of figures so often; 0 is never (default: 5)
  --effects FILE        append a line for each work that is done
  --trim S              remove what every group has settled from the stream so often; 0 is never
                        (default: 0)
  --until-empty         end when no message is left: none is new or pending, and no other worker has
                        one

produce:
  --count N             works (default: 1000)
  --first N             the number of the first (default: 0)
  --wait-us N           how long each waits, in microseconds (default: 0)
  --keys N              give each one of N keys in turn, in its field key (default: 0, none)
  --fail-every N        one in N fails: by turns once, and in each delivery (default: 0, none)
  --panic-every N       one in N panics, in the same way (default: 0, none)
  --abort-every N       one in N ends its process, in the same way (default: 0, none)

demo:
  --count N             works (default: 100000)
  --workers N           processes, at least 3 (default: 4)
  --wait-us N           how long each work waits (default: 1000)
  --keys N              as for produce; workers do works of a key in order (default: 0)
  --restart             kill Redis too, in the middle, and start it again
  --min-idle S          as for worker (default: 5)

bench:
  --count N             works in a run without a wait; with one, a twentieth (default: 400000)
  --rounds N            each of every contestant (default: 5)
  --workers N           processes of each (default: 4)

demo and bench start a redis-server of their own, with a Unix socket in a temporary folder.

exit status:
  worker    0  stopped, and everything settled
            1  the grace was over before
  demo      0  nothing was lost
            1  something was, or was done twice without a reason
  all       2  it cannot be done
            130  interrupted
";

#[derive(Debug)]
pub(crate) enum Command {
    Worker(Box<WorkerArgs>),
    Produce(ProduceArgs),
    Demo(DemoArgs),
    Bench(BenchArgs),
    Plain(PlainArgs),
}

#[derive(Debug)]
pub(crate) struct WorkerArgs {
    pub(crate) server: Server,
    pub(crate) actors: usize,
    pub(crate) mailbox: usize,
    pub(crate) effects: Option<PathBuf>,
    pub(crate) plan: Plan,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ProduceArgs {
    pub(crate) server: Server,
    pub(crate) stream: String,
    pub(crate) count: u64,
    pub(crate) first: u64,
    pub(crate) wait: Duration,
    /// 0 is none.
    pub(crate) keys: u64,
    /// 0 is never.
    pub(crate) fail_every: u64,
    pub(crate) panic_every: u64,
    pub(crate) abort_every: u64,
}

#[derive(Debug)]
pub(crate) struct DemoArgs {
    pub(crate) count: u64,
    pub(crate) workers: usize,
    pub(crate) wait: Duration,
    pub(crate) keys: u64,
    pub(crate) restarts: bool,
    pub(crate) min_idle: Duration,
}

#[derive(Debug)]
pub(crate) struct BenchArgs {
    pub(crate) count: u64,
    pub(crate) rounds: usize,
    pub(crate) workers: usize,
}

/// Of the loop that the bench compares with.
#[derive(Debug)]
pub(crate) struct PlainArgs {
    pub(crate) server: Server,
    pub(crate) stream: Stream,
    pub(crate) count: usize,
    pub(crate) acknowledges_each: bool,
}

/// Parses the arguments; `None` if all that is wanted is the help.
pub(crate) fn parse(parser: &mut Parser) -> Result<Option<Command>, lexopt::Error> {
    let name = match parser.next()? {
        Some(Arg::Value(name)) => name.string()?,
        Some(Arg::Long("help")) => return Ok(None),
        Some(other) => return Err(other.unexpected()),
        None => return Err("no command given".into()),
    };
    Ok(match name.as_str() {
        "worker" => worker(parser)?.map(|args| Command::Worker(Box::new(args))),
        "produce" => produce(parser)?.map(Command::Produce),
        "demo" => demo(parser)?.map(Command::Demo),
        "bench" => bench(parser)?.map(Command::Bench),
        // Not in the help: it is nobody's tool.
        "plain" => plain(parser)?.map(Command::Plain),
        _ => return Err(format!("no such command: {name:?}").into()),
    })
}

const URL: &str = "redis://127.0.0.1:6379";
const STREAM: &str = "works";
pub(crate) const GROUP: &str = "workers";
/// The consumer that is nobody, in `settle.lua`.
const GIVEN_BACK: &str = "given-back";

fn worker(parser: &mut Parser) -> Result<Option<WorkerArgs>, lexopt::Error> {
    let mut args = WorkerArgs {
        server: Server::from(URL.to_owned()),
        actors: plan::ACTORS,
        mailbox: plan::MAILBOX,
        effects: None,
        plan: Plan {
            stream: Stream {
                name: STREAM.into(),
                group: GROUP.into(),
                consumer: consumer(),
            },
            rule: Rule {
                min_idle: plan::MIN_IDLE,
                retry_after: Duration::ZERO,
                max_deliveries: 3,
            },
            work_timeout: plan::WORK_TIMEOUT,
            key_field: None,
            claim_every: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            report_every: Some(Duration::from_secs(5)),
            trim_every: None,
            is_until_empty: false,
        },
    };
    let plan = &mut args.plan;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") => return Ok(None),
            Arg::Long(name @ ("url" | "cacert" | "cert" | "key")) => {
                let name = name.to_owned();
                server(&mut args.server, &name, parser)?;
            }
            Arg::Long("stream") => plan.stream.name = value("--stream", parser)?,
            Arg::Long("group") => plan.stream.group = value("--group", parser)?,
            Arg::Long("name") => {
                let is_free = |name: &String| name != GIVEN_BACK;
                let rule = "another: what was given back is there";
                plan.stream.consumer = checked("--name", parser, is_free, rule)?;
            }
            Arg::Long("actors") => args.actors = value("--actors", parser)?,
            Arg::Long("mailbox") => args.mailbox = value("--mailbox", parser)?,
            Arg::Long("work-timeout") => plan.work_timeout = seconds("--work-timeout", parser)?,
            Arg::Long("effects") => args.effects = Some(parser.value()?.into()),
            Arg::Long("min-idle") => plan.rule.min_idle = seconds("--min-idle", parser)?,
            Arg::Long("retry-after") => plan.rule.retry_after = seconds("--retry-after", parser)?,
            Arg::Long("max-deliveries") => {
                plan.rule.max_deliveries =
                    checked("--max-deliveries", parser, |n| *n >= 1, "at least 1")?;
            }
            Arg::Long("claim-every") => plan.claim_every = some_seconds("--claim-every", parser)?,
            Arg::Long("key-field") => plan.key_field = Some(value("--key-field", parser)?),
            Arg::Long("grace") => plan.grace = seconds("--grace", parser)?,
            Arg::Long("stats") => {
                plan.report_every = Some(seconds("--stats", parser)?).filter(|s| !s.is_zero());
            }
            Arg::Long("trim") => {
                plan.trim_every = Some(seconds("--trim", parser)?).filter(|s| !s.is_zero());
            }
            Arg::Long("until-empty") => plan.is_until_empty = true,
            other => return Err(other.unexpected()),
        }
    }
    check_pair(&args.server)?;
    let Rule {
        min_idle,
        retry_after,
        ..
    } = plan.rule;
    if plan.work_timeout >= min_idle {
        let work_timeout = plan.work_timeout;
        let rule = format!("it must be more than --work-timeout {work_timeout:?}");
        return Err(format!("--min-idle: {rule}: {min_idle:?}").into());
    }
    if retry_after > min_idle {
        return Err(format!(
            "--retry-after: it must be at most --min-idle {min_idle:?}: {retry_after:?}"
        )
        .into());
    }
    Ok(Some(args))
}

fn produce(parser: &mut Parser) -> Result<Option<ProduceArgs>, lexopt::Error> {
    let mut args = ProduceArgs {
        server: Server::from(URL.to_owned()),
        stream: STREAM.into(),
        count: 1_000,
        ..ProduceArgs::default()
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") => return Ok(None),
            Arg::Long(name @ ("url" | "cacert" | "cert" | "key")) => {
                let name = name.to_owned();
                server(&mut args.server, &name, parser)?;
            }
            Arg::Long("stream") => args.stream = value("--stream", parser)?,
            Arg::Long("count") => args.count = value("--count", parser)?,
            Arg::Long("first") => args.first = value("--first", parser)?,
            Arg::Long("wait-us") => args.wait = micros("--wait-us", parser)?,
            Arg::Long("keys") => args.keys = value("--keys", parser)?,
            Arg::Long("fail-every") => args.fail_every = value("--fail-every", parser)?,
            Arg::Long("panic-every") => args.panic_every = value("--panic-every", parser)?,
            Arg::Long("abort-every") => args.abort_every = value("--abort-every", parser)?,
            other => return Err(other.unexpected()),
        }
    }
    check_pair(&args.server)?;
    let (first, count) = (args.first, args.count);
    if first.checked_add(count).is_none() {
        return Err(
            format!("--first: it must be at most 2^64 - 1 less --count {count}: {first}").into(),
        );
    }
    Ok(Some(args))
}

fn demo(parser: &mut Parser) -> Result<Option<DemoArgs>, lexopt::Error> {
    let mut args = DemoArgs {
        count: 100_000,
        workers: 4,
        wait: Duration::from_millis(1),
        keys: 0,
        restarts: false,
        min_idle: Duration::from_secs(5),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") => return Ok(None),
            Arg::Long("count") => {
                args.count = checked("--count", parser, |n| *n >= 1_000, "at least 1000")?;
            }
            // One is killed, one is stopped, and somebody has to go on.
            Arg::Long("workers") => {
                args.workers = checked("--workers", parser, |n| *n >= 3, "at least 3")?;
            }
            Arg::Long("wait-us") => args.wait = micros("--wait-us", parser)?,
            Arg::Long("keys") => args.keys = value("--keys", parser)?,
            Arg::Long("restart") => args.restarts = true,
            Arg::Long("min-idle") => args.min_idle = seconds("--min-idle", parser)?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(args))
}

fn bench(parser: &mut Parser) -> Result<Option<BenchArgs>, lexopt::Error> {
    let mut args = BenchArgs {
        count: 400_000,
        rounds: 5,
        workers: 4,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") => return Ok(None),
            Arg::Long("count") => {
                args.count = checked("--count", parser, |n| *n >= 1_000, "at least 1000")?;
            }
            Arg::Long("rounds") => args.rounds = at_least_1("--rounds", parser)?,
            Arg::Long("workers") => args.workers = at_least_1("--workers", parser)?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(args))
}

fn plain(parser: &mut Parser) -> Result<Option<PlainArgs>, lexopt::Error> {
    let mut args = PlainArgs {
        server: Server::from(URL.to_owned()),
        stream: Stream {
            name: STREAM.into(),
            group: GROUP.into(),
            consumer: consumer(),
        },
        count: 1,
        acknowledges_each: false,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") => return Ok(None),
            Arg::Long(name @ ("url" | "cacert" | "cert" | "key")) => {
                let name = name.to_owned();
                server(&mut args.server, &name, parser)?;
            }
            Arg::Long("stream") => args.stream.name = value("--stream", parser)?,
            Arg::Long("count") => args.count = at_least_1("--count", parser)?,
            Arg::Long("acknowledge-each") => args.acknowledges_each = true,
            other => return Err(other.unexpected()),
        }
    }
    check_pair(&args.server)?;
    Ok(Some(args))
}

/// The value of an option that says where the server is.
fn server(server: &mut Server, name: &str, parser: &mut Parser) -> Result<(), lexopt::Error> {
    match name {
        "url" => server.url = value("--url", parser)?,
        "cacert" => server.cacert = Some(parser.value()?.into()),
        "cert" => server.cert = Some(parser.value()?.into()),
        _ => server.key = Some(parser.value()?.into()),
    }
    Ok(())
}

/// A certificate without its key is of no use.
fn check_pair(server: &Server) -> Result<(), lexopt::Error> {
    if server.cert.is_some() == server.key.is_some() {
        Ok(())
    } else {
        Err("--cert, --key: each needs the other".into())
    }
}

fn micros(option: &str, parser: &mut Parser) -> Result<Duration, lexopt::Error> {
    Ok(Duration::from_micros(value(option, parser)?))
}

/// Names of two workers must differ, also if they run on two machines.
fn consumer() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), process::id())
}

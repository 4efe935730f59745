//! Workers that are killed in the middle of their works, and the count afterwards.
//!
//! Effects are read from the workers' files, and the rest of the messages from Redis: no process is
//! asked for its own account.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use redis::cmd;

use crate::{
    args::{DemoArgs, GROUP, ProduceArgs},
    children::Process,
    error::Fatal,
    link::Link,
    order::{ALWAYS, Order},
    produce,
    redis_server::RedisServer,
    say::say,
    signals,
    stream::{self, Stream},
    work,
};

const ACTORS: usize = 8;
const MAILBOX: usize = 15;

/// If nothing happens for so long, nothing will.
const HANG: Duration = Duration::from_secs(60);

/// Runs it, and prints what was counted. True if nothing was lost, and nothing done twice that the
/// killed worker had not done before.
pub(crate) fn run(args: &DemoArgs) -> Result<bool, Fatal> {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&is_interrupted);
    signals::on_first(move || signal.store(true, Ordering::Relaxed)).map_err(Fatal::Signals)?;

    let server = RedisServer::start(args.restarts).map_err(redis_server)?;
    let stage = Stage {
        begun: Instant::now(),
        orders: ProduceArgs {
            server: server.url().into(),
            stream: "works".into(),
            count: args.count,
            wait: args.wait,
            keys: args.keys,
            fail_every: 100,
            panic_every: 1_000,
            ..ProduceArgs::default()
        },
        is_interrupted,
        server,
    };
    let report = stage.play(args)?;
    let mut stdout = io::stdout().lock();
    report
        .print(&mut stdout)
        .and_then(|()| stdout.flush())
        .map_err(Fatal::Output)?;
    Ok(report.is_well())
}

struct Stage {
    begun: Instant,
    orders: ProduceArgs,
    is_interrupted: Arc<AtomicBool>,
    server: RedisServer,
}

impl Stage {
    fn play(mut self, args: &DemoArgs) -> Result<Report, Fatal> {
        let mut workers = Vec::new();
        for number in 0..args.workers {
            workers.push(self.start_worker(number, args).map_err(worker)?);
        }
        // A signal to a process that is still starting would just end it.
        self.until(args, |_| {
            (0..args.workers).all(|worker| self.effects(worker).exists())
        })?;
        let sent = produce::run(&self.orders)?;

        // In the middle: when a fourth of the works is done, half of them, and five eighths.
        self.until(args, |done| done >= sent / 4)?;
        let killed_at = self.done(args);
        let mut rest = workers.split_off(1);
        for mut killed in workers {
            killed.kill().map_err(worker)?;
        }
        if args.restarts {
            self.until(args, |done| done >= sent / 2)?;
            self.server.kill().map_err(redis_server)?;
            self.server.start_again().map_err(redis_server)?;
        }
        self.until(args, |done| done >= sent * 5 / 8)?;
        let stopped_at = self.done(args);
        let others = rest.split_off(1);
        for stopped in rest {
            self.stop(stopped)?;
        }

        // The others do the rest, and what the two have left.
        let (mut link, stream) = (Link::new(&self.server.url().into())?, self.stream());
        let is_settled = self.until(args, |_| {
            left(&mut link, &stream).is_ok_and(|left| left == 0)
        });
        if !is_settled? {
            say("nothing happens any more, but messages are left");
        }
        let seconds = self.begun.elapsed();
        for other in others {
            self.stop(other)?;
        }
        self.count(args, sent, killed_at, stopped_at, seconds)
    }

    fn start_worker(&self, number: usize, args: &DemoArgs) -> io::Result<Process> {
        let min_idle = args.min_idle.as_secs_f64();
        let work_timeout = min_idle / 2.0;
        let effects = self.effects(number).display().to_string();
        let (actors, mailbox) = (ACTORS.to_string(), MAILBOX.to_string());
        let (min_idle, work_timeout) = (min_idle.to_string(), work_timeout.to_string());
        let (url, name) = (self.server.url(), format!("worker-{number}"));
        Process::start([
            "worker",
            "--url",
            &url,
            "--name",
            &name,
            "--effects",
            &effects,
            "--actors",
            &actors,
            "--mailbox",
            &mailbox,
            "--min-idle",
            &min_idle,
            "--work-timeout",
            &work_timeout,
            // A field that no message has, without --keys.
            "--key-field",
            "key",
            "--claim-every",
            "0.25",
            "--stats",
            "0",
        ])
    }

    fn stream(&self) -> Stream {
        Stream {
            name: self.orders.stream.clone(),
            group: GROUP.into(),
            consumer: String::new(),
        }
    }

    fn effects(&self, worker: usize) -> PathBuf {
        self.server.folder().join(format!("worker-{worker}.done"))
    }

    /// How many works have been done, twice or once.
    fn done(&self, args: &DemoArgs) -> u64 {
        let size = |worker| fs::metadata(self.effects(worker)).map_or(0, |file| file.len());
        (0..args.workers).map(size).sum::<u64>() / work::LINE as u64
    }

    /// Waits until the condition holds; it is told how many works are done. False if nothing has
    /// happened for [`HANG`].
    fn until(
        &self,
        args: &DemoArgs,
        mut condition: impl FnMut(u64) -> bool,
    ) -> Result<bool, Fatal> {
        let (mut before, mut changed) = (0, Instant::now());
        loop {
            let done = self.done(args);
            if condition(done) {
                return Ok(true);
            }
            if done != before {
                (before, changed) = (done, Instant::now());
            } else if changed.elapsed() > args.min_idle * 2 + HANG {
                return Ok(false);
            }
            if self.is_interrupted.load(Ordering::Relaxed) {
                return Err(Fatal::Interrupted);
            }
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Asks a worker to stop. It must say that it has settled everything.
    fn stop(&self, process: Process) -> Result<(), Fatal> {
        process.terminate().map_err(worker)?;
        let (status, _) = process.finish().map_err(worker)?;
        if status.success() {
            Ok(())
        } else {
            Err(Fatal::Ended(format!("a worker that was stopped: {status}")))
        }
    }

    fn count(
        &self,
        args: &DemoArgs,
        sent: u64,
        killed_at: u64,
        stopped_at: u64,
        time: Duration,
    ) -> Result<Report, Fatal> {
        let stream = self.stream();
        let mut link = Link::new(&self.server.url().into())?;

        // The workers that did each order.
        let mut doers = BTreeMap::<u64, Vec<usize>>::new();
        let mut out_of_order = 0;
        for number in 0..args.workers {
            let path = self.effects(number);
            let text = fs::read_to_string(&path).map_err(|error| Fatal::File { path, error })?;
            // The last order of each key.
            let mut last = BTreeMap::<u64, u64>::new();
            for line in text.lines() {
                let number_of_work = line.parse().map_err(|_| {
                    Fatal::Ended(format!("a file of effects has the line {line:?}"))
                })?;
                doers.entry(number_of_work).or_default().push(number);
                let key = produce::order(&self.orders, number_of_work).key;
                let last = last.entry(key).or_default();
                out_of_order += u64::from(key > 0 && number_of_work < *last);
                *last = number_of_work.max(*last);
            }
        }
        // The orders among the dead letters.
        let mut range = cmd("XRANGE");
        range.arg(stream.dead()).arg("-").arg("+");
        let letters: Vec<(String, BTreeMap<String, String>)> = stream::read(link.ask_one(range)?)?;
        let numbers = letters
            .iter()
            .filter_map(|(_, letter)| letter.get("number")?.parse().ok());
        let dead: BTreeSet<u64> = numbers.collect();

        let mut tally = cmd("HGET");
        tally.arg(stream.tally()).arg("given_back");
        let given_back: Option<u64> = stream::read(link.ask_one(tally)?)?;
        let is_buried = |number: &u64| {
            let Order { fails, panics, .. } = produce::order(&self.orders, *number);
            fails.max(panics) == ALWAYS
        };
        let lost = |number: &u64| !doers.contains_key(number) && !dead.contains(number);
        let again = |workers: &Vec<usize>| workers.len() as u64 - 1;
        // The first is the one that was killed.
        let is_explained =
            |workers: &&Vec<usize>| workers.len() == 1 || matches!(workers[..], [0, _]);
        Ok(Report {
            sent,
            done: doers.len() as u64,
            dead_lettered: letters.len() as u64,
            lost: (0..sent).filter(lost).count() as u64,
            done_twice: doers.values().map(again).sum(),
            given_back: given_back.unwrap_or(0),
            out_of_order,
            unexplained: doers
                .values()
                .filter(|workers| !is_explained(workers))
                .count() as u64,
            buried_wrongly: (0..sent)
                .filter(|number| dead.contains(number) != is_buried(number))
                .count() as u64
                + (letters.len() - dead.len()) as u64,
            left: left(&mut link, &stream)?,
            killed_at,
            stopped_at,
            time,
        })
    }
}

/// The messages without a verdict: pending, or never delivered.
fn left(link: &mut Link, stream: &Stream) -> Result<u64, Fatal> {
    let progress = stream::read_progress(link.ask_one(stream.progress())?)?;
    Ok(progress.pending + progress.undelivered)
}

#[derive(Debug)]
struct Report {
    sent: u64,
    done: u64,
    dead_lettered: u64,
    /// Neither done nor a dead letter.
    lost: u64,
    done_twice: u64,
    given_back: u64,
    /// Done by a worker that had done a later one of the same key.
    out_of_order: u64,
    /// Done twice, but not first by the worker that was killed.
    unexplained: u64,
    /// Dead letters that should be none, or the other way round.
    buried_wrongly: u64,
    left: u64,
    killed_at: u64,
    stopped_at: u64,
    time: Duration,
}

/// The highest number of orders that a worker can have done without having told the broker.
const AT_ONCE: usize = ACTORS * (MAILBOX + 1);

impl Report {
    fn is_well(&self) -> bool {
        self.lost + self.left + self.unexplained + self.buried_wrongly == 0
            && self.done_twice <= AT_ONCE as u64
            && self.out_of_order <= self.delivered_again()
    }

    /// Those that came to a worker later than their place in the stream, at most: given back, or
    /// taken over from the one that was killed.
    fn delivered_again(&self) -> u64 {
        self.given_back + AT_ONCE as u64
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let rows = [
            ("sent", self.sent),
            ("done", self.done),
            ("dead_lettered", self.dead_lettered),
            ("lost", self.lost),
            ("done_twice", self.done_twice),
            ("given_back", self.given_back),
            ("out_of_order", self.out_of_order),
            ("out_of_order_at_most", self.delivered_again()),
            ("done_twice_at_most", AT_ONCE as u64),
            ("done_twice_unexplained", self.unexplained),
            ("dead_lettered_wrongly", self.buried_wrongly),
            ("left", self.left),
            ("done_at_sigkill", self.killed_at),
            ("done_at_sigterm", self.stopped_at),
        ];
        for (name, value) in rows {
            writeln!(out, "{name} {value}")?;
        }
        writeln!(out, "seconds {:.1}", self.time.as_secs_f64())
    }
}

fn redis_server(error: io::Error) -> Fatal {
    Fatal::Program {
        name: "redis-server",
        error,
    }
}

fn worker(error: io::Error) -> Fatal {
    Fatal::Program {
        name: "worker",
        error,
    }
}

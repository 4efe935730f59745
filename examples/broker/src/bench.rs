//! Workers beside the plain loop that a user would write first, in as many processes.
//!
//! The contestants take turns, each on a stream that is full when it starts; the time is from the
//! start of the first process to the end of the last. The plain loop asks for as many messages at
//! once as a worker holds. It comes in two kinds: one acknowledges each message when it is done,
//! the other those of a trip together, as a worker does.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use redis::cmd;

use crate::{
    args::{BenchArgs, GROUP, ProduceArgs},
    children::Process,
    error::Fatal,
    link::Link,
    plan, produce,
    redis_server::RedisServer,
    stream::{self, Stream},
};

#[derive(Clone, Copy, Debug)]
enum Contestant {
    Troupe,
    PlainEach,
    PlainTogether,
}

const CONTESTANTS: [Contestant; 3] = [
    Contestant::Troupe,
    Contestant::PlainEach,
    Contestant::PlainTogether,
];

/// The highest number of messages that a worker holds.
const CAPACITY: usize = plan::ACTORS * (plan::MAILBOX + 1);

pub(crate) fn run(args: &BenchArgs) -> Result<(), Fatal> {
    let server = RedisServer::start(false).map_err(|error| Fatal::Program {
        name: "redis-server",
        error,
    })?;
    println(format_args!(
        "{} processes; worker: {} actors, mailbox {}; plain: COUNT {CAPACITY}; medians of {} rounds\n",
        args.workers,
        plan::ACTORS,
        plan::MAILBOX,
        args.rounds,
    ))?;
    println(
        "| messages per second | worker | plain, XACK each | plain, one XACK a trip | worker / each | worker / one |",
    )?;
    println("|---|---|---|---|---|---|")?;
    let workloads = [
        ("no-op works", Duration::ZERO, args.count),
        (
            "works that wait 1 ms",
            Duration::from_millis(1),
            args.count / 20,
        ),
    ];
    for (name, wait, count) in workloads {
        let mut rates = CONTESTANTS.map(|_| Vec::with_capacity(args.rounds));
        for round in 0..args.rounds {
            for (contestant, rates) in CONTESTANTS.iter().zip(&mut rates) {
                let orders = ProduceArgs {
                    server: server.url().into(),
                    stream: format!("bench-{round}"),
                    count,
                    wait,
                    ..ProduceArgs::default()
                };
                rates.push(count as f64 / time(*contestant, args.workers, &orders)?.as_secs_f64());
            }
        }
        let [troupe, each, together] = rates.map(median);
        println(format_args!(
            "| {name} | {troupe:.0} | {each:.0} | {together:.0} | {:.2} | {:.2} |",
            troupe / each,
            troupe / together
        ))?;
    }
    Ok(())
}

fn time(contestant: Contestant, workers: usize, orders: &ProduceArgs) -> Result<Duration, Fatal> {
    produce::run(orders)?;
    let (url, stream, count) = (&orders.server.url, &orders.stream, CAPACITY.to_string());
    let mut args = match contestant {
        Contestant::Troupe => vec!["worker", "--until-empty", "--stats", "0"],
        Contestant::PlainEach => vec!["plain", "--count", &count, "--acknowledge-each"],
        Contestant::PlainTogether => vec!["plain", "--count", &count],
    };
    args.extend(["--url", url, "--stream", stream]);
    let process = |error| Fatal::Program {
        name: "worker",
        error,
    };
    let begun = Instant::now();
    let mut processes = Vec::new();
    for _ in 0..workers {
        processes.push(Process::start(&args).map_err(process)?);
    }
    for one in processes {
        let (status, _) = one.finish().map_err(process)?;
        if !status.success() {
            return Err(Fatal::Ended(format!("{contestant:?}: {status}")));
        }
    }
    let time = begun.elapsed();

    // Nobody was faster by leaving something out.
    let mut link = Link::new(&orders.server)?;
    let key = Stream {
        name: stream.clone(),
        group: GROUP.into(),
        consumer: String::new(),
    };
    let progress = stream::read_progress(link.ask_one(key.progress())?)?;
    if (progress.delivered, progress.pending) != (orders.count, 0) {
        return Err(Fatal::Ended(format!(
            "{contestant:?}: of {} {progress:?}",
            orders.count
        )));
    }
    let mut delete = cmd("DEL");
    delete.arg(stream);
    link.ask_one(delete)?;
    Ok(time)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

fn println(line: impl std::fmt::Display) -> Result<(), Fatal> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(Fatal::Output)
}

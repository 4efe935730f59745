//! Random programs over the public interface, under the model checker.
//!
//! `scripts/fuzz` runs programs for some time, on as many threads as there are
//! processors. The programs know the public interface only. The environment has the
//! settings:
//!
//! - `TROUPE_FUZZ_SECONDS=600` sets the time;
//! - `TROUPE_FUZZ_SEED=7` chooses the programs and schedules, which otherwise differ
//!   each time;
//! - `TROUPE_FUZZ_REPLAY='..'` runs a single program under a single schedule. The
//!   value is the line that a failure has printed;
//! - `TROUPE_FUZZ_SHRINK=0` prints a failure as it was found.
//!
//! A replay line is valid only for the version of the generator that has printed it.

#![expect(
    clippy::print_stdout,
    reason = "the failures that it finds are its output"
)]

mod choices;
mod latch;
mod log;
mod oracle;
mod play;
mod program;
mod search;
mod shrink;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use self::choices::Bytes;
use self::program::Program;
use self::search::{Failure, Run, search, silence_panics};
use super::random::Random;
use super::schedule::{KINDS, Plan};

/// The default of `TROUPE_FUZZ_SECONDS`.
const SECONDS: u64 = 20;
/// The number of schedules under which each program is run.
const SCHEDULES: usize = 100;
/// The time for making a failure smaller.
const SHRINKING: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

fn line(run: &Run) -> String {
    format!("{}/{}", run.plan, run.bytes)
}

fn parse(line: &str) -> Option<Run> {
    let (plan, bytes) = line.split_once('/')?;
    let (plan, bytes) = (Plan::parse(plan)?, Bytes::parse(bytes)?);
    let program = Arc::new(Program::make(&bytes).0);
    Some(Run {
        bytes: Arc::new(bytes),
        program,
        plan,
    })
}

fn print(failure: &Failure) {
    println!("{}", failure.run.program);
    println!("FAILED: {}", failure.reason);
    println!("TROUPE_FUZZ_REPLAY='{}'", line(&failure.run));
}

/// Runs programs on one thread until the time is up or a program has failed.
fn explore(
    seed: u64,
    end: Instant,
    stop: &Arc<AtomicBool>,
    count: &Arc<AtomicU64>,
) -> Option<Failure> {
    let (stop, count) = (Arc::clone(stop), Arc::clone(count));
    let mut random = Random::new(seed);
    let mut schedules = 0;
    let mut horizon = 0;
    let mut run: Option<Run> = None;
    search(move |steps| {
        if let Some(last) = &mut run {
            count.fetch_add(1, Ordering::Relaxed);
            horizon = steps.max(horizon);
            schedules -= 1;
            if schedules > 0 {
                let kind = KINDS[random.below(KINDS.len())];
                last.plan = Plan {
                    kind,
                    seed: random.next(),
                    horizon: horizon.max(16),
                };
                return Some(last.clone());
            }
        }
        if stop.load(Ordering::Relaxed) || Instant::now() > end {
            return None;
        }
        let bytes = Bytes::random(&mut random);
        let program = Arc::new(Program::make(&bytes).0);
        (schedules, horizon) = (SCHEDULES, 0);
        let plan = Plan {
            kind: KINDS[0],
            seed: random.next(),
            horizon: 64,
        };
        run = Some(Run {
            bytes: Arc::new(bytes),
            program,
            plan,
        });
        run.clone()
    })
}

fn replay(line: &str) -> ExitCode {
    let run = parse(line).expect("the line that a failure has printed");
    println!("{}", run.program);
    let mut next = Some(run);
    match search(move |_| next.take()) {
        Some(failure) => {
            log::with(|log| {
                for (at, event) in log.events.iter().enumerate() {
                    println!("{at:4} {event:?}");
                }
            });
            println!("FAILED: {}", failure.reason);
            ExitCode::FAILURE
        }
        None => {
            println!("it does not fail");
            ExitCode::SUCCESS
        }
    }
}

#[test]
fn random_programs_keep_the_contract() -> ExitCode {
    if let Ok(line) = env::var("TROUPE_FUZZ_REPLAY") {
        return replay(&line);
    }
    silence_panics();
    let seconds = number("TROUPE_FUZZ_SECONDS").unwrap_or(SECONDS);
    let seed = number("TROUPE_FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("a clock after 1970").as_nanos() as u64 % 1_000_000_000
    });
    println!("TROUPE_FUZZ_SEED={seed}");
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<Failure> = std::thread::scope(|scope| {
        let explorers: Vec<_> = (0..threads as u64)
            .map(|thread| {
                let (stop, count) = (&stop, &count);
                scope.spawn(move || {
                    let found = explore(seed.wrapping_mul(1_000_003) + thread, end, stop, count);
                    if found.is_some() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    found
                })
            })
            .collect();
        explorers
            .into_iter()
            .filter_map(|explorer| explorer.join().unwrap())
            .collect()
    });
    let (executions, time) = (count.load(Ordering::Relaxed), begin.elapsed().as_secs_f64());
    println!(
        "{executions} executions in {time:.1} s, {:.0} a second",
        executions as f64 / time
    );
    let Some(failure) = failures.into_iter().next() else {
        return ExitCode::SUCCESS;
    };
    print(&failure);
    if number("TROUPE_FUZZ_SHRINK") != Some(0) {
        println!("\nmade smaller:");
        print(&shrink::shrink(failure, SHRINKING));
    }
    ExitCode::FAILURE
}

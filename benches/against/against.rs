//! Two versions of Troupe, in turns in one process. `scripts/against` makes a
//! crate of this file, with the working tree as `troupe_pool` and a commit as
//! `troupe_pool_before`, and runs it on all CPUs and on one.
//!
//! The arguments are the number of rounds and, if not all are wanted, the names
//! of the workloads. Times are medians of the rounds. A ratio is that of now to
//! before: below 1 the working tree is faster.

use std::hint::spin_loop;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use closed_loop::{ACTORS, CELLS};
use measure::{cpus, geometric_mean, interleaved, median, rest};
use start::Start;
use support::Assign;

#[path = "../compare/closed_loop.rs"]
mod closed_loop;
#[path = "../compare/dice.rs"]
mod dice;
#[path = "../compare/measure.rs"]
#[expect(dead_code, reason = "the other functions serve other benches")]
mod measure;
#[path = "../compare/start.rs"]
mod start;
#[path = "../support/rounds.rs"]
mod support;

/// The places in one actor's mailbox, if nothing else is said.
const MAILBOX: usize = 128;

const USAGE: &str = "usage: against ROUNDS [throughput|latency|tail ..]";

/// Once for each version, so that the two are compiled alike.
macro_rules! version {
    ($version:ident, $package:ident) => {
        struct $version($package::Troupe);

        impl $version {
            fn new(actors: usize, mailbox_size: usize) -> Self {
                let config = $package::Config::fixed(actors).mailbox_size(mailbox_size);
                let troupe = Self($package::Troupe::new(config).expect("a troupe"));
                // Each actor runs a few works before anything is measured.
                let works = 4 * actors;
                support::round(1, works, |count| troupe.produce(count));
                troupe
            }

            /// Hands over `count` works that do nothing, one by one.
            fn produce(&self, count: usize) {
                for number in 0..count {
                    self.assign(move || support::no_op(number));
                }
            }
        }

        impl Assign for $version {
            fn assign(&self, work: impl FnOnce() + Send + 'static) {
                let mut outcome = self.0.assign(move || {
                    work();
                    Ok(())
                });
                while let Err($package::AssignError::Full(work)) = outcome {
                    thread::yield_now();
                    outcome = self.0.assign(work);
                }
                outcome.expect("nobody shuts this troupe down");
            }
        }
    };
}

version!(Before, troupe_pool_before);
version!(Now, troupe_pool);

/// A troupe of each version, of the same size.
struct Pair {
    before: Before,
    now: Now,
}

impl Pair {
    fn new(actors: usize, mailbox_size: usize) -> Self {
        Self {
            before: Before::new(actors, mailbox_size),
            now: Now::new(actors, mailbox_size),
        }
    }

    /// Times a round of works that do nothing; returns the nanoseconds per work.
    fn throughput(&self, index: usize, producers: usize, works: usize) -> f64 {
        let took = support::round(producers, works, |count| match index {
            0 => self.before.produce(count),
            _ => self.now.produce(count),
        });
        took.as_secs_f64() * 1e9 / works as f64
    }
}

/// The rows of one workload, which are printed as they come.
struct Table {
    ratios: Vec<f64>,
}

impl Table {
    fn new(title: &str) -> Self {
        println!("\n{title}\n");
        println!("| {:44} | before | now | now / before |", "");
        println!("|{:-<46}|---:|---:|---:|", "");
        Self { ratios: Vec::new() }
    }

    /// Adds a row: what each round of either version has measured.
    fn row(&mut self, name: &str, digits: usize, cells: Vec<Vec<f64>>) {
        let medians: Vec<f64> = cells.into_iter().map(median).collect();
        let ratio = medians[1] / medians[0];
        println!(
            "| {name:44} | {:.digits$} | {:.digits$} | {ratio:.3} |",
            medians[0], medians[1]
        );
        self.ratios.push(ratio);
    }

    /// Ends the table with the mean, the best and the worst of the ratios.
    fn end(self) {
        let least = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "\ngeometric mean {:.3}, best {least:.3}, worst {most:.3}",
            geometric_mean(&self.ratios)
        );
    }
}

/// No-op works. Their number is such that a round takes some ten milliseconds.
fn throughput(rounds: usize) {
    const SIZES: [(usize, usize, &[usize], usize); 7] = [
        (2, MAILBOX, &[1, 2, 4], 200_000),
        (4, MAILBOX, &[1, 2, 4], 200_000),
        (16, MAILBOX, &[1, 2, 4], 200_000),
        (256, MAILBOX, &[1, 2, 4], 200_000),
        (16, 1, &[1, 2, 4], 50_000),
        (256, 1, &[1, 2, 4], 50_000),
        (1_000, MAILBOX, &[1], 200_000),
    ];
    let mut table = Table::new("No-op works, ns per work (actors x producers)");
    for (actors, mailbox_size, producers, works) in SIZES {
        let pair = Pair::new(actors, mailbox_size);
        for &producers in producers {
            let cells = interleaved(2, rounds, |index, is_measured| {
                let works = if is_measured { works } else { works / 5 };
                pair.throughput(index, producers, works)
            });
            let name = format!("{actors} x {producers}, mailbox {mailbox_size}");
            table.row(&name, 1, cells);
        }
    }
    table.end();
}

/// One work on an idle troupe, to its start.
fn latency(rounds: usize) {
    let start = Start::leak();
    let mut table = Table::new("One work on an idle troupe, us to its start, median");
    for actors in [2, 16] {
        let pair = Pair::new(actors, MAILBOX);
        let mut row = |what: &str, works: usize, pause: &dyn Fn()| {
            let cells = interleaved(2, rounds, |index, is_measured| {
                let works = if is_measured { works } else { works / 5 };
                median(match index {
                    0 => start.waits(&pair.before, works, pause),
                    _ => start.waits(&pair.now, works, pause),
                })
            });
            table.row(&format!("{actors} actors, {what}"), 3, cells);
        };
        // The caller spins until the work starts, which needs a CPU for each.
        if cpus() > 1 {
            row("hot", 2_000, &spin_loop);
        }
        row("after 1 ms", 50, &|| rest(Duration::from_millis(1)));
    }
    table.end();
}

/// Works that queue all the time. These rounds are long, and a third of them is
/// enough, except beside busy loops.
fn tail(rounds: usize) {
    let mut table = Table::new("Works of 0.5 to 1.5 ms in a closed loop, p99 of the wait in ms");
    for cell in CELLS {
        let pair = Pair::new(ACTORS, cell.mailbox_size);
        let rounds = if cell.is_busy {
            rounds
        } else {
            rounds.div_ceil(3)
        };
        let works = (4 * cell.in_flight).max(2_000);
        let _neighbours = cell.neighbours();
        let cells = interleaved(2, rounds, |index, is_measured| {
            let works = if is_measured { works } else { works / 5 };
            let [_, p99] = match index {
                0 => cell.waits(&pair.before, works),
                _ => cell.waits(&pair.now, works),
            };
            p99
        });
        table.row(&cell.name(), 2, cells);
    }
    table.end();
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok());
    let Some(rounds @ 1..) = rounds else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["throughput", "latency", "tail"]
            .map(str::to_owned)
            .to_vec();
    }
    for name in names {
        match name.as_str() {
            "throughput" => throughput(rounds),
            "latency" => latency(rounds),
            "tail" => tail(rounds),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

//! Troupe side by side with other pools, in one process, as tables.
//!
//! ```sh
//! cargo bench --bench compare                  # as many cores as there are
//! taskset -c 0 cargo bench --bench compare     # one core
//! cargo bench --bench compare -- --quick       # only shows that it runs
//! ```
//!
//! Run it on a quiet machine, and on one core as well as on all: on one,
//! producer and actor share a cache, on several they fight for its lines.
//!
//! 1. **Throughput**: no-op works, as in the bench `throughput`. Each round
//!    runs every contestant once, each time beginning with another; a cell is
//!    the median of the rounds. The floor is one bare crossbeam channel.
//! 2. **Refusal**: every place of the troupe is taken and every actor stands
//!    before a gate. One work is assigned again and again, as it comes back.
//! 3. **Mixed load**: an open loop of 10,000 works a second on eight threads,
//!    one in twenty of which, at random, sleeps for 10 ms: 62 % load. Measured
//!    is the time from just before assign to the start, of all the others.
//!    Every contestant gets the same works.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use support::Contestant;
use troupe_pool::{AssignError, BoxError, Config, Troupe, Work};

mod support;

/// How much is measured.
struct Effort {
    rounds: usize,
    works: usize,
    refusals: usize,
    mixed_rounds: usize,
    mixed_time: Duration,
}

impl Effort {
    const FULL: Self = Self {
        rounds: 9,
        works: 200_000,
        refusals: 1_000_000,
        mixed_rounds: 3,
        mixed_time: Duration::from_secs(5),
    };
    const QUICK: Self = Self {
        rounds: 3,
        works: 5_000,
        refusals: 5_000,
        mixed_rounds: 1,
        mixed_time: Duration::from_millis(300),
    };
}

fn main() {
    // `cargo bench` passes `--bench`, `cargo test --benches` does not.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    if let Some(unknown) = arguments
        .iter()
        .find(|argument| !["--bench", "--quick"].contains(&argument.as_str()))
    {
        eprintln!("compare: unknown argument {unknown}; there is only --quick");
        std::process::exit(2);
    }
    let quick = has("--quick") || !has("--bench");
    let effort = if quick { Effort::QUICK } else { Effort::FULL };

    let processors = thread::available_parallelism().map_or(0, usize::from);
    println!("# Troupe side by side\n");
    println!(
        "This process may use {processors} CPU{}.",
        if processors == 1 { "" } else { "s" }
    );
    if quick {
        println!("**Quick run: the figures mean nothing.**");
    }
    throughput(&effort);
    refusal(&effort);
    mixed_load(&effort);
}

fn throughput(effort: &Effort) {
    println!("\n## Throughput\n");
    println!(
        "ns per no-op work, median of {} rounds of {} works; smaller is better.\n",
        effort.rounds, effort.works
    );
    let mut against_peers = Vec::new();
    let mut against_floor = Vec::new();
    for actors in [2, 16] {
        let contestants = support::contestants(actors);
        if against_peers.is_empty() {
            let names = contestants
                .iter()
                .map(|contestant| contestant.name().to_owned());
            header(
                ["actors", "producers"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(names)
                    .chain(["troupe / best peer", "troupe / floor"].map(str::to_owned)),
            );
        }
        for producers in [1, 2] {
            let cells = interleaved(contestants.len(), effort.rounds, |index, is_measured| {
                // A fifth of a round warms up: caches, allocator, parked threads.
                let works = if is_measured {
                    effort.works
                } else {
                    effort.works / 5
                };
                let took = support::round(contestants[index].as_ref(), producers, works);
                took.as_secs_f64() * 1e9 / works as f64
            });
            let medians: Vec<f64> = cells.into_iter().map(median).collect();
            let [troupe, peers @ .., floor] = medians.as_slice() else {
                unreachable!("a troupe, some peers and the floor");
            };
            let best = peers.iter().copied().fold(f64::INFINITY, f64::min);
            against_peers.push(troupe / best);
            against_floor.push(troupe / floor);
            let numbers = medians.iter().map(|cell| format!("{cell:.0}"));
            row([actors, producers]
                .map(|number| number.to_string())
                .into_iter()
                .chain(numbers)
                .chain([troupe / best, troupe / floor].map(|ratio| format!("{ratio:.2}"))));
        }
    }
    println!(
        "\nTroupe, geometric mean: to the best peer of each cell {:.2}, to the floor {:.2}.",
        geometric_mean(&against_peers),
        geometric_mean(&against_floor),
    );
}

fn refusal(effort: &Effort) {
    println!("\n## Refusal\n");
    println!(
        "ns per refused assign with every place taken, median of {} rounds of {}.\n",
        effort.rounds, effort.refusals
    );
    const ACTORS: [usize; 2] = [1, 1_000];
    let troupes = ACTORS.map(FullTroupe::new);
    let cells = interleaved(troupes.len(), effort.rounds, |index, _| {
        let began = Instant::now();
        troupes[index].refuse(effort.refusals);
        began.elapsed().as_secs_f64() * 1e9 / effort.refusals as f64
    });
    header(["actors", "troupe"]);
    let medians: Vec<f64> = cells.into_iter().map(median).collect();
    for (actors, cell) in ACTORS.iter().zip(&medians) {
        row([actors.to_string(), format!("{cell:.1}")]);
    }
    println!(
        "\n{} actors against {}: {:.2}.",
        ACTORS[1],
        ACTORS[0],
        medians[1] / medians[0]
    );
}

/// A troupe all of whose places are taken by works that wait at a gate.
struct FullTroupe {
    troupe: Troupe,
    gate: Arc<Gate>,
}

impl FullTroupe {
    fn new(actors: usize) -> Self {
        let troupe = Troupe::new(Config::fixed(actors).mailbox_size(8)).expect("a troupe");
        let gate = Arc::new(Gate::default());
        loop {
            let gate = Arc::clone(&gate);
            match troupe.assign(move || {
                gate.pass();
                Ok(())
            }) {
                Ok(()) => {}
                Err(AssignError::Full(_)) => break,
                Err(other) => panic!("this troupe is not shut down: {other}"),
            }
        }
        // A work that an actor has taken and not yet begun is in no snapshot.
        while troupe.stats().running < actors {
            thread::yield_now();
        }
        let stats = troupe.stats();
        assert_eq!(
            stats.queued + stats.running,
            stats.capacity,
            "full means that every place is taken"
        );
        Self { troupe, gate }
    }

    fn refuse(&self, times: usize) {
        let mut work = Work::new(|| Ok(()));
        for _ in 0..times {
            work = match self.troupe.assign(work) {
                Err(AssignError::Full(work)) => work,
                other => panic!("it was full: {other:?}"),
            };
        }
    }
}

impl Drop for FullTroupe {
    fn drop(&mut self) {
        self.gate.open();
        self.troupe.shutdown();
        self.troupe.join().expect("this is no actor's thread");
    }
}

/// Shut at first; once open, it stays open.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut is_open = self.is_open.lock();
        self.opened.wait_while(&mut is_open, |is_open| !*is_open);
    }

    fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }
}

fn mixed_load(effort: &Effort) {
    const ACTORS: usize = 8;
    println!("\n## Mixed load\n");
    println!(
        "us from assign to start, of works that do not sleep; median of {} rounds of {:?}.\n",
        effort.mixed_rounds, effort.mixed_time
    );
    let troupe = support::troupe(ACTORS);
    let threadpool = threadpool::ThreadPool::new(ACTORS);
    let rusty_pool = rusty_pool::ThreadPool::new(ACTORS, ACTORS, Duration::from_secs(3600));
    rusty_pool.start_core_threads();
    let run = |index: usize, time: Duration| match index {
        0 => open_loop(time, |work| assign_until_accepted(&troupe, work)),
        1 => open_loop(time, |work| threadpool.execute(work)),
        _ => open_loop(time, |work| rusty_pool.execute(work)),
    };
    let names = [troupe.name(), threadpool.name(), rusty_pool.name()];
    let cells = interleaved(names.len(), effort.mixed_rounds, |index, is_measured| {
        run(
            index,
            if is_measured {
                effort.mixed_time
            } else {
                effort.mixed_time / 10
            },
        )
    });
    let of = |quantile: fn(&Sojourns) -> Duration| -> Vec<f64> {
        cells
            .iter()
            .map(|rounds| {
                median(
                    rounds
                        .iter()
                        .map(|round| quantile(round).as_secs_f64() * 1e6)
                        .collect(),
                )
            })
            .collect()
    };
    header(["", "p50", "p99"].map(str::to_owned));
    let (p50, p99) = (of(|round| round.p50), of(|round| round.p99));
    for (index, name) in names.iter().enumerate() {
        row([
            (*name).to_owned(),
            format!("{:.1}", p50[index]),
            format!("{:.0}", p99[index]),
        ]);
    }
    let ratio = |cells: &[f64]| cells[0] / cells[1..].iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "\nTroupe against the best peer: p50 {:.2}, p99 {:.2}.",
        ratio(&p50),
        ratio(&p99)
    );
}

fn assign_until_accepted(troupe: &Troupe, work: impl FnOnce() + Send + 'static) {
    let mut outcome = troupe.assign(move || {
        work();
        Ok::<(), BoxError>(())
    });
    while let Err(AssignError::Full(work)) = outcome {
        thread::yield_now();
        outcome = troupe.assign(work);
    }
    outcome.expect("nobody shuts this troupe down");
}

/// How long works waited in one round.
struct Sojourns {
    p50: Duration,
    p99: Duration,
}

type BoxedRun = Box<dyn FnOnce() + Send>;

/// Assigns a work every 100 microseconds, however long the earlier ones take.
/// A producer that has overslept makes up for it at once.
fn open_loop(time: Duration, assign: impl Fn(BoxedRun)) -> Sojourns {
    const INTERVAL: Duration = Duration::from_micros(100);
    const SLEEP: Duration = Duration::from_millis(10);
    const NOT_MEASURED: u64 = u64::MAX;

    let works = (time.as_nanos() / INTERVAL.as_nanos()) as usize;
    let waited: Arc<[AtomicU64]> = (0..works).map(|_| AtomicU64::new(NOT_MEASURED)).collect();
    let expected = support::counted() + works as u64;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let began = Instant::now();
    for index in 0..works {
        let due = INTERVAL * u32::try_from(index).expect("a round of less than five days");
        if let Some(early) = due.checked_sub(began.elapsed()) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the workload is an open loop: works come by the clock"
            )]
            thread::sleep(early);
        }
        if dice.one_in(20) {
            assign(Box::new(move || {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the workload: a work that waits for something else"
                )]
                thread::sleep(SLEEP);
                support::count();
            }));
        } else {
            let waited = Arc::clone(&waited);
            let assigned = Instant::now();
            assign(Box::new(move || {
                let nanos = u64::try_from(assigned.elapsed().as_nanos()).unwrap_or(NOT_MEASURED);
                waited[index].store(nanos, Ordering::Relaxed);
                support::count();
            }));
        }
    }
    support::wait_until_counted(expected);
    let mut waited: Vec<u64> = waited
        .iter()
        .map(|nanos| nanos.load(Ordering::Relaxed))
        .filter(|&nanos| nanos != NOT_MEASURED)
        .collect();
    waited.sort_unstable();
    let quantile = |percent: usize| Duration::from_nanos(waited[waited.len() * percent / 100]);
    Sojourns {
        p50: quantile(50),
        p99: quantile(99),
    }
}

/// Numbers that look random and are the same in every round (xorshift).
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, sides: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides == 0
    }
}

/// Runs every contestant once to warm it up, then `rounds` rounds of all of
/// them, each round beginning with the next one. Returns the results by
/// contestant.
fn interleaved<T>(
    contestants: usize,
    rounds: usize,
    mut run: impl FnMut(usize, bool) -> T,
) -> Vec<Vec<T>> {
    for index in 0..contestants {
        run(index, false);
    }
    let mut results: Vec<Vec<T>> = (0..contestants)
        .map(|_| Vec::with_capacity(rounds))
        .collect();
    for round in 0..rounds {
        for turn in 0..contestants {
            let index = (round + turn) % contestants;
            results[index].push(run(index, true));
        }
    }
    results
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// Prints the head of a Markdown table.
fn header(cells: impl IntoIterator<Item = impl Display>) {
    let width = row(cells);
    println!("|{}", "---:|".repeat(width));
}

/// Prints a row of a Markdown table; returns how many cells it has.
fn row(cells: impl IntoIterator<Item = impl Display>) -> usize {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell.to_string()).collect();
    println!("| {} |", cells.join(" | "));
    cells.len()
}

//! An open loop of 10,000 works a second on eight threads, one in twenty of
//! which, at random, sleeps for 10 ms: 62 % load. Measured is the time from
//! just before assign to the start, of all the others. Every contestant gets
//! the same works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median, quantile, rest};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support::{self, Assign, Pool};

const ACTORS: usize = 8;

/// The quantiles, in percent. More than are judged, for the plot.
const QUANTILES: [f64; 11] = [
    10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9,
];

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(2, 1, 1);
    let time = effort.of(
        Duration::from_secs(4),
        Duration::from_millis(300),
        Duration::from_millis(100),
    );
    let contestants = support::contestants(ACTORS);
    let cells = interleaved(contestants.len(), rounds, |index, is_measured| {
        open_loop(
            &contestants[index],
            if is_measured { time } else { time / 10 },
        )
    });
    let mut figures = Figures::default();
    for percent in QUANTILES {
        for (contestant, rounds) in contestants.iter().zip(&cells) {
            let rounds = rounds.iter();
            let values = rounds.map(|waited| quantile(waited.clone(), percent / 100.0));
            let row = format!("p{percent}");
            figures.put(row, contestant.name(), median(values.collect()));
        }
    }
    figures
}

/// Assigns a work every 100 microseconds, however long the earlier ones take.
/// A producer that has overslept makes up for it at once. Returns how long the
/// works that do not sleep waited, in microseconds.
fn open_loop(pool: &Pool, time: Duration) -> Vec<f64> {
    const INTERVAL: Duration = Duration::from_micros(100);
    const SLEEP: Duration = Duration::from_millis(10);
    const NOT_MEASURED: u64 = u64::MAX;

    let works = (time.as_nanos() / INTERVAL.as_nanos()) as usize;
    let waited: Arc<[AtomicU64]> = (0..works).map(|_| AtomicU64::new(NOT_MEASURED)).collect();
    let expected = support::counted() + works as u64;
    let mut dice = Dice::new();
    let began = Instant::now();
    for index in 0..works {
        let due = INTERVAL * u32::try_from(index).expect("a round of less than five days");
        if let Some(early) = due.checked_sub(began.elapsed()) {
            rest(early);
        }
        if dice.roll(20) == 0 {
            pool.assign(move || {
                rest(SLEEP);
                support::count();
            });
        } else {
            let waited = Arc::clone(&waited);
            let assigned = Instant::now();
            pool.assign(move || {
                let nanos = u64::try_from(assigned.elapsed().as_nanos()).unwrap_or(NOT_MEASURED);
                waited[index].store(nanos, Ordering::Relaxed);
                support::count();
            });
        }
    }
    support::wait_until_counted(expected);
    let waited = waited.iter().map(|nanos| nanos.load(Ordering::Relaxed));
    waited
        .filter(|&nanos| nanos != NOT_MEASURED)
        .map(|nanos| nanos as f64 / 1e3)
        .collect()
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let ratio = |row: &str| figures.against_peers(row, "troupe");
    let bars = [
        // The time of a wake-up decides this.
        Bar::times("p50, troupe / best peer", ratio("p50"), 0.9),
        Bar::ratio("p99, troupe / best peer", ratio("p99"), 1.05),
        ratio("p99.9").map(|figure| Bar::Shown("p99.9, troupe / best peer".to_owned(), figure)),
    ];
    Section {
        about: "us from assign to start, of the works that do not sleep: 10,000 works a second on \
                8 threads, one in twenty of which sleeps for 10 ms."
            .to_owned(),
        tables: vec![Table::of(figures, "quantile", 1).with("troupe / best peer", ratio)],
        bars: bars.into_iter().flatten().collect(),
    }
}

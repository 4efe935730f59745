//! Works that queue all the time, in a closed loop: how long the unluckiest wait,
//! beside pools that have one queue for all threads.
//!
//! No pool can start works faster than the others here, since the works sleep
//! and eight run at a time. A longer p99 therefore means that works which came
//! later were started earlier.

use crate::closed_loop::{ACTORS, BusyLoops, CELLS};
use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support::Pool;

/// The columns with one queue for all threads. The floor is one bare channel.
const SHARED_QUEUES: [&str; 3] = ["threadpool", "rusty_pool", "floor"];

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let mut figures = Figures::default();
    for cell in CELLS {
        let mut contestants = vec![
            Pool::troupe(ACTORS, cell.mailbox_size),
            Pool::threadpool(ACTORS),
        ];
        if !cell.is_busy {
            contestants.extend([Pool::rusty_pool(ACTORS), Pool::floor(ACTORS)]);
        }
        // Beside busy loops the figures scatter.
        let rounds = if cell.is_busy {
            effort.of(9, 3, 1)
        } else {
            effort.of(5, 1, 1)
        };
        // Several times as many as wait, but enough for a p99.
        let works = effort.of(
            (6 * cell.in_flight).max(2_000),
            cell.in_flight.max(400),
            cell.in_flight.min(100),
        );
        let _neighbours = cell.neighbours();
        let cells = interleaved(contestants.len(), rounds, |index, is_measured| {
            let works = if is_measured { works } else { works / 5 };
            cell.waits(&contestants[index], works)
        });
        for (quantile, name) in ["p50", "p99"].into_iter().enumerate() {
            for (contestant, rounds) in contestants.iter().zip(&cells) {
                let values = rounds.iter().map(|waits| waits[quantile]).collect();
                let row = format!("{}, {name}", cell.name());
                figures.put(row, contestant.name(), median(values));
            }
        }
    }
    figures
}

pub(super) fn report(figures: &Figures, mode: Mode) -> Section {
    let ratio = |row: &str| {
        let queues = SHARED_QUEUES.iter();
        let best = queues.filter_map(|queue| figures.get(row, queue));
        Some(figures.get(row, "troupe")? / best.min_by(f64::total_cmp)?)
    };
    let bars = CELLS.into_iter().filter_map(|cell| {
        let row = format!("{}, p99", cell.name());
        if !cell.is_busy {
            return Bar::ratio(
                format!("{row}: troupe / best shared queue"),
                ratio(&row),
                1.15,
            );
        }
        // The bar is for two CPUs, and the figure scatters too much for a quick pass to fail.
        let what = format!("{row}: troupe / threadpool");
        match mode {
            Mode::All => Bar::times(what, ratio(&row), 1.5),
            Mode::One => Some(Bar::Shown(what, ratio(&row)?)),
        }
    });
    Section {
        about: format!(
            "ms from assign to start of works that queue all the time: a fixed number is in \
             flight on {ACTORS} threads, and each that ends is replaced. Works sleep for 0.5 to \
             1.5 ms. `floor` is one bare bounded channel. The last cell has {} busy loops beside \
             it, and only threadpool to compare with.",
            BusyLoops::NUMBER
        ),
        tables: vec![Table::of(figures, "", 2).with("troupe / best shared queue", ratio)],
        bars: bars.collect(),
    }
}

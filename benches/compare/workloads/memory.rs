//! The memory of an idle actor, once it has run a work: resident and virtual
//! bytes of the whole process, before and after, divided by the actors. Each
//! contestant has a process of its own.

use std::fs;
use std::time::Duration;

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::rest;
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support::{MAILBOX, Pool};

const SMALL_MAILBOX: usize = 8;

/// The bytes that the bar allows for each place: crossbeam's slots have a stamp beside
/// the box, and there is the work's own bookkeeping.
const BYTES_PER_PLACE: usize = 32;

pub(super) const PARTS: &[&str] = &[
    "troupe, mailbox 128",
    "troupe, mailbox 8",
    "threadpool",
    "rusty_pool",
    "rayon",
    "tokio",
];

pub(super) fn measure(effort: Effort, part: &str) -> Figures {
    let actors = effort.of(1_000, 200, 50);
    let before = usage();
    let pool = match part {
        "troupe, mailbox 128" => Pool::troupe(actors, MAILBOX),
        "troupe, mailbox 8" => Pool::troupe(actors, SMALL_MAILBOX),
        "threadpool" => Pool::threadpool(actors),
        "rusty_pool" => Pool::rusty_pool(actors),
        "rayon" => Pool::rayon(actors),
        "tokio" => Pool::tokio(actors),
        other => panic!("no such part: {other}"),
    };
    // Until the last thread has gone to rest.
    rest(Duration::from_millis(100));
    let after = usage();
    drop(pool);
    let mut figures = Figures::default();
    let per_actor = |index: usize| (after[index] - before[index]) / actors as f64;
    figures.put(part, "resident", per_actor(0));
    figures.put(part, "virtual", per_actor(1));
    figures
}

/// Resident and virtual bytes of this process. `status` rounds the resident
/// ones up or down by up to some hundred kilobytes, on a kernel that counts
/// them by CPU; `smaps_rollup` counts them when asked.
fn usage() -> [f64; 2] {
    let read = |file: &str, key: &str| -> f64 {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key));
        let kilobytes = value.and_then(|value| value.trim().strip_suffix(" kB"));
        kilobytes
            .and_then(|number| number.parse().ok())
            .unwrap_or(f64::NAN)
            * 1024.0
    };
    let exact = read("/proc/self/smaps_rollup", "Rss:");
    let resident = if exact.is_nan() {
        read("/proc/self/status", "VmRSS:")
    } else {
        exact
    };
    [resident, read("/proc/self/status", "VmSize:")]
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let resident = |row: &str| figures.get(row, "resident");
    let peers = PARTS.iter().filter(|part| !part.starts_with("troupe"));
    let best = peers
        .filter_map(|peer| resident(peer))
        .min_by(f64::total_cmp);
    let bars = [
        ("troupe, mailbox 128", MAILBOX),
        ("troupe, mailbox 8", SMALL_MAILBOX),
    ]
    .into_iter()
    .filter_map(|(row, mailbox_size)| {
        let bar = best? + (mailbox_size * BYTES_PER_PLACE) as f64;
        Bar::ratio(
            format!("{row}: resident / (best peer + {BYTES_PER_PLACE} a place)"),
            Some(resident(row)? / bar),
            1.0,
        )
    });
    Section {
        about: "Bytes per idle thread that has run one work, of 1,000. How many allocations an \
                assign makes is what the test `allocations` asserts: one."
            .to_owned(),
        tables: vec![Table::of(figures, "", 0)],
        bars: bars.collect(),
    }
}

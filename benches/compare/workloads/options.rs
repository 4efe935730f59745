//! No-op works with a label, a deadline, or both, beside plain ones on the same troupe.
//!
//! A deadline is an `Instant` that was made before the round, so the figure has the actor's look
//! at the clock and no look of the producer. Works that expire have a deadline that has passed.

use std::time::{Duration, Instant};

use troupe_pool::{Config, Troupe};

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median};
use crate::mode::Mode;
use crate::no_ops::nanos_each;
use crate::section::{Bar, Section, Table};
use crate::support::MAILBOX;

/// The columns: the options of the works.
const KINDS: [&str; 5] = ["plain", "label", "deadline", "both", "expired"];

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 5, 1);
    let works: usize = effort.of(200_000, 50_000, 1_000);
    let mut figures = Figures::default();
    for actors in [2, 16] {
        let config = Config::fixed(actors).mailbox_size(MAILBOX);
        let troupe = Troupe::new(config).expect("a troupe");
        let cells = interleaved(KINDS.len(), rounds, |index, is_measured| {
            let works = if is_measured { works } else { works / 5 };
            round(&troupe, KINDS[index], works)
        });
        for (kind, cell) in KINDS.into_iter().zip(cells) {
            figures.put(format!("{actors} x 1"), kind, median(cell));
        }
    }
    figures
}

/// Assigns this many works of one kind and returns the nanoseconds per work.
fn round(troupe: &Troupe, kind: &str, works: usize) -> f64 {
    let now = Instant::now();
    let later = now + Duration::from_secs(3600);
    match kind {
        "plain" => nanos_each(troupe, works, |work, _| work),
        "label" => nanos_each(troupe, works, |work, _| work.label("no-op")),
        "deadline" => nanos_each(troupe, works, |work, _| work.deadline(later)),
        "both" => nanos_each(troupe, works, |work, _| work.label("no-op").deadline(later)),
        "expired" => nanos_each(troupe, works, |work, _| work.deadline(now)),
        other => unreachable!("no works are {other}"),
    }
}

pub(super) fn report(figures: &Figures, mode: Mode) -> Section {
    let mut bars = Vec::new();
    for row in figures.rows() {
        let against_plain = |kind: &str| figures.ratio(row, kind, "plain");
        bars.extend([("label", 2.0), ("deadline", 2.5)].map(|(kind, bar)| {
            let what = format!("{row}: {kind} / plain");
            Bar::ratio_of_costs(mode, what, against_plain(kind), bar)
        }));
        bars.extend(["both", "expired"].map(|kind| {
            let what = format!("{row}: {kind} / plain");
            Some(Bar::Shown(what, against_plain(kind)?))
        }));
    }
    Section {
        about: "ns per no-op work of one producer, plain and with options, on the same troupe; \
                mailboxes of 128. The label is static. The deadline is an hour away, and one and \
                the same for all works of a round: the actor's look at the clock is in the \
                figure, and none of the producer's. `expired` are works whose deadline has \
                passed. They are dropped and not run, and there is no error handler."
            .to_owned(),
        tables: vec![Table::of(figures, "actors x producers", 0)],
        bars: bars.into_iter().flatten().collect(),
    }
}

//! One work on an idle pool, from just before assign to its start.
//!
//! The work reads the clock when it starts, so that the caller's own wake-up is
//! not in the figure. **Hot**: the caller spins until the work has started, and
//! assigns the next at once. That needs a CPU for each of the two. **Rested**:
//! the caller sleeps, assigns, and sleeps again, well past the start. A caller
//! that spun would keep the actor off its CPU, and warm.
//!
//! The quantiles are those of all rounds together: a round of the rested is too
//! short for a p99 of its own.

use std::hint::spin_loop;
use std::time::Duration;

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{cpus, interleaved, median, quantile, rest};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::start::Start;
use crate::support;

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let start = Start::leak();
    let mut figures = Figures::default();
    for actors in [2, 16] {
        let mut contestants = support::contestants(actors);
        contestants.retain(|contestant| contestant.name() != "dynamic");
        let mut measure = |what: &str, rounds: usize, works: usize, pause: &dyn Fn()| {
            let cells = interleaved(contestants.len(), rounds, |index, is_measured| {
                let works = if is_measured { works } else { works / 5 };
                let pool = &contestants[index];
                start.waits(pool, works, pause)
            });
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                for (contestant, rounds) in contestants.iter().zip(&cells) {
                    let all = rounds.concat();
                    let figure = if share == 0.5 {
                        median(all)
                    } else {
                        quantile(all, share)
                    };
                    let row = format!("{what}, {actors} actors, {name}");
                    figures.put(row, contestant.name(), figure);
                }
            }
        };
        if cpus() > 1 {
            let works = effort.of(2_000, 300, 20);
            measure("hot", effort.of(9, 3, 1), works, &spin_loop);
        }
        let works = effort.of(100, 30, 5);
        measure("after 1 ms", effort.of(9, 2, 1), works, &|| {
            rest(Duration::from_millis(1));
        });
        let works = effort.of(20, 6, 2);
        measure("after 20 ms", effort.of(5, 1, 1), works, &|| {
            rest(Duration::from_millis(20));
        });
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let ratio = |row: &str| figures.against_peers(row, "troupe");
    let medians = figures
        .rows()
        .into_iter()
        .filter(|row| row.ends_with("p50"));
    let bars = medians.filter_map(|row| {
        let what = format!("{row}: troupe / best peer");
        if row.starts_with("after 20 ms") {
            return Some(Bar::Shown(what, ratio(row)?));
        }
        Bar::ratio(what, ratio(row), 1.05)
    });
    Section {
        about: "us from assign to the start of one work on an idle pool. Hot: the caller spins, \
                and assigns the next at once (more than one CPU only). After a rest: the caller \
                sleeps, assigns, and sleeps again."
            .to_owned(),
        tables: vec![Table::of(figures, "", 2).with("troupe / best peer", ratio)],
        bars: bars.collect(),
    }
}

//! No-op works, as in the bench `throughput`. The floor is one bare crossbeam
//! channel, with the same boxes and as many threads and places.

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{geometric_mean, interleaved, median};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support;

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(7, 5, 1);
    let works: usize = effort.of(200_000, 50_000, 1_000);
    let mut figures = Figures::default();
    // With 256 actors some contestants take seconds, and small sizes say nothing.
    for &actors in effort.of(&[2, 4, 16, 256][..], &[2, 4, 16], &[2, 16]) {
        let contestants = support::contestants(actors);
        for producers in [1, 2, 4] {
            let cells = interleaved(contestants.len(), rounds, |index, is_measured| {
                // A fifth of a round warms up: caches, allocator, parked threads.
                let works = if is_measured { works } else { works / 5 };
                let took =
                    support::round(producers, works, |count| contestants[index].produce(count));
                took.as_secs_f64() * 1e9 / works as f64
            });
            for (contestant, cell) in contestants.iter().zip(cells) {
                let row = format!("{actors} x {producers}");
                figures.put(row, contestant.name(), median(cell));
            }
        }
    }
    figures
}

pub(super) fn report(figures: &Figures, mode: Mode) -> Section {
    let table = Table::of(figures, "actors x producers", 0)
        .with("troupe / best peer", |row| {
            figures.against_peers(row, "troupe")
        })
        .with("dynamic / best peer", |row| {
            figures.against_peers(row, "dynamic")
        })
        .with("troupe / floor", |row| {
            figures.ratio(row, "troupe", "floor")
        });
    let (mean_bar, floor_bar) = match mode {
        Mode::All => (0.80, 0.60),
        Mode::One => (0.85, 1.05),
    };
    let mut bars = Vec::new();
    for troupe in ["troupe", "dynamic"] {
        let cells = |ratio: &dyn Fn(&str) -> Option<f64>| -> Vec<f64> {
            figures.rows().into_iter().filter_map(ratio).collect()
        };
        let peers = cells(&|row| figures.against_peers(row, troupe));
        let floor = cells(&|row| figures.ratio(row, troupe, "floor"));
        let worst = peers.iter().copied().max_by(f64::total_cmp);
        bars.extend([
            Bar::ratio(
                format!("{troupe} / best peer of the cell, geometric mean"),
                Some(geometric_mean(&peers)),
                mean_bar,
            ),
            Bar::ratio(format!("{troupe} / best peer, worst cell"), worst, 1.05),
            Bar::ratio(
                format!("{troupe} / floor, geometric mean"),
                Some(geometric_mean(&floor)),
                floor_bar,
            ),
        ]);
    }
    Section {
        about: "ns per no-op work, from the first producer's start until the last work has been \
                run; mailboxes of 128; a refused work is tried again after a yield. `dynamic` is a \
                Dynamic troupe that has grown to its max and stays there. The peers never refuse: \
                their queues grow."
            .to_owned(),
        tables: vec![table],
        bars: bars.into_iter().flatten().collect(),
    }
}

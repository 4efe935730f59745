//! Producers that wait for room instead of trying again: `assign_wait` beside
//! the blocking `send` of the bare channel.

use troupe_pool::{Config, Troupe};

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{geometric_mean, interleaved, median};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support::{self, MAILBOX, Pool};

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 3, 1);
    let works: usize = effort.of(200_000, 50_000, 1_000);
    let mut figures = Figures::default();
    for actors in [2, 16] {
        let config = Config::fixed(actors).mailbox_size(MAILBOX);
        let troupe = Troupe::new(config).expect("a troupe");
        let Pool::Floor(floor) = Pool::floor(actors) else {
            unreachable!("a floor");
        };
        let produce = |index: usize, count: usize| {
            for number in 0..count {
                let work = move || {
                    support::no_op(number);
                    Ok(())
                };
                if index == 0 {
                    troupe.assign_wait(work).expect("nobody shuts it down");
                } else {
                    floor.sender.send(Box::new(work)).expect("it has receivers");
                }
            }
        };
        for producers in [1, 4] {
            let cells = interleaved(2, rounds, |index, is_measured| {
                let works = if is_measured { works } else { works / 5 };
                let took = support::round(producers, works, |count| produce(index, count));
                took.as_secs_f64() * 1e9 / works as f64
            });
            for (name, cell) in ["troupe", "floor"].into_iter().zip(cells) {
                figures.put(format!("{actors} x {producers}"), name, median(cell));
            }
        }
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let ratio = |row: &str| figures.ratio(row, "troupe", "floor");
    let ratios: Vec<f64> = figures.rows().into_iter().filter_map(ratio).collect();
    Section {
        about: "ns per no-op work, with `assign_wait` and with the bare channel's `send`, both of \
                which wait for room."
            .to_owned(),
        tables: vec![Table::of(figures, "actors x producers", 0).with("troupe / floor", ratio)],
        bars: vec![Bar::Shown(
            "troupe / floor, geometric mean".to_owned(),
            geometric_mean(&ratios),
        )],
    }
}

//! Every place of the troupe is taken and every actor stands before a gate.
//! One work is assigned again and again, as it comes back.

use crate::effort::Effort;
use crate::figures::Figures;
use crate::held::Held;
use crate::measure::{interleaved, median, nanos};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};

/// In the largest troupe each mailbox has one place, to spare memory: how many
/// places there are has nothing to do with what a refusal looks at.
const FULL: &[(usize, usize)] = &[
    (1, 8),
    (10, 8),
    (100, 8),
    (1_000, 8),
    (5_000, 8),
    (10_000, 1),
];
const QUICK: &[(usize, usize)] = &[(1, 8), (10, 8), (100, 8), (1_000, 8)];
const TINY: &[(usize, usize)] = &[(1, 8), (100, 1)];

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 5, 1);
    let refusals = effort.of(1_000_000, 20_000, 100);
    let mut troupes = Vec::new();
    for &(actors, mailbox_size) in effort.of(FULL, QUICK, TINY) {
        match Held::full(actors, mailbox_size) {
            Ok(troupe) => troupes.push((actors, troupe)),
            // A system with a low limit has no such row.
            Err(error) => eprintln!("refusal: no {actors} actors here: {error}"),
        }
    }
    let cells = interleaved(troupes.len(), rounds, |index, _| {
        nanos(|| troupes[index].1.refuse(refusals)) / refusals as f64
    });
    let mut figures = Figures::default();
    for ((actors, _), cell) in troupes.iter().zip(cells) {
        figures.put(actors, "troupe", median(cell));
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let cells: Vec<f64> = figures
        .rows()
        .into_iter()
        .filter_map(|row| figures.get(row, "troupe"))
        .collect();
    let most = cells.iter().copied().fold(0.0, f64::max);
    Section {
        about: "ns per refused assign, every place being taken and every actor busy; mailboxes of \
                8, with 10,000 actors of 1."
            .to_owned(),
        tables: vec![Table::of(figures, "actors", 1)],
        bars: vec![
            Bar::Absolute("the dearest refusal".to_owned(), most, 15.0, "ns"),
            Bar::Ratio(
                "the dearest refusal / that of 1 actor".to_owned(),
                most / cells[0],
                1.5,
            ),
        ],
    }
}

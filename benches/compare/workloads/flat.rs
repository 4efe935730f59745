//! An accepted work does not cost more because there are many actors.

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support::{self, MAILBOX, Pool};

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 5, 1);
    let works: usize = effort.of(200_000, 20_000, 1_000);
    let sizes = [16, effort.of(1_000, 1_000, 100)];
    let pools = sizes.map(|actors| Pool::troupe(actors, MAILBOX));
    let cells = interleaved(pools.len(), rounds, |index, is_measured| {
        let works = if is_measured { works } else { works / 5 };
        let took = support::round(1, works, |count| pools[index].produce(count));
        took.as_secs_f64() * 1e9 / works as f64
    });
    let mut figures = Figures::default();
    for (actors, cell) in sizes.iter().zip(cells) {
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
    Section {
        about: "ns per no-op work of one producer; mailboxes of 128.".to_owned(),
        tables: vec![Table::of(figures, "actors", 0)],
        bars: vec![Bar::Ratio(
            "1,000 actors / 16".to_owned(),
            cells[1] / cells[0],
            1.2,
        )],
    }
}

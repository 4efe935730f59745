//! One place is left: how long an assign looks for it.
//!
//! Every actor stands before a gate of its own and every place is taken. One
//! gate lets a work through; its actor takes the next one out of its mailbox
//! and stands before the gate again, so that mailbox has the only free place.
//! Then one assign is timed, which takes it, and it is the turn of another
//! actor. A place is never free twice running in the same mailbox, where an
//! assign would come upon it without a search.
//!
//! - **Few mailboxes**: four of them take turns, far apart. That is the search.
//! - **All mailboxes**: every one of them takes its turn, so the mailbox that
//!   is found was last used as many assigns ago as there are actors. With many
//!   actors that is the search and what a cold mailbox costs, which the
//!   ordinary assign does not pay. It is shown, and not judged.
//!
//! Such a state lasts for one assign, so each is timed by itself, and what a
//! read of the clock costs is subtracted; the clock's steps are coarse, so the
//! figure is the mean of the middle half. The ordinary assign is timed in the
//! same manner, in a troupe half of whose places in mailboxes are free.

use crate::effort::Effort;
use crate::figures::Figures;
use crate::held::Held;
use crate::measure::{clock_cost, interleaved, middle_mean, nanos, quantile};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    const MAILBOX: usize = 8;
    const FEW: usize = 4;
    let rounds = effort.of(9, 5, 1);
    let assigns = effort.of(2_000, 500, 20);
    let mut figures = Figures::default();
    for actors in [16, effort.of(1_000, 1_000, 100)] {
        let half_full = Held::half_full(actors, MAILBOX).expect("threads");
        let full = Held::full(actors, MAILBOX).expect("threads");
        // The troupe, and from which actor to the next the turn passes.
        let contestants = [
            ("ordinary", &half_full, actors / FEW),
            ("few mailboxes", &full, actors / FEW),
            ("all mailboxes", &full, 1),
        ];
        let clock = clock_cost();
        let mut turn = 0;
        let cells = interleaved(contestants.len(), rounds, |index, _| {
            let (_, troupe, stride) = contestants[index];
            let mut assign = || {
                turn = (turn + stride) % actors;
                troupe.finish_one(turn);
                nanos(|| troupe.assign()) - clock
            };
            (0..assigns).map(|_| assign()).collect::<Vec<f64>>()
        });
        for ((name, ..), rounds) in contestants.iter().zip(cells) {
            let all = rounds.concat();
            figures.put(format!("{actors}, typical"), name, middle_mean(all.clone()));
            figures.put(format!("{actors}, p99"), name, quantile(all, 0.99));
        }
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let few = |row: &str| figures.ratio(row, "few mailboxes", "ordinary");
    let all = |row: &str| figures.ratio(row, "all mailboxes", "ordinary");
    let rows = figures.rows().into_iter();
    let typical: Vec<&str> = rows.filter(|row| row.ends_with("typical")).collect();
    let bars = typical.into_iter().flat_map(|row| {
        let actors = row.split(',').next().unwrap_or(row);
        let what = |which: &str| format!("{actors} actors: {which} mailboxes / ordinary");
        [
            Bar::ratio(what("few"), few(row), 2.0),
            all(row).map(|ratio| Bar::Shown(what("all"), ratio)),
        ]
    });
    Section {
        about: "ns per accepted assign, every actor being busy: half of the places in mailboxes \
                being free (ordinary), and all but one being taken. The free one is now here, now \
                there: in one of four mailboxes that take turns, or of all, which with many actors \
                are cold. Each assign is timed by itself after a wait, and the clock's cost \
                subtracted. Typical is the mean of the middle half."
            .to_owned(),
        tables: vec![
            Table::of(figures, "actors", 0)
                .with("few / ordinary", few)
                .with("all / ordinary", all),
        ],
        bars: bars.flatten().collect(),
    }
}

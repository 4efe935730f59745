//! Works that return a value, and a caller that waits for it: beside a channel that a plain work
//! on the same troupe captures, and beside the pools that give values back.
//!
//! **A round trip**: one caller asks, waits for the answer, and asks again, at once (hot) or after
//! a rest of 1 ms. **200 in flight**: the caller waits for the oldest answer before each question.
//! **A stream**: it asks all its questions, and then takes the answers. All are measured with a
//! caller that blocks and with one that is a task of tokio.

use std::time::Duration;

use crate::answers::{Asked, Contestants};
use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};

const ACTORS: usize = 16;

const HOT: &str = "round trip, hot";
const RESTED: &str = "round trip, after 1 ms";
const IN_FLIGHT: &str = "200 in flight";
const STREAM: &str = "stream";

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let Contestants { all, tokio } = Contestants::leak(ACTORS);
    let mut figures = Figures::default();
    let mut measure = |what: &str,
                       rounds: usize,
                       works: usize,
                       blocking: &dyn Fn(&dyn Asked, usize) -> f64,
                       awaited: &dyn Fn(&dyn Asked, usize) -> f64| {
        for (caller, run) in [("blocking", blocking), ("awaited", awaited)] {
            let cells = interleaved(all.len(), rounds, |index, is_measured| {
                let works = if is_measured { works } else { works / 5 };
                run(&*all[index].1, works)
            });
            for ((name, _), cell) in all.iter().zip(cells) {
                figures.put(format!("{what}, {caller}"), name, median(cell));
            }
        }
    };
    let hot = (HOT, Duration::ZERO, effort.of(10_000, 1_000, 50));
    let rested = (RESTED, Duration::from_millis(1), effort.of(200, 40, 5));
    for (what, pause, works) in [hot, rested] {
        measure(
            what,
            effort.of(9, 3, 1),
            works,
            &|asked, works| asked.round_trip(works, pause),
            &|asked, works| asked.awaited_round_trip(tokio, works, pause),
        );
    }
    let works = effort.of(100_000, 20_000, 1_000);
    for (what, in_flight) in [(IN_FLIGHT, 200), (STREAM, works)] {
        measure(
            what,
            effort.of(9, 3, 1),
            works,
            &|asked, works| asked.stream(works, in_flight),
            &|asked, works| asked.awaited_stream(tokio, works, in_flight),
        );
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let to_hand = |row: &str| figures.ratio(row, "troupe", "by hand");
    let to_peers = |row: &str| figures.against_peers(row, "troupe");
    let by_hand = [(HOT, 0.8), (IN_FLIGHT, 1.1)].map(|(what, bar)| {
        let row = format!("{what}, blocking");
        Bar::ratio(format!("{row}: troupe / by hand"), to_hand(&row), bar)
    });
    let peers = figures.rows().into_iter().map(|row| {
        let what = format!("{row}: troupe / best peer");
        // Peers take all questions at once, without a bound: their task never waits for room.
        if row.starts_with(IN_FLIGHT) || row == format!("{STREAM}, awaited") {
            return Some(Bar::Shown(what, to_peers(row)?));
        }
        // It depends on where the system lets a woken thread run.
        if row == format!("{HOT}, awaited") {
            return Bar::times(what, to_peers(row), 0.9);
        }
        Bar::ratio(what, to_peers(row), 0.9)
    });
    Section {
        about: format!(
            "us from a question to its answer; {ACTORS} threads, one caller, which blocks or is a \
             task of tokio. Round trip: the caller waits for each answer before it asks again, at \
             once (hot) or after a rest; the mean of the middle half. 200 in flight, us per work: \
             the caller waits for the oldest answer before each question. Stream, us per work: it \
             asks all its questions, and then takes the answers. `troupe` is \
             `Work::with_reply`. `by hand` is a plain work on the same troupe, which sends its \
             answer through a channel that it has captured: std's `sync_channel(1)` to a caller \
             that blocks, tokio's `oneshot` to a task. threadpool and rayon are asked in the same \
             way, rusty_pool by `evaluate`, and tokio by `spawn_blocking`. A caller that blocks \
             waits for tokio's handle by `block_on`."
        ),
        tables: vec![
            Table::of(figures, "", 2)
                .with("troupe / by hand", to_hand)
                .with("troupe / best peer", to_peers),
        ],
        bars: by_hand.into_iter().chain(peers).flatten().collect(),
    }
}

//! A thousand works that each wait, on an empty Dynamic troupe: it must start a
//! thread for each. Beside it a plain loop of spawns, whose bodies wait alike.
//!
//! The clock runs until the last of them has started, which reads it. Then all
//! are let go, and the troupe shrinks back to nothing; that time has the idle
//! timeout in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use troupe_pool::{Config, Troupe};

use crate::effort::Effort;
use crate::figures::Figures;
use crate::gate::Gate;
use crate::measure::{interleaved, median, rest};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};

const IDLE_TIMEOUT: Duration = Duration::from_millis(10);

/// Where all report that they have started, and wait.
struct Roll {
    began: Instant,
    missing: AtomicUsize,
    /// When the last one reported, in nanoseconds. 0: not yet.
    complete: AtomicU64,
    caller: Thread,
    gate: Gate,
}

impl Roll {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            missing: AtomicUsize::new(size),
            complete: AtomicU64::new(0),
            caller: thread::current(),
            gate: Gate::default(),
        })
    }

    fn report(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            let nanos = u64::try_from(self.began.elapsed().as_nanos()).expect("no such long run");
            self.complete.store(nanos, Ordering::Release);
            self.caller.unpark();
        }
        self.gate.pass();
    }

    /// Waits until all have reported; returns how many milliseconds it took,
    /// and lets them go.
    fn complete(&self) -> f64 {
        let nanos = loop {
            match self.complete.load(Ordering::Acquire) {
                0 => thread::park(),
                nanos => break nanos,
            }
        };
        self.gate.open();
        nanos as f64 / 1e6
    }
}

/// How long it took until all ran, and until the troupe was empty again, in
/// milliseconds.
fn grow(size: usize) -> [f64; 2] {
    let config = Config::dynamic(0, size).idle_timeout(IDLE_TIMEOUT);
    let troupe = Troupe::new(config).expect("a troupe");
    let roll = Roll::new(size);
    for _ in 0..size {
        let roll = Arc::clone(&roll);
        let work = move || {
            roll.report();
            Ok(())
        };
        troupe.assign(work).expect("it grows");
    }
    let grown = roll.complete();
    let began = Instant::now();
    while troupe.stats().actors > 0 {
        rest(Duration::from_micros(200));
    }
    [grown, began.elapsed().as_secs_f64() * 1e3]
}

/// The same without a pool. Nothing shrinks.
fn spawn(size: usize) -> [f64; 2] {
    let roll = Roll::new(size);
    let threads: Vec<_> = (0..size)
        .map(|_| {
            let roll = Arc::clone(&roll);
            thread::Builder::new()
                .spawn(move || roll.report())
                .expect("a thread")
        })
        .collect();
    let spawned = roll.complete();
    for thread in threads {
        thread.join().expect("it only waits");
    }
    [spawned, 0.0]
}

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(15, 5, 1);
    let size = effort.of(1_000, 1_000, 100);
    let cells = interleaved(2, rounds, |index, _| match index {
        0 => grow(size),
        _ => spawn(size),
    });
    let of = |contestant: usize, time: usize| {
        median(cells[contestant].iter().map(|round| round[time]).collect())
    };
    let mut figures = Figures::default();
    figures.put("until all run", "troupe", of(0, 0));
    figures.put("until all run", "spawns", of(1, 0));
    figures.put("back to 0", "troupe", of(0, 1));
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let ratio = |row: &str| figures.ratio(row, "troupe", "spawns");
    let bar = Bar::ratio(
        "until all run, troupe / spawns",
        ratio("until all run"),
        1.05,
    );
    Section {
        about: format!(
            "ms until 1,000 works that each wait are all running, on an empty Dynamic troupe with \
             max 1,000; beside a loop of 1,000 spawns of unnamed threads. Then ms until the troupe \
             has no actor again, with an idle timeout of {IDLE_TIMEOUT:?}."
        ),
        tables: vec![Table::of(figures, "", 2).with("troupe / spawns", ratio)],
        bars: bar.into_iter().collect(),
    }
}

//! A closed loop: a fixed number of works is in flight, and each work that ends
//! is replaced by a new one. Works sleep for 0.5 to 1.5 ms and use no CPU, so
//! how long they wait says in which order a pool starts them.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::dice::Dice;
use crate::measure::{quantile, rest};
use crate::support::Assign;

/// The threads of each pool.
pub(crate) const ACTORS: usize = 8;

/// One size of the loop.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) mailbox_size: usize,
    pub(crate) in_flight: usize,
    /// Are there busy loops beside it?
    pub(crate) is_busy: bool,
}

pub(crate) const CELLS: [Cell; 5] = [
    Cell::quiet(8, 24),
    Cell::quiet(8, 64),
    Cell::quiet(128, 200),
    Cell::quiet(128, 1_000),
    Cell {
        is_busy: true,
        ..Cell::quiet(8, 24)
    },
];

impl Cell {
    const fn quiet(mailbox_size: usize, in_flight: usize) -> Self {
        Self {
            mailbox_size,
            in_flight,
            is_busy: false,
        }
    }

    pub(crate) fn name(self) -> String {
        let beside = if self.is_busy {
            ", beside busy loops"
        } else {
            ""
        };
        format!(
            "mailbox {}, {} in flight{beside}",
            self.mailbox_size, self.in_flight
        )
    }

    /// The busy loops that belong to this cell, if any.
    pub(crate) fn neighbours(self) -> Option<BusyLoops> {
        self.is_busy.then(BusyLoops::start)
    }

    /// Runs the loop until some more works than `works` have ended, and returns
    /// the median and the p99 of the time from just before assign to the start,
    /// in milliseconds. The works that fill the pool at first do not count.
    pub(crate) fn waits(self, pool: &impl Assign, works: usize) -> [f64; 2] {
        let total = self.in_flight + works;
        let waited: Arc<[AtomicU64]> = (0..total).map(|_| AtomicU64::new(0)).collect();
        let (done, finished) = bounded(self.in_flight);
        let mut dice = Dice::new();
        let mut assign = |index: usize| {
            let waited = Arc::clone(&waited);
            let done = done.clone();
            let time = Duration::from_micros(500 + dice.roll(1_001));
            let assigned = Instant::now();
            pool.assign(move || {
                let nanos = u64::try_from(assigned.elapsed().as_nanos()).unwrap_or(u64::MAX);
                waited[index].store(nanos, Ordering::Relaxed);
                rest(time);
                done.send(()).expect("the feeder waits for every work");
            });
        };
        (0..self.in_flight).for_each(&mut assign);
        for index in self.in_flight..total {
            finished.recv().expect("the feeder has a sender itself");
            assign(index);
        }
        for _ in 0..self.in_flight {
            finished.recv().expect("the feeder has a sender itself");
        }
        let counted = waited[self.in_flight..].iter();
        let waits: Vec<f64> = counted
            .map(|nanos| nanos.load(Ordering::Relaxed) as f64 / 1e6)
            .collect();
        [quantile(waits.clone(), 0.5), quantile(waits, 0.99)]
    }
}

/// Threads that use all the CPU they get, until they are dropped.
pub(crate) struct BusyLoops {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl BusyLoops {
    /// One more than the CPUs of the machine on which the bar was set.
    pub(crate) const NUMBER: usize = 3;

    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..Self::NUMBER).map(|_| {
            let is_over = Arc::clone(&is_over);
            let spin = move || {
                let mut turns = 0_u64;
                while !is_over.load(Ordering::Relaxed) {
                    turns = black_box(turns + 1);
                }
            };
            thread::Builder::new().spawn(spin).expect("a thread")
        });
        Self {
            threads: threads.collect(),
            is_over,
        }
    }
}

impl Drop for BusyLoops {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("it only counts");
        }
    }
}

//! Works that assign works: a binary tree of 131,071 works, each of which
//! assigns its two children.
//!
//! A troupe, whose works have a `Handle`, and the floor refuse when they are
//! full. The parent then runs that child by hand, at once. That is less than a
//! queue costs, and it is what a bound is for; it also means that a part of the
//! tree never passes through the pool.

use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError};
use troupe_pool::{AssignError, Handle};

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median};
use crate::mode::Mode;
use crate::section::{Section, Table};
use crate::support::{self, Boxed, MAILBOX, Pool};

/// The access of a work to the pool that runs it.
trait AssignOrRun: Clone + Send + Sync + 'static {
    /// Assigns a work, or runs it if it is refused.
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static);
}

impl AssignOrRun for Handle {
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static) {
        let outcome = self.assign(move || {
            work();
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(AssignError::Full(work)) => work.run().expect("it does not fail"),
            Err(other) => panic!("nobody shuts this troupe down: {other}"),
        }
    }
}

impl AssignOrRun for threadpool::ThreadPool {
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static) {
        self.execute(work);
    }
}

impl AssignOrRun for rusty_pool::ThreadPool {
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static) {
        self.execute(work);
    }
}

impl AssignOrRun for Arc<rayon::ThreadPool> {
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static) {
        self.spawn(work);
    }
}

impl AssignOrRun for tokio::runtime::Handle {
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.spawn_blocking(work));
    }
}

impl AssignOrRun for Sender<Boxed> {
    fn assign_or_run(&self, work: impl FnOnce() + Send + 'static) {
        let work: Boxed = Box::new(move || {
            work();
            Ok(())
        });
        match self.try_send(work) {
            Ok(()) => {}
            Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => {
                work().expect("it does not fail");
            }
        }
    }
}

/// A work with this number of generations below it.
fn node(pool: &impl AssignOrRun, generations: u32) {
    support::count();
    if generations > 0 {
        for _ in 0..2 {
            let child = pool.clone();
            pool.assign_or_run(move || node(&child, generations - 1));
        }
    }
}

/// Grows a tree; returns the nanoseconds per work.
fn grow(pool: &impl AssignOrRun, levels: u32) -> f64 {
    let works = (1 << levels) - 1;
    let took = support::round(1, works, |_| {
        let root = pool.clone();
        pool.assign_or_run(move || node(&root, levels - 1));
    });
    took.as_secs_f64() * 1e9 / works as f64
}

/// A contestant, and what grows a tree with a number of levels on it.
type Grower = (&'static str, Box<dyn Fn(u32) -> f64>);

fn grower(pool: Pool) -> Grower {
    let name = pool.name();
    let grower: Box<dyn Fn(u32) -> f64> = match pool {
        Pool::Troupe(pool) | Pool::Dynamic(pool) => {
            Box::new(move |levels| grow(&pool.handle(), levels))
        }
        Pool::Threadpool(pool) => Box::new(move |levels| grow(&pool, levels)),
        Pool::Rusty(pool) => Box::new(move |levels| grow(&pool, levels)),
        Pool::Rayon(pool) => {
            let pool = Arc::new(pool);
            Box::new(move |levels| grow(&pool, levels))
        }
        Pool::Tokio(pool) => Box::new(move |levels| grow(pool.handle(), levels)),
        Pool::Floor(floor) => Box::new(move |levels| grow(&floor.sender, levels)),
    };
    (name, grower)
}

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 3, 1);
    let levels = effort.of(17, 12, 8);
    let mut figures = Figures::default();
    for actors in [2, 16] {
        let contestants = support::contestants(actors);
        let growers: Vec<Grower> = contestants.into_iter().map(grower).collect();
        let cells = interleaved(growers.len(), rounds, |index, _| growers[index].1(levels));
        for ((name, _), cell) in growers.iter().zip(cells) {
            figures.put(actors, name, median(cell));
        }
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    Section {
        about: format!(
            "ns per work of a binary tree of works, each of which assigns its two children, to \
             mailboxes of {MAILBOX}. Troupe (by a `Handle`) and the floor refuse when they are \
             full, and the parent runs that child by hand: for them a part of the tree is plain \
             recursion."
        ),
        tables: vec![
            Table::of(figures, "actors", 0).with("troupe / best peer", |row| {
                figures.against_peers(row, "troupe")
            }),
        ],
        bars: Vec::new(),
    }
}

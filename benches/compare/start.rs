//! How long one work waits on an idle pool.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::support::Assign;

/// When the last work started, by a clock that all share. Zero if it has not.
pub(crate) struct Start {
    clock: Instant,
    nanos: AtomicU64,
}

impl Start {
    /// Makes a `Start` that lives until the process ends. As far as the compiler
    /// knows, works may outlive the caller.
    pub(crate) fn leak() -> &'static Self {
        Box::leak(Box::new(Self {
            clock: Instant::now(),
            nanos: AtomicU64::new(0),
        }))
    }

    /// Assigns works one by one, each after the start of the one before, and
    /// returns the time from just before assign to the start of each, in
    /// microseconds. `pause` fills the time in between.
    pub(crate) fn waits(
        &'static self,
        pool: &impl Assign,
        works: usize,
        pause: &dyn Fn(),
    ) -> Vec<f64> {
        let one = |_| {
            let assigned = self.assign(pool);
            pause();
            (self.wait(pause) - assigned) as f64 / 1e3
        };
        (0..works).map(one).collect()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).expect("less than 500 years")
    }

    /// Assigns a work; returns when that was.
    fn assign(&'static self, pool: &impl Assign) -> u64 {
        self.nanos.store(0, Ordering::Relaxed);
        let assigned = self.now();
        pool.assign(|| self.nanos.store(self.now(), Ordering::Release));
        assigned
    }

    /// Waits until the work has started; returns when that was.
    fn wait(&self, pause: &dyn Fn()) -> u64 {
        loop {
            let nanos = self.nanos.load(Ordering::Acquire);
            if nanos != 0 {
                return nanos;
            }
            pause();
        }
    }
}

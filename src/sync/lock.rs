//! Locks and condition variables for both model checkers, in the shape of parking_lot's, which
//! the core uses.

use std::ops::{Deref, DerefMut};

#[cfg(troupe_loom)]
use loom::sync as checker;
#[cfg(not(troupe_loom))]
use shuttle::sync as checker;

use super::{Instant, Wake, spin, times_out};

/// A mutex without poisoning, like parking_lot's.
#[derive(Debug, Default)]
pub struct Mutex<T>(checker::Mutex<T>);

/// The guard of a [`Mutex`]. The inner guard is absent only during a wait.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    inner: Option<checker::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(checker::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        let inner = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        MutexGuard {
            mutex: self,
            inner: Some(inner),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner
            .as_deref()
            .expect("the guard holds its lock outside a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner
            .as_deref_mut()
            .expect("the guard holds its lock outside a wait")
    }
}

/// A condition variable. The model decides whether a wait with a deadline times out.
#[derive(Debug, Default)]
pub struct Condvar(checker::Condvar);

impl Condvar {
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> Wake {
        let inner = guard
            .inner
            .take()
            .expect("the guard holds its lock outside a wait");
        if deadline.is_some_and(times_out) {
            drop(inner);
            spin();
            guard.inner = guard.mutex.lock().inner;
            return Wake::TimedOut;
        }
        guard.inner = Some(
            self.0
                .wait(inner)
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        );
        Wake::Called
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

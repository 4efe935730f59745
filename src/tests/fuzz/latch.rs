//! A latch under the model's scheduler: gates, meetings and counts are made of it.

use shuttle::sync::{Condvar, Mutex};

/// Opens when it has been hit a given number of times.
pub(crate) struct Latch {
    left: Mutex<usize>,
    open: Condvar,
}

impl Latch {
    pub(crate) fn new(hits: usize) -> Self {
        Self {
            left: Mutex::new(hits),
            open: Condvar::new(),
        }
    }

    /// Further hits than needed do nothing.
    pub(crate) fn hit(&self) {
        let mut left = self.left.lock().unwrap();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.open.notify_all();
        }
    }

    pub(crate) fn wait(&self) {
        let mut left = self.left.lock().unwrap();
        while *left > 0 {
            left = self.open.wait(left).unwrap();
        }
    }
}

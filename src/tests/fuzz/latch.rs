//! A latch under the model's scheduler, used for gates, meetings and counts.

use shuttle::sync::{Condvar, Mutex};

/// A latch that opens once it has been hit a given number of times.
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

    /// Hits the latch, which does nothing once it is open.
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

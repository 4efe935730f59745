//! A gate, which keeps actors busy without using a CPU.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::{Condvar, Mutex};

/// Lets through as many works as it has tokens, the others wait. Once open, it
/// lets everything through.
#[derive(Default)]
pub(crate) struct Gate {
    tokens: Mutex<Tokens>,
    changed: Condvar,
    came: AtomicU64,
}

#[derive(Default)]
struct Tokens {
    is_open: bool,
    left: u64,
}

impl Gate {
    /// Waits for a token, and takes it.
    pub(crate) fn pass(&self) {
        self.came.fetch_add(1, Ordering::Release);
        let mut tokens = self.tokens.lock();
        self.changed
            .wait_while(&mut tokens, |tokens| !tokens.is_open && tokens.left == 0);
        tokens.left = tokens.left.saturating_sub(1);
    }

    /// Lets one through.
    pub(crate) fn let_one_through(&self) {
        self.tokens.lock().left += 1;
        self.changed.notify_one();
    }

    /// Lets all through, from now on.
    pub(crate) fn open(&self) {
        self.tokens.lock().is_open = true;
        self.changed.notify_all();
    }

    /// Waits until so many have come in all.
    pub(crate) fn wait_until_came(&self, expected: u64) {
        while self.came() < expected {
            thread::yield_now();
        }
    }

    /// How many have come so far.
    pub(crate) fn came(&self) -> u64 {
        self.came.load(Ordering::Acquire)
    }
}

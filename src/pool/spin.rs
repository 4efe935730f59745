//! How long idle actors spin, as far as the number of processors decides it.

use crate::sync::{Duration, SPINS};

/// How many idle actors search at once; others park immediately.
const SEARCHERS: usize = 2;

/// How long an actor holds off. That is long enough for the senders to run
/// ahead, and no longer, since an assigner may be waiting for the processor.
const HOLD_OFF: Duration = Duration::from_micros(4);

/// How actors spin, as far as the number of processors decides it.
#[derive(Debug)]
pub struct SpinPolicy {
    /// At most this many idle actors search at once.
    pub searchers: usize,
    /// How long an actor holds off.
    pub hold_off: Duration,
    /// How often an actor looks for more work before it goes idle.
    pub spins: u32,
}

impl SpinPolicy {
    /// On one processor spinning only keeps others from running.
    pub(super) fn of(processors: usize) -> Self {
        let has_many = processors > 1;
        Self {
            searchers: if has_many { SEARCHERS } else { 1 },
            hold_off: if has_many { HOLD_OFF } else { Duration::ZERO },
            spins: if has_many { SPINS } else { 0 },
        }
    }
}

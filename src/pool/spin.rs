//! The settings of spinning that depend on the number of processors.

use crate::sync::{Duration, SPINS};

/// At most this many idle actors search at once. The others park immediately.
const SEARCHERS: usize = 2;

/// How long an actor holds off. That is just long enough for the senders to run ahead, since
/// a sender may be waiting for the processor.
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
    /// Returns the policy for this number of processors. On one processor, spinning only keeps
    /// other threads from running.
    pub(super) fn of(processors: usize) -> Self {
        let has_many = processors > 1;
        Self {
            searchers: if has_many { SEARCHERS } else { 1 },
            hold_off: if has_many { HOLD_OFF } else { Duration::ZERO },
            spins: if has_many { SPINS } else { 0 },
        }
    }
}

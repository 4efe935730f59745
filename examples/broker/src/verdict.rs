//! Deliveries of messages, and the verdicts on them.

use std::time::Instant;

/// The verdict on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done; the broker can forget it.
    Done,
    /// It was tried in vain: the broker gives it out again, or it is a dead letter.
    Failed(String),
    /// It has not been tried: the broker gives it out again, as if it had not been delivered.
    Released,
}

/// The broker's name for a message.
pub(crate) type Id = Box<str>;

/// One delivery of a message to this worker.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: Id,
    /// How often the message had been delivered then: 1 the first time.
    pub(crate) number: u32,
    pub(crate) at: Instant,
}

/// A message that was delivered, and has its verdict.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) delivery: Delivery,
    pub(crate) verdict: Verdict,
}

impl Settlement {
    pub(crate) fn is_done(&self) -> bool {
        self.verdict == Verdict::Done
    }
}

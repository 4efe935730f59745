//! Deliveries of messages, and the verdicts on them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// The verdict on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done; the broker can forget it.
    Done,
    /// It was tried in vain: the broker gives it out again, or it is a dead letter.
    Failed(String),
    /// It has not been tried: the broker gives it out again, as if it had not been delivered.
    Released,
    /// It has not been tried, and it is settled: the broker has nothing to be told.
    Revoked,
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
    /// Whether its work may still begin.
    is_waiting: AtomicBool,
}

impl Delivery {
    pub(crate) fn new(id: Id, number: u32, at: Instant) -> Self {
        Delivery {
            id,
            number,
            at,
            is_waiting: AtomicBool::new(true),
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// Returns true to one caller only: the actor that begins the work, the feeder that revokes it,
    /// or a lease that is dropped before.
    pub(crate) fn end_wait(&self) -> bool {
        // It is a right to act, and publishes nothing.
        self.is_waiting.swap(false, Ordering::Relaxed)
    }
}

/// A message that was delivered, and has its verdict.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) verdict: Verdict,
}

impl Settlement {
    pub(crate) fn is_done(&self) -> bool {
        self.verdict == Verdict::Done
    }
}

//! A lease on one resource: whatever becomes of the work that holds it, the feeder hears of it
//! exactly once.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use crate::{error::Broken, page::Answer};

/// The number of a resource in the ledger.
pub(crate) type Id = usize;

/// What the feeder is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// The work has an answer.
    Answer(Id, Answer),
    /// The work failed, and the error handler wants it tried again.
    Again(Id, Option<Duration>),
    /// The work failed for good.
    Broken(Id, Broken),
    /// The work was refused or taken back, by a troupe that is shutting down, or was cut off.
    Unchecked(Id),
    /// A signal has come.
    Stop,
}

/// Held by the closure of a work, and by its error.
///
/// It ends by [`tell`](Lease::tell), or else by its drop: in a work that panics, in a work that
/// was refused, that `shutdown_now` gave back, or that has nothing to tell. So no path can forget the feeder, and none can
/// tell it twice.
#[derive(Debug)]
pub(crate) struct Lease {
    id: Id,
    attempt: u32,
    outbox: Option<SyncSender<Message>>,
}

impl Lease {
    pub(crate) fn new(id: Id, attempt: u32, outbox: SyncSender<Message>) -> Self {
        Lease {
            id,
            attempt,
            outbox: Some(outbox),
        }
    }

    /// The first is 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn tell(mut self, message: impl FnOnce(Id) -> Message) {
        let message = message(self.id);
        self.send(message);
    }

    fn send(&mut self, message: Message) {
        if let Some(outbox) = self.outbox.take() {
            // Never blocks, see `mail`. The inbox is gone only if the program is ending early.
            outbox.send(message).ok();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let message = if thread::panicking() {
            Message::Broken(self.id, Broken::Panicked)
        } else {
            Message::Unchecked(self.id)
        };
        self.send(message);
    }
}

/// The channel to a feeder that has at most so many leases out.
///
/// Each lease sends once, so neither a work nor the error handler ever waits for room here: a
/// handler that blocks keeps an actor from its mailbox. One place more is for the signal.
pub(crate) fn mail(leases: usize) -> (SyncSender<Message>, Receiver<Message>) {
    sync_channel(leases.saturating_add(1))
}

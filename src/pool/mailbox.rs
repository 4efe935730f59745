//! The bounded queue of one actor.
//!
//! Any thread may put and any thread may take, and neither waits for room or for work.
//! Crossbeam puts and takes by sequentially consistent read-modify-writes. It finds "full" and
//! "empty" by sequentially consistent loads, or behind such a fence. The handshakes of
//! `README.md` rely on both.

use crate::sync::{Receiver, Sender, TrySendError, bounded};
use crate::work::Envelope;

/// A mailbox. With size 0 it never holds anything.
pub struct Mailbox<E>(Option<Ends<E>>);

/// Both ends of the channel. They live as long as the mailbox, so the channel is never
/// disconnected.
struct Ends<E> {
    sender: Sender<Envelope<E>>,
    receiver: Receiver<Envelope<E>>,
}

impl<E> Mailbox<E> {
    pub(super) fn new(size: usize) -> Self {
        Self((size > 0).then(|| {
            let (sender, receiver) = bounded(size);
            Ends { sender, receiver }
        }))
    }

    /// Puts a work at the end, or returns it if there is no room.
    #[inline(always)]
    pub fn put(&self, envelope: Envelope<E>) -> Result<(), Envelope<E>> {
        match &self.0 {
            Some(ends) => ends
                .sender
                .try_send(envelope)
                .map_err(|refused| match refused {
                    TrySendError::Full(envelope) | TrySendError::Disconnected(envelope) => envelope,
                }),
            None => Err(envelope),
        }
    }

    /// Takes the oldest work.
    #[inline(always)]
    pub fn take(&self) -> Option<Envelope<E>> {
        self.0.as_ref()?.receiver.try_recv().ok()
    }

    /// Returns `true` if the mailbox was full at some instant during this call.
    pub(super) fn is_full(&self) -> bool {
        self.0.as_ref().is_none_or(|ends| ends.sender.is_full())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|ends| ends.receiver.is_empty())
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ends| ends.receiver.len())
    }
}

//! The bounded queue of one actor.
//!
//! Anybody may put and anybody may take; neither waits. Both are sequentially
//! consistent read-modify-writes, and so are, as far as the handshakes in
//! ARCHITECTURE.md go, the looks that find it full or empty.

use crate::sync::{Receiver, Sender, TrySendError, bounded};
use crate::work::Envelope;

/// A mailbox; with size 0 one that never holds anything.
pub struct Mailbox<E>(Option<Ends<E>>);

/// Both ends of the channel. They live as long as the mailbox, so it is never
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

    /// Puts a work at the end, or hands it back if there is no room.
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

    /// Was there an instant during this call at which it was full?
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

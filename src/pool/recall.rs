//! Works that come back: those that `shutdown_now` returns, and those of late senders.

use super::Pool;
use crate::sync::Backoff;
use crate::work::Envelope;

/// Works that no actor will take any more.
pub struct Recall<E> {
    /// Works that actors of a halted pool had taken and not begun, for `shutdown_now`.
    not_started: Vec<Envelope<E>>,
    /// Works that late senders will claim.
    unclaimed: Vec<Envelope<E>>,
    /// Whether a `shutdown_now` has collected all that it returns.
    is_collected: bool,
    /// How many works `shutdown_now` has returned.
    returned: u64,
}

impl<E> Default for Recall<E> {
    fn default() -> Self {
        Self {
            not_started: Vec::new(),
            unclaimed: Vec::new(),
            is_collected: false,
            returned: 0,
        }
    }
}

impl<E> Recall<E> {
    /// Gives back a work that an actor has not begun. It goes to the `shutdown_now` that waits
    /// for the actor. If that call is over, it goes to its sender, which waits for it.
    pub fn give_back(&mut self, envelope: Envelope<E>) {
        if self.is_collected {
            &mut self.unclaimed
        } else {
            &mut self.not_started
        }
        .push(envelope);
    }

    /// Keeps a work for its late sender.
    pub fn keep(&mut self, envelope: Envelope<E>) {
        self.unclaimed.push(envelope);
    }

    /// Takes the work of this sender, if it is here. A thread assigns one work at a time.
    pub fn claim(&mut self, sender: u32) -> Option<Envelope<E>> {
        let mine = self
            .unclaimed
            .iter_mut()
            .position(|envelope| envelope.header().sender == sender)?;
        Some(self.unclaimed.swap_remove(mine))
    }

    /// Returns all that `shutdown_now` returns: `envelopes`, and before them the works that actors
    /// have given back, which were taken first. From now on nothing more is returned.
    pub fn finish(&mut self, envelopes: Vec<Envelope<E>>) -> Vec<Envelope<E>> {
        let mut all = std::mem::take(&mut self.not_started);
        all.extend(envelopes);
        self.returned += all.len() as u64;
        self.is_collected = true;
        all
    }

    pub fn is_collected(&self) -> bool {
        self.is_collected
    }

    pub(super) fn returned(&self) -> u64 {
        self.returned
    }
}

impl<E> Pool<E> {
    /// Waits until each of these actors has begun its work, has given it back, or has left.
    /// That takes each a few instructions, and never as long as a work.
    pub fn wait_until_decided(&self, undecided: &[(usize, u64)]) {
        for (id, phase) in undecided {
            let mut backoff = Backoff::default();
            while self
                .slot(*id)
                .is_some_and(|slot| slot.progress().phase.get() == *phase)
            {
                backoff.snooze();
            }
        }
    }
}

//! Running a work: the check for a halt before it, the handler after it, and the retries.

use super::ActorLoop;
use crate::failure::{Failure, Panic};
use crate::sync::unwind::{contain, drop_contained};
use crate::work::Envelope;

/// How a work failed.
struct Failed {
    panicked: bool,
    /// `false` if the handler panicked, or without a handler the drop of the failure.
    contained: bool,
}

impl<E> ActorLoop<'_, E> {
    /// Runs a work, the handler if it fails, and the retries that the handler hands over. Gives
    /// the work back if the pool has been halted.
    pub(super) fn perform(&mut self, mut envelope: Envelope<E>) {
        loop {
            if self.pool.is_halted() {
                return self.give_back(envelope);
            }
            let progress = self.slot.progress();
            // The stamp comes first, so an actor that is shown as busy has accepted a work.
            self.clock.begin(progress);
            let phase = progress.phase.get();
            progress.phase.set(phase + 1);
            if self.source.is_some_and(|id| id != self.id) {
                progress.shared.raise();
            }
            let failed = self.attempt(envelope);
            // The work is first shown as not running and then as finished, so a snapshot
            // between the two misses it rather than counting it twice.
            progress.phase.set(phase + 2);
            self.count(failed.as_ref());
            self.clock.end(progress);
            self.run_length = self.run_length.wrapping_add(1);
            // Only a handler can have put a work into the hand-off.
            if failed.is_none() {
                return;
            }
            match self.slot.handoff().take_work() {
                Some(retry) => envelope = retry,
                None => return,
            }
            self.source = None;
        }
    }

    /// Gives back a work that has been taken and not begun, because the pool has been halted.
    #[cold]
    fn give_back(&self, envelope: Envelope<E>) {
        let mut locked = self.pool.lock();
        locked.recall().give_back(envelope);
        self.slot.progress().step();
    }

    /// Runs a work, and the handler if it fails.
    fn attempt(&self, envelope: Envelope<E>) -> Option<Failed> {
        let (failure, panicked) = match contain(|| envelope.run()) {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => (Failure::Error(error), false),
            Err(payload) => (Failure::Panic(Panic::new(payload)), true),
        };
        let on_failure = self.pool.on_failure.lock().clone();
        let contained = match on_failure {
            Some(on_failure) => {
                match contain(|| on_failure.on_failure(failure, self.pool, self.id)) {
                    Ok(()) => true,
                    Err(payload) => {
                        drop_contained(payload);
                        false
                    }
                }
            }
            None => drop_contained(failure),
        };
        Some(Failed {
            panicked,
            contained,
        })
    }

    fn count(&self, failed: Option<&Failed>) {
        let progress = self.slot.progress();
        match failed {
            None => &progress.completed,
            Some(failed) if failed.panicked => &progress.panicked,
            Some(_) => &progress.failed,
        }
        .raise();
        if failed.is_some_and(|failed| !failed.contained) {
            progress.handler_panics.raise();
        }
    }
}

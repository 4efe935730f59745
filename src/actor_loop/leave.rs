//! The two ways out of a troupe: an idle actor retires, and any actor leaves at a shutdown.

use super::{ActorLoop, Next};
use crate::events;
use crate::pool::{Locked, Retired};
use crate::sync::unwind::drop_contained;

impl<E> ActorLoop<'_, E> {
    /// Leaves a troupe that has more actors than it must keep. Returns `None` if the actor stays
    /// on the idle stack, or has been popped.
    pub(super) fn retire(&mut self) -> Option<Next<E>> {
        let mut locked = self.pool.lock();
        match locked.retire(self.id, self.slot) {
            Retired::No => None,
            Retired::FoundWork => self.take_as_idle(locked),
            Retired::Yes { before, exited } => {
                drop(locked);
                if before.is_waited_for() {
                    self.pool.waiters.wake_one();
                }
                self.report_leave();
                // Otherwise threads would pile up until the troupe is joined.
                for thread in exited {
                    self.pool
                        .report_panic(Some(self.id), drop_contained(thread.join()));
                }
                Some(Next::Gone)
            }
        }
    }

    /// Leaves a troupe that is shutting down, unless there is work left.
    pub(super) fn leave(&mut self, mut locked: Locked<'_, E>) -> Next<E> {
        if !self.pool.is_halted() {
            let ready = locked.take_ready();
            if let Some(envelope) = self.taken(ready) {
                return Next::Run(envelope);
            }
        }
        let is_last = locked.leave(self.id, self.slot);
        drop(locked);
        self.report_leave();
        if is_last {
            self.pool.end();
        }
        Next::Gone
    }

    fn report_leave(&self) {
        self.pool
            .report(|troupe| events::actor_leaves(troupe, self.id));
    }
}

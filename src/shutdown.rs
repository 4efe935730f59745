//! The ways to an end, which are `shutdown`, `shutdown_now` and `join`, and `wait_idle`,
//! which waits without ending anything.

use std::collections::HashSet;

use crate::error::JoinError;
use crate::pool::Pool;
use crate::pool::idle::Idle;
use crate::pool::roster::{Place, Synced};
use crate::pool::slot::{Signal, is_running};
use crate::sync::unwind::drop_contained;
use crate::sync::{Backoff, Condvar, Instant, MutexGuard, Wake};
use crate::work::{Envelope, Work};

impl<E> Pool<E> {
    /// Stops accepting. Returns `true` if this call began the shutdown.
    pub(crate) fn shutdown(&self) -> bool {
        let mut synced = self.synced.lock();
        if self.counts.begin_shutdown().is_shutting_down() {
            return false;
        }
        let called = self.pop_all(&mut synced);
        let nobody = self.counts.load().live() == 0;
        drop(synced);
        self.call_out(called);
        if nobody {
            self.end();
        }
        true
    }

    /// Pops every idle actor, with nothing in its hand. Each looks for work once more before
    /// it leaves.
    fn pop_all(&self, synced: &mut Synced<E>) -> Vec<Idle> {
        let called: Vec<Idle> = std::iter::from_fn(|| synced.idle.pop()).collect();
        for idle in &called {
            self.counts.actor_is_popped(idle.searching);
            if let Some(slot) = self.slot(idle.id) {
                slot.set_signal(Signal::HandedOff);
            }
        }
        called
    }

    /// Wakes the popped actors and all waiting senders.
    fn call_out(&self, called: Vec<Idle>) {
        for idle in called {
            idle.thread.unpark();
        }
        self.waiters.wake_all();
    }

    /// Stops accepting, and takes back every work that has not started.
    pub(crate) fn shutdown_now(&self) -> Vec<Work<E>> {
        let mut synced = self.synced.lock();
        if self.is_halted() {
            // Another call returns the works. Nothing may start once this call has returned
            // either, so it waits for the few steps of the other.
            while !synced.halted {
                let _: Wake = self.has_returned.wait(&mut synced, None);
            }
            return Vec::new();
        }
        // (1)
        let began = !self.counts.begin_shutdown().is_shutting_down();
        self.halt();
        // (2), (3)
        let mut works = Vec::new();
        let mut decided = self.collect(&synced, &mut works);
        // (4) An idle actor holds nothing, and takes under this lock only.
        let called = self.pop_all(&mut synced);
        decided.extend(called.iter().map(|idle| idle.id));
        let undecided = self.undecided(&synced, &decided);
        let nobody = began && self.counts.load().live() == 0;
        drop(synced);
        self.call_out(called);

        self.wait_until_decided(&undecided);

        let mut synced = self.synced.lock();
        works.append(&mut synced.not_started);
        synced.tally.returned += works.len() as u64;
        synced.halted = true;
        self.has_returned.notify_all();
        drop(synced);
        if nobody {
            self.end();
        }
        works.into_iter().map(|work| work.into_work(0)).collect()
    }

    /// Empties all mailboxes, and then all hands. Returns the actors whose hand held a work:
    /// they hold no other. The mailboxes come first, since such an actor looks there next.
    fn collect(&self, synced: &Synced<E>, envelopes: &mut Vec<Envelope<E>>) -> HashSet<usize> {
        let mut decided = HashSet::new();
        for id in 0..synced.entries.len() {
            while let Some(envelope) = self.slot(id).and_then(|slot| slot.mailbox.take()) {
                envelopes.push(envelope);
            }
        }
        for id in synced.occupied() {
            if let Some(envelope) = self.slot(id).and_then(|slot| slot.take_from_handoff()) {
                envelopes.push(envelope);
                decided.insert(id);
            }
        }
        decided
    }

    /// Returns the actors, with their phases, that are between two works and may hold a work
    /// that they have not begun. An actor that is only reserved has taken none yet.
    pub(crate) fn undecided(
        &self,
        synced: &Synced<E>,
        decided: &HashSet<usize>,
    ) -> Vec<(usize, u64)> {
        synced
            .occupied()
            .filter(|id| synced.entries[*id].place == Place::Open && !decided.contains(id))
            .filter_map(|id| self.slot(id).map(|slot| (id, slot.progress().phase.get())))
            .filter(|(_, phase)| !is_running(*phase))
            .collect()
    }

    /// Waits until each of these actors has begun its work, has laid it down, or has shown
    /// that it has none. That takes a few instructions of each, never a work.
    pub(crate) fn wait_until_decided(&self, undecided: &[(usize, u64)]) {
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

    /// Ends a troupe that is shutting down and whose last actor has left.
    pub(crate) fn end(&self) {
        // The handler goes before anybody can see the end.
        let on_failure = self.on_failure.lock().take();
        drop_contained(on_failure);
        let mut synced = self.synced.lock();
        synced.ended = true;
        self.has_ended.notify_all();
    }

    /// Waits until the last actor has left and its thread is gone.
    pub(crate) fn join(&self, deadline: Option<Instant>) -> Result<(), JoinError> {
        if self.is_own_thread() {
            return Err(JoinError::WouldDeadlock);
        }
        let mut synced = self.synced.lock();
        wait(&self.has_ended, &mut synced, deadline, |synced| {
            synced.ended
        })?;
        drop(synced);
        // A parent may be about to store the handle of the thread that it has started.
        drop(self.spawn_lock.lock());
        let mut synced = self.synced.lock();
        if !std::mem::replace(&mut synced.joining, true) {
            let threads = std::mem::take(&mut synced.exited);
            drop(synced);
            for thread in threads {
                // An actor's thread does not panic.
                drop_contained(thread.join());
            }
            synced = self.synced.lock();
            synced.joined = true;
            self.has_ended.notify_all();
        }
        wait(&self.has_ended, &mut synced, deadline, |synced| {
            synced.joined
        })
    }

    /// Waits for an instant, later than the call, at which the troupe is idle.
    pub(crate) fn wait_idle(&self, deadline: Option<Instant>) -> Result<(), JoinError> {
        if self.is_own_thread() {
            return Err(JoinError::WouldDeadlock);
        }
        let mut synced = self.synced.lock();
        if self.is_idle_now(&synced) {
            return Ok(());
        }
        let before = synced.idle_instants;
        synced.idle_callers += 1;
        let waited = wait(&self.is_idle, &mut synced, deadline, |synced| {
            synced.idle_instants != before
        });
        synced.idle_callers -= 1;
        waited
    }
}

/// Waits until `is_so`. `event` is notified when that may have changed.
fn wait<E>(
    event: &Condvar,
    synced: &mut MutexGuard<'_, Synced<E>>,
    deadline: Option<Instant>,
    is_so: impl Fn(&Synced<E>) -> bool,
) -> Result<(), JoinError> {
    let mut last_look = false;
    while !is_so(synced) {
        if last_look {
            return Err(JoinError::Timeout);
        }
        last_look = event.wait(synced, deadline) == Wake::TimedOut;
    }
    Ok(())
}

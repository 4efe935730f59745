//! The pool's lock, and the moves that need it.
//!
//! The lock is a value. A move that needs it is a method of [`Locked`], so no code can make the
//! move without the lock.

use std::collections::HashSet;

use super::Pool;
use super::callers::Callers;
use super::counts::Counts;
use super::handoff::Signal;
use super::idle::{Idle, IdleStack};
use super::recall::Recall;
use super::roster::Roster;
use super::slot::{Slot, is_between};
use crate::sync::{Condvar, Instant, JoinHandle, MutexGuard, Wake, current};
use crate::work::Envelope;

/// The data that the pool's lock guards.
pub(super) struct Synced<E> {
    idle: IdleStack,
    roster: Roster,
    recall: Recall<E>,
    callers: Callers,
    /// The count of accepted works in the last snapshot. That of the next is not lower.
    accepted: u64,
}

impl<E> Synced<E> {
    pub(super) fn new() -> Self {
        Self {
            idle: IdleStack::default(),
            roster: Roster::default(),
            recall: Recall::default(),
            callers: Callers::default(),
            accepted: 0,
        }
    }
}

/// The pool's lock, held.
#[must_use]
pub struct Locked<'a, E> {
    pool: &'a Pool<E>,
    synced: MutexGuard<'a, Synced<E>>,
}

/// An actor that is about to be started.
#[must_use]
pub struct Reserved<'a, E> {
    pub id: usize,
    /// The number of this start.
    spawn: u64,
    pub slot: &'a Slot<E>,
}

/// The outcome of an attempt to retire.
#[must_use]
pub enum Retired {
    /// The actor has left.
    Yes {
        before: Counts,
        /// Threads of actors that left earlier.
        exited: Vec<JoinHandle<()>>,
    },
    /// There is work. The actor is idle again.
    FoundWork,
    /// The actor is needed, or has been notified. Nothing has changed.
    No,
}

impl<E> Pool<E> {
    /// Takes the pool's lock.
    pub fn lock(&self) -> Locked<'_, E> {
        Locked {
            pool: self,
            synced: self.synced.lock(),
        }
    }
}

/// Moves of the roster.
impl<'a, E> Locked<'a, E> {
    /// Returns the number that the next actor will get.
    pub(super) fn next_id(&self) -> usize {
        self.synced.roster.next_id()
    }

    /// Counts an actor that is about to be started, and gives it the lowest vacant number.
    /// Returns `None` if that number has no slot yet, since slots are made without the locks.
    pub fn reserve(&mut self, is_growth: bool) -> Option<Reserved<'a, E>> {
        let slot = self.pool.slot(self.next_id())?;
        let (id, spawn) = self.synced.roster.reserve_id(is_growth);
        self.pool.counts.reserve();
        Some(Reserved { id, spawn, slot })
    }

    /// Undoes a reservation after the system has refused the thread. Returns the counts from
    /// before.
    pub fn undo(&mut self, reserved: &Reserved<'_, E>) -> Counts {
        self.synced.roster.spawn_failures += 1;
        self.synced.roster.release_id(reserved.id);
        let before = self.pool.counts.actor_is_gone();
        self.tell_if_idle();
        before
    }

    /// Stores the thread of an actor that has been started. Returns `true` if the actor is
    /// still there.
    pub fn store_thread(&mut self, reserved: &Reserved<'_, E>, thread: JoinHandle<()>) -> bool {
        let roster = &mut self.synced.roster;
        roster.store_thread(reserved.id, reserved.spawn, thread)
    }

    /// Opens the slot of an actor whose thread exists, unless the slot is open.
    ///
    /// If the actor was started with a work, its starter or the actor itself does this,
    /// whichever comes first. Otherwise the actor does it when it first goes idle, once it
    /// counts as idle, or before it runs `on_start`. Before that its mailbox cannot be counted
    /// as full.
    pub fn open(&mut self, id: usize) {
        if let Some(slot) = self.pool.slot(id) {
            if self.synced.roster.open(id) {
                self.pool.room.open(id, &slot.gate);
            }
        }
    }

    /// Closes the slot of an actor that leaves, unless the slot is closed.
    pub fn close(&mut self, id: usize) {
        if let Some(slot) = self.pool.slot(id) {
            if self.synced.roster.close(id) {
                self.pool.room.close(id, &slot.gate, &self.pool.counts);
            }
        }
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.synced.roster
    }

    /// Takes the threads of all actors that have left.
    pub fn take_all_exited(&mut self) -> impl IntoIterator<Item = JoinHandle<()>> + use<E> {
        self.synced.roster.take_all_exited()
    }
}

/// Moves of the idle stack.
impl<E> Locked<'_, E> {
    /// Puts the calling actor on the idle stack, and then opens its slot if it is new. Returns
    /// the counts from before.
    pub fn go_idle(&mut self, id: usize, searching: bool) -> Counts {
        self.synced.idle.push(Idle {
            id,
            thread: current(),
            searching,
        });
        let before = self.pool.counts.actor_goes_idle(searching);
        self.open(id);
        before
    }

    /// Returns the most recently idle actor.
    pub fn top_idle(&mut self) -> Option<usize> {
        self.synced.idle.top().map(|idle| idle.id)
    }

    /// Takes the most recently idle actor off the stack. It counts as searching until it has
    /// taken what it is handed. After a shutdown the stack stays empty.
    pub fn pop_idle(&mut self) -> Option<Idle> {
        let idle = self.synced.idle.pop()?;
        self.pool.counts.actor_is_popped(idle.searching);
        Some(idle)
    }

    /// Pops every idle actor without handing it a work. Each looks for work once more before it
    /// leaves.
    pub fn dismiss_all(&mut self) -> Vec<Idle> {
        let dismissed: Vec<Idle> = std::iter::from_fn(|| self.pop_idle()).collect();
        for idle in &dismissed {
            if let Some(slot) = self.pool.slot(idle.id) {
                slot.handoff().dismiss();
            }
        }
        dismissed
    }

    /// Returns `true` if this actor is the least recently idle one.
    pub fn is_bottom(&mut self, id: usize) -> bool {
        self.synced.idle.bottom().is_some_and(|idle| idle.id == id)
    }

    /// Ends the search of an idle actor, and clears its signal.
    pub fn stop_searching(&mut self, id: usize) {
        if let Some(slot) = self.pool.slot(id) {
            slot.handoff().reset();
        }
        if let Some(idle) = self.synced.idle.get(id) {
            idle.searching = false;
        }
        self.pool.counts.stops_searching();
    }

    /// Takes an actor off the idle stack after it has taken a work from a mailbox. The place in
    /// the mailbox must be free by now.
    pub fn leave_idle(&mut self, id: usize) {
        let was_searching = self.leave_stack(id).is_some_and(|idle| idle.searching);
        if let Some(slot) = self.pool.slot(id) {
            slot.handoff().reset();
        }
        self.pool.counts.actor_leaves_idle(was_searching);
    }

    /// Takes an actor off the idle stack. If it was at the bottom, wakes the actor that is at
    /// the bottom now, which then sleeps with a deadline.
    fn leave_stack(&mut self, id: usize) -> Option<Idle> {
        let was_bottom = self.is_bottom(id);
        let idle = self.synced.idle.remove(id);
        if was_bottom && self.pool.is_dynamic() {
            if let Some(next) = self.synced.idle.bottom() {
                next.thread.unpark();
            }
        }
        idle
    }
}

/// The two ways to leave.
impl<E> Locked<'_, E> {
    /// Lets an idle actor leave, if the pool has more actors than it must keep.
    pub fn retire(&mut self, id: usize, slot: &Slot<E>) -> Retired {
        let pool = self.pool;
        // Reserved actors do not count: the system may refuse their threads.
        let is_needed = self.synced.roster.open_slots() <= pool.config.fewest();
        if slot.handoff().signal() != Signal::None || is_needed {
            return Retired::No;
        }
        let Some(idle) = self.leave_stack(id) else {
            return Retired::No;
        };
        // RETIRE-1: from here on a sender sees that its work is late, or that the pool is below
        // max.
        self.close(id);
        let before = pool.counts.idle_actor_retires();
        // RETIRE-2
        if self.find_ready().is_some() {
            pool.counts.idle_actor_stays();
            self.open(id);
            self.synced.idle.push(idle);
            return Retired::FoundWork;
        }
        let exited = self.synced.roster.take_exited();
        self.synced.roster.release_id(id);
        self.synced.roster.retired += 1;
        Retired::Yes { before, exited }
    }

    /// Lets a busy actor leave a pool that is shutting down. Returns `true` if it was the last.
    pub fn leave(&mut self, id: usize, slot: &Slot<E>) -> bool {
        self.close(id);
        slot.progress().step();
        self.synced.roster.release_id(id);
        let is_last = self.pool.counts.actor_is_gone().live() == 1;
        self.tell_if_idle();
        is_last
    }
}

/// Finding work, and waking an actor for it.
impl<E> Locked<'_, E> {
    /// Returns a mailbox that holds work. If it returns `None`, a mailbox can hold only work
    /// whose sender has not loaded the counts yet.
    pub fn find_ready(&self) -> Option<usize> {
        let (pool, cursors) = (self.pool, &self.pool.cursors);
        pool.ready.find(cursors.drain(), |id| {
            if pool.holds_work(id) {
                return true;
            }
            if id == cursors.fill().mailbox() {
                // Senders would set the bit again at once, and its cache line would bounce.
                return false;
            }
            // A sender may have seen the bit set before it is cleared, so look once more.
            pool.ready.clear(id);
            let holds = pool.holds_work(id);
            if holds {
                pool.ready.set(id);
            }
            holds
        })
    }

    /// Takes the next work, and returns it with the number of its mailbox.
    pub fn take_ready(&self) -> Option<(usize, Envelope<E>)> {
        while self.find_ready().is_some() {
            let next = self.pool.take_next();
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Wakes the most recently idle actor to search, if work is waiting, an actor is idle, and
    /// none is searching. An actor that leaves the idle stack with a work also calls this. So
    /// waiting work wakes the actors one after the other and not all at once.
    #[cold]
    pub fn notify_if_work(mut self) {
        let pool = self.pool;
        if !pool.counts.load().should_notify() || self.find_ready().is_none() {
            return;
        }
        let Some(idle) = self.synced.idle.top() else {
            return;
        };
        idle.searching = true;
        pool.counts.starts_searching();
        if let Some(slot) = pool.slot(idle.id) {
            slot.handoff().notify();
        }
        let thread = idle.thread.clone();
        drop(self);
        thread.unpark();
    }
}

/// Works that come back.
impl<E> Locked<'_, E> {
    /// Halts the pool: no work starts any more.
    pub fn halt(&mut self) {
        self.pool.halted.store(1);
    }

    pub fn recall(&mut self) -> &mut Recall<E> {
        &mut self.synced.recall
    }

    /// Empties all mailboxes, and then all hand-offs. Returns the works, and the actors whose
    /// hand-off held one. They hold no other work: the mailboxes, where they look next, have
    /// been emptied before.
    pub fn collect(&mut self) -> (Vec<Envelope<E>>, HashSet<usize>) {
        let (mut envelopes, mut decided) = (Vec::new(), HashSet::new());
        for id in self.synced.roster.given() {
            while let Some(envelope) = self.pool.slot(id).and_then(|slot| slot.mailbox.take()) {
                envelopes.push(envelope);
            }
        }
        for id in self.synced.roster.occupied() {
            let slot = self.pool.slot(id);
            if let Some(envelope) = slot.and_then(|slot| slot.handoff().take_work()) {
                envelopes.push(envelope);
                decided.insert(id);
            }
        }
        (envelopes, decided)
    }

    /// Returns the actors between two works that may hold a work which they have not begun, with
    /// their phases. An actor that is only reserved has taken none.
    pub fn undecided(&self, decided: &HashSet<usize>) -> Vec<(usize, u64)> {
        let roster = &self.synced.roster;
        roster
            .occupied()
            .filter(|id| !roster.is_reserved(*id) && !decided.contains(id))
            .filter_map(|id| Some((id, self.pool.slot(id)?.progress().phase.get())))
            .filter(|(_, phase)| is_between(*phase))
            .collect()
    }
}

/// Callers that wait.
impl<E> Locked<'_, E> {
    pub fn callers(&mut self) -> &mut Callers {
        &mut self.synced.callers
    }

    /// Wakes the callers in `wait_idle` if the pool is idle at this instant. Called wherever
    /// that can have become true (`shutdown.rs`).
    pub fn tell_if_idle(&mut self) {
        if self.synced.callers.is_idle_awaited() && self.is_idle() {
            self.synced.callers.count_idle_instant();
            self.pool.events.is_idle.notify_all();
        }
    }

    /// Returns `true` if every actor is idle and no accepted work is in a mailbox.
    pub fn is_idle(&self) -> bool {
        let now = self.pool.counts.load();
        now.idle() == now.live() && self.find_ready().is_none()
    }

    /// Releases the lock until `event` is notified, at most until `deadline`.
    pub fn wait(&mut self, event: &Condvar, deadline: Option<Instant>) -> Wake {
        event.wait(&mut self.synced, deadline)
    }
}

/// The data for snapshots.
impl<E> Locked<'_, E> {
    /// Returns `accepted`, or the count in the last snapshot if that was higher.
    pub(super) fn accepted_at_least(&mut self, accepted: u64) -> u64 {
        self.synced.accepted = self.synced.accepted.max(accepted);
        self.synced.accepted
    }

    pub(super) fn returned(&self) -> u64 {
        self.synced.recall.returned()
    }
}

//! The ways to an end, which are `shutdown`, `shutdown_now` and `join`, and `wait_idle`,
//! which waits without ending anything.

use std::collections::HashSet;

use crate::board::{Board, Place};
use crate::error::JoinError;
use crate::idle::Idle;
use crate::slot::{Call, is_running};
use crate::stage::Stage;
use crate::sync::{Backoff, Condvar, Instant, MutexGuard, Wake};
use crate::unwind::drop_contained;
use crate::work::{Letter, Work};

impl<E> Stage<E> {
    /// Stops accepting. Returns `true` if this call began the shutdown.
    pub(crate) fn shutdown(&self) -> bool {
        let mut board = self.board.lock();
        if self.state.begin_shutdown().is_shutting_down() {
            return false;
        }
        let called = self.pop_all(&mut board);
        let nobody = self.state.load().live() == 0;
        drop(board);
        self.call_out(called);
        if nobody {
            self.end();
        }
        true
    }

    /// Pops every idle actor, with nothing in its hand. Each looks for work once more before
    /// it leaves.
    fn pop_all(&self, board: &mut Board<E>) -> Vec<Idle> {
        let called: Vec<Idle> = std::iter::from_fn(|| board.idle.pop()).collect();
        for idle in &called {
            self.state.actor_is_popped(idle.token);
            if let Some(slot) = self.slot(idle.id) {
                slot.set_call(Call::Popped);
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
        let mut board = self.board.lock();
        if self.is_halted() {
            // Another call returns the works. Nothing may start once this call has returned
            // either, so it waits for the few steps of the other.
            while !board.halted {
                let _: Wake = self.has_returned.wait(&mut board, None);
            }
            return Vec::new();
        }
        // (1)
        let began = !self.state.begin_shutdown().is_shutting_down();
        self.halt();
        // (2), (3)
        let mut works = Vec::new();
        let mut settled = self.collect(&board, &mut works);
        // (4) An idle actor holds nothing, and takes under this lock only.
        let called = self.pop_all(&mut board);
        settled.extend(called.iter().map(|idle| idle.id));
        let unsettled = self.unsettled(&board, &settled);
        let nobody = began && self.state.load().live() == 0;
        drop(board);
        self.call_out(called);

        self.settle(&unsettled);

        let mut board = self.board.lock();
        works.append(&mut board.laid_down);
        board.tally.returned += works.len() as u64;
        board.halted = true;
        self.has_returned.notify_all();
        drop(board);
        if nobody {
            self.end();
        }
        works.into_iter().map(|work| work.into_work(0)).collect()
    }

    /// Empties all mailboxes, and then all hands. Returns the actors whose hand held a work:
    /// they hold no other. The mailboxes come first, since such an actor looks there next.
    fn collect(&self, board: &Board<E>, letters: &mut Vec<Letter<E>>) -> HashSet<usize> {
        let mut settled = HashSet::new();
        for id in 0..board.seats.len() {
            while let Some(letter) = self.slot(id).and_then(|slot| slot.mailbox.take()) {
                letters.push(letter);
            }
        }
        for id in board.occupied() {
            if let Some(letter) = self.slot(id).and_then(|slot| slot.take_from_hand()) {
                letters.push(letter);
                settled.insert(id);
            }
        }
        settled
    }

    /// Returns the actors, with their phases, that are between two works and may hold a work
    /// that they have not begun. An actor that is only reserved has taken none yet.
    pub(crate) fn unsettled(
        &self,
        board: &Board<E>,
        settled: &HashSet<usize>,
    ) -> Vec<(usize, u64)> {
        board
            .occupied()
            .filter(|id| board.seats[*id].place == Place::Open && !settled.contains(id))
            .filter_map(|id| self.slot(id).map(|slot| (id, slot.told().phase.get())))
            .filter(|(_, phase)| !is_running(*phase))
            .collect()
    }

    /// Waits until each of these actors has begun its work, has laid it down, or has shown
    /// that it has none. That takes a few instructions of each, never a work.
    pub(crate) fn settle(&self, unsettled: &[(usize, u64)]) {
        for (id, phase) in unsettled {
            let mut backoff = Backoff::default();
            while self
                .slot(*id)
                .is_some_and(|slot| slot.told().phase.get() == *phase)
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
        let mut board = self.board.lock();
        board.ended = true;
        self.has_ended.notify_all();
    }

    /// Waits until the last actor has left and its thread is gone.
    pub(crate) fn join(&self, deadline: Option<Instant>) -> Result<(), JoinError> {
        if self.is_own_thread() {
            return Err(JoinError::WouldDeadlock);
        }
        let mut board = self.board.lock();
        wait(&self.has_ended, &mut board, deadline, |board| board.ended)?;
        drop(board);
        // A parent may be about to store the handle of the thread that it has started.
        drop(self.nursery.lock());
        let mut board = self.board.lock();
        if !std::mem::replace(&mut board.joining, true) {
            let threads = std::mem::take(&mut board.departed);
            drop(board);
            for thread in threads {
                // An actor's thread does not panic.
                drop_contained(thread.join());
            }
            board = self.board.lock();
            board.joined = true;
            self.has_ended.notify_all();
        }
        wait(&self.has_ended, &mut board, deadline, |board| board.joined)
    }

    /// Waits for an instant, later than the call, at which the troupe is idle.
    pub(crate) fn wait_idle(&self, deadline: Option<Instant>) -> Result<(), JoinError> {
        if self.is_own_thread() {
            return Err(JoinError::WouldDeadlock);
        }
        let mut board = self.board.lock();
        if self.is_idle_now(&board) {
            return Ok(());
        }
        let before = board.idle_instants;
        board.idle_callers += 1;
        let waited = wait(&self.is_idle, &mut board, deadline, |board| {
            board.idle_instants != before
        });
        board.idle_callers -= 1;
        waited
    }
}

/// Waits until `is_so`. `event` is notified when that may have changed.
fn wait<E>(
    event: &Condvar,
    board: &mut MutexGuard<'_, Board<E>>,
    deadline: Option<Instant>,
    is_so: impl Fn(&Board<E>) -> bool,
) -> Result<(), JoinError> {
    let mut last_look = false;
    while !is_so(board) {
        if last_look {
            return Err(JoinError::Timeout);
        }
        last_look = event.wait(board, deadline) == Wake::TimedOut;
    }
    Ok(())
}

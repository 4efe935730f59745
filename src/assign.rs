//! An assigner's way: an idle actor, else a new one, else a mailbox with
//! room, else the work goes back.

use std::collections::HashSet;

use crate::board::Board;
use crate::error::AssignError;
use crate::growth::Growth;
use crate::slot::{Call, Slot, is_vacant};
use crate::stage::Stage;
use crate::state::Snapshot;
use crate::sync::{Arc, Duration, Instant, Wake, yield_now};
use crate::work::{Identity, JobBox, Work};

/// What came of an attempt to place a work.
enum Sent<E> {
    /// The work is accepted.
    Done,
    /// There is no room here.
    NoRoom(JobBox<E>),
    /// Things are not as they were when the attempt began: look again.
    Again(JobBox<E>),
}

impl<E: Send + 'static> Stage<E> {
    /// Assigns a work; never waits for room.
    pub(crate) fn assign(self: &Arc<Self>, work: Work<E>) -> Result<(), AssignError<E>> {
        let placed = self.place(work.into_job());
        self.count(placed)
    }

    /// Assigns a work; waits for room, if a time is given at most so long.
    pub(crate) fn assign_waiting(
        self: &Arc<Self>,
        work: Work<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        let placed = match self.place(work.into_job()) {
            Err(AssignError::Full(work)) if timeout != Some(Duration::ZERO) => {
                self.wait_for_place(work, timeout)
            }
            placed => placed,
        };
        self.count(placed)
    }

    fn count(&self, placed: Result<(), AssignError<E>>) -> Result<(), AssignError<E>> {
        match &placed {
            Ok(()) => self.counts.accept(),
            Err(_) => self.counts.refuse(),
        }
        placed
    }

    fn wait_for_place(
        self: &Arc<Self>,
        work: Work<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        if self.is_own_thread() {
            return Err(AssignError::WouldDeadlock(work));
        }
        // A time that overflows the clock is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut job = work.into_job();
        let mut last_try = false;
        self.waiters.enter(&self.state);
        let placed = loop {
            // (1), (2)
            let noted = self.waiters.generation();
            match self.place(job) {
                Err(AssignError::Full(work)) if !last_try => job = work.into_job(),
                placed => break placed,
            }
            // (3)
            last_try = self.waiters.sleep(noted, deadline) == Wake::TimedOut;
        };
        self.waiters.leave(&self.state, placed.is_ok());
        placed
    }

    /// Finds a place for a work.
    fn place(self: &Arc<Self>, mut job: JobBox<E>) -> Result<(), AssignError<E>> {
        loop {
            let now = self.state.load();
            let sent = if now.is_shutting_down() {
                return Err(AssignError::ShuttingDown(Work::returned(job)));
            } else if now.idle() > 0 {
                self.place_with_idle(job, now)
            } else if self.should_grow(now) {
                match self.grow(job) {
                    Growth::Grown => Sent::Done,
                    Growth::Again(job) => Sent::Again(job),
                    Growth::Refused(job, source) => {
                        return Err(AssignError::Spawn {
                            work: Work::returned(job),
                            source,
                        });
                    }
                }
            } else if now.full() == now.live() || !self.has_mailboxes() {
                return Err(AssignError::Full(Work::from_job(job)));
            } else {
                self.place_in_mailbox(job)
            };
            match sent {
                Sent::Done => return Ok(()),
                Sent::NoRoom(back) | Sent::Again(back) => job = back,
            }
        }
    }

    fn should_grow(&self, now: Snapshot) -> bool {
        // After a refusal a troupe that has an actor waits a while.
        now.live() < self.config.max
            && (!now.is_refused() || now.live() == 0 || self.may_grow_again())
    }

    // ---- With an idle actor -------------------------------------------

    fn place_with_idle(&self, mut job: JobBox<E>, now: Snapshot) -> Sent<E> {
        // At max, an actor that is looking for work finds it in a mailbox too,
        // and nobody has to be woken.
        if now.awake() > 0 && now.live() == self.config.max && self.has_mailboxes() {
            let at = self.cursor();
            if let Some(slot) = self.slot(at) {
                match self.send(at, slot, job) {
                    Sent::NoRoom(back) => job = back,
                    sent => return sent,
                }
            }
        }
        self.hand_off(job)
    }

    /// Puts a work into the hand of the most recently idle actor.
    fn hand_off(&self, job: JobBox<E>) -> Sent<E> {
        let mut board = self.board.lock();
        // Nobody is popped for nothing after a shutdown, and nobody is idle.
        let Some(idle) = board.idle.pop() else {
            return Sent::Again(job);
        };
        let Some(slot) = self.slot(idle.id) else {
            return Sent::Again(job);
        };
        self.state.actor_is_popped(idle.token);
        // The hand never overtakes the actor's own mailbox.
        let (in_hand, behind) = match self.take_from(idle.id) {
            Some(oldest) => {
                board
                    .rounds
                    .taken(idle.id, Some(idle.id), oldest.late_for());
                (oldest, Some(job))
            }
            None => (board.rounds.mark(job), None),
        };
        let filled = slot.put_in_hand(in_hand, || false);
        debug_assert!(filled.is_ok(), "nobody refuses");
        slot.set_call(Call::Popped);
        let sent = match behind {
            None => Sent::Done,
            Some(job) => match self.put_under_lock(&mut board, idle.id, slot, job) {
                Ok(_) => Sent::Done,
                Err(job) => Sent::Again(job),
            },
        };
        if matches!(sent, Sent::Done) && self.cursor() != idle.id {
            self.hint_at_work(idle.id);
        }
        drop(board);
        // One that has a token is awake, or is being woken.
        if !idle.token {
            idle.thread.unpark();
        }
        sent
    }

    // ---- With a mailbox -----------------------------------------------

    fn place_in_mailbox(&self, mut job: JobBox<E>) -> Sent<E> {
        let mut at = self.cursor();
        loop {
            if let Some(slot) = self.slot(at) {
                match self.send_or_mark(at, slot, job) {
                    Sent::NoRoom(back) => job = back,
                    sent => return sent,
                }
            }
            let Some(next) = self.find_room(at) else {
                break;
            };
            self.move_cursor(at, next);
            at = next;
        }
        // Nothing has room, and yet not all are known to be full. Another
        // thread is about to change one or the other, or the state has changed.
        if self.state.load().full() != self.state.load().live() {
            yield_now();
        }
        Sent::Again(job)
    }

    /// Sends to a mailbox; if it is full, finds out whether that is certain.
    fn send_or_mark(&self, at: usize, slot: &Slot<E>, job: JobBox<E>) -> Sent<E> {
        let job = match self.send(at, slot, job) {
            Sent::NoRoom(job) => job,
            sent => return sent,
        };
        let Some(mark) = slot.gate.mark() else {
            return Sent::NoRoom(job);
        };
        // Before the gate can become full: whoever opens it sets the hint again.
        self.unhint_room(at);
        let sent = self.send(at, slot, job);
        let certain = matches!(sent, Sent::NoRoom(_)) && slot.gate.confirm(mark, &self.state);
        if !certain {
            self.hint_room(at);
        }
        sent
    }

    /// Sends to a mailbox, and sees to it that the work will be found.
    fn send(&self, at: usize, slot: &Slot<E>, job: JobBox<E>) -> Sent<E> {
        let tenancy = slot.tenancy();
        if is_vacant(tenancy) {
            return Sent::NoRoom(job);
        }
        // (1)
        let identity = match self.put(at, slot, job) {
            Ok(identity) => identity,
            Err(job) => return Sent::NoRoom(job),
        };
        // (2)
        if self.cursor() != at {
            self.hint_at_work(at);
        }
        // (3)
        let now = self.state.load();
        if now.is_shutting_down() || (self.is_dynamic() && slot.tenancy() != tenancy) {
            if let Some(job) = self.take_back_if_late(at, slot, &identity) {
                return Sent::Again(job);
            }
            self.wake_if_wanted();
        } else if now.wants_waking() && !slot.mailbox.is_empty() {
            self.wake_if_wanted();
        }
        Sent::Done
    }

    fn put(&self, at: usize, slot: &Slot<E>, job: JobBox<E>) -> Result<Identity<E>, JobBox<E>> {
        if self.is_watched() {
            return self.put_under_lock(&mut self.board.lock(), at, slot, job);
        }
        let identity = Identity::of(&job);
        slot.mailbox.put(job).map(|()| identity)
    }

    fn put_under_lock(
        &self,
        board: &mut Board<E>,
        at: usize,
        slot: &Slot<E>,
        job: JobBox<E>,
    ) -> Result<Identity<E>, JobBox<E>> {
        let job = board.rounds.mark(job);
        let identity = Identity::of(&job);
        slot.mailbox.put(job).map_err(|job| job.into_plain())?;
        board.rounds.sent(at);
        Ok(identity)
    }

    /// The slot has changed hands, or the troupe is shutting down: takes the
    /// work back if no actor will ever begin it.
    fn take_back_if_late(
        &self,
        at: usize,
        slot: &Slot<E>,
        identity: &Identity<E>,
    ) -> Option<JobBox<E>> {
        let mut board = self.board.lock();
        let now = self.state.load();
        let is_dead = if now.is_shutting_down() {
            self.is_halted() || now.live() == 0
        } else {
            is_vacant(slot.tenancy())
        };
        if is_dead {
            // All that is there belongs to senders that are here, or on their
            // way here.
            while let Some(job) = slot.mailbox.take() {
                board.strays.push(job);
            }
            slot.gate.taken(&self.state);
        } else {
            self.hint_at_work(at);
        }
        if let Some(job) = take_stray(&mut board, identity) {
            return Some(job);
        }
        if !self.is_halted() {
            return None;
        }
        // An actor may have taken it, and be about to lay it down.
        let unsettled = self.unsettled(&board, &HashSet::new());
        drop(board);
        self.settle(&unsettled);
        take_stray(&mut self.board.lock(), identity)
    }
}

fn take_stray<E>(board: &mut Board<E>, identity: &Identity<E>) -> Option<JobBox<E>> {
    let mine = board.strays.iter().position(|job| identity.is(job))?;
    Some(board.strays.swap_remove(mine).into_plain())
}

//! An assigner's way: an idle actor, else a new one, else a mailbox with
//! room, else the work goes back.

use std::collections::HashSet;

use crate::board::Board;
use crate::error::AssignError;
use crate::gate::Generation;
use crate::slot::Slot;
use crate::stage::{Sent, Stage, Visit};
use crate::state::Snapshot;
use crate::sync::{Arc, Backoff, Duration, Instant, Wake, is_over, thread_number, yield_now};
use crate::work::{Letter, Work};

/// How long an assigner that waits for room tries again before it sleeps.
const TRYING: Duration = Duration::from_micros(15);

impl<E: Send + 'static> Stage<E> {
    /// Assigns a work; never waits for room.
    #[inline]
    pub(crate) fn assign(self: &Arc<Self>, work: Work<E>) -> Result<(), AssignError<E>> {
        self.send_off(work.into_letter(thread_number()), Some(Duration::ZERO))
    }

    /// Assigns a work; waits for room, if a time is given at most that long.
    #[inline]
    pub(crate) fn assign_waiting(
        self: &Arc<Self>,
        work: Work<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        self.send_off(work.into_letter(thread_number()), timeout)
    }

    fn send_off(
        self: &Arc<Self>,
        letter: Letter<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        let waits = timeout != Some(Duration::ZERO);
        let letter = match self.place_at_once(letter) {
            Sent::Done => return self.accepted(),
            Sent::NoRoom(letter) if !waits => {
                self.counts.refuse();
                return Err(AssignError::Full(letter.into_work(thread_number())));
            }
            Sent::NoRoom(letter) | Sent::Again(letter) => letter,
        };
        let placed = match self.place(letter) {
            Err(AssignError::Full(work)) if waits => self.wait_for_place(work, timeout),
            placed => placed,
        };
        placed.inspect_err(|_| self.counts.refuse())?;
        self.accepted()
    }

    #[inline(always)]
    fn accepted(&self) -> Result<(), AssignError<E>> {
        self.counts.accept();
        Ok(())
    }

    #[cold]
    fn wait_for_place(
        self: &Arc<Self>,
        work: Work<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        if self.is_own_thread() {
            return Err(AssignError::WouldDeadlock(work));
        }
        let begin = Instant::now();
        // A time that overflows the clock is for ever.
        let deadline = timeout.and_then(|timeout| begin.checked_add(timeout));
        let mut letter = work.into_letter(thread_number());
        // Room often comes sooner than a thread can sleep and be woken, and then there is
        // room for more than one work.
        while !is_over(begin, timeout.unwrap_or(TRYING).min(TRYING)) {
            yield_now();
            match self.place(letter) {
                Err(AssignError::Full(work)) => letter = work.into_letter(thread_number()),
                placed => return placed,
            }
        }
        let mut last_try = false;
        self.waiters.enter(&self.state);
        let placed = loop {
            // (1), (2)
            let noted = self.waiters.generation();
            match self.place(letter) {
                Err(AssignError::Full(work)) if !last_try => {
                    letter = work.into_letter(thread_number());
                }
                placed => break placed,
            }
            // (3)
            let until = [deadline, self.next_growth()].into_iter().flatten().min();
            let timed_out = self.waiters.sleep(noted, until) == Wake::TimedOut;
            last_try = timed_out && until == deadline;
        };
        let with_full = placed.as_ref().is_err_and(AssignError::is_full);
        self.waiters.leave(&self.state, with_full);
        placed
    }

    /// Tries the mailbox at the fill cursor once, or refuses. Nearly every assign takes this
    /// path while all actors are busy, and the work is never copied on it. `NoRoom` is final:
    /// the troupe is full.
    #[inline(always)]
    fn place_at_once(self: &Arc<Self>, letter: Letter<E>) -> Sent<E> {
        let now = self.state.load();
        if self.fills_mailboxes(now) {
            return match self.place_in_mailbox(letter) {
                Sent::NoRoom(letter) => Sent::Again(letter),
                sent => sent,
            };
        } else if now.idle() == 0
            && now.live() == self.config.max
            && self.is_full(now)
            && !now.is_shutting_down()
        {
            return Sent::NoRoom(letter);
        }
        Sent::Again(letter)
    }

    /// Returns `true` if a work goes to a mailbox, even if an actor is idle.
    #[inline]
    fn fills_mailboxes(&self, now: Snapshot) -> bool {
        // At max, an actor that is looking for work finds it in a mailbox too,
        // and nobody has to be woken.
        now.live() == self.config.max
            && (now.idle() == 0 || now.awake() > 0)
            && now.full() != now.live()
            && !now.is_shutting_down()
            && self.has_mailboxes()
    }

    /// Returns `true` if no mailbox may have room. If also nobody is idle and the troupe
    /// cannot grow, a work may be refused at this instant.
    #[inline]
    fn is_full(&self, now: Snapshot) -> bool {
        now.full() == now.live() || !self.has_mailboxes()
    }

    /// Finds a place for a work.
    fn place(self: &Arc<Self>, mut letter: Letter<E>) -> Result<(), AssignError<E>> {
        let mut backoff = Backoff::default();
        loop {
            let now = self.state.load();
            let sent = if now.is_shutting_down() {
                return Err(AssignError::ShuttingDown(letter.into_work(0)));
            } else if now.idle() > 0 {
                self.place_with_idle(letter, now)
            } else if self.should_grow(now) {
                self.grow(letter)?
            } else if !self.is_full(now) {
                self.place_in_mailbox(letter)
            } else if self.is_settled(now) {
                return Err(AssignError::Full(letter.into_work(0)));
            } else {
                Sent::Again(letter)
            };
            letter = match sent {
                Sent::Done => return Ok(()),
                Sent::Again(letter) => letter,
                Sent::NoRoom(letter) => {
                    // Not all mailboxes are known to be full: a new actor is about to open
                    // one, or another thread is finding out whether one is full.
                    if self.state.load() == now {
                        drop(self.nursery.lock());
                        backoff.snooze();
                    }
                    letter
                }
            };
        }
    }

    /// Returns `true` if a state is not one that an actor passes through when it begins to
    /// retire and then stays.
    fn is_settled(&self, now: Snapshot) -> bool {
        let is_as_it_was = || {
            let _board = self.board.lock();
            self.state.load() == now
        };
        now.live() == self.config.max || is_as_it_was()
    }

    fn should_grow(&self, now: Snapshot) -> bool {
        // After a refusal a troupe that has an actor waits a while.
        now.live() < self.config.max
            && (!now.is_refused() || now.live() == 0 || self.may_grow_again())
    }

    /// Assigns a retry in the place of the work that has failed on the actor `id`, whose
    /// handler calls this. The retry goes into the actor's hand.
    pub(crate) fn reassign(&self, id: usize, work: Work<E>) -> Result<(), AssignError<E>> {
        let mut letter = work.into_letter(thread_number());
        if let Some(slot) = self.slot(id) {
            // Under the hand's lock, so that `shutdown_now` finds the retry there
            // or this finds the shutdown.
            match slot.put_in_hand(letter, || self.state.load().is_shutting_down()) {
                Ok(()) => return self.accepted(),
                Err(back) => letter = back,
            }
        }
        self.counts.refuse();
        Err(AssignError::ShuttingDown(letter.into_work(0)))
    }

    // ---- With an idle actor -------------------------------------------

    fn place_with_idle(self: &Arc<Self>, mut letter: Letter<E>, now: Snapshot) -> Sent<E> {
        if self.fills_mailboxes(now) {
            match self.place_in_mailbox(letter) {
                Sent::NoRoom(back) => letter = back,
                sent => return sent,
            }
        }
        self.hand_off(letter)
    }

    /// Puts a work into the hand of the most recently idle actor.
    #[cold]
    fn hand_off(&self, letter: Letter<E>) -> Sent<E> {
        let mut board = self.board.lock();
        // After a shutdown the stack stays empty, so nobody is popped for a
        // work that would be refused.
        let slot = board.idle.top().and_then(|idle| self.slot(idle.id));
        let (Some(slot), Some(idle)) = (slot, board.idle.pop()) else {
            return Sent::Again(letter);
        };
        // The hand never overtakes the actor's own mailbox. A place there is free before the
        // actor ceases to be idle.
        let (in_hand, sent) = match self.take_from(idle.id) {
            None => (letter, Sent::Done),
            Some(oldest) => match slot.mailbox.put(letter) {
                Ok(()) => {
                    self.set_ready(idle.id);
                    (oldest, Sent::Done)
                }
                Err(letter) => (oldest, Sent::Again(letter)),
            },
        };
        self.state.actor_is_popped(idle.token);
        // The call comes last: an actor that is awake hears it at once, and
        // passes on what it then finds in the mailbox.
        slot.hand_over(in_hand);
        drop(board);
        // An actor that has a token is awake, or is being woken.
        if !idle.token {
            idle.thread.unpark();
        }
        sent
    }

    // ---- With a mailbox -----------------------------------------------

    #[inline(always)]
    fn place_in_mailbox(self: &Arc<Self>, letter: Letter<E>) -> Sent<E> {
        let visit = self.fill();
        let Some(slot) = self.slot(visit.mailbox()) else {
            return Sent::NoRoom(letter);
        };
        match self.send(visit, slot, letter) {
            Sent::NoRoom(letter) => self.place_elsewhere(visit, slot, letter),
            sent => sent,
        }
    }

    /// Makes sure that the mailbox at the fill cursor is full, and tries the next ones.
    #[cold]
    fn place_elsewhere<'a>(
        self: &'a Arc<Self>,
        mut visit: Visit,
        mut slot: &'a Slot<E>,
        mut letter: Letter<E>,
    ) -> Sent<E> {
        loop {
            let at = visit.mailbox();
            if !self.is_certainly_full(at, slot) {
                return Sent::Again(letter);
            }
            let next = self.find_room(at).and_then(|id| Some((id, self.slot(id)?)));
            let Some((next, next_slot)) = next else {
                return Sent::NoRoom(letter);
            };
            (visit, slot) = (self.move_fill(visit, next), next_slot);
            match self.send(visit, slot, letter) {
                Sent::NoRoom(back) => letter = back,
                sent => return sent,
            }
        }
    }

    /// Returns `true` if a mailbox that was full a moment ago is known to be full, or its slot
    /// is vacant. `false` if it may have room again.
    pub(crate) fn is_certainly_full(&self, at: usize, slot: &Slot<E>) -> bool {
        // While the slot is being closed, its gate may still be open.
        if slot.gate.generation().is_vacant() {
            return true;
        }
        let Some(mark) = slot.gate.mark() else {
            return true;
        };
        // Before the gate can become full: the taker that opens it sets the bit again.
        self.with_room.clear(at);
        let certain = slot.mailbox.is_full() && slot.gate.confirm(mark, &self.state);
        if !certain {
            self.with_room.set(at);
        }
        certain
    }

    /// Sends to a mailbox, and makes sure that the work will be found.
    #[inline(always)]
    fn send(self: &Arc<Self>, visit: Visit, slot: &Slot<E>, mut letter: Letter<E>) -> Sent<E> {
        let generation = slot.gate.generation();
        if generation.is_vacant() {
            return Sent::NoRoom(letter);
        }
        let at = visit.mailbox();
        if self.drain() == at {
            letter.note().visit = visit.mark();
        }
        // (1)
        if let Err(letter) = slot.mailbox.put(letter) {
            return Sent::NoRoom(letter);
        }
        match self.follow_up(at, slot, generation) {
            None => Sent::Done,
            Some(letter) => Sent::Again(letter),
        }
    }

    /// Does what a sender has to do after its send to a slot that had this generation before.
    /// Returns the work if the send came too late.
    #[inline(always)]
    pub(crate) fn follow_up(
        self: &Arc<Self>,
        at: usize,
        slot: &Slot<E>,
        generation: Generation,
    ) -> Option<Letter<E>> {
        // (2)
        self.set_ready(at);
        // (3)
        let now = self.state.load();
        if now.is_shutting_down() || slot.gate.generation() != generation {
            return self.follow_up_late(slot);
        }
        if now.wants_waking() && self.holds_work(at) {
            self.notify_if_work(self.board.lock());
        }
        // (4)
        if now.live() < self.config.max {
            self.grow_for_waiting();
        }
        None
    }

    /// Does (3) and (4) for a sender whose slot may have another actor by now, or whose
    /// troupe is shutting down.
    #[cold]
    fn follow_up_late(self: &Arc<Self>, slot: &Slot<E>) -> Option<Letter<E>> {
        if let Some(letter) = self.take_back_if_late(slot, thread_number()) {
            return Some(letter);
        }
        self.notify_if_work(self.board.lock());
        // Others may be there by now than were when it sent.
        if self.state.load().live() < self.config.max {
            self.grow_for_waiting();
        }
        None
    }

    /// Takes the work of a sender back if no actor will ever begin it. The slot has another
    /// generation, or the troupe is shutting down.
    #[cold]
    pub(crate) fn take_back_if_late(&self, slot: &Slot<E>, sender: u32) -> Option<Letter<E>> {
        let mut board = self.board.lock();
        // The actor of an open slot finds what is in its mailbox before it leaves.
        let is_dead = self.is_halted() || slot.gate.generation().is_vacant();
        if is_dead {
            // All works there belong to senders that are here, or on their way here.
            while let Some(letter) = slot.mailbox.take() {
                board.strays.push(letter);
            }
            slot.gate.taken(&self.state);
            self.tell_if_idle(&mut board);
        }
        if let Some(letter) = take_stray(&mut board, sender) {
            return Some(letter);
        }
        if !self.is_halted() {
            return None;
        }
        // An actor may have taken the work, and be about to lay it down.
        let unsettled = self.unsettled(&board, &HashSet::new());
        drop(board);
        self.settle(&unsettled);
        take_stray(&mut self.board.lock(), sender)
    }
}

fn take_stray<E>(board: &mut Board<E>, sender: u32) -> Option<Letter<E>> {
    let mine = board
        .strays
        .iter_mut()
        .position(|letter| letter.note().sender == sender)?;
    Some(board.strays.swap_remove(mine))
}

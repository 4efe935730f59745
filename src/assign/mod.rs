//! An assigner's way: an idle actor, else a new one, else a mailbox with
//! room, else the work goes back.

mod grow;

use std::collections::HashSet;

use crate::error::AssignError;
use crate::pool::counts::Counts;
use crate::pool::room::Generation;
use crate::pool::roster::Synced;
use crate::pool::slot::Slot;
use crate::pool::{Placed, Pool, Visit};
use crate::sync::{Arc, Backoff, Duration, Instant, Wake, is_over, thread_number, yield_now};
use crate::work::{Envelope, Work};

/// How long an assigner that waits for room tries again before it sleeps.
const RETRY_TIME: Duration = Duration::from_micros(15);

impl<E: Send + 'static> Pool<E> {
    /// Assigns a work; never waits for room.
    #[inline]
    pub(crate) fn assign(self: &Arc<Self>, work: Work<E>) -> Result<(), AssignError<E>> {
        self.send_off(work.into_envelope(thread_number()), Some(Duration::ZERO))
    }

    /// Assigns a work; waits for room, if a time is given at most that long.
    #[inline]
    pub(crate) fn assign_waiting(
        self: &Arc<Self>,
        work: Work<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        self.send_off(work.into_envelope(thread_number()), timeout)
    }

    fn send_off(
        self: &Arc<Self>,
        envelope: Envelope<E>,
        timeout: Option<Duration>,
    ) -> Result<(), AssignError<E>> {
        let waits = timeout != Some(Duration::ZERO);
        let envelope = match self.place_at_once(envelope) {
            Placed::Yes => return self.accepted(),
            Placed::Full(envelope) if !waits => {
                self.tallies.refuse();
                return Err(AssignError::Full(envelope.into_work(thread_number())));
            }
            Placed::Full(envelope) | Placed::Retry(envelope) => envelope,
        };
        let placed = match self.place(envelope) {
            Err(AssignError::Full(work)) if waits => self.wait_for_place(work, timeout),
            placed => placed,
        };
        placed.inspect_err(|_| self.tallies.refuse())?;
        self.accepted()
    }

    #[inline(always)]
    fn accepted(&self) -> Result<(), AssignError<E>> {
        self.tallies.accept();
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
        let mut envelope = work.into_envelope(thread_number());
        // Room often comes sooner than a thread can sleep and be woken, and then there is
        // room for more than one work.
        while !is_over(begin, timeout.unwrap_or(RETRY_TIME).min(RETRY_TIME)) {
            yield_now();
            match self.place(envelope) {
                Err(AssignError::Full(work)) => envelope = work.into_envelope(thread_number()),
                placed => return placed,
            }
        }
        let mut last_try = false;
        self.waiters.enter(&self.counts);
        let placed = loop {
            // (1), (2)
            let noted = self.waiters.generation();
            match self.place(envelope) {
                Err(AssignError::Full(work)) if !last_try => {
                    envelope = work.into_envelope(thread_number());
                }
                placed => break placed,
            }
            // (3)
            let until = [deadline, self.next_growth()].into_iter().flatten().min();
            let timed_out = self.waiters.sleep(noted, until) == Wake::TimedOut;
            last_try = timed_out && until == deadline;
        };
        let with_full = placed.as_ref().is_err_and(AssignError::is_full);
        self.waiters.leave(&self.counts, with_full);
        placed
    }

    /// Tries the mailbox at the fill cursor once, or refuses. Nearly every assign takes this
    /// path while all actors are busy, and the work is never copied on it. `NoRoom` is final:
    /// the troupe is full.
    #[inline(always)]
    fn place_at_once(self: &Arc<Self>, envelope: Envelope<E>) -> Placed<E> {
        let now = self.counts.load();
        if self.fills_mailboxes(now) {
            return match self.place_in_mailbox(envelope) {
                Placed::Full(envelope) => Placed::Retry(envelope),
                placed => placed,
            };
        } else if now.idle() == 0
            && now.live() == self.config.max
            && self.is_full(now)
            && !now.is_shutting_down()
        {
            return Placed::Full(envelope);
        }
        Placed::Retry(envelope)
    }

    /// Returns `true` if a work goes to a mailbox, even if an actor is idle.
    #[inline]
    fn fills_mailboxes(&self, now: Counts) -> bool {
        // At max, an actor that is looking for work finds it in a mailbox too,
        // and nobody has to be woken.
        now.live() == self.config.max
            && (now.idle() == 0 || now.searching() > 0)
            && now.full() != now.live()
            && !now.is_shutting_down()
            && self.has_mailboxes()
    }

    /// Returns `true` if no mailbox may have room. If also nobody is idle and the troupe
    /// cannot grow, a work may be refused at this instant.
    #[inline]
    fn is_full(&self, now: Counts) -> bool {
        now.full() == now.live() || !self.has_mailboxes()
    }

    /// Finds a place for a work.
    fn place(self: &Arc<Self>, mut envelope: Envelope<E>) -> Result<(), AssignError<E>> {
        let mut backoff = Backoff::default();
        loop {
            let now = self.counts.load();
            let sent = if now.is_shutting_down() {
                return Err(AssignError::ShuttingDown(envelope.into_work(0)));
            } else if now.idle() > 0 {
                self.place_with_idle(envelope, now)
            } else if self.should_grow(now) {
                self.grow(envelope)?
            } else if !self.is_full(now) {
                self.place_in_mailbox(envelope)
            } else if self.is_stable(now) {
                return Err(AssignError::Full(envelope.into_work(0)));
            } else {
                Placed::Retry(envelope)
            };
            envelope = match sent {
                Placed::Yes => return Ok(()),
                Placed::Retry(envelope) => envelope,
                Placed::Full(envelope) => {
                    // Not all mailboxes are known to be full: a new actor is about to open
                    // one, or another thread is finding out whether one is full.
                    if self.counts.load() == now {
                        drop(self.spawn_lock.lock());
                        backoff.snooze();
                    }
                    envelope
                }
            };
        }
    }

    /// Returns `true` if a state is not one that an actor passes through when it begins to
    /// retire and then stays.
    fn is_stable(&self, now: Counts) -> bool {
        let is_as_it_was = || {
            let _board = self.synced.lock();
            self.counts.load() == now
        };
        now.live() == self.config.max || is_as_it_was()
    }

    fn should_grow(&self, now: Counts) -> bool {
        // After a refusal a troupe that has an actor waits a while.
        now.live() < self.config.max
            && (!now.is_refused() || now.live() == 0 || self.may_grow_again())
    }

    /// Assigns a retry in the place of the work that has failed on the actor `id`, whose
    /// handler calls this. The retry goes into the actor's hand.
    pub(crate) fn reassign(&self, id: usize, work: Work<E>) -> Result<(), AssignError<E>> {
        let mut envelope = work.into_envelope(thread_number());
        if let Some(slot) = self.slot(id) {
            // Under the hand's lock, so that `shutdown_now` finds the retry there
            // or this finds the shutdown.
            match slot.put_in_handoff(envelope, || self.counts.load().is_shutting_down()) {
                Ok(()) => return self.accepted(),
                Err(back) => envelope = back,
            }
        }
        self.tallies.refuse();
        Err(AssignError::ShuttingDown(envelope.into_work(0)))
    }

    // ---- With an idle actor -------------------------------------------

    fn place_with_idle(self: &Arc<Self>, mut envelope: Envelope<E>, now: Counts) -> Placed<E> {
        if self.fills_mailboxes(now) {
            match self.place_in_mailbox(envelope) {
                Placed::Full(back) => envelope = back,
                placed => return placed,
            }
        }
        self.hand_off(envelope)
    }

    /// Puts a work into the hand of the most recently idle actor.
    #[cold]
    fn hand_off(&self, envelope: Envelope<E>) -> Placed<E> {
        let mut synced = self.synced.lock();
        // After a shutdown the stack stays empty, so nobody is popped for a
        // work that would be refused.
        let slot = synced.idle.top().and_then(|idle| self.slot(idle.id));
        let (Some(slot), Some(idle)) = (slot, synced.idle.pop()) else {
            return Placed::Retry(envelope);
        };
        // The hand never overtakes the actor's own mailbox. A place there is free before the
        // actor ceases to be idle.
        let (in_hand, placed) = match self.take_from(idle.id) {
            None => (envelope, Placed::Yes),
            Some(oldest) => match slot.mailbox.put(envelope) {
                Ok(()) => {
                    self.set_ready(idle.id);
                    (oldest, Placed::Yes)
                }
                Err(envelope) => (oldest, Placed::Retry(envelope)),
            },
        };
        self.counts.actor_is_popped(idle.searching);
        // The call comes last: an actor that is searching hears it at once, and
        // passes on what it then finds in the mailbox.
        slot.hand_over(in_hand);
        drop(synced);
        // An actor that has a searching is searching, or is being woken.
        if !idle.searching {
            idle.thread.unpark();
        }
        placed
    }

    // ---- With a mailbox -----------------------------------------------

    #[inline(always)]
    fn place_in_mailbox(self: &Arc<Self>, envelope: Envelope<E>) -> Placed<E> {
        let visit = self.fill();
        let Some(slot) = self.slot(visit.mailbox()) else {
            return Placed::Full(envelope);
        };
        match self.send(visit, slot, envelope) {
            Placed::Full(envelope) => self.place_elsewhere(visit, slot, envelope),
            placed => placed,
        }
    }

    /// Makes sure that the mailbox at the fill cursor is full, and tries the next ones.
    #[cold]
    fn place_elsewhere<'a>(
        self: &'a Arc<Self>,
        mut visit: Visit,
        mut slot: &'a Slot<E>,
        mut envelope: Envelope<E>,
    ) -> Placed<E> {
        loop {
            let at = visit.mailbox();
            if !self.verify_full(at, slot) {
                return Placed::Retry(envelope);
            }
            let next = self.find_room(at).and_then(|id| Some((id, self.slot(id)?)));
            let Some((next, next_slot)) = next else {
                return Placed::Full(envelope);
            };
            (visit, slot) = (self.move_fill(visit, next), next_slot);
            match self.send(visit, slot, envelope) {
                Placed::Full(back) => envelope = back,
                placed => return placed,
            }
        }
    }

    /// Returns `true` if a mailbox that was full a moment ago is known to be full, or its slot
    /// is vacant. `false` if it may have room again.
    pub(crate) fn verify_full(&self, at: usize, slot: &Slot<E>) -> bool {
        // While the slot is being closed, its gate may still be open.
        if slot.gate.generation().is_vacant() {
            return true;
        }
        let Some(mark) = slot.gate.mark() else {
            return true;
        };
        // Before the gate can become full: the taker that opens it sets the bit again.
        self.with_room.clear(at);
        let certain = slot.mailbox.is_full() && slot.gate.mark_full(mark, &self.counts);
        if !certain {
            self.with_room.set(at);
        }
        certain
    }

    /// Sends to a mailbox, and makes sure that the work will be found.
    #[inline(always)]
    fn send(
        self: &Arc<Self>,
        visit: Visit,
        slot: &Slot<E>,
        mut envelope: Envelope<E>,
    ) -> Placed<E> {
        let generation = slot.gate.generation();
        if generation.is_vacant() {
            return Placed::Full(envelope);
        }
        let at = visit.mailbox();
        if self.drain() == at {
            envelope.header().visit = visit.mark();
        }
        // (1)
        if let Err(envelope) = slot.mailbox.put(envelope) {
            return Placed::Full(envelope);
        }
        match self.after_send(at, slot, generation) {
            None => Placed::Yes,
            Some(envelope) => Placed::Retry(envelope),
        }
    }

    /// Does what a sender has to do after its send to a slot that had this generation before.
    /// Returns the work if the send came too late.
    #[inline(always)]
    pub(crate) fn after_send(
        self: &Arc<Self>,
        at: usize,
        slot: &Slot<E>,
        generation: Generation,
    ) -> Option<Envelope<E>> {
        // (2)
        self.set_ready(at);
        // (3)
        let now = self.counts.load();
        if now.is_shutting_down() || slot.gate.generation() != generation {
            return self.after_late_send(slot);
        }
        if now.should_notify() && self.holds_work(at) {
            self.notify_if_work(self.synced.lock());
        }
        // (4)
        if now.live() < self.config.max {
            self.grow_for_mailboxes();
        }
        None
    }

    /// Does (3) and (4) for a sender whose slot may have another actor by now, or whose
    /// troupe is shutting down.
    #[cold]
    fn after_late_send(self: &Arc<Self>, slot: &Slot<E>) -> Option<Envelope<E>> {
        if let Some(envelope) = self.reclaim_if_late(slot, thread_number()) {
            return Some(envelope);
        }
        self.notify_if_work(self.synced.lock());
        // Others may be there by now than were when it placed.
        if self.counts.load().live() < self.config.max {
            self.grow_for_mailboxes();
        }
        None
    }

    /// Takes the work of a sender back if no actor will ever begin it. The slot has another
    /// generation, or the troupe is shutting down.
    #[cold]
    pub(crate) fn reclaim_if_late(&self, slot: &Slot<E>, sender: u32) -> Option<Envelope<E>> {
        let mut synced = self.synced.lock();
        // The actor of an open slot finds what is in its mailbox before it leaves.
        let is_dead = self.is_halted() || slot.gate.generation().is_vacant();
        if is_dead {
            // All works there belong to senders that are here, or on their way here.
            while let Some(envelope) = slot.mailbox.take() {
                synced.unclaimed.push(envelope);
            }
            slot.gate.on_take(&self.counts);
            self.tell_if_idle(&mut synced);
        }
        if let Some(envelope) = take_unclaimed(&mut synced, sender) {
            return Some(envelope);
        }
        if !self.is_halted() {
            return None;
        }
        // An actor may have taken the work, and be about to lay it down.
        let undecided = self.undecided(&synced, &HashSet::new());
        drop(synced);
        self.wait_until_decided(&undecided);
        take_unclaimed(&mut self.synced.lock(), sender)
    }
}

fn take_unclaimed<E>(synced: &mut Synced<E>, sender: u32) -> Option<Envelope<E>> {
    let mine = synced
        .unclaimed
        .iter_mut()
        .position(|envelope| envelope.header().sender == sender)?;
    Some(synced.unclaimed.swap_remove(mine))
}

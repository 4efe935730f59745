//! An actor's life: look for work, run it, rest, retire or leave.

mod clock;
mod pace;

use crate::actor_loop::clock::Clock;
use crate::actor_loop::pace::Pace;
use crate::failure::{Failure, Panic};
use crate::pool::Pool;
use crate::pool::idle::Idle;
use crate::pool::roster::{Place, Synced};
use crate::pool::slot::{Signal, Slot};
use crate::sync::unwind::{contain, drop_contained};
use crate::sync::{
    Arc, Duration, Instant, MutexGuard, Wake, current, is_over, park, pause, spin_for, yield_now,
};
use crate::work::Envelope;

/// How long an idle actor looks for work before it gives its searching up.
const SEARCH_TIME: Duration = Duration::from_micros(15);

/// How long an actor that may not retire waits at least before it asks again.
const MIN_TIMER: Duration = Duration::from_millis(100);

/// The life of the actor `id`. Its thread runs this and nothing else.
pub(crate) fn run<E>(pool: &Arc<Pool<E>>, id: usize) {
    pool.adopt_thread();
    if let Some(slot) = pool.slot(id) {
        ActorLoop {
            pool,
            slot,
            id,
            source: None,
            run_length: 0,
            pace: Pace::new(),
            clock: Clock::new(pool.birth),
        }
        .live();
    }
}

/// What an actor does next.
enum Next<E> {
    /// It runs this work.
    Run(Envelope<E>),
    /// It looks for work.
    Look,
    /// Nothing: the actor has left the troupe.
    Gone,
}

/// How a work failed.
struct Failed {
    panicked: bool,
    /// Neither the handler nor, without a handler, the drop of the failure has panicked.
    contained: bool,
}

struct ActorLoop<'a, E> {
    pool: &'a Arc<Pool<E>>,
    slot: &'a Slot<E>,
    id: usize,
    /// The mailbox that the work in hand was in, if it was in one.
    source: Option<usize>,
    /// Works run since the actor last ran out of work.
    run_length: u32,
    pace: Pace,
    clock: Clock,
}

impl<E> ActorLoop<'_, E> {
    fn live(mut self) {
        let mut next = if self.slot.signal() == Signal::HandedOff {
            self.run_first()
        } else {
            self.rest(false)
        };
        loop {
            match next {
                Next::Run(envelope) => self.perform(envelope),
                Next::Look => {}
                Next::Gone => return,
            }
            while let Some(envelope) = self.take_next() {
                self.perform(envelope);
            }
            let in_stream = self.pace.runs_out(std::mem::take(&mut self.run_length));
            next = self.run_out(in_stream);
        }
    }

    /// Begins the life of an actor that was started with a work in its hand, and has no
    /// searching. It counts as an actor before it begins the work.
    fn run_first(&mut self) -> Next<E> {
        let pool = self.pool;
        pool.open(&mut pool.synced.lock(), self.id);
        self.take_over()
    }

    /// Takes what has been handed over.
    fn take_over(&mut self) -> Next<E> {
        self.source = None;
        match self.slot.take_over() {
            Some(envelope) => Next::Run(envelope),
            None => Next::Look,
        }
    }

    // ---- Busy ---------------------------------------------------------

    /// Takes the next work, whichever mailbox it is in.
    #[inline]
    fn take_next(&mut self) -> Option<Envelope<E>> {
        let (id, envelope) = self.pool.take_next()?;
        self.source = Some(id);
        Some(envelope)
    }

    /// Runs a work, the handler if it fails, and the retries that the handler leaves in
    /// the hand. Lays the work down if the troupe has been halted.
    fn perform(&mut self, mut envelope: Envelope<E>) {
        loop {
            if self.pool.is_halted() {
                return self.give_back(envelope);
            }
            let progress = self.slot.progress();
            // First the stamp: an actor that is busy has accepted a work.
            self.clock.begin(progress);
            let phase = progress.phase.get();
            progress.phase.set(phase + 1);
            if self.source.is_some_and(|id| id != self.id) {
                progress.shared.raise();
            }
            let failed = self.run(envelope);
            // The work is first shown as not running, then as finished: a snapshot
            // between the two misses it rather than counting it twice.
            progress.phase.set(phase + 2);
            self.count(failed.as_ref());
            self.clock.end(progress);
            self.run_length = self.run_length.wrapping_add(1);
            // Only a handler can have put something into the hand.
            if failed.is_none() {
                return;
            }
            match self.slot.take_from_handoff() {
                Some(retry) => envelope = retry,
                None => return,
            }
            self.source = None;
        }
    }

    /// Gives a work to the `shutdown_now` that waits for it. If that is over, the work
    /// goes to its sender, which waits for it.
    #[cold]
    fn give_back(&self, envelope: Envelope<E>) {
        let mut synced = self.pool.synced.lock();
        let synced = &mut *synced;
        if synced.halted {
            &mut synced.unclaimed
        } else {
            &mut synced.not_started
        }
        .push(envelope);
        self.slot.progress().step();
    }

    /// Runs a work, and the handler if it fails.
    fn run(&self, envelope: Envelope<E>) -> Option<Failed> {
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

    // ---- Idle ---------------------------------------------------------

    /// Out of work: lingers if that may help, else or afterwards goes idle.
    fn run_out(&mut self, in_stream: bool) -> Next<E> {
        if !in_stream && self.may_spin() {
            if let Some(envelope) = self.spin() {
                return Next::Run(envelope);
            }
        }
        self.rest(in_stream)
    }

    /// Returns `true` if a work that comes now would be put into a mailbox. An actor that
    /// has rested since its last work does not spin again.
    fn may_spin(&self) -> bool {
        let pool = self.pool;
        let now = pool.counts.load();
        !self.clock.is_rested()
            && pool.has_mailboxes()
            && now.live() == pool.config.max
            && !now.is_shutting_down()
    }

    /// Looks for a moment at the mailbox that senders fill: the next work may be on its way,
    /// and going idle costs more.
    fn spin(&mut self) -> Option<Envelope<E>> {
        for _ in 0..self.pool.spin.spins {
            pause();
            if self.pool.holds_work(self.pool.fill().mailbox()) {
                if let Some(envelope) = self.take_next() {
                    return Some(envelope);
                }
            }
        }
        None
    }

    /// Goes idle, and stays so until there is work, or a reason to leave.
    fn rest(&mut self, in_stream: bool) -> Next<E> {
        let since = self.clock.rest(self.slot.progress());
        let pool = self.pool;
        let mut synced = pool.synced.lock();
        let now = pool.counts.load();
        if now.is_shutting_down() {
            pool.open(&mut synced, self.id);
            return self.leave(synced);
        }
        // (a) An actor that was started without a work looks for one under this lock, so that
        // nobody hands it another first.
        let is_new = synced.entries[self.id].place == Place::Reserved;
        let searching = !is_new && now.searching() < pool.spin.searchers;
        synced.idle.push(Idle {
            id: self.id,
            thread: current(),
            searching,
        });
        let before = pool.counts.actor_goes_idle(searching);
        pool.open(&mut synced, self.id);
        // (b)
        if !searching {
            if let Some(envelope) = self.take_ready(&synced) {
                return self.leave_idle(synced, envelope);
            }
        }
        pool.tell_if_idle(&mut synced);
        let deadline = self.deadline(&mut synced, since);
        drop(synced);
        if before.is_waited_for() {
            pool.waiters.wake_one();
        }
        if searching {
            if let Some(next) = self.search(in_stream) {
                return next;
            }
        }
        self.idle(since, deadline)
    }

    fn idle(&mut self, since: Instant, mut deadline: Option<Instant>) -> Next<E> {
        let pool = self.pool;
        loop {
            // (c)
            let wake = match self.slot.signal() {
                Signal::None => park(deadline),
                _ => Wake::Called,
            };
            match self.slot.signal() {
                Signal::HandedOff => return self.popped(),
                Signal::Search if self.slot.accept_search() => {
                    if let Some(next) = self.search(false) {
                        return next;
                    }
                    deadline = self.deadline(&mut pool.synced.lock(), since);
                }
                // It has been popped meanwhile.
                Signal::Search => {}
                Signal::None if wake == Wake::TimedOut => {
                    if let Some(next) = self.retire() {
                        return next;
                    }
                    let (now, spell) = (Instant::now(), pool.config.idle_timeout.max(MIN_TIMER));
                    let own = self.deadline(&mut pool.synced.lock(), now);
                    deadline = own.and(now.checked_add(spell));
                }
                Signal::None => deadline = self.deadline(&mut pool.synced.lock(), since),
            }
        }
    }

    /// Returns until when an actor sleeps that has been idle since then. Only the actor at
    /// the bottom of the idle stack has a deadline. Otherwise thousands would wake at the same
    /// moment and stand in line for the pool's lock. An actor looks before it sleeps whether
    /// it is at the bottom. If the bottom one leaves after that, it wakes the next, which
    /// looks again.
    fn deadline(&self, synced: &mut Synced<E>, since: Instant) -> Option<Instant> {
        let is_bottom = synced.idle.bottom()?.id == self.id;
        if is_bottom && self.pool.is_dynamic() {
            return since.checked_add(self.pool.config.idle_timeout);
        }
        None
    }

    /// Takes the actor off the idle stack. If it was at the bottom, wakes the actor that is
    /// there now, which has to set itself a deadline.
    fn leave_stack(&self, synced: &mut Synced<E>) -> Option<Idle> {
        let was_bottom = synced.idle.bottom()?.id == self.id;
        let idle = synced.idle.remove(self.id);
        if was_bottom && self.pool.is_dynamic() {
            if let Some(next) = synced.idle.bottom() {
                next.thread.unpark();
            }
        }
        idle
    }

    /// Takes what has been handed over, and gives up the searching. The actor has been popped:
    /// it is off the idle stack and has a searching.
    fn popped(&mut self) -> Next<E> {
        let next = self.take_over();
        let pool = self.pool;
        pool.counts.stops_searching();
        if pool.counts.load().should_notify() {
            pool.notify_if_work(pool.synced.lock());
        }
        next
    }

    /// Looks for work for a while, then gives the searching up. Between two looks other
    /// threads may run, even on the same processor: they may be the assigners. If that
    /// takes long, one more look is all. Under load the system runs a woken thread before
    /// one that keeps looking.
    fn search(&mut self, in_stream: bool) -> Option<Next<E>> {
        let pool = self.pool;
        let is_popped = || self.slot.signal() == Signal::HandedOff;
        if in_stream {
            spin_for(pool.spin.hold_off, is_popped);
        }
        let begin = Instant::now();
        while !is_popped() && !is_over(begin, SEARCH_TIME) {
            if pool.find_work().is_some() {
                if let Some(next) = self.take_as_idle(pool.synced.lock()) {
                    return Some(next);
                }
            }
            yield_now();
        }
        // (a), once more, and (b)
        let mut synced = pool.synced.lock();
        if self.slot.signal() != Signal::HandedOff {
            self.slot.set_signal(Signal::None);
            if let Some(idle) = synced.idle.get(self.id) {
                idle.searching = false;
            }
            pool.counts.stops_searching();
        }
        self.take_as_idle(synced)
    }

    /// Takes a work from any mailbox, and leaves the idle stack with it. If the actor has
    /// been popped meanwhile, does what a popped actor does.
    fn take_as_idle(&mut self, synced: MutexGuard<'_, Synced<E>>) -> Option<Next<E>> {
        if self.slot.signal() == Signal::HandedOff {
            drop(synced);
            return Some(self.popped());
        }
        let envelope = self.take_ready(&synced)?;
        Some(self.leave_idle(synced, envelope))
    }

    /// Takes a work from any mailbox, under the pool's lock.
    fn take_ready(&mut self, synced: &Synced<E>) -> Option<Envelope<E>> {
        while self.pool.find_ready(synced).is_some() {
            if let Some(envelope) = self.take_next() {
                return Some(envelope);
            }
        }
        None
    }

    /// Leaves the idle stack with a work from a mailbox. The place there is free before the
    /// actor ceases to be idle.
    fn leave_idle(
        &mut self,
        mut synced: MutexGuard<'_, Synced<E>>,
        envelope: Envelope<E>,
    ) -> Next<E> {
        let had_token = self
            .leave_stack(&mut synced)
            .is_some_and(|idle| idle.searching);
        self.slot.set_signal(Signal::None);
        self.pool.counts.actor_leaves_idle(had_token);
        self.pool.notify_if_work(synced);
        Next::Run(envelope)
    }

    // ---- Going --------------------------------------------------------

    /// Leaves a troupe that has more than its fewest actors. `None` if the actor stays, and
    /// is as idle as before.
    fn retire(&mut self) -> Option<Next<E>> {
        let pool = self.pool;
        let mut synced = pool.synced.lock();
        // Reserved actors do not count: the system may refuse their threads.
        if self.slot.signal() != Signal::None || synced.open <= pool.config.fewest() {
            return None;
        }
        let idle = self.leave_stack(&mut synced)?;
        // (1) From here on a sender sees that its work is late, or that the
        // troupe has one actor less.
        pool.close(&mut synced, self.id);
        let before = pool.counts.idle_actor_retires();
        // (2)
        if pool.find_ready(&synced).is_some() {
            pool.counts.idle_actor_stays();
            pool.open(&mut synced, self.id);
            synced.idle.push(idle);
            return self.take_as_idle(synced);
        }
        let exited = synced.take_exited();
        synced.release_id(self.id);
        synced.tally.retired += 1;
        drop(synced);
        if before.is_waited_for() {
            pool.waiters.wake_one();
        }
        // Otherwise threads would pile up until somebody joins.
        for thread in exited {
            drop_contained(thread.join());
        }
        Some(Next::Gone)
    }

    /// Leaves a troupe that is shutting down, unless there is work left.
    fn leave(&mut self, mut synced: MutexGuard<'_, Synced<E>>) -> Next<E> {
        let pool = self.pool;
        if !pool.is_halted() {
            if let Some(envelope) = self.take_ready(&synced) {
                return Next::Run(envelope);
            }
        }
        pool.close(&mut synced, self.id);
        self.slot.progress().step();
        synced.release_id(self.id);
        let is_last = pool.counts.actor_is_gone().live() == 1;
        pool.tell_if_idle(&mut synced);
        drop(synced);
        if is_last {
            pool.end();
        }
        Next::Gone
    }
}

//! An idle actor, which searches for a while and then sleeps until it is notified.

use super::{ActorLoop, Next};
use crate::pool::{Locked, Signal};
use crate::sync::{Duration, Instant, Wake, is_over, park, pause, spin_for, yield_now};
use crate::work::Envelope;

/// How long an idle actor searches for work.
const SEARCH_TIME: Duration = Duration::from_micros(15);

/// An actor that may not retire waits at least this long before it tries again.
const MIN_TIMER: Duration = Duration::from_millis(100);

impl<E> ActorLoop<'_, E> {
    /// Acts on having run out of work: spins if that may help, and then goes idle.
    pub(super) fn run_out(&mut self, in_stream: bool) -> Next<E> {
        if !in_stream && self.may_spin() {
            if let Some(envelope) = self.spin() {
                return Next::Run(envelope);
            }
        }
        self.go_idle(in_stream, false)
    }

    /// Returns `true` if the next work would be put into a mailbox, so spinning may help. An
    /// actor that has been idle since its last work does not spin.
    fn may_spin(&self) -> bool {
        let pool = self.pool;
        let now = pool.counts.load();
        !self.clock.is_rested()
            && pool.has_mailboxes()
            && now.live() == pool.config.max
            && !now.is_shutting_down()
    }

    /// Polls the mailbox that senders fill for a moment. The next work may be on its way, and
    /// going idle costs more.
    fn spin(&mut self) -> Option<Envelope<E>> {
        for _ in 0..self.pool.spin.spins {
            pause();
            if self.pool.holds_work(self.pool.cursors.fill().mailbox()) {
                if let Some(envelope) = self.take_next() {
                    return Some(envelope);
                }
            }
        }
        None
    }

    /// Goes idle, and stays so until there is work, or a reason to leave. `is_new` says that
    /// the actor was started without a work, and has not been idle yet.
    pub(super) fn go_idle(&mut self, in_stream: bool, is_new: bool) -> Next<E> {
        let since = self.clock.rest(self.slot.progress());
        let pool = self.pool;
        let mut locked = pool.lock();
        let now = pool.counts.load();
        if now.is_shutting_down() {
            locked.open(self.id);
            return self.leave(locked);
        }
        // IDLE-1. An actor that was started without a work looks for one under this lock, so
        // that nobody hands it another first.
        let searching = !is_new && now.searching() < pool.spin.searchers;
        let before = locked.go_idle(self.id, searching);
        // IDLE-2
        if !searching {
            let ready = locked.take_ready();
            if let Some(envelope) = self.taken(ready) {
                return self.leave_idle(locked, envelope);
            }
        }
        locked.tell_if_idle();
        let deadline = self.deadline(&mut locked, since);
        drop(locked);
        if before.is_waited_for() {
            pool.waiters.wake_one();
        }
        if searching {
            if let Some(next) = self.search(in_stream) {
                return next;
            }
        }
        self.sleep(since, deadline)
    }

    fn sleep(&mut self, since: Instant, mut deadline: Option<Instant>) -> Next<E> {
        let pool = self.pool;
        loop {
            // IDLE-3
            let wake = match self.slot.handoff().signal() {
                Signal::None => park(deadline),
                _ => Wake::Called,
            };
            match self.slot.handoff().signal() {
                Signal::HandedOff => return self.popped(),
                Signal::Search if self.slot.handoff().accept_search() => {
                    if let Some(next) = self.search(false) {
                        return next;
                    }
                    deadline = self.deadline(&mut pool.lock(), since);
                }
                // The actor has been popped meanwhile.
                Signal::Search => {}
                Signal::None if wake == Wake::TimedOut => {
                    if let Some(next) = self.retire() {
                        return next;
                    }
                    let (now, timer) = (Instant::now(), pool.config.idle_timeout.max(MIN_TIMER));
                    let own = self.deadline(&mut pool.lock(), now);
                    deadline = own.and(now.checked_add(timer));
                }
                Signal::None => deadline = self.deadline(&mut pool.lock(), since),
            }
        }
    }

    /// Returns the deadline for the sleep of an actor that has been idle since `since`.
    ///
    /// Only the actor at the bottom of the idle stack has one. Otherwise thousands would wake at
    /// the same moment and wait for the pool's lock. An actor checks before each sleep whether
    /// it is at the bottom. If the bottom actor leaves later, it wakes the next, which checks
    /// again.
    fn deadline(&self, locked: &mut Locked<'_, E>, since: Instant) -> Option<Instant> {
        if locked.is_bottom(self.id) && self.pool.is_dynamic() {
            return since.checked_add(self.pool.config.idle_timeout);
        }
        None
    }

    /// Takes what has been handed over, and stops counting as searching. The actor has been
    /// popped, so it is off the idle stack.
    fn popped(&mut self) -> Next<E> {
        let next = self.take_over();
        let pool = self.pool;
        pool.counts.stops_searching();
        if pool.counts.load().should_notify() {
            pool.lock().notify_if_work();
        }
        next
    }

    /// Searches for work for a while.
    ///
    /// It yields between two looks, since the senders may need the same processor. If a yield
    /// takes longer than the search may, only the last look follows. Under load the system runs
    /// a woken thread sooner than one that keeps looking.
    fn search(&mut self, in_stream: bool) -> Option<Next<E>> {
        let pool = self.pool;
        let is_popped = || self.slot.handoff().signal() == Signal::HandedOff;
        if in_stream {
            spin_for(pool.spin.hold_off, is_popped);
        }
        let begin = Instant::now();
        while !is_popped() && !is_over(begin, SEARCH_TIME) {
            if pool.find_work().is_some() {
                if let Some(next) = self.take_as_idle(pool.lock()) {
                    return Some(next);
                }
            }
            // This yield hides no race. The loop ends by the clock, and the look that must not
            // miss work comes after it.
            yield_now();
        }
        // IDLE-1 once more, and IDLE-2
        let mut locked = pool.lock();
        if self.slot.handoff().signal() != Signal::HandedOff {
            locked.stop_searching(self.id);
        }
        self.take_as_idle(locked)
    }

    /// Takes a work from any mailbox, and leaves the idle stack with it. If the actor has been
    /// popped meanwhile, takes what it has been handed instead.
    pub(super) fn take_as_idle(&mut self, locked: Locked<'_, E>) -> Option<Next<E>> {
        if self.slot.handoff().signal() == Signal::HandedOff {
            drop(locked);
            return Some(self.popped());
        }
        let ready = locked.take_ready();
        let envelope = self.taken(ready)?;
        Some(self.leave_idle(locked, envelope))
    }

    /// Leaves the idle stack with a work from a mailbox.
    fn leave_idle(&mut self, mut locked: Locked<'_, E>, envelope: Envelope<E>) -> Next<E> {
        locked.leave_idle(self.id);
        locked.notify_if_work();
        Next::Run(envelope)
    }
}

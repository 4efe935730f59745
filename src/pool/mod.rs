//! All parts of a troupe together, and the moves that several sides make: find,
//! take, wake.
//!
//! The arguments are in ARCHITECTURE.md.

pub(crate) mod bits;
pub(crate) mod counts;
pub(crate) mod idle;
pub(crate) mod mailbox;
pub(crate) mod room;
pub(crate) mod roster;
pub(crate) mod slot;
pub(crate) mod spin;
pub(crate) mod waiters;

use std::cell::Cell;

use crate::config::Config;
use crate::failure::Failure;
use crate::pool::bits::Bits;
use crate::pool::counts::CountsWord;
use crate::pool::roster::{Place, Synced};
use crate::pool::slot::{Signal, Slot};
use crate::pool::spin::SpinPolicy;
use crate::pool::waiters::Waiters;
use crate::stats::{ActorStats, Stats};
use crate::sync::atomics::{Padded, SeqCstWord, StripedCounter};
use crate::sync::{
    Arc, Condvar, Instant, Mutex, MutexGuard, OnceLock, processors, thread_local, troupe_number,
};
use crate::work::Envelope;

thread_local! {
    /// The number of the troupe that this thread is an actor of; zero if none.
    static MEMBER_OF: Cell<u64> = const { Cell::new(0) };
}

/// What came of an attempt to place a work.
#[must_use]
pub(crate) enum Placed<E> {
    /// The work is accepted.
    Yes,
    /// There is no room here.
    Full(Envelope<E>),
    /// The state is not what it was when the attempt began: look again.
    Retry(Envelope<E>),
}

/// The fill cursor at one moment: the mailbox that senders fill, and the number of this visit
/// to it, which rises with every move.
///
/// If the only room is in the mailbox that is being drained, senders fill that mailbox again
/// behind the last old work. It would never be empty while older works wait elsewhere. So a
/// sender that puts a work into the mailbox that is being drained marks the work with the
/// visit. An actor that takes a work of a visit that still lasts moves the drain cursor on:
/// all that is left there is younger than what waits elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit(u64);

/// A mailbox's number takes the lower bits: there are at most 32,767 actors.
const VISIT: u64 = 1 << 16;

impl Visit {
    #[inline]
    pub(crate) fn mailbox(self) -> usize {
        (self.0 % VISIT) as usize
    }

    /// The number of the visit, cut to what a envelope has room for. An old mark that happens
    /// to be the same moves the drain cursor once too early, no more.
    #[inline]
    pub(crate) fn mark(self) -> u32 {
        (self.0 / VISIT) as u32
    }

    fn next(self, mailbox: usize) -> Self {
        Self((self.0 / VISIT).wrapping_add(1).wrapping_mul(VISIT) + mailbox as u64)
    }
}

/// What deals with failures: the user's handler, wrapped so that this module
/// need not know what a handler is given.
pub(crate) trait OnFailure<E>: Send + Sync {
    /// Deals with a failure of the actor `id`, on that actor's thread.
    fn on_failure(&self, failure: Failure<E>, pool: &Arc<Pool<E>>, id: usize);
}

/// A troupe from inside. Shared by its owner, its handles and its actors.
pub(crate) struct Pool<E> {
    pub(crate) config: Config,
    /// A number that no other troupe of the process ever has.
    number: u64,
    /// When the troupe was built. Clock count from here.
    pub(crate) birth: Instant,
    pub(crate) spin: SpinPolicy,
    pub(crate) counts: CountsWord,
    /// Not zero once nothing may start any more. Actors check this before each work.
    halted: Padded<SeqCstWord>,
    /// The mailbox that senders fill at present, and the number of this visit: see [`Visit`].
    fill: Padded<SeqCstWord>,
    /// The mailbox that actors drain at present.
    drain: Padded<SeqCstWord>,
    /// By number. Each is made before the first start of an actor of its number, and boxed,
    /// because most troupes never have as many actors as they may.
    slots: Box<[OnceLock<Box<Slot<E>>>]>,
    /// Mailboxes that may hold work. A sender sets the bit after every send and before it
    /// loads the counts; a bit is cleared only under the pool's lock.
    ready: Bits,
    /// Mailboxes that may have room. A help, never a proof.
    pub(crate) with_room: Bits,
    pub(crate) synced: Mutex<Synced<E>>,
    /// Notified when the troupe is idle and somebody waits for that.
    pub(crate) is_idle: Condvar,
    /// Notified when `shutdown_now` has collected all that it returns.
    pub(crate) has_returned: Condvar,
    /// Notified when the troupe has ended, and when all its threads have been joined.
    pub(crate) has_ended: Condvar,
    /// Held by a thread that starts an actor. Says when a refused growth may be tried again.
    pub(crate) spawn_lock: Mutex<Option<Instant>>,
    pub(crate) waiters: Waiters,
    pub(crate) tallies: StripedCounter,
    /// Taken out by the last actor to leave.
    pub(crate) on_failure: Mutex<Option<Arc<dyn OnFailure<E>>>>,
}

impl<E> Pool<E> {
    pub(crate) fn new(config: Config, on_failure: Option<Arc<dyn OnFailure<E>>>) -> Self {
        let max = config.max;
        Self {
            number: troupe_number(),
            birth: Instant::now(),
            spin: SpinPolicy::of(processors()),
            counts: CountsWord::default(),
            halted: Padded::default(),
            // Zero is no visit's mark.
            fill: Padded(SeqCstWord::new(VISIT)),
            drain: Padded::default(),
            slots: (0..max).map(|_| OnceLock::new()).collect(),
            ready: Bits::new(max),
            with_room: Bits::new(max),
            synced: Mutex::new(Synced::new()),
            is_idle: Condvar::default(),
            has_returned: Condvar::default(),
            has_ended: Condvar::default(),
            spawn_lock: Mutex::new(None),
            waiters: Waiters::default(),
            tallies: StripedCounter::default(),
            on_failure: Mutex::new(on_failure),
            config,
        }
    }

    // ---- Slots --------------------------------------------------------

    /// The slot of this number, if it has been made.
    pub(crate) fn slot(&self, id: usize) -> Option<&Slot<E>> {
        self.slots
            .get(id)
            .and_then(OnceLock::get)
            .map(|slot| &**slot)
    }

    /// Makes the slot of the number that is given next, unless there is one. Must not be
    /// called under the pool's lock, since making a large mailbox takes long.
    pub(crate) fn make_next_slot(&self) {
        let id = self.synced.lock().next_id();
        if self.slots.get(id).is_some_and(|slot| slot.get().is_none()) {
            // If two threads make the same slot at the same time, the first one is kept.
            drop(self.slots[id].set(Box::new(Slot::new(self.config.mailbox_size))));
        }
    }

    /// Opens the slot of an actor whose thread exists, unless the slot is open. If the actor
    /// was started with a work, its starter or the actor itself does this, whichever comes
    /// first. Otherwise the actor does it at its first rest, once it counts as idle. A mailbox
    /// must not be counted full before the place of its actor is counted.
    pub(crate) fn open(&self, synced: &mut Synced<E>, id: usize) {
        let (entry, slot) = (&mut synced.entries[id], self.slot(id));
        let Some(slot) = slot.filter(|_| entry.place == Place::Reserved) else {
            return;
        };
        entry.place = Place::Open;
        synced.tally.grown += u64::from(std::mem::take(&mut entry.is_growth));
        synced.open += 1;
        synced.tally.peak = synced.tally.peak.max(synced.open);
        slot.gate.open();
        if self.has_mailboxes() {
            self.with_room.set(id);
        }
    }

    /// Closes the slot of an actor that leaves.
    pub(crate) fn close(&self, synced: &mut Synced<E>, id: usize) {
        let (entry, slot) = (&mut synced.entries[id], self.slot(id));
        if let Some(slot) = slot.filter(|_| entry.place == Place::Open) {
            entry.place = Place::Reserved;
            synced.open -= 1;
            slot.gate.close(&self.counts);
            self.with_room.clear(id);
        }
    }

    pub(crate) fn has_mailboxes(&self) -> bool {
        self.config.mailbox_size > 0
    }

    /// Returns `true` if the number of actors can change before shutdown.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.config.fewest() < self.config.max
    }

    // ---- Halt ---------------------------------------------------------

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load() != 0
    }

    /// Lets nothing start any more. Must be called under the pool's lock.
    pub(crate) fn halt(&self) {
        self.halted.store(1);
    }

    // ---- The fill cursor ----------------------------------------------

    #[inline]
    pub(crate) fn fill(&self) -> Visit {
        Visit(self.fill.load())
    }

    /// Moves the fill cursor on, unless another thread has done so. Returns the visit that
    /// this begins.
    pub(crate) fn move_fill(&self, from: Visit, to: usize) -> Visit {
        let next = from.next(to);
        self.fill.replace(from.0, next.0);
        next
    }

    /// The next mailbox behind `full` that may have room.
    pub(crate) fn find_room(&self, full: usize) -> Option<usize> {
        let open =
            |id: usize| id != full && self.slot(id).is_some_and(|slot| slot.gate.may_have_room());
        // The bits first. They can miss a mailbox for a moment, while a sender that found it
        // full makes sure.
        self.with_room.find(full, open).or_else(|| {
            let now = self.counts.load();
            let maybe = now.full() != now.live();
            maybe
                .then(|| (0..self.slots.len()).find(|id| open(*id)))
                .flatten()
        })
    }

    // ---- Finding work -------------------------------------------------

    /// Returns `true` if this mailbox holds work.
    pub(crate) fn holds_work(&self, id: usize) -> bool {
        self.slot(id).is_some_and(|slot| !slot.mailbox.is_empty())
    }

    /// Notes that a work has been put into this mailbox.
    #[inline]
    pub(crate) fn set_ready(&self, id: usize) {
        self.ready.set(id);
    }

    /// Returns a mailbox that holds work, as far as can be seen without the lock: the one that
    /// is being drained, else the next.
    pub(crate) fn find_work(&self) -> Option<usize> {
        let at = self.drain();
        if self.holds_work(at) {
            return Some(at);
        }
        self.ready.find(at, |id| self.holds_work(id))
    }

    /// Returns a mailbox that holds work, under the pool's lock. If there is none, the sender
    /// of each work that is in a mailbox has not loaded the state yet.
    pub(crate) fn find_ready(&self, _board: &Synced<E>) -> Option<usize> {
        self.ready.find(self.drain(), |id| {
            if self.holds_work(id) {
                return true;
            }
            if id == self.fill().mailbox() {
                // Senders would set the bit again at once, and its cache line would travel.
                return false;
            }
            // Clear, then look again: a sender may have seen the bit set before.
            self.ready.clear(id);
            let holds = self.holds_work(id);
            if holds {
                self.ready.set(id);
            }
            holds
        })
    }

    // ---- Taking work --------------------------------------------------

    /// The mailbox that actors drain at present.
    #[inline]
    pub(crate) fn drain(&self) -> usize {
        // Slot numbers fit: they are written here as usize.
        self.drain.load() as usize
    }

    /// Takes the next work, and returns it with the number of its mailbox. The mailboxes are
    /// drained one after the other, in the order in which they are filled.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<(usize, Envelope<E>)> {
        loop {
            let id = self.drain();
            if let Some(mut envelope) = self.take_from(id) {
                let fill = self.fill();
                if fill.mailbox() == id && envelope.header().visit == fill.mark() {
                    let holds_other = |other| other != id && self.holds_work(other);
                    let next = self.ready.find(id, holds_other);
                    self.move_drain(id, next.unwrap_or(id));
                }
                return Some((id, envelope));
            }
            let next = self.find_work();
            // Where there is no work, the next will come to the mailbox that is filled.
            self.move_drain(id, next.unwrap_or_else(|| self.fill().mailbox()));
            next?;
        }
    }

    /// Moves the drain cursor, unless another thread has done so.
    fn move_drain(&self, from: usize, to: usize) {
        if from != to {
            self.drain.replace(from as u64, to as u64);
        }
    }

    /// Takes the oldest work of a mailbox, and frees its place.
    #[inline(always)]
    pub(crate) fn take_from(&self, id: usize) -> Option<Envelope<E>> {
        let slot = self.slot(id)?;
        let envelope = slot.mailbox.take()?;
        if slot.gate.is_shut() {
            self.open_gate(id, slot);
        }
        Some(envelope)
    }

    /// Opens the gate of a mailbox from which a work has been taken.
    #[cold]
    fn open_gate(&self, id: usize, slot: &Slot<E>) {
        if let Some(before) = slot.gate.on_take(&self.counts) {
            self.with_room.set(id);
            if before.is_waited_for() {
                self.waiters.wake_one();
            }
        }
    }

    // ---- Waking -------------------------------------------------------

    /// Wakes the most recently idle actor to search, if work is waiting, an actor is idle, and
    /// none has a searching. An actor that leaves the idle stack with a work does this, too, so
    /// waiting work wakes one actor after the other, not a herd.
    #[cold]
    pub(crate) fn notify_if_work(&self, mut synced: MutexGuard<'_, Synced<E>>) {
        if !self.counts.load().should_notify() || self.find_ready(&synced).is_none() {
            return;
        }
        let Some(idle) = synced.idle.top() else {
            return;
        };
        idle.searching = true;
        self.counts.starts_searching();
        if let Some(slot) = self.slot(idle.id) {
            slot.set_signal(Signal::Search);
        }
        let thread = idle.thread.clone();
        drop(synced);
        thread.unpark();
    }

    // ---- The waits of wait_idle ---------------------------------------

    /// Wakes the callers that wait in `wait_idle` if the troupe is idle at this instant. Called
    /// wherever that can have become true: an actor has gone idle or has left, a reservation
    /// has been undone, or a late sender has emptied a mailbox.
    pub(crate) fn tell_if_idle(&self, synced: &mut Synced<E>) {
        if synced.idle_callers > 0 && self.is_idle_now(synced) {
            synced.idle_instants += 1;
            self.is_idle.notify_all();
        }
    }

    /// Returns `true` if every actor is idle and no accepted work is in a mailbox.
    pub(crate) fn is_idle_now(&self, synced: &Synced<E>) -> bool {
        let now = self.counts.load();
        now.idle() == now.live() && self.find_ready(synced).is_none()
    }

    // ---- Who is asking ------------------------------------------------

    /// Marks the calling thread as one of this troupe's.
    pub(crate) fn adopt_thread(&self) {
        MEMBER_OF.with(|member| member.set(self.number));
    }

    /// Returns `true` if the calling thread is one of this troupe's.
    pub(crate) fn is_own_thread(&self) -> bool {
        MEMBER_OF.with(Cell::get) == self.number
    }

    // ---- Snapshots ----------------------------------------------------

    pub(crate) fn stats(&self) -> Stats {
        // Of all actors, finished works are read first, then running ones, then waiting ones.
        // A work that moves on meanwhile is missed rather than counted twice. This is done
        // without the lock, since it takes a time in proportion to the number of actors.
        let entries = self.synced.lock().entries.len();
        let slots = || (0..entries).filter_map(|id| self.slot(id));
        let mut stats = Stats {
            refused: self.tallies.refused(),
            capacity: self.config.max * (self.config.mailbox_size + 1),
            ..Stats::default()
        };
        for slot in slots() {
            stats.completed += slot.progress().completed.get();
            stats.failed += slot.progress().failed.get();
            stats.panicked += slot.progress().panicked.get();
            stats.handler_panics += slot.progress().handler_panics.get();
            stats.shared += slot.progress().shared.get();
        }
        let running = slots().filter(|slot| slot.progress().is_running()).count();
        let held: usize = slots()
            .map(|slot| {
                // A retry shares the place of the failed work, which is still running.
                let in_hand = !slot.progress().is_running() && !slot.is_handoff_empty();
                slot.mailbox.len() + usize::from(in_hand)
            })
            .sum();
        let mut synced = self.synced.lock();
        stats.idle = self.counts.load().idle();
        stats.actors = synced.open;
        let tally = &mut synced.tally;
        stats.returned = tally.returned;
        stats.grown = tally.grown;
        stats.retired = tally.retired;
        stats.spawn_failures = tally.spawn_failures;
        stats.peak = tally.peak;
        // A work can be taken, and even finished, before its sender has counted it. What
        // has begun has been accepted, though.
        let finished = stats.completed + stats.failed + stats.panicked + stats.returned;
        let begun = finished + running as u64;
        stats.accepted = tally.accepted.max(self.tallies.accepted()).max(begun);
        tally.accepted = stats.accepted;
        // Some may have come to an end since they were seen running.
        stats.running = running.min(stats.actors - stats.idle);
        // A work that has not begun and is not counted may still go back to its sender.
        let waiting = usize::try_from(stats.accepted - begun).unwrap_or(usize::MAX);
        stats.queued = held.min(waiting).min(stats.capacity - stats.running);
        stats
    }

    pub(crate) fn actors(&self) -> Vec<ActorStats> {
        let ids: Vec<usize> = self.synced.lock().occupied().collect();
        ids.into_iter()
            .filter_map(|id| Some((id, self.slot(id)?)))
            .filter(|(_, slot)| !slot.gate.generation().is_vacant())
            .map(|(id, slot)| self.actor_stats(id, slot))
            .collect()
    }

    pub(crate) fn actor_stats(&self, id: usize, slot: &Slot<E>) -> ActorStats {
        ActorStats {
            id,
            is_busy: slot.progress().is_running(),
            queued: slot.mailbox.len(),
            finished: slot.progress().finished(),
            last_accepted: slot.progress().last_accepted(self.birth),
            last_finished: slot.progress().last_finished(self.birth),
        }
    }
}

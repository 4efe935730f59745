//! The data that the threads of a troupe share, and how work is found and taken.
//!
//! README.md in this folder argues that no work is lost.

mod bits;
mod callers;
mod counts;
mod cursors;
mod handoff;
mod hooks;
mod idle;
mod lines;
mod locked;
mod mailbox;
mod recall;
mod report;
mod room;
mod roster;
mod slot;
mod snapshot;
mod spin;
mod waiters;

pub use self::counts::Counts;
pub use self::cursors::Visit;
pub use self::handoff::Signal;
pub use self::hooks::Hooks;
pub use self::idle::Idle;
pub use self::lines::PassedOn;
pub use self::locked::{Locked, Reserved, Retired};
pub use self::room::Generation;
pub use self::slot::{Progress, Slot};

use self::bits::Bits;
use self::callers::Events;
use self::counts::CountsWord;
use self::cursors::Cursors;
use self::lines::Lines;
use self::locked::Synced;
use self::room::Room;
use self::spin::SpinPolicy;
use self::waiters::Waiters;
use crate::config::Config;
use crate::failure::Failure;
use crate::member;
use crate::sync::atomics::{Padded, SeqCstWord, StripedCounter};
use crate::sync::{Arc, Instant, Mutex, OnceLock, processors, troupe_number};
use crate::work::{Envelope, Label};

/// The user's error handler, wrapped by a module that knows the arguments of a handler.
pub trait OnFailure<E>: Send + Sync {
    /// Deals with a failure, on the thread of the actor that has run the work.
    fn on_failure(&self, failure: Failure<E>, pool: &Arc<Pool<E>>, origin: &Origin);
}

/// Where a failure has come from.
pub struct Origin {
    /// The number of the actor.
    pub actor: usize,
    /// The label of the work.
    pub label: Option<Label>,
    /// The key whose turn the work has had.
    pub key: Option<u64>,
}

/// The shared part of a troupe. The troupe, its handles and its actors own it together.
pub struct Pool<E> {
    pub config: Config,
    /// A number that no other troupe of the process ever has.
    number: u64,
    /// When the troupe was built. Time stamps count from here.
    pub built: Instant,
    pub spin: SpinPolicy,
    pub counts: CountsWord,
    /// Not zero once nothing may start any more. Actors check this before each work.
    halted: Padded<SeqCstWord>,
    /// The places where senders put work and where actors take it.
    pub cursors: Cursors,
    /// The slots, by number. Each is made before the first start of an actor of its number. They
    /// are boxed, because most troupes never have as many actors as they may.
    slots: Box<[OnceLock<Box<Slot<E>>>]>,
    /// Works that wait for their keys.
    lines: Lines<E>,
    /// Mailboxes that may hold work, and one bit for the works at their turn. A sender sets the
    /// bit after every send and before it loads the counts. A bit is cleared only under the pool's
    /// lock.
    ready: Bits,
    /// The mailboxes that may have room.
    pub room: Room,
    synced: Mutex<Synced<E>>,
    pub events: Events,
    /// Held by a thread that starts an actor. Contains the instant at which a refused growth may
    /// be tried again.
    pub spawn_lock: Mutex<Option<Instant>>,
    pub waiters: Waiters,
    /// How many works have been accepted and refused.
    pub tallies: StripedCounter,
    /// The functions that the threads of actors run first and last. Each thread has them until
    /// it ends.
    pub hooks: Mutex<Option<Arc<Hooks>>>,
    /// How many hooks and subscribers have panicked.
    other_panics: SeqCstWord,
    /// Taken out by the last actor to leave.
    pub on_failure: Mutex<Option<Arc<dyn OnFailure<E>>>>,
}

impl<E> Pool<E> {
    pub fn new(config: Config, on_failure: Option<Arc<dyn OnFailure<E>>>, hooks: Hooks) -> Self {
        let max = config.max;
        Self {
            number: troupe_number(),
            built: Instant::now(),
            spin: SpinPolicy::of(processors()),
            counts: CountsWord::default(),
            halted: Padded::default(),
            cursors: Cursors::new(),
            slots: (0..max).map(|_| OnceLock::new()).collect(),
            lines: Lines::new(config.places_in_line()),
            ready: Bits::new(max + 1),
            room: Room::new(max),
            synced: Mutex::new(Synced::new()),
            events: Events::default(),
            spawn_lock: Mutex::new(None),
            waiters: Waiters::default(),
            tallies: StripedCounter::default(),
            hooks: Mutex::new(Some(Arc::new(hooks))),
            other_panics: SeqCstWord::default(),
            on_failure: Mutex::new(on_failure),
            config,
        }
    }

    // ---- Slots --------------------------------------------------------

    /// Returns the slot of this number, if it has been made.
    pub fn slot(&self, id: usize) -> Option<&Slot<E>> {
        self.slots
            .get(id)
            .and_then(OnceLock::get)
            .map(|slot| &**slot)
    }

    /// Makes the slot of the next number, unless there is one. Must not be called under the
    /// pool's lock, since making a large mailbox takes long.
    pub fn make_next_slot(&self) {
        let id = self.lock().next_id();
        if self.slots.get(id).is_some_and(|slot| slot.get().is_none()) {
            // If two threads make the same slot at the same time, the first one is kept.
            drop(self.slots[id].set(Box::new(Slot::new(self.config.mailbox_size))));
        }
    }

    pub fn has_mailboxes(&self) -> bool {
        self.config.mailbox_size > 0
    }

    /// Returns `true` if the number of actors can change before shutdown.
    pub fn is_dynamic(&self) -> bool {
        self.config.fewest() < self.config.max
    }

    /// Returns `true` once nothing may start any more.
    #[inline]
    pub fn is_halted(&self) -> bool {
        self.halted.load() != 0
    }

    // ---- Finding room -------------------------------------------------

    /// Returns the next mailbox after `full` that may have room.
    pub fn find_room(&self, full: usize) -> Option<usize> {
        self.room.find(full, &self.counts, self.slots.len(), |id| {
            self.slot(id).is_some_and(|slot| slot.gate.may_have_room())
        })
    }

    // ---- Finding and taking work --------------------------------------

    /// Returns `true` if this mailbox holds work.
    pub fn holds_work(&self, id: usize) -> bool {
        match self.slot(id) {
            Some(slot) => !slot.mailbox.is_empty(),
            None => id == self.turns() && self.lines.holds_work(),
        }
    }

    /// Notes that a work has been put into this mailbox.
    #[inline]
    pub fn set_ready(&self, id: usize) {
        self.ready.set(id);
    }

    /// Returns the mailbox that is being drained if it holds work, and otherwise the next that
    /// does. Without the lock, this may miss work that has just been sent.
    pub fn find_work(&self) -> Option<usize> {
        let at = self.cursors.drain();
        if self.holds_work(at) {
            return Some(at);
        }
        self.ready.find(at, |id| self.holds_work(id))
    }

    /// Takes the next work, and returns it with the number of its mailbox. The mailboxes are
    /// drained one after the other, in the order in which they are filled.
    #[inline]
    pub fn take_next(&self) -> Option<(usize, Envelope<E>)> {
        let cursors = &self.cursors;
        loop {
            let id = cursors.drain();
            if let Some(mut envelope) = self.take_from(id) {
                let fill = cursors.fill();
                if fill.mailbox() == id && envelope.header().visit == fill.mark() {
                    let holds_other = |other| other != id && self.holds_work(other);
                    let next = self.ready.find(id, holds_other);
                    cursors.move_drain(id, next.unwrap_or(id));
                }
                return Some((id, envelope));
            }
            let next = self.find_work();
            // If there is no work, the next work will come to the mailbox that is being filled.
            cursors.move_drain(id, next.unwrap_or_else(|| cursors.fill().mailbox()));
            next?;
        }
    }

    /// Takes the oldest work of a mailbox, and frees its place.
    #[inline(always)]
    pub fn take_from(&self, id: usize) -> Option<Envelope<E>> {
        let Some(slot) = self.slot(id) else {
            return (id == self.turns()).then(|| self.take_at_turn()).flatten();
        };
        let envelope = slot.mailbox.take()?;
        if slot.gate.is_shut() {
            self.open_gate(id, slot);
        }
        Some(envelope)
    }

    /// Opens the gate of a mailbox from which a work has been taken.
    #[cold]
    fn open_gate(&self, id: usize, slot: &Slot<E>) {
        if let Some(before) = self.room.on_take(id, &slot.gate, &self.counts) {
            if before.is_waited_for() {
                self.waiters.wake_one();
            }
        }
    }

    // ---- The calling thread -------------------------------------------

    /// A number that no other troupe of the process ever has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns `true` if the calling thread is one of this troupe's.
    pub fn is_own_thread(&self) -> bool {
        member::is_of(self.number)
    }
}

//! All parts of a troupe together, and the moves that assigners and actors
//! both make: send, find, wake.
//!
//! Every handshake between the two sides goes through here; the arguments are
//! in ARCHITECTURE.md, and the steps are numbered as there.

use std::cell::Cell;

use crate::atomics::{Announced, Padded, Striped};
use crate::board::{Board, Idle};
use crate::config::{Config, Mode};
use crate::failure::Failure;
use crate::hints::Hints;
use crate::slot::{Call, Slot, is_vacant};
use crate::state::State;
use crate::stats::{ActorStats, Stats};
use crate::sync::{Arc, Condvar, Instant, Mutex, OnceLock, Thread, processors, thread_local};
use crate::waiters::Waiters;
use crate::work::Letter;

thread_local! {
    /// The address of the stage that this thread is an actor of; zero if none.
    static MEMBER_OF: Cell<usize> = const { Cell::new(0) };
}

/// What deals with failures: the user's handler, wrapped so that this module
/// need not know what a handler is given.
pub(crate) trait OnFailure<E>: Send + Sync {
    /// Deals with a failure of the actor `id`, on that actor's thread.
    fn on_failure(&self, failure: Failure<E>, stage: &Arc<Stage<E>>, id: usize);
}

/// A troupe from inside. Shared by its owner, its handles and its actors.
pub(crate) struct Stage<E> {
    pub(crate) config: Config,
    /// When it was built; stamps count from here.
    pub(crate) birth: Instant,
    /// Then spinning only keeps others from running.
    pub(crate) has_one_processor: bool,
    pub(crate) state: State,
    /// Not zero once nothing may start any more. Actors look at it before each work.
    halted: Padded<Announced>,
    /// The mailbox that assigners fill at present.
    cursor: Padded<Announced>,
    /// By number; filled at the first birth of that number. Boxed, because most
    /// troupes never have as many actors as they may.
    slots: Box<[OnceLock<Box<Slot<E>>>]>,
    /// Mailboxes that may hold work, besides the cursor's.
    pub(crate) work_hints: Hints,
    /// Mailboxes that may have room.
    room_hints: Hints,
    pub(crate) board: Mutex<Board<E>>,
    /// Something on the board has changed that somebody may wait for: the
    /// end, a filed thread, a wait that is over, the initial actors at rest.
    pub(crate) changed: Condvar,
    /// Held by who grows. Tells when a refused growth may be tried again.
    pub(crate) nursery: Mutex<Option<Instant>>,
    pub(crate) waiters: Waiters,
    pub(crate) counts: Striped,
    /// Taken out by the last actor to leave.
    pub(crate) on_failure: Mutex<Option<Arc<dyn OnFailure<E>>>>,
}

impl<E> Stage<E> {
    pub(crate) fn new(config: Config, on_failure: Option<Arc<dyn OnFailure<E>>>) -> Self {
        let max = config.max;
        Self {
            birth: Instant::now(),
            has_one_processor: processors() < 2,
            state: State::default(),
            halted: Padded::default(),
            cursor: Padded::default(),
            slots: (0..max).map(|_| OnceLock::new()).collect(),
            work_hints: Hints::new(max),
            room_hints: Hints::new(max),
            board: Mutex::new(Board::new()),
            changed: Condvar::default(),
            nursery: Mutex::new(None),
            waiters: Waiters::default(),
            counts: Striped::default(),
            on_failure: Mutex::new(on_failure),
            config,
        }
    }

    // ---- Slots --------------------------------------------------------

    /// The slot of this number, if there has ever been an actor in it.
    pub(crate) fn slot(&self, id: usize) -> Option<&Slot<E>> {
        self.slots
            .get(id)
            .and_then(OnceLock::get)
            .map(|slot| &**slot)
    }

    /// The slot of this number, made if need be. Under the board's lock.
    pub(crate) fn furnish(&self, id: usize) -> &Slot<E> {
        self.slots[id].get_or_init(|| Box::new(Slot::new(self.config.mailbox_size)))
    }

    /// Opens the slot of an actor that is there, unless it is open. If it was
    /// born with a work, whoever comes first does this: who started its thread,
    /// or the actor itself, before it does anything else on the board. If not,
    /// the actor does, at its first rest.
    pub(crate) fn open(&self, board: &mut Board<E>, id: usize) {
        let Some(slot) = self.slot(id).filter(|slot| is_vacant(slot.tenancy())) else {
            return;
        };
        slot.set_vacant(false);
        slot.gate.open();
        if self.has_mailboxes() {
            self.room_hints.set(id);
        }
        board.open += 1;
        board.tally.peak = board.tally.peak.max(board.open);
        board.tally.grown += u64::from(std::mem::take(&mut board.seats[id].uncounted));
    }

    /// Closes the slot of an actor that leaves.
    pub(crate) fn close(&self, board: &mut Board<E>, id: usize) {
        if let Some(slot) = self.slot(id) {
            slot.set_vacant(true);
            slot.gate.close(&self.state);
            self.room_hints.clear(id);
            board.open -= 1;
        }
    }

    pub(crate) fn has_mailboxes(&self) -> bool {
        self.config.mailbox_size > 0
    }

    /// Can the number of actors change before shutdown?
    pub(crate) fn is_dynamic(&self) -> bool {
        self.config.mode == Mode::Dynamic
    }

    // ---- Halt ---------------------------------------------------------

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load() != 0
    }

    /// Under the board's lock.
    pub(crate) fn halt(&self) {
        self.halted.store(1);
    }

    // ---- The cursor ---------------------------------------------------

    pub(crate) fn cursor(&self) -> usize {
        // Slot numbers fit: they are written here as usize.
        self.cursor.load() as usize
    }

    /// Moves the cursor on, unless somebody has done so. What it leaves behind
    /// stays findable; whoever moves it goes on to place a work or to find that
    /// nobody is idle, so nobody need be woken here.
    pub(crate) fn move_cursor(&self, from: usize, to: usize) {
        // Before the move, for who looks from now on at the hints only.
        self.hint_at_work(from);
        if self.cursor.replace(from as u64, to as u64) {
            // And after it: a looker may have cleared the hint just before an
            // assigner that still saw the cursor here sent another work.
            self.hint_at_work(from);
        }
    }

    /// A mailbox other than `full` that may have room.
    pub(crate) fn find_room(&self, full: usize) -> Option<usize> {
        let open =
            |id: usize| id != full && self.slot(id).is_some_and(|slot| slot.gate.may_have_room());
        // The hints first. They can miss one for a moment, while a sender that
        // found it full is at work there.
        self.room_hints.find(full, open).or_else(|| {
            let now = self.state.load();
            let maybe = now.full() != now.live();
            maybe
                .then(|| (0..self.slots.len()).find(|id| open(*id)))
                .flatten()
        })
    }

    pub(crate) fn hint_room(&self, id: usize) {
        self.room_hints.set(id);
    }

    pub(crate) fn unhint_room(&self, id: usize) {
        self.room_hints.clear(id);
    }

    // ---- Finding and taking work --------------------------------------

    /// Does this mailbox hold work?
    pub(crate) fn holds_work(&self, id: usize) -> bool {
        self.slot(id).is_some_and(|slot| !slot.mailbox.is_empty())
    }

    /// Hints at this mailbox if it holds work. True if it does.
    pub(crate) fn hint_at_work(&self, id: usize) -> bool {
        let holds = self.holds_work(id);
        if holds {
            self.work_hints.set(id);
        }
        holds
    }

    /// A mailbox that holds work. The cursor's is looked at first: what moves
    /// the cursor away has set a hint before.
    pub(crate) fn find_work(&self) -> Option<usize> {
        let cursor = self.cursor();
        if self.holds_work(cursor) {
            return Some(cursor);
        }
        self.next_hinted(cursor)
    }

    /// The first mailbox after `start`, going round, that is hinted at and holds
    /// work. An actor that asks and is not idle passes on afterwards.
    pub(crate) fn next_hinted(&self, start: usize) -> Option<usize> {
        self.work_hints.find(start, |id| {
            if self.holds_work(id) {
                return true;
            }
            // Clear, then look again: a send between would not be hinted at. Nor can its
            // sender find it meanwhile.
            self.work_hints.clear(id);
            self.hint_at_work(id)
        })
    }

    /// Takes the oldest work of a mailbox, and gives its place free.
    #[inline(always)]
    pub(crate) fn take_from(&self, id: usize) -> Option<Letter<E>> {
        let slot = self.slot(id)?;
        let letter = slot.mailbox.take()?;
        if slot.gate.is_shut() {
            self.open_gate(id, slot);
        }
        Some(letter)
    }

    /// A work has been taken from a mailbox whose gate was not open.
    #[cold]
    fn open_gate(&self, id: usize, slot: &Slot<E>) {
        if let Some(before) = slot.gate.taken(&self.state) {
            self.room_hints.set(id);
            if before.is_waited_for() {
                self.waiters.wake_one();
            }
        }
    }

    // ---- Waking -------------------------------------------------------

    /// Wakes an actor if one is idle, nobody is on the way to look, and there is
    /// something to be found: step (3) of a sender, and what an actor does that
    /// leaves the idle ones with a work.
    pub(crate) fn pass_on(&self) {
        if self.state.load().wants_waking() && self.find_work().is_some() {
            self.wake();
        }
    }

    /// Gives a token to the most recently idle actor, if nobody has one.
    pub(crate) fn wake(&self) {
        let mut board = self.board.lock();
        if !self.state.load().wants_waking() {
            return;
        }
        let Some(idle) = board.idle.last_mut() else {
            return;
        };
        let thread = self.call_to_search(idle);
        drop(board);
        thread.unpark();
    }

    /// Gives a token to an idle actor that has none. Its thread is to be woken.
    pub(crate) fn call_to_search(&self, idle: &mut Idle) -> Thread {
        idle.token = true;
        idle.rests_for_good = false;
        self.state.give_token();
        if let Some(slot) = self.slot(idle.id) {
            slot.set_call(Call::Search);
        }
        idle.thread.clone()
    }

    // ---- The waits of wait_idle ---------------------------------------

    /// Tells those that wait in `wait_idle` if the troupe is idle at this instant. Called
    /// wherever that can have become true: an actor has gone idle or has left, a
    /// reservation has been undone, a sender has taken its work back.
    pub(crate) fn tell_if_idle(&self, board: &mut Board<E>) {
        if board.idle_callers > 0 && self.is_idle(board) {
            board.idle_instants += 1;
            self.changed.notify_all();
        }
    }

    /// Is every actor idle and every mailbox empty?
    pub(crate) fn is_idle(&self, board: &Board<E>) -> bool {
        let now = self.state.load();
        now.idle() == now.live() && !(0..board.seats.len()).any(|id| self.holds_work(id))
    }

    // ---- Who is asking ------------------------------------------------

    /// Makes the calling thread known as one of this troupe's.
    pub(crate) fn adopt_thread(&self) {
        MEMBER_OF.with(|member| member.set(self.address()));
    }

    /// Is the calling thread one of this troupe's?
    pub(crate) fn is_own_thread(&self) -> bool {
        MEMBER_OF.with(Cell::get) == self.address()
    }

    fn address(&self) -> usize {
        (&raw const *self).addr()
    }

    // ---- Snapshots ----------------------------------------------------

    pub(crate) fn stats(&self) -> Stats {
        let mut board = self.board.lock();
        let now = self.state.load();
        let tally = &board.tally;
        let mut stats = Stats {
            returned: tally.returned,
            grown: tally.grown,
            retired: tally.retired,
            spawn_failures: tally.spawn_failures,
            idle: now.idle(),
            capacity: self.config.max * (self.config.mailbox_size + 1),
            refused: self.counts.refused(),
            ..Stats::default()
        };
        // What has been finished is read before what runs, and that before what
        // waits, each of all actors: a work on its way from one to the next is
        // then missed rather than counted twice.
        let slots = || (0..board.seats.len()).filter_map(|id| self.slot(id));
        for slot in slots() {
            stats.completed += slot.told().completed.get();
            stats.failed += slot.told().failed.get();
            stats.panicked += slot.told().panicked.get();
            stats.handler_panics += slot.told().handler_panics.get();
            stats.shared += slot.told().shared.get();
        }
        stats.running = slots().filter(|slot| slot.told().is_running()).count();
        // What has been put where no actor is yet, or is any more, or into a
        // halted troupe, may still go back to its sender.
        let is_halted = self.is_halted();
        for slot in slots().filter(|slot| !is_halted && !is_vacant(slot.tenancy())) {
            let in_hand = !slot.told().is_running() && !slot.is_hand_empty();
            stats.queued += slot.mailbox.len() + usize::from(in_hand);
        }
        // An actor that ran a moment ago may hold another work by now.
        stats.queued = stats.queued.min(stats.capacity - stats.running);
        // One can run its first work before its slot is open.
        stats.actors = board.open.max(stats.idle).max(stats.running);
        board.tally.peak = board.tally.peak.max(stats.actors);
        stats.peak = board.tally.peak;
        // A work can be taken, and even finished, before its sender has counted
        // it. All that has been seen of it has been accepted, though.
        let finished = stats.completed + stats.failed + stats.panicked + stats.returned;
        let seen = finished + (stats.running + stats.queued) as u64;
        stats.accepted = board.tally.accepted.max(self.counts.accepted()).max(seen);
        board.tally.accepted = stats.accepted;
        stats
    }

    pub(crate) fn actors(&self) -> Vec<ActorStats> {
        let board = self.board.lock();
        board
            .occupied()
            .filter_map(|id| self.slot(id).map(|slot| (id, slot)))
            .filter(|(_, slot)| !is_vacant(slot.tenancy()))
            .map(|(id, slot)| self.actor_stats(id, slot))
            .collect()
    }

    pub(crate) fn actor_stats(&self, id: usize, slot: &Slot<E>) -> ActorStats {
        ActorStats {
            id,
            is_busy: slot.told().is_running() || !slot.is_hand_empty(),
            queued: slot.mailbox.len(),
            finished: slot.told().finished(),
            last_accepted: slot.told().last_accepted(self.birth),
            last_finished: slot.told().last_finished(self.birth),
        }
    }
}

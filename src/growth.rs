//! A new actor: the reservation, the spawn, and the way back if the system
//! refuses.

use std::io;

use crate::actor_loop::live;
use crate::slot::Call;
use crate::stage::Stage;
use crate::sync::{Arc, Duration, Instant, has_passed, spawn};
use crate::work::Letter;

/// How long a troupe that has an actor does without another after the system
/// has refused it one.
const PATIENCE: Duration = Duration::from_millis(100);

/// What came of a growth.
#[must_use]
pub(crate) enum Growth<E> {
    /// A new actor has the work.
    Grown,
    /// The troupe need not or cannot grow at present: look again.
    Again(Letter<E>),
    /// There is no actor, and the system refused one.
    Refused(Letter<E>, io::Error),
}

impl<E: Send + 'static> Stage<E> {
    /// Is it time to ask the system again, after a refusal?
    pub(crate) fn may_grow_again(&self) -> bool {
        self.nursery
            .lock()
            .is_none_or(|patience| Instant::now() >= patience)
    }

    /// Starts a new actor with this work in its hand.
    pub(crate) fn grow(self: &Arc<Self>, mut letter: Letter<E>) -> Growth<E> {
        let mut patience = self.nursery.lock();
        let mut board = self.board.lock();
        let now = self.state.load();
        let too_soon = now.live() > 0 && patience.is_some_and(|patience| !has_passed(patience));
        if now.is_shutting_down() || now.idle() > 0 || now.live() >= self.config.max || too_soon {
            return Growth::Again(letter);
        }
        let (id, birth) = board.occupy();
        board.spawning += 1;
        let slot = self.furnish(id);
        board.rounds.mark(&mut letter);
        board.rounds.holds_nothing(id);
        // The hand of an actor that is not there yet is empty.
        let refused = slot.put_in_hand(letter, || false);
        debug_assert!(refused.is_ok(), "nobody refuses");
        slot.set_call(Call::Popped);
        let peak = self.state.reserve().live() + 1;
        drop(board);

        let spawned = self.start(id);

        let mut board = self.board.lock();
        board.spawning -= 1;
        let growth = match spawned {
            Ok(thread) => {
                if board.file(id, birth, thread) {
                    self.open(id);
                }
                board.tally.grown += 1;
                board.tally.peak = board.tally.peak.max(peak);
                if patience.take().is_some() {
                    self.state.growth_granted();
                }
                Growth::Grown
            }
            Err(error) => {
                board.tally.spawn_failures += 1;
                slot.set_call(Call::None);
                // In place of the actor that was not born: nothing is begun.
                slot.told.step();
                board.vacate(id);
                board.rounds.holds_nothing(id);
                self.end_round_if_over(&mut board);
                let before = self.state.actor_is_gone();
                let last = before.live() == 1;
                if !last {
                    *patience = Instant::now().checked_add(PATIENCE);
                    self.state.growth_refused();
                }
                let letter = slot.take_from_hand();
                self.changed.notify_all();
                drop(board);
                if last && before.is_shutting_down() {
                    self.end();
                }
                return match letter {
                    Some(letter) if last && !before.is_shutting_down() => {
                        Growth::Refused(letter, error)
                    }
                    Some(letter) => Growth::Again(letter),
                    // `shutdown_now` has returned it.
                    None => Growth::Grown,
                };
            }
        };
        self.changed.notify_all();
        drop(board);
        drop(patience);
        // Its mailbox is room.
        if self.has_mailboxes() && self.state.load().is_waited_for() {
            self.waiters.wake_one();
        }
        growth
    }

    /// Starts one of the actors that a troupe begins with.
    pub(crate) fn grow_initial(self: &Arc<Self>) -> Result<(), (String, io::Error)> {
        let mut board = self.board.lock();
        let (id, birth) = board.occupy();
        self.furnish(id);
        board.awaited += 1;
        board.spawning += 1;
        let peak = self.state.reserve().live() + 1;
        drop(board);

        let spawned = self.start(id);

        let mut board = self.board.lock();
        board.spawning -= 1;
        match spawned {
            Ok(thread) => {
                if board.file(id, birth, thread) {
                    self.open(id);
                }
                board.tally.peak = board.tally.peak.max(peak);
                Ok(())
            }
            Err(error) => {
                board.awaited -= 1;
                board.vacate(id);
                self.state.actor_is_gone();
                Err((self.config.name_of(id), error))
            }
        }
    }

    /// Waits until every initial actor has come to rest: from then on each
    /// counts as idle.
    pub(crate) fn await_initial(&self) {
        let mut board = self.board.lock();
        while board.awaited > 0 {
            let _: crate::sync::Wake = self.changed.wait(&mut board, None);
        }
    }

    fn start(self: &Arc<Self>, id: usize) -> io::Result<crate::sync::JoinHandle<()>> {
        let stage = Arc::clone(self);
        spawn(self.config.name_of(id), self.config.stack_size, move || {
            live(&stage, id);
        })
    }
}

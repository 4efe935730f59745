//! A new actor: the reservation, the spawn, and the way back if the system
//! refuses.

use std::io;

use crate::actor_loop::live;
use crate::board::Board;
use crate::error::AssignError;
use crate::slot::Slot;
use crate::stage::{Sent, Stage};
use crate::state::Snapshot;
use crate::sync::{Arc, Instant, MutexGuard, PATIENCE, has_passed, spawn};
use crate::work::Letter;

/// The system has refused a thread, and the reservation is undone.
struct Refusal<E> {
    error: io::Error,
    /// What was in the hand of the actor that was not born.
    hand: Option<Letter<E>>,
    /// The state before the reservation was undone.
    before: Snapshot,
}

/// An actor that is about to be started, and the number of this start.
struct Reserved<'a, E> {
    id: usize,
    birth: u64,
    slot: &'a Slot<E>,
}

impl<E: Send + 'static> Stage<E> {
    /// Returns `true` once it is time to ask the system again after a refusal.
    pub(crate) fn may_grow_again(&self) -> bool {
        self.nursery.lock().is_none_or(has_passed)
    }

    /// Returns when it is time to ask the system again, if the troupe would grow then. Senders
    /// that wait for that instant are woken if the system gives or refuses a thread meanwhile.
    pub(crate) fn next_growth(&self) -> Option<Instant> {
        let now = self.state.load();
        if now.is_refused() && now.live() < self.config.max {
            *self.nursery.lock()
        } else {
            None
        }
    }

    /// Starts a new actor with this work in its hand. `Again` if the troupe need not or
    /// cannot grow at present. An error if there is no actor and the system refuses one.
    pub(crate) fn grow(self: &Arc<Self>, letter: Letter<E>) -> Result<Sent<E>, AssignError<E>> {
        let patience = self.nursery.lock();
        let mut board = self.board.lock();
        let now = self.state.load();
        let too_soon = now.live() > 0 && patience.is_some_and(|patience| !has_passed(patience));
        if now.is_shutting_down() || now.idle() > 0 || now.live() >= self.config.max || too_soon {
            return Ok(Sent::Again(letter));
        }
        let Some(reserved) = self.reserve(&mut board, true) else {
            drop((board, patience));
            self.furnish_next();
            return Ok(Sent::Again(letter));
        };
        reserved.slot.hand_over(letter);
        drop(board);

        let Err(refusal) = self.give_birth(patience, &reserved, true) else {
            // Works may be waiting in mailboxes since the system refused a thread.
            self.grow_for_waiting();
            return Ok(Sent::Done);
        };
        match refusal.hand {
            Some(letter) if refusal.before.live() == 1 && !refusal.before.is_shutting_down() => {
                Err(AssignError::Spawn {
                    work: letter.into_work(0),
                    source: refusal.error,
                })
            }
            Some(letter) => Ok(Sent::Again(letter)),
            // `shutdown_now` has returned it.
            None => Ok(Sent::Done),
        }
    }

    /// Starts a new actor that looks for work, if there is some in a mailbox. The work was
    /// put there while the troupe was at max, or had just been refused a thread. An idle
    /// actor does not prevent this, since it may be handed another work.
    #[cold]
    pub(crate) fn grow_for_waiting(self: &Arc<Self>) {
        // If the system refuses, the work waits for an actor that is busy.
        drop(self.start_without_work(true, |patience, board| {
            let now = self.state.load();
            // After a refusal works wait in mailboxes until it is time to ask again.
            patience.is_none_or(has_passed)
                && !now.is_shutting_down()
                && now.live() < self.config.max
                && self.find_ready(board).is_some()
        }));
    }

    /// Starts one of the actors that a troupe begins with.
    pub(crate) fn grow_initial(self: &Arc<Self>) -> Result<(), (String, io::Error)> {
        self.start_without_work(false, |_, _| true)
    }

    /// Starts an actor that holds nothing, if it is needed. The error has the name of the
    /// thread that the system has refused.
    fn start_without_work(
        self: &Arc<Self>,
        is_growth: bool,
        is_needed: impl Fn(Option<Instant>, &Board<E>) -> bool,
    ) -> Result<(), (String, io::Error)> {
        loop {
            let patience = self.nursery.lock();
            let mut board = self.board.lock();
            if !is_needed(*patience, &board) {
                return Ok(());
            }
            let reserved = self.reserve(&mut board, is_growth);
            drop(board);
            if let Some(reserved) = reserved {
                return self
                    .give_birth(patience, &reserved, false)
                    .map_err(|refusal| (self.config.name_of(reserved.id), refusal.error));
            }
            drop(patience);
            self.furnish_next();
        }
    }

    /// Counts an actor that is not there yet, and gives it the lowest vacant number. `None`
    /// if that number has no slot yet. Slots are made without the locks.
    fn reserve(&self, board: &mut Board<E>, is_growth: bool) -> Option<Reserved<'_, E>> {
        let slot = self.slot(board.next_id())?;
        let (id, birth) = board.occupy(is_growth);
        self.state.reserve();
        Some(Reserved { id, birth, slot })
    }

    /// Starts the thread of a reserved actor, or undoes the reservation.
    fn give_birth(
        self: &Arc<Self>,
        mut patience: MutexGuard<'_, Option<Instant>>,
        reserved: &Reserved<'_, E>,
        has_work: bool,
    ) -> Result<(), Refusal<E>> {
        let (id, slot) = (reserved.id, reserved.slot);
        let stage = Arc::clone(self);
        let body = move || live(&stage, id);
        let spawned = spawn(self.config.name_of(id), self.config.stack_size, body);

        let mut board = self.board.lock();
        match spawned {
            Ok(thread) => {
                // The actor may have left already. An actor without a work opens its slot
                // itself, at its first rest.
                if board.file(id, reserved.birth, thread) && has_work {
                    self.open(&mut board, id);
                }
                drop(board);
                let was_refused = patience.take().is_some();
                if was_refused {
                    self.state.growth_granted();
                }
                drop(patience);
                if self.state.load().is_waited_for() {
                    if was_refused {
                        self.waiters.wake_all();
                    } else if self.has_mailboxes() {
                        // Its mailbox is room.
                        self.waiters.wake_one();
                    }
                }
                Ok(())
            }
            Err(error) => {
                let hand = slot.take_over();
                board.tally.spawn_failures += 1;
                board.vacate(id);
                let before = self.state.actor_is_gone();
                self.tell_if_idle(&mut board);
                drop(board);
                let is_last = before.live() == 1;
                if !is_last {
                    *patience = Instant::now().checked_add(PATIENCE);
                    self.state.growth_refused();
                }
                drop(patience);
                // A waiting sender may have found `Full` because of the reservation, and
                // does not know yet when to ask the system again.
                if before.is_waited_for() {
                    self.waiters.wake_all();
                }
                if is_last && before.is_shutting_down() {
                    self.end();
                }
                Err(Refusal {
                    error,
                    hand,
                    before,
                })
            }
        }
    }
}

#[cfg(all(test, not(any(feature = "shuttle", troupe_loom))))]
mod tests {
    use std::sync::mpsc;

    use crate::config::Config;
    use crate::stage::Stage;
    use crate::sync::{Arc, Duration, Instant, spawn, yield_now};
    use crate::work::Work;

    fn eventually(is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "hung");
            yield_now();
        }
    }

    /// Only a troupe that has an actor has patience. A troupe without one asks the system
    /// again at once.
    #[test]
    fn without_an_actor_there_is_no_patience() {
        let stage = Arc::new(Stage::<()>::new(Config::dynamic(0, 2), None));
        *stage.nursery.lock() = Instant::now().checked_add(Duration::from_secs(3_600));
        stage.state.growth_refused();
        assert!(stage.assign(Work::new(|| Ok(()))).is_ok());
        assert!(!stage.state.load().is_refused());
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// An actor that may not retire asks again later, and retires if another has been started
    /// beside it.
    #[test]
    fn an_actor_that_was_needed_retires_when_there_are_more() {
        let config = Config::dynamic(1, 2).mailbox_size(1);
        let stage = Arc::new(Stage::<()>::new(config.idle_timeout(Duration::ZERO), None));
        let (open, gate) = mpsc::channel::<()>();
        assert!(stage.assign(Work::new(|| Ok(()))).is_ok());
        assert_eq!(stage.wait_idle(None), Ok(()));
        // Every chance for it to ask, and to find that it is needed.
        eventually(|| stage.state.load().wants_waking());
        (0..1_000).for_each(|_| yield_now());
        let letter = Work::new(move || gate.recv().map_err(drop)).into_letter(1);
        assert!(stage.slot(0).unwrap().mailbox.put(letter).is_ok());
        stage.set_ready(0);
        stage.grow_for_waiting();
        eventually(|| stage.stats().running == 1);
        eventually(|| stage.stats().actors == 1);
        assert_eq!(open.send(()), Ok(()));
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// A sender that finds its work in a mailbox below max starts no actor right after the
    /// system has refused a thread. It starts one as soon as an assign would.
    #[test]
    fn a_late_sender_has_patience_too() {
        let stage = Arc::new(Stage::<()>::new(
            Config::dynamic(0, 2).mailbox_size(1),
            None,
        ));
        let gates = [(); 2].map(|()| mpsc::channel::<()>());
        let [(first, gate), (second, other_gate)] = gates;
        let work = Work::new(move || gate.recv().map_err(drop));
        assert!(stage.assign(work).is_ok());
        eventually(|| stage.stats().running == 1);
        let letter = Work::new(move || other_gate.recv().map_err(drop)).into_letter(1);
        assert!(stage.slot(0).unwrap().mailbox.put(letter).is_ok());
        stage.set_ready(0);
        stage.state.growth_refused();
        *stage.nursery.lock() = Instant::now().checked_add(Duration::from_secs(3_600));
        stage.grow_for_waiting();
        assert_eq!(stage.state.load().live(), 1);
        *stage.nursery.lock() = Some(Instant::now());
        stage.grow_for_waiting();
        eventually(|| stage.stats().running == 2);
        assert_eq!(first.send(()).and(second.send(())), Ok(()));
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// Work that was put into a mailbox because the system had just refused a thread does not
    /// wait behind busy actors once the troupe grows again.
    ///
    /// Fails when a growth does not look for work that is waiting.
    #[test]
    fn a_growth_after_a_refusal_starts_another_for_what_waits() {
        let config = Config::dynamic(0, 4).mailbox_size(4);
        let stage = Arc::new(Stage::<()>::new(config, None));
        let gates = [(); 3].map(|()| mpsc::channel::<()>());
        let (open, works): (Vec<_>, Vec<_>) = gates
            .into_iter()
            .map(|(open, gate)| (open, Work::new(move || gate.recv().map_err(drop))))
            .unzip();
        for (at, work) in works.into_iter().enumerate() {
            let later = (at == 1).then_some(3_600).map(Duration::from_secs);
            *stage.nursery.lock() = later.and_then(|later| Instant::now().checked_add(later));
            if later.is_some() {
                stage.state.growth_refused();
            }
            assert!(stage.assign(work).is_ok());
        }
        eventually(|| stage.stats().running == 3);
        drop(open);
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// A sender that waits for room asks the system for a thread as soon as an assign would,
    /// even if nobody makes room.
    #[test]
    fn who_waits_grows_the_troupe_in_time() {
        let stage = Arc::new(Stage::<()>::new(
            Config::dynamic(0, 2).mailbox_size(0),
            None,
        ));
        let (open, gate) = mpsc::channel::<()>();
        let work = Work::new(move || gate.recv().map_err(drop));
        assert!(stage.assign(work).is_ok());
        *stage.nursery.lock() = Instant::now().checked_add(Duration::from_millis(20));
        stage.state.growth_refused();
        let (done, is_done) = mpsc::channel();
        let waiter = Arc::clone(&stage);
        let wait = move || {
            let placed = waiter.assign_waiting(Work::new(|| Ok(())), None);
            done.send(placed.is_ok()).unwrap();
        };
        let waiter = spawn("waits".to_owned(), None, wait).unwrap();
        assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok(true));
        waiter.join().unwrap();
        assert_eq!(open.send(()), Ok(()));
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }
}

//! A new actor: the reservation, the spawn, and the way back if the system
//! refuses.

use std::io;

use crate::actor_loop::live;
use crate::board::Board;
use crate::slot::{Call, Slot};
use crate::stage::Stage;
use crate::state::Snapshot;
use crate::sync::{Arc, Instant, JoinHandle, MutexGuard, PATIENCE, Wake, has_passed, spawn};
use crate::work::Letter;

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

/// The system has refused a thread, and the reservation is undone.
struct Refusal<E> {
    error: io::Error,
    /// What was in the hand of the actor that was not born.
    hand: Option<Letter<E>>,
    /// The state before the reservation was undone.
    before: Snapshot,
}

/// An actor that is about to be started.
struct Reserved {
    id: usize,
    birth: u64,
    /// Is a work to be in its hand when it is born?
    has_work: bool,
}

impl<E: Send + 'static> Stage<E> {
    /// Is it time to ask the system again, after a refusal?
    pub(crate) fn may_grow_again(&self) -> bool {
        self.nursery.lock().is_none_or(has_passed)
    }

    /// When it is, if the troupe would grow then. Whoever waits for that is called when
    /// the system has given or refused a thread meanwhile.
    pub(crate) fn next_growth(&self) -> Option<Instant> {
        let now = self.state.load();
        if now.is_refused() && now.live() < self.config.max {
            *self.nursery.lock()
        } else {
            None
        }
    }

    /// Starts a new actor with this work in its hand.
    pub(crate) fn grow(self: &Arc<Self>, letter: Letter<E>) -> Growth<E> {
        self.furnish_next();
        let patience = self.nursery.lock();
        let mut board = self.board.lock();
        let now = self.state.load();
        let too_soon = now.live() > 0 && patience.is_some_and(|patience| !has_passed(patience));
        if now.is_shutting_down() || now.idle() > 0 || now.live() >= self.config.max || too_soon {
            return Growth::Again(letter);
        }
        let Some((mut reserved, slot)) = self.reserve(&mut board, true) else {
            return Growth::Again(letter);
        };
        reserved.has_work = true;
        let filled = slot.put_in_hand(letter, || false);
        debug_assert!(filled.is_ok(), "nobody refuses");
        slot.set_call(Call::Popped);
        drop(board);

        match self.give_birth(patience, &reserved, slot) {
            Ok(()) => Growth::Grown,
            Err(Refusal {
                error,
                hand,
                before,
            }) => match hand {
                Some(letter) if before.live() == 1 && !before.is_shutting_down() => {
                    Growth::Refused(letter, error)
                }
                Some(letter) => Growth::Again(letter),
                // `shutdown_now` has returned it.
                None => Growth::Grown,
            },
        }
    }

    /// Starts a new actor that looks for work, if there is some in a mailbox: it was put
    /// there because the troupe was at max, and now it is not. Also beside an actor that is
    /// idle: it may be given another work.
    #[cold]
    pub(crate) fn grow_for_waiting(self: &Arc<Self>) {
        loop {
            self.furnish_next();
            let patience = self.nursery.lock();
            // Where the system has just refused a thread, works wait in mailboxes.
            if patience.is_some_and(|patience| !has_passed(patience)) {
                return;
            }
            let mut board = self.board.lock();
            let now = self.state.load();
            if now.is_shutting_down()
                || now.live() >= self.config.max
                || self.find_ready(&board).is_none()
            {
                return;
            }
            if let Some((reserved, slot)) = self.reserve(&mut board, true) {
                drop(board);
                // If the system refuses, the work waits for an actor that is busy.
                drop(self.give_birth(patience, &reserved, slot));
                return;
            }
        }
    }

    /// Starts the thread of a reserved actor, or undoes the reservation.
    fn give_birth(
        self: &Arc<Self>,
        mut patience: MutexGuard<'_, Option<Instant>>,
        reserved: &Reserved,
        slot: &Slot<E>,
    ) -> Result<(), Refusal<E>> {
        let spawned = self.start(reserved);

        let mut board = self.board.lock();
        match spawned {
            Ok(thread) => {
                self.bear(&mut board, reserved, thread);
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
                slot.set_call(Call::None);
                let hand = slot.take_from_hand();
                board.tally.spawn_failures += 1;
                let before = self.unreserve(&mut board, reserved, slot);
                drop(board);
                let is_last = before.live() == 1;
                if !is_last {
                    *patience = Instant::now().checked_add(PATIENCE);
                    self.state.growth_refused();
                }
                drop(patience);
                // Somebody may have found `Full` because of the reservation, and
                // nobody knows yet when to grow.
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

    /// Starts one of the actors that a troupe begins with.
    pub(crate) fn grow_initial(self: &Arc<Self>) -> Result<(), (String, io::Error)> {
        let (reserved, slot) = loop {
            self.furnish_next();
            let mut board = self.board.lock();
            if let Some(reserved) = self.reserve(&mut board, false) {
                board.awaited += 1;
                break reserved;
            }
        };

        let spawned = self.start(&reserved);

        let mut board = self.board.lock();
        match spawned {
            Ok(thread) => {
                self.bear(&mut board, &reserved, thread);
                Ok(())
            }
            Err(error) => {
                board.awaited -= 1;
                self.unreserve(&mut board, &reserved, slot);
                Err((self.config.name_of(reserved.id), error))
            }
        }
    }

    /// Waits until every initial actor has come to rest: from then on each
    /// counts as idle.
    pub(crate) fn await_initial(&self) {
        let mut board = self.board.lock();
        while board.awaited > 0 {
            let _: Wake = self.all_at_rest.wait(&mut board, None);
        }
    }

    /// Counts an actor that is not there yet, and gives it the lowest vacant
    /// number. `None` if another growth has been given the number for which a slot was
    /// made.
    fn reserve(&self, board: &mut Board<E>, is_growth: bool) -> Option<(Reserved, &Slot<E>)> {
        let slot = self.slot(board.next_id())?;
        let (id, birth) = board.occupy(is_growth);
        self.state.reserve();
        let reserved = Reserved {
            id,
            birth,
            has_work: false,
        };
        Some((reserved, slot))
    }

    fn start(self: &Arc<Self>, reserved: &Reserved) -> io::Result<JoinHandle<()>> {
        let stage = Arc::clone(self);
        let id = reserved.id;
        let body = move || live(&stage, id);
        spawn(self.config.name_of(id), self.config.stack_size, body)
    }

    /// The thread exists, and may have come to its end already.
    fn bear(&self, board: &mut Board<E>, reserved: &Reserved, thread: JoinHandle<()>) {
        // One without a work opens its slot itself, at its first rest: else its
        // own place would be missing meanwhile.
        if board.file(reserved.id, reserved.birth, thread) && reserved.has_work {
            self.open(board, reserved.id);
        }
    }

    /// The system has no thread to give.
    fn unreserve(&self, board: &mut Board<E>, reserved: &Reserved, slot: &Slot<E>) -> Snapshot {
        board.vacate(reserved.id);
        // In place of the actor that was not born: it begins nothing.
        slot.told().step();
        let before = self.state.actor_is_gone();
        self.tell_if_idle(board);
        before
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

    /// Patience is for a troupe that has an actor: where there is none, the system
    /// is asked again at once.
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

    /// An actor that has heard that it is needed, and beside which another was started,
    /// goes when it has been called and has found nothing.
    #[test]
    fn who_was_needed_goes_when_there_are_more() {
        let config = Config::dynamic(1, 2).mailbox_size(1);
        let stage = Arc::new(Stage::<()>::new(config.idle_timeout(Duration::ZERO), None));
        let (open, gate) = mpsc::channel::<()>();
        assert!(stage.assign(Work::new(|| Ok(()))).is_ok());
        assert_eq!(stage.wait_idle(None), Ok(()));
        // Every chance for it to ask, and to hear that it is needed.
        eventually(|| stage.state.load().wants_waking());
        (0..1_000).for_each(|_| yield_now());
        let letter = Work::new(move || gate.recv().map_err(drop)).into_letter(1);
        assert!(stage.slot(0).unwrap().mailbox.put(letter).is_ok());
        stage.grow_for(0);
        eventually(|| stage.stats().running == 1);
        eventually(|| stage.stats().actors == 1);
        assert_eq!(open.send(()), Ok(()));
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// Who finds its work below max starts nobody while the system has just refused a
    /// thread, and somebody as soon as an assign would.
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
        stage.state.growth_refused();
        *stage.nursery.lock() = Instant::now().checked_add(Duration::from_secs(3_600));
        stage.grow_for(0);
        assert_eq!(stage.state.load().live(), 1);
        *stage.nursery.lock() = Some(Instant::now());
        stage.grow_for(0);
        eventually(|| stage.stats().running == 2);
        assert_eq!(first.send(()).and(second.send(())), Ok(()));
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// Whoever rests for good is needed: there are no more than there have to be.
    #[test]
    fn nobody_rests_for_good_when_there_are_more() {
        let config = Config::dynamic(3, 4).idle_timeout(Duration::ZERO);
        let stage = Arc::new(Stage::<()>::new(config, None));
        for _ in 0..3 {
            assert!(stage.grow_initial().is_ok());
        }
        stage.await_initial();
        let all_rest = || {
            stage
                .board
                .lock()
                .idle
                .iter()
                .all(|idle| idle.rests_for_good)
        };
        eventually(all_rest);
        let mut board = stage.board.lock();
        let (reserved, slot) = stage.reserve(&mut board, true);
        assert!(!board.idle.iter().any(|idle| idle.rests_for_good));
        stage.unreserve(&mut board, &reserved, slot);
        drop(board);
        eventually(all_rest);
        assert_eq!(stage.stats().idle, 3);
        stage.shutdown();
        assert_eq!(stage.join(None), Ok(()));
    }

    /// Who waits for room asks the system for a thread as soon as an assign would, though
    /// nobody makes room.
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

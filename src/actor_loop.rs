//! An actor's life: look for work, run it, rest, retire or leave.

use crate::board::{Board, Place};
use crate::failure::{Failure, Panic};
use crate::idle::Idle;
use crate::pace::Pace;
use crate::slot::{Call, Slot};
use crate::stage::Stage;
use crate::stamps::Stamps;
use crate::sync::{
    Arc, Duration, Instant, MutexGuard, Wake, current, is_over, park, pause, spin_for, yield_now,
};
use crate::unwind::{contain, drop_contained};
use crate::work::Letter;

/// How long an idle actor looks for work before it gives its token up.
const LOOKING: Duration = Duration::from_micros(15);

/// How long an actor that may not retire waits at least before it asks again.
const SPELL: Duration = Duration::from_millis(100);

/// The life of the actor `id`. Its thread runs this and nothing else.
pub(crate) fn live<E>(stage: &Arc<Stage<E>>, id: usize) {
    stage.adopt_thread();
    if let Some(slot) = stage.slot(id) {
        Life {
            stage,
            slot,
            id,
            source: None,
            streak: 0,
            pace: Pace::new(),
            stamps: Stamps::new(stage.birth),
        }
        .live();
    }
}

/// What an actor does next.
enum Next<E> {
    /// It runs this work.
    Run(Letter<E>),
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

struct Life<'a, E> {
    stage: &'a Arc<Stage<E>>,
    slot: &'a Slot<E>,
    id: usize,
    /// The mailbox that the work in hand was in, if it was in one.
    source: Option<usize>,
    /// Works run since the actor last ran out of work.
    streak: u32,
    pace: Pace,
    stamps: Stamps,
}

impl<E> Life<'_, E> {
    fn live(mut self) {
        let mut next = if self.slot.call() == Call::Popped {
            self.born()
        } else {
            self.rest(false)
        };
        loop {
            match next {
                Next::Run(letter) => self.perform(letter),
                Next::Look => {}
                Next::Gone => return,
            }
            while let Some(letter) = self.take_next() {
                self.perform(letter);
            }
            let in_stream = self.pace.runs_out(std::mem::take(&mut self.streak));
            next = self.run_out(in_stream);
        }
    }

    /// Begins the life of an actor that was started with a work in its hand, and has no
    /// token. It counts as an actor before it begins the work.
    fn born(&mut self) -> Next<E> {
        let stage = self.stage;
        stage.open(&mut stage.board.lock(), self.id);
        self.take_over()
    }

    /// Takes what has been handed over.
    fn take_over(&mut self) -> Next<E> {
        self.source = None;
        match self.slot.take_over() {
            Some(letter) => Next::Run(letter),
            None => Next::Look,
        }
    }

    // ---- Busy ---------------------------------------------------------

    /// Takes the next work, whichever mailbox it is in.
    #[inline]
    fn take_next(&mut self) -> Option<Letter<E>> {
        let (id, letter) = self.stage.take_next()?;
        self.source = Some(id);
        Some(letter)
    }

    /// Runs a work, the handler if it fails, and the retries that the handler leaves in
    /// the hand. Lays the work down if the troupe has been halted.
    fn perform(&mut self, mut letter: Letter<E>) {
        loop {
            if self.stage.is_halted() {
                return self.lay_down(letter);
            }
            let told = self.slot.told();
            // First the stamp: an actor that is busy has accepted a work.
            self.stamps.begin(told);
            let phase = told.phase.get();
            told.phase.set(phase + 1);
            if self.source.is_some_and(|id| id != self.id) {
                told.shared.raise();
            }
            let failed = self.run(letter);
            // The work is first shown as not running, then as finished: a snapshot
            // between the two misses it rather than counting it twice.
            told.phase.set(phase + 2);
            self.count(failed.as_ref());
            self.stamps.end(told);
            self.streak = self.streak.wrapping_add(1);
            // Only a handler can have put something into the hand.
            if failed.is_none() {
                return;
            }
            match self.slot.take_from_hand() {
                Some(retry) => letter = retry,
                None => return,
            }
            self.source = None;
        }
    }

    /// Gives a work to the `shutdown_now` that waits for it. If that is over, the work
    /// goes to its sender, which waits for it.
    #[cold]
    fn lay_down(&self, letter: Letter<E>) {
        let mut board = self.stage.board.lock();
        let board = &mut *board;
        if board.halted {
            &mut board.strays
        } else {
            &mut board.laid_down
        }
        .push(letter);
        self.slot.told().step();
    }

    /// Runs a work, and the handler if it fails.
    fn run(&self, letter: Letter<E>) -> Option<Failed> {
        let (failure, panicked) = match contain(|| letter.run()) {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => (Failure::Error(error), false),
            Err(payload) => (Failure::Panic(Panic::new(payload)), true),
        };
        let on_failure = self.stage.on_failure.lock().clone();
        let contained = match on_failure {
            Some(on_failure) => {
                match contain(|| on_failure.on_failure(failure, self.stage, self.id)) {
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
        let told = self.slot.told();
        match failed {
            None => &told.completed,
            Some(failed) if failed.panicked => &told.panicked,
            Some(_) => &told.failed,
        }
        .raise();
        if failed.is_some_and(|failed| !failed.contained) {
            told.handler_panics.raise();
        }
    }

    // ---- Idle ---------------------------------------------------------

    /// Out of work: lingers if that may help, else or afterwards goes idle.
    fn run_out(&mut self, in_stream: bool) -> Next<E> {
        if !in_stream && self.may_linger() {
            if let Some(letter) = self.linger() {
                return Next::Run(letter);
            }
        }
        self.rest(in_stream)
    }

    /// Returns `true` if a work that comes now would be put into a mailbox. An actor that
    /// has rested since its last work does not linger again.
    fn may_linger(&self) -> bool {
        let stage = self.stage;
        let now = stage.state.load();
        !self.stamps.is_rested()
            && stage.has_mailboxes()
            && now.live() == stage.config.max
            && !now.is_shutting_down()
    }

    /// Looks for a moment at the mailbox that senders fill: the next work may be on its way,
    /// and going idle costs more.
    fn linger(&mut self) -> Option<Letter<E>> {
        for _ in 0..self.stage.spin.lingering {
            pause();
            if self.stage.holds_work(self.stage.fill().mailbox()) {
                if let Some(letter) = self.take_next() {
                    return Some(letter);
                }
            }
        }
        None
    }

    /// Goes idle, and stays so until there is work, or a reason to leave.
    fn rest(&mut self, in_stream: bool) -> Next<E> {
        let since = self.stamps.rest(self.slot.told());
        let stage = self.stage;
        let mut board = stage.board.lock();
        let now = stage.state.load();
        if now.is_shutting_down() {
            stage.open(&mut board, self.id);
            return self.leave(board);
        }
        // (a) An actor that was started without a work looks for one under this lock, so that
        // nobody hands it another first.
        let is_new = board.seats[self.id].place == Place::Reserved;
        let token = !is_new && now.awake() < stage.spin.searchers;
        board.idle.push(Idle {
            id: self.id,
            thread: current(),
            token,
        });
        let before = stage.state.actor_goes_idle(token);
        stage.open(&mut board, self.id);
        // (b)
        if !token {
            if let Some(letter) = self.take_ready(&board) {
                return self.leave_idle(board, letter);
            }
        }
        stage.tell_if_idle(&mut board);
        let deadline = self.deadline(&mut board, since);
        drop(board);
        if before.is_waited_for() {
            stage.waiters.wake_one();
        }
        if token {
            if let Some(next) = self.search(in_stream) {
                return next;
            }
        }
        self.idle(since, deadline)
    }

    fn idle(&mut self, since: Instant, mut deadline: Option<Instant>) -> Next<E> {
        let stage = self.stage;
        loop {
            // (c)
            let wake = match self.slot.call() {
                Call::None => park(deadline),
                _ => Wake::Called,
            };
            match self.slot.call() {
                Call::Popped => return self.popped(),
                Call::Search if self.slot.hear_search() => {
                    if let Some(next) = self.search(false) {
                        return next;
                    }
                    deadline = self.deadline(&mut stage.board.lock(), since);
                }
                // It has been popped meanwhile.
                Call::Search => {}
                Call::None if wake == Wake::TimedOut => {
                    if let Some(next) = self.retire() {
                        return next;
                    }
                    let (now, spell) = (Instant::now(), stage.config.idle_timeout.max(SPELL));
                    let own = self.deadline(&mut stage.board.lock(), now);
                    deadline = own.and(now.checked_add(spell));
                }
                Call::None => deadline = self.deadline(&mut stage.board.lock(), since),
            }
        }
    }

    /// Returns until when an actor sleeps that has been idle since then. Only the actor at
    /// the bottom of the idle stack has a deadline. Otherwise thousands would wake at the same
    /// moment and stand in line for the board's lock. An actor looks before it sleeps whether
    /// it is at the bottom. If the bottom one leaves after that, it wakes the next, which
    /// looks again.
    fn deadline(&self, board: &mut Board<E>, since: Instant) -> Option<Instant> {
        let is_bottom = board.idle.bottom()?.id == self.id;
        if is_bottom && self.stage.is_dynamic() {
            return since.checked_add(self.stage.config.idle_timeout);
        }
        None
    }

    /// Takes the actor off the idle stack. If it was at the bottom, wakes the actor that is
    /// there now, which has to set itself a deadline.
    fn leave_stack(&self, board: &mut Board<E>) -> Option<Idle> {
        let was_bottom = board.idle.bottom()?.id == self.id;
        let idle = board.idle.remove(self.id);
        if was_bottom && self.stage.is_dynamic() {
            if let Some(next) = board.idle.bottom() {
                next.thread.unpark();
            }
        }
        idle
    }

    /// Takes what has been handed over, and gives up the token. The actor has been popped:
    /// it is off the idle stack and has a token.
    fn popped(&mut self) -> Next<E> {
        let next = self.take_over();
        let stage = self.stage;
        stage.state.drop_token();
        if stage.state.load().wants_waking() {
            stage.notify_if_work(stage.board.lock());
        }
        next
    }

    /// Looks for work for a while, then gives the token up. Between two looks other
    /// threads may run, even on the same processor: they may be the assigners. If that
    /// takes long, one more look is all. Under load the system runs a woken thread before
    /// one that keeps looking.
    fn search(&mut self, in_stream: bool) -> Option<Next<E>> {
        let stage = self.stage;
        let is_popped = || self.slot.call() == Call::Popped;
        if in_stream {
            spin_for(stage.spin.look_away, is_popped);
        }
        let begin = Instant::now();
        while !is_popped() && !is_over(begin, LOOKING) {
            if stage.find_work().is_some() {
                if let Some(next) = self.take_as_idle(stage.board.lock()) {
                    return Some(next);
                }
            }
            yield_now();
        }
        // (a), once more, and (b)
        let mut board = stage.board.lock();
        if self.slot.call() != Call::Popped {
            self.slot.set_call(Call::None);
            if let Some(idle) = board.idle.get(self.id) {
                idle.token = false;
            }
            stage.state.drop_token();
        }
        self.take_as_idle(board)
    }

    /// Takes a work from any mailbox, and leaves the idle stack with it. If the actor has
    /// been popped meanwhile, does what a popped actor does.
    fn take_as_idle(&mut self, board: MutexGuard<'_, Board<E>>) -> Option<Next<E>> {
        if self.slot.call() == Call::Popped {
            drop(board);
            return Some(self.popped());
        }
        let letter = self.take_ready(&board)?;
        Some(self.leave_idle(board, letter))
    }

    /// Takes a work from any mailbox, under the board's lock.
    fn take_ready(&mut self, board: &Board<E>) -> Option<Letter<E>> {
        while self.stage.find_ready(board).is_some() {
            if let Some(letter) = self.take_next() {
                return Some(letter);
            }
        }
        None
    }

    /// Leaves the idle stack with a work from a mailbox. The place there is free before the
    /// actor ceases to be idle.
    fn leave_idle(&mut self, mut board: MutexGuard<'_, Board<E>>, letter: Letter<E>) -> Next<E> {
        let had_token = self.leave_stack(&mut board).is_some_and(|idle| idle.token);
        self.slot.set_call(Call::None);
        self.stage.state.actor_leaves_idle(had_token);
        self.stage.notify_if_work(board);
        Next::Run(letter)
    }

    // ---- Going --------------------------------------------------------

    /// Leaves a troupe that has more than its fewest actors. `None` if the actor stays, and
    /// is as idle as before.
    fn retire(&mut self) -> Option<Next<E>> {
        let stage = self.stage;
        let mut board = stage.board.lock();
        // Reserved actors do not count: the system may refuse their threads.
        if self.slot.call() != Call::None || board.open <= stage.config.fewest() {
            return None;
        }
        let idle = self.leave_stack(&mut board)?;
        // (1) From here on a sender sees that its work is late, or that the
        // troupe has one actor less.
        stage.close(&mut board, self.id);
        let before = stage.state.idle_actor_retires();
        // (2)
        if stage.find_ready(&board).is_some() {
            stage.state.idle_actor_stays();
            stage.open(&mut board, self.id);
            board.idle.push(idle);
            return self.take_as_idle(board);
        }
        let departed = board.take_finished();
        board.vacate(self.id);
        board.tally.retired += 1;
        drop(board);
        if before.is_waited_for() {
            stage.waiters.wake_one();
        }
        // Otherwise threads would pile up until somebody joins.
        for thread in departed {
            drop_contained(thread.join());
        }
        Some(Next::Gone)
    }

    /// Leaves a troupe that is shutting down, unless there is work left.
    fn leave(&mut self, mut board: MutexGuard<'_, Board<E>>) -> Next<E> {
        let stage = self.stage;
        if !stage.is_halted() {
            if let Some(letter) = self.take_ready(&board) {
                return Next::Run(letter);
            }
        }
        stage.close(&mut board, self.id);
        self.slot.told().step();
        board.vacate(self.id);
        let is_last = stage.state.actor_is_gone().live() == 1;
        stage.tell_if_idle(&mut board);
        drop(board);
        if is_last {
            stage.end();
        }
        Next::Gone
    }
}

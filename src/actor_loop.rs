//! An actor's life: look for work, run it, rest, retire or leave.

use crate::board::{Board, Idle};
use crate::failure::{Failure, Panic};
use crate::pace::Pace;
use crate::slot::{Call, Slot, is_running};
use crate::stage::Stage;
use crate::stamps::Stamps;
use crate::sync::{
    Arc, Duration, Instant, LINGERING, MutexGuard, Wake, current, is_over, park, pause, spin_for,
    yield_now,
};
use crate::unwind::{contain, drop_contained};
use crate::work::Letter;

/// So many actors look for work without having any before others that go idle do not.
/// On one processor only one can, and a second would be in its way.
const SEARCHERS: usize = 2;

/// How long an actor looks away: long enough for the assigners to run ahead, so
/// that the mailbox's cache lines do not travel with every single work; no
/// longer, since an assigner may be waiting for the processor.
const LOOK_AWAY: Duration = Duration::from_micros(4);

/// How long an idle actor looks for work before it gives its token up.
const LOOKING: Duration = Duration::from_micros(15);

/// At its first turn after so many looks for work, an actor goes to the next mailbox that
/// holds some.
const ROUND: u32 = 64;

/// How long an actor that may not retire yet stays at least before it asks again.
const SPELL: Duration = Duration::from_millis(1);

/// The life of the actor `id`, which looks first into the mailbox `source`. Its thread
/// runs this and nothing else.
pub(crate) fn live<E>(stage: &Arc<Stage<E>>, id: usize, source: usize) {
    stage.adopt_thread();
    if let Some(slot) = stage.slot(id) {
        Life {
            stage,
            slot,
            id,
            source,
            looks: 0,
            turned: 0,
            visited: id,
            came_home: false,
            suspect: (id, 0),
            held_up: (id, 0),
            has_looked_round: false,
            is_from_mailbox: false,
            streak: 0,
            pace: Pace::new(),
            at_rest: false,
            stamps: Stamps::new(stage.birth),
        }
        .live();
    }
}

/// What comes after a rest.
enum Next<E> {
    /// This work.
    Run(Letter<E>),
    /// A look round.
    Look,
    /// Nothing: the actor is off the stage.
    Gone,
}

/// What came of an attempt to take work while idle.
enum Attempt<E> {
    /// Taken; the actor is off the idle stack.
    Taken(Letter<E>),
    /// There was nothing.
    Nothing,
    /// The actor has been popped.
    Popped,
}

/// How a work ended.
enum Outcome {
    Completed,
    Failed {
        panicked: bool,
        /// Has the handler, or without one the drop of the failure, not
        /// panicked?
        contained: bool,
    },
}

/// What came of an attempt to retire.
enum Retire<E> {
    Gone,
    /// There was work left, and this has been taken; the actor is off the idle stack.
    Taken(Letter<E>),
    /// Something has come up; the actor is as idle as before.
    Called,
    /// There are as few actors as there may be.
    Needed,
    /// There are, until a growth under way has ended.
    NeededForNow,
}

struct Life<'a, E> {
    stage: &'a Arc<Stage<E>>,
    slot: &'a Slot<E>,
    id: usize,
    /// The mailbox that the last work came from that was in one; at first the one that the
    /// actor was started for, or else its own.
    source: usize,
    /// Looks for work since it last thought of turning to another mailbox,
    looks: u32,
    /// and from the last time that it did so come what may until then.
    turned: u32,
    /// The mailbox that it went to that time.
    visited: usize,
    /// Did its last turn lead home?
    came_home: bool,
    /// A mailbox whose actor may be held up, and the phase in which that was;
    suspect: (usize, u64),
    /// and the one that was found last to be.
    held_up: (usize, u64),
    /// Has it looked for work by the hints since it last passed on?
    has_looked_round: bool,
    /// Was the work that it holds in a mailbox, in that of `source`, rather
    /// than in its hand?
    is_from_mailbox: bool,
    /// Works since it last ran out of work.
    streak: u32,
    pace: Pace,
    /// Has it come to rest once, since it was born?
    at_rest: bool,
    stamps: Stamps,
}

impl<E> Life<'_, E> {
    fn live(mut self) {
        let mut next = if self.slot.call() == Call::Popped {
            self.born()
        } else {
            // It counts as idle before anybody can count its mailbox.
            self.rest(false)
        };
        loop {
            match next {
                Next::Run(letter) => self.perform(letter),
                Next::Look => {}
                Next::Gone => return,
            }
            while let Some(letter) = self.look() {
                self.perform(letter);
            }
            let in_stream = self.pace.runs_out(std::mem::take(&mut self.streak));
            next = self.run_out(in_stream);
        }
    }

    /// Born by a growth, with a work in the hand, and without a token.
    fn born(&mut self) -> Next<E> {
        self.slot.set_call(Call::None);
        self.look_into_hand()
    }

    fn look_into_hand(&mut self) -> Next<E> {
        match self.take_from_hand() {
            Some(letter) => Next::Run(letter),
            None => Next::Look,
        }
    }

    // ---- Busy ---------------------------------------------------------

    /// The next work, wherever it is: as a rule where the last one came from, else in
    /// the own mailbox, else anywhere.
    fn look(&mut self) -> Option<Letter<E>> {
        let letter = self.take_any()?;
        self.pass_on_what_was_hidden();
        Some(letter)
    }

    /// While it looked round, it may have hidden from others for a moment what it did not
    /// take.
    #[inline]
    fn pass_on_what_was_hidden(&mut self) {
        if std::mem::take(&mut self.has_looked_round) {
            self.stage.pass_on();
        }
    }

    fn take_any(&mut self) -> Option<Letter<E>> {
        // A take touches what the assigners write less than a look does, so
        // where work is most likely there is no look before it.
        let first = self.first_choice();
        if let Some(letter) = self.take(first) {
            return Some(letter);
        }
        if first != self.id {
            if let Some(letter) = self.take(self.id) {
                return Some(letter);
            }
        }
        self.has_looked_round = true;
        while let Some(id) = self.stage.find_work() {
            if let Some(letter) = self.take(id) {
                return Some(letter);
            }
        }
        None
    }

    /// The mailbox that the last work came from; now and then another. Else one could
    /// wait for ever whose actor is busy, if assigners keep the others filled.
    #[inline]
    fn first_choice(&mut self) -> usize {
        self.looks += 1;
        if self.looks < self.stamps.turn() {
            self.source
        } else {
            self.turn()
        }
    }

    #[cold]
    fn turn(&mut self) -> usize {
        self.has_looked_round = true;
        self.turned += std::mem::take(&mut self.looks);
        if self.turned >= ROUND {
            self.turned = 0;
            if let Some(next) = self.stage.next_hinted(self.visited) {
                self.visited = next;
                return next;
            }
        }
        // Home: nobody else looks there, as a rule. But not twice in a row: what is there
        // can be gone before each turn, and be there anew.
        self.came_home =
            !self.came_home && self.source != self.id && self.stage.holds_work(self.id);
        if self.came_home {
            return self.id;
        }
        self.find_held_up().unwrap_or(self.source)
    }

    /// A mailbox with work whose actor is held up: still in the work in which it was when
    /// it came under suspicion, at a turn before. That may be the one under suspicion, else
    /// the one found last. Then another comes under suspicion, so that of several that are
    /// held up each is found.
    fn find_held_up(&mut self) -> Option<usize> {
        let stage = self.stage;
        let phase_of = |id: usize| stage.slot(id).map_or(0, |slot| slot.told().phase.get());
        let suspect = self.suspect;
        if let Some(next) = stage.next_hinted(suspect.0) {
            self.suspect = (next, phase_of(next));
        }
        let is_held_up = |&(id, phase): &(usize, u64)| {
            is_running(phase) && phase_of(id) == phase && stage.holds_work(id)
        };
        let found = [suspect, self.held_up].into_iter().find(is_held_up)?;
        self.held_up = found;
        Some(found.0)
    }

    #[inline(always)]
    fn take(&mut self, id: usize) -> Option<Letter<E>> {
        let letter = self.stage.take_from(id)?;
        self.source = id;
        self.is_from_mailbox = true;
        Some(letter)
    }

    fn take_from_hand(&mut self) -> Option<Letter<E>> {
        let letter = self.slot.take_from_hand()?;
        self.is_from_mailbox = false;
        Some(letter)
    }

    /// Begins a work, unless the troupe has been halted, and runs it, its
    /// failure's handler, and the retries that this leaves in the hand.
    fn perform(&mut self, mut letter: Letter<E>) {
        loop {
            if self.stage.is_halted() {
                return self.lay_down(letter);
            }
            let told = self.slot.told();
            let phase = told.phase.get();
            told.phase.set(phase + 1);
            if self.is_from_mailbox && self.source != self.id {
                told.shared.raise();
            }
            self.stamps.begin(told);
            let outcome = self.run(letter);
            // First it does not run any more, then it is finished: a snapshot
            // between the two misses it rather than counting it twice.
            told.phase.set(phase + 2);
            self.count(&outcome);
            self.stamps.end(told);
            self.streak = self.streak.wrapping_add(1);
            // Only a handler can have put something into the hand.
            if matches!(outcome, Outcome::Completed) {
                return;
            }
            match self.take_from_hand() {
                Some(retry) => letter = retry,
                None => return,
            }
        }
    }

    /// Gives a work to the `shutdown_now` that waits for it; if that is over,
    /// to the sender that waits for it.
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
    fn run(&self, letter: Letter<E>) -> Outcome {
        let (failure, panicked) = match contain(|| letter.run()) {
            Ok(Ok(())) => return Outcome::Completed,
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
        Outcome::Failed {
            panicked,
            contained,
        }
    }

    fn count(&self, outcome: &Outcome) {
        let told = self.slot.told();
        match outcome {
            Outcome::Completed => told.completed.raise(),
            Outcome::Failed {
                panicked,
                contained,
            } => {
                if *panicked {
                    &told.panicked
                } else {
                    &told.failed
                }
                .raise();
                if !contained {
                    told.handler_panics.raise();
                }
            }
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

    /// Would a work that comes now be put into a mailbox and may be taken without
    /// the board's lock, and has this actor a processor to itself to look for it?
    fn may_linger(&self) -> bool {
        let stage = self.stage;
        let now = stage.state.load();
        !self.stamps.is_rested()
            && !stage.has_one_processor
            && stage.has_mailboxes()
            && now.live() == stage.config.max
            && !now.is_shutting_down()
    }

    /// Looks at the mailbox at the cursor for a moment, before it goes to the
    /// length of being idle: the next work may be on its way.
    fn linger(&mut self) -> Option<Letter<E>> {
        for _ in 0..LINGERING {
            pause();
            let cursor = self.stage.cursor();
            if self.stage.holds_work(cursor) {
                if let Some(letter) = self.take(cursor) {
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
        // One that has just been born may have been started for a work that waits. It looks
        // there first: once it is idle, it can be given another.
        let taken = if self.at_rest { None } else { self.take_any() };
        stage.open(&mut board, self.id);
        if let Some(letter) = taken {
            drop(board);
            self.pass_on_what_was_hidden();
            return Next::Run(letter);
        }
        if stage.state.load().is_shutting_down() {
            return self.leave(board);
        }
        // (a)
        let searchers = if stage.has_one_processor {
            1
        } else {
            SEARCHERS
        };
        let token = stage.state.load().awake() < searchers;
        board.idle.push(Idle {
            id: self.id,
            thread: current(),
            token,
            rests_for_good: false,
        });
        let before = stage.state.actor_goes_idle(token);
        stage.tell_if_idle(&mut board);
        if !self.at_rest {
            self.at_rest = true;
            board.awaited = board.awaited.saturating_sub(1);
            if board.awaited == 0 {
                stage.changed.notify_all();
            }
        }
        drop(board);
        if before.is_waited_for() {
            stage.waiters.wake_one();
        }
        self.idle(token, in_stream, since)
    }

    fn idle(&mut self, mut token: bool, mut in_stream: bool, since: Instant) -> Next<E> {
        let mut deadline = self.timeout(since);
        loop {
            let attempt = if token {
                self.search(std::mem::take(&mut in_stream))
            } else {
                self.attempt()
            };
            match attempt {
                Attempt::Taken(letter) => return Next::Run(letter),
                Attempt::Popped => return self.popped(),
                // (b) has been done without a token: what is sent from now on
                // gives one to somebody. (c)
                Attempt::Nothing if !token => match self.park(deadline) {
                    Call::Popped => return self.popped(),
                    Call::Search => {
                        // Whoever runs on this processor goes first: often
                        // it does what there is before this one would.
                        yield_now();
                        token = true;
                        // There may be more now than when it heard that it is needed.
                        deadline = deadline.or_else(|| self.timeout(Instant::now()));
                    }
                    Call::None => match self.retire() {
                        Retire::Gone => return Next::Gone,
                        Retire::Taken(letter) => return Next::Run(letter),
                        Retire::Called => {}
                        // If there are ever more, it is called.
                        Retire::Needed => deadline = None,
                        Retire::NeededForNow => {
                            let spell = self.stage.config.idle_timeout.max(SPELL);
                            deadline = Instant::now().checked_add(spell);
                        }
                    },
                },
                Attempt::Nothing => token = false,
            }
        }
    }

    /// When an actor may retire that has been idle since then.
    fn timeout(&self, since: Instant) -> Option<Instant> {
        self.stage
            .is_dynamic()
            .then(|| since.checked_add(self.stage.config.idle_timeout))
            .flatten()
    }

    /// Popped: the actor is off the idle stack and has a token.
    fn popped(&mut self) -> Next<E> {
        self.slot.set_call(Call::None);
        let next = self.look_into_hand();
        self.stage.state.drop_token();
        self.stage.pass_on();
        next
    }

    /// Looks for work for a while, then gives the token up. Between two looks
    /// others may run, on the same processor too: there they may be the
    /// assigners. Where that takes long, one more look is all: under load the
    /// system lets one that is woken run before one that looks.
    fn search(&mut self, in_stream: bool) -> Attempt<E> {
        // With one processor nobody can run ahead while this one spins.
        if in_stream && !self.stage.has_one_processor {
            spin_for(LOOK_AWAY, || self.slot.call() == Call::Popped);
        }
        let begin = Instant::now();
        loop {
            match self.attempt() {
                Attempt::Nothing if is_over(begin, LOOKING) => return self.give_up(),
                Attempt::Nothing => yield_now(),
                found => return found,
            }
        }
    }

    /// (a), once more: gives the token up.
    fn give_up(&self) -> Attempt<E> {
        let mut board = self.stage.board.lock();
        if self.slot.call() == Call::Popped {
            return Attempt::Popped;
        }
        self.slot.set_call(Call::None);
        if let Some(idle) = board.idle.iter_mut().rfind(|idle| idle.id == self.id) {
            idle.token = false;
        }
        self.stage.state.drop_token();
        Attempt::Nothing
    }

    /// (b): takes a work from wherever there is one, under the board's lock,
    /// and leaves the idle stack with it.
    fn attempt(&mut self) -> Attempt<E> {
        loop {
            if self.slot.call() == Call::Popped {
                return Attempt::Popped;
            }
            let Some(id) = self.stage.find_work() else {
                return Attempt::Nothing;
            };
            let board = self.stage.board.lock();
            if self.slot.call() == Call::Popped {
                return Attempt::Popped;
            }
            if let Some(letter) = self.take(id) {
                return Attempt::Taken(self.leave_idle(board, letter));
            }
        }
    }

    /// Leaves the idle stack with a work from a mailbox: the place there is free, and
    /// only now does the actor cease to be idle.
    fn leave_idle(&mut self, mut board: MutexGuard<'_, Board<E>>, letter: Letter<E>) -> Letter<E> {
        let had_token = board.remove_idle(self.id).is_some_and(|idle| idle.token);
        self.slot.set_call(Call::None);
        self.stage.state.actor_leaves_idle(had_token);
        drop(board);
        self.stage.pass_on();
        letter
    }

    /// (c): sleeps until called. `Call::None` if the deadline has passed.
    fn park(&self, deadline: Option<Instant>) -> Call {
        loop {
            match self.slot.call() {
                Call::Popped => return Call::Popped,
                Call::Search if self.slot.hear_search() => return Call::Search,
                Call::Search => {}
                Call::None => {
                    if park(deadline) == Wake::TimedOut && self.slot.call() == Call::None {
                        return Call::None;
                    }
                }
            }
        }
    }

    // ---- Going --------------------------------------------------------

    /// Leaves a troupe that has more actors than it needs.
    fn retire(&mut self) -> Retire<E> {
        let stage = self.stage;
        let mut board = stage.board.lock();
        if self.slot.call() != Call::None {
            return Retire::Called;
        }
        if stage.state.load().live() <= stage.config.fewest() {
            if let Some(own) = board.idle.iter_mut().find(|idle| idle.id == self.id) {
                own.rests_for_good = true;
            }
            return Retire::Needed;
        }
        if board.open <= stage.config.fewest() {
            // The others are only reserved, and may never be.
            return Retire::NeededForNow;
        }
        // (1) From here on a sender sees that its work is late, or that the
        // troupe has one actor less.
        let Some(at) = board.idle.iter().position(|idle| idle.id == self.id) else {
            return Retire::Called;
        };
        let idle = board.idle.remove(at);
        stage.close(&mut board, self.id);
        if stage.cursor() == self.id {
            let other = board.occupied().find(|id| *id != self.id);
            if let Some(to) = other {
                // What it leaves behind is seen at (2).
                stage.move_cursor(self.id, to);
            }
        }
        let before = stage.state.idle_actor_retires();
        // (2) Not by the hints, by which a work may not be found for a moment.
        let found = board.occupied().find(|id| stage.hint_at_work(*id));
        if let Some(id) = found {
            stage.state.idle_actor_stays();
            stage.open(&mut board, self.id);
            stage.hint_at_work(self.id);
            board.idle.insert(at, idle);
            return match self.take(id) {
                Some(letter) => Retire::Taken(self.leave_idle(board, letter)),
                None => Retire::Called,
            };
        }
        let departed = board.take_finished();
        board.vacate(self.id);
        board.tally.retired += 1;
        drop(board);
        if before.is_waited_for() {
            stage.waiters.wake_one();
        }
        // So that they do not pile up until somebody joins.
        for thread in departed {
            drop_contained(thread.join());
        }
        Retire::Gone
    }

    /// Leaves a troupe that is shutting down, unless there is work left.
    fn leave(&mut self, mut board: MutexGuard<'_, Board<E>>) -> Next<E> {
        if let Some(letter) = self.take_left_over(&mut board) {
            return Next::Run(letter);
        }
        self.stage.leave(board, self.id);
        Next::Gone
    }

    /// Takes a work that is in the own mailbox, where it may wait for nobody else, or in
    /// any other: not by the hints, by which one may not be found for a moment.
    fn take_left_over(&mut self, board: &mut Board<E>) -> Option<Letter<E>> {
        let stage = self.stage;
        if stage.is_halted() {
            return None;
        }
        if let Some(letter) = self.take(self.id) {
            return Some(letter);
        }
        while board.swept < board.seats.len() {
            if let Some(letter) = self.take(board.swept) {
                return Some(letter);
            }
            board.swept += 1;
        }
        None
    }
}

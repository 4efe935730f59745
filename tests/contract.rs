//! The contract against a plain sequential model: random programs of operations on one troupe, the outcome of each of
//! which the model knows beforehand.
//!
//! After each operation the program lets the troupe come to rest: every work that runs waits at a gate, and none waits in
//! a mailbox while an actor could take it. At rest the model knows everything: what the next assign will say, every
//! counter and gauge, what `shutdown_now` will return. In between one thread at a time has a choice, so the order in which
//! works and handlers report what they do is the order in which it happened, and the model follows it. Which of several
//! waiting works is begun next is the one thing that is not promised; there the model checks that it was one of them, and
//! with `max` 1 that it was the oldest.
//!
//! `PROPTEST_CASES=n` runs `n` programs instead of 256. A program that fails is made as small as possible, and printed.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use proptest::strategy::{Just, Strategy};
use proptest::test_runner::{Config as Settings, TestCaseError, TestRunner};
use proptest::{bool as coin, collection, option, prop_oneof};
use troupe_pool::{
    AssignError, Config, Context, Failure, Handle, JoinError, Mode, Stats, Troupe, Work,
};

/// After this long a troupe that has not come to rest is hung. No correct run comes near it.
const HANG: Duration = Duration::from_secs(30);

/// The same once a program has failed, while smaller ones are tried.
const HANG_AGAIN: Duration = Duration::from_secs(2);

/// Has a program failed?
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// The number of a work.
type Id = usize;

/// Nothing, or what was not as it should be.
type Check<T = ()> = Result<T, String>;

/// The error of failed work: its number.
#[derive(Debug, PartialEq, Eq)]
struct Failed(Id);

// ---- Programs -----------------------------------------------------------

/// How a work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Completes,
    Fails,
    Panics,
}

/// How somebody on an actor's own thread assigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Assign,
    AssignTimeout,
    AssignWait,
    Reassign,
}

/// The behaviour of a work, and of the handler if it fails.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// It waits at its gate before it ends.
    is_gated: bool,
    /// Then it assigns another work from its own thread.
    assigns: Option<Inside>,
    end: End,
    /// The handler reassigns a work that is gated or not, and ends so.
    retry: Option<(bool, End)>,
    /// Then it assigns one more.
    more: Option<Inside>,
    /// Then it shuts the troupe down.
    shuts_down: bool,
    /// Then it waits at its own gate.
    lingers: bool,
    /// Then it panics.
    handler_panics: bool,
}

impl Plan {
    /// The work that works and handlers assign besides a retry. It stays where it begins, so that one thread at a time has a choice.
    const MORE: Self = Self::plain(true, End::Completes);

    /// A work that has no further consequences.
    const fn plain(is_gated: bool, end: End) -> Self {
        Self {
            is_gated,
            assigns: None,
            end,
            retry: None,
            more: None,
            shuts_down: false,
            lingers: false,
            handler_panics: false,
        }
    }
}

/// How the program assigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Assign,
    TimeoutOfZero,
    Timeout,
    Wait,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Assigns by the troupe, or by the n-th handle. Refused work is run by hand, or dropped.
    Assign(Plan, Way, Option<usize>, bool),
    /// Waits for room, on a thread of its own if there is none.
    AssignWait(End),
    /// Opens the n-th gate that somebody waits at.
    Open(usize),
    WaitIdle,
    Join,
    Look,
    CloneHandle(usize),
    DropHandle(usize),
    Shutdown(Option<usize>),
    ShutdownNow,
    DropTroupe,
}

/// How a program ends, if it has not come to an end by then.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Gate by gate; then `wait_idle`, shutdown, join.
    Drain,
    Shutdown,
    ShutdownNow,
    DropTroupe,
}

#[derive(Clone, Debug)]
struct Program {
    config: Config,
    ops: Vec<Op>,
    ending: Ending,
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        2 => Just(End::Completes),
        2 => Just(End::Fails),
        1 => Just(End::Panics),
    ]
}

fn insides() -> impl Strategy<Value = Inside> {
    prop_oneof![
        Just(Inside::Assign),
        Just(Inside::AssignTimeout),
        Just(Inside::AssignWait),
        Just(Inside::Reassign),
    ]
}

fn plans() -> impl Strategy<Value = Plan> {
    (
        coin::weighted(0.75),
        option::weighted(0.2, insides()),
        ends(),
        option::weighted(0.5, (coin::weighted(0.6), ends())),
        option::weighted(0.3, insides()),
        coin::weighted(0.02),
        coin::weighted(0.3),
        coin::weighted(0.2),
    )
        .prop_map(
            |(is_gated, assigns, end, retry, more, shuts_down, lingers, handler_panics)| Plan {
                is_gated,
                // A work has no context to reassign by.
                assigns: assigns.filter(|how| *how != Inside::Reassign),
                end,
                retry,
                more,
                shuts_down,
                lingers,
                handler_panics,
            },
        )
}

fn ways() -> impl Strategy<Value = Way> {
    prop_oneof![
        4 => Just(Way::Assign),
        1 => Just(Way::TimeoutOfZero),
        1 => Just(Way::Timeout),
        1 => Just(Way::Wait),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let any = || 0..16_usize;
    prop_oneof![
        30 => (plans(), ways(), option::weighted(0.3, any()), coin::ANY)
            .prop_map(|(plan, way, handle, by_hand)| Op::Assign(plan, way, handle, by_hand)),
        4 => ends().prop_map(Op::AssignWait),
        24 => any().prop_map(Op::Open),
        4 => Just(Op::WaitIdle),
        2 => Just(Op::Join),
        2 => Just(Op::Look),
        2 => any().prop_map(Op::CloneHandle),
        2 => any().prop_map(Op::DropHandle),
        1 => option::of(any()).prop_map(Op::Shutdown),
        1 => Just(Op::ShutdownNow),
        1 => Just(Op::DropTroupe),
    ]
}

fn configs() -> impl Strategy<Value = Config> {
    let timeouts = prop_oneof![
        2 => Just(Duration::MAX),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::from_millis(1)),
    ];
    (coin::ANY, 1..5_usize, 0..4_usize, 0..20_usize, timeouts).prop_map(
        |(is_fixed, max, mailbox_size, other, timeout)| {
            let config = if is_fixed {
                Config::fixed(max)
            } else {
                let min = other % (max + 1);
                Config::dynamic(min, max)
                    .initial(min + other / 5 % (max - min + 1))
                    .idle_timeout(timeout)
            };
            config.mailbox_size(mailbox_size)
        },
    )
}

fn programs() -> impl Strategy<Value = Program> {
    let endings = prop_oneof![
        Just(Ending::Drain),
        Just(Ending::Shutdown),
        Just(Ending::ShutdownNow),
        Just(Ending::DropTroupe),
    ];
    (configs(), collection::vec(ops(), 0..40), endings).prop_map(|(config, ops, ending)| Program {
        config,
        ops,
        ending,
    })
}

// ---- The reports of works and handlers ---------------------------------------

/// The outcome of an assign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Full,
    ShuttingDown,
    Spawn,
    WouldDeadlock,
}

/// The outcome, and the work if that came back.
fn answer(outcome: Result<(), AssignError<Failed>>) -> (Answer, Option<Work<Failed>>) {
    let answer = match &outcome {
        Ok(()) => Answer::Accepted,
        Err(AssignError::Full(_)) => Answer::Full,
        Err(AssignError::ShuttingDown(_)) => Answer::ShuttingDown,
        Err(AssignError::WouldDeadlock(_)) => Answer::WouldDeadlock,
        Err(_) => Answer::Spawn,
    };
    (answer, outcome.err().map(AssignError::into_work))
}

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
enum Event {
    Started(Id),
    /// The work itself; its handler and the end of its place come later.
    Ended(Id),
    Handling(Id, End),
    /// A work or handler is about to assign.
    Asking {
        by: Id,
        work: Id,
        how: Inside,
    },
    Answered {
        work: Id,
        answer: Answer,
    },
    /// A handler shuts the troupe down.
    ShuttingDown,
    Lingers(Id),
    Handled(Id),
    /// The answer to who waited for room.
    Entered(Id),
    TurnedAway(Id, Answer),
    /// The captures of a work have been dropped.
    Dropped(Id),
    /// An event that no correct run has.
    Wrong(&'static str),
}

/// The gates of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Gate {
    OfWork,
    OfHandler,
}

/// The state that a program, its works and its handler share.
#[derive(Default)]
struct World {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    plans: Vec<Plan>,
    events: Vec<Event>,
    open: HashSet<(Id, Gate)>,
    all_open: bool,
    by_hand: HashSet<Id>,
    /// Somebody waits for room: works and handlers only reassign, since it is nobody's to say who gets a place.
    is_waited_for: bool,
}

impl Told {
    fn plan(&mut self, plan: Plan) -> Id {
        self.plans.push(plan);
        self.plans.len() - 1
    }
}

impl World {
    fn tell(&self, event: Event) {
        self.told.lock().events.push(event);
        self.changed.notify_all();
    }

    fn open(&self, id: Id, gate: Gate) {
        self.told.lock().open.insert((id, gate));
        self.changed.notify_all();
    }

    fn open_all(&self) {
        self.told.lock().all_open = true;
        self.changed.notify_all();
    }

    fn pass(&self, id: Id, gate: Gate) {
        let mut told = self.told.lock();
        while !told.all_open && !told.open.contains(&(id, gate)) {
            self.changed.wait(&mut told);
        }
    }

    /// The work of this number.
    fn work(self: &Arc<Self>, id: Id, handle: &Handle<Failed>) -> Work<Failed> {
        let lease = Lease(Arc::clone(self), id);
        let handle = handle.clone();
        Work::new(move || {
            let Lease(world, id) = &lease;
            world.perform(*id, &handle)
        })
    }

    fn perform(self: &Arc<Self>, id: Id, handle: &Handle<Failed>) -> Result<(), Failed> {
        let (plan, by_hand) = {
            let told = self.told.lock();
            (told.plans[id], told.by_hand.contains(&id))
        };
        if !by_hand {
            self.tell(Event::Started(id));
            if plan.is_gated {
                self.pass(id, Gate::OfWork);
            }
            if let Some(how) = plan.assigns {
                self.ask(id, how, Plan::MORE, true, (handle, None));
            }
            self.tell(Event::Ended(id));
        }
        match plan.end {
            End::Completes => Ok(()),
            End::Fails => Err(Failed(id)),
            // Without the hook's report.
            End::Panics => resume_unwind(Box::new(Failed(id))),
        }
    }

    fn handle(self: &Arc<Self>, failure: Failure<Failed>, context: &Context<'_, Failed>) {
        let (id, end) = match failure {
            Failure::Error(Failed(id)) => (id, End::Fails),
            Failure::Panic(panic) => match panic.into_payload().downcast::<Failed>() {
                Ok(failed) => (failed.0, End::Panics),
                Err(_) => return self.tell(Event::Wrong("a payload of nobody's")),
            },
            _ => return self.tell(Event::Wrong("a failure of no known kind")),
        };
        let plan = self.told.lock().plans[id];
        self.tell(Event::Handling(id, end));
        let handle = context.troupe();
        if let Some((is_gated, end)) = plan.retry {
            let plan = Plan::plain(is_gated, end);
            self.ask(id, Inside::Reassign, plan, false, (handle, Some(context)));
        }
        if let Some(how) = plan.more {
            self.ask(id, how, Plan::MORE, true, (handle, Some(context)));
        }
        if plan.shuts_down && !self.told.lock().is_waited_for {
            self.tell(Event::ShuttingDown);
            handle.shutdown();
            if !handle.is_shutdown() {
                self.tell(Event::Wrong("a shutdown that did not happen"));
            }
        }
        if plan.lingers {
            self.tell(Event::Lingers(id));
            self.pass(id, Gate::OfHandler);
        }
        self.tell(Event::Handled(id));
        if plan.handler_panics {
            resume_unwind(Box::new("the handler"));
        }
    }

    /// Assigns a work on the thread of the work `by`.
    fn ask(
        self: &Arc<Self>,
        by: Id,
        how: Inside,
        plan: Plan,
        needs_room: bool,
        (handle, context): (&Handle<Failed>, Option<&Context<'_, Failed>>),
    ) {
        let work = {
            let mut told = self.told.lock();
            if told.is_waited_for && needs_room {
                return;
            }
            let work = told.plan(plan);
            told.events.push(Event::Asking { by, work, how });
            work
        };
        let closure = self.work(work, handle);
        let outcome = match (how, context) {
            (Inside::Reassign, Some(context)) => context.reassign(closure),
            (Inside::Reassign | Inside::Assign, _) => handle.assign(closure),
            (Inside::AssignTimeout, _) => handle.assign_timeout(closure, HANG),
            (Inside::AssignWait, _) => handle.assign_wait(closure),
        };
        let (answer, refused) = answer(outcome);
        drop(refused);
        self.tell(Event::Answered { work, answer });
    }
}

/// A value that every work captures.
struct Lease(Arc<World>, Id);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.tell(Event::Dropped(self.1));
    }
}

// ---- The model ----------------------------------------------------------

/// How far a work that is being run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Works,
    /// It has failed, and its handler is next.
    Ended,
    Handles,
    Lingers,
}

/// A work that is being run.
#[derive(Clone, Copy, Debug)]
struct Running {
    stage: Stage,
    /// The retry that its handler has put in its place.
    retry: Option<Id>,
    has_reassigned: bool,
}

/// A troupe as its documentation has it.
#[derive(Debug)]
struct Model {
    min: usize,
    max: usize,
    capacity: usize,
    /// Do actors above `min` retire before the next operation?
    retires: bool,
    /// Has somebody waited for room of such a troupe? Then it is a matter of luck whether the place is an actor's that goes
    /// idle or that of a new one in its stead.
    is_lucky: bool,

    plans: Vec<Plan>,
    open: BTreeSet<(Id, bool)>,
    all_open: bool,

    /// Accepted, not begun, oldest first; and if it waited for room, between which rests it came in: those that came in
    /// between the same two may have done so in any order.
    queue: VecDeque<(Id, Option<u32>)>,
    /// How often the troupe has come to rest.
    rests: u32,
    running: BTreeMap<Id, Running>,
    /// Retries whose handler has returned.
    due: Vec<Id>,
    /// Waiting for room.
    waiting: BTreeSet<Id>,
    /// Begun before its assigner has said that it was accepted.
    begun_early: BTreeSet<Id>,
    /// The expected outcomes of assigns.
    answers: BTreeMap<Id, Answer>,
    dropped: BTreeSet<Id>,

    is_shut_down: bool,
    is_halted: bool,
    live: usize,
    stats: Stats,
}

impl Model {
    /// As `build` has left it. An actor can retire before the last of the initial ones has been started, so the most there
    /// were at once is what was seen.
    fn new(config: &Config, peak: usize) -> Self {
        let is_fixed = config.mode == Mode::Fixed;
        let live = if is_fixed {
            config.max
        } else {
            config.initial.unwrap_or(config.min)
        };
        let capacity = config.max * (config.mailbox_size + 1);
        let mut stats = Stats::default();
        stats.capacity = capacity;
        let retires = !is_fixed && config.idle_timeout < HANG;
        stats.peak = if retires { peak.min(live) } else { live };
        Self {
            min: if is_fixed { config.max } else { config.min },
            max: config.max,
            capacity,
            retires,
            is_lucky: false,
            plans: Vec::new(),
            open: BTreeSet::new(),
            all_open: false,
            queue: VecDeque::new(),
            rests: 0,
            running: BTreeMap::new(),
            due: Vec::new(),
            waiting: BTreeSet::new(),
            begun_early: BTreeSet::new(),
            answers: BTreeMap::new(),
            dropped: BTreeSet::new(),
            is_shut_down: false,
            is_halted: false,
            live,
            stats,
        }
    }

    /// Works that have been thought of since.
    fn learn(&mut self, plans: &[Plan]) {
        self.plans.extend(&plans[self.plans.len()..]);
    }

    fn unfinished(&self) -> usize {
        self.queue.len() + self.running.len() + self.due.len()
    }

    fn has_room(&self) -> bool {
        self.unfinished() < self.capacity
    }

    fn is_open(&self, id: Id, of_handler: bool) -> bool {
        self.all_open || self.open.contains(&(id, of_handler))
    }

    /// The gates that somebody waits at.
    fn blocked(&self) -> Vec<(Id, bool)> {
        let gates = self.running.iter().map(|(id, run)| (*id, run.stage));
        gates
            .filter_map(|(id, stage)| match stage {
                Stage::Works if self.plans[id].is_gated => Some((id, false)),
                Stage::Lingers => Some((id, true)),
                _ => None,
            })
            .filter(|(id, of_handler)| !self.is_open(*id, *of_handler))
            .collect()
    }

    /// A work of the program's, or one that waited for room, is accepted.
    fn accept(&mut self) {
        self.stats.accepted += 1;
        // Nobody is idle, so this one begins on a new actor.
        if self.unfinished() >= self.live && self.live < self.max {
            self.live += 1;
            self.stats.grown += 1;
            self.stats.peak = self.stats.peak.max(self.live);
        }
    }

    /// The expected outcome of an assign outside of the troupe.
    fn assign(&mut self, id: Id) -> Answer {
        let answer = if self.is_shut_down {
            Answer::ShuttingDown
        } else if self.has_room() {
            self.accept();
            self.queue.push_back((id, None));
            return Answer::Accepted;
        } else {
            Answer::Full
        };
        self.stats.refused += 1;
        answer
    }

    /// The expected outcome of an assign on an actor's own thread.
    fn assign_inside(&mut self, by: Id, work: Id, how: Inside) -> Check {
        let run = self.running.get_mut(&by).ok_or("it does not run")?;
        let answer = if self.is_shut_down {
            Answer::ShuttingDown
        } else if how == Inside::Reassign && !run.has_reassigned {
            run.has_reassigned = true;
            run.retry = Some(work);
            self.stats.accepted += 1;
            Answer::Accepted
        } else if self.has_room() {
            self.accept();
            self.queue.push_back((work, None));
            Answer::Accepted
        } else if matches!(how, Inside::AssignTimeout | Inside::AssignWait) {
            Answer::WouldDeadlock
        } else {
            Answer::Full
        };
        self.stats.refused += u64::from(answer != Answer::Accepted);
        self.answers.insert(work, answer);
        Ok(())
    }

    fn shut_down(&mut self) -> bool {
        !std::mem::replace(&mut self.is_shut_down, true)
    }

    /// The works that `shutdown_now` takes back.
    fn halt(&mut self) -> usize {
        self.shut_down();
        self.is_halted = true;
        let retries = self.running.values_mut();
        let retries = retries.filter_map(|run| run.retry.take()).count();
        let back = self.queue.len() + retries;
        self.queue.clear();
        self.stats.returned += back as u64;
        back
    }

    fn hear(&mut self, event: Event) -> Check {
        match event {
            Event::Started(id) => self.started(id),
            Event::Ended(id) => self.ended(id),
            Event::Handling(id, end) => {
                let is_right = self.plans[id].end == end;
                self.step(id, &[Stage::Ended], Stage::Handles)?;
                is_right.then_some(()).ok_or("it failed otherwise".into())
            }
            Event::Asking { by, work, how } => self.assign_inside(by, work, how),
            Event::Answered { work, answer } => match self.answers.remove(&work) {
                Some(expected) if expected == answer => Ok(()),
                expected => Err(format!("expected {expected:?}")),
            },
            Event::ShuttingDown => {
                self.shut_down();
                Ok(())
            }
            Event::Lingers(id) => self.step(id, &[Stage::Handles], Stage::Lingers),
            Event::Handled(id) => self.handled(id),
            Event::Entered(id) => {
                if self.begun_early.remove(&id) {
                    return Ok(());
                }
                self.enter(id)?;
                self.queue.push_back((id, Some(self.rests)));
                Ok(())
            }
            Event::TurnedAway(id, answer) => {
                self.stats.refused += 1;
                let is_right =
                    self.waiting.remove(&id) && self.is_shut_down && answer == Answer::ShuttingDown;
                is_right.then_some(()).ok_or("it waited for room".into())
            }
            Event::Dropped(id) => self.was_dropped(id),
            Event::Wrong(what) => Err(what.into()),
        }
    }

    fn step(&mut self, id: Id, from: &[Stage], to: Stage) -> Check {
        let run = self.running.get_mut(&id).ok_or("it does not run")?;
        if !from.contains(&run.stage) {
            return Err(format!("it is at {:?}", run.stage));
        }
        run.stage = to;
        Ok(())
    }

    fn started(&mut self, id: Id) -> Check {
        let is_alone = self.max == 1;
        if self.is_halted {
            return Err("after shutdown_now".into());
        }
        if let Some(at) = self.due.iter().position(|due| *due == id) {
            self.due.remove(at);
        } else if is_alone && !self.due.is_empty() {
            return Err("before a retry".into());
        } else if let Some(at) = self.queue.iter().position(|(queued, _)| *queued == id) {
            let (_, came) = self.queue[at];
            let mut before = self.queue.range(..at);
            let is_oldest = before.all(|(_, other)| came.is_some() && *other == came);
            if is_alone && !is_oldest {
                return Err("before an older one".into());
            }
            self.queue.remove(at);
        } else if self.waiting.contains(&id) {
            let came = Some(self.rests);
            if is_alone && self.queue.iter().any(|(_, other)| *other != came) {
                return Err("before an older one".into());
            }
            self.enter(id)?;
            self.begun_early.insert(id);
        } else {
            return Err("it was not accepted".into());
        }
        let run = Running {
            stage: Stage::Works,
            retry: None,
            has_reassigned: false,
        };
        self.running.insert(id, run);
        if self.running.len() > self.max {
            return Err("more works at once than actors".into());
        }
        Ok(())
    }

    fn enter(&mut self, id: Id) -> Check {
        if !self.waiting.remove(&id) {
            return Err("it did not wait".into());
        }
        if !self.has_room() {
            return Err("there was no room".into());
        }
        self.accept();
        Ok(())
    }

    fn ended(&mut self, id: Id) -> Check {
        let plan = self.plans[id];
        if plan.is_gated && !self.is_open(id, false) {
            return Err("through a closed gate".into());
        }
        self.step(id, &[Stage::Works], Stage::Ended)?;
        if plan.end == End::Completes {
            self.running.remove(&id);
            self.stats.completed += 1;
        }
        Ok(())
    }

    fn handled(&mut self, id: Id) -> Check {
        self.step(id, &[Stage::Handles, Stage::Lingers], Stage::Handles)?;
        let plan = self.plans[id];
        match plan.end {
            End::Completes => return Err("it has not failed".into()),
            End::Fails => self.stats.failed += 1,
            End::Panics => self.stats.panicked += 1,
        }
        self.stats.handler_panics += u64::from(plan.handler_panics);
        let run = self.running.remove(&id);
        self.due.extend(run.and_then(|run| run.retry));
        Ok(())
    }

    fn was_dropped(&mut self, id: Id) -> Check {
        let works = |(_, run): (&Id, &Running)| run.stage == Stage::Works;
        if !self.dropped.insert(id) {
            return Err("twice".into());
        }
        let is_waiting = self.waiting.contains(&id)
            || self.due.contains(&id)
            || self.queue.iter().any(|(queued, _)| *queued == id)
            || self.running.values().any(|run| run.retry == Some(id))
            || self.running.get_key_value(&id).is_some_and(works);
        if is_waiting {
            return Err("before it has been run".into());
        }
        Ok(())
    }

    /// Why the troupe is not at rest.
    fn rest(&mut self) -> Check {
        let unfinished = self.unfinished();
        if !self.due.is_empty() || !self.answers.is_empty() || !self.begun_early.is_empty() {
            return Err("a handler, a retry or an assigner is on its way".into());
        }
        if self.blocked().len() != self.running.len() {
            return Err("a work or handler is on its way".into());
        }
        if self.running.len() != unfinished.min(self.max) {
            return Err(format!(
                "{unfinished} works are unfinished, and {} run",
                self.running.len()
            ));
        }
        if !self.waiting.is_empty() && (self.is_shut_down || self.has_room()) {
            return Err("somebody waits for room although there is".into());
        }
        self.rests += 1;
        if self.is_shut_down {
            self.live = self.running.len();
        } else if self.retires {
            let left = self.min.max(self.running.len());
            self.stats.retired += (self.live - left) as u64;
            self.live = left;
        }
        Ok(())
    }

    /// The expected snapshot at rest. Figures that are not promised are taken from the one seen.
    fn expected(&self, seen: &Stats) -> Stats {
        let mut stats = self.stats;
        stats.queued = self.queue.len();
        stats.running = self.running.len();
        stats.actors = self.live;
        stats.idle = self.live - self.running.len();
        stats.shared = seen.shared;
        if self.is_lucky {
            stats.retired = (stats.retired + seen.grown).saturating_sub(stats.grown);
            stats.grown = seen.grown;
        }
        stats
    }
}

// ---- A program against both ---------------------------------------------

struct Run {
    world: Arc<World>,
    model: Model,
    troupe: Option<Troupe<Failed>>,
    handle: Handle<Failed>,
    handles: Vec<Handle<Failed>>,
    waiters: Vec<JoinHandle<()>>,
    /// One more is with the handler.
    handler: Arc<()>,
}

impl Drop for Run {
    /// Whatever went wrong, nothing of it stays behind.
    fn drop(&mut self) {
        self.world.open_all();
        self.handle.shutdown();
    }
}

impl Run {
    fn new(config: &Config) -> Self {
        let world = Arc::new(World::default());
        let handler = Arc::new(());
        let (told, held) = (Arc::clone(&world), Arc::clone(&handler));
        let troupe = Troupe::builder(config.clone())
            .error_handler(move |failure: Failure<Failed>, context| {
                let _held = &held;
                told.handle(failure, context);
            })
            .build()
            .expect("a valid configuration");
        Self {
            model: Model::new(config, troupe.stats().peak),
            handle: troupe.handle(),
            troupe: Some(troupe),
            handles: Vec::new(),
            waiters: Vec::new(),
            handler,
            world,
        }
    }

    fn plan(&mut self, plan: Plan) -> Id {
        let mut told = self.world.told.lock();
        let id = told.plan(plan);
        self.model.learn(&told.plans);
        id
    }

    /// Tells the model what has happened since.
    fn hear(&mut self) -> Check {
        let events = {
            let mut told = self.world.told.lock();
            self.model.learn(&told.plans);
            std::mem::take(&mut told.events)
        };
        for event in events {
            let heard = self.model.hear(event);
            heard.map_err(|why| format!("{event:?}: {why}"))?;
        }
        Ok(())
    }

    /// Waits until the troupe is at rest, and just as the model has it.
    fn settle(&mut self) -> Check {
        let patience = if HAS_FAILED.load(SeqCst) {
            HANG_AGAIN
        } else {
            HANG
        };
        let until = Instant::now() + patience;
        let mut looks = 0_u32;
        loop {
            self.hear()?;
            let rest = self.model.rest();
            let seen = self.handle.stats();
            let finished = seen.completed + seen.failed + seen.panicked + seen.returned;
            if finished > seen.accepted || seen.queued + seen.running > seen.capacity {
                return Err(format!("a snapshot that cannot be: {seen:?}"));
            }
            let expected = self.model.expected(&seen);
            if rest.is_ok() && seen == expected {
                break;
            }
            if Instant::now() > until {
                return Err(format!(
                    "hung: {rest:?},\n  seen     {seen:?},\n  expected {expected:?}\n{:#?}",
                    self.model
                ));
            }
            looks += 1;
            if looks < 200 {
                thread::yield_now();
            } else {
                // Gauges signal nobody.
                let mut told = self.world.told.lock();
                if told.events.is_empty() {
                    let _ = (self.world.changed)
                        .wait_for(&mut told, Duration::from_micros(200))
                        .timed_out();
                }
            }
        }
        if self.model.waiting.is_empty() {
            self.world.told.lock().is_waited_for = false;
        }
        Ok(())
    }

    fn open(&mut self, id: Id, of_handler: bool) {
        self.model.open.insert((id, of_handler));
        let gate = if of_handler {
            Gate::OfHandler
        } else {
            Gate::OfWork
        };
        self.world.open(id, gate);
    }

    fn open_all(&mut self) {
        self.model.all_open = true;
        self.world.open_all();
    }

    fn handle(&self, nth: Option<usize>) -> Option<&Handle<Failed>> {
        let nth = nth?;
        Some(match self.handles.len() {
            0 => &self.handle,
            len => &self.handles[nth % len],
        })
    }

    fn assign(&mut self, plan: Plan, way: Way, handle: Option<usize>, by_hand: bool) -> Check {
        let id = self.plan(plan);
        let work = self.world.work(id, &self.handle);
        let would_wait = !self.model.is_shut_down && !self.model.has_room();
        let expected = self.model.assign(id);
        let way = match way {
            // It would wait for ever.
            Way::Wait if would_wait => Way::Timeout,
            way => way,
        };
        let short = Duration::from_micros(200);
        let outcome = match (self.handle(handle), &self.troupe) {
            (None, Some(troupe)) => match way {
                Way::Assign => troupe.assign(work),
                Way::TimeoutOfZero => troupe.assign_timeout(work, Duration::ZERO),
                Way::Timeout => troupe.assign_timeout(work, short),
                Way::Wait => troupe.assign_wait(work),
            },
            (handle, _) => {
                let handle = handle.unwrap_or(&self.handle);
                match way {
                    Way::Assign => handle.assign(work),
                    Way::TimeoutOfZero => handle.assign_timeout(work, Duration::ZERO),
                    Way::Timeout => handle.assign_timeout(work, short),
                    Way::Wait => handle.assign_wait(work),
                }
            }
        };
        let (answer, refused) = answer(outcome);
        if answer != expected {
            return Err(format!("said {answer:?}, expected {expected:?}"));
        }
        if let Some(work) = refused.filter(|_| by_hand) {
            self.world.told.lock().by_hand.insert(id);
            let is_right = match catch_unwind(AssertUnwindSafe(|| work.run())) {
                Ok(Ok(())) => plan.end == End::Completes,
                Ok(Err(error)) => plan.end == End::Fails && error == Failed(id),
                Err(payload) => {
                    let failed = payload.downcast_ref::<Failed>();
                    plan.end == End::Panics && failed == Some(&Failed(id))
                }
            };
            if !is_right {
                return Err("what came back is not what was assigned".into());
            }
        }
        Ok(())
    }

    fn assign_wait(&mut self, end: End) -> Check {
        let plan = Plan::plain(true, end);
        if self.model.is_shut_down || self.model.has_room() {
            return self.assign(plan, Way::Wait, Some(0), false);
        }
        let id = self.plan(plan);
        self.model.waiting.insert(id);
        self.model.is_lucky |= self.model.retires;
        self.world.told.lock().is_waited_for = true;
        let (world, handle) = (Arc::clone(&self.world), self.handle.clone());
        let waiter = thread::Builder::new().spawn(move || {
            let work = world.work(id, &handle);
            let (answer, refused) = answer(handle.assign_wait(work));
            match answer {
                Answer::Accepted => world.tell(Event::Entered(id)),
                answer => world.tell(Event::TurnedAway(id, answer)),
            }
            drop(refused);
        });
        self.waiters
            .push(waiter.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn wait_idle(&self) -> Check {
        let Some(troupe) = &self.troupe else {
            return Ok(());
        };
        let (outcome, expected) = if self.model.unfinished() == 0 {
            (troupe.wait_idle_timeout(HANG), Ok(()))
        } else {
            let outcome = troupe.wait_idle_timeout(Duration::ZERO);
            (outcome, Err(JoinError::Timeout))
        };
        equal("wait_idle", outcome, expected)
    }

    fn join(&self) -> Check {
        let Some(troupe) = &self.troupe else {
            return Ok(());
        };
        let (outcome, expected) = if self.model.is_shut_down && self.model.unfinished() == 0 {
            (troupe.join_timeout(HANG), Ok(()))
        } else {
            let outcome = troupe.join_timeout(Duration::ZERO);
            (outcome, Err(JoinError::Timeout))
        };
        equal("join", outcome, expected)
    }

    /// Every way to look.
    fn look(&self) -> Check {
        equal(
            "the handle's is_shutdown",
            self.handle.is_shutdown(),
            self.model.is_shut_down,
        )?;
        let Some(troupe) = &self.troupe else {
            return Ok(());
        };
        equal("is_shutdown", troupe.is_shutdown(), self.model.is_shut_down)?;
        let stats = troupe.stats();
        equal("stats", stats, self.model.expected(&stats))?;
        let actors = troupe.actors();
        let ids: BTreeSet<usize> = actors.iter().map(|actor| actor.id).collect();
        equal("ids", ids.len(), actors.len())?;
        equal(
            "ids below max",
            ids.range(..self.model.max).count(),
            ids.len(),
        )?;
        let busy = actors.iter().filter(|actor| actor.is_busy).count();
        let queued = actors.iter().map(|actor| actor.queued).sum();
        equal(
            "actors, busy, queued",
            (actors.len(), busy, queued),
            (stats.actors, stats.running, stats.queued),
        )
    }

    fn shut_down(&mut self, handle: Option<usize>) -> Check {
        let was_first = match (self.handle(handle), &self.troupe) {
            (None, Some(troupe)) => troupe.shutdown(),
            (handle, _) => handle.unwrap_or(&self.handle).shutdown(),
        };
        equal("shutdown", was_first, self.model.shut_down())
    }

    fn shut_down_now(&mut self) -> Check {
        let Some(troupe) = &self.troupe else {
            return Ok(());
        };
        let back = troupe.shutdown_now();
        // That they are the right ones is seen when they are dropped.
        equal("works back", back.len(), self.model.halt())
    }

    fn perform(&mut self, op: Op) -> Check {
        match op {
            Op::Assign(plan, way, handle, by_hand) => self.assign(plan, way, handle, by_hand)?,
            Op::AssignWait(_) if self.model.waiting.len() == 3 => {}
            Op::AssignWait(end) => self.assign_wait(end)?,
            Op::Open(nth) => {
                let blocked = self.model.blocked();
                if let Some((id, of_handler)) = blocked.get(nth % blocked.len().max(1)) {
                    self.open(*id, *of_handler);
                }
            }
            Op::WaitIdle => self.wait_idle()?,
            Op::Join => self.join()?,
            Op::Look => self.look()?,
            Op::CloneHandle(nth) => {
                let another = self.handle(Some(nth)).cloned();
                self.handles.extend(another);
            }
            Op::DropHandle(nth) => {
                if !self.handles.is_empty() {
                    drop(self.handles.swap_remove(nth % self.handles.len()));
                }
            }
            Op::Shutdown(handle) => self.shut_down(handle)?,
            Op::ShutdownNow => self.shut_down_now()?,
            Op::DropTroupe => self.drop_troupe(),
        }
        self.settle()
    }

    fn drop_troupe(&mut self) {
        if self.troupe.take().is_some() {
            self.model.shut_down();
        }
    }

    /// To the end, by one of four ways; and then nothing is left.
    fn end(mut self, ending: Ending) -> Check {
        match ending {
            Ending::Drain => {
                while let Some((id, of_handler)) = self.model.blocked().first().copied() {
                    self.open(id, of_handler);
                    self.settle()?;
                }
                self.wait_idle()?;
                self.shut_down(None)?;
            }
            Ending::Shutdown => self.shut_down(Some(0))?,
            Ending::ShutdownNow => self.shut_down_now()?,
            Ending::DropTroupe => self.drop_troupe(),
        }
        self.settle()?;
        self.open_all();
        match &self.troupe {
            Some(troupe) => {
                equal("join", troupe.join_timeout(HANG), Ok(()))?;
                // All that has been accepted is finished and dropped now, and needs no more time.
                self.hear()?;
                equal("the end", self.model.rest(), Ok(()))?;
                let stats = self.handle.stats();
                equal("stats", stats, self.model.expected(&stats))?;
                equal("handlers", Arc::strong_count(&self.handler), 1)?;
                self.look()?;
            }
            None => self.settle()?,
        }
        for waiter in self.waiters.drain(..) {
            waiter.join().map_err(|_| "a waiter has panicked")?;
        }
        self.assign(Plan::plain(false, End::Fails), Way::Wait, Some(0), true)?;
        let until = Instant::now() + HANG;
        loop {
            self.hear()?;
            let all_dropped = self.model.dropped.len() == self.model.plans.len();
            if all_dropped && Arc::strong_count(&self.handler) == 1 {
                break;
            }
            // Without a join, an actor's last steps may still be to come.
            if self.troupe.is_some() || Instant::now() > until {
                return Err(format!("not everything is dropped: {:#?}", self.model));
            }
            thread::yield_now();
        }
        let stats = self.model.stats;
        equal(
            "accepted",
            stats.accepted,
            stats.completed + stats.failed + stats.panicked + stats.returned,
        )
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Check {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, expected {expected:?}"))
}

fn play(program: &Program) -> Check {
    let mut run = Run::new(&program.config);
    run.settle()
        .map_err(|why| format!("when it was built: {why}"))?;
    for (number, op) in program.ops.iter().enumerate() {
        let played = run.perform(*op);
        played.map_err(|why| format!("operation {number}, {op:?}: {why}"))?;
    }
    run.end(program.ending)
        .map_err(|why| format!("at the end: {why}"))
}

/// The whole contract, but for what races: see the top of this file.
#[test]
fn a_troupe_does_what_the_model_does() {
    let settings = Settings {
        failure_persistence: None,
        max_shrink_time: 300_000,
        ..Settings::default()
    };
    let outcome = TestRunner::new(settings).run(&programs(), |program| {
        play(&program).map_err(|why| {
            HAS_FAILED.store(true, SeqCst);
            TestCaseError::fail(why)
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Two that waited for room may have come in in either order. They say so themselves, and that in either order too.
///
/// Fails when the model takes the order in which they say it for that in which they came in.
#[test]
fn waiters_that_come_in_together_are_begun_in_either_order() {
    let queued = |plan| Op::Assign(plan, Way::Assign, None, false);
    let program = Program {
        config: Config::fixed(1).mailbox_size(2),
        ops: vec![
            queued(Plan::MORE),
            queued(Plan::plain(false, End::Completes)),
            queued(Plan::MORE),
            Op::AssignWait(End::Completes),
            Op::AssignWait(End::Completes),
            // Makes room for both of them.
            Op::Open(0),
            Op::Open(0),
            Op::Open(0),
        ],
        ending: Ending::Drain,
    };
    for _ in 0..300 {
        play(&program).unwrap_or_else(|why| panic!("{why}"));
    }
}

//! Runs a program inside one execution of the model checker.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use shuttle::thread;

use super::latch::Latch;
use super::log::{self, Answer, Call, Event, Outcome};
use super::oracle;
use super::program::{Drops, End, Ending, GATES, Op, Patience, Program, Settings, Via};
use crate::{AssignError, Config, Context, Failure, Handle, JoinError, Troupe};

/// The remains of failed works: an error, or a panic's payload.
struct Fault {
    stage: Arc<Stage>,
    work: usize,
    spec: Option<usize>,
}

impl Drop for Fault {
    fn drop(&mut self) {
        log::note(Event::FaultDropped { work: self.work });
        self.stage.quiet();
    }
}

/// The state of a running program.
struct Stage {
    program: Arc<Program>,
    handle: OnceLock<Handle<Fault>>,
    /// The troupe, until the ending takes it. Never locked across a call.
    troupe: Mutex<Option<Arc<Troupe<Fault>>>>,
    gates: Vec<Latch>,
    /// A lock and an event, with which the endings that cannot join wait for the last work.
    finished: Option<(shuttle::sync::Mutex<()>, shuttle::sync::Condvar)>,
}

/// The events that a work waits for and reports, besides those of its specification.
#[derive(Clone, Default)]
struct Ties {
    hit_at_begin: Option<Arc<Latch>>,
    wait: Option<Arc<Latch>>,
    hit_at_drop: Option<Arc<Latch>>,
    /// The work drops the troupe.
    drops_troupe: bool,
}

/// A captured value, whose drop is promised to users.
struct Lease {
    stage: Arc<Stage>,
    work: usize,
    spec: Option<usize>,
    ties: Ties,
    has_begun: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        log::note(Event::Dropped { work: self.work });
        let latches = [self.ties.hit_at_begin.take(), self.ties.hit_at_drop.take()];
        for latch in latches.into_iter().flatten() {
            latch.hit();
        }
        self.stage.quiet();
        if std::thread::panicking() {
            return;
        }
        match self.spec.map(|spec| self.stage.program.works[spec].drop) {
            None | Some(Drops::Quietly) => {}
            Some(Drops::Looking) => self.stage.look(),
            Some(Drops::Panicking) => {
                let fault = self.stage.fault(self.work, self.spec);
                if !self.has_begun {
                    // No handler receives the fault.
                    std::mem::forget(fault);
                    resume_unwind(Box::new(()));
                }
                resume_unwind(Box::new(fault));
            }
        }
    }
}

/// Logs that the handler has been dropped.
struct HandlerLease(Arc<Stage>);

impl Drop for HandlerLease {
    fn drop(&mut self) {
        log::note(Event::HandlerGone);
        self.0.quiet();
    }
}

/// The place where an operation is run.
#[derive(Clone, Copy)]
enum At<'a> {
    Thread,
    Actor,
    Handler(&'a Context<'a, Fault>),
}

impl At<'_> {
    fn is_actor(self) -> bool {
        !matches!(self, At::Thread)
    }
}

fn config(settings: &Settings) -> Config {
    let mut config = if settings.is_dynamic {
        Config::dynamic(settings.min, settings.max)
    } else {
        Config::fixed(settings.max)
    };
    if let Some(initial) = settings.initial {
        config = config.initial(initial);
    }
    config
        .mailbox_size(settings.mailbox)
        .idle_timeout(match settings.idle_timeout {
            Patience::Never => Duration::MAX,
            Patience::Zero => Duration::ZERO,
            Patience::Some => Duration::from_secs(1),
        })
        .thread_name(if settings.is_sure { "sure" } else { "actor" })
}

/// A timeout that does not pass by itself, so the model's coin decides whether a wait times out.
const A_WHILE: Duration = Duration::from_secs(3_600);

impl Stage {
    fn build(program: &Arc<Program>) -> Arc<Self> {
        let settings = &program.settings;
        let has_no_join = matches!(program.ending, Ending::Drop | Ending::DropOnActor);
        let stage = Arc::new(Self {
            program: Arc::clone(program),
            handle: OnceLock::new(),
            troupe: Mutex::new(None),
            gates: (0..GATES).map(|_| Latch::new(1)).collect(),
            finished: has_no_join.then(Default::default),
        });
        let mut refusals = 0;
        let troupe = loop {
            let mut builder = Troupe::<Fault>::builder(config(settings));
            if program.has_handler {
                let own = Arc::clone(&stage);
                let lease = HandlerLease(Arc::clone(&stage));
                builder = builder.error_handler(
                    move |failure: Failure<Fault>, context: &Context<'_, Fault>| {
                        let _lease = &lease;
                        own.handle_failure(failure, context);
                    },
                );
            }
            match builder.build() {
                Ok(troupe) => break troupe,
                Err(_) if settings.is_sure => {
                    log::violated(|| "a build was refused a thread".to_owned());
                }
                Err(_) => {}
            }
            refusals += 1;
            let gone = log::with(|log| log.events.len());
            if program.has_handler && gone != refusals {
                log::violated(|| "a build failed and kept the handler".to_owned());
            }
        };
        log::with(|log| log.events.clear());
        let _was_empty = stage.handle.set(troupe.handle());
        *stage.troupe.lock() = Some(Arc::new(troupe));
        stage
    }

    fn handle(&self) -> &Handle<Fault> {
        self.handle.get().expect("the troupe has been built")
    }

    fn troupe(&self) -> Option<Arc<Troupe<Fault>>> {
        self.troupe.lock().clone()
    }

    fn fault(self: &Arc<Self>, work: usize, spec: Option<usize>) -> Fault {
        Fault {
            stage: Arc::clone(self),
            work,
            spec,
        }
    }

    /// Wakes an ending that waits for the last work.
    fn quiet(&self) {
        if let Some((lock, finished)) = &self.finished {
            if !std::thread::panicking() {
                let _held = lock.lock().unwrap();
                finished.notify_all();
            }
        }
    }

    fn assign(self: &Arc<Self>, via: Via, spec: Option<usize>, ties: Ties, at: At<'_>) -> Answer {
        let call = Call::By(via);
        self.assign_by(call, spec, ties, at, |work| match via {
            Via::Assign => self.handle().assign(work),
            Via::Timeout => self.handle().assign_timeout(work, A_WHILE),
            Via::Wait => self.handle().assign_wait(work),
        })
    }

    /// Assigns a work, and checks that a refusal gives back the same work.
    fn assign_by(
        self: &Arc<Self>,
        via: Call,
        spec: Option<usize>,
        ties: Ties,
        at: At<'_>,
        assign: impl FnOnce(crate::Work<Fault>) -> Result<(), AssignError<Fault>>,
    ) -> Answer {
        let work = log::new_work();
        let closure = self.closure(work, spec, ties);
        log::note(Event::Call {
            work,
            via,
            on_actor: at.is_actor(),
        });
        let result = assign(closure);
        let (answer, refused) = match result {
            Ok(()) => (Answer::Accepted, None),
            Err(AssignError::Full(work)) => (Answer::Full, Some(work)),
            Err(AssignError::ShuttingDown(work)) => (Answer::ShuttingDown, Some(work)),
            Err(AssignError::Spawn { work, .. }) => (Answer::Spawn, Some(work)),
            Err(AssignError::WouldDeadlock(work)) => (Answer::WouldDeadlock, Some(work)),
        };
        log::note(Event::Answer { work, answer });
        if let Some(refused) = refused {
            let is_dropped =
                |event: &Event| matches!(event, Event::Dropped { work: other } if *other == work);
            if log::has(is_dropped) {
                log::violated(|| format!("work {work} was refused and is gone"));
            }
            drop_caught(refused);
            if !log::has(is_dropped) {
                log::violated(|| format!("work {work} was refused, another came back"));
            }
        }
        answer
    }

    fn closure(
        self: &Arc<Self>,
        work: usize,
        spec: Option<usize>,
        ties: Ties,
    ) -> crate::Work<Fault> {
        let lease = Lease {
            stage: Arc::clone(self),
            work,
            spec,
            ties,
            has_begun: false,
        };
        crate::Work::new(move || {
            let mut lease = lease;
            lease.has_begun = true;
            let stage = Arc::clone(&lease.stage);
            let actor = usize::from(shuttle::current::me());
            log::note(Event::Begin { work, actor });
            if let Some(latch) = lease.ties.hit_at_begin.take() {
                latch.hit();
            }
            if let Some(latch) = lease.ties.wait.take() {
                latch.wait();
            }
            if lease.ties.drops_troupe {
                let troupe = stage.troupe.lock().take();
                drop(troupe);
            }
            let Some(index) = spec else {
                log::note(Event::End {
                    work,
                    outcome: Outcome::Good,
                });
                return Ok(());
            };
            let own = &stage.program.works[index];
            for op in &own.ops {
                stage.perform(op, At::Actor);
            }
            let outcome = match own.result {
                End::Good if own.drop == Drops::Panicking => Outcome::DropPanic,
                End::Good => Outcome::Good,
                End::Error => Outcome::Error,
                End::Panic => Outcome::Panic,
            };
            log::note(Event::End { work, outcome });
            match own.result {
                End::Good => Ok(()),
                End::Error => Err(stage.fault(work, spec)),
                End::Panic => resume_unwind(Box::new(stage.fault(work, spec))),
            }
        })
    }

    fn handle_failure(self: &Arc<Self>, failure: Failure<Fault>, context: &Context<'_, Fault>) {
        let fault = match failure {
            Failure::Error(fault) => Some(fault),
            Failure::Panic(panic) => panic.into_payload().downcast().ok().map(|fault| *fault),
            Failure::Expired(_) => None,
        };
        let Some(fault) = fault else {
            log::violated(|| "the handler was given somebody else's panic".to_owned());
            return;
        };
        let work = fault.work;
        log::note(Event::Handler { work });
        let mut panics = false;
        if let Some(spec) = fault.spec {
            for op in &self.program.works[spec].answer {
                panics |= matches!(op, Op::Panic);
                self.perform(op, At::Handler(context));
            }
        }
        drop(fault);
        log::note(Event::HandlerEnd { work, panics });
        self.quiet();
        if panics {
            resume_unwind(Box::new(()));
        }
    }

    fn look(&self) {
        let since = log::note(Event::Look);
        let stats = self.handle().stats();
        log::note(Event::Looked { since, stats });
    }

    fn shutdown(&self) {
        log::note(Event::Shutdown);
        let first = self.handle().shutdown();
        log::note(Event::ShutdownEnd { first, now: false });
        if !self.handle().is_shutdown() {
            log::violated(|| "a troupe that was shut down is not".to_owned());
        }
    }

    fn shutdown_now(&self, troupe: &Troupe<Fault>) {
        log::note(Event::Shutdown);
        let returned = troupe.shutdown_now();
        log::note(Event::ShutdownEnd {
            first: false,
            now: true,
        });
        for work in returned {
            let before = log::with(|log| log.events.len());
            drop_caught(work);
            let dropped = log::with(|log| {
                log.events[before..].iter().find_map(|event| match event {
                    Event::Dropped { work } => Some(*work),
                    _ => None,
                })
            });
            match dropped {
                Some(work) => {
                    log::note(Event::Returned { work });
                }
                None => log::violated(|| "a returned work had no capture".to_owned()),
            }
        }
    }

    fn wait_idle(&self, troupe: &Troupe<Fault>, timed: bool, at: At<'_>) {
        let since = log::note(Event::WaitIdle);
        let result = if timed {
            troupe.wait_idle_timeout(A_WHILE)
        } else {
            troupe.wait_idle()
        };
        let done = result.is_ok();
        if result == Err(JoinError::Timeout) && !timed
            || (result == Err(JoinError::WouldDeadlock)) != at.is_actor()
        {
            log::violated(|| format!("wait_idle returned {result:?}"));
        }
        log::note(Event::WaitIdleEnd { since, done });
    }

    fn join(&self, troupe: &Troupe<Fault>, timed: bool, at: At<'_>) {
        log::note(Event::Join);
        let result = if timed {
            troupe.join_timeout(A_WHILE)
        } else {
            troupe.join()
        };
        let done = result.is_ok();
        if result == Err(JoinError::Timeout) && !timed
            || (result == Err(JoinError::WouldDeadlock)) != at.is_actor()
        {
            log::violated(|| format!("join returned {result:?}"));
        }
        log::note(Event::Joined { done });
    }

    fn actors(&self, troupe: &Troupe<Fault>) {
        let actors = troupe.actors();
        let settings = &self.program.settings;
        let fits = actors.len() <= settings.max
            && actors.windows(2).all(|pair| pair[0].id < pair[1].id)
            && actors
                .iter()
                .all(|actor| actor.id < settings.max && actor.queued <= settings.mailbox);
        if !fits {
            log::violated(|| format!("a snapshot of the actors: {actors:?}"));
        }
    }

    fn perform(self: &Arc<Self>, op: &Op, at: At<'_>) {
        match *op {
            Op::Yield(times) => (0..times).for_each(|_| thread::yield_now()),
            Op::Assign(via, work) => {
                self.assign(via, Some(work), Ties::default(), at);
            }
            Op::Reassign(work) => {
                if let At::Handler(context) = at {
                    let ties = Ties::default();
                    self.assign_by(Call::Reassign, Some(work), ties, at, |work| {
                        context.reassign(work)
                    });
                }
            }
            Op::Panic => {}
            Op::Stats => self.look(),
            Op::Shutdown => self.shutdown(),
            Op::Open(gate) => self.gates[gate].hit(),
            Op::Pass(gate) => self.gates[gate].wait(),
            Op::Meet(via, works) => {
                let latch = Arc::new(Latch::new(works));
                for _ in 0..works {
                    let ties = Ties {
                        hit_at_begin: Some(Arc::clone(&latch)),
                        wait: Some(Arc::clone(&latch)),
                        ..Ties::default()
                    };
                    self.assign(via, None, ties, at);
                }
            }
            Op::Behind {
                holds,
                begun,
                via,
                works,
            } => {
                let gate = self.hold(holds, begun, at);
                let done = Arc::new(Latch::new(works));
                for _ in 0..works {
                    let ties = Ties {
                        hit_at_drop: Some(Arc::clone(&done)),
                        ..Ties::default()
                    };
                    self.assign(via, None, ties, at);
                }
                done.wait();
                gate.hit();
            }
            Op::Queue { before, waiters } => {
                let gates = [self.hold(1, false, at), {
                    for _ in 0..before {
                        self.assign(Via::Assign, None, Ties::default(), at);
                    }
                    self.hold(1, false, at)
                }];
                let assign_wait = |_| {
                    let own = Arc::clone(self);
                    thread::spawn(move || {
                        own.assign(Via::Wait, None, Ties::default(), At::Thread);
                    })
                };
                let threads: Vec<_> = (0..waiters).map(assign_wait).collect();
                gates[0].hit();
                threads
                    .into_iter()
                    .for_each(|thread| thread.join().unwrap());
                gates[1].hit();
            }
            Op::Reserve { holds, works } => {
                let gate = self.hold(holds, false, at);
                for _ in 0..works {
                    self.assign(Via::Wait, None, Ties::default(), at);
                }
                gate.hit();
            }
            Op::WaitIdle { .. } | Op::ShutdownNow | Op::Join { .. } | Op::Actors => {
                // If the ending has given the troupe away meanwhile, it is dropped here.
                let Some(troupe) = self.troupe() else { return };
                match *op {
                    Op::WaitIdle { timed } => self.wait_idle(&troupe, timed, at),
                    Op::ShutdownNow => self.shutdown_now(&troupe),
                    Op::Join { timed } => self.join(&troupe, timed, at),
                    _ => self.actors(&troupe),
                }
            }
        }
    }

    /// Assigns works that wait at a gate, and returns the gate.
    fn hold(self: &Arc<Self>, holds: usize, begun: bool, at: At<'_>) -> Arc<Latch> {
        let gate = Arc::new(Latch::new(1));
        let all = Arc::new(Latch::new(holds));
        for _ in 0..holds {
            let ties = Ties {
                hit_at_begin: Some(Arc::clone(&all)),
                wait: Some(Arc::clone(&gate)),
                ..Ties::default()
            };
            self.assign(Via::Assign, None, ties, at);
        }
        if begun {
            all.wait();
        }
        gate
    }

    /// Assigns works that do not end, until the troupe is full, and checks its number of places.
    fn fill(self: &Arc<Self>) {
        let settings = &self.program.settings;
        let gate = Arc::new(Latch::new(1));
        let mut places = 0;
        let last = loop {
            let ties = Ties {
                wait: Some(Arc::clone(&gate)),
                ..Ties::default()
            };
            match self.assign(Via::Assign, None, ties, At::Thread) {
                Answer::Accepted => places += 1,
                other => break other,
            }
            if places > settings.capacity() {
                break Answer::Accepted;
            }
        };
        let stats = self.handle().stats();
        let actors = if stats.spawn_failures == 0 {
            settings.max
        } else {
            stats.actors
        };
        let fits = match last {
            Answer::Full => places == actors * (settings.mailbox + 1),
            Answer::Spawn => places == 0 && settings.min == 0 && !settings.is_sure,
            _ => false,
        };
        if !fits {
            log::violated(|| {
                format!("at rest there were {places} places, then {last:?}: {stats:?}")
            });
        }
        gate.hit();
    }
}

/// Drops a work whose captures may panic.
fn drop_caught<T>(work: T) {
    drop(catch_unwind(AssertUnwindSafe(|| drop(work))));
}

/// Runs the program, checks what can be checked on the way, and leaves the rest in the log.
pub(crate) fn play(program: &Arc<Program>) {
    log::clear();
    let stage = Stage::build(program);
    let mut first = Vec::new();
    let mut rest = Vec::new();
    for list in 1..program.lists.len() {
        let own = Arc::clone(&stage);
        let thread = thread::spawn(move || own.run_list(list));
        if program.joins(list) {
            rest.push(thread);
        } else {
            first.push(thread);
        }
    }
    let ending = program.ending;
    if !program.joins(0) {
        stage.run_list(0);
    } else {
        let own = Arc::clone(&stage);
        rest.push(thread::spawn(move || own.run_list(0)));
    }
    if ending == Ending::JoinFirst {
        let own = Arc::clone(&stage);
        rest.push(thread::spawn(move || {
            own.perform(&Op::Join { timed: false }, At::Thread);
        }));
    }
    if program.waits_first {
        first.drain(..).for_each(|thread| thread.join().unwrap());
    }
    rest.append(&mut first);
    match ending {
        Ending::Join | Ending::JoinFirst => stage.shutdown(),
        Ending::Now => stage.perform(&Op::ShutdownNow, At::Thread),
        Ending::Fill => {
            stage.perform(&Op::WaitIdle { timed: false }, At::Thread);
            stage.fill();
            stage.look();
            stage.shutdown();
        }
        Ending::Drop => {
            let troupe = stage.troupe.lock().take();
            drop(troupe);
        }
        Ending::DropOnActor => {
            let ties = Ties {
                drops_troupe: true,
                ..Ties::default()
            };
            if stage.assign(Via::Wait, None, ties, At::Thread) != Answer::Accepted {
                let troupe = stage.troupe.lock().take();
                drop(troupe);
            }
        }
    }
    if let Some((lock, finished)) = &stage.finished {
        rest.into_iter().for_each(|thread| thread.join().unwrap());
        let mut held = lock.lock().unwrap();
        while !is_finished(program)
            || program.has_handler && !log::has(|event| matches!(event, Event::HandlerGone))
        {
            held = finished.wait(held).unwrap();
        }
        drop(held);
        stage.look();
    } else {
        stage.perform(&Op::Join { timed: false }, At::Thread);
        rest.into_iter().for_each(|thread| thread.join().unwrap());
        let troupe = stage.troupe().expect("nobody has dropped it");
        if !troupe.shutdown_now().is_empty() {
            log::violated(|| "a troupe had works to return after its end".to_owned());
        }
        stage.look();
    }
    let answer = stage.assign(Via::Assign, None, Ties::default(), At::Thread);
    if answer != Answer::ShuttingDown {
        log::violated(|| format!("after the end an assign says {answer:?}"));
    }
}

impl Stage {
    fn run_list(self: &Arc<Self>, list: usize) {
        for op in &self.program.lists[list] {
            self.perform(op, At::Thread);
        }
    }
}

/// Returns `true` if every accepted work is finished according to the log.
fn is_finished(program: &Program) -> bool {
    log::with(|log| oracle::unfinished(&log.events, log.works, program.has_handler) == 0)
}

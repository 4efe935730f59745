//! Runs a program inside one execution of the model checker.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shuttle::thread;

use super::latch::Latch;
use super::log::{self, Answer, Call, Event, Outcome, Told};
use super::oracle;
use super::program::{
    Drops, End, Ending, Fate, GATES, Hook, Op, Patience, Program, Settings, Shape, Use, Via, Waking,
};
use crate::{
    AssignError, CancelToken, Config, Context, Failure, Handle, JoinError, Reply, ReplyError,
    Troupe,
};

/// The remains of failed works: an error, or a panic's payload.
struct Fault {
    stage: Arc<Stage>,
    work: usize,
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
    key: Option<u8>,
}

/// A captured value, whose drop is promised to users.
struct Lease {
    stage: Arc<Stage>,
    /// The first number of the work.
    first: usize,
    spec: Option<usize>,
    ties: Ties,
    has_begun: bool,
}

impl Lease {
    /// Panics unless the drop of the reply's other end would follow while the thread unwinds. No
    /// step of the model may be made then, since all its threads would be taken to panic.
    fn drop_unbegun(&self) {
        let own = self.spec.map(|spec| &self.stage.program.works[spec]);
        let reply = self.first;
        let is_cancelled = |event: &Event| match *event {
            Event::CancelEnd { reply: other, done } => other == reply && done,
            Event::ReplyDropping {
                reply: other,
                cancels,
            } => other == reply && cancels,
            _ => false,
        };
        let by_user = log::with(|log| {
            let is_run_by_hand = log.by_hand.contains(&log.present[reply]);
            is_run_by_hand || log.dropping.contains(&me())
        });
        let has_reply = own.is_some_and(|own| own.shape.has_reply());
        if has_reply && (by_user || !log::has(is_cancelled)) {
            return;
        }
        if !by_user {
            log::note(Event::DropPanic);
        }
        // No handler receives this.
        resume_unwind(Box::new(()));
    }

    /// Runs the work, on an actor or by hand.
    fn run(mut self, token: Option<&CancelToken>) -> Result<(), Fault> {
        self.has_begun = true;
        let (stage, spec) = (Arc::clone(&self.stage), self.spec);
        let work = log::present(self.first);
        let by_hand = log::with(|log| log.by_hand.contains(&work));
        let actor = me();
        log::note(if by_hand {
            Event::HandBegin { work }
        } else {
            Event::Begin { work, actor }
        });
        let ended = |outcome| {
            log::note(if by_hand {
                Event::HandEnd { work, outcome }
            } else {
                Event::End { work, outcome }
            });
        };
        if let Some(latch) = self.ties.hit_at_begin.take() {
            latch.hit();
        }
        if let Some(latch) = self.ties.wait.take() {
            latch.wait();
        }
        if self.ties.drops_troupe {
            let troupe = stage.troupe.lock().take();
            drop(troupe);
        }
        let Some(index) = spec else {
            ended(Outcome::Good);
            return Ok(());
        };
        let own = &stage.program.works[index];
        let mut held = Held::default();
        for op in &own.ops {
            stage.perform(op, At::Actor, &mut held);
        }
        drop(held);
        if let Some(token) = token {
            let is_cancelled = token.is_cancelled();
            log::note(Event::Token { work, is_cancelled });
        }
        let outcome = match own.result {
            End::Good if own.drop == Drops::Panicking => Outcome::DropPanic,
            End::Good => Outcome::Good,
            End::Error => Outcome::Error,
            End::Panic => Outcome::Panic,
        };
        ended(outcome);
        match own.result {
            End::Good => Ok(()),
            End::Error => Err(stage.fault(work)),
            End::Panic => resume_unwind(Box::new(stage.fault(work))),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        log::note(Event::Dropped {
            work: log::present(self.first),
        });
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
                if !self.has_begun {
                    self.drop_unbegun();
                    return;
                }
                let fault = self.stage.fault(log::present(self.first));
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
    /// The handler of this work's failure.
    Handler(&'a Context<'a, Fault>, usize),
}

impl At<'_> {
    fn is_actor(self) -> bool {
        !matches!(self, At::Thread)
    }
}

/// The replies that a list of operations holds, in the order in which they are used.
#[derive(Default)]
struct Held(VecDeque<Mine>);

/// A reply of the work that had this number first.
struct Mine {
    /// `None` once `wait` has consumed it.
    reply: Option<Reply<usize, Fault>>,
    first: usize,
    cancels: bool,
}

impl Mine {
    fn look(&self) {
        if let Some(reply) = &self.reply {
            let is_finished = reply.is_finished();
            let reply = self.first;
            log::note(Event::Finished { reply, is_finished });
        }
    }

    fn cancel(&self) {
        if let Some(own) = &self.reply {
            let reply = self.first;
            log::note(Event::Cancel { reply });
            let done = own.cancel();
            log::note(Event::CancelEnd { reply, done });
        }
    }

    /// Notes an answer, after a look at whose it is.
    fn note(&self, answer: Result<usize, ReplyError<Fault>>, waits: Option<bool>) {
        let is_own = |fault: &Fault| log::made(fault.work).first == self.first;
        let (told, fits) = match answer {
            Ok(value) => (Told::Value, value == self.first),
            Err(ReplyError::Error(fault)) => (Told::Error, is_own(&fault)),
            Err(ReplyError::Panic(panic)) => {
                let fault = panic.into_payload().downcast::<Fault>();
                (Told::Panic, fault.is_ok_and(|fault| is_own(&fault)))
            }
            Err(ReplyError::Expired) => (Told::Expired, true),
            Err(ReplyError::Cancelled) => (Told::Cancelled, true),
            Err(ReplyError::Dropped) => (Told::Dropped, true),
            Err(ReplyError::WouldDeadlock) => (Told::WouldDeadlock, true),
            Err(ReplyError::Taken) => (Told::Taken, true),
        };
        let reply = self.first;
        log::note(Event::Told { reply, told, waits });
        if !fits {
            log::violated(|| format!("reply {reply} has another's answer: {told:?}"));
        }
    }

    fn dropping(&self) {
        let (reply, cancels) = (self.first, self.cancels);
        log::note(Event::ReplyDropping { reply, cancels });
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.dropping();
            drop(reply);
        }
        log::note(Event::ReplyGone { reply: self.first });
    }
}

/// A task that a thread drives.
struct Task {
    stage: Arc<Stage>,
    thread: thread::Thread,
    waking: Waking,
    first: usize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut held = Held::default();
        match self.waking {
            Waking::Only | Waking::Panics => {}
            Waking::Assigns => {
                self.stage
                    .assign(Via::Assign, None, Ties::default(), At::Actor, &mut held);
            }
            Waking::EndsAll => self.stage.shutdown_now(At::Actor),
        }
        self.thread.unpark();
        if self.waking == Waking::Panics {
            log::note(Event::WakerPanic { reply: self.first });
            resume_unwind(Box::new(()));
        }
    }
}

fn label(first: usize) -> String {
    format!("w{first}")
}

/// Returns the present number of the work that has this label.
fn labelled(label: &str) -> Option<usize> {
    let first: usize = label.strip_prefix('w')?.parse().ok()?;
    Some(log::present(first))
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
    if let Some(places) = settings.line {
        config = config.line_size(places);
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
            log::with(|log| log.hooks.clear());
            if let Some(hook) = program.hooks.start {
                let own = Arc::clone(&stage);
                builder = builder.on_start(move |_| own.hook(hook, true));
            }
            if let Some(hook) = program.hooks.stop {
                let own = Arc::clone(&stage);
                builder = builder.on_stop(move |_| own.hook(hook, false));
            }
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

    fn fault(self: &Arc<Self>, work: usize) -> Fault {
        Fault {
            stage: Arc::clone(self),
            work,
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

    /// Runs a hook on an actor's thread. While the troupe is built there is no handle yet.
    fn hook(self: &Arc<Self>, hook: Hook, starts: bool) {
        let actor = me();
        log::with(|log| log.hooks.push((actor, starts)));
        let is_built = self.handle.get().is_some();
        if starts && is_built {
            log::note(Event::Hook { actor });
        }
        match hook {
            Hook::Yields => thread::yield_now(),
            Hook::Panics => resume_unwind(Box::new(())),
            Hook::Assigns if is_built => {
                let (ties, mut held) = (Ties::default(), Held::default());
                self.assign(Via::Assign, None, ties, At::Actor, &mut held);
            }
            Hook::Assigns => {}
        }
    }

    fn assign(
        self: &Arc<Self>,
        via: Via,
        spec: Option<usize>,
        ties: Ties,
        at: At<'_>,
        held: &mut Held,
    ) -> Answer {
        self.assign_by(Call::By(via), spec, ties, at, held)
    }

    /// Makes a work and assigns it. Its reply goes to those that are held.
    fn assign_by(
        self: &Arc<Self>,
        via: Call,
        spec: Option<usize>,
        ties: Ties,
        at: At<'_>,
        held: &mut Held,
    ) -> Answer {
        let own = spec.map(|spec| &self.program.works[spec]);
        let number = log::new_work(spec, own.map_or(ties.key, |own| own.key));
        let (work, reply) = self.work(number, spec, ties);
        if reply.is_some() {
            let mine = Mine {
                reply,
                first: number,
                cancels: false,
            };
            if own.is_some_and(|own| own.is_cancelled_first) {
                mine.cancel();
            }
            if !own.is_some_and(|own| own.is_let_go_first) {
                held.0.push_back(mine);
            }
        }
        self.offer(via, number, work, at, true)
    }

    /// Assigns a work, and checks that a refusal gives back the same work. `again` says whether
    /// it may be assigned once more.
    fn offer(
        self: &Arc<Self>,
        via: Call,
        number: usize,
        work: crate::Work<Fault>,
        at: At<'_>,
        again: bool,
    ) -> Answer {
        let origin = match at {
            At::Handler(_, origin) => Some(origin),
            _ => None,
        };
        log::note(Event::Call {
            work: number,
            via,
            on_actor: at.is_actor(),
            origin,
        });
        let result = match (via, at) {
            (Call::Reassign, At::Handler(context, _)) => context.reassign(work),
            (Call::By(Via::Wait), _) => self.handle().assign_wait(work),
            (Call::By(Via::Timeout), _) => self.handle().assign_timeout(work, A_WHILE),
            _ => self.handle().assign(work),
        };
        let (answer, refused) = match result {
            Ok(()) => (Answer::Accepted, None),
            Err(AssignError::Full(work)) => (Answer::Full, Some(work)),
            Err(AssignError::ShuttingDown(work)) => (Answer::ShuttingDown, Some(work)),
            Err(AssignError::Spawn { work, .. }) => (Answer::Spawn, Some(work)),
            Err(AssignError::WouldDeadlock(work)) => (Answer::WouldDeadlock, Some(work)),
        };
        let work = number;
        log::note(Event::Answer { work, answer });
        // A waker or a hook may come back after all works have ended.
        self.quiet();
        if let Some(refused) = refused {
            let is_dropped =
                |event: &Event| matches!(event, Event::Dropped { work: other } if *other == work);
            if log::has(is_dropped) {
                log::violated(|| format!("work {work} was refused and is gone"));
            }
            self.dispose(refused, work, at, again.then_some(Call::By(Via::Assign)));
        }
        answer
    }

    /// Deals with a work that came back: after a refusal, a `shutdown_now`, or its deadline.
    fn dispose(
        self: &Arc<Self>,
        work: crate::Work<Fault>,
        number: usize,
        at: At<'_>,
        again: Option<Call>,
    ) {
        let own = log::made(number).spec.map(|spec| &self.program.works[spec]);
        match own.map(|own| own.fate) {
            Some(Fate::Value) => match work.into_value::<usize>().map(|_| None) {
                Err(work) => match work.into_value::<Lease>() {
                    Ok(lease) if log::present(lease.first) == number => drop_caught(lease),
                    Ok(lease) => {
                        log::violated(|| format!("work {number} has another's value"));
                        drop_caught(lease);
                    }
                    Err(work) => {
                        if own.is_some_and(|own| own.shape == Shape::Value) {
                            log::violated(|| format!("work {number} has lost its value"));
                        }
                        drop_caught(work);
                    }
                },
                Ok(none) => {
                    drop_caught::<Option<()>>(none);
                    log::violated(|| "a value of another type".to_owned());
                }
            },
            Some(Fate::Again) => {
                if let Some(via) = again {
                    let number = log::renew(number);
                    self.offer(via, number, work, at, false);
                    return;
                }
                drop_caught(work);
            }
            Some(Fate::ByHand) if own.is_some_and(super::program::Work::is_simple) => {
                self.run_by_hand(work, number);
            }
            _ => drop_caught(work),
        }
        let is_gone = |event: &Event| matches!(event, Event::Dropped { work } if *work == number);
        if !log::has(is_gone) {
            log::violated(|| format!("work {number} came back, but it was another"));
        }
    }

    fn run_by_hand(&self, work: crate::Work<Fault>, number: usize) {
        log::with(|log| log.by_hand.push(number));
        let fault = match catch_unwind(AssertUnwindSafe(|| work.run())) {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault),
            Err(payload) => match payload.downcast::<Fault>() {
                Ok(fault) => Some(*fault),
                Err(_) => {
                    log::violated(|| "by hand: somebody else's panic".to_owned());
                    None
                }
            },
        };
        if fault.is_some_and(|fault| fault.work != number) {
            log::violated(|| "by hand: somebody else's error".to_owned());
        }
    }

    fn work(
        self: &Arc<Self>,
        number: usize,
        spec: Option<usize>,
        ties: Ties,
    ) -> (crate::Work<Fault>, Option<Reply<usize, Fault>>) {
        let key = ties.key;
        let lease = Lease {
            stage: Arc::clone(self),
            first: number,
            spec,
            ties,
            has_begun: false,
        };
        let Some(own) = spec.map(|spec| &self.program.works[spec]) else {
            let work = crate::Work::new(move || lease.run(None));
            return match key {
                Some(key) => (work.keyed(&key), None),
                None => (work, None),
            };
        };
        let (mut work, reply) = match own.shape {
            Shape::Plain => (crate::Work::new(move || lease.run(None)), None),
            Shape::Value => (
                crate::Work::with(lease, |lease: Lease| lease.run(None)),
                None,
            ),
            Shape::Reply => {
                let (work, reply) = crate::Work::with_reply(move || {
                    lease.run(None)?;
                    Ok(number)
                });
                (work, Some(reply))
            }
            Shape::Cancellable => {
                let (work, reply) = crate::Work::cancellable(move |token: &CancelToken| {
                    lease.run(Some(token))?;
                    Ok(number)
                });
                (work, Some(reply))
            }
        };
        if let Some(key) = own.key {
            work = work.keyed(&key);
        }
        if own.has_deadline {
            work = work.deadline(Instant::now());
        }
        if own.key.is_some() || own.has_deadline {
            work = work.label(label(number));
        }
        (work, reply)
    }

    fn handle_failure(self: &Arc<Self>, failure: Failure<Fault>, context: &Context<'_, Fault>) {
        let (mut fault, mut expired) = (None, None);
        match failure {
            Failure::Error(error) => fault = Some(error),
            Failure::Panic(panic) => {
                fault = panic.into_payload().downcast().ok().map(|fault| *fault);
            }
            Failure::Expired(work) => expired = Some(work),
        }
        let found = match &fault {
            Some(fault) => Some(fault.work),
            None => context.label().and_then(labelled),
        };
        let Some(work) = found else {
            log::violated(|| "the handler was given somebody else's panic".to_owned());
            return;
        };
        let made = log::made(work);
        let own = made.spec.map(|spec| &self.program.works[spec]);
        let is_labelled = own.is_some_and(|own| own.key.is_some() || own.has_deadline);
        let expected = is_labelled.then(|| label(made.first));
        if context.label() != expected.as_deref() {
            log::violated(|| format!("work {work} has a wrong label in its handler"));
        }
        let at = At::Handler(context, work);
        match expired {
            Some(expired) => {
                log::note(Event::Expired { work });
                self.dispose(expired, work, at, Some(Call::Reassign));
            }
            None => {
                log::note(Event::Handler { work });
            }
        }
        let mut panics = false;
        let mut held = Held::default();
        if let Some(own) = own {
            for op in &own.answer {
                panics |= matches!(op, Op::Panic);
                self.perform(op, at, &mut held);
            }
        }
        drop(held);
        drop(fault);
        log::note(Event::HandlerEnd { work, panics });
        self.quiet();
        if panics {
            resume_unwind(Box::new(()));
        }
    }

    fn use_reply(self: &Arc<Self>, what: Use, at: At<'_>, held: &mut Held) {
        let Some(mut mine) = held.0.pop_front() else {
            return;
        };
        let Some(mut reply) = mine.reply.take() else {
            return;
        };
        let on_actor = at.is_actor();
        match what {
            Use::Look => {
                mine.reply = Some(reply);
                mine.look();
                held.0.push_front(mine);
                return;
            }
            Use::TryWait => {
                let answer = reply.try_wait();
                answer
                    .into_iter()
                    .for_each(|answer| mine.note(answer, None));
            }
            Use::Cancel => {
                mine.reply = Some(reply);
                mine.cancel();
                held.0.push_back(mine);
                return;
            }
            Use::Drop => {
                mine.reply = Some(reply);
                return;
            }
            Use::CancelOnDrop => {
                mine.cancels = true;
                reply = reply.cancel_on_drop();
            }
            Use::WaitTimeout => match reply.wait_timeout(A_WHILE) {
                Some(answer) => mine.note(answer, Some(on_actor)),
                None if on_actor => {
                    log::violated(|| "a reply waits on an actor".to_owned());
                }
                None => {}
            },
            Use::Wait => {
                mine.dropping();
                let answer = reply.wait();
                mine.note(answer, Some(on_actor));
                if mine.first % 2 == 0 {
                    self.look();
                }
                return;
            }
            Use::Poll(waking) => {
                let task = Task {
                    stage: Arc::clone(self),
                    thread: thread::current(),
                    waking,
                    first: mine.first,
                };
                let waker = Waker::from(Arc::new(task));
                let mut context = TaskContext::from_waker(&waker);
                let answer = loop {
                    match Pin::new(&mut reply).poll(&mut context) {
                        Poll::Ready(answer) => break answer,
                        Poll::Pending => thread::park(),
                    }
                };
                mine.note(answer, None);
            }
        }
        mine.reply = Some(reply);
        held.0.push_back(mine);
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

    /// On a thread outside the troupe, by the troupe itself if it is still there.
    fn shutdown_now(self: &Arc<Self>, at: At<'_>) {
        let troupe = self.troupe().filter(|_| !at.is_actor());
        log::note(Event::Shutdown);
        let returned = match &troupe {
            Some(troupe) => troupe.shutdown_now(),
            None => self.handle().shutdown_now(),
        };
        log::note(Event::ShutdownEnd {
            first: false,
            now: true,
        });
        for work in returned {
            let shown = format!("{work:?}");
            let known = shown.split('"').nth(1).and_then(labelled);
            if let Some(known) = known {
                log::note(Event::Returned { work: known });
                self.dispose(work, known, at, Some(Call::By(Via::Assign)));
                continue;
            }
            let before = log::with(|log| log.events.len());
            match work.into_value::<Lease>() {
                Ok(lease) => drop_caught(lease),
                Err(work) => drop_caught(work),
            }
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

    fn perform(self: &Arc<Self>, op: &Op, at: At<'_>, held: &mut Held) {
        match *op {
            Op::Yield(times) => (0..times).for_each(|_| thread::yield_now()),
            Op::Assign(via, work) => {
                self.assign(via, Some(work), Ties::default(), at, held);
            }
            Op::Reassign(work) => {
                if let At::Handler(..) = at {
                    let ties = Ties::default();
                    self.assign_by(Call::Reassign, Some(work), ties, at, held);
                }
            }
            Op::Reply(what) => self.use_reply(what, at, held),
            Op::ShutdownNow => self.shutdown_now(at),
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
                    self.assign(via, None, ties, at, held);
                }
            }
            Op::Behind {
                holds,
                begun,
                via,
                works,
            } => {
                let gate = self.hold(holds, begun, at, held);
                let done = Arc::new(Latch::new(works));
                for _ in 0..works {
                    let ties = Ties {
                        hit_at_drop: Some(Arc::clone(&done)),
                        ..Ties::default()
                    };
                    self.assign(via, None, ties, at, held);
                }
                done.wait();
                gate.hit();
            }
            Op::Queue { before, waiters } => {
                let gates = [self.hold(1, false, at, held), {
                    for _ in 0..before {
                        self.assign(Via::Assign, None, Ties::default(), at, held);
                    }
                    self.hold(1, false, at, held)
                }];
                let assign_wait = |_| {
                    let own = Arc::clone(self);
                    thread::spawn(move || {
                        let (ties, mut held) = (Ties::default(), Held::default());
                        own.assign(Via::Wait, None, ties, At::Thread, &mut held);
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
                let gate = self.hold(holds, false, at, held);
                for _ in 0..works {
                    self.assign(Via::Wait, None, Ties::default(), at, held);
                }
                gate.hit();
            }
            Op::WaitIdle { .. } | Op::Join { .. } | Op::Actors => {
                // If the ending has given the troupe away meanwhile, it is dropped here.
                let Some(troupe) = self.troupe() else { return };
                match *op {
                    Op::WaitIdle { timed } => self.wait_idle(&troupe, timed, at),
                    Op::Join { timed } => self.join(&troupe, timed, at),
                    _ => self.actors(&troupe),
                }
            }
        }
    }

    /// Assigns works that wait at a gate, and returns the gate.
    fn hold(
        self: &Arc<Self>,
        holds: usize,
        begun: bool,
        at: At<'_>,
        held: &mut Held,
    ) -> Arc<Latch> {
        let gate = Arc::new(Latch::new(1));
        let all = Arc::new(Latch::new(holds));
        for _ in 0..holds {
            let ties = Ties {
                hit_at_begin: Some(Arc::clone(&all)),
                wait: Some(Arc::clone(&gate)),
                ..Ties::default()
            };
            self.assign(Via::Assign, None, ties, at, held);
        }
        if begun {
            all.wait();
        }
        gate
    }

    /// Assigns works of one key that do not end, until the line is full, and checks its number of
    /// places.
    fn fill_line(self: &Arc<Self>) {
        let settings = &self.program.settings;
        let gate = Arc::new(Latch::new(1));
        let mut held = Held::default();
        let mut accepted = 0;
        let last = loop {
            let ties = Ties {
                wait: Some(Arc::clone(&gate)),
                key: Some(9),
                ..Ties::default()
            };
            match self.assign(Via::Assign, None, ties, At::Thread, &mut held) {
                Answer::Accepted => accepted += 1,
                other => break other,
            }
            if accepted > settings.places_in_line() + 1 {
                break Answer::Accepted;
            }
        };
        let fits = match last {
            Answer::Full => accepted == settings.places_in_line() + 1,
            Answer::Spawn => accepted == 0 && settings.min == 0 && !settings.is_sure,
            _ => false,
        };
        if !fits {
            let stats = self.handle().stats();
            log::violated(|| {
                format!("at rest a key had {accepted} places, then {last:?}: {stats:?}")
            });
        }
        gate.hit();
    }

    /// Assigns works that do not end, until the troupe is full, and checks its number of places.
    fn fill(self: &Arc<Self>) {
        let settings = &self.program.settings;
        let gate = Arc::new(Latch::new(1));
        let mut places = 0;
        let mut held = Held::default();
        let last = loop {
            let ties = Ties {
                wait: Some(Arc::clone(&gate)),
                ..Ties::default()
            };
            match self.assign(Via::Assign, None, ties, At::Thread, &mut held) {
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
            // A new actor is not idle before its hook has returned.
            Answer::Full if self.program.hooks.start.is_some() && settings.is_dynamic => {
                places <= actors * (settings.mailbox + 1)
            }
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

/// The number of the calling thread.
fn me() -> usize {
    usize::from(shuttle::current::me())
}

/// Drops a work whose captures may panic.
fn drop_caught<T>(work: T) {
    log::with(|log| log.dropping.push(me()));
    drop(catch_unwind(AssertUnwindSafe(|| drop(work))));
    log::with(|log| {
        let own = log.dropping.iter().rposition(|thread| *thread == me());
        own.map(|own| log.dropping.remove(own))
    });
}

/// Runs the program, checks what can be checked on the way, and leaves the rest in the log.
pub(crate) fn play(program: &Arc<Program>) {
    log::clear();
    let stage = Stage::build(program);
    let mut held = Held::default();
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
            own.perform(&Op::Join { timed: false }, At::Thread, &mut Held::default());
        }));
    }
    if program.waits_first {
        first.drain(..).for_each(|thread| thread.join().unwrap());
    }
    rest.append(&mut first);
    match ending {
        Ending::Join | Ending::JoinFirst => stage.shutdown(),
        Ending::Now => stage.shutdown_now(At::Thread),
        Ending::Fill => {
            stage.perform(&Op::WaitIdle { timed: false }, At::Thread, &mut held);
            if program.works.iter().any(|work| work.key.is_some()) && program.settings.max > 1 {
                stage.fill_line();
                stage.perform(&Op::WaitIdle { timed: false }, At::Thread, &mut held);
            }
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
            if stage.assign(Via::Wait, None, ties, At::Thread, &mut held) != Answer::Accepted {
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
        stage.perform(&Op::Join { timed: false }, At::Thread, &mut held);
        rest.into_iter().for_each(|thread| thread.join().unwrap());
        let troupe = stage.troupe().expect("nobody has dropped it");
        if !troupe.shutdown_now().is_empty() {
            log::violated(|| "a troupe had works to return after its end".to_owned());
        }
        stage.look();
    }
    let answer = stage.assign(Via::Assign, None, Ties::default(), At::Thread, &mut held);
    if answer != Answer::ShuttingDown {
        log::violated(|| format!("after the end an assign says {answer:?}"));
    }
}

impl Stage {
    fn run_list(self: &Arc<Self>, list: usize) {
        let mut held = Held::default();
        for op in &self.program.lists[list] {
            self.perform(op, At::Thread, &mut held);
        }
        while self.program.waits_for_replies && !held.0.is_empty() {
            self.use_reply(Use::Wait, At::Thread, &mut held);
        }
    }
}

/// Returns `true` if every accepted work is finished according to the log.
fn is_finished(program: &Program) -> bool {
    log::with(|log| oracle::unfinished(program, log) == 0)
}

//! Running a work: the halt before it, the handler or the caller after it, and what follows in
//! the same turn.

use std::any::Any;

use super::ActorLoop;
use crate::events;
use crate::failure::Failure;
use crate::panic::Panic;
use crate::pool::{Origin, PassedOn};
use crate::sync::unwind::{Contained, contain, drop_contained, run_contained};
use crate::work::{Ended, Envelope, Verdict};

/// The result of a work, or the payload of its panic.
type Outcome<E> = Result<Result<(), E>, Box<dyn Any + Send>>;

/// The work that follows another in the same turn, if one does.
enum After<E> {
    /// The actor looks for work.
    Nothing,
    /// A retry, which has yet to begin.
    Retry(Envelope<E>),
    /// The next work of the key, which has begun.
    Next(Envelope<E>),
}

impl<E> ActorLoop<'_, E> {
    /// Runs a work, the handler if it fails, and what follows in the same turn. Gives the work
    /// back if the pool has been halted.
    pub(super) fn perform(&mut self, mut envelope: Envelope<E>) {
        let mut has_begun = false;
        loop {
            if !has_begun && self.pool.is_halted() {
                return self.give_back(envelope);
            }
            let progress = self.slot.progress();
            // The stamp comes first, so an actor that is shown as busy has accepted a work.
            self.clock.begin(progress);
            let mut phase = progress.phase.get();
            if has_begun {
                phase -= 1;
            } else {
                progress.phase.set(phase + 1);
            }
            if self
                .source
                .is_some_and(|id| id != self.id && id != self.pool.turns())
            {
                progress.shared.raise();
            }
            let outcome = contain(|| envelope.run(&mut self.aside));
            if matches!(outcome, Ok(Ok(()))) && !self.aside.is_set() {
                // The work is first shown as not running, then as finished: a snapshot
                // between the two misses it rather than counting it twice.
                progress.phase.set(phase + 4);
                progress.completed.raise();
                self.clock.end(progress);
                self.pace.ran();
                return;
            }
            let after = self.settle(phase, outcome);
            self.source = None;
            (envelope, has_begun) = match after {
                After::Nothing => return,
                After::Retry(envelope) => (envelope, false),
                After::Next(envelope) => (envelope, true),
            };
        }
    }

    /// Gives back a work that has been taken and not begun, because the pool has been halted.
    #[cold]
    fn give_back(&mut self, envelope: Envelope<E>) {
        self.aside.reset();
        let mut locked = self.pool.lock();
        locked.recall().give_back(envelope);
        self.slot.progress().step();
    }

    /// Deals with a work that has done more than to return `Ok`: calls the handler or tells the
    /// caller, counts the work, and finds out what follows.
    #[cold]
    fn settle(&mut self, phase: u64, outcome: Outcome<E>) -> After<E> {
        let progress = self.slot.progress();
        let mut aside = self.aside.reset();
        let mut caller = None;
        let (ended, failure) = match (aside.verdict.take(), outcome) {
            (Some(Verdict::Answered(ended, told)), _) => {
                caller = Some(told);
                (ended, None)
            }
            (Some(Verdict::Cancelled), _) => (Ended::Cancelled, None),
            (Some(Verdict::Expired(work)), _) => (Ended::Expired, Some(Failure::Expired(work))),
            (None, Ok(Ok(()))) => (Ended::Completed, None),
            (None, Ok(Err(error))) => (Ended::Failed, Some(Failure::Error(error))),
            (None, Err(payload)) => (Ended::Panicked, Some(Failure::Panic(Panic::new(payload)))),
        };
        let origin = Origin {
            actor: self.id,
            label: aside.label.take(),
            key: aside.key,
        };
        if failure.is_some() || aside.contained.is_err() {
            // Nothing in here lets a panic out.
            let (_, emitted) = aside.span.run(|| {
                self.note(aside.contained);
                if let Some(failure) = failure {
                    self.note(self.handle(failure, &origin));
                }
            });
            self.note(emitted);
        }
        // Before the caller is told, and while the phase is odd.
        aside.span.close();
        // Not running any more, but not looking for work either: a caller that is told may call
        // `shutdown_now`, which waits for actors between two works.
        progress.phase.set(phase + 3);
        match ended {
            Ended::Completed => &progress.completed,
            Ended::Failed => &progress.failed,
            Ended::Panicked => &progress.panicked,
            Ended::Expired => &progress.expired,
            Ended::Cancelled => &progress.cancelled,
        }
        .raise();
        if let Some(caller) = caller {
            self.note(caller.tell());
        }
        self.clock.end(progress);
        self.pace.ran();
        self.follow(phase, origin.key)
    }

    /// Calls the handler. Returns an error if it has panicked, or without a handler the drop of
    /// the failure.
    fn handle(&self, failure: Failure<E>, origin: &Origin) -> Result<(), Contained> {
        let on_failure = self.pool.on_failure.lock().clone();
        if let Some(on_failure) = on_failure {
            return run_contained("the error handler", || {
                on_failure.on_failure(failure, self.pool, origin);
            });
        }
        if let Failure::Panic(panic) = &failure {
            let label = origin.label.as_deref();
            self.pool
                .report(|troupe| events::work_panicked(troupe, self.id, label, panic.message()));
        }
        drop_contained(failure)
    }

    /// Counts and reports a panic that has been contained, if there is one.
    fn note(&self, outcome: Result<(), Contained>) {
        if outcome.is_err() {
            self.slot.progress().handler_panics.raise();
            self.pool.report_panic(Some(self.id), outcome);
        }
    }

    /// Finds what follows a work that has ended in the turn of this key.
    fn follow(&mut self, phase: u64, key: Option<u64>) -> After<E> {
        let progress = self.slot.progress();
        // Only a handler can have put a retry there. It has the same turn. It is taken in an even
        // phase, as any work is, so `shutdown_now` either takes it or waits for it.
        if !self.slot.handoff().is_empty() {
            progress.phase.set(phase + 4);
            let Some(retry) = self.slot.handoff().take_work() else {
                return After::Nothing;
            };
            self.aside.hold(key);
            return After::Retry(retry);
        }
        let begin = || progress.phase.set(phase + 5);
        let passed_on = key.map_or(PassedOn::Done, |key| self.pool.line(key).pass_on(begin));
        if let PassedOn::Begins(next) = passed_on {
            return After::Next(next);
        }
        if let PassedOn::Put = passed_on {
            // Still in an odd phase: this may emit an event.
            (self.announce)(self.pool, self.pool.turns());
        }
        progress.phase.set(phase + 4);
        After::Nothing
    }
}

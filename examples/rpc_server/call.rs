//! A call that owes an answer.

use std::{borrow::Cow, sync::Arc, thread};

use serde_json::value::RawValue;

use crate::{
    counters::{Counter, Counters},
    outbox::Outbox,
    wire::{Answer, Argument, Done},
};

/// A call from when it has been read until it is answered.
///
/// There is one value for each call, it cannot be copied, and the answer consumes it: so no call
/// is answered twice. Dropping it answers too: so none is forgotten, whichever way a work ends.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None` once it is answered.
    pending: Option<Pending>,
    pub(crate) argument: Argument,
}

#[derive(Debug)]
struct Pending {
    /// As the client wrote it.
    id: Box<RawValue>,
    outbox: Arc<Outbox>,
}

/// The outcome of a call.
#[derive(Debug)]
enum Verdict {
    Done(Done),
    Failed { attempts: u32, reason: &'static str },
    Panicked,
    Overloaded,
    ShuttingDown,
}

impl Call {
    /// A call that has a place in its connection's outbox.
    pub(crate) fn new(id: Box<RawValue>, argument: Argument, outbox: Arc<Outbox>) -> Self {
        outbox.shared().counters.read.add(1);
        let pending = Some(Pending { id, outbox });
        Call { pending, argument }
    }

    pub(crate) fn succeed(mut self, attempts: u32) {
        let id = self.argument.id;
        self.settle(&Verdict::Done(Done { id, attempts }));
    }

    pub(crate) fn fail(mut self, attempts: u32, reason: &'static str) {
        self.settle(&Verdict::Failed { attempts, reason });
    }

    fn settle(&mut self, verdict: &Verdict) {
        let Some(Pending { id, outbox }) = self.pending.take() else {
            return;
        };
        verdict.counter(&outbox.shared().counters).add(1);
        let result = match verdict {
            Verdict::Done(done) => Ok(*done),
            Verdict::Failed { attempts, reason } => {
                Err(format!("failed: {reason}, attempts: {attempts}").into())
            }
            Verdict::Panicked => Err(Cow::Borrowed("panicked")),
            Verdict::Overloaded => Err("overloaded".into()),
            Verdict::ShuttingDown => Err("shutting down".into()),
        };
        outbox.answer(&Answer {
            id,
            result: result.as_ref().ok().copied(),
            error: result.err(),
        });
    }
}

impl Drop for Call {
    /// A call is dropped without a verdict in three ways: its work unwinds; the work is refused;
    /// or the work, or its retry, comes back because the troupe shuts down. The flag is set before
    /// the troupe is told, so in the third case it is seen here.
    fn drop(&mut self) {
        let Some(Pending { outbox, .. }) = &self.pending else {
            return;
        };
        let verdict = if thread::panicking() {
            Verdict::Panicked
        } else if outbox.shared().is_stopping() {
            Verdict::ShuttingDown
        } else {
            Verdict::Overloaded
        };
        self.settle(&verdict);
    }
}

impl Verdict {
    fn counter<'c>(&self, counters: &'c Counters) -> &'c Counter {
        match self {
            Verdict::Done(_) => &counters.ok,
            Verdict::Failed { .. } => &counters.failed,
            Verdict::Panicked => &counters.panicked,
            Verdict::Overloaded => &counters.overloaded,
            Verdict::ShuttingDown => &counters.shutting_down,
        }
    }
}

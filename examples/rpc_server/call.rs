//! A call that owes an answer.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

use crate::{
    outbox::Outbox,
    wire::{Answer, Argument, Done},
};

/// A call from when it has been read until it is answered.
///
/// There is one value for each call, it cannot be copied, and the answer consumes it: so no call
/// is answered twice.
#[derive(Debug)]
#[must_use = "a call that is dropped gets no answer"]
pub(crate) struct Call {
    /// As the client wrote it.
    id: Box<RawValue>,
    pub(crate) argument: Argument,
    outbox: Arc<Outbox>,
}

/// The outcome of a call.
#[derive(Debug)]
pub(crate) enum Verdict {
    Done { attempts: u32 },
    Failed { attempts: u32, reason: &'static str },
    Panicked,
    Overloaded,
    ShuttingDown,
}

impl Call {
    /// A call that has a place in its connection's outbox.
    pub(crate) fn new(id: Box<RawValue>, argument: Argument, outbox: Arc<Outbox>) -> Self {
        outbox.shared().counters.read.add(1);
        Call {
            id,
            argument,
            outbox,
        }
    }

    pub(crate) fn answer(self, verdict: Verdict) {
        let counters = &self.outbox.shared().counters;
        let id = self.argument.id;
        let (counter, result) = match verdict {
            Verdict::Done { attempts } => (&counters.ok, Ok(Done { id, attempts })),
            Verdict::Failed { attempts, reason } => {
                let error = format!("failed: {reason}, attempts: {attempts}");
                (&counters.failed, Err(Cow::from(error)))
            }
            Verdict::Panicked => (&counters.panicked, Err("panicked".into())),
            Verdict::Overloaded => (&counters.overloaded, Err("overloaded".into())),
            Verdict::ShuttingDown => (&counters.shutting_down, Err("shutting down".into())),
        };
        counter.add(1);
        self.outbox.answer(&Answer {
            id: self.id,
            result: result.as_ref().ok().copied(),
            error: result.err(),
        });
    }
}

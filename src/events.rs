//! The feature `tracing`: the events of a troupe, and the span that a work carries along.
//!
//! Without the feature nothing here does anything, so that no caller has to know of it.
//!
//! A subscriber is user code. So no event is emitted under a lock, nor by an actor that is
//! between two works: a subscriber may call `shutdown_now`, which waits for such actors. A panic
//! of the subscriber is contained. Nothing is emitted for a work that goes well.
#![cfg_attr(
    not(feature = "tracing"),
    expect(unused_variables, reason = "without the feature there are no events")
)]

use std::any::Any;
use std::fmt::Display;

use crate::sync::unwind::Contained;
#[cfg(feature = "tracing")]
use crate::sync::unwind::{contain, drop_contained, run_contained};

/// Whether events are emitted.
pub(crate) const ENABLED: bool = cfg!(feature = "tracing");

/// The name under which a panic of the subscriber is reported.
#[cfg(feature = "tracing")]
const SUBSCRIBER: &str = "the subscriber";

/// The outcome of an event. It is an error if the subscriber has panicked.
pub(crate) type Emitted = Result<(), Contained>;

#[cfg(feature = "tracing")]
macro_rules! emit {
    ($level:ident, $($event:tt)+) => {
        run_contained(SUBSCRIBER, || tracing::$level!(target: "troupe_pool", $($event)+))
    };
}

#[cfg(not(feature = "tracing"))]
macro_rules! emit {
    ($($event:tt)+) => {
        Ok(())
    };
}

pub(crate) fn actor_starts(troupe: &str, actor: usize) -> Emitted {
    emit!(debug, troupe, actor, "actor starts")
}

pub(crate) fn actor_leaves(troupe: &str, actor: usize) -> Emitted {
    emit!(debug, troupe, actor, "actor leaves")
}

pub(crate) fn shutting_down(troupe: &str) -> Emitted {
    emit!(debug, troupe, "shutting down")
}

pub(crate) fn ended(troupe: &str) -> Emitted {
    emit!(debug, troupe, "ended")
}

pub(crate) fn thread_refused(troupe: &str, actor: usize, error: &dyn Display) -> Emitted {
    emit!(warn, troupe, actor, %error, "the system refused a thread")
}

/// The troupe and the actor are left out where they are not known.
pub(crate) fn panic_contained(
    troupe: Option<&str>,
    actor: Option<usize>,
    contained: &Contained,
) -> Emitted {
    emit!(
        warn,
        troupe,
        actor,
        "contained a panic of {}{}",
        contained.culprit(),
        after_colon(contained.message())
    )
}

/// A work has panicked that has neither a handler nor a caller.
pub(crate) fn work_panicked(
    troupe: &str,
    actor: usize,
    label: Option<&str>,
    message: Option<&str>,
) -> Emitted {
    emit!(
        warn,
        troupe,
        actor,
        label,
        "a work panicked, and nobody was told{}",
        after_colon(message)
    )
}

#[cfg(feature = "tracing")]
fn after_colon(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message}"))
}

/// Reports a contained panic that belongs to no troupe, if there is one.
pub(crate) fn report_panic(outcome: Result<(), Contained>) {
    if let Err(contained) = outcome {
        panic_contained(None, None, &contained).ok();
    }
}

/// The value that a piece of code returns, or the payload of its panic.
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// The span that a work carries along, if it has one.
#[derive(Debug, Default)]
pub(crate) struct WorkSpan {
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
}

impl WorkSpan {
    /// Returns the span that is current now.
    #[cfg(feature = "tracing")]
    pub(crate) fn current() -> Self {
        let span = Some(tracing::Span::current());
        Self {
            span: span.filter(|span| !span.is_disabled()),
        }
    }

    /// Returns the same span once more.
    pub(crate) fn another(&self) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: {
                let mut span = None;
                run_contained(SUBSCRIBER, || span = self.span.clone()).ok();
                span
            },
        }
    }

    /// Runs `code` in the span. Returns its outcome, and an error if the subscriber has panicked.
    ///
    /// If there is a span, a panic of `code` comes back as its payload. The span must not be left
    /// while that unwinds, since the subscriber may panic, too.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> (Outcome<T>, Emitted) {
        #[cfg(feature = "tracing")]
        if let Some(span) = &self.span {
            let mut entered = None;
            let before = run_contained(SUBSCRIBER, || entered = Some(span.enter()));
            let outcome = contain(code);
            let after = run_contained(SUBSCRIBER, || drop(entered));
            return (outcome, before.and(after));
        }
        (Ok(code()), Ok(()))
    }

    /// Drops the span here and now.
    pub(crate) fn close(self) {}
}

#[cfg(feature = "tracing")]
impl Drop for WorkSpan {
    /// The subscriber hears of this, and may panic. Nobody is left to count that.
    fn drop(&mut self) {
        drop_contained(self.span.take()).ok();
    }
}

//! The events of one execution, in order.
//!
//! The log belongs to the thread that runs the model and is no part of it:
//! writing to it is not a point at which the model may switch.

use std::cell::RefCell;

use super::program::Via;
use crate::Stats;

/// The time of an event is its index in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// An assign of a work begins; on an actor's thread, or not.
    Call {
        work: usize,
        via: Call,
        on_actor: bool,
    },
    Answer {
        work: usize,
        answer: Answer,
    },
    /// A work begins on an actor's thread.
    Begin {
        work: usize,
        actor: usize,
    },
    /// The work is about to return or to unwind, before its captures are dropped.
    End {
        work: usize,
        outcome: Outcome,
    },
    Dropped {
        work: usize,
    },
    FaultDropped {
        work: usize,
    },
    Handler {
        work: usize,
    },
    HandlerEnd {
        work: usize,
        panics: bool,
    },
    Returned {
        work: usize,
    },
    Shutdown,
    ShutdownEnd {
        first: bool,
        now: bool,
    },
    WaitIdle,
    WaitIdleEnd {
        since: usize,
        done: bool,
    },
    Join,
    Joined {
        done: bool,
    },
    HandlerGone,
    Look,
    Looked {
        since: usize,
        stats: Stats,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    By(Via),
    Reassign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Full,
    ShuttingDown,
    Spawn,
    WouldDeadlock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    Error,
    Panic,
    DropPanic,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    pub(crate) works: usize,
    pub(crate) violation: Option<String>,
}

std::thread_local! {
    static LOG: RefCell<Log> = RefCell::default();
}

pub(crate) fn with<T>(read: impl FnOnce(&mut Log) -> T) -> T {
    LOG.with(|log| read(&mut log.borrow_mut()))
}

/// Begins a new log. The old one's memory is used again.
pub(crate) fn clear() {
    with(|log| {
        log.events.clear();
        log.works = 0;
        log.violation = None;
    });
}

/// Returns the time of the event.
pub(crate) fn note(event: Event) -> usize {
    with(|log| {
        log.events.push(event);
        log.events.len() - 1
    })
}

pub(crate) fn new_work() -> usize {
    with(|log| {
        log.works += 1;
        log.works - 1
    })
}

/// The first violation is kept.
pub(crate) fn violated(what: impl FnOnce() -> String) {
    with(|log| {
        if log.violation.is_none() {
            log.violation = Some(what());
        }
    });
}

/// Whether the event has happened.
pub(crate) fn has(is_it: impl Fn(&Event) -> bool) -> bool {
    with(|log| log.events.iter().any(is_it))
}

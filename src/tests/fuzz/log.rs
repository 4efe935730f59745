//! The events of one execution, in order.
//!
//! The log belongs to the thread that runs the model, and is not part of the model. The
//! scheduler does not switch threads at a write to it.

use std::cell::RefCell;

use super::program::Via;
use crate::Stats;

/// An event. Its time is its index in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// An assign of a work begins.
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

/// Begins a new log in the memory of the old one.
pub(crate) fn clear() {
    with(|log| {
        log.events.clear();
        log.works = 0;
        log.violation = None;
    });
}

/// Appends an event, and returns its time.
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

/// Records a violation, unless there has been one.
pub(crate) fn violated(what: impl FnOnce() -> String) {
    with(|log| {
        if log.violation.is_none() {
            log.violation = Some(what());
        }
    });
}

/// Returns `true` if such an event has happened.
pub(crate) fn has(is_it: impl Fn(&Event) -> bool) -> bool {
    with(|log| log.events.iter().any(is_it))
}

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
        /// The failed work whose handler makes the call.
        origin: Option<usize>,
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
    /// A work that came back is about to be assigned under a new number.
    Renewed {
        work: usize,
    },
    /// The handler receives a work whose deadline has passed.
    Expired {
        work: usize,
    },
    /// A work begins that a user runs by hand.
    HandBegin {
        work: usize,
    },
    HandEnd {
        work: usize,
        outcome: Outcome,
    },
    /// A work asks whether it has been cancelled.
    Token {
        work: usize,
        is_cancelled: bool,
    },
    // A reply has the first number of its work.
    Cancel {
        reply: usize,
    },
    CancelEnd {
        reply: usize,
        done: bool,
    },
    ReplyDropping {
        reply: usize,
        cancels: bool,
    },
    ReplyGone {
        reply: usize,
    },
    Told {
        reply: usize,
        told: Told,
        /// `None` unless the call may block. Then whether it came from an actor.
        waits: Option<bool>,
    },
    Finished {
        reply: usize,
        is_finished: bool,
    },
    WakerPanic {
        reply: usize,
    },
    /// The captures of a work that has not begun panic, on an actor that drops them.
    DropPanic,
    /// The hook of a new actor begins.
    Hook {
        actor: usize,
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

/// The answer of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Value,
    Error,
    Panic,
    Expired,
    Cancelled,
    Dropped,
    WouldDeadlock,
    Taken,
}

/// A work as it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// The first number of the work. A work that is assigned again gets another.
    pub(crate) first: usize,
    pub(crate) spec: Option<usize>,
    pub(crate) key: Option<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    pub(crate) works: Vec<Made>,
    /// The present number of each work, by its first.
    pub(crate) present: Vec<usize>,
    /// The works that users run by hand.
    pub(crate) by_hand: Vec<usize>,
    /// The threads that drop a work that came back to them.
    pub(crate) dropping: Vec<usize>,
    /// The threads that have run a hook, and whether it was that of the start.
    pub(crate) hooks: Vec<(usize, bool)>,
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
        log.works.clear();
        log.present.clear();
        log.by_hand.clear();
        log.dropping.clear();
        log.hooks.clear();
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

pub(crate) fn new_work(spec: Option<usize>, key: Option<u8>) -> usize {
    with(|log| {
        let first = log.works.len();
        log.works.push(Made { first, spec, key });
        log.present.push(first);
        first
    })
}

/// Gives a work that came back a new number.
pub(crate) fn renew(work: usize) -> usize {
    note(Event::Renewed { work });
    with(|log| {
        let made = log.works[work];
        let new = log.works.len();
        log.works.push(made);
        log.present.push(new);
        log.present[made.first] = new;
        new
    })
}

pub(crate) fn made(work: usize) -> Made {
    with(|log| log.works[work])
}

/// Returns the present number of the work that once had the number `first`.
pub(crate) fn present(first: usize) -> usize {
    with(|log| log.present[first])
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

//! Callers that wait for the pool: for an idle instant, for the works of `shutdown_now`, or for
//! the end.

use super::Pool;
use super::lines::put_off_end;
use crate::events;
use crate::sync::Condvar;
use crate::sync::unwind::drop_contained;

/// The events that callers wait for. Each has a condition variable, so an event wakes no caller
/// that waits for another.
#[derive(Debug, Default)]
pub struct Events {
    /// The pool is idle while a caller waits for that.
    pub is_idle: Condvar,
    /// `shutdown_now` has collected all that it returns.
    pub has_returned: Condvar,
    /// The pool has ended, or all its threads have been joined.
    pub has_ended: Condvar,
}

/// The callers that wait, and the events that have happened.
#[derive(Debug, Default)]
pub struct Callers {
    /// How many callers wait in `wait_idle`.
    idle_callers: usize,
    /// How often the pool has been found idle while a caller waited for that.
    idle_instants: u64,
    /// Whether a call of `join` has begun to join the threads.
    joining: bool,
    /// Whether all threads have been joined.
    pub joined: bool,
    /// Whether the last actor has left and the handler has been dropped.
    pub ended: bool,
}

impl Callers {
    /// Counts a caller that waits for an idle instant. Returns how many idle instants there have
    /// been.
    pub fn enter_wait_idle(&mut self) -> u64 {
        self.idle_callers += 1;
        self.idle_instants
    }

    pub fn leave_wait_idle(&mut self) {
        self.idle_callers -= 1;
    }

    pub fn idle_instants(&self) -> u64 {
        self.idle_instants
    }

    pub(super) fn is_idle_awaited(&self) -> bool {
        self.idle_callers > 0
    }

    pub(super) fn count_idle_instant(&mut self) {
        self.idle_instants += 1;
    }

    /// Returns `true` to the first caller, which then joins the threads.
    pub fn begin_join(&mut self) -> bool {
        !std::mem::replace(&mut self.joining, true)
    }
}

impl<E> Pool<E> {
    /// Ends a pool that is shutting down and whose last actor has left.
    pub fn end(&self) {
        if put_off_end() {
            return;
        }
        // The handler goes before anybody can see the end.
        let on_failure = self.on_failure.lock().take();
        self.report_panic(None, drop_contained(on_failure));
        let hooks = self.hooks.lock().take();
        self.report_panic(None, drop_contained(hooks));
        self.lock().callers().ended = true;
        self.events.has_ended.notify_all();
        self.report(events::ended);
    }
}

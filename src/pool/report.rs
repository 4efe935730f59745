//! The events of a pool, for the feature `tracing`.

use std::cell::RefCell;
use std::io;

use super::Pool;
use super::lines::holds_line;
use crate::events::{self, Emitted};
use crate::sync::thread_local;
use crate::sync::unwind::Contained;

thread_local! {
    /// Threads that the system has refused to this one while it held a shard's lock: the numbers
    /// of the actors, and the errors. They are reported once the lock has been released.
    static REFUSED: RefCell<Vec<(usize, String)>> = const { RefCell::new(Vec::new()) };
}

impl<E> Pool<E> {
    /// Emits an event, which is given the name of the troupe. A panic of the subscriber is
    /// contained and counted.
    ///
    /// Must not be called under a lock, nor by an actor that is between two works.
    pub fn report(&self, emit: impl FnOnce(&str) -> Emitted) {
        if emit(&self.config.thread_name).is_err() {
            self.other_panics.add(1);
        }
    }

    /// Reports a panic that has been contained, if there is one.
    pub fn report_panic(&self, actor: Option<usize>, outcome: Result<(), Contained>) {
        if let Err(contained) = outcome {
            self.report(|troupe| events::panic_contained(Some(troupe), actor, &contained));
        }
    }

    /// Reports that the system has refused the thread of this actor.
    pub fn report_refused(&self, actor: usize, error: &io::Error) {
        if events::ENABLED && holds_line() {
            // Not while the thread drops its thread-locals.
            let put =
                |refused: &RefCell<Vec<_>>| refused.borrow_mut().push((actor, error.to_string()));
            REFUSED.try_with(put).ok();
        } else {
            self.report(|troupe| events::thread_refused(troupe, actor, error));
        }
    }

    /// Reports what the calling thread could not report under a shard's lock.
    pub(super) fn report_all_refused(&self) {
        if events::ENABLED {
            for (actor, error) in REFUSED.try_with(RefCell::take).unwrap_or_default() {
                self.report(|troupe| events::thread_refused(troupe, actor, &error));
            }
        }
    }
}

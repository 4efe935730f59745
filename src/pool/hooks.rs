//! The functions that the thread of each actor runs first and last.

use super::Pool;
use crate::sync::unwind::run_contained;

type Hook = Box<dyn Fn(usize) + Send + Sync>;

/// The hooks of a user. Each is given the number of the actor.
#[derive(Default)]
pub struct Hooks {
    pub on_start: Option<Hook>,
    pub on_stop: Option<Hook>,
}

impl<E> Pool<E> {
    /// Runs a hook. A panic of it is contained and counted.
    pub fn run_hook(&self, hook: Option<&Hook>, id: usize) {
        let Some(hook) = hook else { return };
        let outcome = run_contained("a hook", || hook(id));
        if outcome.is_err() {
            self.other_panics.add(1);
            self.report_panic(Some(id), outcome);
        }
    }
}

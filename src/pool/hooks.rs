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
        if hook.is_some_and(|hook| !run_contained(|| hook(id))) {
            self.hook_panics.add(1);
        }
    }
}

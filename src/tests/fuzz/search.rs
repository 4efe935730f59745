//! Runs programs until one fails, or until there is nothing left to run.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::choices::Bytes;
use super::program::Program;
use super::{log, oracle, play};
use crate::tests::schedule::{Driver, Plan};

/// A program under one schedule.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) bytes: Arc<Bytes>,
    pub(crate) program: Arc<Program>,
    pub(crate) plan: Plan,
}

/// A run that broke the contract, and how.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) run: Run,
    pub(crate) reason: String,
}

impl Failure {
    /// The part that stays the same while a failure shrinks: the reason up to its first colon.
    pub(crate) fn class(&self) -> &str {
        self.reason.split(':').next().unwrap_or_default()
    }
}

std::thread_local! {
    static IS_SEARCHING: Cell<bool> = const { Cell::new(false) };
    static CURRENT: RefCell<Option<Run>> = const { RefCell::new(None) };
    static FOUND: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

fn current() -> Run {
    CURRENT.with(|current| current.borrow().clone().expect("an execution has begun"))
}

/// More steps than any program takes that ends by itself.
const MAX_STEPS: usize = 50_000;

fn config() -> Config {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.silence_warnings = true;
    config
}

/// Suppresses the messages of panics in programs. Other panics are printed as before.
pub(crate) fn silence_panics() {
    // The first execution in a process makes the model checker set its own hook.
    shuttle::check_random(|| {}, 1);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_SEARCHING.get() {
            hook(info);
        }
    }));
}

/// Runs the programs that `next` returns. `next` receives the number of steps of the last run.
pub(crate) fn search(mut next: impl FnMut(usize) -> Option<Run> + 'static) -> Option<Failure> {
    FOUND.with(|found| *found.borrow_mut() = None);
    let driver = Driver::new(move |steps| {
        let is_over = FOUND.with(|found| found.borrow().is_some());
        let run = next(steps).filter(|_| !is_over)?;
        let plan = run.plan;
        CURRENT.with(|current| *current.borrow_mut() = Some(run));
        Some(plan)
    });
    IS_SEARCHING.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| {
        Runner::new(driver, config()).run(execute)
    }));
    IS_SEARCHING.set(false);
    if let Err(payload) = result {
        let reason = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| {
                payload
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
            })
            .unwrap_or_else(|| "a panic without a message".to_owned());
        let run = current();
        return Some(Failure { run, reason });
    }
    FOUND.with(|found| found.borrow_mut().take())
}

fn execute() {
    let run = current();
    play::play(&run.program);
    if let Err(reason) = log::with(|log| oracle::check(&run.program, log)) {
        FOUND.with(|found| *found.borrow_mut() = Some(Failure { run, reason }));
    }
}

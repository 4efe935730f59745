//! The two pools that can be behind the service: a troupe, and tokio's own for comparison.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::task;
use troupe_pool::{BuildError, Config, Failure, Handle, Stats, Troupe};

use crate::bridge::{self, RunError, Unmet};

/// Works that did not start, since nobody waited for them any more.
#[derive(Clone, Debug, Default)]
pub struct NotStarted(Arc<AtomicU64>);

impl NotStarted {
    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A troupe for [`bridge::run`].
///
/// # Errors
///
/// If a setting is wrong, or the system has no thread to give.
pub fn build(config: Config, not_started: &NotStarted) -> Result<Troupe<Unmet>, BuildError> {
    let NotStarted(count) = not_started.clone();
    Troupe::builder(config)
        // Errors and panics are answered where they belong, and counted by the troupe; what a
        // panic has to say, the panic hook has said.
        .error_handler(move |failure, _| {
            if let Failure::Error(Unmet::Gone) = failure {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
}

/// Where the works of the service go.
#[derive(Clone, Debug)]
pub enum Pool {
    /// Bounded threads, bounded mailboxes; what does not fit is refused. A handle, so that the
    /// runtime owns nothing that would have to be joined.
    Troupe(Handle<Unmet>),
    /// Up to 512 threads, then a queue without a bound; nothing is ever refused, and a work whose
    /// client has gone is run all the same.
    SpawnBlocking,
}

impl Pool {
    /// Runs a work, and waits for what it returns.
    ///
    /// # Errors
    ///
    /// As [`bridge::run`].
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, RunError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        match self {
            Pool::Troupe(handle) => bridge::run(handle, work).await,
            Pool::SpawnBlocking => match task::spawn_blocking(work).await {
                Ok(value) => value.map_err(RunError::Failed),
                Err(error) if error.is_panic() => Err(RunError::Panicked),
                Err(_) => Err(RunError::ShuttingDown),
            },
        }
    }

    /// Of the troupe, if there is one.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        match self {
            Pool::Troupe(handle) => Some(handle.stats()),
            Pool::SpawnBlocking => None,
        }
    }
}

//! From async code into a troupe and back: assign a blocking work, await what became of it.
//!
//! This file depends on nothing else here; copy it.

use tower::{Service, service_fn};
use troupe_pool::{AssignError, Handle, ReplyError, Work};

/// Why a work has no value to give.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E> {
    /// The work's own error.
    #[error("{0}")]
    Failed(E),
    /// The work panicked.
    #[error("the work panicked")]
    Panicked,
    /// There is no room. The work has not run.
    #[error("full")]
    Full,
    /// The work came too late, or waited and was taken back. It has not run.
    #[error("shutting down")]
    ShuttingDown,
    /// The troupe has no thread, for one. The work has not run.
    #[error("{0}")]
    Unavailable(String),
}

impl<E> From<AssignError<E>> for RunError<E> {
    fn from(refused: AssignError<E>) -> Self {
        match refused {
            AssignError::Full(_) => RunError::Full,
            AssignError::ShuttingDown(_) => RunError::ShuttingDown,
            other => RunError::Unavailable(other.to_string()),
        }
    }
}

impl<E> From<ReplyError<E>> for RunError<E> {
    fn from(error: ReplyError<E>) -> Self {
        match error {
            ReplyError::Error(error) => RunError::Failed(error),
            ReplyError::Panic(_) => RunError::Panicked,
            // Dropped: of those that have not run, only what was taken back has somebody who waits.
            _ => RunError::ShuttingDown,
        }
    }
}

/// Assigns a work at once; the future waits for what it returns.
///
/// Blocks no thread: `assign` never does, and the wait is an await. Once everything that the work
/// captured has been dropped, its value is here. To drop the future is to leave: if the work has
/// not started by then, it never will.
///
/// # Errors
///
/// One of [`RunError`] on every path on which there is no value, also if the work panics or is
/// returned by `shutdown_now`.
pub fn run<T, E, F>(
    handle: &Handle<E>,
    work: F,
) -> impl Future<Output = Result<T, RunError<E>>> + Send + use<T, E, F>
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    let (work, reply) = Work::with_reply(work);
    let assigned = handle.assign(work);
    let reply = reply.cancel_on_drop();
    async { assigned.map(|()| reply)?.await.map_err(RunError::from) }
}

/// A blocking function on a troupe, as a service that tower's layers can go around.
///
/// It is always ready; its call refuses. If it were pending while the troupe is full, whoever waits
/// for it to be ready would wait instead of being refused, and somebody would have to wake them.
pub fn service<R, T, E, F>(
    handle: Handle<E>,
    function: F,
) -> impl Service<R, Response = T, Error = RunError<E>, Future: Send> + Clone
where
    R: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(R) -> Result<T, E> + Clone + Send + 'static,
{
    service_fn(move |request| {
        let function = function.clone();
        run(&handle, move || function(request))
    })
}

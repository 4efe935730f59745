//! From async code into a troupe and back: assign a blocking work, await what became of it.
//!
//! This file depends on nothing else here; copy it.

use tokio::sync::oneshot;
use troupe_pool::{AssignError, Handle};

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

/// The failure that the troupe's error handler gets, so that the troupe counts it. The error itself goes to the
/// caller of [`run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// The work returned an error.
    #[error("failed")]
    Failed,
    /// Nobody waited for the work any more when its turn came, so it did not start.
    #[error("gone")]
    Gone,
}

/// Assigns a work, and waits for what it returns.
///
/// Blocks no thread: `assign` never does, and the wait is an await. Once everything that the work
/// captured has been dropped, its value is here. To drop this future is to leave: if the work has
/// not started by then, it never will.
///
/// # Errors
///
/// One of [`RunError`] on every path on which there is no value, also if the work panics or is
/// returned by `shutdown_now`.
pub async fn run<T, E, F>(handle: &Handle<Unmet>, work: F) -> Result<T, RunError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    let (sender, answer) = oneshot::channel();
    let reply = Reply {
        sender: Some(sender),
        has_started: false,
    };
    let assigned = handle.assign(move || reply.fill(work));
    assigned.map_err(|refused| match refused {
        AssignError::Full(_) => RunError::Full,
        AssignError::ShuttingDown(_) => RunError::ShuttingDown,
        other => RunError::Unavailable(other.to_string()),
    })?;
    // A reply is never dropped in silence. Should it be, nothing is known but that it is bad.
    answer.await.unwrap_or(Err(RunError::Panicked))
}

/// Owes an answer, and travels inside the work. Dropping it unanswered answers it: by a
/// panic that unwinds through the work, or by dropping work that `shutdown_now` returned.
struct Reply<T, E> {
    /// Until it is used.
    sender: Option<oneshot::Sender<Result<T, RunError<E>>>>,
    has_started: bool,
}

impl<T, E> Reply<T, E> {
    fn fill(mut self, work: impl FnOnce() -> Result<T, E>) -> Result<(), Unmet> {
        if self.sender.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return Err(Unmet::Gone);
        }
        self.has_started = true;
        let value = work();
        let verdict = value.as_ref().map(drop).map_err(|_| Unmet::Failed);
        self.send(value.map_err(RunError::Failed));
        verdict
    }

    fn send(&mut self, value: Result<T, RunError<E>>) {
        if let Some(sender) = self.sender.take() {
            // A caller that left while the work ran gets nothing.
            sender.send(value).ok();
        }
    }
}

impl<T, E> Drop for Reply<T, E> {
    fn drop(&mut self) {
        self.send(Err(match self.has_started {
            true => RunError::Panicked,
            false => RunError::ShuttingDown,
        }));
    }
}

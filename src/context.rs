//! What an error handler is given besides the failure.

use std::cell::Cell;
use std::fmt;

use crate::assign;
use crate::error::AssignError;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::pool::{OnFailure, Pool};
use crate::sync::Arc;
use crate::work::{BoxError, Work};

/// Where a failure happened, and the way to try again.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Context, Failure, Troupe};
///
/// /// An error that carries what is needed to try again.
/// struct Failed {
///     attempt: u32,
/// }
///
/// fn fetch(attempt: u32) -> Result<(), Failed> {
///     if attempt < 3 { Err(Failed { attempt }) } else { Ok(()) }
/// }
///
/// fn retry(failure: Failure<Failed>, context: &Context<'_, Failed>) {
///     if let Failure::Error(Failed { attempt }) = failure {
///         // In the failed work's place: never refused for want of room.
///         if let Err(refused) = context.reassign(move || fetch(attempt + 1)) {
///             // Shutting down: hand it back to wherever it came from.
///             drop(refused);
///         }
///     }
/// }
///
/// let troupe = Troupe::builder(Config::fixed(2)).error_handler(retry).build()?;
/// troupe.assign(|| fetch(1))?;
/// troupe.wait_idle()?; // covers the retries
/// let stats = troupe.stats();
/// assert_eq!((stats.accepted, stats.failed, stats.completed), (3, 2, 1));
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Context<'a, E = BoxError> {
    handle: &'a Handle<E>,
    actor_id: usize,
    /// Whether the failed work's place has been given to a retry.
    reassigned: Cell<bool>,
}

impl<E: Send + 'static> Context<'_, E> {
    /// The number of the actor that the work failed on, as in its thread's
    /// name.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Failure, Troupe};
    /// let (report, reports) = std::sync::mpsc::channel();
    /// let troupe = Troupe::builder(Config::fixed(1))
    ///     .error_handler(move |_: Failure, context| {
    ///         let _ = report.send(context.actor_id());
    ///     })
    ///     .build()?;
    /// troupe.assign(|| Err("no".into()))?;
    /// assert_eq!(reports.recv()?, 0);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn actor_id(&self) -> usize {
        self.actor_id
    }

    /// The troupe, to assign to, to ask for stats, or to shut down.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// Stopping at the first failure:
    ///
    /// ```
    /// # use troupe_pool::{Config, Failure, Troupe};
    /// let troupe = Troupe::builder(Config::fixed(1))
    ///     .error_handler(|_: Failure, context| {
    ///         context.troupe().shutdown();
    ///     })
    ///     .build()?;
    /// troupe.assign(|| Err("no".into()))?;
    /// troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use = "a handle does nothing by itself"]
    pub fn troupe(&self) -> &Handle<E> {
        self.handle
    }

    /// Tries again: assigns a work in the place of the failed one.
    ///
    /// Never blocks. The actor that runs the handler keeps the failed work's
    /// share of the troupe's bound, so a retry is never refused for want of
    /// room. It runs once the handler has returned, on the same actor, before
    /// any other work of that actor's. That is possible once per failure; a
    /// second call is an ordinary [`assign`](Handle::assign).
    ///
    /// A retry that has to wait first does not belong here, since the actor would
    /// have to wait with it. Send it to the thread that feeds the troupe.
    ///
    /// # Errors
    ///
    /// - [`ShuttingDown`](AssignError::ShuttingDown) after a shutdown, with the
    ///   work inside, to be handed back to wherever it came from.
    /// - On a second call, as [`Handle::assign`].
    ///
    /// # Examples
    ///
    /// See [`Context`].
    pub fn reassign(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        if self.reassigned.get() {
            return self.handle.assign(work);
        }
        assign::reassign(self.handle.pool(), self.actor_id, work.into())?;
        self.reassigned.set(true);
        Ok(())
    }
}

impl<E> fmt::Debug for Context<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            handle,
            actor_id,
            reassigned,
        } = self;
        f.debug_struct("Context")
            .field("handle", handle)
            .field("actor_id", actor_id)
            .field("reassigned", reassigned)
            .finish()
    }
}

/// A user's error handler.
pub(crate) struct ErrorHandler<F>(pub(crate) F);

impl<E, F> OnFailure<E> for ErrorHandler<F>
where
    F: Fn(Failure<E>, &Context<'_, E>) + Send + Sync,
{
    fn on_failure(&self, failure: Failure<E>, pool: &Arc<Pool<E>>, id: usize) {
        let handle = Handle::new(Arc::clone(pool));
        let context = Context {
            handle: &handle,
            actor_id: id,
            reassigned: Cell::new(false),
        };
        (self.0)(failure, &context);
    }
}

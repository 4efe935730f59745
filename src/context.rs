//! `Context`, which the error handler receives besides the failure.

use std::cell::Cell;
use std::fmt;

use crate::assign;
use crate::error::AssignError;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::pool::{OnFailure, Origin, Pool};
use crate::sync::Arc;
use crate::work::{BoxError, Work};

/// The context of a failure: its actor, its troupe, and a way to retry.
///
/// The [error handler](crate::Builder::error_handler) receives it with each
/// [`Failure`].
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Context, Failure, Troupe};
///
/// /// An error that carries what a retry needs.
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
///         // Takes the place of the failed work, so it is never `Full`.
///         if let Err(refused) = context.reassign(move || fetch(attempt + 1)) {
///             // The troupe is shutting down: give the work back to its source.
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
    origin: &'a Origin,
    /// `true` once a retry has taken the place of the failed work.
    reassigned: Cell<bool>,
}

impl<E: Send + 'static> Context<'_, E> {
    /// Returns the number of the actor on which the work failed, as in its thread's name.
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
        self.origin.actor
    }

    /// Returns the [label](Work::label) of the failed work, if it has one.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Failure, Troupe, Work};
    ///
    /// let (report, reports) = std::sync::mpsc::channel();
    /// let troupe = Troupe::builder(Config::fixed(1))
    ///     .error_handler(move |failure: Failure, context| {
    ///         let _ = report.send(format!("{}: {failure}", context.label().unwrap_or("?")));
    ///     })
    ///     .build()?;
    /// troupe.assign(Work::new(|| Err("no such host".into())).label("fetch a"))?;
    /// assert_eq!(reports.recv()?, "fetch a: no such host");
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.origin.label.as_deref()
    }

    /// Returns a handle to the troupe, to assign work, read stats or shut it down.
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

    /// Retries by assigning work in the place of the failed work.
    ///
    /// Never blocks. The actor that runs the handler keeps the failed work's share of the
    /// troupe's bound, so a retry is never refused with [`Full`](AssignError::Full). It runs
    /// on the same actor once the handler has returned, before any other work of that actor.
    /// If the failed work had a [key](Work::keyed), the retry runs before the next work of the
    /// key.
    ///
    /// Two kinds of retry do not take this place, but are assigned as by
    /// [`assign`](Handle::assign): one that has another key than the failed work, and any
    /// further one for the same failure.
    ///
    /// A retry that has to wait first does not belong here, since the actor would have to
    /// wait with it. Send it to the thread that feeds the troupe.
    ///
    /// # Errors
    ///
    /// - [`ShuttingDown`](AssignError::ShuttingDown) after a shutdown. The error contains the
    ///   work, which the handler can give back to its source.
    /// - The same as [`Handle::assign`] for a retry that has another key, and for a further one.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// See [`Context`].
    pub fn reassign(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        if self.reassigned.get() {
            return self.handle.assign(work);
        }
        assign::reassign(self.handle.pool(), self.origin, work.into())?;
        self.reassigned.set(true);
        Ok(())
    }
}

impl<E> fmt::Debug for Context<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            handle,
            origin,
            reassigned,
        } = self;
        f.debug_struct("Context")
            .field("handle", handle)
            .field("actor_id", &origin.actor)
            .field("label", &origin.label)
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
    fn on_failure(&self, failure: Failure<E>, pool: &Arc<Pool<E>>, origin: &Origin) {
        let handle = Handle::new(Arc::clone(pool));
        let context = Context {
            handle: &handle,
            origin,
            reassigned: Cell::new(false),
        };
        (self.0)(failure, &context);
    }
}

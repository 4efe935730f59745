//! `Work`: the boxed closure that a troupe runs, and `Letter`: a work on its
//! way through the troupe.

use std::fmt;

use crate::sync::Sealed;

/// The error type of works, unless said otherwise: any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The bare closure: two words.
pub(crate) type Job<E> = Box<dyn FnOnce() -> Result<(), E> + Send>;

/// A work on its way through the troupe, with what the troupe has to know of
/// it: three words.
pub(crate) struct Letter<E> {
    pub(crate) job: Job<E>,
    /// The number of the thread that assigned it. A thread assigns one work at
    /// a time, so among the works that have not been answered for this says
    /// which one it is.
    sender: u32,
    /// The `wait_idle` round for which it came too late to be waited for; zero
    /// if it was assigned while no round was under way.
    pub(crate) late_for: u32,
}

impl<E> Letter<E> {
    pub(crate) fn new(work: Work<E>, sender: u32) -> Self {
        Self {
            job: work.job.into_inner(),
            sender,
            late_for: 0,
        }
    }

    /// The work as the user made it.
    pub(crate) fn into_work(self) -> Work<E> {
        Work {
            job: Sealed::new(self.job),
        }
    }

    pub(crate) fn is_from(&self, sender: u32) -> bool {
        self.sender == sender
    }
}

/// A piece of work: a boxed `FnOnce() -> Result<(), E>`.
///
/// [`Troupe::assign`](crate::Troupe::assign) takes a closure and makes a `Work`
/// of it: the one allocation of an assign. When an assign is refused, the
/// `Work` comes back inside the error and can be assigned again without being
/// boxed a second time, kept for later, or [run by hand](Work::run).
///
/// Whatever the closure captured is dropped exactly once: when the work has
/// run or panicked, or when the `Work` is dropped without having been run.
///
/// # Examples
///
/// ```
/// use troupe_pool::Work;
///
/// let work: Work = Work::new(|| {
///     "7".parse::<u32>()?;
///     Ok(())
/// });
/// assert!(work.run().is_ok());
/// ```
#[must_use = "a work does nothing until it is assigned or run"]
pub struct Work<E = BoxError> {
    // A bare box is not `Sync`, and an error that carries one could not be
    // turned into the usual boxed errors. The mutex is never locked.
    job: Sealed<Job<E>>,
}

impl<E> Work<E> {
    /// Makes a work of a closure.
    ///
    /// This allocates once, unless the closure captures nothing; it does not
    /// block and does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::Work;
    ///
    /// let greeting = String::from("hello");
    /// let work = Work::<std::fmt::Error>::new(move || {
    ///     assert_eq!(greeting.len(), 5);
    ///     Err(std::fmt::Error)
    /// });
    /// assert_eq!(work.run(), Err(std::fmt::Error));
    /// ```
    pub fn new<F>(work: F) -> Self
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        Self {
            job: Sealed::new(Box::new(work)),
        }
    }

    /// Runs the work by hand, on the calling thread.
    ///
    /// Blocks for as long as the closure runs. No troupe takes part: the error
    /// comes back to the caller and no error handler sees it.
    ///
    /// # Errors
    ///
    /// What the closure returned.
    ///
    /// # Panics
    ///
    /// If the closure panics, the panic goes on to the caller.
    ///
    /// # Examples
    ///
    /// Caller runs: who is refused does the work itself, which slows it down
    /// just enough.
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe};
    ///
    /// let troupe = Troupe::new(Config::fixed(1).mailbox_size(1))?;
    /// for _ in 0..100 {
    ///     if let Err(refused) = troupe.assign(|| Ok(())) {
    ///         refused.into_work().run()?;
    ///     }
    /// }
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn run(self) -> Result<(), E> {
        (self.job.into_inner())()
    }
}

impl<E, F> From<F> for Work<E>
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
{
    fn from(work: F) -> Self {
        Self::new(work)
    }
}

impl<E> fmt::Debug for Work<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job: _ } = self;
        f.write_str("Work(..)")
    }
}

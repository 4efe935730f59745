//! `Work`: the boxed closure that a troupe runs.
//!
//! Inside the crate a work travels as a bare [`JobBox`], so that a place in a
//! mailbox costs two words; [`Work`] is its public wrapping. What rides on a
//! work (today only the round it is late for) is a matter of the [`Job`]
//! trait, not of more queues or more assign methods.

use std::fmt;

use crate::BoxError;
use crate::sync::Sealed;

/// What a mailbox holds.
pub(crate) type JobBox<E> = Box<dyn Job<E> + Send>;

/// Something that an actor can run once.
pub(crate) trait Job<E> {
    /// Runs it. Its captures are dropped before this returns.
    fn run(self: Box<Self>) -> Result<(), E>;

    /// The `wait_idle` round for which this came too late to be waited for;
    /// zero if it was assigned while no round was under way.
    fn late_for(&self) -> u64 {
        0
    }

    /// The work as the user made it.
    fn into_plain(self: Box<Self>) -> JobBox<E>;
}

/// A user's closure.
struct Plain<F>(F);

impl<E, F> Job<E> for Plain<F>
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
{
    fn run(self: Box<Self>) -> Result<(), E> {
        (self.0)()
    }

    fn into_plain(self: Box<Self>) -> JobBox<E> {
        self
    }
}

/// A work that was assigned while a `wait_idle` was under way.
struct Late<E> {
    round: u64,
    job: JobBox<E>,
}

impl<E: 'static> Job<E> for Late<E> {
    fn run(self: Box<Self>) -> Result<(), E> {
        self.job.run()
    }

    fn late_for(&self) -> u64 {
        self.round
    }

    fn into_plain(self: Box<Self>) -> JobBox<E> {
        self.job
    }
}

/// Marks a job as too late for `round`.
pub(crate) fn late<E: 'static>(job: JobBox<E>, round: u64) -> JobBox<E> {
    Box::new(Late {
        round,
        job: job.into_plain(),
    })
}

/// Which box a job is in, so that a late sender can find its own again.
///
/// The address is never followed. Jobs without captures have no memory of
/// their own and may share an address, but then their type (the other half of
/// the pointer) is the same too, and nobody can tell them apart.
pub(crate) struct Identity<E>(*const (dyn Job<E> + Send));

impl<E> Identity<E> {
    pub(crate) fn of(job: &JobBox<E>) -> Self {
        Self(&raw const **job)
    }

    pub(crate) fn is(&self, job: &JobBox<E>) -> bool {
        std::ptr::eq(self.0, &raw const **job)
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
    job: Sealed<JobBox<E>>,
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
        Self::from_job(Box::new(Plain(work)))
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
        self.into_job().run()
    }

    pub(crate) fn from_job(job: JobBox<E>) -> Self {
        Self {
            job: Sealed::new(job),
        }
    }

    pub(crate) fn into_job(self) -> JobBox<E> {
        self.job.into_inner()
    }

    /// A job that comes back from inside the troupe.
    pub(crate) fn returned(job: JobBox<E>) -> Self {
        Self::from_job(job.into_plain())
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

#[cfg(test)]
mod tests {
    use super::{Identity, Work, late};

    #[test]
    fn a_job_is_found_by_its_identity() {
        let (mut a, mut b) = (1_u8, 2_u8);
        let first = Work::<()>::new(move || {
            a += 1;
            Ok(())
        })
        .into_job();
        let second = Work::<()>::new(move || {
            b += 1;
            Ok(())
        })
        .into_job();
        let identity = Identity::of(&first);
        let moved = vec![second, first];
        assert!(!identity.is(&moved[0]));
        assert!(identity.is(&moved[1]));
    }

    #[test]
    fn jobs_without_captures_are_told_apart_by_their_type() {
        let first = Work::<u8>::new(|| Err(1)).into_job();
        let second = Work::<u8>::new(|| Err(2)).into_job();
        let identity = Identity::of(&first);
        assert!(identity.is(&first));
        assert!(!identity.is(&second));
    }

    #[test]
    fn a_late_job_says_so_until_it_is_plain_again() {
        let job = late(Work::<u8>::new(|| Err(7)).into_job(), 3);
        assert_eq!(job.late_for(), 3);
        let job = late(job, 4);
        assert_eq!(job.late_for(), 4);
        let job = job.into_plain();
        assert_eq!(job.late_for(), 0);
        assert_eq!(job.run(), Err(7));
    }
}

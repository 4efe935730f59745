//! `Handle`, a clonable reference to a troupe.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::assign;
use crate::error::AssignError;
use crate::pool::Pool;
use crate::shutdown;
use crate::stats::Stats;
use crate::sync::{Arc, Duration};
use crate::work::{BoxError, Work};

/// A clonable reference to a [`Troupe`](crate::Troupe).
///
/// A handle is cheap to clone. It is meant for work and handlers that assign, and for
/// threads that do not own the troupe.
///
/// It keeps no thread, no work and no error handler alive. Once the troupe has been shut
/// down or dropped, a handle returns [`ShuttingDown`](AssignError::ShuttingDown) and the
/// final stats. It does keep the memory of the mailboxes, 24 bytes for each place. This
/// is freed once the troupe and all its handles have been dropped and its threads are
/// gone.
///
/// # Examples
///
/// Work that assigns more work:
///
/// ```
/// use troupe_pool::{BoxError, Config, Handle, Troupe};
///
/// fn halve(handle: &Handle, n: u32) -> Result<(), BoxError> {
///     if n > 1 {
///         let again = handle.clone();
///         handle.assign(move || halve(&again, n / 2))?;
///     }
///     Ok(())
/// }
///
/// let troupe = Troupe::new(Config::fixed(2))?;
/// let handle = troupe.handle();
/// troupe.assign(move || halve(&handle, 8))?;
/// troupe.wait_idle()?; // covers work that is assigned by work
/// assert_eq!(troupe.stats().completed, 4);
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), BoxError>(())
/// ```
#[must_use = "a handle does nothing by itself"]
pub struct Handle<E = BoxError> {
    pool: Arc<Pool<E>>,
}

impl<E> Handle<E> {
    pub(crate) fn new(pool: Arc<Pool<E>>) -> Self {
        Self { pool }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool<E>> {
        &self.pool
    }

    /// Stops accepting work. Returns `true` if this call began the shutdown.
    ///
    /// Never blocks. See [`Troupe::shutdown`](crate::Troupe::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// assert!(troupe.handle().shutdown());
    /// assert!(!troupe.shutdown());
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers only want it to happen"
    )]
    pub fn shutdown(&self) -> bool {
        shutdown::shutdown(&self.pool)
    }

    /// Stops accepting work, and returns all work that has not started.
    ///
    /// Does not wait for running work. See
    /// [`Troupe::shutdown_now`](crate::Troupe::shutdown_now).
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// assert!(troupe.handle().shutdown_now().is_empty());
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use = "dropping the returned work drops what it captured"]
    pub fn shutdown_now(&self) -> Vec<Work<E>> {
        shutdown::shutdown_now(&self.pool)
    }

    /// Returns `true` once the troupe has been shut down or dropped.
    ///
    /// Never blocks. Long-running work can check this and stop early.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// let handle = troupe.handle();
    /// assert!(!handle.is_shutdown());
    /// drop(troupe);
    /// assert!(handle.is_shutdown());
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.pool.counts.load().is_shutting_down()
    }

    /// Returns a snapshot of what the troupe has done and is doing.
    ///
    /// Takes a lock briefly. The time is proportional to the number of actors.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2).mailbox_size(3))?;
    /// assert_eq!(troupe.handle().stats().capacity, 8);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }
}

impl<E: Send + 'static> Handle<E> {
    /// Assigns work to an actor.
    ///
    /// Never blocks. See [`Troupe::assign`](crate::Troupe::assign).
    ///
    /// # Errors
    ///
    /// The same as [`Troupe::assign`](crate::Troupe::assign), with the work inside.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// troupe.handle().assign(|| Ok(()))?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        assign::assign(&self.pool, work.into(), Some(Duration::ZERO))
    }

    /// Assigns work, waiting for room for at most `timeout`.
    ///
    /// Blocks while the troupe is full. See
    /// [`Troupe::assign_timeout`](crate::Troupe::assign_timeout).
    ///
    /// # Errors
    ///
    /// The same as [`Troupe::assign_timeout`](crate::Troupe::assign_timeout), with the work
    /// inside.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// troupe.handle().assign_timeout(|| Ok(()), Duration::from_secs(1))?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign_timeout(
        &self,
        work: impl Into<Work<E>>,
        timeout: Duration,
    ) -> Result<(), AssignError<E>> {
        assign::assign(&self.pool, work.into(), Some(timeout))
    }

    /// Assigns work, waiting for room as long as it takes.
    ///
    /// Blocks while the troupe is full. See
    /// [`Troupe::assign_wait`](crate::Troupe::assign_wait).
    ///
    /// # Errors
    ///
    /// The same as [`Troupe::assign_wait`](crate::Troupe::assign_wait), with the work inside.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// troupe.handle().assign_wait(|| Ok(()))?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign_wait(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        assign::assign(&self.pool, work.into(), None)
    }
}

impl<E> Clone for Handle<E> {
    fn clone(&self) -> Self {
        Self {
            pool: Arc::clone(&self.pool),
        }
    }
}

impl<E> fmt::Debug for Handle<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool } = self;
        f.debug_struct("Handle")
            .field("thread_name", &pool.config.thread_name)
            .finish_non_exhaustive()
    }
}

// No user code runs under a lock of the troupe, so a panic in user code leaves
// nothing half changed.
impl<E> UnwindSafe for Handle<E> {}
impl<E> RefUnwindSafe for Handle<E> {}

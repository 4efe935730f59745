//! The public face of the pool.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::assign;
use crate::config::Config;
use crate::error::{AssignError, JoinError};
use crate::handle::Handle;
use crate::pool::Pool;
use crate::shutdown;
use crate::stats::{ActorStats, Stats};
use crate::sync::{Arc, Duration, Instant};
use crate::work::{BoxError, Work};

/// A bounded pool of actors.
///
/// Not `Clone`: share it by reference or in an [`Arc`], or give
/// out [handles](Troupe::handle). Works return `Result<(), E>`; `E` is
/// [`BoxError`] unless said otherwise, and need be nothing more than
/// `Send + 'static`.
///
/// # Dropping
///
/// Dropping a troupe is [`shutdown`](Troupe::shutdown): it never blocks and
/// never panics, also on one of its own threads. What has been accepted is
/// still run while the process lives; [`join`](Troupe::join) first to be sure.
/// A work or handler that owns the last `Arc` of its own troupe is therefore
/// harmless; a handler that owns one keeps the troupe from ever being dropped,
/// so give it what it needs through its
/// [`Context`](crate::Context::troupe) instead.
///
/// # Waiting for oneself
///
/// Calls that would wait for the troupe on one of its own threads return
/// `WouldDeadlock` at once. Two other kinds of deadlock are not noticed:
///
/// - The works of two troupes wait for each other.
/// - Work waits for other work of its own troupe by other means, such as a channel.
///   Such a troupe needs one actor more than there is work that waits at the same
///   time. ([`Config::default`] has a single actor on one processor.) Even that may
///   not be enough if a shutdown begins meanwhile: the awaited work can then be
///   accepted behind the work that waits for it.
///
/// # Threads
///
/// An actor's thread inherits what the system passes on from the thread that
/// starts it: on Linux its CPU affinity, scheduling class and signal mask. In
/// Fixed mode, and for the initial actors, that is the thread that builds the
/// troupe. A Dynamic troupe may grow on any thread that assigns. When an actor
/// retires, everything tied to its thread ends, such as thread-local variables.
///
/// No thread can be stopped from outside. Work that never ends occupies an actor
/// and counts towards `max`; [`join`](Troupe::join) and
/// [`wait_idle`](Troupe::wait_idle) wait for it.
///
/// A troupe does not survive `fork`. The child has none of its threads: there
/// `assign` can return `Ok` for work that is never run. Build the troupe after the
/// fork.
///
/// # Memory
///
/// Each place in a mailbox takes 24 bytes. [`join`](Troupe::join) does not free
/// them: they are freed once the `Troupe` and all its [`Handle`]s have been dropped
/// and its threads are gone.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Troupe};
///
/// let troupe = Troupe::new(Config::fixed(4).mailbox_size(32))?;
/// for n in 0..100_u64 {
///     troupe.assign(move || {
///         assert_ne!(n * n, 2);
///         Ok(())
///     })?;
/// }
/// troupe.shutdown();
/// troupe.join()?;
/// assert_eq!(troupe.stats().completed, 100);
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[must_use = "a troupe that is dropped is shut down"]
pub struct Troupe<E = BoxError> {
    pool: Arc<Pool<E>>,
}

impl<E> Troupe<E> {
    pub(crate) fn from_pool(pool: Arc<Pool<E>>) -> Self {
        Self { pool }
    }
}

impl<E: Send + 'static> Troupe<E> {
    /// Assigns a work to an actor.
    ///
    /// Never blocks: it does not wait for room or for a work, though growing
    /// costs the start of a thread. The work goes to, in this order: the most
    /// recently idle actor; in Dynamic mode below `max`, a new actor; any
    /// mailbox with room. Works start in nearly the order of acceptance, and with
    /// `max` 1 in exactly that order, a retry first. Once this has returned `Ok`,
    /// the work is run exactly once, or returned exactly once by
    /// [`shutdown_now`](Troupe::shutdown_now).
    ///
    /// May be called anywhere, also in works and handlers of this troupe.
    ///
    /// # Errors
    ///
    /// The work is in the error and has not been run.
    ///
    /// - [`Full`](AssignError::Full) if, at some instant during the call, no actor
    ///   was idle, no mailbox had room, and the troupe could not grow. It cannot
    ///   grow at `max`, which counts an actor that is being started. If it has an
    ///   actor, it does not grow for 100 ms after the system has refused a thread.
    /// - [`ShuttingDown`](AssignError::ShuttingDown) after a shutdown.
    /// - [`Spawn`](AssignError::Spawn) if there is no actor, and the system
    ///   refused one.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{AssignError, Config, Troupe};
    ///
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let troupe = Troupe::new(Config::fixed(1).mailbox_size(1))?;
    /// troupe.assign(move || Ok(gate.recv()?))?; // runs, and waits
    /// troupe.assign(|| Ok(()))?; // waits in the mailbox
    /// match troupe.assign(|| Ok(())) {
    ///     Err(AssignError::Full(work)) => {
    ///         open.send(())?;
    ///         troupe.assign_wait(work)?; // not boxed again
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// troupe.shutdown();
    /// troupe.join()?;
    /// assert_eq!(troupe.stats().completed, 3);
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        assign::assign(&self.pool, work.into())
    }

    /// Assigns a work; waits for room for at most `timeout`.
    ///
    /// Blocks while the troupe is full: for some 15 microseconds it lets other
    /// threads run and tries again, then it sleeps. It is woken by room, by
    /// growth and by shutdown; no order among those who wait is promised. A
    /// timeout of zero is [`assign`](Troupe::assign); one that overflows the
    /// clock waits for ever.
    ///
    /// # Errors
    ///
    /// As [`assign`](Troupe::assign), with [`Full`](AssignError::Full) when the
    /// time is up, and [`WouldDeadlock`](AssignError::WouldDeadlock) where it
    /// would have to wait on one of the troupe's own threads.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use troupe_pool::{Config, Troupe};
    ///
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let troupe = Troupe::new(Config::fixed(1).mailbox_size(0))?;
    /// troupe.assign(move || Ok(gate.recv()?))?;
    /// let refused = troupe.assign_timeout(|| Ok(()), Duration::from_millis(1)).unwrap_err();
    /// assert!(refused.is_full());
    /// open.send(())?;
    /// troupe.assign_timeout(refused.into_work(), Duration::from_secs(60))?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign_timeout(
        &self,
        work: impl Into<Work<E>>,
        timeout: Duration,
    ) -> Result<(), AssignError<E>> {
        assign::assign_waiting(&self.pool, work.into(), Some(timeout))
    }

    /// Assigns a work; waits for room as long as it takes.
    ///
    /// Blocks while the troupe is full, as
    /// [`assign_timeout`](Troupe::assign_timeout) does. This is how a feeder is
    /// held to the pace of the actors, so that memory stays bounded.
    ///
    /// # Errors
    ///
    /// As [`assign`](Troupe::assign), except [`Full`](AssignError::Full), and
    /// [`WouldDeadlock`](AssignError::WouldDeadlock) where it would have to
    /// wait on one of the troupe's own threads.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe};
    ///
    /// let troupe = Troupe::new(Config::fixed(2).mailbox_size(1))?;
    /// for _ in 0..1_000 {
    ///     troupe.assign_wait(|| Ok(()))?; // never more than four at once
    /// }
    /// troupe.wait_idle()?;
    /// assert_eq!(troupe.stats().completed, 1_000);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign_wait(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        assign::assign_waiting(&self.pool, work.into(), None)
    }
}

impl<E> Troupe<E> {
    /// Stops accepting work. Returns `true` if this call began the shutdown.
    ///
    /// Never blocks. Once it has returned, every later assign is refused with
    /// [`ShuttingDown`](AssignError::ShuttingDown); everything accepted before
    /// is still run. The last actor to leave drops the error handler. If there is
    /// no actor, this call drops it. May be called anywhere, any number of times.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// assert!(troupe.shutdown());
    /// assert!(!troupe.shutdown());
    /// assert!(troupe.assign(|| Ok(())).unwrap_err().is_shutting_down());
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

    /// Stops accepting work, and takes back every work that has not started.
    ///
    /// Does not wait for running work. It waits only for an actor that is picking
    /// up its next work to either start it or give it back, which takes a few
    /// instructions. Once it has returned, no work starts. Running work goes on,
    /// and [`join`](Troupe::join) waits for it. Every accepted work has then either
    /// started or been returned, never both. A second call returns nothing. May be
    /// called anywhere, even in a work.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe};
    ///
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let (started, start) = std::sync::mpsc::channel();
    /// let troupe = Troupe::new(Config::fixed(1).mailbox_size(8))?;
    /// troupe.assign(move || {
    ///     started.send(())?;
    ///     Ok(gate.recv()?)
    /// })?;
    /// start.recv()?;
    /// for _ in 0..5 {
    ///     troupe.assign(|| Ok(()))?;
    /// }
    /// let left = troupe.shutdown_now();
    /// assert_eq!(left.len(), 5);
    /// open.send(())?;
    /// troupe.join()?;
    /// assert_eq!(troupe.stats().completed, 1);
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use = "these works were accepted and will not be run"]
    pub fn shutdown_now(&self) -> Vec<Work<E>> {
        shutdown::shutdown_now(&self.pool)
    }

    /// Returns `true` once the troupe has been shut down.
    ///
    /// Never blocks. A long work can ask this of a [`Handle`] now and then, and
    /// stop early.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// assert!(!troupe.is_shutdown());
    /// troupe.shutdown();
    /// assert!(troupe.is_shutdown());
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.pool.counts.load().is_shutting_down()
    }

    /// Waits until the troupe has come to its end.
    ///
    /// Blocks until somebody has shut the troupe down, every work accepted
    /// before is finished, every closure, capture and the error handler has
    /// been dropped, and the threads are gone. Any number of threads may call
    /// this, before or after the shutdown, again and again. It holds no lock
    /// that a shutdown needs.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    /// threads.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2))?;
    /// troupe.assign(|| Ok(()))?;
    /// troupe.shutdown();
    /// troupe.join()?;
    /// assert_eq!(troupe.stats().completed, 1);
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn join(&self) -> Result<(), JoinError> {
        shutdown::join(&self.pool, None)
    }

    /// Waits until the troupe has come to its end, for at most `timeout`.
    ///
    /// Blocks as [`join`](Troupe::join) does, and returns as soon as the end
    /// has come. The time bounds the wait for works and the handler; what the
    /// threads then do to end themselves, such as destructors of thread-local
    /// variables, comes on top. A timeout that overflows the clock waits for
    /// ever.
    ///
    /// # Errors
    ///
    /// - [`Timeout`](JoinError::Timeout) if the time was up first. Nothing is
    ///   lost; join again.
    /// - [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    ///   threads.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use troupe_pool::{Config, JoinError, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2))?;
    /// let early = troupe.join_timeout(Duration::from_millis(1));
    /// assert_eq!(early, Err(JoinError::Timeout));
    /// troupe.shutdown();
    /// troupe.join_timeout(Duration::from_secs(60))?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        shutdown::join(&self.pool, Instant::now().checked_add(timeout))
    }

    /// Waits until the troupe is idle, without ending anything.
    ///
    /// Blocks until there has been an instant, later than the call, at which no
    /// work was running, waiting in a mailbox, or on its way to an actor. At that
    /// instant every capture of finished work had been dropped, and every error
    /// handler call had returned. One call therefore covers work that is assigned
    /// by other work, and retries. If the troupe is idle, this returns at once.
    ///
    /// When this returns, every actor that has not been given work since that
    /// instant counts as idle. Waiting does not slow down assigning.
    ///
    /// Other threads may go on assigning, so the troupe may be busy again when
    /// this returns. A steady trickle of work does not hold up the call if the
    /// troupe is idle in between, however briefly. If the troupe is fed without a
    /// pause, or if some work never ends, there may be no such instant:
    /// [`wait_idle_timeout`](Troupe::wait_idle_timeout) bounds the wait. To wait
    /// for part of the work, see the guide,
    /// [Waiting for some of the work](crate::guide::waiting).
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    /// threads.
    ///
    /// # Examples
    ///
    /// A tree of work: each visit assigns two others.
    ///
    /// ```
    /// use troupe_pool::{BoxError, Config, Handle, Troupe};
    ///
    /// fn visit(troupe: &Handle, depth: u32) -> Result<(), BoxError> {
    ///     if depth > 0 {
    ///         for _ in 0..2 {
    ///             let handle = troupe.clone();
    ///             troupe.assign(move || visit(&handle, depth - 1))?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let troupe = Troupe::new(Config::fixed(2).mailbox_size(64))?;
    /// let handle = troupe.handle();
    /// troupe.assign(move || visit(&handle, 4))?;
    /// troupe.wait_idle()?;
    /// assert_eq!(troupe.stats().completed, 31);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn wait_idle(&self) -> Result<(), JoinError> {
        shutdown::wait_idle(&self.pool, None)
    }

    /// Waits until the troupe is idle, for at most `timeout`.
    ///
    /// Blocks as [`wait_idle`](Troupe::wait_idle) does. With a zero timeout it
    /// succeeds only if the troupe is idle at present. A timeout that overflows the
    /// clock waits for ever.
    ///
    /// # Errors
    ///
    /// - [`Timeout`](JoinError::Timeout) if the time was up first.
    /// - [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    ///   threads.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use troupe_pool::{Config, JoinError, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2))?;
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// troupe.assign(move || Ok(gate.recv()?))?;
    /// let early = troupe.wait_idle_timeout(Duration::from_millis(1));
    /// assert_eq!(early, Err(JoinError::Timeout));
    /// open.send(())?;
    /// troupe.wait_idle_timeout(Duration::from_secs(60))?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn wait_idle_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        shutdown::wait_idle(&self.pool, Instant::now().checked_add(timeout))
    }

    /// A snapshot of what the troupe has done and is doing.
    ///
    /// Takes a short lock, and a time in proportion to the number of actors.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2).mailbox_size(3))?;
    /// let stats = troupe.stats();
    /// assert_eq!((stats.actors, stats.idle, stats.capacity), (2, 2, 8));
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// A snapshot of each actor, by number.
    ///
    /// Takes a short lock, and a time in proportion to the number of actors.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2))?;
    /// let ids: Vec<usize> = troupe.actors().iter().map(|actor| actor.id).collect();
    /// assert_eq!(ids, [0, 1]);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn actors(&self) -> Vec<ActorStats> {
        self.pool.actors()
    }

    /// A handle, for those who do not own the troupe.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let troupe = Troupe::new(Config::fixed(2))?;
    /// let handle = troupe.handle();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| handle.assign(|| Ok(())));
    /// });
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn handle(&self) -> Handle<E> {
        Handle::new(Arc::clone(&self.pool))
    }

    /// The settings that the troupe was built with.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// let config = Config::dynamic(0, 4);
    /// assert_eq!(Troupe::new(config.clone())?.config(), config);
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn config(&self) -> Config {
        self.pool.config.clone()
    }
}

impl<E> Drop for Troupe<E> {
    fn drop(&mut self) {
        shutdown::shutdown(&self.pool);
    }
}

impl<E> fmt::Debug for Troupe<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool } = self;
        f.debug_struct("Troupe")
            .field("config", &pool.config)
            .field("stats", &pool.stats())
            .finish_non_exhaustive()
    }
}

// No user code runs under a lock of the troupe's, so a panic of the user's
// leaves nothing half changed.
impl<E> UnwindSafe for Troupe<E> {}
impl<E> RefUnwindSafe for Troupe<E> {}

//! `Troupe`, the pool that users build and assign work to.

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
/// A troupe is not `Clone`. Share it by reference or in an [`Arc`], or give out
/// [handles](Troupe::handle). Work returns `Result<(), E>`. `E` is [`BoxError`] by
/// default, and can be any type that is `Send + 'static`.
///
/// # Dropping
///
/// Dropping a troupe is [`shutdown`](Troupe::shutdown). It never blocks and never
/// panics, even on one of the troupe's own threads. Accepted work is still run while
/// the process lives. Call [`join`](Troupe::join) first to be sure that all of it runs.
///
/// It is therefore harmless if work owns the last `Arc` of its own troupe. A handler
/// that owns an `Arc` keeps the troupe from ever being dropped, and should use its
/// [`Context`](crate::Context::troupe) instead.
///
/// # Deadlocks
///
/// Calls that would wait for the troupe on one of its own threads return
/// `WouldDeadlock` immediately. Two other kinds of deadlock are not detected:
///
/// - The work of two troupes waits for each other.
/// - Work waits for other work of its own troupe by other means, such as a channel or a
///   [`Reply`](crate::Reply) that is polled as a future. Such a troupe needs at least
///   one more actor than those that wait in this way at the same time.
///   ([`Config::default`] has a single actor on one processor.) Even that may not be
///   enough if a shutdown begins meanwhile: the awaited work can then be accepted
///   behind the work that waits for it.
///
/// # Threads
///
/// An actor's thread inherits what the system passes on from the thread that starts
/// it. On Linux, these are the CPU affinity, the scheduling class and the signal mask.
/// The thread that builds the troupe starts all actors of a Fixed troupe, and the
/// initial actors of a Dynamic one. A Dynamic troupe may grow on any thread that
/// assigns. When an actor retires, everything tied to its thread ends, such as
/// thread-local variables.
///
/// No thread can be stopped from outside. Work that never ends occupies an actor and
/// counts towards `max`. [`join`](Troupe::join) and [`wait_idle`](Troupe::wait_idle)
/// wait for it.
///
/// A troupe does not survive `fork`. The child process has none of its threads, and
/// there `assign` can return `Ok` for work that is never run. Build the troupe after
/// the fork.
///
/// # Memory
///
/// Each place in a mailbox takes 24 bytes. [`join`](Troupe::join) does not free them.
/// They are freed once the `Troupe` and all its [`Handle`]s have been dropped and its
/// threads are gone.
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
    /// Assigns work to an actor.
    ///
    /// Never blocks. It does not wait for room or for running work, although growing costs
    /// the start of a thread. The work goes to the first of these that exists:
    ///
    /// 1. the most recently idle actor;
    /// 2. a new actor, in Dynamic mode below `max`;
    /// 3. any mailbox with room.
    ///
    /// If there is none of these, the work is refused. Work whose [key](Work::keyed) is taken
    /// goes to a place in line instead, or is refused if there is none.
    ///
    /// Work starts in nearly the order of acceptance. With a `max` of 1 it starts in exactly
    /// that order, except that a retry comes first. Once this has returned `Ok`, the work is
    /// run exactly once, or returned exactly once by
    /// [`shutdown_now`](Troupe::shutdown_now). Work that has been given a
    /// [deadline](Work::deadline) or [cancelled](crate::Reply::cancel) may expire or be
    /// cancelled instead, exactly once.
    ///
    /// This may be called anywhere, even in work and handlers of this troupe.
    ///
    /// # Errors
    ///
    /// The error contains the work, which has not been run.
    ///
    /// - [`Full`](AssignError::Full) if, at some instant during the call, no actor was idle,
    ///   no mailbox had room, and the troupe could not grow. It cannot grow at `max`
    ///   actors, including those that are being started. A troupe that has an actor also
    ///   does not grow for 100 ms after the system has refused a thread. For work with a
    ///   [key](Work::keyed), also if, at some instant during the call, the key and every place
    ///   in line were taken.
    /// - [`ShuttingDown`](AssignError::ShuttingDown) after a shutdown.
    /// - [`Spawn`](AssignError::Spawn) if the troupe has no actor, and the system refused to
    ///   start one.
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
    /// troupe.assign(move || Ok(gate.recv()?))?; // runs until the gate opens
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
        assign::assign(&self.pool, work.into(), Some(Duration::ZERO))
    }

    /// Assigns work, waiting for room for at most `timeout`.
    ///
    /// Blocks while the troupe is full. Work with a [key](Work::keyed) also waits while the key
    /// and every place in line are taken. For about 15 microseconds it tries again and lets
    /// other threads run in between. Then it sleeps until there is room, the troupe has
    /// grown, or it is shut down. Waiting calls are served in no particular order.
    ///
    /// A timeout of zero is the same as [`assign`](Troupe::assign). A timeout that overflows
    /// the clock waits for ever.
    ///
    /// # Errors
    ///
    /// The same as [`assign`](Troupe::assign), with these differences:
    ///
    /// - [`Full`](AssignError::Full) is returned only once the time is up.
    /// - [`WouldDeadlock`](AssignError::WouldDeadlock) is returned if the call would have to
    ///   wait on one of the troupe's own threads.
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
        assign::assign(&self.pool, work.into(), Some(timeout))
    }

    /// Assigns work, waiting for room as long as it takes.
    ///
    /// Blocks while the troupe is full, as [`assign_timeout`](Troupe::assign_timeout) does.
    /// This holds the calling thread to the pace of the actors, so memory stays bounded.
    ///
    /// # Errors
    ///
    /// The same as [`assign`](Troupe::assign), with these differences:
    ///
    /// - [`Full`](AssignError::Full) is never returned.
    /// - [`WouldDeadlock`](AssignError::WouldDeadlock) is returned if the call would have to
    ///   wait on one of the troupe's own threads.
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
    ///     troupe.assign_wait(|| Ok(()))?; // at most four at once
    /// }
    /// troupe.wait_idle()?;
    /// assert_eq!(troupe.stats().completed, 1_000);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn assign_wait(&self, work: impl Into<Work<E>>) -> Result<(), AssignError<E>> {
        assign::assign(&self.pool, work.into(), None)
    }
}

impl<E> Troupe<E> {
    /// Stops accepting work. Returns `true` if this call began the shutdown.
    ///
    /// Never blocks. Once this has returned, every later assign is refused with
    /// [`ShuttingDown`](AssignError::ShuttingDown). Everything accepted before is still run.
    /// This may be called anywhere, any number of times.
    ///
    /// The last actor to exit drops the error handler. If there is no actor, this call
    /// drops it.
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

    /// Stops accepting work, and returns all work that has not started.
    ///
    /// Does not wait for running work. It waits only for an actor that is picking up its
    /// next work to either start it or give it back, which takes a few instructions.
    ///
    /// Once this has returned, no work starts. All accepted work has then either started or
    /// been returned, never both. Work of one [key](Work::keyed) is returned in its order. The
    /// [`Reply`](crate::Reply) of returned work resolves when the work is run or dropped.
    /// Running work continues, and [`join`](Troupe::join) waits for it. A second call returns an
    /// empty vector. This may be called anywhere, even in work.
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
    /// Never blocks. Long-running work can check this on a [`Handle`] and stop early.
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

    /// Waits until the troupe has ended.
    ///
    /// Blocks until the troupe has been shut down, all accepted work has finished, every
    /// closure, every capture, the error handler and the hooks have been dropped, and the
    /// threads are gone.
    ///
    /// Any number of threads may call this, before or after the shutdown, and repeatedly.
    /// It holds no lock that a shutdown needs.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    /// threads.
    ///
    /// # Panics
    ///
    /// Does not panic.
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

    /// Waits until the troupe has ended, for at most `timeout`.
    ///
    /// Blocks as [`join`](Troupe::join) does. The timeout bounds the wait for work and for
    /// the handler. After that the threads still have to exit.
    /// [`on_stop`](crate::Builder::on_stop) and destructors of thread-local variables may add
    /// to the time. A timeout that overflows the clock waits for ever.
    ///
    /// # Errors
    ///
    /// - [`Timeout`](JoinError::Timeout) if the time was up first. This changes
    ///   nothing, and the troupe can be joined again.
    /// - [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    ///   threads.
    ///
    /// # Panics
    ///
    /// Does not panic.
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

    /// Waits until the troupe is idle, without shutting it down.
    ///
    /// Blocks until there has been an instant, later than the call, at which no work was
    /// running, waiting in a mailbox or in line, or on its way to an actor. At that instant
    /// every capture of finished work had been dropped, every error handler call had returned,
    /// and every [`Reply`](crate::Reply) to finished work had resolved.
    /// One call therefore covers work that is assigned by other work, and retries. If the
    /// troupe is already idle, this returns immediately.
    ///
    /// When this returns, every actor that has not been given work since that instant counts
    /// as idle. Waiting does not slow down assigning.
    ///
    /// Other threads may continue to assign, so the troupe may be busy again when this
    /// returns. A steady trickle of work does not hold up the call if the troupe is idle in
    /// between, however briefly. If the troupe is fed without a pause, or if some work never
    /// ends, there may be no such instant. [`wait_idle_timeout`](Troupe::wait_idle_timeout)
    /// bounds the wait. To wait for part of the work, see
    /// [Waiting for some of the work](crate::guide::waiting) in the guide.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    /// threads.
    ///
    /// # Panics
    ///
    /// Does not panic.
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
    /// Blocks as [`wait_idle`](Troupe::wait_idle) does. With a zero timeout it succeeds only
    /// if the troupe is idle at the time of the call. A timeout that overflows the clock
    /// waits for ever.
    ///
    /// # Errors
    ///
    /// - [`Timeout`](JoinError::Timeout) if the time was up first.
    /// - [`WouldDeadlock`](JoinError::WouldDeadlock) on one of the troupe's own
    ///   threads.
    ///
    /// # Panics
    ///
    /// Does not panic.
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

    /// Returns a snapshot of what the troupe has done and is doing.
    ///
    /// Takes a lock briefly. The time is proportional to the number of actors.
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

    /// Returns a snapshot of each actor, in the order of their numbers.
    ///
    /// Takes a lock briefly. The time is proportional to the number of actors.
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

    /// Returns a handle, for code that uses the troupe without owning it.
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

    /// Returns a copy of the settings that the troupe was built with.
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

// No user code runs under a lock of the troupe, so a panic in user code leaves
// nothing half changed.
impl<E> UnwindSafe for Troupe<E> {}
impl<E> RefUnwindSafe for Troupe<E> {}

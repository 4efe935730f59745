//! `Actor`, a troupe of a single actor.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::assign;
use crate::builder::start;
use crate::config::Config;
use crate::context::{Context, ErrorHandler};
use crate::error::{AcceptError, AssignError, BuildError, JoinError};
use crate::failure::Failure;
use crate::pool::{Hooks, OnFailure, Pool, Slot};
use crate::shutdown;
use crate::stats::ActorStats;
use crate::sync::{Arc, Duration, Instant};
use crate::work::{BoxError, Work};

/// The settings of an [`Actor`].
///
/// The setters consume the settings and return them changed. No setter blocks, fails or
/// panics: [`Actor::new`] checks the settings.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Actor, ActorConfig, Failure};
///
/// let config = ActorConfig::default()
///     .mailbox_size(100)
///     .thread_name("journal")
///     .error_handler(|failure: Failure| eprintln!("{failure}"));
/// let actor = Actor::new(config)?;
/// # actor.shutdown();
/// # actor.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[must_use = "a config does nothing until an actor is made from it"]
pub struct ActorConfig<E = BoxError> {
    config: Config,
    on_failure: Option<Arc<dyn OnFailure<E>>>,
}

impl<E> Default for ActorConfig<E> {
    /// Returns settings with 16 places in the mailbox, the thread name `actor`, the
    /// stack size of std, and no error handler.
    fn default() -> Self {
        Self {
            config: Config::fixed(1).thread_name("actor"),
            on_failure: None,
        }
    }
}

impl<E> ActorConfig<E> {
    /// Sets the number of places in the mailbox. The default is 16. See
    /// [`Config::mailbox_size`].
    ///
    /// # Examples
    ///
    /// ```
    /// let config = troupe_pool::ActorConfig::<String>::default().mailbox_size(0);
    /// ```
    pub fn mailbox_size(self, mailbox_size: usize) -> Self {
        Self {
            config: self.config.mailbox_size(mailbox_size),
            ..self
        }
    }

    /// Sets the prefix of the thread's name, before `-0`. The default is `actor`.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = troupe_pool::ActorConfig::<String>::default().thread_name("journal");
    /// ```
    pub fn thread_name(self, thread_name: impl Into<String>) -> Self {
        Self {
            config: self.config.thread_name(thread_name),
            ..self
        }
    }

    /// Sets the stack size of the thread, in bytes. The default is that of std.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = troupe_pool::ActorConfig::<String>::default().stack_size(1 << 20);
    /// ```
    pub fn stack_size(self, stack_size: usize) -> Self {
        Self {
            config: self.config.stack_size(stack_size),
            ..self
        }
    }
}

impl<E: Send + 'static> ActorConfig<E> {
    /// Sets the error handler, which runs on the actor's thread.
    ///
    /// Does not block. The handler receives every error that work returns, every panic of work,
    /// and work that has expired. A failure that a caller waits for goes to its
    /// [`Reply`](crate::Reply) instead. Without a handler, failures are only counted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig, Failure};
    /// let (report, reports) = std::sync::mpsc::channel();
    /// let config = ActorConfig::default().error_handler(move |failure: Failure| {
    ///     let _ = report.send(failure.to_string());
    /// });
    /// let actor = Actor::new(config)?;
    /// actor.accept(|| Err("no".into()))?;
    /// assert_eq!(reports.recv()?, "no");
    /// # actor.shutdown();
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn error_handler<F>(self, handler: F) -> Self
    where
        F: Fn(Failure<E>) + Send + Sync + 'static,
    {
        let handler = ErrorHandler(move |failure: Failure<E>, _: &Context<'_, E>| handler(failure));
        Self {
            on_failure: Some(Arc::new(handler)),
            ..self
        }
    }
}

impl<E> fmt::Debug for ActorConfig<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, on_failure } = self;
        f.debug_struct("ActorConfig")
            .field("mailbox_size", &config.mailbox_size)
            .field("thread_name", &config.thread_name)
            .field("stack_size", &config.stack_size)
            .field("error_handler", &on_failure.as_ref().map(|_| "Fn(..)"))
            .finish()
    }
}

/// One thread with one bounded mailbox. Work runs one piece at a time, in the order of
/// acceptance.
///
/// An actor is a Fixed [`Troupe`](crate::Troupe) with a `max` of 1, with an interface for
/// a single actor. Dropping it is [`shutdown`](Actor::shutdown), and never blocks.
///
/// The memory of the mailbox, 24 bytes for each place, is freed once the `Actor` has
/// been dropped and its thread is gone.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Actor, ActorConfig};
///
/// let (say, said) = std::sync::mpsc::channel();
/// let actor: Actor = Actor::new(ActorConfig::default())?;
/// for n in 0..3 {
///     let say = say.clone();
///     actor.accept(move || Ok(say.send(n)?))?;
/// }
/// actor.shutdown();
/// actor.join()?;
/// assert_eq!(said.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[must_use = "an actor that is dropped is shut down"]
pub struct Actor<E = BoxError> {
    pool: Arc<Pool<E>>,
}

impl<E: Send + 'static> Actor<E> {
    /// Starts an actor.
    ///
    /// Blocks until its thread is ready.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](BuildError::Invalid) if a setting is out of its range.
    /// - [`Spawn`](BuildError::Spawn) if the system refuses to start the thread.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Actor, ActorConfig};
    ///
    /// let error = Actor::<String>::new(ActorConfig::default().thread_name("")).unwrap_err();
    /// assert_eq!(error.to_string(), "invalid thread_name \"\": it must not be empty");
    /// ```
    pub fn new(config: ActorConfig<E>) -> Result<Self, BuildError> {
        let ActorConfig { config, on_failure } = config;
        start(config, on_failure, Hooks::default()).map(|pool| Self { pool })
    }

    /// Accepts work.
    ///
    /// Never blocks. The work runs after everything that was accepted before it.
    ///
    /// # Errors
    ///
    /// The error contains the work, which has not been run.
    ///
    /// - [`Full`](AcceptError::Full) if the actor is busy and its mailbox is full.
    /// - [`ShuttingDown`](AcceptError::ShuttingDown) after a shutdown.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// let actor: Actor = Actor::new(ActorConfig::default())?;
    /// actor.accept(|| Ok(()))?;
    /// # actor.shutdown();
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn accept(&self, work: impl Into<Work<E>>) -> Result<(), AcceptError<E>> {
        assign::assign(&self.pool, work.into(), Some(Duration::ZERO)).map_err(|refused| {
            match refused {
                AssignError::ShuttingDown(work) => AcceptError::ShuttingDown(work),
                // A fixed troupe does not grow, and this call does not wait.
                AssignError::Full(work)
                | AssignError::Spawn { work, source: _ }
                | AssignError::WouldDeadlock(work) => AcceptError::Full(work),
            }
        })
    }
}

impl<E> Actor<E> {
    /// Returns `true` while the actor runs work.
    ///
    /// Takes a lock briefly. Work that was accepted a moment ago may not have started yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// let actor = Actor::<String>::new(ActorConfig::default())?;
    /// assert!(!actor.is_busy());
    /// # actor.shutdown();
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.stats().is_some_and(|stats| stats.is_busy)
    }

    /// Returns `true` once the actor has been shut down.
    ///
    /// Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// let actor = Actor::<String>::new(ActorConfig::default())?;
    /// assert!(!actor.is_shutdown());
    /// # actor.shutdown();
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.pool.counts.load().is_shutting_down()
    }

    /// Returns the time at which the actor last started work.
    ///
    /// Takes a lock briefly. [`ActorStats::last_accepted`](crate::ActorStats) says how exact
    /// the time is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// let actor = Actor::<String>::new(ActorConfig::default())?;
    /// assert_eq!(actor.last_accepted(), None);
    /// # actor.shutdown();
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn last_accepted(&self) -> Option<Instant> {
        self.stats().and_then(|stats| stats.last_accepted)
    }

    /// Returns the time at which the actor last finished work.
    ///
    /// Takes a lock briefly. [`ActorStats::last_finished`](crate::ActorStats) says how exact
    /// the time is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// let actor: Actor = Actor::new(ActorConfig::default())?;
    /// actor.accept(|| Ok(()))?;
    /// actor.shutdown();
    /// actor.join()?;
    /// assert!(actor.last_finished().is_some());
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn last_finished(&self) -> Option<Instant> {
        self.stats().and_then(|stats| stats.last_finished)
    }

    fn stats(&self) -> Option<ActorStats> {
        self.slot().map(|slot| self.pool.actor_stats(0, slot))
    }

    fn slot(&self) -> Option<&Slot<E>> {
        self.pool.slot(0)
    }

    /// Stops accepting work. Returns `true` if this call began the shutdown.
    ///
    /// Never blocks. Everything accepted before is still run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// let actor: Actor = Actor::new(ActorConfig::default())?;
    /// assert!(actor.shutdown());
    /// assert!(actor.accept(|| Ok(())).unwrap_err().is_shutting_down());
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers only want it to happen"
    )]
    pub fn shutdown(&self) -> bool {
        shutdown::shutdown(&self.pool)
    }

    /// Waits until the actor has ended.
    ///
    /// Blocks until the actor has been shut down, all accepted work has finished, and its
    /// thread is gone. See [`Troupe::join`](crate::Troupe::join).
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](JoinError::WouldDeadlock) on the actor's own thread.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// See [`Actor`].
    pub fn join(&self) -> Result<(), JoinError> {
        shutdown::join(&self.pool, None)
    }

    /// Waits until the actor has ended, for at most `timeout`.
    ///
    /// Blocks as [`join`](Actor::join) does. See
    /// [`Troupe::join_timeout`](crate::Troupe::join_timeout).
    ///
    /// # Errors
    ///
    /// - [`Timeout`](JoinError::Timeout) if the time was up first.
    /// - [`WouldDeadlock`](JoinError::WouldDeadlock) on the actor's own thread.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use troupe_pool::{Actor, ActorConfig, JoinError};
    /// let actor = Actor::<String>::new(ActorConfig::default())?;
    /// assert_eq!(actor.join_timeout(Duration::ZERO), Err(JoinError::Timeout));
    /// actor.shutdown();
    /// actor.join_timeout(Duration::from_secs(60))?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        shutdown::join(&self.pool, Instant::now().checked_add(timeout))
    }
}

impl<E> Drop for Actor<E> {
    fn drop(&mut self) {
        shutdown::shutdown(&self.pool);
    }
}

impl<E> fmt::Debug for Actor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool } = self;
        f.debug_struct("Actor")
            .field("thread_name", &pool.config.thread_name)
            .field("mailbox_size", &pool.config.mailbox_size)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

// No user code runs under a lock of the actor, so a panic in user code leaves
// nothing half changed.
impl<E> UnwindSafe for Actor<E> {}
impl<E> RefUnwindSafe for Actor<E> {}

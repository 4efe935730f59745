//! Building a troupe: settings, the error handler, and the first actors.

use std::fmt;

use crate::assign;
use crate::config::Config;
use crate::context::{Context, ErrorHandler};
use crate::error::BuildError;
use crate::events::report_panic;
use crate::failure::Failure;
use crate::pool::{Hooks, OnFailure, Pool};
use crate::shutdown;
use crate::sync::Arc;
use crate::sync::unwind::drop_contained;
use crate::troupe::Troupe;
use crate::work::BoxError;

/// Builds a [`Troupe`] from a [`Config`] and an error handler.
///
/// Returned by [`Troupe::builder`].
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Failure, Troupe};
///
/// #[derive(Debug)]
/// struct Failed(u32);
///
/// let troupe = Troupe::builder(Config::dynamic(0, 8))
///     .error_handler(|failure: Failure<Failed>, context| match failure {
///         Failure::Error(Failed(code)) => eprintln!("actor {}: code {code}", context.actor_id()),
///         other => eprintln!("{other:?}"),
///     })
///     .build()?;
/// troupe.assign(|| Err(Failed(7))).expect("an empty troupe has room");
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<E = BoxError> {
    config: Config,
    on_failure: Option<Arc<dyn OnFailure<E>>>,
    hooks: Hooks,
}

impl<E: Send + 'static> Builder<E> {
    /// Sets the error handler.
    ///
    /// Does not block. The handler receives every error that work returns, every panic of work,
    /// and work that has expired. A failure that a caller waits for goes to its
    /// [`Reply`](crate::Reply) instead. Without a handler, failures are only counted. Setting it
    /// twice keeps the last.
    ///
    /// In a closure, write the type of the failure, as in `|failure: Failure, context| ..`.
    /// The compiler cannot infer it.
    ///
    /// The handler runs on the thread of the actor whose work failed, exactly once for each
    /// failure. It may run on several actors at once. It may assign, read stats and shut the
    /// troupe down. While it runs, its actor does nothing else. A panic of the handler is
    /// contained and counted.
    ///
    /// The last actor to exit drops the handler, before [`join`](Troupe::join) returns. If
    /// there is no actor, the call that ends the troupe drops it, such as
    /// [`shutdown`](Troupe::shutdown) or the drop of the troupe. That call then takes as
    /// long as the drop of the handler does.
    ///
    /// # Examples
    ///
    /// See [`Builder`], [`Failure`] and [`Context`].
    pub fn error_handler<F>(self, handler: F) -> Self
    where
        F: Fn(Failure<E>, &Context<'_, E>) + Send + Sync + 'static,
    {
        Self {
            on_failure: Some(Arc::new(ErrorHandler(handler))),
            ..self
        }
    }

    /// Sets the hook that the thread of each actor runs first. It receives the number of the
    /// actor.
    ///
    /// Does not block. The hook runs once on each thread, before the first work of its actor.
    /// [`build`](Builder::build) waits for the hooks of the initial actors. Later, only the work
    /// that the actor was started for waits for the hook. Until the hook returns, the actor is
    /// neither idle nor running work.
    ///
    /// A hook may assign. A panic in it is contained and counted in
    /// [`handler_panics`](crate::Stats::handler_panics). Hooks are dropped before
    /// [`join`](Troupe::join) returns. Setting a hook twice keeps the last.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use troupe_pool::{Config, Troupe};
    ///
    /// let (start, starts) = mpsc::channel();
    /// let (stop, stops) = mpsc::channel();
    /// let troupe: Troupe = Troupe::builder(Config::fixed(2))
    ///     .on_start(move |id| drop(start.send(id)))
    ///     .on_stop(move |id| drop(stop.send(id)))
    ///     .build()?;
    /// assert_eq!(starts.try_iter().sum::<usize>(), 0 + 1);
    /// troupe.shutdown();
    /// troupe.join()?;
    /// assert_eq!(stops.iter().count(), 2);
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn on_start<F>(mut self, hook: F) -> Self
    where
        F: Fn(usize) + Send + Sync + 'static,
    {
        self.hooks.on_start = Some(Box::new(hook));
        self
    }

    /// Sets the hook that the thread of each actor runs last. It receives the number of the
    /// actor.
    ///
    /// Does not block. The hook runs once on each thread, even if the thread has run no work.
    /// The actor has left the troupe by then, and another may have its number already. Only
    /// [`join`](Troupe::join) waits for the hook. The other rules are those of
    /// [`on_start`](Builder::on_start).
    ///
    /// # Examples
    ///
    /// See [`on_start`](Builder::on_start).
    pub fn on_stop<F>(mut self, hook: F) -> Self
    where
        F: Fn(usize) + Send + Sync + 'static,
    {
        self.hooks.on_stop = Some(Box::new(hook));
        self
    }

    /// Builds the troupe.
    ///
    /// Blocks until the initial actors have started, have run their
    /// [`on_start`](Builder::on_start) hooks, and are idle. The settings are checked first.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](BuildError::Invalid) if a setting is out of its range.
    /// - [`Spawn`](BuildError::Spawn) if the system refuses to start a thread. The threads
    ///   started before have been stopped when this returns.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{BuildError, Config, Troupe};
    ///
    /// let error = Troupe::<String>::builder(Config::dynamic(5, 4)).build().unwrap_err();
    /// assert_eq!(error.to_string(), "invalid min 5: it must be at most max");
    /// ```
    pub fn build(self) -> Result<Troupe<E>, BuildError> {
        let Self {
            config,
            on_failure,
            hooks,
        } = self;
        start(config, on_failure, hooks).map(Troupe::from_pool)
    }
}

/// Starts a pool with its initial actors. If that fails, nothing is left behind.
pub(crate) fn start<E: Send + 'static>(
    config: Config,
    on_failure: Option<Arc<dyn OnFailure<E>>>,
    hooks: Hooks,
) -> Result<Arc<Pool<E>>, BuildError> {
    if let Err(invalid) = config.validate() {
        // A panic of this drop is contained, as at the end of a troupe, so the caller gets the
        // error.
        report_panic(drop_contained(on_failure));
        report_panic(drop_contained(hooks));
        return Err(invalid);
    }
    let first = config.to_begin_with();
    let pool = Arc::new(Pool::new(config, on_failure, hooks));
    for _ in 0..first {
        if let Err((thread, source)) = assign::grow_initial(&pool) {
            shutdown::shutdown(&pool);
            // This thread is not one of the troupe's, and the join has no timeout.
            let joined = shutdown::join(&pool, None);
            debug_assert!(joined.is_ok(), "nobody but an actor deadlocks");
            return Err(BuildError::Spawn { thread, source });
        }
    }
    let at_rest = shutdown::wait_idle(&pool, None);
    debug_assert!(at_rest.is_ok(), "nobody but an actor deadlocks");
    Ok(pool)
}

impl<E: Send + 'static> Troupe<E> {
    /// Returns a builder, which can set an error handler and an error type.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe};
    ///
    /// let troupe = Troupe::<std::io::Error>::builder(Config::fixed(2)).build()?;
    /// troupe.assign(|| std::fs::metadata(".").map(drop)).map_err(|_| "refused")?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn builder(config: Config) -> Builder<E> {
        Builder {
            config,
            on_failure: None,
            hooks: Hooks::default(),
        }
    }
}

impl Troupe {
    /// Builds a troupe whose work returns a [`BoxError`], without an error handler.
    /// Failures are only counted.
    ///
    /// Blocks until the initial actors have started and are idle.
    ///
    /// # Errors
    ///
    /// The same as [`Builder::build`].
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
    /// let troupe = Troupe::new(Config::default())?;
    /// troupe.assign(|| Ok(()))?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, BuildError> {
        Self::builder(config).build()
    }
}

impl<E> fmt::Debug for Builder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            config,
            on_failure,
            hooks,
        } = self;
        f.debug_struct("Builder")
            .field("config", config)
            .field("error_handler", &on_failure.as_ref().map(|_| "Fn(..)"))
            .field("on_start", &hooks.on_start.as_ref().map(|_| "Fn(..)"))
            .field("on_stop", &hooks.on_stop.as_ref().map(|_| "Fn(..)"))
            .finish()
    }
}

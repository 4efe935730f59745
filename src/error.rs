//! The errors, one type for each kind of operation. A refusal gives the work back.

use std::fmt;
use std::io;

use crate::work::{BoxError, Work};

/// The error of an assign that was refused.
///
/// It contains the work, which has not been run.
///
/// # Examples
///
/// ```
/// use troupe_pool::{AssignError, Config, Troupe};
///
/// let troupe = Troupe::new(Config::fixed(1))?;
/// troupe.shutdown();
/// match troupe.assign(|| Ok(())) {
///     Err(AssignError::ShuttingDown(work)) => work.run()?,
///     other => panic!("{other:?}"),
/// }
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AssignError<E = BoxError> {
    /// No actor was idle, no mailbox had room, and the troupe could not grow. For work with a
    /// [key](Work::keyed), it can also mean that the key was taken, and every place in line too.
    ///
    /// The message does not name the troupe. A program with several troupes should add the
    /// name when it logs the error.
    #[error("the troupe is full")]
    Full(Work<E>),
    /// The troupe has been shut down.
    #[error("the troupe is shutting down")]
    ShuttingDown(Work<E>),
    /// The troupe has no actor, and the system refused it a thread.
    #[error("the troupe has no actor, and the system refused it a thread")]
    Spawn {
        /// The work, which has not been run.
        work: Work<E>,
        /// The error that the system returned.
        source: io::Error,
    },
    /// The call would have had to wait for room on one of the troupe's own threads, and
    /// might have waited for itself.
    #[error("waiting for room on one of the troupe's own threads would deadlock")]
    WouldDeadlock(Work<E>),
}

impl<E> AssignError<E> {
    /// The same error, of what `change` makes of the work.
    pub(crate) fn map_work(self, change: impl FnOnce(Work<E>) -> Work<E>) -> Self {
        match self {
            Self::Full(work) => Self::Full(change(work)),
            Self::ShuttingDown(work) => Self::ShuttingDown(change(work)),
            Self::Spawn { work, source } => Self::Spawn {
                work: change(work),
                source,
            },
            Self::WouldDeadlock(work) => Self::WouldDeadlock(change(work)),
        }
    }

    /// Returns the work that was refused.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// # let troupe = Troupe::new(Config::fixed(1))?;
    /// # troupe.shutdown();
    /// let refused = troupe.assign(|| Ok(())).unwrap_err();
    /// refused.into_work().run()?;
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn into_work(self) -> Work<E> {
        match self {
            Self::Full(work)
            | Self::ShuttingDown(work)
            | Self::Spawn { work, source: _ }
            | Self::WouldDeadlock(work) => work,
        }
    }

    /// Returns `true` if the error is [`Full`](Self::Full). Another attempt may succeed
    /// later.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// # let troupe = Troupe::new(Config::fixed(1))?;
    /// # troupe.shutdown();
    /// let refused = troupe.assign(|| Ok(())).unwrap_err();
    /// assert!(!refused.is_full());
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns `true` if the error is [`ShuttingDown`](Self::ShuttingDown). No later
    /// attempt can succeed.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Config, Troupe};
    /// # let troupe = Troupe::new(Config::fixed(1))?;
    /// # troupe.shutdown();
    /// let refused = troupe.assign(|| Ok(())).unwrap_err();
    /// assert!(refused.is_shutting_down());
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        matches!(self, Self::ShuttingDown(_))
    }
}

impl<E> fmt::Debug for AssignError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(work) => f.debug_tuple("Full").field(work).finish(),
            Self::ShuttingDown(work) => f.debug_tuple("ShuttingDown").field(work).finish(),
            Self::Spawn { work, source } => f
                .debug_struct("Spawn")
                .field("work", work)
                .field("source", source)
                .finish(),
            Self::WouldDeadlock(work) => f.debug_tuple("WouldDeadlock").field(work).finish(),
        }
    }
}

/// The error of an [`Actor`](crate::Actor) that did not accept work.
///
/// It contains the work, which has not been run.
///
/// # Examples
///
/// ```
/// use troupe_pool::{AcceptError, Actor, ActorConfig};
///
/// let actor: Actor = Actor::new(ActorConfig::default())?;
/// actor.shutdown();
/// match actor.accept(|| Ok(())) {
///     Err(AcceptError::ShuttingDown(work)) => work.run()?,
///     other => panic!("{other:?}"),
/// }
/// # actor.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError<E = BoxError> {
    /// The actor is busy and its mailbox is full.
    #[error("the actor's mailbox is full")]
    Full(Work<E>),
    /// The actor has been shut down.
    #[error("the actor is shutting down")]
    ShuttingDown(Work<E>),
}

impl<E> AcceptError<E> {
    /// Returns the work that was refused.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// # let actor: Actor = Actor::new(ActorConfig::default())?;
    /// # actor.shutdown();
    /// let refused = actor.accept(|| Ok(())).unwrap_err();
    /// refused.into_work().run()?;
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn into_work(self) -> Work<E> {
        match self {
            Self::Full(work) | Self::ShuttingDown(work) => work,
        }
    }

    /// Returns `true` if the error is [`Full`](Self::Full). Another attempt may succeed
    /// later.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// # let actor: Actor = Actor::new(ActorConfig::default())?;
    /// # actor.shutdown();
    /// assert!(!actor.accept(|| Ok(())).unwrap_err().is_full());
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns `true` if the error is [`ShuttingDown`](Self::ShuttingDown). No later
    /// attempt can succeed.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use troupe_pool::{Actor, ActorConfig};
    /// # let actor: Actor = Actor::new(ActorConfig::default())?;
    /// # actor.shutdown();
    /// assert!(actor.accept(|| Ok(())).unwrap_err().is_shutting_down());
    /// # actor.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        matches!(self, Self::ShuttingDown(_))
    }
}

impl<E> fmt::Debug for AcceptError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(work) => f.debug_tuple("Full").field(work).finish(),
            Self::ShuttingDown(work) => f.debug_tuple("ShuttingDown").field(work).finish(),
        }
    }
}

/// The error of a troupe or an actor that could not be built.
///
/// Nothing of the troupe or the actor is left when this is returned.
///
/// # Examples
///
/// ```
/// use troupe_pool::{BuildError, Config, Troupe};
///
/// let error = Troupe::new(Config::fixed(0)).unwrap_err();
/// assert!(matches!(&error, BuildError::Invalid { setting: "max", value, .. } if value == "0"));
/// assert_eq!(error.to_string(), "invalid max 0: it must be from 1 to 32000");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is out of its range.
    #[error("invalid {setting} {value}: {reason}")]
    Invalid {
        /// The name of the setting, as in [`Config`](crate::Config).
        setting: &'static str,
        /// The value that was refused.
        value: String,
        /// The rule that the value breaks.
        reason: &'static str,
    },
    /// The system refused to start a thread. The threads started before have been stopped.
    #[error("the system refused the thread {thread}")]
    Spawn {
        /// The name of the thread.
        thread: String,
        /// The error that the system returned.
        source: io::Error,
    },
}

/// The error of a `join` or a `wait_idle` that returned early.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use troupe_pool::{Config, JoinError, Troupe};
///
/// let troupe = Troupe::new(Config::fixed(1))?;
/// // The troupe has not been shut down yet.
/// assert_eq!(troupe.join_timeout(Duration::ZERO), Err(JoinError::Timeout));
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The time was up before the troupe had ended or become idle.
    #[error("timed out waiting for the troupe to end or become idle")]
    Timeout,
    /// The call came from one of the troupe's own threads, and would have waited for
    /// itself.
    #[error("waiting for the troupe on one of its own threads would deadlock")]
    WouldDeadlock,
}

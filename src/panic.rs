//! `Panic`, a caught panic.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use crate::sync::SyncWrapper;
use crate::sync::unwind::message_of;

/// A caught panic.
///
/// A `Panic` carries nothing of its work, whose captures have been dropped by then.
/// [`Context::label`](crate::Context::label) says which work it was.
///
/// # Examples
///
/// A caller that waits for an answer receives the panic from the [`Reply`](crate::Reply):
///
/// ```
/// use troupe_pool::{Config, ReplyError, Troupe, Work};
///
/// let troupe = Troupe::new(Config::fixed(1))?;
/// let (work, reply) = Work::with_reply(|| Ok("six".parse::<u32>().expect("a number")));
/// troupe.assign(work)?;
/// match reply.wait() {
///     Err(ReplyError::Panic(panic)) => {
///         assert!(panic.message().is_some_and(|message| message.starts_with("a number: ")));
///     }
///     other => panic!("{other:?}"),
/// }
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
pub struct Panic {
    message: Option<Cow<'static, str>>,
    // It is never locked. It only makes the payload `Sync`.
    payload: SyncWrapper<Box<dyn Any + Send>>,
}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self {
            message: message_of(&*payload),
            payload: SyncWrapper::new(payload),
        }
    }

    /// Returns the message of the panic, if it has one, as a panic from `panic!` does.
    ///
    /// Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Failure, Troupe};
    ///
    /// let (report, reports) = std::sync::mpsc::channel();
    /// let troupe = Troupe::builder(Config::fixed(1))
    ///     .error_handler(move |failure: Failure, _context| {
    ///         if let Failure::Panic(panic) = failure {
    ///             let _ = report.send(panic.message().map(str::to_owned));
    ///         }
    ///     })
    ///     .build()?;
    /// troupe.assign(|| panic!("out of tea"))?;
    /// assert_eq!(reports.recv()?.as_deref(), Some("out of tea"));
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the payload, as [`std::panic::catch_unwind`] does.
    ///
    /// Does not block. Pass the payload to [`std::panic::resume_unwind`] to continue the
    /// panic elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Failure, Troupe};
    ///
    /// let (report, reports) = std::sync::mpsc::channel();
    /// let troupe = Troupe::builder(Config::fixed(1))
    ///     .error_handler(move |failure: Failure, _context| {
    ///         if let Failure::Panic(panic) = failure {
    ///             let _ = report.send(panic.into_payload());
    ///         }
    ///     })
    ///     .build()?;
    /// troupe.assign(|| std::panic::panic_any(42_u8))?;
    /// assert_eq!(reports.recv()?.downcast_ref::<u8>(), Some(&42));
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.into_inner()
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            payload: _,
        } = self;
        f.debug_struct("Panic")
            .field("message", message)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "panicked: {message}"),
            None => f.write_str("panicked"),
        }
    }
}

impl std::error::Error for Panic {}

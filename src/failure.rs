//! What an error handler is told: a work returned an error, or panicked.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use crate::sync::SyncWrapper;
use crate::work::BoxError;

/// How a work failed.
///
/// The error handler gets it by value, so the error may carry whatever the
/// handler needs to act: a reply channel, the request to be tried again, a
/// lease.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Failure, Troupe};
///
/// let (report, reports) = std::sync::mpsc::channel();
/// let troupe = Troupe::builder(Config::fixed(1))
///     .error_handler(move |failure: Failure, _context| {
///         let _ = report.send(failure.to_string());
///     })
///     .build()?;
/// troupe.assign(|| Err("no such host".into()))?;
/// assert_eq!(reports.recv()?, "no such host");
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E = BoxError> {
    /// The work returned this error.
    Error(E),
    /// The work, or the drop of what it captured, panicked.
    Panic(Panic),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(panic) => panic.fmt(f),
        }
    }
}

/// A caught panic.
///
/// It does not know its work. A work whose answer somebody waits for captures
/// a guard whose drop answers, on every path:
///
/// ```
/// use std::sync::mpsc;
/// use troupe_pool::{Config, Troupe};
///
/// /// Answers when it is dropped, also while a panic unwinds.
/// struct Reply {
///     answer: Option<u32>,
///     to: mpsc::Sender<Option<u32>>,
/// }
///
/// impl Drop for Reply {
///     fn drop(&mut self) {
///         let _ = self.to.send(self.answer);
///     }
/// }
///
/// let (to, answers) = mpsc::channel();
/// let troupe = Troupe::new(Config::fixed(1))?;
/// let reply = Reply { answer: None, to };
/// troupe.assign(move || {
///     let mut reply = reply;
///     reply.answer = Some("six".parse::<u32>().expect("a number"));
///     Ok(())
/// })?;
/// assert_eq!(answers.recv()?, None); // it panicked
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
pub struct Panic {
    message: Option<Cow<'static, str>>,
    // Never locked: it makes the payload `Sync`.
    payload: SyncWrapper<Box<dyn Any + Send>>,
}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = if let Some(message) = payload.downcast_ref::<&'static str>() {
            Some(Cow::Borrowed(*message))
        } else {
            payload
                .downcast_ref::<String>()
                .map(|message| Cow::Owned(message.clone()))
        };
        Self {
            message,
            payload: SyncWrapper::new(payload),
        }
    }

    /// The message, if the panic was made with one, as `panic!` does.
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

    /// The payload, as from [`std::panic::catch_unwind`].
    ///
    /// Does not block. Give it to [`std::panic::resume_unwind`] to let the
    /// panic go on elsewhere.
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

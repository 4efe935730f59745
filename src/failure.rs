//! `Failure`, which the error handler receives when work returns an error, panics or expires.

use std::fmt;

use crate::panic::Panic;
use crate::work::{BoxError, Work};

/// An error or a panic of work, or work that has expired.
///
/// The error handler receives it by value. The error can therefore carry what the handler
/// needs, such as a reply channel, the request to retry, or a lease.
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
    /// The work panicked, or the drop of something that it captured did.
    Panic(Panic),
    /// The deadline of the work had passed when it would have started. The work has not been
    /// run, and no longer has a deadline, so [`reassign`](crate::Context::reassign) can run it
    /// after all.
    Expired(Work<E>),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(panic) => panic.fmt(f),
            Self::Expired(_) => f.write_str("the deadline had passed before the work started"),
        }
    }
}

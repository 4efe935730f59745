//! `Work`, the boxed closure that a troupe runs, and `Envelope`, a work on its way through the
//! troupe.

use std::fmt;

use crate::sync::{SyncWrapper, thread_number};

/// The default error type of work: any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The data that a troupe keeps with a work on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// The number of the thread that assigns the work. A thread assigns one work at
    /// a time, so this number identifies the work while its assign has not returned.
    pub(crate) sender: u32,
    /// The mark of the fill cursor's visit when a sender last tried to put the work into
    /// the mailbox that was being drained. Zero if no sender has tried that.
    pub(crate) visit: u32,
}

/// The largest size, in bytes, of a closure that shares a box with its header. Such a closure is
/// moved to the stack to be run, and an actor's stack may be small. A closure in a box by itself
/// is run in place.
const IN_PLACE: usize = 512;

/// A closure in one box with its header.
struct Boxed<F> {
    header: Header,
    code: F,
}

/// The operations on a box, independent of the closure's type.
trait ErasedWork<E> {
    fn run(self: Box<Self>) -> Result<(), E>;
    fn header(&mut self) -> &mut Header;
}

impl<F, E> ErasedWork<E> for Boxed<F>
where
    F: FnOnce() -> Result<(), E>,
{
    fn run(self: Box<Self>) -> Result<(), E> {
        (self.code)()
    }

    fn header(&mut self) -> &mut Header {
        &mut self.header
    }
}

/// A work on its way through the troupe. It is two words, which travel in registers. The header
/// is in the box, so the mailboxes stay small and nothing is copied on the way.
pub(crate) struct Envelope<E>(Box<dyn ErasedWork<E> + Send>);

impl<E> Envelope<E> {
    /// Returns the work as users see it. `sender` is the sender in its header, or zero if the
    /// caller does not know it.
    #[inline]
    pub(crate) fn into_work(self, sender: u32) -> Work<E> {
        Work {
            envelope: SyncWrapper::new(self),
            sender,
        }
    }

    #[inline]
    pub(crate) fn run(self) -> Result<(), E> {
        self.0.run()
    }

    pub(crate) fn header(&mut self) -> &mut Header {
        self.0.header()
    }
}

/// A piece of work: a boxed `FnOnce() -> Result<(), E>`.
///
/// [`Troupe::assign`](crate::Troupe::assign) takes a closure and turns it into a `Work`.
/// An assign allocates nothing else. If it is refused, the error contains the `Work`,
/// which can be kept for later, [run by hand](Work::run), or assigned again without being
/// boxed a second time.
///
/// Everything that the closure captured is dropped exactly once: when the work has run or
/// panicked, or when the `Work` is dropped without having been run.
///
/// Assigned work runs on an actor's thread, and occupies that actor until the closure
/// returns. Work that never ends keeps its actor for ever. In a program that is built
/// with `panic = "abort"`, the first panic ends the process. The error travels by value,
/// through the stack of the actor. Box a large error: one of 512 KiB overflows the
/// default stack.
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
    // A bare box is not `Sync`, so an error that contains one could not be converted
    // to the usual boxed errors. The mutex is never locked.
    envelope: SyncWrapper<Envelope<E>>,
    /// The sender in the envelope's header, known without a look into the box. Zero, which is no
    /// thread's number, if it is not known.
    sender: u32,
}

impl<E> Work<E> {
    /// Creates a piece of work from a closure.
    ///
    /// Does not block and does not panic. Allocates once, or twice if the closure captures
    /// more than 512 bytes.
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
        // Most works are assigned by the thread that makes them.
        let sender = thread_number();
        let header = Header { sender, visit: 0 };
        let content: Box<dyn ErasedWork<E> + Send> = if size_of::<F>() <= IN_PLACE {
            Box::new(Boxed { header, code: work })
        } else {
            let code = Box::new(work);
            Box::new(Boxed { header, code })
        };
        Envelope(content).into_work(sender)
    }

    /// Returns the envelope of this work for an assign by the thread `sender`.
    #[inline]
    pub(crate) fn into_envelope(self, sender: u32) -> Envelope<E> {
        let mut envelope = self.envelope.into_inner();
        if self.sender != sender {
            *envelope.header() = Header { sender, visit: 0 };
        }
        envelope
    }

    /// Runs the work on the calling thread.
    ///
    /// Blocks until the closure returns. No troupe is involved: the error is returned to the
    /// caller, and no error handler sees it.
    ///
    /// # Errors
    ///
    /// Returns the error of the closure.
    ///
    /// # Panics
    ///
    /// If the closure panics, the panic unwinds to the caller.
    ///
    /// # Examples
    ///
    /// Caller-runs: a refused caller runs the work itself, which throttles it.
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
        self.envelope.into_inner().run()
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
        let Self {
            envelope: _,
            sender: _,
        } = self;
        f.write_str("Work(..)")
    }
}

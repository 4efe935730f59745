//! `Work`, the boxed closure that a troupe runs, and `Envelope`, a work on its way through the
//! troupe.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use crate::events::{WorkSpan, report_panic};
use crate::sync::unwind::Contained;
use crate::sync::{Arc, Instant, SyncWrapper, thread_number};

/// The default error type of work: any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The facts about a work on its way that a troupe needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    /// The number of the thread that assigns the work. A thread assigns one work at
    /// a time, so this number identifies the work while its assign has not returned.
    pub(crate) sender: u32,
    /// The mark of the fill cursor's visit when a sender last tried to put the work into
    /// the mailbox that was being drained. Zero if no sender has tried that.
    pub(crate) visit: u32,
}

/// The largest captures, in bytes, of a closure that is in one box with its header. To run
/// it there it is moved to the stack, which an actor may have little of; a
/// closure that is boxed by itself is run where it is.
pub(crate) const IN_PLACE: usize = 512;

/// The name of a work, for its failure.
pub(crate) type Label = Cow<'static, str>;

/// The options that a user has set for a work.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) deadline: Option<Instant>,
    pub(crate) key: Option<u64>,
    pub(crate) label: Option<Label>,
    pub(crate) span: WorkSpan,
}

/// How a work has ended, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed,
    Failed,
    Panicked,
    Expired,
    Cancelled,
}

/// An answer that may not be seen until its work has been counted.
pub(crate) trait Tell: Send + Sync {
    /// Shows the answer to its caller. Returns an error if the caller's waker has panicked.
    fn tell(&self) -> Result<(), Contained>;
}

/// The end of a work that has more to say than its result.
pub(crate) enum Verdict<E> {
    /// Its deadline had passed.
    Expired(Work<E>),
    /// It was cancelled before it started.
    Cancelled,
    /// It has ended in this way, and its caller is to be told.
    Answered(Ended, Arc<dyn Tell>),
}

/// All that a work tells the thread that runs it, besides its result. A plain closure tells
/// nothing.
pub(crate) struct Aside<E> {
    /// `true` if the work has told anything.
    is_set: bool,
    /// Whether a user runs the work by hand. Then a deadline does not count.
    pub(crate) by_hand: bool,
    pub(crate) label: Option<Label>,
    /// The span in which the work has run.
    pub(crate) span: WorkSpan,
    /// The key whose turn the work has.
    pub(crate) key: Option<u64>,
    pub(crate) verdict: Option<Verdict<E>>,
    /// An error if a drop that belongs to the work's end has panicked, or the subscriber.
    pub(crate) contained: Result<(), Contained>,
}

impl<E> Default for Aside<E> {
    fn default() -> Self {
        Self {
            is_set: false,
            by_hand: false,
            label: None,
            span: WorkSpan::default(),
            key: None,
            verdict: None,
            contained: Ok(()),
        }
    }
}

impl<E> Aside<E> {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.is_set
    }

    /// Returns what has been told, and forgets it.
    pub(crate) fn reset(&mut self) -> Self {
        std::mem::take(self)
    }

    /// The turn of this key goes on with a retry.
    pub(crate) fn hold(&mut self, key: Option<u64>) {
        self.is_set = key.is_some();
        self.key = key;
    }

    /// A work of this label begins in the turn of this key.
    pub(crate) fn begin(&mut self, label: Option<Label>, key: Option<u64>) {
        self.is_set = true;
        self.label = label;
        self.key = key.or(self.key);
    }

    pub(crate) fn expire(&mut self, work: Work<E>) {
        self.end(Verdict::Expired(work), Ok(()));
    }

    pub(crate) fn cancel(&mut self, contained: Result<(), Contained>) {
        self.end(Verdict::Cancelled, contained);
    }

    pub(crate) fn answer(
        &mut self,
        ended: Ended,
        caller: Arc<dyn Tell>,
        contained: Result<(), Contained>,
    ) {
        self.end(Verdict::Answered(ended, caller), contained);
    }

    fn end(&mut self, verdict: Verdict<E>, contained: Result<(), Contained>) {
        self.is_set = true;
        self.verdict = Some(verdict);
        self.note(contained);
    }

    /// Keeps the first panic that has been contained.
    pub(crate) fn note(&mut self, contained: Result<(), Contained>) {
        if contained.is_err() && self.contained.is_ok() {
            self.contained = contained;
        }
    }
}

/// A closure in one box with its header.
struct Boxed<F> {
    header: Header,
    code: F,
}

/// The operations on the box, whatever is in it.
pub(crate) trait ErasedWork<E>: Send {
    /// Runs the work, which tells `aside` all that its result does not say.
    fn run(self: Box<Self>, aside: &mut Aside<E>) -> Result<(), E>;

    /// Ends the work since its deadline has passed, if it can do that by itself. A work that
    /// nobody waits for comes back.
    fn expire(self: Box<Self>, aside: &mut Aside<E>) -> Result<(), Envelope<E>>;

    fn header(&mut self) -> &mut Header;

    /// Where the value of a work made by `Work::with` is: an `Option` of it.
    fn value(&mut self) -> Option<&mut dyn Any> {
        None
    }

    /// The options that have been set.
    fn options(&mut self) -> Option<&mut Options> {
        None
    }

    /// The options that have been set, to look at.
    fn peek(&self) -> Option<&Options> {
        None
    }

    /// Notes the troupe to which the work is assigned, for its reply.
    fn set_troupe(&mut self, _number: u64) {}
}

impl<F, E> ErasedWork<E> for Boxed<F>
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
{
    fn run(self: Box<Self>, _aside: &mut Aside<E>) -> Result<(), E> {
        (self.code)()
    }

    fn expire(self: Box<Self>, _aside: &mut Aside<E>) -> Result<(), Envelope<E>> {
        Err(Envelope(self))
    }

    fn header(&mut self) -> &mut Header {
        &mut self.header
    }
}

/// A value that is too large for one box with its work.
struct Large<T>(Box<T>);

/// A value and what is to be done with it, in one box with a header.
struct WithValue<T, F> {
    header: Header,
    /// There until the work starts or the value is taken back.
    value: Option<T>,
    code: F,
}

impl<T, F, E> ErasedWork<E> for WithValue<T, F>
where
    F: FnOnce(T) -> Result<(), E> + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Box<Self>, _aside: &mut Aside<E>) -> Result<(), E> {
        let Self { value, code, .. } = *self;
        // A work whose value has been taken back is dropped, not run.
        value.map_or(Ok(()), code)
    }

    fn expire(self: Box<Self>, _aside: &mut Aside<E>) -> Result<(), Envelope<E>> {
        Err(Envelope(self))
    }

    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn value(&mut self) -> Option<&mut dyn Any> {
        Some(&mut self.value)
    }
}

/// A work on its way through the troupe. Two words, which travel in registers:
/// the header is in the box, so that the mailboxes stay small and nothing has to
/// be copied on the way.
pub(crate) struct Envelope<E>(Box<dyn ErasedWork<E>>);

impl<E> Envelope<E> {
    pub(crate) fn new(content: Box<dyn ErasedWork<E>>) -> Self {
        Self(content)
    }

    /// The work as the user made it. `sender` is what its header says.
    #[inline]
    pub(crate) fn into_work(self, sender: u32) -> Work<E> {
        Work {
            envelope: SyncWrapper::new(self),
            sender,
        }
    }

    #[inline]
    pub(crate) fn run(self, aside: &mut Aside<E>) -> Result<(), E> {
        self.0.run(aside)
    }

    pub(crate) fn expire(self, aside: &mut Aside<E>) -> Result<(), Self> {
        self.0.expire(aside)
    }

    pub(crate) fn header(&mut self) -> &mut Header {
        self.0.header()
    }

    pub(crate) fn value(&mut self) -> Option<&mut dyn Any> {
        self.0.value()
    }

    pub(crate) fn options(&mut self) -> Option<&mut Options> {
        self.0.options()
    }

    pub(crate) fn key(&self) -> Option<u64> {
        self.0.peek()?.key
    }

    pub(crate) fn label(&self) -> Option<&Label> {
        self.0.peek()?.label.as_ref()
    }

    pub(crate) fn set_troupe(&mut self, number: u64) {
        self.0.set_troupe(number);
    }
}

/// A piece of work: a boxed `FnOnce() -> Result<(), E>`.
///
/// [`Troupe::assign`](crate::Troupe::assign) takes a closure and turns it into a `Work`.
/// An assign allocates nothing else, unless it starts an actor or the work has a
/// [key](Work::keyed). If the work is refused, the error contains the `Work`, which can be
/// kept for later, [run by hand](Work::run), or assigned again without being boxed a second
/// time.
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
    // to the usual boxed errors. The mutex is locked only to show the label.
    envelope: SyncWrapper<Envelope<E>>,
    /// The sender in the envelope's header, known without a look into the box; zero,
    /// which is no thread's number, if it is not known or if the work may have a key or a
    /// reply.
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
        let content: Box<dyn ErasedWork<E>> = if size_of::<F>() <= IN_PLACE {
            Box::new(Boxed { header, code: work })
        } else {
            let code = Box::new(work);
            Box::new(Boxed { header, code })
        };
        Envelope(content).into_work(sender)
    }

    /// Creates a piece of work from a value and a closure that receives it. The value can be
    /// taken back with [`into_value`](Work::into_value) until the work starts.
    ///
    /// Does not block and does not panic. Allocates once, or up to three times if the value and
    /// the captures of the closure take more than 512 bytes.
    ///
    /// # Examples
    ///
    /// A request that is refused can still be answered:
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// struct Request {
    ///     reply_to: std::sync::mpsc::Sender<&'static str>,
    /// }
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// # troupe.shutdown();
    /// let (reply_to, replies) = std::sync::mpsc::channel();
    /// let work = Work::with(Request { reply_to }, |request| Ok(request.reply_to.send("done")?));
    /// if let Err(refused) = troupe.assign(work) {
    ///     if let Ok(request) = refused.into_work().into_value::<Request>() {
    ///         request.reply_to.send("try again later")?;
    ///     }
    /// }
    /// assert_eq!(replies.recv()?, "try again later");
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn with<T, F>(value: T, work: F) -> Self
    where
        F: FnOnce(T) -> Result<(), E> + Send + 'static,
        T: Send + 'static,
    {
        let sender = thread_number();
        let header = Header { sender, visit: 0 };
        let content: Box<dyn ErasedWork<E>> = if size_of::<(T, F)>() <= IN_PLACE {
            Box::new(WithValue {
                header,
                value: Some(value),
                code: work,
            })
        } else {
            let work = Box::new(work);
            Box::new(WithValue {
                header,
                value: Some(Large(Box::new(value))),
                code: move |value: Large<T>| work(*value.0),
            })
        };
        Envelope(content).into_work(sender)
    }

    /// Returns the value of work that was created by [`with`](Work::with) and has not started.
    ///
    /// Does not block. The closure is dropped. Options such as a
    /// [`label`](Work::label) do not hide the value.
    ///
    /// # Errors
    ///
    /// Returns the work unchanged if it has no value of exactly this type.
    ///
    /// # Panics
    ///
    /// If the drop of the closure panics, the panic unwinds to the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::Work;
    ///
    /// let work: Work = Work::with(7_u32, |_| Ok(()));
    /// let work = work.into_value::<u64>().unwrap_err();
    /// assert_eq!(work.into_value::<u32>().ok(), Some(7));
    /// ```
    pub fn into_value<T: 'static>(self) -> Result<T, Self> {
        let Self { envelope, sender } = self;
        let mut envelope = envelope.into_inner();
        let value = envelope.0.value().and_then(|value| {
            if let Some(value) = value.downcast_mut::<Option<T>>() {
                return value.take();
            }
            let large = value.downcast_mut::<Option<Large<T>>>()?.take()?;
            Some(*large.0)
        });
        value.ok_or_else(|| envelope.into_work(sender))
    }

    /// Returns `true` if the work is known to have neither a key nor a reply, and its header to
    /// name this thread.
    #[inline]
    pub(crate) fn is_plain(&self, sender: u32) -> bool {
        self.sender == sender
    }

    /// The work as it travels, when the thread `sender` assigns it.
    #[inline]
    pub(crate) fn into_envelope(self, sender: u32) -> Envelope<E> {
        let mut envelope = self.envelope.into_inner();
        if self.sender != sender {
            *envelope.header() = Header { sender, visit: 0 };
        }
        envelope
    }

    /// The work after a refusal: no troupe has it.
    pub(crate) fn refused(self) -> Self {
        let mut envelope = self.into_envelope(0);
        envelope.set_troupe(0);
        envelope.into_work(0)
    }

    /// Runs the work on the calling thread.
    ///
    /// Blocks until the closure returns. No troupe is involved, and no error handler sees a
    /// failure. A key and a deadline do not count.
    ///
    /// If a caller waits for a [`Reply`](crate::Reply), the reply receives the value, the error
    /// or the panic, and this returns `Ok`. Work that has been
    /// [cancelled](crate::Reply::cancel) is dropped without having been run, and this returns
    /// `Ok`.
    ///
    /// # Errors
    ///
    /// Returns the error of the closure, unless a reply receives it.
    ///
    /// # Panics
    ///
    /// If the closure panics, the panic unwinds to the caller, unless a reply receives it.
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
        let mut aside = Aside {
            by_hand: true,
            ..Aside::default()
        };
        let result = self.envelope.into_inner().run(&mut aside);
        report_panic(aside.contained);
        aside.span.close();
        if let Some(Verdict::Answered(_, caller)) = aside.verdict {
            report_panic(caller.tell());
        }
        result
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
    /// Shows the [label](Work::label).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            envelope,
            sender: _,
        } = self;
        let label = envelope.lock().label().cloned();
        match label {
            Some(label) => f
                .debug_struct("Work")
                .field("label", &label)
                .finish_non_exhaustive(),
            None => f.write_str("Work(..)"),
        }
    }
}

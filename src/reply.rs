//! `Reply`, for which a caller waits, and the work that resolves it.
//!
//! # Why a reply resolves exactly once
//!
//! A work and its reply share a *desk*, whose mutex guards its stage:
//!
//! ```text
//! waiting ── begin ──> begun ── keep ──> kept ── tell ──> told
//!    └── cancel, or the work is dropped ────────────────────^
//! ```
//!
//! Each step is made once, under the mutex. `cancel` and `begin` both leave *waiting*, so a
//! work that was cancelled is not run, and one that runs was not cancelled. A work that expires
//! goes from *waiting* to *kept*. An answer is *kept* when the work has ended, and *told* when
//! the work has been counted. So a caller that sees the answer sees statistics that include the
//! work. Between the two steps the actor drops the rest of the work, so a resolved reply also
//! means that the captures are gone.
//!
//! If the reply has been dropped before `keep`, the answer comes back to the actor, and a
//! failure goes to the error handler. A reply that is dropped later takes the answer with it. So
//! a failure reaches a caller or the handler, never both.
//!
//! Only the thread that runs the work keeps and tells, and it holds no lock of the pool
//! meanwhile. A waker is called after the desk's mutex has been released.
//!
//! Attacked by `it::reply`, `shuttle::replies::cancel_against_start`,
//! `shuttle::replies::a_reply_is_dropped_against_its_answer`,
//! `shuttle::replies::a_waker_shuts_the_troupe_down`.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::events::report_panic;
use crate::member;
use crate::panic::Panic;
use crate::sync::atomics::SeqCstWord;
use crate::sync::unwind::{Contained, contain, drop_contained, run_contained};
use crate::sync::{Arc, Condvar, Duration, Instant, Mutex, Wake, is_over, yield_now};
use crate::work::{Aside, BoxError, Ended, Envelope, ErasedWork, Header, IN_PLACE, Tell, Work};

/// How long a caller yields before it sleeps. Many answers come sooner than a thread can sleep
/// and be woken.
const YIELD_TIME: Duration = Duration::from_micros(15);

/// The reason why a reply has no value.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, ReplyError, Troupe, Work};
///
/// let troupe = Troupe::new(Config::fixed(1))?;
/// let (work, reply) = Work::with_reply(|| Ok("six".parse::<u32>()?));
/// troupe.assign(work)?;
/// match reply.wait() {
///     Err(ReplyError::Error(error)) => assert_eq!(error.to_string(), "invalid digit found in string"),
///     other => panic!("{other:?}"),
/// }
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError<E = BoxError> {
    /// The work returned this error. The error handler has not seen it.
    #[error("{0}")]
    Error(E),
    /// The work panicked, or the drop of something that it captured did.
    #[error("the work {0}")]
    Panic(Panic),
    /// The deadline of the work had passed before it started. It has been dropped.
    #[error("the deadline had passed before the work started")]
    Expired,
    /// The work was cancelled before it started.
    #[error("the work was cancelled before it started")]
    Cancelled,
    /// The work was dropped without having been run, for example after a refusal.
    #[error("the work was dropped without having been run")]
    Dropped,
    /// The answer is not there, and the call came from a thread of the troupe that has
    /// accepted the work. The call might have waited for itself.
    #[error("waiting for an answer on one of the troupe's own threads would deadlock")]
    WouldDeadlock,
    /// The answer has been taken already.
    #[error("the answer has been taken already")]
    Taken,
}

type Answer<T, E> = Result<T, ReplyError<E>>;

/// How far a work and its reply have come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The work has not started.
    Waiting,
    /// The work has started.
    Begun,
    /// The work has ended, and the answer may not be seen yet.
    Kept,
    /// The answer may be taken, or has been.
    Told,
}

/// The part that a work and its reply share.
struct Desk<T, E> {
    state: Mutex<State<T, E>>,
    told: Condvar,
    /// Not zero once `cancel` has been called.
    cancelled: SeqCstWord,
    /// The number of the troupe that has accepted the work. Zero if none has.
    troupe: SeqCstWord,
}

struct State<T, E> {
    stage: Stage,
    answer: Option<Answer<T, E>>,
    /// The waker of the task that polled the reply last.
    waker: Option<Waker>,
    /// `false` once the reply has been dropped.
    has_caller: bool,
}

impl<T, E> Desk<T, E> {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                stage: Stage::Waiting,
                answer: None,
                waker: None,
                has_caller: true,
            }),
            told: Condvar::default(),
            cancelled: SeqCstWord::default(),
            troupe: SeqCstWord::default(),
        }
    }

    /// The work starts. Returns `false` if it has been cancelled.
    fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let begins = state.stage == Stage::Waiting;
        if begins {
            state.stage = Stage::Begun;
        }
        begins
    }

    /// The work has ended. The answer may not be seen yet. Returns the answer if the reply has
    /// been dropped.
    fn keep(&self, answer: Answer<T, E>) -> Option<Answer<T, E>> {
        let mut state = self.state.lock();
        if !state.has_caller {
            return Some(answer);
        }
        state.answer = Some(answer);
        state.stage = Stage::Kept;
        None
    }

    /// Ends a work that has not started with this answer, unless it has ended already. Returns
    /// `true` if this call did that.
    fn end_early(&self, reason: ReplyError<E>) -> bool {
        let mut state = self.state.lock();
        if state.stage != Stage::Waiting {
            return false;
        }
        if state.has_caller {
            state.answer = Some(Err(reason));
        }
        let waker = state.tell();
        drop(state);
        report_panic(self.call(waker));
        true
    }

    /// Wakes the thread and the task that wait. Returns an error if the waker has panicked.
    fn call(&self, waker: Option<Waker>) -> Result<(), Contained> {
        self.told.notify_all();
        waker.map_or(Ok(()), |waker| run_contained("a waker", || waker.wake()))
    }

    /// The deadline of the work has passed. Unless the work has been cancelled or the reply has
    /// been dropped, keeps that as the answer.
    fn expire(&self) -> Expiry {
        let mut state = self.state.lock();
        if state.stage != Stage::Waiting {
            return Expiry::Cancelled;
        }
        if !state.has_caller {
            return Expiry::NoCaller;
        }
        state.answer = Some(Err(ReplyError::Expired));
        state.stage = Stage::Kept;
        Expiry::Kept
    }
}

/// The state of the desk at which a work expires.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// The caller will be told.
    Kept,
    /// The reply has been dropped.
    NoCaller,
    /// The work had been cancelled.
    Cancelled,
}

impl<T, E> State<T, E> {
    /// Takes the answer, if it may be seen.
    fn take(&mut self) -> Option<Answer<T, E>> {
        let is_told = self.stage == Stage::Told;
        is_told.then(|| self.answer.take().unwrap_or(Err(ReplyError::Taken)))
    }

    /// The answer may be seen from now on. Returns the waker of the task that waits for it.
    fn tell(&mut self) -> Option<Waker> {
        self.stage = Stage::Told;
        self.waker.take()
    }
}

impl<T: Send, E: Send> Tell for Desk<T, E> {
    fn tell(&self) -> Result<(), Contained> {
        let waker = self.state.lock().tell();
        self.call(waker)
    }
}

/// A work's side of the desk. If it is dropped before the work has started, it says so.
struct Teller<T, E>(Option<Arc<Desk<T, E>>>);

impl<T, E> Teller<T, E> {
    /// The desk, for the work that starts or expires.
    fn into_desk(mut self) -> Option<Arc<Desk<T, E>>> {
        self.0.take()
    }
}

impl<T, E> Drop for Teller<T, E> {
    fn drop(&mut self) {
        if let Some(desk) = &self.0 {
            desk.end_early(ReplyError::Dropped);
        }
    }
}

/// A closure that returns a value, in one box with its header and its side of the desk.
struct Replied<F, T, E> {
    header: Header,
    code: F,
    teller: Teller<T, E>,
}

impl<F, T, E> ErasedWork<E> for Replied<F, T, E>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn run(self: Box<Self>, aside: &mut Aside<E>) -> Result<(), E> {
        let Self { code, teller, .. } = *self;
        let Some(desk) = teller.into_desk() else {
            return Ok(());
        };
        if !desk.begin() {
            aside.cancel(drop_contained(code));
            return Ok(());
        }
        let (ended, answer) = match contain(code) {
            Ok(Ok(value)) => (Ended::Completed, Ok(value)),
            Ok(Err(error)) => (Ended::Failed, Err(ReplyError::Error(error))),
            Err(payload) => (Ended::Panicked, Err(ReplyError::Panic(Panic::new(payload)))),
        };
        match desk.keep(answer) {
            None => aside.answer(ended, desk, Ok(())),
            // The reply has been dropped: the rest is as for a plain work.
            Some(Err(ReplyError::Error(error))) => return Err(error),
            Some(Err(ReplyError::Panic(panic))) => resume_unwind(panic.into_payload()),
            Some(value) => drop(value),
        }
        Ok(())
    }

    fn expire(self: Box<Self>, aside: &mut Aside<E>) -> Result<(), Envelope<E>> {
        let expiry = self.teller.0.as_ref().map(|desk| desk.expire());
        if expiry == Some(Expiry::NoCaller) {
            return Err(Envelope::new(self));
        }
        let Self { code, teller, .. } = *self;
        let contained = drop_contained(code);
        match (expiry, teller.into_desk()) {
            (Some(Expiry::Kept), Some(desk)) => aside.answer(Ended::Expired, desk, contained),
            _ => aside.cancel(contained),
        }
        Ok(())
    }

    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn set_troupe(&mut self, number: u64) {
        if let Some(desk) = &self.teller.0 {
            desk.troupe.store(number);
        }
    }
}

/// The work with a reply, and the reply. `make` is given the desk.
fn pair<T, E, F>(make: impl FnOnce(&Arc<Desk<T, E>>) -> F) -> (Work<E>, Reply<T, E>)
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn boxed<T, E, F>(code: F, desk: &Arc<Desk<T, E>>) -> Work<E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        Envelope::new(Box::new(Replied {
            header: Header::default(),
            code,
            teller: Teller(Some(Arc::clone(desk))),
        }))
        .into_work(0)
    }
    let desk = Arc::new(Desk::new());
    let code = make(&desk);
    let work = if size_of::<F>() <= IN_PLACE {
        boxed(code, &desk)
    } else {
        let code = Box::new(code);
        boxed(code, &desk)
    };
    let reply = Reply {
        desk,
        cancels_on_drop: false,
    };
    (work, reply)
}

impl<E> Work<E> {
    /// Creates a piece of work from a closure that returns a value, and the [`Reply`] that
    /// receives the value.
    ///
    /// Does not block and does not panic. Allocates once for the work, and once for the part that
    /// it shares with its reply. If the closure captures more than 512 bytes, this allocates once
    /// more.
    ///
    /// The work is assigned, refused, kept or [run by hand](Work::run) like any other. Its reply
    /// resolves on every path, exactly once.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(2))?;
    /// let (work, reply) = Work::with_reply(|| Ok("7".parse::<u32>()?));
    /// troupe.assign(work)?;
    /// assert_eq!(reply.wait()?, 7);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn with_reply<T, F>(work: F) -> (Self, Reply<T, E>)
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        pair(|_| work)
    }

    /// Creates a piece of work as [`with_reply`](Work::with_reply) does, from a closure that can
    /// ask, while it runs, whether it has been cancelled.
    ///
    /// Does not block and does not panic. Allocates as [`with_reply`](Work::with_reply) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// let (begin, has_begun) = std::sync::mpsc::channel();
    /// let (work, reply) = Work::cancellable(move |token| {
    ///     begin.send(())?;
    ///     let mut steps = 0_u64;
    ///     while !token.is_cancelled() {
    ///         steps += 1;
    ///     }
    ///     Ok(steps)
    /// });
    /// troupe.assign(work)?;
    /// has_begun.recv()?;
    /// assert!(!reply.cancel()); // the work has started: it is asked to stop
    /// reply.wait()?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn cancellable<T, F>(work: F) -> (Self, Reply<T, E>)
    where
        F: FnOnce(&CancelToken) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        pair(|desk| {
            let token = CancelToken(Arc::clone(desk) as Arc<dyn IsCancelled>);
            move || work(&token)
        })
    }
}

/// The answer of a piece of work, for a thread or a task to wait for.
///
/// [`Work::with_reply`] and [`Work::cancellable`] return it. A reply resolves on every path,
/// exactly once:
///
/// | the work | the reply | counted as | error handler |
/// |---|---|---|---|
/// | returns `Ok(value)` | `Ok(value)` | `completed` | not called |
/// | returns `Err(error)` | [`Error`](ReplyError::Error) | `failed` | not called |
/// | panics | [`Panic`](ReplyError::Panic) | `panicked` | not called |
/// | has expired when it would start | [`Expired`](ReplyError::Expired) | `expired` | not called |
/// | was cancelled before it started | [`Cancelled`](ReplyError::Cancelled) | `cancelled` | not called |
/// | is dropped without having been run | [`Dropped`](ReplyError::Dropped) | | not called |
///
/// The answer can be taken once. Afterwards every call returns [`Taken`](ReplyError::Taken), and
/// none panics or waits.
///
/// Dropping a reply never blocks, and lets the work go on. A failure that no caller waits for
/// goes to the error handler, like that of any other work.
/// [`cancel_on_drop`](Reply::cancel_on_drop) makes the drop of the reply cancel the work
/// instead. A reply that is dropped with its answer drops the answer. If that panics, the panic
/// unwinds from the drop of the reply.
///
/// A reply resolves once the work has been counted in [`Stats`](crate::Stats) and its captures
/// have been dropped, before its actor is idle. [`wait_idle`](crate::Troupe::wait_idle) returns
/// after the replies of finished work have resolved.
///
/// A reply is also a [`Future`], which needs no particular runtime. It can be awaited by
/// reference (`&mut reply`) without losing the answer if that future is dropped. The actor calls
/// the waker of the task. If the waker panics, the panic is contained and counted in
/// [`handler_panics`](crate::Stats::handler_panics).
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Troupe, Work};
///
/// let troupe = Troupe::new(Config::fixed(4))?;
/// let mut replies = Vec::new();
/// for n in 1..=10_u64 {
///     let (work, reply) = Work::with_reply(move || Ok(n * n));
///     troupe.assign_wait(work)?;
///     replies.push(reply);
/// }
/// let mut sum = 0;
/// for reply in replies {
///     sum += reply.wait()?;
/// }
/// assert_eq!(sum, 385);
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[must_use = "a reply does nothing unless it is waited for"]
pub struct Reply<T, E = BoxError> {
    desk: Arc<Desk<T, E>>,
    cancels_on_drop: bool,
}

impl<T, E> Reply<T, E> {
    /// Waits for the answer.
    ///
    /// Blocks until the reply resolves.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] says why there is no value. On a thread of the troupe that has accepted the
    /// work, [`WouldDeadlock`](ReplyError::WouldDeadlock) is returned immediately, unless the
    /// answer is there. The reply is then dropped.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// See [`Reply`].
    pub fn wait(self) -> Result<T, ReplyError<E>> {
        self.wait_until(None)
            .unwrap_or(Err(ReplyError::WouldDeadlock))
    }

    /// Waits for the answer, for at most `timeout`. Returns `None` if the time was up first.
    ///
    /// Blocks until the reply resolves, or until the time is up. A timeout of zero is the same
    /// as [`try_wait`](Reply::try_wait). A timeout that overflows the clock waits for ever.
    ///
    /// # Errors
    ///
    /// The same as [`wait`](Reply::wait). After
    /// [`WouldDeadlock`](ReplyError::WouldDeadlock) the answer can still be had later.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let (work, mut reply) = Work::with_reply(move || Ok(gate.recv()?));
    /// troupe.assign(work)?;
    /// assert!(reply.wait_timeout(Duration::from_millis(1)).is_none());
    /// open.send(())?;
    /// reply.wait()?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, ReplyError<E>>> {
        if timeout.is_zero() {
            return self.try_wait();
        }
        self.wait_until(Some(timeout))
    }

    /// Returns the answer if it is there.
    ///
    /// Never blocks.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] says why there is no value. It is never
    /// [`WouldDeadlock`](ReplyError::WouldDeadlock).
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{ReplyError, Work};
    ///
    /// let (work, mut reply) = Work::<std::fmt::Error>::with_reply(|| Ok(7));
    /// assert!(reply.try_wait().is_none());
    /// work.run()?;
    /// assert!(matches!(reply.try_wait(), Some(Ok(7))));
    /// assert!(matches!(reply.try_wait(), Some(Err(ReplyError::Taken))));
    /// # Ok::<(), std::fmt::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> Option<Result<T, ReplyError<E>>> {
        self.desk.state.lock().take()
    }

    /// Returns `true` once the reply has resolved.
    ///
    /// Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::Work;
    ///
    /// let (work, reply) = Work::<std::fmt::Error>::with_reply(|| Ok(7));
    /// assert!(!reply.is_finished());
    /// drop(work);
    /// assert!(reply.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.desk.state.lock().stage == Stage::Told
    }

    /// Cancels the work. Returns `true` if this call has cancelled it: the work has not started,
    /// and never will.
    ///
    /// Never blocks. After `true`, the reply says [`Cancelled`](ReplyError::Cancelled). The work
    /// keeps its place until its turn comes. Then an actor drops it and counts it.
    ///
    /// If the work has started, this returns `false` and the work goes on. From then on
    /// [`CancelToken::is_cancelled`] returns `true`, and the reply resolves with the result of
    /// the work. Once the reply has resolved, this returns `false` and changes nothing.
    ///
    /// This may be called before the work is assigned. The work then takes a place like other
    /// work, and is not run.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, ReplyError, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// let (work, reply) = Work::with_reply(|| Ok(7));
    /// assert!(reply.cancel());
    /// troupe.assign(work)?; // takes a place, and is not run
    /// assert!(matches!(reply.wait(), Err(ReplyError::Cancelled)));
    /// troupe.wait_idle()?;
    /// assert_eq!(troupe.stats().cancelled, 1);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        let stage = self.desk.state.lock().stage;
        if stage != Stage::Told {
            self.desk.cancelled.store(1);
        }
        self.desk.end_early(ReplyError::Cancelled)
    }

    /// Returns a reply that [cancels](Reply::cancel) the work when it is dropped.
    ///
    /// Does not block. An async server needs this: when a client goes away, the future that waits
    /// for the answer is dropped, and work that has not started never starts.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// let (work, reply) = Work::with_reply(|| Ok(7));
    /// drop(reply.cancel_on_drop());
    /// troupe.assign(work)?;
    /// troupe.wait_idle()?;
    /// assert_eq!(troupe.stats().cancelled, 1);
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    /// Waits for the answer, if a time is given at most that long.
    fn wait_until(&self, timeout: Option<Duration>) -> Option<Answer<T, E>> {
        let desk = &*self.desk;
        if let Some(answer) = desk.state.lock().take() {
            return Some(answer);
        }
        if member::is_of(desk.troupe.load()) {
            return Some(Err(ReplyError::WouldDeadlock));
        }
        let begin = Instant::now();
        let yields = timeout.map_or(YIELD_TIME, |timeout| timeout.min(YIELD_TIME));
        while !is_over(begin, yields) {
            // This hides no race: a caller that goes on to wait is told of the answer.
            yield_now();
            if let Some(answer) = desk.state.lock().take() {
                return Some(answer);
            }
        }
        let deadline = timeout.and_then(|timeout| begin.checked_add(timeout));
        let mut state = desk.state.lock();
        let mut last_look = false;
        loop {
            if let Some(answer) = state.take() {
                return Some(answer);
            }
            if last_look {
                return None;
            }
            last_look = desk.told.wait(&mut state, deadline) == Wake::TimedOut;
        }
    }
}

impl<T, E> Future for Reply<T, E> {
    type Output = Result<T, ReplyError<E>>;

    /// Never blocks. The task that polled last is woken. After the answer has been taken, this
    /// returns [`Taken`](ReplyError::Taken).
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloned and dropped outside the lock, since a waker is user code.
        let waker = context.waker().clone();
        let mut state = self.desk.state.lock();
        if let Some(answer) = state.take() {
            drop(state);
            return Poll::Ready(answer);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<T, E> Drop for Reply<T, E> {
    fn drop(&mut self) {
        let mut state = self.desk.state.lock();
        // The task that has polled this reply waits no more, so the end need not wake it.
        let waker = state.waker.take();
        if self.cancels_on_drop {
            drop(state);
            self.cancel();
            state = self.desk.state.lock();
        }
        state.has_caller = false;
        let answer = state.answer.take();
        drop(state);
        drop((answer, waker));
    }
}

impl<T, E> fmt::Debug for Reply<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            desk: _,
            cancels_on_drop,
        } = self;
        f.debug_struct("Reply")
            .field("is_finished", &self.is_finished())
            .field("cancels_on_drop", cancels_on_drop)
            .finish()
    }
}

// A desk is only changed in single steps, so a panic leaves nothing half changed.
impl<T, E> UnwindSafe for Reply<T, E> {}
impl<T, E> RefUnwindSafe for Reply<T, E> {}

/// A desk, whatever the types of its answer are.
trait IsCancelled: Send + Sync {
    fn is_cancelled(&self) -> bool;
}

impl<T: Send, E: Send> IsCancelled for Desk<T, E> {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load() != 0
    }
}

/// Tells running work whether it has been cancelled.
///
/// The closure of [`Work::cancellable`] receives a token, which can be cloned and sent elsewhere.
///
/// # Examples
///
/// See [`Work::cancellable`].
#[derive(Clone)]
pub struct CancelToken(Arc<dyn IsCancelled>);

impl CancelToken {
    /// Returns `true` once the work has been [cancelled](Reply::cancel), so its answer is no
    /// longer wanted.
    ///
    /// Never blocks. It costs one load of a shared word.
    ///
    /// # Examples
    ///
    /// See [`Work::cancellable`].
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

// A token is only read.
impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

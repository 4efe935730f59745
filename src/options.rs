//! The options of a work: a label, a deadline, a key, a span.
//!
//! A work that has options is boxed a second time, together with all of them. A work without
//! options costs nothing more than before there were any.

use std::any::Any;
use std::hash::Hash;
use std::panic::resume_unwind;

use crate::sync::{Instant, has_passed, hash_key};
use crate::work::{Aside, Envelope, ErasedWork, Header, Label, Options, Work};

/// A work and its options.
struct WithOptions<E> {
    header: Header,
    options: Options,
    inner: Envelope<E>,
}

impl<E: 'static> ErasedWork<E> for WithOptions<E> {
    fn run(self: Box<Self>, aside: &mut Aside<E>) -> Result<(), E> {
        let Self {
            header,
            mut options,
            inner,
        } = *self;
        let deadline = options.deadline.take().filter(|_| !aside.by_hand);
        if !deadline.is_some_and(has_passed) {
            aside.begin(options.label, options.key);
            let (outcome, emitted) = options.span.run(|| inner.run(aside));
            aside.span = options.span;
            aside.note(emitted);
            return outcome.unwrap_or_else(|payload| resume_unwind(payload));
        }
        aside.begin(options.label.clone(), options.key);
        let (outcome, emitted) = options.span.run(|| inner.expire(aside));
        aside.note(emitted);
        if let Err(inner) = outcome.unwrap_or_else(|payload| resume_unwind(payload)) {
            aside.span = options.span.another();
            let content = Self {
                header,
                options,
                inner,
            };
            aside.expire(Envelope::new(Box::new(content)).into_work(0));
        }
        Ok(())
    }

    fn expire(self: Box<Self>, aside: &mut Aside<E>) -> Result<(), Envelope<E>> {
        self.inner.expire(aside)
    }

    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn value(&mut self) -> Option<&mut dyn Any> {
        self.inner.value()
    }

    fn options(&mut self) -> Option<&mut Options> {
        Some(&mut self.options)
    }

    fn peek(&self) -> Option<&Options> {
        Some(&self.options)
    }

    fn set_troupe(&mut self, number: u64) {
        self.inner.set_troupe(number);
    }
}

impl<E: 'static> Work<E> {
    /// Gives the work a key. Work of one key runs one piece at a time, in the order of
    /// acceptance, on any actor.
    ///
    /// Does not block. Allocates once, unless the work has an option already.
    ///
    /// A key is anything that can be hashed. It is kept as a hash of 64 bits, and two keys of
    /// the same hash are served as one. That costs them parallelism and nothing else. `7_u32`
    /// and `7_u64` have different hashes, and a `String` has that of a `str` of the same text.
    /// Two types that both contain only a `u32` may have the same hash. A tuple such as
    /// `("order", 7)` keeps kinds of keys apart. Setting a key twice keeps the last.
    ///
    /// Work of a key starts once the work before it has ended, including its error handler call
    /// and its retry. Work whose key is taken stands in line, and takes none of the places of
    /// other work: see [`Config::line_size`](crate::Config::line_size). With a
    /// [`max`](crate::Config::max) of 1 all work runs in the order of acceptance, so a key
    /// changes nothing. It does not count in [`run`](Work::run) either.
    ///
    /// # Panics
    ///
    /// If the `Hash` implementation of the key panics, the panic unwinds to the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(4))?;
    /// let (say, said) = mpsc::channel();
    /// for event in 0..20 {
    ///     let say = say.clone();
    ///     let work = Work::new(move || Ok(say.send(event)?));
    ///     troupe.assign_wait(work.keyed("customer 7"))?;
    /// }
    /// troupe.wait_idle()?;
    /// assert!(said.try_iter().eq(0..20));
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn keyed<K: Hash + ?Sized>(self, key: &K) -> Self {
        let key = hash_key(key);
        self.with_options(|options| options.key = Some(key))
    }

    /// Sets the time from which the work is not started any more. It expires instead.
    ///
    /// Does not block. Allocates once, unless the work has an option already.
    ///
    /// Only an actor that would start the work looks at the clock. Neither an assign nor a wait
    /// for room does. Work that has expired is counted in
    /// [`expired`](crate::Stats::expired). Its [`Reply`](crate::Reply) says
    /// [`Expired`](crate::ReplyError::Expired). If nobody waits for a reply, the error handler
    /// receives the work in [`Failure::Expired`](crate::Failure::Expired). The work has no
    /// deadline then, so the handler can run it after all. Setting a deadline twice keeps the
    /// last. A deadline does not count in [`run`](Work::run).
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// troupe.assign(Work::new(|| Ok(())).deadline(Instant::now()))?;
    /// troupe.wait_idle()?;
    /// assert_eq!((troupe.stats().expired, troupe.stats().completed), (1, 0));
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    pub fn deadline(self, deadline: Instant) -> Self {
        self.with_options(|options| options.deadline = Some(deadline))
    }

    /// Gives the work a name, which is shown when it fails.
    ///
    /// Does not block. Allocates once, unless the work has an option already. A `&'static str`
    /// is not copied.
    ///
    /// The label is in [`Context::label`](crate::Context::label) while the error handler runs,
    /// in the `Debug` of the work and of an error that contains it, and in the events of the
    /// feature `tracing`. Setting a label twice keeps the last.
    ///
    /// # Panics
    ///
    /// Does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::Work;
    ///
    /// let work = Work::<String>::new(|| Ok(())).label("fetch a");
    /// assert_eq!(format!("{work:?}"), "Work { label: \"fetch a\", .. }");
    /// ```
    pub fn label(self, label: impl Into<Label>) -> Self {
        self.with_options(|options| options.label = Some(label.into()))
    }

    /// Lets the work, and the error handler if it fails, run in the span that is current now.
    ///
    /// Does not block. Allocates once, unless the work has an option already.
    ///
    /// If the work runs, the captures of its closure are also dropped in the span. The span
    /// stays open until the work and its error handler call have ended. If the work has started,
    /// the span is closed before its [`Reply`](crate::Reply) resolves. In an error handler the
    /// current span is that of the failed work, so a retry can carry it on. If no span is
    /// current, the work carries none. Setting a span twice keeps the last.
    ///
    /// Events in the span go to the subscriber of the actor's thread, which is the global one.
    /// A subscriber that panics is contained there, and counted in
    /// [`handler_panics`](crate::Stats::handler_panics).
    ///
    /// Needs the feature `tracing`.
    ///
    /// # Panics
    ///
    /// If the subscriber panics in this call, the panic unwinds to the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// use troupe_pool::{Config, Troupe, Work};
    ///
    /// let troupe = Troupe::new(Config::fixed(1))?;
    /// let request = tracing::info_span!("request", id = 7);
    /// request.in_scope(|| {
    ///     let work = Work::new(|| {
    ///         tracing::info!("in the span of request 7");
    ///         Ok(())
    ///     });
    ///     troupe.assign(work.in_current_span())
    /// })?;
    /// # troupe.shutdown();
    /// # troupe.join()?;
    /// # Ok::<(), troupe_pool::BoxError>(())
    /// ```
    #[cfg(feature = "tracing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn in_current_span(self) -> Self {
        self.with_options(|options| options.span = crate::events::WorkSpan::current())
    }

    fn with_options(self, set: impl FnOnce(&mut Options)) -> Self {
        let mut envelope = self.into_envelope(0);
        if let Some(options) = envelope.options() {
            set(options);
            return envelope.into_work(0);
        }
        let mut options = Options::default();
        set(&mut options);
        let header = Header::default();
        Envelope::new(Box::new(WithOptions {
            header,
            options,
            inner: envelope,
        }))
        .into_work(0)
    }
}

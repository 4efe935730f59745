//! The signal to an idle actor, and the work that it is handed with the signal.

use crate::sync::Mutex;
use crate::sync::atomics::SeqCstWord;
use crate::work::Envelope;

/// A signal to an idle actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// There is no signal.
    None,
    /// Search for work. The actor stays on the idle stack and counts as searching.
    Search,
    /// Take the work that has been handed over, if there is one. The actor is off the idle
    /// stack, and counts as searching unless it has just been started.
    HandedOff,
}

/// A work that is handed directly to an actor, and the signal. The work is written before the
/// signal, so an actor that sees the signal finds the work.
pub struct Handoff<E> {
    /// Filled by the sender that has popped the actor, by the growth that starts it, and by the
    /// actor's own error handler. Emptied by the actor, by `shutdown_now`, and by a growth that
    /// is refused.
    work: Mutex<Option<Envelope<E>>>,
    /// A [`Signal`]. Written under the pool's lock, and by the actor.
    signal: SeqCstWord,
}

impl<E> Handoff<E> {
    pub(super) fn new() -> Self {
        Self {
            work: Mutex::new(None),
            signal: SeqCstWord::new(Signal::None as u64),
        }
    }

    pub fn signal(&self) -> Signal {
        match self.signal.load() {
            0 => Signal::None,
            1 => Signal::Search,
            _ => Signal::HandedOff,
        }
    }

    fn set(&self, signal: Signal) {
        self.signal.store(signal as u64);
    }

    /// Hands a work to an actor that has been popped or is about to be started.
    pub fn hand_over(&self, envelope: Envelope<E>) {
        let filled = self.put(envelope, || false);
        debug_assert!(filled.is_ok(), "nobody refuses");
        self.set(Signal::HandedOff);
    }

    /// Tells an idle actor to search.
    pub(super) fn notify(&self) {
        self.set(Signal::Search);
    }

    /// Tells an actor that it has been popped, without a work.
    pub(super) fn dismiss(&self) {
        self.set(Signal::HandedOff);
    }

    /// Clears the signal. Called by the actor, or by a growth that is refused.
    pub fn reset(&self) {
        self.set(Signal::None);
    }

    /// Clears a signal to search. Returns `false` if the actor has been popped meanwhile.
    pub fn accept_search(&self) -> bool {
        self.signal
            .replace(Signal::Search as u64, Signal::None as u64)
    }

    /// Clears the signal. Returns the work that has been handed over, if it is still there.
    pub fn take_over(&self) -> Option<Envelope<E>> {
        self.reset();
        self.take_work()
    }

    pub fn take_work(&self) -> Option<Envelope<E>> {
        self.work.lock().take()
    }

    /// Puts a work here, unless `refuse`, which runs under this hand-off's lock, returns `true`.
    pub fn put(
        &self,
        envelope: Envelope<E>,
        refuse: impl FnOnce() -> bool,
    ) -> Result<(), Envelope<E>> {
        let mut work = self.work.lock();
        if refuse() {
            return Err(envelope);
        }
        debug_assert!(work.is_none(), "a hand-off is taken before the next");
        *work = Some(envelope);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.work.lock().is_none()
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::{Handoff, Signal};
    use crate::work::Work;

    #[test]
    fn a_search_is_heard_once_and_never_hides_a_pop() {
        let handoff = Handoff::<()>::new();
        assert_eq!(handoff.signal(), Signal::None);
        handoff.notify();
        assert_eq!(handoff.signal(), Signal::Search);
        assert!(handoff.accept_search());
        assert_eq!(handoff.signal(), Signal::None);
        assert!(!handoff.accept_search());
        handoff.dismiss();
        assert!(!handoff.accept_search());
        assert_eq!(handoff.signal(), Signal::HandedOff);
        assert!(handoff.take_over().is_none());
        assert_eq!(handoff.signal(), Signal::None);
    }

    #[test]
    fn a_hand_off_holds_what_is_not_refused() {
        let handoff = Handoff::<()>::new();
        let envelope = || Work::new(|| Ok(())).into_envelope(1);
        assert!(handoff.put(envelope(), || true).is_err());
        assert!(handoff.is_empty() && handoff.take_work().is_none());
        assert!(handoff.put(envelope(), || false).is_ok());
        assert!(!handoff.is_empty() && handoff.take_work().is_some());
        assert!(handoff.is_empty());
    }
}

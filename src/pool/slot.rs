//! What is shared about one actor: its mailbox, its hand, what it is called
//! to do, and what it tells of itself.

use crate::pool::mailbox::Mailbox;
use crate::pool::room::Gate;
use crate::sync::atomics::{Padded, SeqCstWord, SingleWriter};
use crate::sync::{Duration, Instant, Mutex};
use crate::work::Envelope;

/// What an actor that rests is called to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Nothing.
    None,
    /// Look for work. The actor stays on the idle stack and has a searching.
    Search,
    /// Look into the hand. The actor is off the idle stack, and has a searching unless it has
    /// just been started.
    HandedOff,
}

/// One actor's place in the troupe. It outlives the actor, and is given to
/// the next one of the same number.
pub(crate) struct Slot<E> {
    // First come the parts that assigners and takers read at each work, and hardly ever
    // write.
    pub(crate) mailbox: Mailbox<E>,
    /// Whether the slot is vacant, and whether the mailbox is known to be full.
    pub(crate) gate: Gate,
    /// On cache lines of its own: the actor writes here at each work.
    own: Padded<Own<E>>,
}

/// What the actor writes, or others write while the actor is idle.
struct Own<E> {
    /// What the actor tells of itself. The actor alone writes here.
    progress: Progress,
    /// A work put straight to this actor. Filled by the sender that has popped it, by the
    /// growth that starts it, and by its own handler. Emptied by the actor, by
    /// `shutdown_now`, and by a growth that is refused.
    handoff: Mutex<Option<Envelope<E>>>,
    /// A [`Signal`]. Written by callers under the pool's lock. Set back by the actor, or by a
    /// growth that is refused.
    signal: SeqCstWord,
}

/// What an actor tells of itself.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Even between two works, odd in one. Never the same number twice.
    pub(crate) phase: SingleWriter,
    pub(crate) completed: SingleWriter,
    pub(crate) failed: SingleWriter,
    pub(crate) panicked: SingleWriter,
    pub(crate) handler_panics: SingleWriter,
    pub(crate) shared: SingleWriter,
    last_accepted: SingleWriter,
    last_finished: SingleWriter,
}

impl<E> Slot<E> {
    /// A vacant slot.
    pub(crate) fn new(mailbox_size: usize) -> Self {
        Self {
            mailbox: Mailbox::new(mailbox_size),
            gate: Gate::new(),
            own: Padded(Own {
                progress: Progress::default(),
                handoff: Mutex::new(None),
                signal: SeqCstWord::new(0),
            }),
        }
    }

    /// What the actor tells of itself.
    #[inline]
    pub(crate) fn progress(&self) -> &Progress {
        &self.own.progress
    }

    pub(crate) fn signal(&self) -> Signal {
        match self.own.signal.load() {
            0 => Signal::None,
            1 => Signal::Search,
            _ => Signal::HandedOff,
        }
    }

    /// Calls the actor. Must be called under the pool's lock, or by the actor itself.
    pub(crate) fn set_signal(&self, call: Signal) {
        self.own.signal.store(call as u64);
    }

    /// Notes that the actor has heard the call to search. `false` if the actor has been
    /// popped meanwhile.
    pub(crate) fn accept_search(&self) -> bool {
        self.own
            .signal
            .replace(Signal::Search as u64, Signal::None as u64)
    }

    /// Puts a work into the hand, unless `refuse` returns `true` while the hand's lock is
    /// held.
    pub(crate) fn put_in_handoff(
        &self,
        envelope: Envelope<E>,
        refuse: impl FnOnce() -> bool,
    ) -> Result<(), Envelope<E>> {
        let mut hand = self.own.handoff.lock();
        if refuse() {
            return Err(envelope);
        }
        debug_assert!(hand.is_none(), "a hand is empty before it is filled");
        *hand = Some(envelope);
        Ok(())
    }

    /// Hands a work to an actor that has been popped or is about to be started: first the
    /// work, then the call.
    pub(crate) fn hand_over(&self, envelope: Envelope<E>) {
        let filled = self.put_in_handoff(envelope, || false);
        debug_assert!(filled.is_ok(), "nobody refuses");
        self.set_signal(Signal::HandedOff);
    }

    /// Takes the work that has been handed over, if it is still there, and takes back the
    /// call.
    pub(crate) fn take_over(&self) -> Option<Envelope<E>> {
        self.set_signal(Signal::None);
        self.take_from_handoff()
    }

    pub(crate) fn take_from_handoff(&self) -> Option<Envelope<E>> {
        self.own.handoff.lock().take()
    }

    pub(crate) fn is_handoff_empty(&self) -> bool {
        self.own.handoff.lock().is_none()
    }
}

impl Progress {
    /// Shows `shutdown_now` that the actor has no work to begin.
    pub(crate) fn step(&self) {
        self.phase.set(self.phase.get() + 2);
    }

    /// Returns `true` while the actor runs a work or the error handler.
    pub(crate) fn is_running(&self) -> bool {
        is_running(self.phase.get())
    }

    /// Returns how many works actors of this number have finished.
    pub(crate) fn finished(&self) -> u64 {
        self.completed.get() + self.failed.get() + self.panicked.get()
    }

    /// Clock are kept as nanoseconds since the troupe's birth, plus one: zero
    /// is never.
    pub(crate) fn stamp_accepted(&self, birth: Instant, now: Instant) {
        self.last_accepted.set(stamp(birth, now));
    }

    pub(crate) fn stamp_finished(&self, birth: Instant, now: Instant) {
        self.last_finished.set(stamp(birth, now));
    }

    pub(crate) fn last_accepted(&self, birth: Instant) -> Option<Instant> {
        instant(birth, self.last_accepted.get())
    }

    pub(crate) fn last_finished(&self, birth: Instant) -> Option<Instant> {
        instant(birth, self.last_finished.get())
    }
}

/// Returns `true` if this phase says that the actor runs a work.
#[inline]
pub(crate) fn is_running(phase: u64) -> bool {
    phase % 2 == 1
}

fn stamp(birth: Instant, now: Instant) -> u64 {
    let nanoseconds = now.saturating_duration_since(birth).as_nanos();
    u64::try_from(nanoseconds).unwrap_or(u64::MAX - 1) + 1
}

fn instant(birth: Instant, stamp: u64) -> Option<Instant> {
    stamp
        .checked_sub(1)
        .and_then(|nanoseconds| birth.checked_add(Duration::from_nanos(nanoseconds)))
}

#[cfg(all(test, not(any(feature = "shuttle", troupe_loom))))]
mod tests {
    use super::{Progress, Signal, Slot, instant, stamp};
    use crate::sync::{Duration, Instant};
    use crate::work::Work;

    #[test]
    fn a_search_is_heard_once_and_never_hides_a_pop() {
        let slot = Slot::<()>::new(1);
        assert_eq!(slot.signal(), Signal::None);
        slot.set_signal(Signal::Search);
        assert_eq!(slot.signal(), Signal::Search);
        assert!(slot.accept_search());
        assert_eq!(slot.signal(), Signal::None);
        assert!(!slot.accept_search());
        slot.set_signal(Signal::HandedOff);
        assert!(!slot.accept_search());
        assert_eq!(slot.signal(), Signal::HandedOff);
    }

    #[test]
    fn a_hand_holds_what_is_not_refused() {
        let slot = Slot::<()>::new(1);
        let envelope = || Work::new(|| Ok(())).into_envelope(1);
        assert!(slot.put_in_handoff(envelope(), || true).is_err());
        assert!(slot.is_handoff_empty() && slot.take_from_handoff().is_none());
        assert!(slot.put_in_handoff(envelope(), || false).is_ok());
        assert!(!slot.is_handoff_empty() && slot.take_from_handoff().is_some());
        assert!(slot.is_handoff_empty());
    }

    #[test]
    fn each_step_is_a_new_phase_between_works() {
        let progress = Progress::default();
        let mut seen = vec![progress.phase.get()];
        for _ in 0..4 {
            progress.step();
            assert!(!progress.is_running() && !seen.contains(&progress.phase.get()));
            seen.push(progress.phase.get());
        }
        progress.phase.set(progress.phase.get() + 1);
        assert!(progress.is_running());
    }

    #[test]
    fn a_stamp_keeps_the_instant() {
        let birth = Instant::now();
        assert_eq!(instant(birth, 0), None);
        for after in [0, 1, 2, 1_000_000_007] {
            let then = birth + Duration::from_nanos(after);
            assert_eq!(instant(birth, stamp(birth, then)), Some(then));
        }
        // The numbers last for 584 years.
        let never = birth.checked_add(Duration::from_secs(20_000_000_000));
        assert!(never.is_none_or(|never| instant(birth, stamp(birth, never)) < Some(never)));
    }
}

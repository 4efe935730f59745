//! What is shared about one actor: its mailbox, its hand, what it is called
//! to do, and what it tells of itself.

use crate::atomics::{Announced, Owned, Padded};
use crate::gate::Gate;
use crate::mailbox::Mailbox;
use crate::sync::{Duration, Instant, Mutex};
use crate::work::Letter;

/// What an actor that rests is called to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Nothing.
    None,
    /// Look for work. The actor stays on the idle stack and has a token.
    Search,
    /// Look into the hand. The actor is off the idle stack, and has a token unless it has
    /// just been started.
    Popped,
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
    told: Told,
    /// A work put straight to this actor. Filled by the sender that has popped it, by the
    /// growth that starts it, and by its own handler. Emptied by the actor, by
    /// `shutdown_now`, and by a growth that is refused.
    hand: Mutex<Option<Letter<E>>>,
    /// A [`Call`]. Written by callers under the board's lock. Set back by the actor, or by a
    /// growth that is refused.
    call: Announced,
}

/// What an actor tells of itself.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Even between two works, odd in one. Never the same number twice.
    pub(crate) phase: Owned,
    pub(crate) completed: Owned,
    pub(crate) failed: Owned,
    pub(crate) panicked: Owned,
    pub(crate) handler_panics: Owned,
    pub(crate) shared: Owned,
    last_accepted: Owned,
    last_finished: Owned,
}

impl<E> Slot<E> {
    /// A vacant slot.
    pub(crate) fn new(mailbox_size: usize) -> Self {
        Self {
            mailbox: Mailbox::new(mailbox_size),
            gate: Gate::new(),
            own: Padded(Own {
                told: Told::default(),
                hand: Mutex::new(None),
                call: Announced::new(0),
            }),
        }
    }

    /// What the actor tells of itself.
    #[inline]
    pub(crate) fn told(&self) -> &Told {
        &self.own.told
    }

    pub(crate) fn call(&self) -> Call {
        match self.own.call.load() {
            0 => Call::None,
            1 => Call::Search,
            _ => Call::Popped,
        }
    }

    /// Calls the actor. Must be called under the board's lock, or by the actor itself.
    pub(crate) fn set_call(&self, call: Call) {
        self.own.call.store(call as u64);
    }

    /// Notes that the actor has heard the call to search. `false` if the actor has been
    /// popped meanwhile.
    pub(crate) fn hear_search(&self) -> bool {
        self.own
            .call
            .replace(Call::Search as u64, Call::None as u64)
    }

    /// Puts a work into the hand, unless `refuse` returns `true` while the hand's lock is
    /// held.
    pub(crate) fn put_in_hand(
        &self,
        letter: Letter<E>,
        refuse: impl FnOnce() -> bool,
    ) -> Result<(), Letter<E>> {
        let mut hand = self.own.hand.lock();
        if refuse() {
            return Err(letter);
        }
        debug_assert!(hand.is_none(), "a hand is empty before it is filled");
        *hand = Some(letter);
        Ok(())
    }

    /// Hands a work to an actor that has been popped or is about to be started: first the
    /// work, then the call.
    pub(crate) fn hand_over(&self, letter: Letter<E>) {
        let filled = self.put_in_hand(letter, || false);
        debug_assert!(filled.is_ok(), "nobody refuses");
        self.set_call(Call::Popped);
    }

    /// Takes the work that has been handed over, if it is still there, and takes back the
    /// call.
    pub(crate) fn take_over(&self) -> Option<Letter<E>> {
        self.set_call(Call::None);
        self.take_from_hand()
    }

    pub(crate) fn take_from_hand(&self) -> Option<Letter<E>> {
        self.own.hand.lock().take()
    }

    pub(crate) fn is_hand_empty(&self) -> bool {
        self.own.hand.lock().is_none()
    }
}

impl Told {
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

    /// Stamps are kept as nanoseconds since the troupe's birth, plus one: zero
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
    use super::{Call, Slot, Told, instant, stamp};
    use crate::sync::{Duration, Instant};
    use crate::work::Work;

    #[test]
    fn a_search_is_heard_once_and_never_hides_a_pop() {
        let slot = Slot::<()>::new(1);
        assert_eq!(slot.call(), Call::None);
        slot.set_call(Call::Search);
        assert_eq!(slot.call(), Call::Search);
        assert!(slot.hear_search());
        assert_eq!(slot.call(), Call::None);
        assert!(!slot.hear_search());
        slot.set_call(Call::Popped);
        assert!(!slot.hear_search());
        assert_eq!(slot.call(), Call::Popped);
    }

    #[test]
    fn a_hand_holds_what_is_not_refused() {
        let slot = Slot::<()>::new(1);
        let letter = || Work::new(|| Ok(())).into_letter(1);
        assert!(slot.put_in_hand(letter(), || true).is_err());
        assert!(slot.is_hand_empty() && slot.take_from_hand().is_none());
        assert!(slot.put_in_hand(letter(), || false).is_ok());
        assert!(!slot.is_hand_empty() && slot.take_from_hand().is_some());
        assert!(slot.is_hand_empty());
    }

    #[test]
    fn each_step_is_a_new_phase_between_works() {
        let told = Told::default();
        let mut seen = vec![told.phase.get()];
        for _ in 0..4 {
            told.step();
            assert!(!told.is_running() && !seen.contains(&told.phase.get()));
            seen.push(told.phase.get());
        }
        told.phase.set(told.phase.get() + 1);
        assert!(told.is_running());
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

//! The state word: the counts and flags of the whole troupe in one atomic.
//!
//! | bits | what | changes |
//! |---|---|---|
//! | 0..15 | idle: actors on the idle stack | under the board's lock |
//! | 15..30 | live: actors there are, reserved ones included | under the board's lock |
//! | 30..45 | awake: tokens that are out | as above; an actor off the stack drops its own without it |
//! | 45 | shutting down | set once, under the board's lock |
//! | 46 | somebody waits for room | under the waiters' lock |
//! | 47 | the system has refused a thread | by who grows, under the nursery's lock |
//! | 48 | unused | |
//! | 49..64 | full: mailboxes known to be full | by who moves a gate |
//!
//! `full` is on top: an uncount can come before its count (`gate.rs`), and a
//! number that goes below zero for a while then wraps around without touching
//! its neighbours. Wrapped, it is 32,767, more than a troupe may have actors; less
//! if others are held up between the two at the same moment, and to be as few as
//! 32,000 it would take 768 of them.
//!
//! Every transition is one read-modify-write, and returns the word before it,
//! so that each party knows from it what it has to do.

use crate::atomics::{Announced, Padded};

const FIELD: u64 = (1 << 15) - 1;
const IDLE: u64 = 1;
const LIVE: u64 = 1 << 15;
const AWAKE: u64 = 1 << 30;
const SHUTTING_DOWN: u64 = 1 << 45;
const WAITED_FOR: u64 = 1 << 46;
const REFUSED: u64 = 1 << 47;
const FULL: u64 = 1 << 49;

/// The state word at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

impl Snapshot {
    /// Actors that hold nothing and can be handed a work.
    #[inline]
    pub(crate) fn idle(self) -> usize {
        self.field(IDLE)
    }

    /// Actors there are, those about to be started included.
    #[inline]
    pub(crate) fn live(self) -> usize {
        self.field(LIVE)
    }

    /// Actors that are looking for work, or on their way to.
    #[inline]
    pub(crate) fn awake(self) -> usize {
        self.field(AWAKE)
    }

    /// Mailboxes known to be full.
    #[inline]
    pub(crate) fn full(self) -> usize {
        self.field(FULL)
    }

    #[inline]
    pub(crate) fn is_shutting_down(self) -> bool {
        self.0 & SHUTTING_DOWN != 0
    }

    /// Does somebody wait for room?
    #[inline]
    pub(crate) fn is_waited_for(self) -> bool {
        self.0 & WAITED_FOR != 0
    }

    /// Has the system refused the last growth?
    #[inline]
    pub(crate) fn is_refused(self) -> bool {
        self.0 & REFUSED != 0
    }

    /// Is somebody idle, and nobody on the way to look for work?
    #[inline]
    pub(crate) fn wants_waking(self) -> bool {
        self.idle() > 0 && self.awake() == 0
    }

    #[inline]
    fn field(self, unit: u64) -> usize {
        ((self.0 / unit) & FIELD) as usize
    }
}

/// The state word.
#[derive(Debug, Default)]
pub(crate) struct State(Padded<Announced>);

impl State {
    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        Snapshot(self.0.load())
    }

    /// An actor goes on the idle stack, with or without a token.
    #[inline]
    pub(crate) fn actor_goes_idle(&self, token: bool) -> Snapshot {
        self.up(IDLE + tokens(token))
    }

    /// An idle actor takes a work from a mailbox itself, and gives back the
    /// token that it may have had.
    #[inline]
    pub(crate) fn actor_leaves_idle(&self, token: bool) -> Snapshot {
        self.down(IDLE + tokens(token))
    }

    /// An idle actor is popped. From now on it has a token, if it had none.
    #[inline]
    pub(crate) fn actor_is_popped(&self, had_token: bool) -> Snapshot {
        let change = tokens(!had_token).wrapping_sub(IDLE);
        self.up(change)
    }

    #[inline]
    pub(crate) fn give_token(&self) -> Snapshot {
        self.up(AWAKE)
    }

    #[inline]
    pub(crate) fn drop_token(&self) -> Snapshot {
        self.down(AWAKE)
    }

    /// A growth reserves an actor.
    #[inline]
    pub(crate) fn reserve(&self) -> Snapshot {
        self.up(LIVE)
    }

    /// A busy or never born actor is gone.
    #[inline]
    pub(crate) fn actor_is_gone(&self) -> Snapshot {
        self.down(LIVE)
    }

    /// An idle actor without a token is gone.
    pub(crate) fn idle_actor_retires(&self) -> Snapshot {
        self.down(LIVE + IDLE)
    }

    /// It has changed its mind.
    pub(crate) fn idle_actor_stays(&self) -> Snapshot {
        self.up(LIVE + IDLE)
    }

    /// A mailbox is known to be full.
    #[inline]
    pub(crate) fn count_full(&self) -> Snapshot {
        self.up(FULL)
    }

    /// It has room again.
    #[inline]
    pub(crate) fn uncount_full(&self) -> Snapshot {
        self.down(FULL)
    }

    pub(crate) fn begin_shutdown(&self) -> Snapshot {
        Snapshot(self.0.set_bits(SHUTTING_DOWN))
    }

    pub(crate) fn somebody_waits(&self) -> Snapshot {
        Snapshot(self.0.set_bits(WAITED_FOR))
    }

    pub(crate) fn nobody_waits(&self) -> Snapshot {
        Snapshot(self.0.clear_bits(WAITED_FOR))
    }

    pub(crate) fn growth_refused(&self) -> Snapshot {
        Snapshot(self.0.set_bits(REFUSED))
    }

    pub(crate) fn growth_granted(&self) -> Snapshot {
        Snapshot(self.0.clear_bits(REFUSED))
    }

    #[inline]
    fn up(&self, change: u64) -> Snapshot {
        Snapshot(self.0.add(change))
    }

    #[inline]
    fn down(&self, change: u64) -> Snapshot {
        Snapshot(self.0.add(change.wrapping_neg()))
    }
}

fn tokens(token: bool) -> u64 {
    if token { AWAKE } else { 0 }
}

#[cfg(all(test, not(any(feature = "shuttle", troupe_loom))))]
mod tests {
    use super::State;

    #[test]
    fn fields_do_not_touch_each_other() {
        let state = State::default();
        for _ in 0..3 {
            state.reserve();
        }
        state.actor_goes_idle(true);
        state.actor_goes_idle(false);
        state.begin_shutdown();
        state.somebody_waits();
        state.growth_refused();
        let now = state.load();
        assert_eq!(
            (now.idle(), now.live(), now.awake(), now.full()),
            (2, 3, 1, 0)
        );
        assert!(now.is_shutting_down() && now.is_waited_for() && now.is_refused());
        state.actor_is_popped(false);
        state.nobody_waits();
        state.growth_granted();
        let now = state.load();
        assert_eq!(
            (now.idle(), now.live(), now.awake(), now.full()),
            (1, 3, 2, 0)
        );
        assert!(!now.is_waited_for() && !now.is_refused() && now.is_shutting_down());
    }

    #[test]
    fn waking_is_wanted_if_somebody_is_idle_and_nobody_awake() {
        let state = State::default();
        assert!(!state.load().wants_waking());
        state.actor_goes_idle(false);
        assert!(state.load().wants_waking());
        state.give_token();
        assert!(!state.load().wants_waking());
        state.actor_leaves_idle(false);
        assert!(!state.load().wants_waking());
    }

    #[test]
    fn an_uncount_before_its_count_is_no_number_of_actors() {
        let state = State::default();
        state.reserve();
        state.uncount_full();
        let between = state.load();
        assert_eq!((between.idle(), between.live(), between.awake()), (0, 1, 0));
        assert!(between.full() > 32_000);
        state.count_full();
        assert_eq!(state.load().full(), 0);
    }
}

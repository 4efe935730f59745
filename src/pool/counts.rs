//! The counts and flags of the whole troupe in one atomic word.
//!
//! | bits | meaning | changes |
//! |---|---|---|
//! | 0..15 | idle: actors on the idle stack | under the pool's lock |
//! | 15..30 | live: actors, including reserved ones | under the pool's lock |
//! | 30..45 | searching: actors that search, or are about to | as above; popped actors without it |
//! | 45 | shutting down | set once, under the pool's lock |
//! | 46 | a sender waits for room | under the waiters' lock |
//! | 47 | the system has refused a thread | by the starter of an actor, under the spawn lock |
//! | 48 | unused | |
//! | 49..64 | full: mailboxes known to be full | by a thread that moves a gate |
//!
//! `full` has the topmost bits, because a mailbox can be uncounted before it has been counted
//! (`room.rs`). A number below zero then wraps around without touching the other fields. It
//! becomes 32,767, which is more than a troupe may have actors. It would take 768 such mailboxes
//! at the same moment to make it 32,000, which is `MOST_ACTORS`.
//!
//! Every transition is one read-modify-write and returns the counts from before, which tell
//! the caller what it has to do.

use crate::sync::atomics::{Padded, SeqCstWord};

const FIELD: u64 = (1 << 15) - 1;
const IDLE: u64 = 1;
const LIVE: u64 = 1 << 15;
const SEARCHING: u64 = 1 << 30;
const SHUTTING_DOWN: u64 = 1 << 45;
const WAITED_FOR: u64 = 1 << 46;
const REFUSED: u64 = 1 << 47;
const FULL: u64 = 1 << 49;

/// The counts at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts(u64);

impl Counts {
    /// Returns how many actors are on the idle stack, and can be handed a work.
    #[inline]
    pub fn idle(self) -> usize {
        self.field(IDLE)
    }

    /// Returns how many actors there are, including those about to be started.
    #[inline]
    pub fn live(self) -> usize {
        self.field(LIVE)
    }

    /// Returns how many actors search for work, or are about to.
    #[inline]
    pub fn searching(self) -> usize {
        self.field(SEARCHING)
    }

    /// Returns how many mailboxes are known to be full.
    #[inline]
    pub fn full(self) -> usize {
        self.field(FULL)
    }

    #[inline]
    pub fn is_shutting_down(self) -> bool {
        self.0 & SHUTTING_DOWN != 0
    }

    /// Returns `true` if a sender waits for room.
    #[inline]
    pub fn is_waited_for(self) -> bool {
        self.0 & WAITED_FOR != 0
    }

    /// Returns `true` if the system has refused a thread to a troupe that had an actor, and no
    /// growth has succeeded since.
    #[inline]
    pub fn is_refused(self) -> bool {
        self.0 & REFUSED != 0
    }

    /// Returns `true` if an actor is idle and none is searching.
    #[inline]
    pub fn should_notify(self) -> bool {
        self.idle() > 0 && self.searching() == 0
    }

    #[inline]
    fn field(self, unit: u64) -> usize {
        ((self.0 / unit) & FIELD) as usize
    }
}

/// The counts word.
#[derive(Debug, Default)]
pub struct CountsWord(Padded<SeqCstWord>);

impl CountsWord {
    #[inline]
    pub fn load(&self) -> Counts {
        Counts(self.0.load())
    }

    /// An actor goes on the idle stack, searching or not.
    #[inline]
    pub fn actor_goes_idle(&self, searching: bool) -> Counts {
        self.up(IDLE + if_searching(searching))
    }

    /// An idle actor takes a work from a mailbox itself, and stops searching if it did.
    #[inline]
    pub fn actor_leaves_idle(&self, searching: bool) -> Counts {
        self.down(IDLE + if_searching(searching))
    }

    /// An idle actor is popped. From now on it counts as searching, if it did not before.
    #[inline]
    pub(super) fn actor_is_popped(&self, was_searching: bool) -> Counts {
        let change = if_searching(!was_searching).wrapping_sub(IDLE);
        self.up(change)
    }

    #[inline]
    pub(super) fn starts_searching(&self) -> Counts {
        self.up(SEARCHING)
    }

    #[inline]
    pub fn stops_searching(&self) -> Counts {
        self.down(SEARCHING)
    }

    /// A growth reserves an actor.
    #[inline]
    pub(super) fn reserve(&self) -> Counts {
        self.up(LIVE)
    }

    /// A busy actor leaves, or a reservation is undone.
    #[inline]
    pub(super) fn actor_is_gone(&self) -> Counts {
        self.down(LIVE)
    }

    /// An idle actor that does not search retires.
    pub(super) fn idle_actor_retires(&self) -> Counts {
        self.down(LIVE + IDLE)
    }

    /// An actor that has begun to retire stays.
    pub(super) fn idle_actor_stays(&self) -> Counts {
        self.up(LIVE + IDLE)
    }

    /// A mailbox is known to be full.
    #[inline]
    pub(super) fn count_full(&self) -> Counts {
        self.up(FULL)
    }

    /// A mailbox that was counted as full has room again.
    #[inline]
    pub(super) fn uncount_full(&self) -> Counts {
        self.down(FULL)
    }

    pub fn begin_shutdown(&self) -> Counts {
        Counts(self.0.set_bits(SHUTTING_DOWN))
    }

    pub(super) fn somebody_waits(&self) -> Counts {
        Counts(self.0.set_bits(WAITED_FOR))
    }

    pub(super) fn nobody_waits(&self) -> Counts {
        Counts(self.0.clear_bits(WAITED_FOR))
    }

    pub fn growth_refused(&self) -> Counts {
        Counts(self.0.set_bits(REFUSED))
    }

    pub fn growth_granted(&self) -> Counts {
        Counts(self.0.clear_bits(REFUSED))
    }

    #[inline]
    fn up(&self, change: u64) -> Counts {
        Counts(self.0.add(change))
    }

    #[inline]
    fn down(&self, change: u64) -> Counts {
        Counts(self.0.add(change.wrapping_neg()))
    }
}

fn if_searching(searching: bool) -> u64 {
    if searching { SEARCHING } else { 0 }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::CountsWord;

    #[test]
    fn fields_do_not_touch_each_other() {
        let counts = CountsWord::default();
        for _ in 0..3 {
            counts.reserve();
        }
        counts.actor_goes_idle(true);
        counts.actor_goes_idle(false);
        counts.begin_shutdown();
        counts.somebody_waits();
        counts.growth_refused();
        let now = counts.load();
        assert_eq!(
            (now.idle(), now.live(), now.searching(), now.full()),
            (2, 3, 1, 0)
        );
        assert!(now.is_shutting_down() && now.is_waited_for() && now.is_refused());
        counts.actor_is_popped(false);
        counts.nobody_waits();
        counts.growth_granted();
        let now = counts.load();
        assert_eq!(
            (now.idle(), now.live(), now.searching(), now.full()),
            (1, 3, 2, 0)
        );
        assert!(!now.is_waited_for() && !now.is_refused() && now.is_shutting_down());
    }

    #[test]
    fn an_actor_is_notified_if_one_is_idle_and_none_is_searching() {
        let counts = CountsWord::default();
        assert!(!counts.load().should_notify());
        counts.actor_goes_idle(false);
        assert!(counts.load().should_notify());
        counts.starts_searching();
        assert!(!counts.load().should_notify());
        counts.actor_leaves_idle(false);
        assert!(!counts.load().should_notify());
    }

    #[test]
    fn an_uncount_before_its_count_is_no_number_of_actors() {
        let counts = CountsWord::default();
        counts.reserve();
        counts.uncount_full();
        let between = counts.load();
        assert_eq!(
            (between.idle(), between.live(), between.searching()),
            (0, 1, 0)
        );
        assert!(between.full() > 32_000);
        counts.count_full();
        assert_eq!(counts.load().full(), 0);
    }
}

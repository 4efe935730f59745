//! Which works a `wait_idle` waits for: those accepted before a round began.
//!
//! Plain bookkeeping, all of it under the board's lock. Actors are clean or
//! not, works in mailboxes late or not; a round is over when every actor is
//! clean and no mailbox holds more works than late ones. ARCHITECTURE.md says
//! why that is right.

use crate::work::Letter;

/// The rounds of one troupe.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    current: Option<Round>,
    /// The number of the round begun last.
    begun: u64,
    /// The number of the last round that somebody waits for.
    wanted: u64,
}

#[derive(Debug)]
struct Round {
    /// Is this slot's actor known to hold nothing that the round waits for?
    clean: Vec<bool>,
    /// How many are not.
    dirty: usize,
    /// How many late works each mailbox holds.
    late: Vec<usize>,
}

impl Rounds {
    /// Is a round under way?
    pub(crate) fn is_under_way(&self) -> bool {
        self.current.is_some()
    }

    /// Asks for a round that begins from now on; returns its number.
    pub(crate) fn want(&mut self) -> u64 {
        self.wanted = self.begun + 1;
        self.wanted
    }

    /// Does somebody wait for a round that has not begun?
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted > self.begun
    }

    /// Is this round over?
    pub(crate) fn is_over(&self, number: u64) -> bool {
        number < self.begun || (number == self.begun && self.current.is_none())
    }

    /// Begins the next round. `clean` says of each slot whether its actor
    /// holds nothing, or whether it is vacant.
    pub(crate) fn begin(&mut self, clean: Vec<bool>) {
        debug_assert!(self.current.is_none(), "one round at a time");
        self.begun += 1;
        let dirty = clean.iter().filter(|clean| !**clean).count();
        let late = vec![0; clean.len()];
        self.current = Some(Round { clean, dirty, late });
    }

    /// Ends the round if it is over. `held` says how many works a mailbox
    /// holds. True if the round is over.
    pub(crate) fn end_if_over(&mut self, mut held: impl FnMut(usize) -> usize) -> bool {
        let over = self.current.as_ref().is_some_and(|round| {
            round.dirty == 0
                && round
                    .late
                    .iter()
                    .enumerate()
                    .all(|(slot, late)| held(slot) <= *late)
        });
        if over {
            self.current = None;
        }
        over
    }

    /// A work that is assigned during a round is marked as late for it.
    pub(crate) fn mark<E>(&self, letter: &mut Letter<E>) {
        letter.note().late_for = if self.is_under_way() {
            tag(self.begun)
        } else {
            0
        };
    }

    /// A work marked as late has been put into a mailbox.
    pub(crate) fn sent(&mut self, mailbox: usize) {
        if let Some(round) = &mut self.current {
            round.reach(mailbox);
            round.late[mailbox] += 1;
        }
    }

    /// An actor has taken a work that came too late for the round `late_for`,
    /// from a mailbox or from its hand.
    pub(crate) fn taken(&mut self, actor: usize, mailbox: Option<usize>, late_for: u32) {
        let now = tag(self.begun);
        if let Some(round) = &mut self.current {
            let late = late_for == now;
            if let Some(mailbox) = mailbox.filter(|_| late) {
                round.reach(mailbox);
                round.late[mailbox] = round.late[mailbox].saturating_sub(1);
            }
            round.set_clean(actor, late);
        }
    }

    /// An actor holds nothing: it has gone idle, is about to be born, or has
    /// left.
    pub(crate) fn holds_nothing(&mut self, actor: usize) {
        if let Some(round) = &mut self.current {
            round.set_clean(actor, true);
        }
    }
}

/// A round's number as far as letters have to tell rounds apart: no work is late
/// for more than one, since the next waits for it. Never zero.
fn tag(number: u64) -> u32 {
    (number % u64::from(u32::MAX)) as u32 + 1
}

impl Round {
    fn set_clean(&mut self, actor: usize, clean: bool) {
        self.reach(actor);
        match (self.clean[actor], clean) {
            (false, true) => self.dirty -= 1,
            (true, false) => self.dirty += 1,
            _ => {}
        }
        self.clean[actor] = clean;
    }

    /// Slots can be added during a round; nothing is known against them.
    fn reach(&mut self, slot: usize) {
        if slot >= self.clean.len() {
            self.clean.resize(slot + 1, true);
            self.late.resize(slot + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rounds, tag};

    #[test]
    fn a_round_waits_for_who_is_not_clean() {
        let mut rounds = Rounds::default();
        let number = rounds.want();
        assert!(rounds.is_wanted() && !rounds.is_over(number));
        rounds.begin(vec![true, false]);
        assert!(!rounds.is_wanted());
        assert!(!rounds.end_if_over(|_| 0));
        rounds.taken(1, Some(0), 0);
        assert!(!rounds.end_if_over(|_| 0));
        rounds.taken(1, None, tag(number));
        assert!(rounds.end_if_over(|_| 0));
        assert!(rounds.is_over(number));
    }

    #[test]
    fn late_works_hold_up_nothing_and_early_ones_do() {
        let mut rounds = Rounds::default();
        let number = rounds.want();
        rounds.begin(vec![true]);
        rounds.sent(0);
        assert!(!rounds.end_if_over(|_| 2));
        // The early one is taken: the taker is not clean any more.
        rounds.taken(0, Some(0), tag(number - 1));
        assert!(!rounds.end_if_over(|_| 1));
        rounds.holds_nothing(0);
        assert!(rounds.end_if_over(|_| 1));
        assert_eq!(rounds.want(), number + 1);
        assert!(!rounds.is_over(number + 1));
    }

    #[test]
    fn slots_may_be_added_during_a_round() {
        let mut rounds = Rounds::default();
        let number = rounds.want();
        rounds.begin(vec![false]);
        // A late work goes to a new actor's mailbox, and another new actor takes it.
        rounds.sent(2);
        rounds.taken(4, Some(2), tag(number));
        rounds.holds_nothing(6);
        assert!(!rounds.end_if_over(|_| 0));
        rounds.holds_nothing(0);
        assert!(!rounds.end_if_over(|slot| usize::from(slot == 2)));
        assert!(rounds.end_if_over(|_| 0));
    }

    #[test]
    fn a_tag_is_never_zero() {
        assert_ne!(tag(1), tag(2));
        for number in [0, 1, u64::from(u32::MAX) - 1, u64::from(u32::MAX), u64::MAX] {
            assert_ne!(tag(number), 0);
        }
    }
}

//! Which works a `wait_idle` waits for: those accepted before its call.
//!
//! Plain bookkeeping, all of it under the board's lock. A call begins an *epoch*.
//! While anybody waits, each work carries the epoch in which it was assigned, and
//! of each actor and each mailbox it is known what they hold, so a call is over
//! when nobody holds anything from before its epoch. ARCHITECTURE.md says why that
//! is right.

use std::collections::VecDeque;

use crate::work::Letter;

/// What an actor holds that holds nothing: newer than any epoch.
const NOTHING: u64 = u64::MAX;

/// What was assigned while nobody waited, and what may have been: older than any.
const ANYTHING: u64 = 0;

/// The epochs of one troupe.
#[derive(Debug)]
pub(crate) struct Epochs {
    /// Who waits, the oldest epoch first.
    parties: VecDeque<Party>,
    /// The present epoch. It goes on while nobody waits.
    now: u64,
    /// May a work carry the present epoch?
    is_used: bool,
    /// The last party that was formed,
    formed: u64,
    /// and the last that is over: then all before it are, too.
    over: u64,
    /// The epoch of what each actor holds, while anybody waits.
    actors: Vec<u64>,
    /// How many actors hold something from before the oldest party's epoch.
    dirty: usize,
    /// What each mailbox holds that was assigned while somebody waited.
    mailboxes: Vec<VecDeque<Batch>>,
}

/// Calls between which no work was assigned: what one waits for, all do.
#[derive(Debug)]
struct Party {
    number: u64,
    epoch: u64,
    callers: usize,
}

/// Works of one epoch, one behind the other.
#[derive(Debug)]
struct Batch {
    epoch: u64,
    works: usize,
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            parties: VecDeque::new(),
            now: ANYTHING + 1,
            is_used: false,
            formed: 0,
            over: 0,
            actors: Vec::new(),
            dirty: 0,
            mailboxes: Vec::new(),
        }
    }
}

impl Epochs {
    /// Does anybody wait?
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.parties.is_empty()
    }

    /// A caller begins to wait. Returns the number of its party. If nobody has waited,
    /// `has_nothing` says of each slot whether its actor, if any, holds nothing.
    pub(crate) fn enter(&mut self, has_nothing: impl FnOnce() -> Vec<bool>) -> u64 {
        self.now += u64::from(std::mem::take(&mut self.is_used));
        if self.parties.is_empty() {
            let hold = |has_nothing| if has_nothing { NOTHING } else { ANYTHING };
            self.actors = has_nothing().into_iter().map(hold).collect();
        }
        match self.parties.back_mut() {
            Some(party) if party.epoch == self.now => party.callers += 1,
            _ => {
                self.formed += 1;
                self.parties.push_back(Party {
                    number: self.formed,
                    epoch: self.now,
                    callers: 1,
                });
            }
        }
        self.count_dirty();
        self.parties.back().map_or(0, |party| party.number)
    }

    /// A caller of this party, which is not over, waits no longer.
    pub(crate) fn give_up(&mut self, number: u64) {
        self.parties.retain_mut(|party| {
            party.callers -= usize::from(party.number == number);
            party.callers > 0
        });
        self.count_dirty();
    }

    /// Is this party's wait over?
    pub(crate) fn is_over(&self, number: u64) -> bool {
        number <= self.over
    }

    /// Ends the waits that are over. `held` says how many works a mailbox holds.
    /// True if there was one.
    pub(crate) fn end_if_over(&mut self, held: impl Fn(usize) -> usize) -> bool {
        let before = self.over;
        while let Some(party) = self.parties.front() {
            if self.dirty > 0 || (0..self.actors.len()).any(|id| held(id) > self.later(id)) {
                break;
            }
            self.over = party.number;
            self.parties.pop_front();
            self.count_dirty();
        }
        self.over > before
    }

    /// How many works a mailbox holds at most that the oldest party does not wait for.
    fn later(&self, mailbox: usize) -> usize {
        let oldest = self.oldest();
        let batches = self.mailboxes.get(mailbox).into_iter().flatten();
        batches
            .filter(|batch| batch.epoch >= oldest)
            .map(|batch| batch.works)
            .sum()
    }

    /// A work that is assigned while somebody waits carries the present epoch.
    pub(crate) fn mark<E>(&mut self, letter: &mut Letter<E>) {
        let is_waited_for = self.is_waited_for();
        self.is_used |= is_waited_for;
        letter.note().epoch = if is_waited_for { tag(self.now) } else { 0 };
    }

    /// A work that is marked now goes into the hand of an actor that holds nothing.
    pub(crate) fn give<E>(&mut self, actor: usize, letter: &mut Letter<E>) {
        self.mark(letter);
        self.holds(actor, self.now);
    }

    /// A work that was marked just now has been put into a mailbox.
    pub(crate) fn sent(&mut self, mailbox: usize) {
        if !self.is_waited_for() {
            return;
        }
        if mailbox >= self.mailboxes.len() {
            self.mailboxes.resize_with(mailbox + 1, VecDeque::new);
        }
        let (now, oldest) = (self.now, self.oldest());
        let batches = &mut self.mailboxes[mailbox];
        while batches.front().is_some_and(|batch| batch.epoch < oldest) {
            batches.pop_front();
        }
        match batches.back_mut() {
            Some(batch) if batch.epoch == now => batch.works += 1,
            _ => batches.push_back(Batch {
                epoch: now,
                works: 1,
            }),
        }
    }

    /// An actor has taken a work that carries this tag, from a mailbox or from its hand.
    pub(crate) fn taken(&mut self, actor: usize, mailbox: Option<usize>, tag: u32) {
        let epoch = match mailbox {
            Some(mailbox) => self.gone(mailbox, tag),
            None => self.epoch_of(tag),
        };
        self.holds(actor, epoch);
    }

    /// A work that carries this tag has gone from a mailbox. Returns its epoch, or
    /// [`ANYTHING`] if nobody waits any more that it would be too late for.
    pub(crate) fn gone(&mut self, mailbox: usize, tag: u32) -> u64 {
        let epoch = self.epoch_of(tag);
        let batches = self.mailboxes.get_mut(mailbox);
        // Not always the first: what others took before may not be noted yet.
        let found = batches.and_then(|batches| {
            let at = batches.iter().position(|batch| batch.epoch == epoch)?;
            batches[at].works -= 1;
            (batches[at].works == 0).then(|| batches.remove(at));
            Some(epoch)
        });
        found.unwrap_or(ANYTHING)
    }

    /// An actor holds nothing: it has gone idle, is about to be born, or has left.
    pub(crate) fn holds_nothing(&mut self, actor: usize) {
        self.holds(actor, NOTHING);
    }

    fn holds(&mut self, actor: usize, epoch: u64) {
        if !self.is_waited_for() {
            return;
        }
        if actor >= self.actors.len() {
            self.actors.resize(actor + 1, NOTHING);
        }
        let oldest = self.oldest();
        let before = std::mem::replace(&mut self.actors[actor], epoch);
        self.dirty += usize::from(epoch < oldest);
        self.dirty -= usize::from(before < oldest);
    }

    /// The oldest party's epoch. Whatever it is, nothing is older if nobody waits.
    fn oldest(&self) -> u64 {
        self.parties.front().map_or(0, |party| party.epoch)
    }

    /// The oldest party is another, or there is none any more.
    fn count_dirty(&mut self) {
        if self.parties.is_empty() {
            self.actors = Vec::new();
            self.mailboxes = Vec::new();
        }
        let oldest = self.oldest();
        let older = self.actors.iter().filter(|epoch| **epoch < oldest);
        self.dirty = older.count();
    }

    /// The epoch that a tag stands for: the last one that has it.
    fn epoch_of(&self, of: u32) -> u64 {
        if of == 0 {
            return ANYTHING;
        }
        let (now, of) = (u64::from(tag(self.now)), u64::from(of));
        let ago = if of <= now { now - of } else { now + TAGS - of };
        self.now.saturating_sub(ago)
    }
}

/// How many tags there are.
const TAGS: u64 = u32::MAX as u64;

/// An epoch as far as a letter has room for it. Never zero. Of a work that has waited for
/// so long that another epoch has its tag, the mailbox has forgotten the epoch.
fn tag(epoch: u64) -> u32 {
    (epoch % TAGS) as u32 + 1
}

#[cfg(all(test, not(any(feature = "shuttle", troupe_loom))))]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};
    use proptest::test_runner::TestCaseResult;
    use proptest::{prop_assert, prop_assert_eq};

    use super::{Epochs, TAGS, tag};
    use crate::work::{Letter, Work};

    fn letter() -> Letter<()> {
        Work::new(|| Ok(())).into_letter(1)
    }

    /// A work assigned now, as the tag that it carries.
    fn marked(epochs: &mut Epochs) -> u32 {
        let mut letter = letter();
        epochs.mark(&mut letter);
        letter.note().epoch
    }

    #[test]
    fn a_wait_is_for_who_may_hold_something() {
        let mut epochs = Epochs::default();
        let party = epochs.enter(|| vec![true, false]);
        assert!(!epochs.end_if_over(|_| 0));
        epochs.taken(1, Some(0), 0);
        assert!(!epochs.end_if_over(|_| 0));
        let later = marked(&mut epochs);
        epochs.taken(1, None, later);
        assert!(!epochs.is_over(party));
        assert!(epochs.end_if_over(|_| 0));
        assert!(epochs.is_over(party) && !epochs.is_waited_for());
    }

    #[test]
    fn later_works_hold_up_nothing_and_early_ones_do() {
        let mut epochs = Epochs::default();
        let party = epochs.enter(|| vec![true]);
        marked(&mut epochs);
        epochs.sent(0);
        assert!(!epochs.end_if_over(|_| 2));
        // The early one is taken: who has it holds the wait up.
        epochs.taken(0, Some(0), 0);
        assert!(!epochs.end_if_over(|_| 1));
        epochs.holds_nothing(0);
        assert!(epochs.end_if_over(|_| 1) && epochs.is_over(party));
    }

    /// The second call waits for a work that is too late for the first, and for none
    /// that comes after it.
    #[test]
    fn each_call_waits_for_its_own_works() {
        let mut epochs = Epochs::default();
        let first = epochs.enter(|| vec![false, true, true]);
        let between = marked(&mut epochs);
        epochs.taken(1, None, between);
        let second = epochs.enter(|| unreachable!("somebody waits"));
        let later = marked(&mut epochs);
        assert_ne!(between, later);
        epochs.taken(2, None, later);
        epochs.holds_nothing(0);
        assert!(epochs.end_if_over(|_| 0));
        assert!(epochs.is_over(first) && !epochs.is_over(second));
        epochs.holds_nothing(1);
        assert!(epochs.end_if_over(|_| 0) && epochs.is_over(second));
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let mut epochs = Epochs::default();
        let first = epochs.enter(|| vec![false]);
        marked(&mut epochs);
        let second = epochs.enter(|| unreachable!("somebody waits"));
        assert_ne!(first, second);
        assert_eq!(epochs.enter(|| unreachable!("somebody waits")), second);
        epochs.give_up(first);
        epochs.give_up(second);
        assert!(epochs.is_waited_for());
        epochs.give_up(second);
        assert!(!epochs.is_waited_for());
        assert_eq!(marked(&mut epochs), 0);
    }

    #[test]
    fn slots_may_be_added_during_a_wait() {
        let mut epochs = Epochs::default();
        let party = epochs.enter(|| vec![false]);
        // A later work goes to a new actor's mailbox, and another new actor takes it.
        let later = marked(&mut epochs);
        epochs.sent(2);
        epochs.taken(4, Some(2), later);
        epochs.holds_nothing(6);
        assert!(!epochs.end_if_over(|_| 0));
        epochs.holds_nothing(0);
        assert!(!epochs.end_if_over(|slot| usize::from(slot == 2)));
        assert!(epochs.end_if_over(|_| 0) && epochs.is_over(party));
    }

    #[test]
    fn a_tag_stands_for_the_last_epoch_that_has_it() {
        for now in [1, 2, TAGS - 1, TAGS, TAGS + 1, 3 * TAGS + 7] {
            let epochs = Epochs {
                now,
                ..Epochs::default()
            };
            assert_eq!(epochs.epoch_of(0), 0);
            for ago in [0, 1, 2, 1_000, TAGS - 1] {
                if ago <= now {
                    assert_ne!(tag(now - ago), 0);
                    assert_eq!(epochs.epoch_of(tag(now - ago)), now - ago);
                }
            }
        }
    }

    /// It has waited for so long that the present epoch has its tag.
    #[test]
    fn a_work_whose_epoch_the_mailbox_has_forgotten_is_old() {
        let mut epochs = Epochs {
            now: TAGS + 5,
            ..Epochs::default()
        };
        let party = epochs.enter(|| vec![true]);
        epochs.taken(0, Some(0), tag(5));
        assert!(!epochs.end_if_over(|_| 0) && !epochs.is_over(party));
        epochs.holds_nothing(0);
        assert!(epochs.end_if_over(|_| 0) && epochs.is_over(party));
    }

    /// What happens on the board, for the actor or mailbox of a number.
    #[derive(Clone, Debug)]
    enum Move {
        Call,
        GiveUp(usize),
        Send(usize),
        HandOff(usize),
        Take(usize, usize),
        /// Without the lock, by who has not heard yet that somebody waits.
        TakeUnseen(usize, usize),
        Note(usize),
        Rest(usize),
    }

    const ACTORS: usize = 3;

    fn moves() -> impl Strategy<Value = Move> {
        let id = || 0..ACTORS;
        prop_oneof![
            2 => proptest::strategy::Just(Move::Call),
            1 => any::<usize>().prop_map(Move::GiveUp),
            4 => id().prop_map(Move::Send),
            2 => id().prop_map(Move::HandOff),
            4 => (id(), id()).prop_map(|(actor, from)| Move::Take(actor, from)),
            2 => (id(), id()).prop_map(|(actor, from)| Move::TakeUnseen(actor, from)),
            2 => id().prop_map(Move::Note),
            2 => id().prop_map(Move::Rest),
        ]
    }

    #[derive(Clone, Default)]
    struct Actor {
        /// The work that it runs, and the tag of that.
        holds: Option<(usize, u32)>,
        /// The mailbox that this came from, if it has not been noted.
        unnoted: Option<usize>,
        /// Has it been on the board since somebody waits?
        has_heard: bool,
    }

    /// A troupe as `wait_idle` sees it, and what is true of it.
    #[derive(Default)]
    struct Model {
        epochs: Epochs,
        works: usize,
        mailboxes: [VecDeque<(usize, u32)>; ACTORS],
        actors: [Actor; ACTORS],
        /// Who waits: the party, and how many works there were at the call.
        calls: Vec<(u64, usize)>,
    }

    impl Model {
        fn play(&mut self, next: Move) {
            match next {
                Move::Call => {
                    if !self.epochs.is_waited_for() {
                        let is_idle = |actor: &Actor| actor.holds.is_none();
                        self.actors
                            .iter_mut()
                            .for_each(|actor| actor.has_heard = is_idle(actor));
                    }
                    let actors = &self.actors;
                    let has_nothing = || actors.iter().map(|actor| actor.holds.is_none());
                    let party = self.epochs.enter(|| has_nothing().collect());
                    self.calls.push((party, self.works));
                }
                Move::GiveUp(call) if !self.calls.is_empty() => {
                    let (party, _) = self.calls.swap_remove(call % self.calls.len());
                    self.epochs.give_up(party);
                }
                Move::Send(to) => {
                    let tag = marked(&mut self.epochs);
                    self.epochs.sent(to);
                    self.works += 1;
                    self.mailboxes[to].push_back((self.works, tag));
                }
                Move::HandOff(to) if self.actors[to].holds.is_none() => {
                    let mut letter = letter();
                    self.epochs.give(to, &mut letter);
                    self.works += 1;
                    self.actors[to].holds = Some((self.works, letter.note().epoch));
                }
                Move::Take(actor, from) if self.actors[actor].unnoted.is_none() => {
                    self.take(actor, from);
                    self.note(actor);
                }
                Move::TakeUnseen(actor, from)
                    if !self.actors[actor].has_heard && self.actors[actor].unnoted.is_none() =>
                {
                    // Its own thread cannot have heard less than who sent the work.
                    self.take(actor, from);
                }
                Move::Note(actor) => self.note(actor),
                Move::Rest(actor) if self.actors[actor].unnoted.is_none() => {
                    self.actors[actor].holds = None;
                    self.actors[actor].has_heard = true;
                    self.epochs.holds_nothing(actor);
                }
                _ => {}
            }
        }

        fn take(&mut self, actor: usize, from: usize) {
            if let Some(work) = self.mailboxes[from].pop_front() {
                self.actors[actor].holds = Some(work);
                self.actors[actor].unnoted = Some(from);
            }
        }

        fn note(&mut self, id: usize) {
            let actor = &mut self.actors[id];
            if let Some((from, (_, tag))) = actor.unnoted.take().zip(actor.holds) {
                actor.has_heard = self.epochs.is_waited_for();
                self.epochs.taken(id, Some(from), tag);
            }
        }

        /// Is there an unfinished work among the first so many?
        fn is_one_left(&self, works: usize) -> bool {
            let held = self.actors.iter().filter_map(|actor| actor.holds);
            let mut left = self.mailboxes.iter().flatten().copied().chain(held);
            left.any(|(work, _)| work <= works)
        }

        /// Whose wait is over has nothing left to wait for; and if all has been noted,
        /// who has nothing left to wait for waits no longer.
        fn check(&mut self) -> TestCaseResult {
            let held = |id: usize| self.mailboxes[id].len();
            self.epochs.end_if_over(held);
            let is_noted = |actor: &Actor| actor.has_heard && actor.unnoted.is_none();
            let all_is_noted = self.actors.iter().all(is_noted);
            for (party, works) in &self.calls {
                if self.epochs.is_over(*party) {
                    prop_assert!(!self.is_one_left(*works));
                } else {
                    prop_assert!(self.is_one_left(*works) || !all_is_noted);
                }
            }
            let epochs = &self.epochs;
            self.calls.retain(|(party, _)| !epochs.is_over(*party));
            prop_assert_eq!(self.epochs.is_waited_for(), !self.calls.is_empty());
            Ok(())
        }
    }

    proptest! {
        /// Each call waits for the works accepted before it, and for no others.
        #[test]
        fn each_call_waits_for_what_was_accepted_before_it(moves in vec(moves(), 0..60)) {
            let mut model = Model::default();
            for next in moves {
                model.play(next);
                model.check()?;
            }
        }
    }
}

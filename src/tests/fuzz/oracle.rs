//! The contract as rules for a log.

use super::log::{Answer, Call, Event, Log, Outcome};
use super::program::{Patience, Program, Settings, Via};
use crate::Stats;

/// The time of an event that has not happened.
const NEVER: usize = usize::MAX;

/// The events of one work, with their times.
#[derive(Clone, Copy, Debug)]
struct Life {
    call: usize,
    via: Call,
    on_actor: bool,
    answered: usize,
    answer: Option<Answer>,
    begun: usize,
    begins: usize,
    ended: usize,
    outcome: Option<Outcome>,
    dropped: usize,
    drops: usize,
    fault_dropped: usize,
    handled: usize,
    handler_ended: usize,
    handler_calls: usize,
    returned: bool,
}

const UNASSIGNED: Life = Life {
    call: NEVER,
    via: Call::Reassign,
    on_actor: false,
    answered: NEVER,
    answer: None,
    begun: NEVER,
    begins: 0,
    ended: NEVER,
    outcome: None,
    dropped: NEVER,
    drops: 0,
    fault_dropped: NEVER,
    handled: NEVER,
    handler_ended: NEVER,
    handler_calls: 0,
    returned: false,
};

impl Life {
    fn accepted(&self) -> bool {
        self.answer == Some(Answer::Accepted)
    }

    fn is_full(&self) -> bool {
        matches!(self.answer, Some(Answer::Full | Answer::WouldDeadlock))
    }

    fn fails(&self) -> bool {
        self.outcome.is_some_and(|outcome| outcome != Outcome::Good)
    }

    /// Returns the time from which nothing of an accepted work was left.
    fn finished(&self, has_handler: bool) -> usize {
        let mut last = self.dropped;
        if self.begun != NEVER && self.ended == NEVER {
            return NEVER;
        }
        if self.fails() {
            last = last.max(self.fault_dropped);
            if has_handler {
                last = last.max(self.handler_ended);
            }
        }
        last
    }

    /// Returns the time from which the troupe certainly had the work.
    fn surely(&self) -> usize {
        if self.accepted() {
            self.answered.min(self.begun)
        } else {
            NEVER
        }
    }
}

fn lives(events: &[Event], works: usize) -> Vec<Life> {
    let mut lives = vec![UNASSIGNED; works];
    for (at, event) in events.iter().enumerate() {
        match *event {
            Event::Call {
                work,
                via,
                on_actor,
            } => {
                let life = &mut lives[work];
                (life.call, life.via, life.on_actor) = (at, via, on_actor);
            }
            Event::Answer { work, answer } => {
                (lives[work].answered, lives[work].answer) = (at, Some(answer));
            }
            Event::Begin { work, .. } => {
                lives[work].begun = at;
                lives[work].begins += 1;
            }
            Event::End { work, outcome } => {
                (lives[work].ended, lives[work].outcome) = (at, Some(outcome));
            }
            Event::Dropped { work } => {
                lives[work].dropped = at;
                lives[work].drops += 1;
            }
            Event::FaultDropped { work } => lives[work].fault_dropped = at,
            Event::Handler { work } => {
                lives[work].handled = at;
                lives[work].handler_calls += 1;
            }
            Event::HandlerEnd { work, .. } => lives[work].handler_ended = at,
            Event::Returned { work } => lives[work].returned = true,
            _ => {}
        }
    }
    lives
}

/// Returns how many works may have been accepted and are not finished.
pub(crate) fn unfinished(events: &[Event], works: usize, has_handler: bool) -> usize {
    lives(events, works)
        .iter()
        .filter(|life| {
            life.call != NEVER && life.answer.is_none_or(|answer| answer == Answer::Accepted)
        })
        .filter(|life| life.answer.is_none() || life.finished(has_handler) == NEVER)
        .count()
}

/// Checks the log of a program that has ended.
pub(crate) fn check(program: &Program, log: &Log) -> Result<(), String> {
    if let Some(violation) = &log.violation {
        return Err(violation.clone());
    }
    let case = Case {
        program,
        settings: &program.settings,
        events: &log.events,
        lives: lives(&log.events, log.works),
    };
    case.exactly_once()?;
    case.answers()?;
    case.endings()?;
    case.full()?;
    case.idle()?;
    case.order()?;
    case.snapshots()?;
    case.last_snapshot()
}

struct Case<'a> {
    program: &'a Program,
    settings: &'a Settings,
    events: &'a [Event],
    lives: Vec<Life>,
}

macro_rules! claim {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}

impl Case<'_> {
    /// Each work is run, returned or refused exactly once. It is dropped once, and a failure is
    /// handled once.
    fn exactly_once(&self) -> Result<(), String> {
        for (work, life) in self.lives.iter().enumerate() {
            let ways = usize::from(!life.accepted()) + usize::from(life.returned) + life.begins;
            claim!(
                ways == 1,
                "exactly once: work {work} was {:?}, begun {} times, returned: {}",
                life.answer,
                life.begins,
                life.returned
            );
            claim!(
                life.drops == 1,
                "dropped once: work {work} was dropped {} times",
                life.drops
            );
            let calls = usize::from(life.fails() && self.program.has_handler);
            claim!(
                life.handler_calls == calls,
                "handled once: work {work} was handled {} times",
                life.handler_calls
            );
            let is_left = life.fails() && life.fault_dropped == NEVER;
            claim!(
                !is_left,
                "dropped once: the error of work {work} was not dropped"
            );
        }
        Ok(())
    }

    fn answers(&self) -> Result<(), String> {
        let shutdown = self.first(|event| matches!(event, Event::Shutdown));
        let settings = self.settings;
        for (work, life) in self.lives.iter().enumerate() {
            let fits = match life.answer {
                None => false,
                Some(Answer::Accepted) => true,
                Some(Answer::Full) => life.via != Call::Reassign && life.via != Call::By(Via::Wait),
                Some(Answer::ShuttingDown) => true,
                Some(Answer::Spawn) => {
                    settings.is_dynamic && settings.min == 0 && !settings.is_sure
                }
                Some(Answer::WouldDeadlock) => {
                    life.on_actor && matches!(life.via, Call::By(Via::Wait | Via::Timeout))
                }
            };
            // A second reassign is an ordinary assign.
            let fits = fits || life.via == Call::Reassign && self.is_second_reassign(work);
            claim!(
                fits,
                "answers: {:?} to work {work}: {:?}",
                life.answer,
                life.via
            );
            let is_dropped = !matches!(
                self.program.ending,
                super::program::Ending::Join
                    | super::program::Ending::Now
                    | super::program::Ending::Fill
                    | super::program::Ending::JoinFirst
            );
            let too_soon = life.answer == Some(Answer::ShuttingDown)
                && life.answered < shutdown
                && !is_dropped;
            claim!(
                !too_soon,
                "answers: work {work} met a shutdown before there was one"
            );
        }
        Ok(())
    }

    /// Returns `true` if the handler that reassigned the work had reassigned another before.
    fn is_second_reassign(&self, work: usize) -> bool {
        let call = self.lives[work].call;
        let handler = |life: &Life| life.handled < call && call < life.handler_ended;
        self.lives
            .iter()
            .filter(|life| handler(life))
            .any(|failed| {
                self.lives.iter().any(|other| {
                    other.via == Call::Reassign && failed.handled < other.call && other.call < call
                })
            })
    }

    fn first(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().position(is_it).unwrap_or(NEVER)
    }

    /// The promises of a shutdown, a `shutdown_now` and a join.
    fn endings(&self) -> Result<(), String> {
        let mut firsts = 0;
        let mut ended = NEVER;
        let mut halted = NEVER;
        let mut late = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            match *event {
                Event::ShutdownEnd { first, now } => {
                    firsts += usize::from(first);
                    ended = ended.min(at);
                    if now {
                        halted = halted.min(at);
                    }
                }
                Event::Joined { done: true, .. } => {
                    for (work, life) in self
                        .lives
                        .iter()
                        .enumerate()
                        .filter(|(_, life)| life.surely() < at)
                    {
                        let is_done = life.returned || life.finished(self.program.has_handler) < at;
                        claim!(is_done, "join: returned before work {work} was finished");
                    }
                    let gone = self.events[..at]
                        .iter()
                        .any(|event| matches!(event, Event::HandlerGone));
                    claim!(
                        gone || !self.program.has_handler,
                        "join: returned before the handler was dropped"
                    );
                }
                // An actor may have started a work whose closure had not begun.
                Event::Begin { work, actor } if at > halted => {
                    claim!(
                        !late.contains(&actor),
                        "shutdown_now: work {work} has begun afterwards"
                    );
                    late.push(actor);
                }
                _ => {}
            }
        }
        claim!(firsts <= 1, "shutdown: {firsts} calls were the first");
        for (work, life) in self.lives.iter().enumerate() {
            let fits = life.call < ended || life.answer == Some(Answer::ShuttingDown);
            claim!(
                fits,
                "shutdown: work {work} was assigned afterwards: {:?}",
                life.answer
            );
        }
        Ok(())
    }

    /// Returns an upper bound of the taken places at each instant.
    fn taken(&self) -> Vec<usize> {
        // The last work that each actor has begun, until the actor is known to be idle.
        let mut actors: Vec<(usize, usize)> = Vec::new();
        let mut waiting = 0_usize;
        // A refused call has not taken a place meanwhile, except one with a new actor whose
        // thread the system has refused.
        let is_refused = self.is_refused();
        let passes = |work: usize| !is_refused && self.lives[work].is_full();
        let mut taken = Vec::with_capacity(self.events.len());
        for event in self.events {
            match *event {
                Event::Call { work, .. } if !passes(work) => waiting += 1,
                Event::Answer { work, answer } => {
                    // Until its answer, the work may have been in the place of another.
                    let leaves = answer != Answer::Accepted && !passes(work);
                    waiting -= usize::from(leaves);
                }
                Event::Begin { work, actor } => {
                    waiting -= 1;
                    actors.retain(|(other, _)| *other != actor);
                    actors.push((actor, work));
                }
                Event::Returned { .. } => waiting -= 1,
                Event::WaitIdleEnd { since, done: true } => {
                    let finished =
                        |work: usize| self.lives[work].finished(self.program.has_handler);
                    actors.retain(|(_, work)| finished(*work) > since);
                }
                _ => {}
            }
            taken.push(waiting + actors.len().min(self.settings.max));
        }
        taken
    }

    /// Returns `true` if the system has refused a thread.
    fn is_refused(&self) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, Event::Looked { stats, .. } if stats.spawn_failures > 0))
    }

    fn full(&self) -> Result<(), String> {
        if !self.lives.iter().any(Life::is_full) {
            return Ok(());
        }
        let least = if self.is_refused() {
            self.settings.mailbox + 1
        } else {
            self.settings.capacity()
        };
        let taken = self.taken();
        for (work, life) in self
            .lives
            .iter()
            .enumerate()
            .filter(|(_, life)| life.is_full())
        {
            // The work itself does not count, and is gone at its answer.
            let own = usize::from(self.is_refused());
            let others = &taken[life.call..life.answered];
            let most = others.iter().max().map_or(0, |most| most - own);
            claim!(
                most >= least,
                "full: work {work} was refused, and at most {most} of {least} places were taken"
            );
        }
        Ok(())
    }

    fn idle(&self) -> Result<(), String> {
        for (at, event) in self.events.iter().enumerate() {
            let Event::WaitIdleEnd { since, done: true } = *event else {
                continue;
            };
            let has_handler = self.program.has_handler;
            for (work, life) in self.lives.iter().enumerate() {
                let is_early =
                    life.accepted() && life.answered < since && !matches!(life.via, Call::Reassign);
                let is_done = life.returned || life.finished(has_handler) < at;
                claim!(
                    !is_early || is_done,
                    "wait_idle: returned before work {work} was finished"
                );
            }
            let is_idle = |now: usize| {
                self.lives.iter().all(|life| {
                    // A returned work leaves the troupe at an instant that no event shows.
                    life.returned || life.surely() > now || life.finished(has_handler) <= now
                })
            };
            claim!(
                (since..=at).any(is_idle),
                "wait_idle: returned at {at}, and the troupe was never idle after {since}"
            );
        }
        Ok(())
    }

    /// With one actor, works begin in the order of acceptance, except that a retry comes first.
    fn order(&self) -> Result<(), String> {
        if self.settings.max > 1 {
            return Ok(());
        }
        let runs = |life: &&Life| life.accepted() && life.begun != NEVER;
        for life in self.lives.iter().filter(runs) {
            for other in self.lives.iter().filter(runs) {
                let retries = [life, other].iter().any(|life| life.via == Call::Reassign);
                let fits = retries || life.answered > other.call || life.begun < other.begun;
                claim!(
                    fits,
                    "order: a work was accepted at {} and begun after another",
                    life.answered
                );
            }
            if life.via == Call::Reassign && life.begun != NEVER {
                let first = self
                    .lives
                    .iter()
                    .filter(|other| other.begun > life.answered && other.begun != NEVER);
                let is_next = first.map(|other| other.begun).min() == Some(life.begun);
                let work = self
                    .lives
                    .iter()
                    .position(|other| other.call == life.call)
                    .unwrap_or(0);
                claim!(
                    is_next || self.is_second_reassign(work),
                    "order: a retry was accepted at {} and was not the next",
                    life.answered
                );
            }
        }
        Ok(())
    }

    /// Returns the highest number of works that ran at once up to an instant.
    fn ran_at_once(&self, until: usize) -> usize {
        let mut now = 0_usize;
        let mut most = 0;
        for event in &self.events[..until] {
            match event {
                Event::Begin { .. } => now += 1,
                Event::End { .. } => now -= 1,
                _ => {}
            }
            most = most.max(now);
        }
        most
    }

    fn snapshots(&self) -> Result<(), String> {
        let shutdown = self.first(|event| matches!(event, Event::Shutdown));
        let mut looks: Vec<(usize, usize, &Stats)> = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            let Event::Looked { since, stats } = event else {
                continue;
            };
            self.inequalities(stats)?;
            let before = |at: usize| {
                self.lives
                    .iter()
                    .filter(move |life| life.accepted() && life.answered < at)
                    .count() as u64
            };
            let called = self
                .lives
                .iter()
                .filter(|life| life.accepted() && life.call < at)
                .count() as u64;
            claim!(
                before(*since) <= stats.accepted && stats.accepted <= called,
                "accepted: between {} and {called}: {stats:?}",
                before(*since)
            );
            let refused = |life: &&Life| !life.accepted();
            let least = self
                .lives
                .iter()
                .filter(refused)
                .filter(|life| life.answered < *since)
                .count() as u64;
            let most = self
                .lives
                .iter()
                .filter(refused)
                .filter(|life| life.call < at)
                .count() as u64;
            claim!(
                (least..=most).contains(&stats.refused),
                "refused: between {least} and {most}: {stats:?}"
            );
            let ended = |is_it: fn(Outcome) -> bool| {
                self.lives
                    .iter()
                    .filter(|life| life.ended < at && life.outcome.is_some_and(is_it))
                    .count() as u64
            };
            claim!(
                stats.completed <= ended(|outcome| outcome == Outcome::Good)
                    && stats.failed <= ended(|outcome| outcome == Outcome::Error)
                    && stats.panicked
                        <= ended(|outcome| matches!(outcome, Outcome::Panic | Outcome::DropPanic)),
                "finished: more than there are: {stats:?}"
            );
            let is_dropped = matches!(
                self.program.ending,
                super::program::Ending::Drop | super::program::Ending::DropOnActor
            );
            if at < shutdown && !is_dropped {
                claim!(stats.actors >= self.settings.fewest(), "min: {stats:?}");
            }
            for (_, _, earlier) in looks.iter().filter(|(_, end, _)| end < since) {
                grows(earlier, stats)?;
            }
            looks.push((*since, at, stats));
        }
        Ok(())
    }

    fn inequalities(&self, stats: &Stats) -> Result<(), String> {
        let settings = self.settings;
        let finished = stats.completed + stats.failed + stats.panicked + stats.returned;
        let first = settings.first() as u64;
        let rules = [
            (
                "the finished exceed the accepted",
                finished <= stats.accepted,
            ),
            ("capacity", stats.capacity == settings.capacity()),
            (
                "queued and running exceed the capacity",
                stats.queued + stats.running <= stats.capacity,
            ),
            ("more actors than max", stats.actors <= settings.max),
            ("more idle than actors", stats.idle <= stats.actors),
            ("more actors than peak", stats.actors <= stats.peak),
            ("peak above max", stats.peak <= settings.max),
            (
                "peak below initial",
                stats.peak as u64 >= first || settings.idle_timeout != Patience::Never,
            ),
            (
                "more retired than there were",
                stats.retired <= stats.grown + first,
            ),
            (
                "peak above initial and grown",
                stats.peak as u64 <= first + stats.grown,
            ),
            ("more running than actors", stats.running <= stats.actors),
            (
                "a sure thread was refused",
                stats.spawn_failures == 0 || !settings.is_sure,
            ),
            (
                "a fixed troupe grows",
                settings.is_dynamic || stats.grown + stats.retired == 0,
            ),
        ];
        for (name, holds) in rules {
            claim!(holds, "stats: {name}: {stats:?}");
        }
        Ok(())
    }

    /// After the end of the troupe, the counters are exact.
    fn last_snapshot(&self) -> Result<(), String> {
        let is_dropped = matches!(
            self.program.ending,
            super::program::Ending::Drop | super::program::Ending::DropOnActor
        );
        let Some((at, stats)) = self
            .events
            .iter()
            .enumerate()
            .rev()
            .find_map(|(at, event)| match event {
                Event::Looked { stats, .. } => Some((at, stats)),
                _ => None,
            })
        else {
            return Ok(());
        };
        let most = self.ran_at_once(at);
        claim!(
            stats.peak >= most,
            "peak: {most} works ran at once: {stats:?}"
        );
        if is_dropped {
            return Ok(());
        }
        let count = |is_it: &dyn Fn(&Life) -> bool| {
            self.lives.iter().filter(|life| is_it(life)).count() as u64
        };
        let outcome = |wanted: Outcome| count(&|life| life.outcome == Some(wanted));
        let handler_panics = self
            .events
            .iter()
            .filter(|event| matches!(event, Event::HandlerEnd { panics: true, .. }));
        // The snapshot comes before the assign that follows the end.
        let refused = count(&|life| !life.accepted() && life.call < at);
        let rules = [
            ("accepted", stats.accepted, count(&Life::accepted)),
            ("refused", stats.refused, refused),
            ("completed", stats.completed, outcome(Outcome::Good)),
            ("failed", stats.failed, outcome(Outcome::Error)),
            (
                "panicked",
                stats.panicked,
                outcome(Outcome::Panic) + outcome(Outcome::DropPanic),
            ),
            ("returned", stats.returned, count(&|life| life.returned)),
            (
                "handler_panics",
                stats.handler_panics,
                handler_panics.count() as u64,
            ),
            ("queued", stats.queued as u64, 0),
            ("running", stats.running as u64, 0),
            ("actors", stats.actors as u64, 0),
            ("idle", stats.idle as u64, 0),
        ];
        for (name, found, expected) in rules {
            claim!(
                found == expected,
                "at the end: {name} should be {expected}: {stats:?}"
            );
        }
        Ok(())
    }
}

/// Checks that no counter has fallen.
fn grows(earlier: &Stats, later: &Stats) -> Result<(), String> {
    let counters = |stats: &Stats| {
        [
            stats.accepted,
            stats.refused,
            stats.completed,
            stats.failed,
            stats.panicked,
            stats.returned,
            stats.grown,
            stats.retired,
            stats.shared,
            stats.spawn_failures,
            stats.handler_panics,
            stats.peak as u64,
        ]
    };
    let grown = counters(earlier)
        .iter()
        .zip(counters(later))
        .all(|(earlier, later)| *earlier <= later);
    claim!(grown, "counters fall: {earlier:?}, then {later:?}");
    Ok(())
}

//! The contract as rules for a log.

use super::log::{Answer, Call, Event, Log, Made, Outcome, Told};
use super::program::{Hook, Patience, Program, Settings, Via};
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
    /// The handler has received the work itself, whose deadline had passed.
    expired: bool,
    returned: bool,
    returned_at: usize,
    /// The failed work whose handler has assigned this one.
    origin: Option<usize>,
    /// The work was assigned again under another number.
    renewed: bool,
    hand_begins: usize,
    hand_outcome: Option<Outcome>,
    made: Made,
    has_reply: bool,
    has_deadline: bool,
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
    expired: false,
    returned: false,
    returned_at: NEVER,
    origin: None,
    renewed: false,
    hand_begins: 0,
    hand_outcome: None,
    made: Made {
        first: 0,
        spec: None,
        key: None,
    },
    has_reply: false,
    has_deadline: false,
};

/// The events of one reply, with their times.
#[derive(Clone, Debug, Default)]
struct ReplyLife {
    /// Each call of `cancel`, with its result, and when it had returned.
    cancels: Vec<(usize, usize, bool)>,
    /// When the drop began, and whether it cancels.
    dropping: Option<(usize, bool)>,
    gone: Option<usize>,
    answers: Vec<(usize, Told, Option<bool>)>,
    looks: Vec<(usize, bool)>,
    waker_panics: u64,
}

impl ReplyLife {
    fn is_cancelled(&self) -> bool {
        self.cancels.iter().any(|(_, _, done)| *done)
    }

    /// Returns `true` if somebody had begun to cancel by then, perhaps in vain.
    fn may_be_cancelled(&self, by: usize) -> bool {
        self.cancels.iter().any(|(begun, _, _)| *begun < by)
            || self
                .dropping
                .is_some_and(|(begun, cancels)| cancels && begun < by)
    }

    /// Returns the answer, and when it was first seen.
    fn answer(&self) -> Option<(usize, Told)> {
        let is_answer = |told| !matches!(told, Told::WouldDeadlock | Told::Taken);
        let mut answers = self.answers.iter().filter(|(_, told, _)| is_answer(*told));
        answers.next().map(|(at, told, _)| (*at, *told))
    }

    /// Returns when the reply was first seen to have resolved.
    fn resolved(&self) -> usize {
        let looks = self.looks.iter().filter(|(_, is)| *is).map(|(at, _)| *at);
        let answers = self.answers.iter().map(|(at, told, _)| (*at, *told));
        let answers = answers.filter(|(_, told)| *told != Told::WouldDeadlock);
        looks
            .chain(answers.map(|(at, _)| at))
            .min()
            .unwrap_or(NEVER)
    }
}

fn replies(events: &[Event], works: usize) -> Vec<ReplyLife> {
    let mut replies = vec![ReplyLife::default(); works];
    for (at, event) in events.iter().enumerate() {
        match *event {
            Event::Cancel { reply } => replies[reply].cancels.push((at, NEVER, false)),
            Event::CancelEnd { reply, done } => {
                if let Some(last) = replies[reply].cancels.last_mut() {
                    (last.1, last.2) = (at, done);
                }
            }
            Event::ReplyDropping { reply, cancels } => {
                replies[reply].dropping = Some((at, cancels));
            }
            Event::ReplyGone { reply } => replies[reply].gone = Some(at),
            Event::Told { reply, told, waits } => replies[reply].answers.push((at, told, waits)),
            Event::Finished { reply, is_finished } => replies[reply].looks.push((at, is_finished)),
            Event::WakerPanic { reply } => replies[reply].waker_panics += 1,
            _ => {}
        }
    }
    replies
}

impl Life {
    fn accepted(&self) -> bool {
        self.answer == Some(Answer::Accepted)
    }

    fn is_full(&self) -> bool {
        matches!(self.answer, Some(Answer::Full | Answer::WouldDeadlock))
    }

    /// The work was accepted, and neither begun nor returned: it has expired or was cancelled.
    fn lapsed(&self) -> bool {
        self.accepted() && self.begins == 0 && !self.returned
    }

    /// Returns when the work had its turn, whether it began, expired or was cancelled.
    fn started(&self) -> usize {
        if !self.accepted() || self.returned {
            return NEVER;
        }
        let expired = if self.expired { self.handled } else { NEVER };
        self.begun.min(self.dropped).min(expired)
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
        // The failure of a work with a reply may be the caller's.
        let is_handled = self.handled != NEVER || self.fails() && has_handler && !self.has_reply;
        if is_handled {
            last = last.max(self.handler_ended);
        }
        if self.fails() && (is_handled || !self.has_reply) {
            last = last.max(self.fault_dropped);
        }
        last
    }

    /// Returns the time from which the troupe certainly had the work.
    fn surely(&self) -> usize {
        if self.accepted() {
            self.answered.min(self.started())
        } else {
            NEVER
        }
    }
}

fn lives(program: &Program, log: &Log) -> Vec<Life> {
    let events = &log.events;
    let life = |made: &Made| {
        let own = made.spec.map(|spec| &program.works[spec]);
        Life {
            made: *made,
            has_reply: own.is_some_and(|own| own.shape.has_reply()),
            has_deadline: own.is_some_and(|own| own.has_deadline),
            ..UNASSIGNED
        }
    };
    let mut lives: Vec<Life> = log.works.iter().map(life).collect();
    for (at, event) in events.iter().enumerate() {
        match *event {
            Event::Call {
                work,
                via,
                on_actor,
                origin,
            } => {
                let life = &mut lives[work];
                (life.call, life.via, life.on_actor) = (at, via, on_actor);
                life.origin = origin;
            }
            Event::Renewed { work } => {
                // An expired work comes back without its deadline.
                if lives[work].expired {
                    let first = lives[work].made.first;
                    let later = lives[work + 1..].iter_mut();
                    later
                        .filter(|life| life.made.first == first)
                        .for_each(|life| life.has_deadline = false);
                }
                lives[work].renewed = true;
                lives[work].dropped = at;
                lives[work].drops += 1;
            }
            Event::Expired { work } => {
                lives[work].handled = at;
                lives[work].handler_calls += 1;
                lives[work].expired = true;
            }
            Event::HandBegin { work } => lives[work].hand_begins += 1,
            Event::HandEnd { work, outcome } => lives[work].hand_outcome = Some(outcome),
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
            Event::Returned { work } => {
                (lives[work].returned, lives[work].returned_at) = (true, at);
            }
            _ => {}
        }
    }
    lives
}

/// Returns how many works may have been accepted and are not finished.
pub(crate) fn unfinished(program: &Program, log: &Log) -> usize {
    let has_handler = program.has_handler;
    lives(program, log)
        .iter()
        .filter(|life| {
            life.call != NEVER && life.answer.is_none_or(|answer| answer == Answer::Accepted)
        })
        .filter(|life| {
            let is_left = life.fails() && life.fault_dropped == NEVER;
            life.answer.is_none() || is_left || life.finished(has_handler) == NEVER
        })
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
        lives: lives(program, log),
        replies: replies(&log.events, log.works.len()),
        hooks: &log.hooks,
    };
    case.exactly_once()?;
    case.answers()?;
    case.endings()?;
    case.full()?;
    case.idle()?;
    case.order()?;
    case.replies()?;
    case.failures()?;
    case.keys()?;
    case.snapshots()?;
    case.last_snapshot()
}

struct Case<'a> {
    program: &'a Program,
    settings: &'a Settings,
    events: &'a [Event],
    lives: Vec<Life>,
    /// By the first number of the work.
    replies: Vec<ReplyLife>,
    /// The threads that have run a hook, and whether it was that of the start.
    hooks: &'a [(usize, bool)],
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
            let reply = &self.replies[life.made.first];
            let may_lapse = life.has_deadline || reply.may_be_cancelled(life.dropped);
            let lapses = life.lapsed() && may_lapse;
            let ways = usize::from(!life.accepted())
                + usize::from(life.returned)
                + life.begins
                + usize::from(lapses);
            claim!(
                ways == 1,
                "exactly once: work {work} was {:?}, begun {} times, returned: {}",
                life.answer,
                life.begins,
                life.returned
            );
            let by_hand = usize::from(life.returned || !life.accepted() || life.expired);
            claim!(
                life.hand_begins <= by_hand,
                "exactly once: work {work} was also run by hand"
            );
            claim!(
                life.drops == 1,
                "dropped once: work {work} was dropped {} times",
                life.drops
            );
            claim!(
                life.begins + life.hand_begins == 0 || !reply.is_cancelled(),
                "cancel: work {work} was cancelled and begun"
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
            // A second reassign is an ordinary assign, and one with another key.
            let fits = fits || life.via == Call::Reassign && !self.is_in_place(work);
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

    /// Returns `true` if the work is a retry in the place of the failed work.
    fn is_in_place(&self, work: usize) -> bool {
        let life = &self.lives[work];
        let has_other_key = life.made.key.is_some()
            && self.settings.max > 1
            && life.origin.and_then(|failed| self.turn(failed)) != life.made.key;
        life.via == Call::Reassign && !has_other_key && !self.is_second_reassign(work)
    }

    /// Returns the key whose turn the work has.
    fn turn(&self, work: usize) -> Option<u8> {
        let life = &self.lives[work];
        let inherited = || {
            let origin = life.origin.filter(|_| self.is_in_place(work))?;
            self.turn(origin)
        };
        life.made.key.or_else(inherited)
    }

    /// Returns `true` if the handler that reassigned the work had reassigned another before.
    fn is_second_reassign(&self, work: usize) -> bool {
        let life = &self.lives[work];
        self.lives.iter().any(|other| {
            other.via == Call::Reassign
                && other.accepted()
                && other.origin == life.origin
                && other.call < life.call
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

    /// Returns an upper bound of the taken places at each instant, without those in line.
    fn taken(&self) -> Vec<usize> {
        // The last work that each actor has begun, until the actor is known to be idle. A hook
        // is no work.
        let mut actors: Vec<(usize, Option<usize>)> = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        // A refused call has not taken a place meanwhile, except one with a new actor whose
        // thread the system has refused.
        let is_refused = self.is_refused();
        let passes = |work: usize| !is_refused && self.lives[work].is_full();
        let starting = self.starting();
        let mut taken = Vec::with_capacity(self.events.len());
        for (event, starting) in self.events.iter().zip(starting) {
            match *event {
                Event::Call { work, .. } if !passes(work) => waiting.push(work),
                // Until its answer, the work may have been in the place of another.
                Event::Answer { work, answer } if answer != Answer::Accepted => {
                    waiting.retain(|other| *other != work);
                }
                Event::Begin { work, actor } => {
                    waiting.retain(|other| *other != work);
                    actors.retain(|(other, _)| *other != actor);
                    actors.push((actor, Some(work)));
                }
                Event::Hook { actor } => {
                    actors.retain(|(other, _)| *other != actor);
                    actors.push((actor, None));
                }
                Event::Dropped { work } | Event::Returned { work }
                    if self.lives[work].accepted() =>
                {
                    let before = waiting.len();
                    waiting.retain(|other| *other != work);
                    // The actor that drops a work that has lapsed is not known.
                    if waiting.len() < before && self.lives[work].lapsed() {
                        actors.push((NEVER - work, Some(work)));
                    }
                }
                Event::HandlerEnd { work, .. } if self.lives[work].expired => {
                    waiting.retain(|other| *other != work);
                    actors.push((NEVER - work, Some(work)));
                }
                Event::WaitIdleEnd { since, done: true } => {
                    let finished =
                        |work: usize| self.lives[work].finished(self.program.has_handler);
                    actors.retain(|(_, work)| work.is_none_or(|work| finished(work) > since));
                }
                _ => {}
            }
            // At most one work of a key is not in line.
            let key = |work: usize| self.lives[work].made.key.filter(|_| self.settings.max > 1);
            let is_first = |at: usize, own: Option<u8>| {
                own.is_none() || !waiting[..at].iter().any(|other| key(*other) == own)
            };
            let outside = (0..waiting.len()).filter(|at| is_first(*at, key(waiting[*at])));
            let actors = (actors.len() + starting).min(self.settings.max);
            taken.push(outside.count() + actors);
        }
        taken
    }

    /// Returns how many actors may be about to run their first hook at each instant. The place
    /// of such an actor is the hook's, and its mailbox is open already.
    fn starting(&self) -> Vec<usize> {
        let mut starting = vec![0; self.events.len()];
        for (at, event) in self.events.iter().enumerate() {
            if let Event::Hook { .. } = event {
                let since = self.shown_before(at);
                starting[since..at].iter_mut().for_each(|many| *many += 1);
            }
        }
        starting
    }

    /// Returns an upper bound of the taken places in line at each instant.
    fn taken_in_line(&self) -> Vec<usize> {
        let is_in_line = |work: usize| {
            let life = &self.lives[work];
            life.made.key.is_some() && !life.is_full()
        };
        let mut waiting: Vec<usize> = Vec::new();
        let mut taken = Vec::with_capacity(self.events.len());
        for event in self.events {
            match *event {
                Event::Call { work, .. } if is_in_line(work) => waiting.push(work),
                Event::Answer { work, answer } if answer != Answer::Accepted => {
                    waiting.retain(|other| *other != work);
                }
                Event::Begin { work, .. }
                | Event::Dropped { work }
                | Event::Returned { work }
                | Event::Expired { work } => waiting.retain(|other| *other != work),
                _ => {}
            }
            taken.push(waiting.len());
        }
        taken
    }

    /// Returns `true` if a keyed work may have met a taken key and a full line.
    fn is_line_full(&self, work: usize, taken: &[usize]) -> bool {
        let life = &self.lives[work];
        if life.made.key.is_none() || self.settings.max == 1 {
            return false;
        }
        let has_handler = self.program.has_handler;
        let is_taken = (0..self.lives.len()).any(|other| {
            let holder = &self.lives[other];
            other != work
                && self.turn(other) == life.made.key
                && holder.accepted()
                && holder.call < life.answered
                && (holder.returned || holder.finished(has_handler) > self.shown_before(life.call))
        });
        let most = taken[life.call..life.answered].iter().max();
        is_taken && most >= Some(&self.settings.places_in_line())
    }

    /// Returns the latest time before `at` from which on all threads have been seen between two
    /// works. An actor that has finished a work may not have passed its key on yet.
    fn shown_before(&self, at: usize) -> usize {
        let idle = |event: &Event| match *event {
            Event::WaitIdleEnd { since, done: true } => Some(since),
            _ => None,
        };
        let mut before = self.events[..at].iter().rev();
        before.find_map(idle).unwrap_or(0)
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
        let in_line = self.taken_in_line();
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
                most >= least || self.is_line_full(work, &in_line),
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

    /// Each reply resolves once, with what became of its work.
    fn replies(&self) -> Result<(), String> {
        for (first, reply) in self.replies.iter().enumerate() {
            let Some(last) = self.lives.iter().rposition(|life| life.made.first == first) else {
                continue;
            };
            let life = &self.lives[last];
            if !life.has_reply {
                continue;
            }
            claim!(
                reply.gone.is_some(),
                "reply: that of work {first} is not gone"
            );
            let resolved = reply.resolved();
            claim!(
                resolved == NEVER || reply.is_cancelled() || life.dropped < resolved,
                "reply: that of work {last} resolved before its captures were dropped"
            );
            claim!(
                !reply.looks.iter().any(|(at, is)| !is && *at > resolved),
                "reply: that of work {last} had resolved and then had not"
            );
            let mut is_taken = false;
            for (at, told, waits) in &reply.answers {
                let fits = match told {
                    Told::WouldDeadlock => *waits == Some(true) && !is_taken,
                    Told::Taken => is_taken,
                    told => {
                        let fits = !is_taken && self.is_right(life, reply, *at, *told);
                        is_taken = true;
                        fits
                    }
                };
                claim!(
                    fits,
                    "reply: work {last} was told {told:?}: {life:?} {reply:?}"
                );
            }
            self.resolves_in_time(last, reply)?;
        }
        for (at, event) in self.events.iter().enumerate() {
            if let Event::Token { work, is_cancelled } = *event {
                let reply = &self.replies[self.lives[work].made.first];
                let ended = reply.cancels.iter().any(|(_, end, _)| *end < at)
                    || reply.dropping.is_some_and(|(_, cancels)| cancels)
                        && reply.gone.is_some_and(|gone| gone < at);
                let fits = if is_cancelled {
                    reply.may_be_cancelled(at)
                } else {
                    !ended
                };
                claim!(fits, "token: work {work} is told {is_cancelled}: {reply:?}");
            }
        }
        Ok(())
    }

    fn is_right(&self, life: &Life, reply: &ReplyLife, at: usize, told: Told) -> bool {
        let outcome = life.outcome.or(life.hand_outcome);
        let is_dropped = life.dropped < at;
        let never_ran = life.begins + life.hand_begins == 0;
        match told {
            Told::Value => outcome == Some(Outcome::Good) && is_dropped,
            Told::Error => outcome == Some(Outcome::Error) && is_dropped,
            Told::Panic => {
                matches!(outcome, Some(Outcome::Panic | Outcome::DropPanic)) && is_dropped
            }
            Told::Expired => {
                life.lapsed() && life.has_deadline && !reply.is_cancelled() && is_dropped
            }
            Told::Cancelled => never_ran && reply.is_cancelled(),
            Told::Dropped => {
                never_ran
                    && !reply.is_cancelled()
                    && is_dropped
                    && (life.returned || !life.accepted())
            }
            Told::WouldDeadlock | Told::Taken => false,
        }
    }

    /// When nothing of a work is left, by the word of the troupe, its reply has resolved.
    fn resolves_in_time(&self, work: usize, reply: &ReplyLife) -> Result<(), String> {
        let life = &self.lives[work];
        for (look, _) in reply.looks.iter().filter(|(_, is)| !is) {
            let is_covered = |event: &Event| match *event {
                Event::WaitIdleEnd { since, done: true } => {
                    life.accepted() && life.answered < since && !life.returned
                }
                Event::Joined { done: true } => life.accepted() && !life.returned,
                _ => false,
            };
            claim!(
                !self.events[..*look].iter().any(is_covered),
                "reply: that of work {work} has not resolved after the troupe was idle"
            );
            let is_cancelled = reply
                .cancels
                .iter()
                .any(|(_, end, done)| *done && end < look);
            claim!(
                !is_cancelled,
                "reply: work {work} was cancelled, and its reply has not resolved"
            );
        }
        Ok(())
    }

    /// A failure reaches the handler or the caller, never both, never neither.
    fn failures(&self) -> Result<(), String> {
        for (work, life) in self.lives.iter().enumerate() {
            let reply = &self.replies[life.made.first];
            let may_expire = life.lapsed() && life.has_deadline && !reply.is_cancelled();
            let calls = life.handler_calls;
            if !self.program.has_handler || !(life.fails() || may_expire) {
                claim!(calls == 0, "handled once: work {work} had not failed");
                continue;
            }
            claim!(
                life.expired == life.lapsed() || calls == 0,
                "handled once: work {work} expired, or failed, and the handler was told otherwise"
            );
            let (least, most) = if !life.has_reply {
                (1, 1)
            } else if reply.resolved() != NEVER {
                (0, 0)
            } else if life.lapsed() && reply.may_be_cancelled(NEVER) {
                (0, 1)
            } else {
                // A reply that is gone before the work has ended cannot have the failure.
                let ended = if life.lapsed() {
                    life.dropped
                } else {
                    life.ended
                };
                let is_gone = if life.lapsed() {
                    reply.gone.is_some_and(|gone| gone < life.call)
                } else {
                    reply.gone.is_some_and(|gone| gone < ended)
                };
                (usize::from(is_gone), 1)
            };
            claim!(
                (least..=most).contains(&calls),
                "handled once: work {work} was handled {calls} times, not {least} to {most}"
            );
        }
        Ok(())
    }

    /// Works of a key have their turns one at a time, in the order of acceptance, and a retry
    /// has that of the failed work.
    fn keys(&self) -> Result<(), String> {
        if self.settings.max == 1 {
            return Ok(());
        }
        let has_handler = self.program.has_handler;
        let mut turns: Vec<(u8, usize, bool)> = Vec::new();
        for work in 0..self.lives.len() {
            if let Some(key) = self.turn(work).filter(|_| self.lives[work].accepted()) {
                turns.push((key, work, self.is_in_place(work)));
            }
        }
        for (key, work, in_place) in &turns {
            let life = &self.lives[*work];
            for (_, other, other_in_place) in turns.iter().filter(|turn| turn.0 == *key) {
                let next = &self.lives[*other];
                if other == work || next.started() == NEVER {
                    continue;
                }
                if life.started() <= next.started() {
                    claim!(
                        life.started() == NEVER || life.finished(has_handler) < next.started(),
                        "key: work {other} had its turn before work {work} had ended"
                    );
                }
                let is_before = !in_place && !other_in_place && life.answered < next.call;
                claim!(
                    !is_before || life.started() < next.started(),
                    "key: work {other} had its turn before work {work}, which was before it"
                );
                let failed = life.origin.filter(|_| *in_place);
                let failed = failed.map_or(NEVER, |failed| self.lives[failed].started());
                let is_between = failed < next.started()
                    && next.started() < life.started()
                    && *in_place
                    && !life.returned;
                claim!(
                    !is_between,
                    "key: work {other} had its turn before the retry {work}"
                );
            }
        }
        for (key, work, _) in turns.iter().filter(|turn| !turn.2) {
            let life = &self.lives[*work];
            for (_, other, _) in turns.iter().filter(|turn| turn.0 == *key && !turn.2) {
                let next = &self.lives[*other];
                let both = life.returned && next.returned && life.answered < next.call;
                claim!(
                    !both || life.returned_at < next.returned_at,
                    "key: work {other} was returned before work {work}, which was before it"
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
            self.covers_the_told(*since, stats)?;
            let lapsed = self
                .lives
                .iter()
                .filter(|life| life.lapsed() && life.dropped.min(life.handled) < at)
                .count() as u64;
            claim!(
                stats.expired + stats.cancelled <= lapsed,
                "finished: more have expired or were cancelled than {lapsed}: {stats:?}"
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

    /// A caller that has seen an answer sees statistics that include the work.
    fn covers_the_told(&self, since: usize, stats: &Stats) -> Result<(), String> {
        let told = |wanted: &[Told]| {
            let is_told = |first: usize| {
                let answer = self.replies[first].answer();
                answer.is_some_and(|(at, told)| at < since && wanted.contains(&told))
            };
            let lives = self.lives.iter();
            lives
                .filter(|life| life.accepted() && !life.returned && !life.renewed)
                .filter(|life| life.hand_begins == 0 && is_told(life.made.first))
                .count() as u64
        };
        let fits = told(&[Told::Value]) <= stats.completed
            && told(&[Told::Error]) <= stats.failed
            && told(&[Told::Panic]) <= stats.panicked
            && told(&[Told::Expired]) <= stats.expired;
        claim!(fits, "reply: told before it was counted: {stats:?}");
        Ok(())
    }

    fn inequalities(&self, stats: &Stats) -> Result<(), String> {
        let settings = self.settings;
        let ended = stats.completed + stats.failed + stats.panicked + stats.returned;
        let finished = ended + stats.expired + stats.cancelled;
        let present = (stats.queued + stats.running + stats.in_line) as u64;
        let first = settings.first() as u64;
        let rules = [
            (
                "the finished exceed the accepted",
                finished <= stats.accepted,
            ),
            (
                "the present and the finished exceed the accepted",
                present + finished <= stats.accepted,
            ),
            (
                "more in line than places",
                stats.in_line <= settings.places_in_line(),
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
        let handler_panics = handler_panics.count() as u64 + self.other_panics();
        let lapsed = count(&Life::lapsed);
        self.lapses(stats, lapsed)?;
        self.hooks(stats)?;
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
            ("handler_panics", stats.handler_panics, handler_panics),
            (
                "expired and cancelled",
                stats.expired + stats.cancelled,
                lapsed,
            ),
            ("in_line", stats.in_line as u64, 0),
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

impl Case<'_> {
    /// Returns how many panics are counted besides those of the handler.
    fn other_panics(&self) -> u64 {
        let is_panic = |hook: Option<Hook>| hook == Some(Hook::Panics);
        let hooks = self.program.hooks;
        let of_hooks = self
            .hooks
            .iter()
            .filter(|(_, starts)| is_panic(if *starts { hooks.start } else { hooks.stop }));
        let drops = self
            .events
            .iter()
            .filter(|event| matches!(event, Event::DropPanic));
        let lives = self.lives.iter().filter(|life| {
            life.accepted() && !life.returned && !life.renewed && life.hand_begins == 0
        });
        let of_wakers: u64 = lives
            .map(|life| &self.replies[life.made.first])
            .filter(|reply| {
                reply
                    .answer()
                    .is_some_and(|(_, told)| told != Told::Cancelled)
            })
            .map(|reply| reply.waker_panics)
            .sum();
        of_hooks.count() as u64 + drops.count() as u64 + of_wakers
    }

    /// Each work that has not begun has expired or was cancelled, rightly.
    fn lapses(&self, stats: &Stats, lapsed: u64) -> Result<(), String> {
        let count = |is_it: &dyn Fn(&Life, &ReplyLife) -> bool| {
            self.lives
                .iter()
                .filter(|life| life.lapsed() && is_it(life, &self.replies[life.made.first]))
                .count() as u64
        };
        let expired = count(&|life, reply| {
            life.expired
                || !reply.may_be_cancelled(NEVER)
                || reply
                    .answer()
                    .is_some_and(|(_, told)| told == Told::Expired)
        });
        let cancelled = count(&|life, reply| reply.is_cancelled() || !life.has_deadline);
        claim!(
            expired <= stats.expired && cancelled <= stats.cancelled,
            "at the end: of {lapsed} at least {expired} expired, {cancelled} cancelled: {stats:?}"
        );
        Ok(())
    }

    /// Each thread has run each hook once.
    fn hooks(&self, stats: &Stats) -> Result<(), String> {
        let hooks = self.program.hooks;
        let threads = self.settings.first() as u64 + stats.grown;
        for (hook, starts) in [(hooks.start, true), (hooks.stop, false)] {
            let mut own: Vec<usize> = self
                .hooks
                .iter()
                .filter(|(_, other)| *other == starts)
                .map(|(actor, _)| *actor)
                .collect();
            let runs = own.len() as u64;
            own.sort_unstable();
            own.dedup();
            let expected = if hook.is_some() { threads } else { 0 };
            claim!(
                runs == expected && own.len() as u64 == runs,
                "hooks: {runs} runs on {} threads, of {expected}: {stats:?}",
                own.len()
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
            stats.expired,
            stats.cancelled,
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

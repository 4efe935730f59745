//! The feeder: the one thread that talks to the broker. It takes in no more messages than there are
//! places in the troupe, and tells the broker what became of each.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{RedisError, Value};
use troupe_pool::{AssignError, Troupe, Work};

use crate::{
    backoff,
    counts::Counts,
    error::{Fatal, Trouble},
    inbox::Inbox,
    lease::Lease,
    link::Link,
    order::Order,
    plan::Plan,
    say::say,
    session::Session,
    stream::{self, Claimed, Ended, Message},
    untold::Untold,
    verdict::{Delivery, Settlement, Verdict},
    waiting::Waiting,
    work::{self, Effects, Failed},
};

/// How long verdicts may wait for others before they are told, while the troupe has enough to do.
const SETTLE_WITHIN: Duration = Duration::from_millis(5);

/// How long the broker may hold an answer back until there is a new message. Only while no work is in
/// flight, whose verdict would wait meanwhile: Redis looks at the clock ten times a second.
const BLOCK: Duration = Duration::from_millis(250);

/// While works are in flight, or with `--until-empty`, how soon to look for new messages after a look
/// that found none; then twice as long each time, up to 16 times that.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// With this many verdicts that the broker refuses, nothing more is taken in.
const MOST_REFUSED: usize = 1_000;

/// How long it sleeps at most, whatever it waits for.
const NAP: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Feeder {
    plan: Plan,
    session: Session,
    troupe: Arc<Troupe<Failed>>,
    inbox: Arc<Inbox>,
    effects: Arc<Effects>,
    /// Works in the troupe, at most.
    capacity: usize,
    /// Those that can run at once.
    actors: usize,
    /// Leases whose verdict has not been heard.
    out: usize,
    untold: Untold,
    waiting: Waiting,
    /// Where the next claim goes on.
    claim_from: String,
    claim_at: Instant,
    /// A claim that goes on leaves every other trip to new messages.
    has_just_claimed: bool,
    /// How many looks in a row have found no message.
    vain_looks: u32,
    trim_at: Option<Instant>,
    report_at: Option<Instant>,
    /// Set at the signal.
    deadline: Option<Instant>,
    counts: Counts,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) counts: Counts,
    /// Works that outlasted the grace, or whose verdicts the broker could not be told. Nothing of
    /// that is lost: it is given out again.
    pub(crate) left: usize,
}

impl Feeder {
    pub(crate) fn new(
        plan: Plan,
        link: Link,
        troupe: Arc<Troupe<Failed>>,
        inbox: Arc<Inbox>,
        effects: Arc<Effects>,
    ) -> Self {
        let (stats, now) = (troupe.stats(), Instant::now());
        Feeder {
            session: Session::new(link),
            troupe,
            inbox,
            effects,
            capacity: stats.capacity,
            actors: stats.actors,
            out: 0,
            untold: Untold::new(stats.capacity),
            waiting: Waiting::new(stats.capacity),
            claim_from: stream::START.into(),
            claim_at: now,
            has_just_claimed: false,
            vain_looks: 0,
            trim_at: plan.trim_every.map(|every| now + every),
            report_at: plan.report_every.map(|every| now + every),
            deadline: None,
            counts: Counts::default(),
            plan,
        }
    }

    /// Feeds the troupe until the signal has come and everything is settled, or the grace is over.
    pub(crate) fn run(mut self) -> Result<End, Fatal> {
        loop {
            self.hear();
            if self.is_at_end() {
                break;
            }
            if self.session.link.pause().is_zero() {
                match self.turn() {
                    Ok(()) => {
                        if !self.session.link.is_well() {
                            say("redis: all is well again");
                        }
                        self.session.link.succeed();
                    }
                    Err(Trouble::Lost(error)) => self.lose(&error),
                    Err(Trouble::Fatal(fatal)) => {
                        drop(self.troupe.shutdown_now());
                        return Err(fatal);
                    }
                }
            }
            self.report()?;
        }
        if self.is_settled() && self.session.link.is_open() {
            // For the sake of order only: a name that stays in the group does no harm.
            self.session.link.ask_one(self.plan.stream.leave()).ok();
        }
        Ok(End {
            counts: self.counts,
            left: self.out + self.untold.len(),
        })
    }

    fn room(&self) -> usize {
        // Refused verdicts take no place from other messages, unless they become too many.
        if self.untold.refused() >= MOST_REFUSED {
            return 0;
        }
        self.capacity - self.out
    }

    /// Whether every message that has come has its verdict, and the broker knows it.
    fn is_settled(&self) -> bool {
        self.out + self.untold.len() == 0
    }

    fn time_left(&self) -> Duration {
        self.deadline.map_or(NAP, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }

    fn is_at_end(&self) -> bool {
        self.deadline.is_some() && (self.is_settled() || self.time_left().is_zero())
    }

    /// Begins nothing more. Work that has not begun is given back: dropping it releases its lease.
    fn stop(&mut self) {
        self.deadline = Some(Instant::now() + self.plan.grace);
        drop(self.troupe.shutdown_now());
    }

    // --- Verdicts -------------------------------------------------------------------------------

    /// Whether it ought to take in what there is: half of the places are free, or an actor may be
    /// idle. Otherwise it can wait for more places, and fetch for all of them in one trip.
    fn is_hungry(&self) -> bool {
        self.deadline.is_none() && self.lacks() == 0
    }

    /// How many verdicts are missing until it is hungry: one at least while there is no place.
    fn lacks(&self) -> usize {
        let half = self.capacity.div_ceil(2).saturating_sub(self.room());
        let in_line = match self.plan.key_field {
            Some(_) => self.troupe.stats().in_line,
            None => 0,
        };
        half.min((self.out + 1).saturating_sub(self.actors + in_line))
            .max(usize::from(self.room() == 0))
    }

    /// Takes verdicts in, and sleeps while there is nothing else to do.
    fn hear(&mut self) {
        let pause = self.session.link.pause();
        if !pause.is_zero() {
            // One more than can come: nothing but the signal ends the pause early.
            return self.take(self.out + 1, pause);
        }
        self.take(1, Duration::ZERO);
        let awaits_others = self.plan.is_until_empty && self.deadline.is_none();
        if self.out + self.untold.refused() == 0 && !awaits_others {
            return;
        }
        if self.is_hungry() {
            if self.vain_looks > 0 && !self.untold.has_next() {
                let doublings = (self.vain_looks - 1).min(4);
                self.take(1, LOOK_AGAIN * (1 << doublings));
            }
            return;
        }
        if !self.untold.has_next() {
            self.take(1, NAP);
        }
        // One has come. For a short time, those that come after it can join it.
        let rest = if self.deadline.is_some() {
            self.out
        } else {
            self.lacks()
        };
        if self.untold.has_next() && rest > 0 {
            self.take(rest, SETTLE_WITHIN);
        }
    }

    /// Waits for so many verdicts, for at most so long, and takes in what there is.
    fn take(&mut self, wanted: usize, timeout: Duration) {
        let timeout = timeout.min(self.time_left());
        let next = self.untold.next();
        let before = next.len();
        let heard = self.inbox.hear(next, wanted, timeout);
        self.out -= next.len() - before;
        self.waiting.remove_revoked(next);
        if heard.is_stopping && self.deadline.is_none() {
            self.stop();
        }
    }

    // --- One trip to the broker -----------------------------------------------------------------

    /// Tells the verdicts, and asks for messages, in one trip.
    fn turn(&mut self) -> Result<(), Trouble> {
        self.connect()?;
        let (stream, rule) = (&self.plan.stream, &self.plan.rule);
        let mut commands = self.untold.commands(stream, rule);
        let verdicts = commands.len();
        let now = Instant::now();
        let checked = match self.deadline {
            // Everything that waited has been given back.
            Some(_) => Vec::new(),
            None => self.waiting.due(now),
        };
        if !checked.is_empty() {
            commands.push(self.plan.stream.check(&checked));
        }
        let request = self.request();
        match request {
            Request::Nothing => {}
            Request::Claim => commands.push(self.plan.stream.claim(
                self.plan.rule.min_idle,
                &self.claim_from,
                self.room(),
            )),
            Request::Read { block } => {
                commands.push(self.plan.stream.read(self.room(), block));
            }
        }
        if commands.is_empty() {
            return Ok(());
        }
        // The lease runs from when the message is delivered, which is after `now`.
        let mut answers = self.session.link.ask(&commands)?.into_iter();
        let told = answers.by_ref().take(verdicts).collect();
        let ended = if checked.is_empty() {
            None
        } else {
            answers.next()
        };
        let fetched = answers.next();

        let min_idle = self.plan.rule.min_idle;
        let settled = self.untold.settle(told, now, min_idle, &mut self.counts);
        let revoked = ended.map_or(Ok(()), |answer| self.revoke(&checked, answer));
        // Whatever is wrong with a verdict, these have been delivered.
        let taken = match (request, fetched) {
            (Request::Read { .. }, Some(answer)) => self.begin_read(answer, now),
            (Request::Claim, Some(answer)) => self.begin_claimed(answer, now),
            _ => Ok(()),
        };
        for outcome in [&settled, &revoked, &taken] {
            if let Err(Trouble::Lost(error)) = outcome
                && stream::is_no_group(error)
            {
                say(format_args!("{error}: making it again"));
                self.counts.groups_made += 1;
                return self.session.make_group(&self.plan.stream);
            }
        }
        settled.and(revoked).and(taken)?;
        self.trim(now)
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        if self.session.link.is_open() {
            return Ok(());
        }
        let is_first = self.counts.lost_connections == 0;
        self.session.open(&self.plan.stream, is_first)?;
        if !is_first {
            // After a restart, the other workers have verdicts to tell about what they hold, old as
            // it may be by now.
            self.claim_at = Instant::now() + backoff::LONGEST * 2;
        }
        Ok(())
    }

    /// Keeps from being begun what somebody else has settled.
    fn revoke(&mut self, checked: &[Arc<Delivery>], answer: Value) -> Result<(), Trouble> {
        let answer = match answer.extract_error() {
            // The next check is soon enough.
            Err(error) if stream::is_of_one_command(&error) => return Ok(()),
            other => other?,
        };
        let Ended { settled, deleted } = stream::read_ended(answer)?;
        for delivery in settled.iter().filter_map(|place| checked.get(*place)) {
            self.counts.overtaken += u64::from(self.waiting.revoke(delivery));
        }
        for delivery in deleted.iter().filter_map(|place| checked.get(*place)) {
            if self.waiting.revoke(delivery) {
                self.counts.trimmed += 1;
                let id = &delivery.id;
                say(format_args!(
                    "{id}: was deleted from the stream: it is not begun"
                ));
            }
        }
        Ok(())
    }

    /// The next request.
    fn request(&self) -> Request {
        if self.deadline.is_some() || self.room() == 0 {
            return Request::Nothing;
        }
        let is_claim_due = self.claim_at <= Instant::now();
        if is_claim_due && !self.has_just_claimed {
            return Request::Claim;
        }
        let is_at_rest = self.out + self.untold.refused() == 0;
        // That would hide the moment at which the last pending message is settled.
        let may_wait = is_at_rest && !is_claim_due && !self.plan.is_until_empty;
        let block = may_wait.then_some(BLOCK);
        Request::Read { block }
    }

    fn begin_read(&mut self, answer: Value, now: Instant) -> Result<(), Trouble> {
        let messages = stream::read_messages(answer.extract_error()?)?;
        self.counts.fetched += messages.len() as u64;
        self.has_just_claimed = false;
        let is_empty = messages.is_empty();
        self.vain_looks = if is_empty {
            self.vain_looks.saturating_add(1)
        } else {
            0
        };
        for message in messages {
            self.begin(message, now);
        }
        if self.plan.is_until_empty && is_empty && self.is_settled() {
            // Some may have been given back, or be with another worker, which may give them back.
            let pending = self.session.link.ask_one(self.plan.stream.pending())?;
            if stream::read_pending(pending)? == 0 {
                self.stop();
            }
        }
        Ok(())
    }

    fn begin_claimed(&mut self, answer: Value, now: Instant) -> Result<(), Trouble> {
        let Claimed {
            next,
            messages,
            trimmed,
        } = stream::read_claimed(answer.extract_error()?)?;
        // A look goes over a part of what is pending. If there is more, the next follows soon.
        self.has_just_claimed = true;
        if next == stream::START {
            self.claim_at = now + self.plan.claim_every;
        }
        self.claim_from = next;
        for id in &trimmed {
            say(format_args!(
                "{id}: was pending, and has been trimmed: it is lost"
            ));
        }
        self.counts.trimmed += trimmed.len() as u64;
        if messages.is_empty() {
            return Ok(());
        }
        self.counts.claimed += messages.len() as u64;
        for message in messages {
            if self.untold.renew(&message, now) {
                continue;
            }
            let most = self.plan.rule.max_deliveries;
            if message.deliveries <= most {
                self.begin(message, now);
            } else {
                // It never came to a verdict, so it may be what ended the workers that had it.
                let vain = message.deliveries - 1;
                self.untold.next().push(Settlement {
                    delivery: Arc::new(Delivery::new(message.id, message.deliveries, now)),
                    verdict: Verdict::Failed(format!("delivered {vain} times without a verdict")),
                });
            }
        }
        Ok(())
    }

    /// Gives the message to the troupe, as a work with a lease on it.
    fn begin(&mut self, message: Message, now: Instant) {
        let Message {
            id,
            fields,
            deliveries,
        } = message;
        let delivery = Arc::new(Delivery::new(id, deliveries, now));
        self.waiting.add(Arc::clone(&delivery));
        let lease = Lease::new(delivery, Arc::clone(&self.inbox));
        self.out += 1;
        let effects = Arc::clone(&self.effects);
        // Read here, so that what is allocated for the answer is freed by the same thread.
        let order = Order::read(&fields);
        let work = Work::new(move || {
            if !lease.begin() {
                return Ok(());
            }
            match work::run(order, deliveries, &effects) {
                Ok(()) => {
                    lease.done();
                    Ok(())
                }
                Err(why) => Err(Failed { lease, why }),
            }
        });
        // Begun later, it could outlast its lease, and be done twice.
        let longest_wait = self.plan.rule.min_idle - self.plan.work_timeout;
        let mut work = work.deadline(now + longest_wait);
        let is_key = |name: &[u8]| Some(name) == self.plan.key_field.as_deref().map(str::as_bytes);
        if let Some((_, key)) = fields.iter().find(|(name, _)| is_key(name)) {
            work = work.keyed(key);
        }
        let accepted = match self.troupe.assign(work) {
            // There is a place for each lease. It may be that of a work which has given its verdict
            // and is about to leave, so this does not take long; meanwhile nothing is fetched.
            Err(AssignError::Full(work)) => {
                self.counts.full += 1;
                self.troupe.assign_wait(work)
            }
            other => other,
        };
        // Shutting down: dropping the work gives the message back.
        drop(accepted);
    }

    fn trim(&mut self, now: Instant) -> Result<(), Trouble> {
        if let (Some(every), Some(at)) = (self.plan.trim_every, self.trim_at)
            && at <= now
        {
            self.trim_at = Some(now + every);
            self.session.link.ask_one(self.plan.stream.trim())?;
        }
        Ok(())
    }

    // --- Trouble, and news ----------------------------------------------------------------------

    fn lose(&mut self, error: &RedisError) {
        if self.session.link.is_well() {
            say(format_args!("redis: {error}; trying again"));
            self.counts.lost_connections += 1;
        }
        self.session.link.lose();
    }

    fn report(&mut self) -> Result<(), Fatal> {
        let (Some(every), Some(at)) = (self.plan.report_every, self.report_at) else {
            return Ok(());
        };
        let now = Instant::now();
        if at > now {
            return Ok(());
        }
        self.report_at = Some(now + every);
        let stats = self.troupe.stats();
        let mut stdout = io::stdout().lock();
        writeln!(
            stdout,
            "{} in_flight {} running {} queued {} idle {}",
            self.counts, self.out, stats.running, stats.queued, stats.idle
        )
        .and_then(|()| stdout.flush())
        .map_err(Fatal::Output)
    }
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Nothing,
    Claim,
    Read { block: Option<Duration> },
}

//! Verdicts that the broker does not know yet. They outlive a connection that is lost.

use std::{
    iter, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, RedisError, Value};

use crate::{
    backoff::Backoff,
    counts::Counts,
    error::Trouble,
    say::say,
    stream::{self, Message, Rule, Stream},
    verdict::{Delivery, Settlement, Verdict},
};

#[derive(Debug)]
pub(crate) struct Untold {
    /// Those that the next trip tells.
    next: Vec<Settlement>,
    /// Those that the broker has refused, each by itself: a dead letter takes memory, which it may
    /// not have. They wait here, so that they hold up no other.
    refused: Vec<Settlement>,
    backoff: Backoff,
}

impl Untold {
    pub(crate) fn new(capacity: usize) -> Self {
        Untold {
            next: Vec::with_capacity(capacity),
            refused: Vec::new(),
            backoff: Backoff::new(),
        }
    }

    /// Those that the next trip tells, to add to.
    pub(crate) fn next(&mut self) -> &mut Vec<Settlement> {
        &mut self.next
    }

    /// Whether the next trip has verdicts to tell.
    pub(crate) fn has_next(&self) -> bool {
        !self.next.is_empty()
    }

    /// How many the broker has refused.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.next.len() + self.refused.len()
    }

    /// Lets the verdict on a message stand, if this worker has taken the message over from itself.
    ///
    /// That happens if the broker refuses the verdict for longer than the lease lasts. False if the
    /// message has to be begun.
    pub(crate) fn renew(&mut self, message: &Message, now: Instant) -> bool {
        let mut all = self.refused.iter_mut().chain(&mut self.next);
        let Some(one) = all.find(|one| one.delivery.id == message.id) else {
            return false;
        };
        match one.verdict {
            Verdict::Done => true,
            // Only if no other worker had it in between. Otherwise the old verdict will find that it
            // has been overtaken.
            Verdict::Failed(_) if one.delivery.number + 1 == message.deliveries => {
                let id = one.delivery.id.clone();
                one.delivery = Arc::new(Delivery::new(id, message.deliveries, now));
                true
            }
            Verdict::Failed(_) | Verdict::Released | Verdict::Revoked => false,
        }
    }

    /// The verdicts of a trip. Those that are done come first: one command for all of them, and one
    /// for each of the others.
    pub(crate) fn commands(&mut self, stream: &Stream, rule: &Rule) -> Vec<Cmd> {
        if self.backoff.pause().is_zero() {
            self.next.append(&mut self.refused);
        }
        self.next.sort_by_key(|one| !one.is_done());
        let done = self.next.iter().filter(|one| one.is_done());
        let done: Vec<&str> = done.map(|one| &*one.delivery.id).collect();
        let acknowledge = (!done.is_empty()).then(|| stream.acknowledge(&done));
        let others = self.next.iter();
        let others = others.filter_map(|one| stream.settle(one, rule));
        acknowledge.into_iter().chain(others).collect()
    }

    /// Reads the answers to [`commands`](Untold::commands), sent at this time. A verdict that the
    /// broker refuses, and only that, is told again.
    pub(crate) fn settle(
        &mut self,
        answers: Vec<Value>,
        sent: Instant,
        min_idle: Duration,
        counts: &mut Counts,
    ) -> Result<(), Trouble> {
        let mut verdicts = mem::take(&mut self.next).into_iter().peekable();
        let (mut trouble, mut refusal) = (Ok(()), None);
        for answer in answers {
            let Some(first) = verdicts.next() else { break };
            let mut told = vec![first];
            if told[0].is_done() {
                told.extend(iter::from_fn(|| verdicts.next_if(Settlement::is_done)));
            }
            match count(answer, told.len() as u64, counts) {
                Ok(()) => {
                    let age = |one: &Settlement| sent.duration_since(one.delivery.at);
                    let is_late = |one: &&Settlement| age(one) > min_idle;
                    counts.late += told.iter().filter(is_late).count() as u64;
                }
                Err(Trouble::Lost(error)) if stream::is_of_one_command(&error) => {
                    self.refused.append(&mut told);
                    refusal.get_or_insert(error);
                }
                Err(other) => {
                    self.next.append(&mut told);
                    trouble = trouble.and(Err(other));
                }
            }
        }
        self.next.extend(verdicts);
        self.note(refusal);
        trouble
    }

    fn note(&mut self, refusal: Option<RedisError>) {
        if let Some(error) = refusal {
            if self.backoff.is_well() {
                say(format_args!("redis: {error}; telling the verdict again"));
            }
            self.backoff.fail();
        } else if self.refused.is_empty() && !self.backoff.is_well() {
            say("redis: no verdict is refused any more");
            self.backoff.succeed();
        }
    }
}

/// Counts what the broker says to so many verdicts.
fn count(answer: Value, told: u64, counts: &mut Counts) -> Result<(), Trouble> {
    match answer.extract_error()? {
        Value::Int(acknowledged) => {
            let acknowledged = u64::try_from(acknowledged).unwrap_or(0).min(told);
            counts.done += acknowledged;
            // Others have acknowledged those before.
            counts.overtaken += told - acknowledged;
        }
        answer => match stream::read::<String>(answer)?.as_str() {
            "given_back" => counts.given_back += 1,
            "dead_lettered" => counts.dead_lettered += 1,
            "trimmed" => counts.trimmed += 1,
            _ => counts.overtaken += 1,
        },
    }
    Ok(())
}

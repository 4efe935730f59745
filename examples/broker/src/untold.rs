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
    /// Verdicts that the next trip sends.
    next: Vec<Settlement>,
    /// How many verdicts in `next` were refused before.
    retold: usize,
    /// Verdicts that the broker has refused. A dead letter, for example, takes memory that the
    /// broker may not have. They wait here, and do not delay other verdicts.
    refused: Vec<Settlement>,
    backoff: Backoff,
}

impl Untold {
    pub(crate) fn new(capacity: usize) -> Self {
        Untold {
            next: Vec::with_capacity(capacity),
            retold: 0,
            refused: Vec::new(),
            backoff: Backoff::new(),
        }
    }

    /// The verdicts that the next trip sends. The feeder appends new ones.
    pub(crate) fn next(&mut self) -> &mut Vec<Settlement> {
        &mut self.next
    }

    /// Whether the next trip has verdicts to send.
    pub(crate) fn has_next(&self) -> bool {
        !self.next.is_empty()
    }

    /// How many verdicts the broker has refused. A verdict that is sent again counts until it is
    /// accepted.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len() + self.retold
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

    /// Returns the commands that send the verdicts: one for all messages that are done, and then one
    /// for each other message.
    pub(crate) fn commands(&mut self, stream: &Stream, rule: &Rule) -> Vec<Cmd> {
        if self.backoff.pause().is_zero() {
            self.retold += self.refused.len();
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
        self.retold = 0;
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
        // After other trouble, nobody knows whether verdicts would still be refused.
        if trouble.is_ok() || refusal.is_some() {
            self.note(refusal);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";

    /// No test takes so long.
    const HANG: Duration = Duration::from_secs(3_600);

    fn untold(count: u32) -> Untold {
        let mut untold = Untold::new(0);
        untold.next().extend((1..=count).map(|number| Settlement {
            delivery: Arc::new(Delivery::new("1-1".into(), number, Instant::now())),
            verdict: Verdict::Failed("it failed".into()),
        }));
        untold
    }

    /// Sends the verdicts, and lets the broker give this answer to each command. Returns how many
    /// commands there were.
    fn trip(untold: &mut Untold, answer: &[u8]) -> (usize, Result<(), Trouble>) {
        let commands = send(untold);
        let answer = redis::parse_redis_value(answer).unwrap();
        let answers = vec![answer; commands];
        let (sent, counts) = (Instant::now(), &mut Counts::default());
        let settled = untold.settle(answers, sent, Duration::from_secs(60), counts);
        (commands, settled)
    }

    fn send(untold: &mut Untold) -> usize {
        let stream = Stream {
            name: "works".into(),
            group: "workers".into(),
            consumer: "a".into(),
        };
        let rule = Rule {
            min_idle: Duration::from_secs(60),
            retry_after: Duration::ZERO,
            max_deliveries: 3,
        };
        untold.commands(&stream, &rule).len()
    }

    #[test]
    fn verdicts_that_are_told_again_still_count_as_refused() {
        let mut untold = untold(3);
        let (commands, settled) = trip(&mut untold, REFUSAL);
        assert!(commands == 3 && settled.is_ok());
        assert_eq!((untold.refused(), untold.has_next()), (3, false));
        // Too early to send them again.
        untold.backoff.resume_at(Instant::now() + HANG);
        assert_eq!(send(&mut untold), 0);
        assert_eq!((untold.refused(), untold.has_next()), (3, false));
        // While they are on their way, and after a trip that was lost.
        untold.backoff.resume_at(Instant::now());
        for _ in 0..2 {
            assert_eq!(send(&mut untold), 3);
            assert_eq!((untold.refused(), untold.len()), (3, 3));
        }
        let (commands, settled) = trip(&mut untold, REFUSAL);
        assert!(commands == 3 && settled.is_ok());
        assert_eq!((untold.refused(), untold.len()), (3, 3));
        untold.backoff.resume_at(Instant::now());
        let (commands, settled) = trip(&mut untold, b"+given_back\r\n");
        assert!(commands == 3 && settled.is_ok());
        assert_eq!((untold.refused(), untold.len()), (0, 0));
        assert!(untold.backoff.is_well());
    }

    #[test]
    fn a_refusal_is_not_over_because_another_error_comes() {
        let mut untold = untold(1);
        trip(&mut untold, REFUSAL).1.unwrap();
        untold.backoff.resume_at(Instant::now());
        let (_, settled) = trip(&mut untold, b"-READONLY it is a replica now\r\n");
        assert!(matches!(settled, Err(Trouble::Lost(_))));
        assert!(!untold.backoff.is_well());
        assert_eq!(untold.len(), 1);
    }
}

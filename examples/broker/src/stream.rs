//! A consumer group on a Redis stream: what is said to Redis, and how its answers are read. Nothing
//! else here knows a command.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, ParsingError, RedisError, Value, cmd};

use crate::{
    order::Fields,
    verdict::{Delivery, Id, Settlement, Verdict},
};

/// The keys, and who is asking.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) group: String,
    /// The name of this worker in the group.
    pub(crate) consumer: String,
}

/// A message as it was delivered.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: Id,
    pub(crate) fields: Fields,
    /// How often it has been delivered, with this time.
    pub(crate) deliveries: u32,
}

/// Messages taken over from other workers, or from this one.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// Where to go on; `0-0` after the last.
    pub(crate) next: String,
    pub(crate) messages: Vec<Message>,
    /// Were pending, and are not in the stream any more.
    pub(crate) trimmed: Vec<Id>,
}

/// A position before everything in a stream.
pub(crate) const START: &str = "0-0";

const CHECK: &str = include_str!("check.lua");
const CLAIM: &str = include_str!("claim.lua");
const SETTLE: &str = include_str!("settle.lua");
const LEAVE: &str = include_str!("leave.lua");
const TRIM: &str = include_str!("trim.lua");

impl Stream {
    /// Where messages go that failed too often.
    pub(crate) fn dead(&self) -> String {
        format!("{}:dead", self.name)
    }

    /// How many messages were given back, dead-lettered or found trimmed, by all workers.
    pub(crate) fn tally(&self) -> String {
        format!("{}:tally", self.name)
    }

    /// Asks for the slot of each key. Only a cluster has slots.
    pub(crate) fn slots(&self) -> [Cmd; 3] {
        [self.name.clone(), self.dead(), self.tally()].map(|key| {
            let mut cmd = cmd("CLUSTER");
            cmd.arg("KEYSLOT").arg(key);
            cmd
        })
    }

    /// From the start of the stream: what was sent before the first worker came counts.
    pub(crate) fn create_group(&self) -> Cmd {
        let mut cmd = cmd("XGROUP");
        cmd.arg("CREATE").arg(&self.name).arg(&self.group);
        cmd.arg(START).arg("MKSTREAM");
        cmd
    }

    /// Asks for new messages; waits for the first of them for some time, if it is given.
    pub(crate) fn read(&self, count: usize, block: Option<Duration>) -> Cmd {
        let mut cmd = cmd("XREADGROUP");
        cmd.arg("GROUP").arg(&self.group).arg(&self.consumer);
        cmd.arg("COUNT").arg(count);
        if let Some(block) = block {
            // 0 would be for ever.
            cmd.arg("BLOCK").arg(block.as_millis().max(1).to_string());
        }
        cmd.arg("STREAMS").arg(&self.name).arg(">");
        cmd
    }

    /// Takes over what nobody has touched for so long.
    pub(crate) fn claim(&self, min_idle: Duration, from: &str, count: usize) -> Cmd {
        let mut cmd = cmd("EVAL");
        cmd.arg(CLAIM).arg(1).arg(&self.name);
        cmd.arg(&self.group).arg(&self.consumer);
        cmd.arg(millis(min_idle)).arg(from).arg(count);
        cmd
    }

    /// Asks which of these deliveries have ended without a verdict of this worker.
    pub(crate) fn check(&self, deliveries: &[Arc<Delivery>]) -> Cmd {
        let mut cmd = cmd("EVAL");
        cmd.arg(CHECK).arg(2).arg(&self.name).arg(self.tally());
        cmd.arg(&self.group).arg(&self.consumer);
        for delivery in deliveries {
            cmd.arg(&*delivery.id).arg(delivery.number);
        }
        cmd
    }

    pub(crate) fn acknowledge(&self, ids: &[&str]) -> Cmd {
        let mut cmd = cmd("XACK");
        cmd.arg(&self.name).arg(&self.group);
        cmd.arg(ids);
        cmd
    }

    /// Gives a message back, or buries it if that was its last attempt.
    ///
    /// A failed message is delivered again once it has rested for `retry_after`; a released one, at
    /// once. `None` for one that is done, which [`acknowledge`](Stream::acknowledge) settles, and for
    /// one that is settled.
    pub(crate) fn settle(&self, one: &Settlement, rule: &Rule) -> Option<Cmd> {
        let (verdict, reason, idle) = match &one.verdict {
            Verdict::Done | Verdict::Revoked => return None,
            Verdict::Failed(why) => {
                let idle = rule.min_idle.saturating_sub(rule.retry_after);
                ("failed", why.as_str(), idle)
            }
            Verdict::Released => ("released", "", rule.longest_idle()),
        };
        let mut cmd = cmd("EVAL");
        cmd.arg(SETTLE).arg(3);
        cmd.arg(&self.name).arg(self.dead()).arg(self.tally());
        cmd.arg(&self.group).arg(&self.consumer);
        cmd.arg(&*one.delivery.id).arg(one.delivery.number);
        cmd.arg(verdict).arg(reason);
        cmd.arg(rule.max_deliveries).arg(millis(idle));
        Some(cmd)
    }

    /// Asks how many messages are pending, whoever has them: those that were given back, too.
    pub(crate) fn pending(&self) -> Cmd {
        let mut cmd = cmd("XPENDING");
        cmd.arg(&self.name).arg(&self.group);
        cmd
    }

    /// Asks how far the group is.
    pub(crate) fn progress(&self) -> Cmd {
        let mut cmd = cmd("XINFO");
        cmd.arg("GROUPS").arg(&self.name);
        cmd
    }

    /// Takes this worker's name out of the group, if it holds nothing.
    pub(crate) fn leave(&self) -> Cmd {
        let mut cmd = cmd("EVAL");
        cmd.arg(LEAVE).arg(1).arg(&self.name);
        cmd.arg(&self.group).arg(&self.consumer);
        cmd
    }

    /// Removes what every group has settled.
    pub(crate) fn trim(&self) -> Cmd {
        let mut cmd = cmd("EVAL");
        cmd.arg(TRIM).arg(1).arg(&self.name);
        cmd
    }
}

/// When a message is given out again, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// A message that has not been settled for so long belongs to a worker that is dead.
    pub(crate) min_idle: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) max_deliveries: u32,
}

impl Rule {
    /// Due for every worker, should they not agree about `min_idle`.
    fn longest_idle(&self) -> Duration {
        self.min_idle.max(Duration::from_secs(30 * 86_400))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// --- Answers ------------------------------------------------------------------------------------

/// An answer that is not what the command promises.
#[derive(Debug, thiserror::Error)]
#[error("an answer that cannot be read: {0}")]
pub(crate) struct Unreadable(String);

impl From<ParsingError> for Unreadable {
    fn from(error: ParsingError) -> Self {
        Unreadable(error.to_string())
    }
}

type Entry = (String, Fields);

/// Of [`Stream::read`]: nothing, or one stream.
pub(crate) fn read_messages(answer: Value) -> Result<Vec<Message>, Unreadable> {
    let streams: Option<Vec<(Vec<u8>, Vec<Entry>)>> = FromRedisValue::from_redis_value(answer)?;
    let entries = streams
        .into_iter()
        .flatten()
        .flat_map(|(_, entries)| entries);
    Ok(entries.map(|(id, fields)| message(id, fields, 1)).collect())
}

/// Of [`Stream::claim`].
pub(crate) fn read_claimed(answer: Value) -> Result<Claimed, Unreadable> {
    type Answer = (String, Vec<(String, Fields, u32)>, Vec<String>);
    let (next, entries, trimmed): Answer = FromRedisValue::from_redis_value(answer)?;
    Ok(Claimed {
        next,
        messages: entries
            .into_iter()
            .map(|(id, fields, deliveries)| message(id, fields, deliveries))
            .collect(),
        trimmed: trimmed.into_iter().map(String::into_boxed_str).collect(),
    })
}

/// Deliveries that have ended, by their places among those that were asked about.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Acknowledged, or taken over.
    pub(crate) settled: Vec<usize>,
    /// Deleted from the stream.
    pub(crate) deleted: Vec<usize>,
}

/// Of [`Stream::check`].
pub(crate) fn read_ended(answer: Value) -> Result<Ended, Unreadable> {
    let (settled, deleted) = FromRedisValue::from_redis_value(answer)?;
    Ok(Ended { settled, deleted })
}

/// Of [`Stream::pending`].
pub(crate) fn read_pending(answer: Value) -> Result<u64, Unreadable> {
    // With the first and the last id, and a list of the owners.
    let (pending, ..): (u64, Value, Value, Value) = FromRedisValue::from_redis_value(answer)?;
    Ok(pending)
}

/// How far a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) delivered: u64,
    pub(crate) pending: u64,
    pub(crate) undelivered: u64,
}

/// Of [`Stream::progress`], for a stream that has one group, and of which nothing was removed.
pub(crate) fn read_progress(answer: Value) -> Result<Progress, Unreadable> {
    let groups: Vec<BTreeMap<String, Value>> = FromRedisValue::from_redis_value(answer)?;
    let figure = |name: &str| {
        let value = groups.first().and_then(|group| group.get(name)).cloned();
        read(value.unwrap_or(Value::Nil))
    };
    Ok(Progress {
        delivered: figure("entries-read")?,
        pending: figure("pending")?,
        undelivered: figure("lag")?,
    })
}

pub(crate) fn read<T: FromRedisValue>(answer: Value) -> Result<T, Unreadable> {
    Ok(FromRedisValue::from_redis_value(answer)?)
}

fn message(id: String, fields: Fields, deliveries: u32) -> Message {
    Message {
        id: id.into_boxed_str(),
        fields,
        deliveries,
    }
}

// --- Errors -------------------------------------------------------------------------------------

/// The group is gone: Redis was restarted without its data, or somebody destroyed it. The second
/// code is for those who are waiting for a message then.
pub(crate) fn is_no_group(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
}

/// The group is there already.
pub(crate) fn is_group_there(error: &RedisError) -> bool {
    error.code() == Some("BUSYGROUP")
}

/// Returns `true` if the error concerns this command only: it needs memory, or several keys whose
/// slot is moving to another node.
pub(crate) fn is_of_one_command(error: &RedisError) -> bool {
    matches!(error.code(), Some("OOM" | "TRYAGAIN"))
}

/// Whether it may be better a moment later: the connection, or a server that is starting, failing
/// over, or short of memory.
pub(crate) fn is_transient(error: &RedisError) -> bool {
    const TRANSIENT: [&str; 12] = [
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNKILLABLE",
    ];
    error.is_io_error() || error.code().is_some_and(|code| TRANSIENT.contains(&code))
}

//! The only door to locks, condition variables, atomics, threads, time and
//! the mailbox's channel.
//!
//! Everything concurrent in this crate imports its primitives from here, so the
//! core runs unchanged under a model checker. The cfg `troupe_shuttle` replaces
//! [`std`] by a model with the same interface. The cfg `troupe_loom` replaces it
//! by one with weak memory, in which only pieces of the core are small enough to
//! run.

#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
pub(crate) mod atomics;
#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
pub(crate) mod unwind;

#[cfg(any(troupe_shuttle, troupe_loom))]
#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
mod channel;
#[cfg(any(troupe_shuttle, troupe_loom))]
#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
#[expect(
    clippy::expect_used,
    reason = "a model that breaks its own rules has to stop"
)]
mod lock;
#[cfg(troupe_loom)]
#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
#[expect(
    clippy::expect_used,
    reason = "a model that breaks its own rules has to stop"
)]
mod loom;
#[cfg(all(troupe_shuttle, not(troupe_loom)))]
#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
#[expect(
    clippy::expect_used,
    reason = "a model that breaks its own rules has to stop"
)]
mod shuttle;
#[cfg(not(any(troupe_shuttle, troupe_loom)))]
#[expect(unreachable_pub, reason = "what the crate sees is said in this file")]
mod std;

#[cfg(troupe_loom)]
pub(crate) use self::loom::*;
#[cfg(all(troupe_shuttle, not(troupe_loom)))]
pub(crate) use self::shuttle::*;
#[cfg(not(any(troupe_shuttle, troupe_loom)))]
pub(crate) use self::std::*;

use ::std::hash::{BuildHasher, Hash};

pub(crate) use ::std::sync::{Arc, OnceLock};
pub(crate) use ::std::time::Duration;
#[cfg(not(troupe_loom))]
pub(crate) use ::std::time::Instant;

/// A mutex that makes a `Send` value `Sync`, as public types promise. It is only consumed,
/// never locked, except by the channel of the loom model.
pub(crate) type SyncWrapper<T> = parking_lot::Mutex<T>;

/// Returns the hash of a key. Two processes have different hashes. Under a model checker they
/// are the same, or a schedule could not be replayed.
pub(crate) fn hash_key<K: Hash + ?Sized>(key: &K) -> u64 {
    #[cfg(not(any(troupe_shuttle, troupe_loom)))]
    type State = ::std::hash::RandomState;
    #[cfg(any(troupe_shuttle, troupe_loom))]
    type State = ::std::hash::BuildHasherDefault<::std::hash::DefaultHasher>;
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(State::default).hash_one(key)
}

/// Returns a number that no other call in this process gets.
pub(crate) fn troupe_number() -> u64 {
    static LAST: parking_lot::Mutex<u64> = parking_lot::Mutex::new(0);
    let mut last = LAST.lock();
    *last += 1;
    *last
}

/// Waits for another thread's next few instructions. That thread may have been preempted, and
/// may need the processor that this thread occupies. A yield does not let a thread of lower
/// priority run, so after some yields each wait is a short sleep.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    waits: u32,
}

impl Backoff {
    /// The number of yields before the first sleep.
    const YIELDS: u32 = 100;

    pub(crate) fn snooze(&mut self) {
        if self.waits < Self::YIELDS {
            self.waits += 1;
            yield_now();
        } else {
            nap();
        }
    }
}

/// How a wait with a deadline ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// The thread was woken, possibly spuriously.
    Called,
    /// The deadline has passed.
    TimedOut,
}

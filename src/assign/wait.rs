//! A sender that waits for room.
//!
//! # Why no waiting sender misses room
//!
//! | step | a waiting sender |
//! |---|---|
//! | WAIT-1 | has set the flag in the counts word, and notes the generation of the waiters |
//! | WAIT-2 | tries an ordinary assign, without the waiters' lock |
//! | WAIT-3 | on `Full`, sleeps while the generation is the noted one |
//!
//! Room is made by a read-modify-write of the counts word: a gate opens, an actor goes idle,
//! live falls, or a shutdown begins. The thread that makes room sees the flag in the old value,
//! raises the generation, and wakes one sender. After a shutdown or a refused growth, it wakes
//! all. The starter of a new actor looks at the flag once its thread exists. Until that actor's
//! gate is open, no sender returns `Full`.
//!
//! - *Room is made after the verdict in WAIT-2*: the old value has the flag, so the generation
//!   rises after WAIT-1. The sender does not sleep, or is woken.
//! - *Room is made before the verdict*: then the verdict is not `Full`.
//! - *One event can stand for many places*, since only the first take from a full mailbox finds
//!   a gate to open. So a waiting sender that leaves with its place, or with an error other than
//!   `Full`, wakes the next. One that times out tries once more, so no wake-up is lost with it.
//!
//! Attacked by `shuttle::waiters_against_room_and_shutdown`,
//! `shuttle::one_opened_gate_is_room_for_two`, `loom::a_waiter_hears_of_room`,
//! `loom::two_waiters_hear_of_two_places`, `it::waiting`,
//! `it::race::waiters_against_the_last_place`, `it::race::waiters_that_give_up`.

use super::grow::next_growth;
use super::place_with;
use crate::error::AssignError;
use crate::pool::Pool;
use crate::sync::{Arc, Duration, Instant, Wake, is_over, thread_number, yield_now};
use crate::work::Work;

/// How long a sender that waits for room keeps trying before it sleeps.
const RETRY_TIME: Duration = Duration::from_micros(15);

/// Waits for a place for a work, for at most `timeout` if there is one.
#[cold]
pub(super) fn wait_for_place<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    work: Work<E>,
    key: Option<u64>,
    timeout: Option<Duration>,
) -> Result<(), AssignError<E>> {
    if pool.is_own_thread() {
        return Err(AssignError::WouldDeadlock(work));
    }
    let begin = Instant::now();
    // A timeout that overflows the clock sets no deadline.
    let deadline = timeout.and_then(|timeout| begin.checked_add(timeout));
    let sender = thread_number();
    let mut envelope = work.into_envelope(sender);
    // Room often comes sooner than a thread can sleep and be woken, and then there is
    // room for more than one work.
    while !is_over(begin, timeout.unwrap_or(RETRY_TIME).min(RETRY_TIME)) {
        // This yield hides no race. A sender that goes on to wait is told of room.
        yield_now();
        match place_with(pool, envelope, key) {
            Err(AssignError::Full(work)) => envelope = work.into_envelope(sender),
            placed => return placed,
        }
    }
    let mut last_try = false;
    pool.waiters.enter(&pool.counts);
    let placed = loop {
        // WAIT-1, WAIT-2
        let noted = pool.waiters.generation();
        match place_with(pool, envelope, key) {
            Err(AssignError::Full(work)) if !last_try => {
                envelope = work.into_envelope(sender);
            }
            placed => break placed,
        }
        // WAIT-3
        let until = [deadline, next_growth(pool)].into_iter().flatten().min();
        let timed_out = pool.waiters.sleep(noted, until, key.is_some()) == Wake::TimedOut;
        last_try = timed_out && until == deadline;
    };
    let with_full = placed.as_ref().is_err_and(AssignError::is_full);
    pool.waiters.leave(&pool.counts, with_full);
    placed
}

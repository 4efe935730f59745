//! A sender that waits for room.

use super::grow::next_growth;
use super::place;
use crate::error::AssignError;
use crate::pool::Pool;
use crate::sync::{Arc, Duration, Instant, Wake, is_over, thread_number, yield_now};
use crate::work::Work;

/// How long a sender that waits for room tries again before it sleeps.
const RETRY_TIME: Duration = Duration::from_micros(15);

/// Waits for a place for a work, at most as long as `timeout` says.
#[cold]
pub(super) fn wait_for_place<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    work: Work<E>,
    timeout: Option<Duration>,
) -> Result<(), AssignError<E>> {
    if pool.is_own_thread() {
        return Err(AssignError::WouldDeadlock(work));
    }
    let begin = Instant::now();
    // A time that overflows the clock is for ever.
    let deadline = timeout.and_then(|timeout| begin.checked_add(timeout));
    let mut envelope = work.into_envelope(thread_number());
    // Room often comes sooner than a thread can sleep and be woken, and then there is
    // room for more than one work.
    while !is_over(begin, timeout.unwrap_or(RETRY_TIME).min(RETRY_TIME)) {
        // This hides no race: a sender that goes on to wait is told of room.
        yield_now();
        match place(pool, envelope) {
            Err(AssignError::Full(work)) => envelope = work.into_envelope(thread_number()),
            placed => return placed,
        }
    }
    let mut last_try = false;
    pool.waiters.enter(&pool.counts);
    let placed = loop {
        // WAIT-1, WAIT-2
        let noted = pool.waiters.generation();
        match place(pool, envelope) {
            Err(AssignError::Full(work)) if !last_try => {
                envelope = work.into_envelope(thread_number());
            }
            placed => break placed,
        }
        // WAIT-3
        let until = [deadline, next_growth(pool)].into_iter().flatten().min();
        let timed_out = pool.waiters.sleep(noted, until) == Wake::TimedOut;
        last_try = timed_out && until == deadline;
    };
    let with_full = placed.as_ref().is_err_and(AssignError::is_full);
    pool.waiters.leave(&pool.counts, with_full);
    placed
}

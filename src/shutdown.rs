//! The ways to an end, which are `shutdown`, `shutdown_now` and `join`, and `wait_idle`, which
//! waits without ending anything.
//!
//! # `shutdown_now`: an exact partition
//!
//! Claim: each accepted work begins or is returned, never both, and none begins after
//! `shutdown_now` has returned.
//!
//! Under the lock `shutdown_now` NOW-1 sets *shutting down* and *halt*; NOW-2 empties every
//! mailbox; NOW-3 empties every hand-off; NOW-4 pops the idle. An actor whose hand-off held a
//! work holds no other, since it looks next at empty mailboxes. An idle one holds nothing,
//! since it takes under the lock only. An actor that is only reserved has taken none.
//! `shutdown_now` waits for every other actor whose phase is even: until it has begun its work,
//! has given it back, or has left. That takes a few instructions of each. Then it collects what
//! has been given back.
//!
//! An actor that has taken a work loads *halt*: if set, it gives the work back; if not, its
//! phase becomes odd, and it runs.
//!
//! - *Taken after NOW-1 was visible*: the actor gives it back, and `shutdown_now` waits for
//!   that, since its phase is even.
//! - *Halt was loaded before NOW-1*: the take came before NOW-2 or NOW-3 passed that mailbox or
//!   hand-off. Passing it synchronises with the take, so `shutdown_now` sees the phase of that
//!   time, even, and waits until the work has begun.
//! - *Phase seen odd*: the actor runs its last work. A work that it takes afterwards was sent after
//!   NOW-2, and its load of *halt* after that take sees it. `shutdown_now` may have returned by
//!   then, so the work goes to the unclaimed works, for its sender.
//! - *That sender* is late and does not find its work in the mailbox. It waits, as
//!   `shutdown_now` does, until every actor between two works has decided, and looks at them
//!   once more.
//! - *A retry* lies in the hand-off. `reassign` checks the flag under its lock: it gives the
//!   work back, or NOW-3 finds it.
//!
//! Attacked by `shuttle::shutdown_now_is_a_partition`,
//! `shuttle::reassign_against_shutdown_now`, `loom::halt_against_the_begin_of_a_work`,
//! `it::race::assign_against_shutdown_now`, `it::race::hand_off_against_shutdown_now`,
//! `it::conservation`.
//!
//! # `join`, and threads that have left
//!
//! An actor leaves after its last work, its captures and its handler call are done and dropped.
//! The last one drops the handler and then marks the end. `join` waits for the mark, then takes
//! and releases the spawn lock: no growth begins after the end, and one in progress has stored
//! the handle of its thread when it releases that lock. The first caller joins the threads; the
//! others wait for it.
//!
//! A retiring actor leaves the handle of its thread in the roster. It looks at two that are
//! there and joins those that have *finished*: they run none of our code any more. So it waits
//! at most for the drops of their thread-locals, and no actor waits for it: no chain of waiting
//! threads can grow.
//!
//! Attacked by `it::shutdown`, `it::race::join_by_many_threads_against_the_last_work`,
//! `shuttle::the_handler_goes_before_the_end`,
//! `resources::a_thread_that_ends_slowly_keeps_no_others`,
//! `resources::actors_that_come_and_go_leave_no_crowd`,
//! `idle::births_wake_nobody_who_waits_for_the_end`.
//!
//! # `wait_idle`
//!
//! Claim: a call returns at or after an instant, later than its start, at which every actor was
//! idle and every mailbox empty.
//!
//! The predicate is evaluated under the lock: idle = live, and no ready mailbox. Work on its
//! way keeps it false: an actor that has been handed a work is off the stack, and a reserved
//! one counts as live. It is asked at the start, and wherever it can become true: an actor has
//! gone idle or left, a reservation has been undone, a late sender has emptied a mailbox. The
//! pool counts such instants for waiting callers, so one that is over when a caller wakes still
//! counts. Assigning and taking do not check for waiting callers.
//!
//! Attacked by `shuttle::wait_idle_against_a_feeder`,
//! `shuttle::wait_idle_against_a_refused_growth`, `shuttle::wait_idle_against_the_end`,
//! `it::wait_idle`, `it::race::wait_idle_against_feeders`.

use crate::error::JoinError;
use crate::pool::{Idle, Locked, Pool};
use crate::sync::unwind::drop_contained;
use crate::sync::{Condvar, Instant, Wake};
use crate::work::Work;

/// Stops accepting. Returns `true` if this call began the shutdown.
pub(crate) fn shutdown<E>(pool: &Pool<E>) -> bool {
    let mut locked = pool.lock();
    if pool.counts.begin_shutdown().is_shutting_down() {
        return false;
    }
    let dismissed = locked.dismiss_all();
    let is_empty = pool.counts.load().live() == 0;
    drop(locked);
    wake(pool, dismissed);
    if is_empty {
        pool.end();
    }
    true
}

/// Wakes the dismissed actors and all waiting senders.
fn wake<E>(pool: &Pool<E>, dismissed: Vec<Idle>) {
    for idle in dismissed {
        idle.thread.unpark();
    }
    pool.waiters.wake_all();
}

/// Stops accepting, and takes back every work that has not started.
pub(crate) fn shutdown_now<E>(pool: &Pool<E>) -> Vec<Work<E>> {
    let mut locked = pool.lock();
    if pool.is_halted() {
        // Another call returns the works. Nothing may start once this call has returned
        // either, so it waits for the few steps of the other.
        while !locked.recall().is_collected() {
            let _: Wake = locked.wait(&pool.events.has_returned, None);
        }
        return Vec::new();
    }
    // NOW-1
    let began = !pool.counts.begin_shutdown().is_shutting_down();
    locked.halt();
    // NOW-2, NOW-3
    let (mut envelopes, mut decided) = locked.collect();
    // NOW-4: an idle actor holds nothing, and takes under this lock only.
    let dismissed = locked.dismiss_all();
    decided.extend(dismissed.iter().map(|idle| idle.id));
    let undecided = locked.undecided(&decided);
    let is_empty = began && pool.counts.load().live() == 0;
    drop(locked);
    wake(pool, dismissed);

    pool.wait_until_decided(&undecided);

    pool.lock().recall().finish(&mut envelopes);
    pool.events.has_returned.notify_all();
    if is_empty {
        pool.end();
    }
    envelopes
        .into_iter()
        .map(|envelope| envelope.into_work(0))
        .collect()
}

/// Waits until the last actor has left and its thread is gone.
pub(crate) fn join<E>(pool: &Pool<E>, deadline: Option<Instant>) -> Result<(), JoinError> {
    if pool.is_own_thread() {
        return Err(JoinError::WouldDeadlock);
    }
    let has_ended = &pool.events.has_ended;
    let mut locked = pool.lock();
    wait(&mut locked, has_ended, deadline, |locked| {
        locked.callers().ended
    })?;
    drop(locked);
    // A starter may be about to store the handle of the thread that it has started.
    drop(pool.spawn_lock.lock());
    let mut locked = pool.lock();
    if locked.callers().begin_join() {
        let threads = locked.take_all_exited();
        drop(locked);
        for thread in threads {
            // An actor's thread does not panic.
            drop_contained(thread.join());
        }
        locked = pool.lock();
        locked.callers().joined = true;
        has_ended.notify_all();
    }
    wait(&mut locked, has_ended, deadline, |locked| {
        locked.callers().joined
    })
}

/// Waits for an instant, later than the call, at which the troupe is idle.
pub(crate) fn wait_idle<E>(pool: &Pool<E>, deadline: Option<Instant>) -> Result<(), JoinError> {
    if pool.is_own_thread() {
        return Err(JoinError::WouldDeadlock);
    }
    let mut locked = pool.lock();
    if locked.is_idle() {
        return Ok(());
    }
    let before = locked.callers().enter_wait_idle();
    let waited = wait(&mut locked, &pool.events.is_idle, deadline, |locked| {
        locked.callers().idle_instants() != before
    });
    locked.callers().leave_wait_idle();
    waited
}

/// Waits until `is_so`. `event` is notified when that may have changed.
fn wait<E>(
    locked: &mut Locked<'_, E>,
    event: &Condvar,
    deadline: Option<Instant>,
    is_so: impl Fn(&mut Locked<'_, E>) -> bool,
) -> Result<(), JoinError> {
    let mut last_look = false;
    while !is_so(locked) {
        if last_look {
            return Err(JoinError::Timeout);
        }
        last_look = locked.wait(event, deadline) == Wake::TimedOut;
    }
    Ok(())
}

//! `shutdown`, `shutdown_now` and `join`, which end a troupe, and `wait_idle`, which waits
//! without ending anything.
//!
//! # `shutdown_now`: an exact partition
//!
//! Claim: each accepted work begins or is returned, never both, and none begins after
//! `shutdown_now` has returned.
//!
//! | step | `shutdown_now`, under the lock |
//! |---|---|
//! | NOW-1 | sets *shutting down* and *halt* |
//! | NOW-2 | empties the works at their turn, the lines of all keys, and every mailbox |
//! | NOW-3 | empties every hand-off |
//! | NOW-4 | pops every idle actor |
//!
//! An actor whose hand-off held a work holds no other, since it looks next at empty mailboxes.
//! An idle actor holds none, since it takes under the lock only. An actor that is only reserved
//! has taken none. `shutdown_now` waits for every other actor whose phase is even, until it has
//! begun its work, has given it back, or has left. That takes each actor a few instructions.
//! Then `shutdown_now` collects the works that have been given back.
//!
//! The locks of all shards are held until the lines have been emptied, so no key is passed on
//! meanwhile (`pool/lines.rs`).
//!
//! An actor that has taken a work loads *halt*. If it is set, the actor gives the work back.
//! Otherwise its phase becomes odd, and it runs the work.
//!
//! - *Taken after NOW-1 was visible*: the actor gives the work back, and `shutdown_now` waits
//!   for that, since the phase is even.
//! - *Halt was loaded before NOW-1*: the take came before NOW-2 or NOW-3 passed that mailbox or
//!   hand-off. Passing it synchronises with the take. So `shutdown_now` sees the even phase of
//!   that time, and waits until the work has begun.
//! - *The phase is odd*: the actor runs its last work. A work that it takes afterwards was sent
//!   after NOW-2, and the load of *halt* after that take sees it set. `shutdown_now` may have
//!   returned by then, so the work goes to the unclaimed works, for its sender.
//! - *The sender of such a work* is late and does not find its work in the mailbox. It waits, as
//!   `shutdown_now` does, until every actor between two works has decided. Then it looks at the
//!   unclaimed works once more.
//! - *A retry* is in the hand-off. `reassign` checks the flag under the hand-off's lock, so it
//!   gives the work back, or NOW-3 finds it.
//!
//! Attacked by `shuttle::shutdown_now_is_a_partition`,
//! `shuttle::reassign_against_shutdown_now`, `loom::halt_against_the_begin_of_a_work`,
//! `it::race::assign_against_shutdown_now`, `it::race::hand_off_against_shutdown_now`,
//! `it::conservation`.
//!
//! # `join`, and threads that have left
//!
//! An actor leaves after its last work and handler call have returned and everything in them
//! has been dropped. The last actor drops the handler and then marks the end.
//!
//! `join` waits for the mark, and then takes and releases the spawn lock. No growth begins after
//! the end, and one in progress stores the handle of its thread before it releases that lock.
//! The first caller joins the threads, and the others wait for it.
//!
//! A retiring actor leaves the handle of its thread in the roster. It looks at two other
//! handles there, and joins those threads that have *finished* all our code. So it waits at most
//! for the drops of their thread-locals. No actor waits for one that waits, so no chain of
//! waiting threads can grow.
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
//! way keeps it false. An actor that has been handed a work is off the stack, and a reserved
//! actor counts as live.
//!
//! The predicate is evaluated at the start of a call, and wherever it can become true. That is
//! when an actor has gone idle or left, when a reservation has been undone, and when a late
//! sender has emptied a mailbox. The pool counts such instants while callers wait, so an instant
//! that is over when a caller wakes still counts. Assigning and taking do not check for waiting
//! callers.
//!
//! Attacked by `shuttle::wait_idle_against_a_feeder`,
//! `shuttle::wait_idle_against_a_refused_growth`, `shuttle::wait_idle_against_the_end`,
//! `it::wait_idle`, `it::race::wait_idle_against_feeders`.

use crate::error::JoinError;
use crate::events;
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
    pool.report(events::shutting_down);
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
    let lines = pool.lock_lines();
    let mut locked = pool.lock();
    if pool.is_halted() {
        drop(lines);
        // Another call returns the works. Nothing may start once this call has returned
        // either, so it waits until the other has collected them.
        while !locked.recall().is_collected() {
            let _: Wake = locked.wait(&pool.events.has_returned, None);
        }
        return Vec::new();
    }
    // NOW-1
    let began = !pool.counts.begin_shutdown().is_shutting_down();
    locked.halt();
    // NOW-2
    let mut in_line = lines.empty();
    // NOW-2, NOW-3
    let (mut envelopes, mut decided) = locked.collect();
    envelopes.append(&mut in_line);
    // NOW-4: an idle actor holds nothing, and takes under this lock only.
    let dismissed = locked.dismiss_all();
    decided.extend(dismissed.iter().map(|idle| idle.id));
    let undecided = locked.undecided(&decided);
    let is_empty = began && pool.counts.load().live() == 0;
    drop(locked);
    wake(pool, dismissed);

    pool.wait_until_decided(&undecided);

    let envelopes = pool.lock().recall().finish(envelopes);
    pool.events.has_returned.notify_all();
    if began {
        pool.report(events::shutting_down);
    }
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
            pool.report_panic(None, drop_contained(thread.join()));
        }
        locked = pool.lock();
        locked.callers().joined = true;
        has_ended.notify_all();
    }
    wait(&mut locked, has_ended, deadline, |locked| {
        locked.callers().joined
    })
}

/// Waits for an instant after the start of the call at which the troupe is idle.
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

/// Waits until `is_so` returns `true`. `event` is notified when that may have changed.
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

//! The ways to an end, which are `shutdown`, `shutdown_now` and `join`, and `wait_idle`, which
//! waits without ending anything.

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

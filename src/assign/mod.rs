//! Assigning. A work goes to an idle actor, else to a new actor, else to a mailbox with room,
//! and else back to its sender.

mod grow;
mod keyed;
mod mailbox;
mod wait;

#[cfg(all(test, troupe_loom))]
pub(crate) use self::grow::grow_for_mailboxes;
pub(crate) use self::grow::{grow, grow_initial};
#[cfg(all(test, troupe_loom))]
pub(crate) use self::mailbox::{after_send, announce, reclaim_if_late};

use self::grow::may_grow_again;
use self::keyed::place_keyed;
use self::mailbox::place_in_mailbox;
use self::wait::wait_for_place;
use crate::error::AssignError;
use crate::pool::{Counts, Origin, Pool};
use crate::sync::{Arc, Backoff, Duration, thread_number};
use crate::work::{Envelope, Work};

/// The outcome of an attempt to place a work.
#[must_use]
pub(crate) enum Placed<E> {
    /// The work is accepted.
    Yes,
    /// There is no room here.
    Full(Envelope<E>),
    /// Something has changed since the attempt began, so it has to be made again.
    Retry(Envelope<E>),
}

/// Assigns a work; waits for room, if a time is given at most that long.
#[inline]
pub(crate) fn assign<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    work: Work<E>,
    timeout: Option<Duration>,
) -> Result<(), AssignError<E>> {
    let sender = thread_number();
    if work.is_plain(sender) {
        send_off(pool, work.into_envelope(sender), timeout)
    } else {
        send_off_special(pool, work.into_envelope(sender), timeout)
    }
}

fn send_off<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    envelope: Envelope<E>,
    timeout: Option<Duration>,
) -> Result<(), AssignError<E>> {
    let waits = timeout != Some(Duration::ZERO);
    let envelope = match place_at_once(pool, envelope) {
        Placed::Yes => return accepted(pool),
        Placed::Full(envelope) if !waits => {
            pool.tallies.refuse();
            return Err(AssignError::Full(envelope.into_work(thread_number())));
        }
        Placed::Full(envelope) | Placed::Retry(envelope) => envelope,
    };
    finish(pool, place(pool, envelope), None, timeout)
}

/// Assigns a work that may have a key or a reply.
#[cold]
fn send_off_special<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    mut envelope: Envelope<E>,
    timeout: Option<Duration>,
) -> Result<(), AssignError<E>> {
    envelope.set_troupe(pool.number());
    let key = key_in(pool, &envelope);
    let placed = finish(pool, place_with(pool, envelope, key), key, timeout);
    placed.map_err(|refused| refused.map_work(Work::refused))
}

/// The key of a work. A troupe with one actor runs all works one by one, in order.
fn key_in<E>(pool: &Pool<E>, envelope: &Envelope<E>) -> Option<u64> {
    envelope.key().filter(|_| pool.config.max > 1)
}

/// Counts how an assign has ended. If the troupe is full, waits first.
fn finish<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    placed: Result<(), AssignError<E>>,
    key: Option<u64>,
    timeout: Option<Duration>,
) -> Result<(), AssignError<E>> {
    let placed = match placed {
        Err(AssignError::Full(work)) if timeout != Some(Duration::ZERO) => {
            wait_for_place(pool, work, key, timeout)
        }
        placed => placed,
    };
    placed.inspect_err(|_| pool.tallies.refuse())?;
    accepted(pool)
}

#[inline(always)]
fn accepted<E>(pool: &Pool<E>) -> Result<(), AssignError<E>> {
    pool.tallies.accept();
    Ok(())
}

/// Finds a place for a work, or a place in line if its key is taken.
fn place_with<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    envelope: Envelope<E>,
    key: Option<u64>,
) -> Result<(), AssignError<E>> {
    match key {
        None => place(pool, envelope),
        Some(key) => place_keyed(pool, envelope, key),
    }
}

/// Tries the mailbox at the fill cursor once, or refuses. Nearly every assign takes this
/// path while all actors are busy, and the work is never copied on it. `Full` is final:
/// the troupe is full.
#[inline(always)]
fn place_at_once<E: Send + 'static>(pool: &Arc<Pool<E>>, envelope: Envelope<E>) -> Placed<E> {
    let now = pool.counts.load();
    if fills_mailboxes(pool, now) {
        return match place_in_mailbox(pool, envelope) {
            Placed::Full(envelope) => Placed::Retry(envelope),
            placed => placed,
        };
    } else if now.idle() == 0
        && now.live() == pool.config.max
        && is_full(pool, now)
        && !now.is_shutting_down()
    {
        return Placed::Full(envelope);
    }
    Placed::Retry(envelope)
}

/// Returns `true` if a work goes to a mailbox, even though an actor may be idle.
#[inline]
fn fills_mailboxes<E>(pool: &Pool<E>, now: Counts) -> bool {
    // At max, a searching actor finds the work in a mailbox, and none has to be woken.
    now.live() == pool.config.max
        && (now.idle() == 0 || now.searching() > 0)
        && now.full() != now.live()
        && !now.is_shutting_down()
        && pool.has_mailboxes()
}

/// Returns `true` if every mailbox is known to be full. If also no actor is idle and the troupe
/// cannot grow, a work may be refused at this instant.
#[inline]
fn is_full<E>(pool: &Pool<E>, now: Counts) -> bool {
    now.full() == now.live() || !pool.has_mailboxes()
}

/// Finds a place for a work.
fn place<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    mut envelope: Envelope<E>,
) -> Result<(), AssignError<E>> {
    let mut backoff = Backoff::default();
    loop {
        let now = pool.counts.load();
        let placed = if now.is_shutting_down() {
            return Err(AssignError::ShuttingDown(envelope.into_work(0)));
        } else if now.idle() > 0 {
            place_with_idle(pool, envelope, now)
        } else if should_grow(pool, now) {
            grow(pool, envelope)?
        } else if !is_full(pool, now) {
            place_in_mailbox(pool, envelope)
        } else if is_stable(pool, now) {
            return Err(AssignError::Full(envelope.into_work(0)));
        } else {
            Placed::Retry(envelope)
        };
        envelope = match placed {
            Placed::Yes => return Ok(()),
            Placed::Retry(envelope) => envelope,
            Placed::Full(envelope) => {
                // Some mailbox is not known to be full: a new actor is about to open it, or
                // another thread is checking it.
                if pool.counts.load() == now {
                    drop(pool.spawn_lock.lock());
                    backoff.snooze();
                }
                envelope
            }
        };
    }
}

/// Returns `true` unless these may be the counts while an actor has begun to retire and then
/// stays.
fn is_stable<E>(pool: &Pool<E>, now: Counts) -> bool {
    let is_as_it_was = || {
        let _locked = pool.lock();
        pool.counts.load() == now
    };
    now.live() == pool.config.max || is_as_it_was()
}

fn should_grow<E>(pool: &Pool<E>, now: Counts) -> bool {
    // After a refusal, a troupe that has an actor waits for a while.
    now.live() < pool.config.max && (!now.is_refused() || now.live() == 0 || may_grow_again(pool))
}

/// Assigns a retry in the place of a work that has failed, whose handler calls this. The retry
/// is handed over to the same actor. If it has another key, it is assigned like any work.
pub(crate) fn reassign<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    origin: &Origin,
    work: Work<E>,
) -> Result<(), AssignError<E>> {
    let mut envelope = work.into_envelope(thread_number());
    let key = key_in(pool, &envelope);
    if key.is_some() && key != origin.key {
        return assign(pool, envelope.into_work(0), Some(Duration::ZERO));
    }
    envelope.set_troupe(pool.number());
    if let Some(slot) = pool.slot(origin.actor) {
        // Under the hand-off's lock, so that `shutdown_now` finds the retry there or this finds
        // the shutdown.
        match slot
            .handoff()
            .put(envelope, || pool.counts.load().is_shutting_down())
        {
            Ok(()) => return accepted(pool),
            Err(back) => envelope = back,
        }
    }
    pool.tallies.refuse();
    Err(AssignError::ShuttingDown(envelope.into_work(0).refused()))
}

fn place_with_idle<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    mut envelope: Envelope<E>,
    now: Counts,
) -> Placed<E> {
    if fills_mailboxes(pool, now) {
        match place_in_mailbox(pool, envelope) {
            Placed::Full(back) => envelope = back,
            placed => return placed,
        }
    }
    hand_off(pool, envelope)
}

/// Hands a work to the most recently idle actor.
#[cold]
fn hand_off<E>(pool: &Pool<E>, envelope: Envelope<E>) -> Placed<E> {
    let mut locked = pool.lock();
    let top = locked.top_idle();
    let Some((id, slot)) = top.and_then(|id| Some((id, pool.slot(id)?))) else {
        return Placed::Retry(envelope);
    };
    // A work that is handed over never overtakes the actor's own mailbox. The place there is
    // free before the actor leaves the idle stack.
    let (in_hand, placed) = match pool.take_from(id) {
        None => (envelope, Placed::Yes),
        Some(oldest) => match slot.mailbox.put(envelope) {
            Ok(()) => {
                pool.set_ready(id);
                (oldest, Placed::Yes)
            }
            Err(envelope) => (oldest, Placed::Retry(envelope)),
        },
    };
    let idle = locked.pop_idle();
    slot.handoff().hand_over(in_hand);
    drop(locked);
    // An actor that was searching is awake, or is being woken.
    if let Some(idle) = idle.filter(|idle| !idle.searching) {
        idle.thread.unpark();
    }
    placed
}

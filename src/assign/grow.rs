//! A new actor: the reservation, the spawn, and the way back if the system refuses.
//!
//! # Why no work is lost to a refused thread
//!
//! Claim: there are never more than `max` actors, each is counted before it begins a work, and
//! no work is lost to a refused thread.
//!
//! A growth holds the spawn lock from its reservation until its spawn has succeeded or been
//! undone. Under the pool's lock it reserves an actor, unless the troupe is shutting down or at
//! max. A growth with a work also needs that no actor is idle. It raises live, takes the lowest
//! vacant number, and hands the work over. It spawns without the pool's lock.
//!
//! The slot of an actor with a work is opened by its starter, or by the actor before it begins,
//! whichever comes first. The starter knows the actor by the number of its start. The slot of an
//! actor without a work is opened by the actor when it first goes idle, or before it runs
//! `on_start`: nobody may wait for a hook.
//!
//! If the system refuses, the work is taken back and the reservation is undone, under the pool's
//! lock. Waiting senders are woken, since they may have found `Full` because of the reservation.
//! If `shutdown_now` has taken the work meanwhile, the work has been accepted and returned.
//!
//! After a refusal, a troupe that has an actor does not ask the system again for 100 ms. Waiting
//! senders sleep at most until then. All of them are woken at each refusal, and when a growth
//! succeeds after one. A growth with a work that succeeds starts another actor if work waits in
//! a mailbox, where a refusal may have put it. Only an assign asks the system again.
//!
//! The slot, with its mailbox, is made without the locks. The growth then begins again.
//!
//! Attacked by `grow::tests`, `shuttle::growth_by_two`, `shuttle::spawn_refusals_lose_nothing`,
//! `shuttle::long_works_against_retire`, `shuttle::min_against_a_refused_growth`,
//! `shuttle::waiters_against_a_refused_growth`, `shuttle::waiters_ask_the_system_again`,
//! `it::race::growth_by_many_assigners_from_nothing`, `it::refusal`.

use std::io;

use super::Placed;
use super::mailbox::announce;
use crate::actor_loop::run;
use crate::error::AssignError;
use crate::pool::{Counts, Locked, Pool, Reserved};
use crate::sync::{Arc, Instant, MutexGuard, SPAWN_RETRY, has_passed, spawn};
use crate::work::Envelope;

/// Why an actor is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The troupe is being built.
    Initial,
    /// A work is handed over to it.
    WithWork,
    /// It looks for works that wait in mailboxes.
    ForMailboxes,
}

/// The system has refused a thread, and the reservation is undone.
struct Refusal<E> {
    error: io::Error,
    /// The work of the actor that was not started, if it is still there.
    hand: Option<Envelope<E>>,
    /// The counts from before the reservation was undone.
    before: Counts,
}

/// Returns `true` once it is time to ask the system again after a refusal.
pub(super) fn may_grow_again<E>(pool: &Pool<E>) -> bool {
    pool.spawn_lock.lock().is_none_or(has_passed)
}

/// Returns when it is time to ask the system again, if the troupe would grow then. Senders
/// that wait for that instant are woken if another growth succeeds or is refused meanwhile.
pub(super) fn next_growth<E>(pool: &Pool<E>) -> Option<Instant> {
    let now = pool.counts.load();
    if now.is_refused() && now.live() < pool.config.max {
        *pool.spawn_lock.lock()
    } else {
        None
    }
}

/// Starts a new actor with this work. Returns `Retry` if the troupe need not or cannot grow at
/// present, and an error if it has no actor and the system refuses one.
pub(crate) fn grow<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    envelope: Envelope<E>,
) -> Result<Placed<E>, AssignError<E>> {
    let retry_at = pool.spawn_lock.lock();
    let mut locked = pool.lock();
    let now = pool.counts.load();
    let too_soon = now.live() > 0 && retry_at.is_some_and(|retry_at| !has_passed(retry_at));
    if now.is_shutting_down() || now.idle() > 0 || now.live() == pool.config.max || too_soon {
        return Ok(Placed::Retry(envelope));
    }
    let Some(reserved) = locked.reserve(true) else {
        drop((locked, retry_at));
        pool.make_next_slot();
        return Ok(Placed::Retry(envelope));
    };
    reserved.slot.handoff().hand_over(envelope);
    drop(locked);

    let Err(refusal) = spawn_reserved(pool, retry_at, &reserved, Start::WithWork) else {
        // Works may be waiting in mailboxes since the system refused a thread.
        grow_for_mailboxes(pool);
        return Ok(Placed::Yes);
    };
    match refusal.hand {
        Some(envelope) if refusal.before.live() == 1 && !refusal.before.is_shutting_down() => {
            Err(AssignError::Spawn {
                work: envelope.into_work(0),
                source: refusal.error,
            })
        }
        Some(envelope) => Ok(Placed::Retry(envelope)),
        // `shutdown_now` has returned it.
        None => Ok(Placed::Yes),
    }
}

/// Starts a new actor that looks for work, if a mailbox holds work. The work was put there while
/// the troupe was at max, or had just been refused a thread. An idle actor does not prevent
/// this, since it may be handed another work.
#[cold]
pub(crate) fn grow_for_mailboxes<E: Send + 'static>(pool: &Arc<Pool<E>>) {
    // If the system refuses, the work waits for an actor that is busy.
    drop(start_without_work(
        pool,
        Start::ForMailboxes,
        |retry_at, locked| {
            let now = pool.counts.load();
            // After a refusal works wait in mailboxes until it is time to ask again.
            retry_at.is_none_or(has_passed)
                && !now.is_shutting_down()
                && now.live() < pool.config.max
                && locked.find_ready().is_some()
        },
    ));
}

/// Starts one of the actors that a troupe begins with.
pub(crate) fn grow_initial<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
) -> Result<(), (String, io::Error)> {
    start_without_work(pool, Start::Initial, |_, _| true)
}

/// Starts an actor without a work, if it is needed. The error contains the name of the thread
/// that the system has refused.
fn start_without_work<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    start: Start,
    is_needed: impl Fn(Option<Instant>, &Locked<'_, E>) -> bool,
) -> Result<(), (String, io::Error)> {
    loop {
        let retry_at = pool.spawn_lock.lock();
        let mut locked = pool.lock();
        if !is_needed(*retry_at, &locked) {
            return Ok(());
        }
        let reserved = locked.reserve(start != Start::Initial);
        drop(locked);
        if let Some(reserved) = reserved {
            return spawn_reserved(pool, retry_at, &reserved, start)
                .map_err(|refusal| (pool.config.name_of(reserved.id), refusal.error));
        }
        drop(retry_at);
        pool.make_next_slot();
    }
}

/// Starts the thread of a reserved actor, or undoes the reservation.
fn spawn_reserved<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    mut retry_at: MutexGuard<'_, Option<Instant>>,
    reserved: &Reserved<'_, E>,
    start: Start,
) -> Result<(), Refusal<E>> {
    let id = reserved.id;
    let shared = Arc::clone(pool);
    let is_initial = start == Start::Initial;
    let body = move || run(&shared, id, is_initial, announce);
    let spawned = spawn(pool.config.name_of(id), pool.config.stack_size, body);

    let mut locked = pool.lock();
    match spawned {
        Ok(thread) => {
            // The actor may have left already. An actor without a work opens its slot
            // itself, when it first goes idle.
            if locked.store_thread(reserved, thread) && start == Start::WithWork {
                locked.open(id);
            }
            drop(locked);
            let was_refused = retry_at.take().is_some();
            if was_refused {
                pool.counts.growth_granted();
            }
            drop(retry_at);
            if pool.counts.load().is_waited_for() {
                if was_refused {
                    pool.waiters.wake_all();
                } else if pool.has_mailboxes() {
                    // The new mailbox is room.
                    pool.waiters.wake_one();
                }
            }
            Ok(())
        }
        Err(error) => {
            let hand = reserved.slot.handoff().take_over();
            let before = locked.undo(reserved);
            drop(locked);
            let is_last = before.live() == 1;
            if !is_last {
                *retry_at = Instant::now().checked_add(SPAWN_RETRY);
                pool.counts.growth_refused();
            }
            drop(retry_at);
            // Waiting senders may have found `Full` because of the reservation, and do not know
            // yet when to ask the system again.
            if before.is_waited_for() {
                pool.waiters.wake_all();
            }
            pool.report_refused(id, &error);
            if is_last && before.is_shutting_down() {
                pool.end();
            }
            Err(Refusal {
                error,
                hand,
                before,
            })
        }
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use std::sync::mpsc;

    use super::grow_for_mailboxes;
    use crate::assign::assign;
    use crate::config::Config;
    use crate::pool::{Hooks, Pool};
    use crate::shutdown::{join, shutdown, wait_idle};
    use crate::sync::{Arc, Duration, Instant, spawn, yield_now};
    use crate::work::Work;

    fn eventually(is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "hung");
            yield_now();
        }
    }

    /// Only a troupe that has an actor waits after a refusal. A troupe without one asks the
    /// system again immediately.
    #[test]
    fn a_troupe_without_an_actor_asks_the_system_immediately() {
        let pool = Arc::new(Pool::<()>::new(
            Config::dynamic(0, 2),
            None,
            Hooks::default(),
        ));
        *pool.spawn_lock.lock() = Instant::now().checked_add(Duration::from_secs(3_600));
        pool.counts.growth_refused();
        assert!(assign(&pool, Work::new(|| Ok(())), Some(Duration::ZERO)).is_ok());
        assert!(!pool.counts.load().is_refused());
        shutdown(&pool);
        assert_eq!(join(&pool, None), Ok(()));
    }

    /// An actor that may not retire tries again later, and retires if another actor has been
    /// started meanwhile.
    #[test]
    fn an_actor_that_was_needed_retires_when_there_are_more() {
        let config = Config::dynamic(1, 2).mailbox_size(1);
        let pool = Arc::new(Pool::<()>::new(
            config.idle_timeout(Duration::ZERO),
            None,
            Hooks::default(),
        ));
        let (open, gate) = mpsc::channel::<()>();
        assert!(assign(&pool, Work::new(|| Ok(())), Some(Duration::ZERO)).is_ok());
        assert_eq!(wait_idle(&pool, None), Ok(()));
        // The actor tries to retire as soon as it sleeps. These yields only give it the chance to
        // try too early. The test holds in both cases.
        eventually(|| pool.counts.load().should_notify());
        (0..1_000).for_each(|_| yield_now());
        let envelope = Work::new(move || gate.recv().map_err(drop)).into_envelope(1);
        assert!(pool.slot(0).unwrap().mailbox.put(envelope).is_ok());
        pool.set_ready(0);
        grow_for_mailboxes(&pool);
        eventually(|| pool.stats().running == 1);
        eventually(|| pool.stats().actors == 1);
        assert_eq!(open.send(()), Ok(()));
        shutdown(&pool);
        assert_eq!(join(&pool, None), Ok(()));
    }

    /// A sender that finds its work in a mailbox below max starts no actor right after the
    /// system has refused a thread. It starts one as soon as an assign would.
    #[test]
    fn a_late_sender_waits_after_a_refusal_too() {
        let pool = Arc::new(Pool::<()>::new(
            Config::dynamic(0, 2).mailbox_size(1),
            None,
            Hooks::default(),
        ));
        let gates = [(); 2].map(|()| mpsc::channel::<()>());
        let [(first, gate), (second, other_gate)] = gates;
        let work = Work::new(move || gate.recv().map_err(drop));
        assert!(assign(&pool, work, Some(Duration::ZERO)).is_ok());
        eventually(|| pool.stats().running == 1);
        let envelope = Work::new(move || other_gate.recv().map_err(drop)).into_envelope(1);
        assert!(pool.slot(0).unwrap().mailbox.put(envelope).is_ok());
        pool.set_ready(0);
        pool.counts.growth_refused();
        *pool.spawn_lock.lock() = Instant::now().checked_add(Duration::from_secs(3_600));
        grow_for_mailboxes(&pool);
        assert_eq!(pool.counts.load().live(), 1);
        *pool.spawn_lock.lock() = Some(Instant::now());
        grow_for_mailboxes(&pool);
        eventually(|| pool.stats().running == 2);
        assert_eq!(first.send(()).and(second.send(())), Ok(()));
        shutdown(&pool);
        assert_eq!(join(&pool, None), Ok(()));
    }

    /// Work may be put into a mailbox because the system has just refused a thread. It does not
    /// wait behind busy actors once the troupe grows again.
    ///
    /// Fails when a growth does not look for work that is waiting.
    #[test]
    fn a_growth_after_a_refusal_starts_another_for_what_waits() {
        let config = Config::dynamic(0, 4).mailbox_size(4);
        let pool = Arc::new(Pool::<()>::new(config, None, Hooks::default()));
        let gates = [(); 3].map(|()| mpsc::channel::<()>());
        let (open, works): (Vec<_>, Vec<_>) = gates
            .into_iter()
            .map(|(open, gate)| (open, Work::new(move || gate.recv().map_err(drop))))
            .unzip();
        for (at, work) in works.into_iter().enumerate() {
            let later = (at == 1).then_some(3_600).map(Duration::from_secs);
            *pool.spawn_lock.lock() = later.and_then(|later| Instant::now().checked_add(later));
            if later.is_some() {
                pool.counts.growth_refused();
            }
            assert!(assign(&pool, work, Some(Duration::ZERO)).is_ok());
        }
        eventually(|| pool.stats().running == 3);
        drop(open);
        shutdown(&pool);
        assert_eq!(join(&pool, None), Ok(()));
    }

    /// A sender that waits for room asks the system for a thread as soon as an assign would,
    /// even if no room is made.
    #[test]
    fn a_waiting_sender_grows_the_troupe_in_time() {
        let pool = Arc::new(Pool::<()>::new(
            Config::dynamic(0, 2).mailbox_size(0),
            None,
            Hooks::default(),
        ));
        let (open, gate) = mpsc::channel::<()>();
        let work = Work::new(move || gate.recv().map_err(drop));
        assert!(assign(&pool, work, Some(Duration::ZERO)).is_ok());
        *pool.spawn_lock.lock() = Instant::now().checked_add(Duration::from_millis(20));
        pool.counts.growth_refused();
        let (done, is_done) = mpsc::channel();
        let waiter = Arc::clone(&pool);
        let wait = move || {
            let placed = assign(&waiter, Work::new(|| Ok(())), None);
            done.send(placed.is_ok()).unwrap();
        };
        let waiter = spawn("waits".to_owned(), None, wait).unwrap();
        assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok(true));
        waiter.join().unwrap();
        assert_eq!(open.send(()), Ok(()));
        shutdown(&pool);
        assert_eq!(join(&pool, None), Ok(()));
    }
}

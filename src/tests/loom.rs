//! Pieces of the core under loom: every schedule up to a number of preemptions, and every value
//! that weak memory lets a load return.
//!
//! `scripts/models loom test --release --lib tests::loom` runs them. A whole troupe is too
//! large, so a model begins in the middle. The slots are open, and only the actors that the
//! model is about have threads. The others stay busy for the whole model. A lost wake-up is a
//! deadlock, which loom reports. `sync/loom.rs` describes what is not real.

use crate::actor_loop::run;
use crate::assign::{after_send, announce, assign, grow, grow_for_mailboxes, reclaim_if_late};
use crate::config::Config;
use crate::pool::{Hooks, Pool, Retired, Signal};
use crate::shutdown::{join, shutdown, shutdown_now};
use crate::sync::atomics::StripedCounter;
use crate::sync::{
    Arc, Condvar, Duration, Ghost, Instant, JoinHandle, Mutex, Wake, explore, spawn, thread_number,
};
use crate::work::Work;

type Error = ();

/// Makes a pool with `max` actors, all of them busy.
fn pool(config: Config) -> Arc<Pool<Error>> {
    let pool = Arc::new(Pool::new(config, None, Hooks::default()));
    for _ in 0..pool.config.max {
        pool.make_next_slot();
        let mut locked = pool.lock();
        let id = locked.reserve(false).unwrap().id;
        locked.open(id);
    }
    pool
}

/// Starts a thread with the pool.
fn with(
    pool: &Arc<Pool<Error>>,
    body: impl FnOnce(Arc<Pool<Error>>) + Send + 'static,
) -> JoinHandle<()> {
    let pool = Arc::clone(pool);
    spawn(String::new(), None, move || body(pool)).unwrap()
}

/// Starts the thread of an actor, which ends after a shutdown or when the actor retires.
fn actor(pool: &Arc<Pool<Error>>, id: usize) -> JoinHandle<()> {
    with(pool, move |pool| run(&pool, id, false, announce))
}

/// Makes a work that counts itself.
fn work(run: &Arc<Ghost>) -> Work<Error> {
    let run = Arc::clone(run);
    Work::new(move || {
        run.raise();
        Ok(())
    })
}

/// Puts a work into a mailbox, without the later steps of an assign.
fn put(pool: &Pool<Error>, id: usize, work: Work<Error>) {
    let placed = pool
        .slot(id)
        .unwrap()
        .mailbox
        .put(work.into_envelope(thread_number()));
    assert!(placed.is_ok());
}

/// Makes the slot of an actor vacant, as if the actor had left.
fn take_away(pool: &Pool<Error>, id: usize) {
    let slot = pool.slot(id).unwrap();
    let _: bool = pool.lock().leave(id, slot);
}

/// Leaves the ready bit of an empty mailbox set.
fn leave_ready(pool: &Pool<Error>, id: usize) {
    put(pool, id, work(&Arc::new(Ghost::default())));
    pool.set_ready(id);
    assert!(pool.take_from(id).is_some());
}

/// Makes a busy actor idle, on the calling thread.
fn goes_idle(pool: &Pool<Error>, id: usize) {
    let _ = pool.lock().go_idle(id, false);
}

/// Does a sender's steps after its send, to a slot with the same generation as before.
fn follow_up(pool: &Arc<Pool<Error>>, id: usize) {
    let slot = pool.slot(id).unwrap();
    assert!(after_send(pool, id, slot, slot.gate.generation()).is_none());
}

/// A bell. A thread can wait until it has been rung a number of times.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<u32>, Condvar)>);

impl Bell {
    fn ring(&self) {
        *self.0.0.lock() += 1;
        self.0.1.notify_all();
    }

    /// Makes a work that rings the bell.
    fn work(&self) -> Work<Error> {
        let bell = self.clone();
        Work::new(move || {
            bell.ring();
            Ok(())
        })
    }

    /// Makes a work that rings the bell and ends once `works` works have rung it.
    fn meeting(&self, works: u32) -> Work<Error> {
        let bell = self.clone();
        Work::new(move || {
            bell.ring();
            bell.wait(works);
            Ok(())
        })
    }

    fn wait(&self, times: u32) {
        let mut rung = self.0.0.lock();
        while *rung < times {
            let _: Wake = self.0.1.wait(&mut rung, None);
        }
    }
}

/// Once a place is free, its mailbox is not counted as full, however far a sender that found the
/// mailbox full has come.
///
/// Fails when a sender takes a mailbox for full without a second look. Fails when loads or
/// exchanges of a `SeqCstWord` are weaker than sequentially consistent.
#[test]
fn full_counts_no_mailbox_with_room() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let run = Arc::new(Ghost::default());
        put(&pool, 0, work(&run));
        let late = work(&run);
        let sender = with(&pool, move |pool| {
            drop(assign(&pool, late, Some(Duration::ZERO)))
        });
        assert!(pool.take_from(0).is_some());
        // The count is below zero for a moment if the mailbox is uncounted before it is counted.
        assert_ne!(pool.counts.load().full(), 1);
        sender.join().unwrap();
        assert_eq!(pool.counts.load().full(), 0);
        assert!(pool.slot(0).unwrap().gate.may_have_room());
    });
}

/// A full mailbox is counted once, even if two senders find it full. It is not counted if a work
/// is taken from it meanwhile.
///
/// Fails when a sender counts a mailbox that another has counted, and when a check outlives a
/// take.
#[test]
fn a_full_mailbox_is_counted_once() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        put(&pool, 0, work(&Arc::new(Ghost::default())));
        let senders: Vec<_> = (0..2)
            .map(|_| {
                with(&pool, |pool| {
                    let _ = pool
                        .room
                        .verify_full(0, pool.slot(0).unwrap(), &pool.counts);
                })
            })
            .collect();
        assert!(pool.take_from(0).is_some());
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(pool.counts.load().full(), 0);
    });
}

/// A slot that becomes vacant stays closed, even if a take from its full mailbox is about to open
/// the gate.
///
/// Fails when a close does not wait for a take that is uncounting the mailbox.
#[test]
fn a_gate_is_closed_against_a_take() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        put(&pool, 0, work(&Arc::new(Ghost::default())));
        let slot = pool.slot(0).unwrap();
        assert!(pool.room.verify_full(0, slot, &pool.counts));
        let actor = with(&pool, |pool| assert!(pool.take_from(0).is_some()));
        pool.lock().close(0);
        actor.join().unwrap();
        assert!(slot.gate.check().is_none());
        assert_eq!(pool.counts.load().full(), 0);
    });
}

/// A work that is assigned while the only actor goes idle is run without another assign. It is
/// handed over, or found, or the actor is notified.
///
/// Fails when an actor parks without a last look after it has stopped searching. Fails when a
/// sender sets the ready bit too late or notifies no actor. Fails when loads or
/// read-modify-writes of a `SeqCstWord` are weaker than sequentially consistent.
#[test]
fn going_idle_against_assign() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let bell = Bell::default();
        let actor = actor(&pool, 0);
        assign(&pool, bell.work(), Some(Duration::ZERO)).unwrap();
        bell.wait(1);
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// A work that a hand-off puts into the mailbox is found under the pool's lock. The sender of the
/// work that the hand-off takes from there may not have set the ready bit yet.
///
/// Fails when a hand-off does not set the ready bit.
#[test]
fn a_hand_off_against_a_send() {
    explore(3, || {
        let pool = pool(Config::fixed(2).mailbox_size(1));
        let _ = pool.cursors.move_fill(pool.cursors.fill(), 1);
        goes_idle(&pool, 0);
        let [first, second] = [(); 2].map(|()| Arc::new(Ghost::default()));
        let early = work(&first);
        let sender = with(&pool, move |pool| put(&pool, 0, early));
        assign(&pool, work(&second), Some(Duration::ZERO)).unwrap();
        let hand = pool.slot(0).unwrap().handoff().take_work();
        assert!(hand.is_some_and(|envelope| envelope.into_work(0).run().is_ok()));
        if second.get() == 0 {
            // The second work has been accepted into the mailbox.
            assert_eq!(pool.lock().find_ready(), Some(0));
        }
        sender.join().unwrap();
    });
}

/// Under the pool's lock, a mailbox whose bit is clear is empty, or its sender has not loaded the
/// counts yet. That sender then sees the idle actor.
///
/// Fails when a bit is cleared without a second look at the mailbox. Fails when a bit is set or
/// cleared by an operation that is weaker than sequentially consistent.
#[test]
fn a_bit_is_cleared_against_a_send() {
    explore(3, || {
        let pool = pool(Config::fixed(2).mailbox_size(1));
        leave_ready(&pool, 1);
        let sender = with(&pool, |pool| {
            put(&pool, 1, work(&Arc::new(Ghost::default())));
            follow_up(&pool, 1);
        });
        let mut locked = pool.lock();
        let _ = locked.go_idle(0, false);
        let found = locked.find_ready().is_some();
        drop(locked);
        sender.join().unwrap();
        assert!(found || pool.slot(0).unwrap().handoff().signal() == Signal::Search);
        assert_eq!(pool.lock().find_ready(), Some(1));
    });
}

/// A sender that waits for room is woken, whenever room is made.
///
/// Fails when a waiter sleeps although the generation has risen since it noted it, and when a
/// gate that opens wakes no waiter.
#[test]
fn a_waiter_hears_of_room() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let run = Arc::new(Ghost::default());
        put(&pool, 0, work(&run));
        let late = work(&run);
        let waiter = with(&pool, move |pool| {
            assign(&pool, late, None).unwrap();
        });
        assert!(pool.take_from(0).is_some());
        waiter.join().unwrap();
        assert!(pool.take_from(0).is_some());
    });
}

/// Two waiting senders get two places, even if only the first take opens the gate. The mailbox is
/// known to be full from the beginning.
///
/// Fails when a waiter that has got its place does not wake the next.
#[test]
fn two_waiters_hear_of_two_places() {
    explore(2, || {
        let pool = pool(Config::fixed(1).mailbox_size(2));
        let run = Arc::new(Ghost::default());
        put(&pool, 0, work(&run));
        put(&pool, 0, work(&run));
        assert!(
            pool.room
                .verify_full(0, pool.slot(0).unwrap(), &pool.counts)
        );
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let work = work(&run);
                with(&pool, move |pool| {
                    assign(&pool, work, None).unwrap();
                })
            })
            .collect();
        assert!(pool.take_from(0).is_some());
        assert!(pool.take_from(0).is_some());
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// An accepted work begins or is returned, never both, and no work begins once `shutdown_now`
/// has returned.
///
/// Fails when `shutdown_now` does not wait for actors between two works, and when an actor begins
/// a work without a check for a halt.
#[test]
fn halt_against_the_begin_of_a_work() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(2));
        let run = Arc::new(Ghost::default());
        put(&pool, 0, work(&run));
        put(&pool, 0, work(&run));
        pool.set_ready(0);
        let actor = actor(&pool, 0);
        let returned = shutdown_now(&pool).len() as u64;
        let before = run.get();
        actor.join().unwrap();
        assert_eq!(returned + run.get(), 2);
        // A work that had begun may have been about to count itself.
        assert!(run.get() - before <= 1);
    });
}

/// A snapshot does not count a work twice, neither as waiting and as running, nor as running and
/// as finished.
///
/// Fails when a `SingleWriter` is stored or read relaxed. Fails when a snapshot reads running
/// works before finished ones, and when an actor counts a work as finished while it still runs.
#[test]
fn a_snapshot_against_a_work() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let run = Arc::new(Ghost::default());
        put(&pool, 0, work(&run));
        pool.set_ready(0);
        let actor = actor(&pool, 0);
        let stats = pool.stats();
        assert!(stats.accepted <= 1, "{stats:?}");
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// Threads that share a stripe lose no count, whichever owns it.
///
/// Fails when a stripe is claimed by a load and a store.
#[test]
fn a_stripe_has_one_owner() {
    explore(3, || {
        let counts = Arc::new(StripedCounter::default());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let counts = Arc::clone(&counts);
                let body = move || {
                    counts.accept();
                    counts.accept();
                };
                spawn(String::new(), None, body).unwrap()
            })
            .collect();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(counts.accepted(), 4);
    });
}

/// A work that is assigned while the only actor retires is run, by this actor or by a new one.
///
/// Fails when a retiring actor does not look for work again.
#[test]
fn retire_against_assign() {
    explore(3, || assign_while_the_only_actor_retires(false));
}

/// The work is also run if the system has just refused a thread. Then no actor is started for
/// work in a mailbox, so the sender has to take its work back and start an actor with it.
///
/// Fails when a sender does not look at the generation again after its send.
#[test]
fn retire_against_assign_after_a_refusal() {
    explore(3, || assign_while_the_only_actor_retires(true));
}

/// A retiring actor finds a work in another mailbox, or the sender sees that the troupe is below
/// max. This holds even if the bit of that mailbox is cleared at the same time.
///
/// Fails when a retiring actor looks before it lowers the counts, or looks only into its own
/// mailbox. Fails when a bit is cleared without a second look, or by an operation that is weaker
/// than sequentially consistent.
#[test]
fn a_bit_is_cleared_against_retire() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        leave_ready(&pool, 1);
        let bell = Bell::default();
        let actor = actor(&pool, 0);
        put(&pool, 1, bell.work());
        follow_up(&pool, 1);
        bell.wait(1);
        actor.join().unwrap();
        shutdown(&pool);
    });
}

/// Actors that stay idle retire, whichever of them sleeps with a deadline, and even if another is
/// notified meanwhile.
///
/// Fails when an actor that leaves the bottom of the idle stack does not wake the next. Fails when
/// an actor does not check after a search whether it is at the bottom. Fails when an actor that
/// has been told to search retires, since it would then count as searching for ever.
#[test]
fn all_idle_actors_retire() {
    explore(2, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        let actors = [0, 1].map(|id| actor(&pool, id));
        put(&pool, 0, work(&Arc::new(Ghost::default())));
        let slot = pool.slot(0).unwrap();
        drop(after_send(&pool, 0, slot, slot.gate.generation()));
        for actor in actors {
            actor.join().unwrap();
        }
        assert_eq!(pool.counts.load().searching(), 0);
        shutdown(&pool);
    });
}

fn assign_while_the_only_actor_retires(after_a_refusal: bool) {
    let config = Config::dynamic(0, 1).idle_timeout(Duration::ZERO);
    let pool = pool(config.mailbox_size(1));
    if after_a_refusal {
        *pool.spawn_lock.lock() = Some(Instant::now());
        pool.counts.growth_refused();
    }
    let bell = Bell::default();
    let actor = actor(&pool, 0);
    assign(&pool, bell.work(), Some(Duration::ZERO)).unwrap();
    bell.wait(1);
    actor.join().unwrap();
    shutdown(&pool);
    join(&pool, None).unwrap();
}

/// A sender does not leave its work waiting below max because of an old refusal, if the system
/// has just started a thread.
///
/// Fails when a sender that finds its work below max relies on the flag, which outlives the
/// refusal.
#[test]
fn a_late_sender_against_a_growth_after_a_refusal() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        take_away(&pool, 1);
        pool.counts.growth_refused();
        let first = work(&Arc::new(Ghost::default()));
        let grower = with(&pool, move |pool| {
            let envelope = first.into_envelope(thread_number());
            drop(grow(&pool, envelope));
        });
        // The sender has seen the troupe at max.
        let bell = Bell::default();
        put(&pool, 0, bell.work());
        follow_up(&pool, 0);
        bell.wait(1);
        grower.join().unwrap();
        shutdown(&pool);
    });
}

/// Below max, a work that was sent to a slot whose actor has been replaced does not wait behind
/// the work of the new actor.
///
/// Fails when a late sender whose work stays starts no actor.
#[test]
fn a_late_sender_against_a_new_tenant() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        let before = pool.slot(0).unwrap().gate.generation();
        take_away(&pool, 0);
        // The new actor is busy.
        let mut locked = pool.lock();
        assert_eq!(locked.reserve(true).unwrap().id, 0);
        locked.open(0);
        drop(locked);
        let actor = actor(&pool, 1);
        let bell = Bell::default();
        put(&pool, 0, bell.work());
        let slot = pool.slot(0).unwrap();
        assert!(after_send(&pool, 0, slot, before).is_none());
        bell.wait(1);
        actor.join().unwrap();
        shutdown(&pool);
    });
}

/// A work that was sent to a slot whose actor has been replaced wakes the new actor if that is
/// idle.
///
/// Fails when a late sender whose work stays notifies no actor.
#[test]
fn a_late_sender_against_an_idle_actor() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let before = pool.slot(0).unwrap().gate.generation();
        take_away(&pool, 0);
        assert_eq!(pool.lock().reserve(true).unwrap().id, 0);
        let actor = actor(&pool, 0);
        let bell = Bell::default();
        put(&pool, 0, bell.work());
        let slot = pool.slot(0).unwrap();
        if let Some(envelope) = after_send(&pool, 0, slot, before) {
            assign(&pool, envelope.into_work(0), Some(Duration::ZERO)).unwrap();
        }
        bell.wait(1);
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// Two works that were sent because the troupe was at max do not wait for each other once it is
/// below max. An idle actor can take only one of them.
///
/// Fails when a sender that finds its work below max relies on an idle actor.
#[test]
fn two_late_senders_and_an_idle_actor() {
    explore(2, || {
        let pool = pool(Config::dynamic(0, 3).mailbox_size(2));
        take_away(&pool, 2);
        let actor = actor(&pool, 1);
        // The works meet, which takes two actors.
        let bell = Bell::default();
        for _ in 0..2 {
            put(&pool, 0, bell.meeting(2));
        }
        // The steps of their senders.
        for _ in 0..2 {
            follow_up(&pool, 0);
        }
        bell.wait(2);
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// An actor that is started for a work in a mailbox takes that work, even if another work is
/// assigned at the same time.
///
/// Fails when an actor that is started without a work can be handed one before it has looked, and
/// when it does not look.
#[test]
fn an_actor_is_born_for_a_work_against_assign() {
    explore(2, || {
        let pool = pool(Config::dynamic(0, 4).mailbox_size(1));
        take_away(&pool, 3);
        take_away(&pool, 2);
        // The works meet, which takes two actors.
        let bell = Bell::default();
        let [first, second] = [(); 2].map(|()| bell.meeting(2));
        put(&pool, 0, first);
        pool.set_ready(0);
        grow_for_mailboxes(&pool);
        assign(&pool, second, Some(Duration::ZERO)).unwrap();
        bell.wait(2);
        shutdown(&pool);
    });
}

/// A hand-off may take a work out of a mailbox and put another in its place. The sender of the
/// first work, which finds the troupe below max, then starts an actor for the second.
///
/// Fails when that sender looks at the mailbox without the lock, and finds it empty during the
/// hand-off.
#[test]
fn a_late_sender_against_a_hand_off() {
    explore(2, || {
        let pool = pool(Config::dynamic(0, 2).mailbox_size(1));
        take_away(&pool, 1);
        // The works meet, which takes two actors.
        let bell = Bell::default();
        let [first, second] = [(); 2].map(|()| bell.meeting(2));
        put(&pool, 0, first);
        pool.set_ready(0);
        goes_idle(&pool, 0);
        let sender = with(&pool, |pool| grow_for_mailboxes(&pool));
        assign(&pool, second, Some(Duration::ZERO)).unwrap();
        // The actor finds this when it is notified.
        let hand = with(&pool, |pool| {
            let hand = pool.slot(0).unwrap().handoff().take_work();
            assert!(hand.is_some_and(|envelope| envelope.into_work(0).run().is_ok()));
        });
        bell.wait(2);
        sender.join().unwrap();
        hand.join().unwrap();
        shutdown(&pool);
    });
}

/// A work that is sent after a shutdown to the mailbox of an actor that has left is either taken
/// back or run.
///
/// Fails when a late sender relies on other actors to find what is in a vacant slot.
#[test]
fn a_late_sender_against_the_last_leave() {
    explore(3, || {
        let pool = pool(Config::fixed(2).mailbox_size(1));
        shutdown(&pool);
        take_away(&pool, 1);
        let [run, back] = [(); 2].map(|()| Arc::new(Ghost::default()));
        let (late, is_back) = (work(&run), Arc::clone(&back));
        let actor = actor(&pool, 0);
        // The sender has seen the slot before it became vacant.
        let sender = with(&pool, move |pool| {
            put(&pool, 1, late);
            pool.set_ready(1);
            let slot = pool.slot(1).unwrap();
            if reclaim_if_late(&pool, 1, slot, thread_number()).is_some() {
                is_back.raise();
            }
        });
        actor.join().unwrap();
        sender.join().unwrap();
        assert_eq!(run.get() + back.get(), 1);
    });
}

/// No assign returns `Full` because an actor has begun to retire and then stays, even if the
/// system has just refused a thread.
///
/// Fails when `Full` is returned below max without a second look.
#[test]
fn full_is_exact_while_an_actor_turns_back() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        *pool.spawn_lock.lock() = Some(Instant::now());
        pool.counts.growth_refused();
        let run = Arc::new(Ghost::default());
        put(&pool, 0, work(&run));
        pool.set_ready(0);
        goes_idle(&pool, 1);
        let late = work(&run);
        let sender = with(&pool, move |pool| {
            assign(&pool, late, Some(Duration::ZERO)).unwrap()
        });
        // An actor begins to retire, and finds work.
        let slot = pool.slot(1).unwrap();
        let retired = pool.lock().retire(1, slot);
        assert!(!matches!(retired, Retired::Yes { .. }));
        sender.join().unwrap();
    });
}

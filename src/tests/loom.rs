//! Pieces of the core under loom: every schedule up to so many preemptions, and
//! every value that weak memory lets a load return.
//!
//! `RUSTFLAGS="--cfg troupe_loom" cargo test --release --lib
//! tests::loom --target-dir target-loom`. The whole of a troupe is too large. So
//! a model begins in the middle: the slots are open, and of the actors only those
//! live that it is about; the others are busy for ever. A lost wake-up is a
//! deadlock, which loom reports. `sync/loom.rs` says what is not real.

use crate::actor_loop::run;
use crate::assign::{after_send, grow, grow_for_mailboxes, reclaim_if_late};
use crate::assign::{assign, assign_waiting};
use crate::config::Config;
use crate::pool::{Pool, Retired, Signal};
use crate::shutdown::{join, shutdown, shutdown_now};
use crate::sync::atomics::StripedCounter;
use crate::sync::{
    Arc, Condvar, Duration, Ghost, Instant, JoinHandle, Mutex, Wake, explore, spawn, thread_number,
};
use crate::work::Work;

type Error = ();

/// A pool with as many actors as there may be, all of them busy.
fn pool(config: Config) -> Arc<Pool<Error>> {
    let pool = Arc::new(Pool::new(config, None));
    for _ in 0..pool.config.max {
        pool.make_next_slot();
        let mut locked = pool.lock();
        let id = locked.reserve(false).unwrap().id;
        locked.open(id);
    }
    pool
}

/// A thread with the pool.
fn with(
    pool: &Arc<Pool<Error>>,
    body: impl FnOnce(Arc<Pool<Error>>) + Send + 'static,
) -> JoinHandle<()> {
    let pool = Arc::clone(pool);
    spawn(String::new(), None, move || body(pool)).unwrap()
}

/// The life of one of its actors, which ends with a shutdown.
fn actor(pool: &Arc<Pool<Error>>, id: usize) -> JoinHandle<()> {
    with(pool, move |pool| run(&pool, id))
}

/// A work that counts itself.
fn work(run: &Arc<Ghost>) -> Work<Error> {
    let run = Arc::clone(run);
    Work::new(move || {
        run.raise();
        Ok(())
    })
}

/// Puts a work into a mailbox, without any of what an assign does afterwards.
fn lay_in(pool: &Pool<Error>, id: usize, work: Work<Error>) {
    let laid = pool
        .slot(id)
        .unwrap()
        .mailbox
        .put(work.into_envelope(thread_number()));
    assert!(laid.is_ok());
}

/// Makes the slot of an actor vacant, as if the actor had left.
fn take_away(pool: &Pool<Error>, id: usize) {
    let slot = pool.slot(id).unwrap();
    let _: bool = pool.lock().leave(id, slot);
}

/// A ready bit of a mailbox that is empty by now.
fn leave_ready(pool: &Pool<Error>, id: usize) {
    lay_in(pool, id, work(&Arc::new(Ghost::default())));
    pool.set_ready(id);
    assert!(pool.take_from(id).is_some());
}

/// One of its actors, busy so far, goes idle as if without a thread.
fn goes_idle(pool: &Pool<Error>, id: usize) {
    let _ = pool.lock().go_idle(id, false);
}

/// A sender's steps after its send, to a slot that is the same actor's as before.
fn follow_up(pool: &Arc<Pool<Error>>, id: usize) {
    let slot = pool.slot(id).unwrap();
    assert!(after_send(pool, id, slot, slot.gate.generation()).is_none());
}

/// Waited for until it has been rung so many times.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<u32>, Condvar)>);

impl Bell {
    fn ring(&self) {
        *self.0.0.lock() += 1;
        self.0.1.notify_all();
    }

    /// A work that rings it.
    fn work(&self) -> Work<Error> {
        let bell = self.clone();
        Work::new(move || {
            bell.ring();
            Ok(())
        })
    }

    /// A work that ends when so many have met.
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

/// Once a place has been given free, its mailbox is not counted as full, however
/// far a sender has got that has found it so.
///
/// Fails when a sender takes a mailbox for full without a second try, and when
/// announced loads or stores are weaker than sequentially consistent.
#[test]
fn full_counts_no_mailbox_with_room() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let run = Arc::new(Ghost::default());
        lay_in(&pool, 0, work(&run));
        let late = work(&run);
        let sender = with(&pool, move |pool| drop(assign(&pool, late)));
        assert!(pool.take_from(0).is_some());
        // Below zero for a moment, if it is uncounted before it is counted.
        assert_ne!(pool.counts.load().full(), 1);
        sender.join().unwrap();
        assert_eq!(pool.counts.load().full(), 0);
        assert!(pool.slot(0).unwrap().gate.may_have_room());
    });
}

/// A full mailbox is counted once, whoever finds it so, and not when somebody
/// takes from it meanwhile.
///
/// Fails when a sender counts what another has counted, and when a mark outlives
/// a take.
#[test]
fn a_full_mailbox_is_counted_once() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        lay_in(&pool, 0, work(&Arc::new(Ghost::default())));
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

/// A slot that becomes vacant stays closed, though somebody who has taken the last
/// work from its mailbox is about to open the gate.
///
/// Fails when who closes a gate does not wait for a taker that is uncounting it.
#[test]
fn a_gate_is_closed_against_a_take() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        lay_in(&pool, 0, work(&Arc::new(Ghost::default())));
        let slot = pool.slot(0).unwrap();
        assert!(pool.room.verify_full(0, slot, &pool.counts));
        let taker = with(&pool, |pool| assert!(pool.take_from(0).is_some()));
        pool.lock().close(0);
        taker.join().unwrap();
        assert!(slot.gate.check().is_none());
        assert_eq!(pool.counts.load().full(), 0);
    });
}

/// A work that is assigned while its actor goes idle is run, though nobody else
/// ever comes: it is handed over, or found, or the actor is called.
///
/// Fails when an actor parks without a last look after it has stopped searching, when
/// a sender wakes nobody, and when announced loads are weaker than sequentially
/// consistent.
#[test]
fn going_idle_against_assign() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let bell = Bell::default();
        let actor = actor(&pool, 0);
        assign(&pool, bell.work()).unwrap();
        bell.wait(1);
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// A work that a hand-off puts into the mailbox is known under the pool's lock. That does
/// not depend on the sender of the work that the hand-off takes out of there, which may not
/// have set the ready bit yet.
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
        let sender = with(&pool, move |pool| lay_in(&pool, 0, early));
        assign(&pool, work(&second)).unwrap();
        let hand = pool.slot(0).unwrap().handoff().take_work();
        assert!(hand.is_some_and(|envelope| envelope.run().is_ok()));
        if second.get() == 0 {
            // It is accepted.
            assert_eq!(pool.lock().find_ready(), Some(0));
        }
        sender.join().unwrap();
    });
}

/// Under the pool's lock a mailbox whose bit is clear is empty, or its sender has not
/// loaded the state yet: it then sees who is idle.
///
/// Fails when a bit is cleared without a second look at the mailbox.
#[test]
fn a_bit_is_cleared_against_a_send() {
    explore(3, || {
        let pool = pool(Config::fixed(2).mailbox_size(1));
        leave_ready(&pool, 1);
        let sender = with(&pool, |pool| {
            lay_in(&pool, 1, work(&Arc::new(Ghost::default())));
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

/// A sender that waits for room hears of it, whenever it is made.
///
/// Fails when a waiter sleeps though the generation has risen since it noted it,
/// and when a gate that opens wakes nobody.
#[test]
fn a_waiter_hears_of_room() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let run = Arc::new(Ghost::default());
        lay_in(&pool, 0, work(&run));
        let late = work(&run);
        let waiter = with(&pool, move |pool| {
            assign_waiting(&pool, late, None).unwrap();
        });
        assert!(pool.take_from(0).is_some());
        waiter.join().unwrap();
        assert!(pool.take_from(0).is_some());
    });
}

/// Two who wait hear of two places, though the first take may be the only one
/// that opens the gate. That the mailbox is full is known from the beginning.
///
/// Fails when a waiter that has got its place does not wake the next.
#[test]
fn two_waiters_hear_of_two_places() {
    explore(2, || {
        let pool = pool(Config::fixed(1).mailbox_size(2));
        let run = Arc::new(Ghost::default());
        lay_in(&pool, 0, work(&run));
        lay_in(&pool, 0, work(&run));
        assert!(
            pool.room
                .verify_full(0, pool.slot(0).unwrap(), &pool.counts)
        );
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let work = work(&run);
                with(&pool, move |pool| {
                    assign_waiting(&pool, work, None).unwrap();
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

/// An accepted work has begun or is returned, never both, and once
/// `shutdown_now` has returned nothing begins.
///
/// Fails when `shutdown_now` does not wait for actors between two works, and when
/// an actor does not check whether the troupe is halted before it begins.
#[test]
fn halt_against_the_begin_of_a_work() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(2));
        let run = Arc::new(Ghost::default());
        lay_in(&pool, 0, work(&run));
        lay_in(&pool, 0, work(&run));
        pool.set_ready(0);
        let actor = actor(&pool, 0);
        let returned = shutdown_now(&pool).len() as u64;
        let before = run.get();
        actor.join().unwrap();
        assert_eq!(returned + run.get(), 2);
        // It may have been about to count itself.
        assert!(run.get() - before <= 1);
    });
}

/// A snapshot does not count a work twice, where it waited and where it runs, or
/// as running and as finished.
///
/// Fails when an owned number is stored or read relaxed.
#[test]
fn a_snapshot_against_a_work() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let run = Arc::new(Ghost::default());
        lay_in(&pool, 0, work(&run));
        pool.set_ready(0);
        let actor = actor(&pool, 0);
        let stats = pool.stats();
        assert!(stats.accepted <= 1, "{stats:?}");
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// Threads that share a stripe count what they count, whoever owns it.
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

/// A work that is assigned while the only actor retires is run, by it or by a new
/// one.
///
/// Fails when a retiring actor does not look at its mailbox again.
#[test]
fn retire_against_assign() {
    explore(3, || assign_while_the_only_actor_retires(false));
}

/// The same after the system has refused a thread: then no actor is started for
/// what is in a mailbox, so the sender has to take its work back and ask for one.
///
/// Fails when a sender does not look at the generation again after its send.
#[test]
fn retire_against_assign_after_a_refusal() {
    explore(3, || assign_while_the_only_actor_retires(true));
}

/// A work in another mailbox is found by an actor that retires, or its sender sees that
/// there is one actor less; even if the bit of that mailbox is cleared at the same time.
///
/// Fails when a retiring actor looks before it is counted out, when it looks only into its
/// own mailbox, and when a bit is cleared without a second look.
#[test]
fn a_bit_is_cleared_against_retire() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        leave_ready(&pool, 1);
        let bell = Bell::default();
        let actor = actor(&pool, 0);
        lay_in(&pool, 1, bell.work());
        follow_up(&pool, 1);
        bell.wait(1);
        actor.join().unwrap();
        shutdown(&pool);
    });
}

/// Actors that stay idle retire, whichever of them watches the clock, and whatever another
/// is called to do meanwhile.
///
/// Fails when an actor that leaves the bottom of the idle stack does not wake the next,
/// when one does not look after a search whether it is at the bottom, and when one retires
/// that has been called to search: it would count as searching for ever.
#[test]
fn all_idle_actors_retire() {
    explore(2, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        let actors = [0, 1].map(|id| actor(&pool, id));
        lay_in(&pool, 0, work(&Arc::new(Ghost::default())));
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
    assign(&pool, bell.work()).unwrap();
    bell.wait(1);
    actor.join().unwrap();
    shutdown(&pool);
    join(&pool, None).unwrap();
}

/// A work is not left below max by a sender that has seen how the system refused a thread
/// long ago, and not that it has just given one.
///
/// Fails when who finds its work below max goes by the flag, which outlives the refusal.
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
        // One that has seen the troupe at max.
        let bell = Bell::default();
        lay_in(&pool, 0, bell.work());
        follow_up(&pool, 0);
        bell.wait(1);
        grower.join().unwrap();
        shutdown(&pool);
    });
}

/// A work that was sent to an actor that has gone, into a slot that has another by now,
/// does not wait there behind that one's work below max.
///
/// Fails when a late sender whose work stays starts nobody.
#[test]
fn a_late_sender_against_a_new_tenant() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        let before = pool.slot(0).unwrap().gate.generation();
        take_away(&pool, 0);
        // Another, which is busy.
        let mut locked = pool.lock();
        assert_eq!(locked.reserve(true).unwrap().id, 0);
        locked.open(0);
        drop(locked);
        let actor = actor(&pool, 1);
        let bell = Bell::default();
        lay_in(&pool, 0, bell.work());
        let slot = pool.slot(0).unwrap();
        assert!(after_send(&pool, 0, slot, before).is_none());
        bell.wait(1);
        actor.join().unwrap();
        shutdown(&pool);
    });
}

/// A work that was sent to an actor that has gone, into a slot that has another by now,
/// wakes that one if it is idle.
///
/// Fails when a late sender whose work stays wakes nobody.
#[test]
fn a_late_sender_against_an_idle_actor() {
    explore(3, || {
        let pool = pool(Config::fixed(1).mailbox_size(1));
        let before = pool.slot(0).unwrap().gate.generation();
        take_away(&pool, 0);
        assert_eq!(pool.lock().reserve(true).unwrap().id, 0);
        let actor = actor(&pool, 0);
        let bell = Bell::default();
        lay_in(&pool, 0, bell.work());
        let slot = pool.slot(0).unwrap();
        if let Some(envelope) = after_send(&pool, 0, slot, before) {
            assign(&pool, envelope.into_work(0)).unwrap();
        }
        bell.wait(1);
        shutdown(&pool);
        actor.join().unwrap();
    });
}

/// Two works that were sent because the troupe was at max, and now it is not, do not
/// wait for one another, though an actor is idle: it can take only one.
///
/// Fails when who finds its work below max relies on an actor that is idle.
#[test]
fn two_late_senders_and_an_idle_actor() {
    explore(2, || {
        let pool = pool(Config::dynamic(0, 3).mailbox_size(2));
        take_away(&pool, 2);
        let actor = actor(&pool, 1);
        // They meet, which takes two actors.
        let bell = Bell::default();
        for _ in 0..2 {
            lay_in(&pool, 0, bell.meeting(2));
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

/// An actor that is started for a work in a mailbox takes it, though another work comes
/// that it could be given while it is idle.
///
/// Fails when an actor that is born without a work goes idle before it has looked.
#[test]
fn an_actor_is_born_for_a_work_against_assign() {
    explore(2, || {
        let pool = pool(Config::dynamic(0, 4).mailbox_size(1));
        take_away(&pool, 3);
        take_away(&pool, 2);
        // They meet, which takes two actors.
        let bell = Bell::default();
        let [first, second] = [(); 2].map(|()| bell.meeting(2));
        lay_in(&pool, 0, first);
        pool.set_ready(0);
        grow_for_mailboxes(&pool);
        assign(&pool, second).unwrap();
        bell.wait(2);
        shutdown(&pool);
    });
}

/// A work that was sent because the troupe was at max, and now it is not, leaves nothing
/// behind that waits for it, if it is handed over with another put in its place.
///
/// Fails when a late sender finds its mailbox empty though a hand-off is under way there.
#[test]
fn a_late_sender_against_a_hand_off() {
    explore(2, || {
        let pool = pool(Config::dynamic(0, 2).mailbox_size(1));
        take_away(&pool, 1);
        // They meet, which takes two actors.
        let bell = Bell::default();
        let [first, second] = [(); 2].map(|()| bell.meeting(2));
        lay_in(&pool, 0, first);
        pool.set_ready(0);
        goes_idle(&pool, 0);
        let sender = with(&pool, |pool| grow_for_mailboxes(&pool));
        assign(&pool, second).unwrap();
        // The actor finds this when it is notified.
        let hand = with(&pool, |pool| {
            let hand = pool.slot(0).unwrap().handoff().take_work();
            assert!(hand.is_some_and(|envelope| envelope.run().is_ok()));
        });
        bell.wait(2);
        sender.join().unwrap();
        hand.join().unwrap();
        shutdown(&pool);
    });
}

/// A work that is sent after a shutdown to the mailbox of an actor that has left is
/// either taken back or run.
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
        // One that has seen the slot before it became vacant.
        let sender = with(&pool, move |pool| {
            lay_in(&pool, 1, late);
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

/// An actor that has begun to retire and then stays was never away: nobody is told
/// `Full` meanwhile, though the system has just refused a thread.
///
/// Fails when `Full` is said below max without a second look.
#[test]
fn full_is_exact_while_an_actor_turns_back() {
    explore(3, || {
        let config = Config::dynamic(0, 2).idle_timeout(Duration::ZERO);
        let pool = pool(config.mailbox_size(1));
        *pool.spawn_lock.lock() = Some(Instant::now());
        pool.counts.growth_refused();
        let run = Arc::new(Ghost::default());
        lay_in(&pool, 0, work(&run));
        pool.set_ready(0);
        goes_idle(&pool, 1);
        let late = work(&run);
        let sender = with(&pool, move |pool| assign(&pool, late).unwrap());
        // An actor begins to retire, and finds work.
        let slot = pool.slot(1).unwrap();
        let retired = pool.lock().retire(1, slot);
        assert!(!matches!(retired, Retired::Yes { .. }));
        sender.join().unwrap();
    });
}

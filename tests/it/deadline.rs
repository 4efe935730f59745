//! `Work::deadline` and `Failure::Expired`: work that nobody waits for any more is not begun.

use crate::support::{
    DropCounter, Fate, Fault, Gate, HANG, Log, OnDrop, Rng, Tally, WAYS_BACK, answer, end, ends,
    failure_in_words, fill, in_words, join, listening, me, occupy, quiet_panic, receive, rounds,
    settle, wait_until_blocked, within,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{Actor, ActorConfig, Config, Failure, Troupe, Work};

/// A troupe of one whose handler sends each failure on.
fn sending(mailbox_size: usize) -> (Troupe<Fault>, mpsc::Receiver<Failure<Fault>>) {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(mailbox_size))
        .error_handler(move |failure, _| sender.send(failure).expect("the test listens"))
        .build()
        .expect("valid");
    (troupe, receiver)
}

/// The work that has expired.
fn expired(failure: Failure<Fault>) -> Work<Fault> {
    match failure {
        Failure::Expired(work) => work,
        other => panic!("expected Expired, got {other:?}"),
    }
}

/// "It goes [...] to the handler as `Failure::Expired(work)`, which has not been run, has all its captures", and runs
/// by hand after all.
#[test]
fn an_expired_work_comes_to_the_handler() {
    let (troupe, failures) = sending(1);
    let (drops, tally) = (DropCounter::new(), Tally::new(1));
    let (lease, mark) = (drops.lease(), tally.clone());
    let work = Work::new(move || {
        let _held = &lease;
        mark.mark(0);
        Ok(())
    });
    troupe.assign(work.deadline(Instant::now())).expect("room");
    let work = expired(receive(&failures));
    settle(&troupe);
    assert_eq!((tally.total(), drops.dropped()), (0, 0));
    let stats = troupe.stats();
    assert_eq!(ends(&stats), [0, 0, 0, 1, 0]);
    assert_eq!((stats.accepted, stats.handler_panics), (1, 0));
    assert_eq!(troupe.actors()[0].finished, 1);
    assert_eq!(work.run(), Ok(()));
    tally.assert_each_once();
    drops.assert_balanced();
    end(&troupe);
    assert!(failures.try_recv().is_err(), "told twice");
}

/// "To drop it is to let its lease go." On the actor's thread.
#[test]
fn an_expired_work_that_is_dropped_lets_its_lease_go() {
    let config = Config::fixed(1).mailbox_size(1).thread_name("lets-go");
    let (troupe, failures) = listening(config);
    let dropped = Log::new();
    let log = dropped.clone();
    let capture = OnDrop::new(move || log.push(me()));
    let work = Work::new(move || {
        let _held = &capture;
        Ok(())
    });
    troupe.assign(work.deadline(Instant::now())).expect("room");
    settle(&troupe);
    assert_eq!(dropped.entries(), ["lets-go-0"]);
    assert_eq!(failures.entries(), ["expired"]);
    end(&troupe);
}

/// "Without a handler it is dropped and counted."
#[test]
fn without_a_handler_it_is_dropped_and_counted() {
    let troupe: Troupe = Troupe::new(Config::fixed(2)).expect("valid");
    let (drops, tally) = (DropCounter::new(), Tally::new(1));
    for _ in 0..20 {
        let (lease, mark) = (drops.lease(), tally.clone());
        let work = Work::new(move || {
            let _held = &lease;
            mark.mark(0);
            Ok(())
        });
        troupe.assign(work.deadline(Instant::now())).expect("room");
    }
    settle(&troupe);
    assert_eq!((tally.total(), drops.dropped()), (0, 20));
    assert_eq!(ends(&troupe.stats()), [0, 0, 0, 20, 0]);
    end(&troupe);
}

/// If the drop of an expired work panics, that is contained and counted, as everywhere.
#[test]
fn a_panic_in_the_drop_of_an_expired_work_is_contained() {
    for with_handler in [false, true] {
        let mut builder = Troupe::<Fault>::builder(Config::fixed(1));
        if with_handler {
            builder = builder.error_handler(|failure, _| drop(failure));
        }
        let troupe = builder.build().expect("valid");
        let drops = DropCounter::new();
        let work = Fate::PanicsInADrop.work(drops.lease());
        let work = work.deadline(Instant::now());
        troupe.assign(work).expect("an idle actor");
        troupe.assign(|| Ok(())).expect("room");
        settle(&troupe);
        drops.assert_balanced();
        let stats = troupe.stats();
        assert_eq!(ends(&stats), [1, 0, 0, 1, 0]);
        assert_eq!((stats.handler_panics, stats.actors), (1, 1));
        end(&troupe);
    }
}

/// Before its deadline a work runs and ends like any other.
#[test]
fn before_its_deadline_a_work_is_like_any_other() {
    let later = Instant::now() + HANG;
    for fate in Fate::ALL {
        let (troupe, failures) = listening(Config::fixed(2));
        let drops = DropCounter::new();
        let work = fate.work(drops.lease()).deadline(later);
        troupe.assign(work).expect("an idle actor");
        let (work, mut reply) = Work::with_reply(fate.act(drops.lease()));
        troupe.assign(work.deadline(later)).expect("room");
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        end(&troupe);
        drops.assert_balanced();
        let twice = fate.ends().map(|count| 2 * count);
        assert_eq!(ends(&troupe.stats()), twice, "{fate:?}");
        assert_eq!(failures.entries(), Vec::from_iter(fate.failure()));
    }
}

/// "`assign` does not look, not even at one that has passed": the work takes its place like any other, and expires when
/// an actor would start it.
#[test]
fn an_actor_looks_when_it_would_start_the_work() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(2));
    let gate = occupy(&troupe, 1);
    let drops = DropCounter::new();
    for _ in 0..2 {
        let work = Fate::Fails.work(drops.lease());
        troupe.assign(work.deadline(Instant::now())).expect("room");
    }
    let refused = troupe.assign(|| Ok(())).expect_err("no room is left");
    assert!(refused.is_full());
    let stats = troupe.stats();
    assert_eq!((stats.queued, stats.expired), (2, 0));
    assert_eq!(drops.dropped(), 0);
    gate.open();
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(failures.entries(), ["expired", "expired"]);
    assert_eq!(ends(&troupe.stats()), [1, 0, 0, 2, 0]);
}

/// "Nor does a wait for room."
#[test]
fn a_wait_for_room_does_not_look() {
    within(HANG, || {
        let (troupe, failures) = listening(Config::fixed(1).mailbox_size(0));
        let gate = occupy(&troupe, 1);
        thread::scope(|scope| {
            let work = Fate::Fails.work(DropCounter::new().lease());
            let work = work.deadline(Instant::now());
            let waiter = thread::Builder::new().name("waits-expired".to_owned());
            let waiter = waiter
                .spawn_scoped(scope, || troupe.assign_wait(work).is_ok())
                .expect("a thread");
            wait_until_blocked("waits-expired");
            assert_eq!(troupe.stats().expired, 0);
            gate.open();
            assert!(waiter.join().expect("no panic"));
        });
        end(&troupe);
        assert_eq!(failures.entries(), ["expired"]);
    });
}

/// "Setting it twice keeps the last", whatever is set in between.
#[test]
fn setting_it_twice_keeps_the_last() {
    let (troupe, failures) = listening(Config::fixed(1));
    let (now, later) = (Instant::now(), Instant::now() + HANG);
    let drops = DropCounter::new();
    let work = || Fate::Completes.work(drops.lease());
    let works = [
        work().deadline(now).deadline(later),
        work().deadline(now).label("label").deadline(later),
        work().deadline(later).deadline(now),
        work().deadline(later).keyed("key").deadline(now),
    ];
    for work in works {
        troupe.assign(work).expect("room");
    }
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [2, 0, 0, 2, 0]);
    assert_eq!(failures.entries(), ["expired", "expired"]);
}

/// "`context.reassign(work)` runs it after all and cannot go round in circles", since it "has no deadline any more". It
/// ends like any other then.
#[test]
fn an_expired_work_can_be_reassigned() {
    for fate in Fate::ALL {
        let told = Log::new();
        let log = told.clone();
        let troupe = Troupe::<Fault>::builder(Config::fixed(1).mailbox_size(0))
            .error_handler(move |failure, context| {
                log.push(failure_in_words(&failure));
                if let Failure::Expired(work) = failure {
                    assert!(context.reassign(work).is_ok());
                }
            })
            .build()
            .expect("valid");
        let drops = DropCounter::new();
        let work = fate.work(drops.lease()).deadline(Instant::now());
        troupe.assign(work).expect("an idle actor");
        settle(&troupe);
        end(&troupe);
        drops.assert_balanced();
        let mut expected = fate.ends();
        expected[3] = 1;
        let stats = troupe.stats();
        assert_eq!(ends(&stats), expected, "{fate:?}");
        assert_eq!((stats.accepted, stats.handler_panics), (2, 0));
        let expected = ["expired".to_owned()].into_iter().chain(fate.failure());
        assert_eq!(told.entries(), Vec::from_iter(expected));
    }
}

/// "A new deadline can be set", and can pass in its turn.
#[test]
fn a_new_deadline_can_be_set() {
    let left = AtomicUsize::new(3);
    let troupe = Troupe::<Fault>::builder(Config::fixed(1))
        .error_handler(move |failure, context| {
            let Failure::Expired(work) = failure else {
                return;
            };
            let again = left.fetch_sub(1, SeqCst) > 1;
            let late = if again {
                Instant::now()
            } else {
                Instant::now() + HANG
            };
            assert!(context.reassign(work.deadline(late)).is_ok());
        })
        .build()
        .expect("valid");
    let drops = DropCounter::new();
    let work = Fate::Completes.work(drops.lease());
    troupe.assign(work.deadline(Instant::now())).expect("room");
    settle(&troupe);
    end(&troupe);
    drops.assert_balanced();
    let stats = troupe.stats();
    assert_eq!(ends(&stats), [1, 0, 0, 3, 0]);
    assert_eq!((stats.accepted, stats.handler_panics), (4, 0));
}

/// A retry may have a deadline, as any work.
#[test]
fn a_retry_may_have_a_deadline() {
    let told = Log::new();
    let log = told.clone();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |failure, context| {
            log.push(failure_in_words(&failure));
            if let Failure::Error(_) = failure {
                let retry = Work::new(|| Err("never run")).deadline(Instant::now());
                assert!(context.reassign(retry).is_ok());
            }
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("at first")).expect("an idle actor");
    settle(&troupe);
    end(&troupe);
    assert_eq!(told.entries(), ["error at first", "expired"]);
    assert_eq!(ends(&troupe.stats()), [0, 1, 0, 1, 0]);
}

/// "By hand a deadline does not count", whether the work has been refused, returned, or neither.
#[test]
fn by_hand_a_deadline_does_not_count() {
    for way_back in WAYS_BACK {
        let tally = Tally::new(1);
        let mark = tally.clone();
        let work = Work::new(move || {
            mark.mark(0);
            Err("it ran")
        });
        let work = way_back(work.deadline(Instant::now()));
        assert_eq!(work.run(), Err("it ran"));
        tally.assert_each_once();
        let work = Work::new(|| quiet_panic("it ran")).deadline(Instant::now());
        let payload = catch_unwind(AssertUnwindSafe(|| way_back(work).run()));
        let payload = payload.expect_err("it unwinds");
        assert_eq!(payload.downcast_ref(), Some(&"it ran"));
    }
}

/// A work that comes back keeps its deadline: assigned again, it expires.
#[test]
fn a_work_that_comes_back_keeps_its_deadline() {
    for way_back in WAYS_BACK {
        let (troupe, failures) = listening(Config::fixed(1));
        let drops = DropCounter::new();
        let work = Fate::Fails.work(drops.lease()).deadline(Instant::now());
        troupe.assign(way_back(work)).expect("an idle actor");
        end(&troupe);
        drops.assert_balanced();
        assert_eq!(failures.entries(), ["expired"]);
        assert_eq!(ends(&troupe.stats()), [0, 0, 0, 1, 0]);
    }
}

/// A work that is dropped lets its captures go, deadline or not.
#[test]
fn a_dropped_work_lets_its_captures_go() {
    for way_back in WAYS_BACK {
        let drops = DropCounter::new();
        let work = Fate::Fails.work(drops.lease()).deadline(Instant::now());
        let work = way_back(work);
        assert!(!drops.is_balanced());
        drop(work);
        drops.assert_balanced();
    }
}

/// A cancelled work whose deadline has passed as well was cancelled first.
#[test]
fn a_cancelled_work_does_not_expire() {
    let (troupe, failures) = listening(Config::fixed(1));
    let drops = DropCounter::new();
    let (work, mut reply) = Work::with_reply(Fate::Fails.act(drops.lease()));
    assert!(reply.cancel());
    let work = work.deadline(Instant::now());
    troupe.assign(work).expect("an idle actor");
    assert_eq!(in_words(answer(&mut reply)), "cancelled");
    let (work, reply) = Work::with_reply(Fate::Fails.act(drops.lease()));
    let work = work.deadline(Instant::now());
    drop(reply.cancel_on_drop());
    troupe.assign(work).expect("room");
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [0, 0, 0, 0, 2]);
    assert_eq!(failures.entries(), [""; 0]);
}

/// A troupe that drains looks at deadlines, too. The works that `shutdown_now` returns have not expired.
#[test]
fn at_the_end_of_a_troupe() {
    for now in [false, true] {
        let (troupe, failures) = listening(Config::fixed(1).mailbox_size(3));
        let gate = occupy(&troupe, 1);
        let drops = DropCounter::new();
        for _ in 0..3 {
            let work = Fate::Completes.work(drops.lease());
            troupe.assign(work.deadline(Instant::now())).expect("room");
        }
        let mut returned = Vec::new();
        if now {
            returned = troupe.shutdown_now();
        } else {
            troupe.shutdown();
        }
        gate.open();
        join(&troupe);
        assert_eq!(returned.len(), if now { 3 } else { 0 });
        drop(returned);
        drops.assert_balanced();
        let (expired, returned) = if now { (0, 3) } else { (3, 0) };
        let stats = troupe.stats();
        assert_eq!(ends(&stats), [1, 0, 0, expired, 0]);
        assert_eq!((stats.returned, stats.accepted), (returned, 4));
        assert_eq!(failures.entries().len() as u64, expired);
    }
}

/// An expired work "takes no more of an actor than the look": what waits behind many of them is reached.
#[test]
fn expired_works_hold_up_nothing() {
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(1_000));
    let gate = occupy(&troupe, 1);
    let tally = Tally::new(1);
    let now = Instant::now();
    for _ in 0..999 {
        let work = Work::new(|| Err("never run")).deadline(now);
        troupe.assign(work).expect("room");
    }
    let mark = tally.clone();
    let last = move || {
        mark.mark(0);
        Ok(())
    };
    troupe.assign(last).expect("room");
    gate.open();
    settle(&troupe);
    tally.assert_each_once();
    assert_eq!(ends(&troupe.stats()), [2, 0, 0, 999, 0]);
    end(&troupe);
}

/// Each work is on one side of its deadline: it runs, or it expires, and that exactly once.
#[test]
fn deadlines_that_pass_meanwhile() {
    within(HANG, || {
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let troupe = Troupe::<Fault>::builder(Config::fixed(2).mailbox_size(16))
            .error_handler(move |failure, _| {
                assert!(matches!(failure, Failure::Expired(_)));
                count.fetch_add(1, SeqCst);
            })
            .build()
            .expect("valid");
        let works = rounds(4_000);
        let (tally, drops) = (Tally::new(works), DropCounter::new());
        let mut rng = Rng::new(4);
        for index in 0..works {
            let (mark, lease) = (tally.clone(), drops.lease());
            let mut inner = Rng::new(rng.next());
            let work = Work::new(move || {
                let _held = &lease;
                inner.dally(100);
                mark.mark(index);
                Ok(())
            });
            let late = Duration::from_nanos(rng.below(30_000));
            let work = work.deadline(Instant::now() + late);
            assert!(troupe.assign_wait(work).is_ok());
        }
        end(&troupe);
        drops.assert_balanced();
        assert!((0..works).all(|index| tally.count(index) <= 1));
        let (ran, expired) = (tally.total(), heard.load(SeqCst));
        assert_eq!(ran + expired, works);
        let stats = troupe.stats();
        assert_eq!(ends(&stats), [ran as u64, 0, 0, expired as u64, 0]);
        assert_eq!(stats.handler_panics, 0);
    });
}

/// "`Failure::Expired` displays as" a sentence, and its `Debug` shows the label of the work.
#[test]
fn an_expired_failure_says_so() {
    let (troupe, failures) = sending(1);
    let work = Work::new(|| Ok(())).label("fetch a");
    troupe.assign(work.deadline(Instant::now())).expect("room");
    let failure = receive(&failures);
    let text = "the deadline had passed before the work started";
    assert_eq!(failure.to_string(), text);
    let debug = format!("{failure:?}");
    assert!(debug.starts_with("Expired(") && debug.contains("fetch a"));
    end(&troupe);
}

/// `Actor::accept` takes it as well, and its handler is told.
#[test]
fn an_actor_lets_works_expire() {
    let (sender, failures) = mpsc::channel();
    let config = ActorConfig::<Fault>::default()
        .mailbox_size(2)
        .error_handler(move |failure| sender.send(failure).expect("the test listens"));
    let actor = Actor::<Fault>::new(config).expect("valid");
    let gate = Gate::new();
    actor.accept(gate.work()).expect("it is idle");
    gate.wait_for(1);
    let work = Work::new(|| Err("it ran")).deadline(Instant::now());
    actor.accept(work).expect("room");
    gate.open();
    assert_eq!(expired(receive(&failures)).run(), Err("it ran"));
    actor.shutdown();
    actor.join_timeout(HANG).expect("it ends");
}

/// A full troupe refuses a work with a deadline as any other, and has not looked at it.
#[test]
fn a_refused_work_has_not_expired() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(1));
    let gate = occupy(&troupe, 1);
    fill(&troupe, &gate);
    let drops = DropCounter::new();
    let work = Fate::Completes.work(drops.lease()).deadline(Instant::now());
    let refused = troupe.assign(work).expect_err("full");
    assert!(refused.is_full());
    assert_eq!(troupe.stats().expired, 0);
    assert_eq!(refused.into_work().run(), Ok(()));
    drops.assert_balanced();
    gate.open();
    end(&troupe);
    assert_eq!(failures.entries(), [""; 0]);
}

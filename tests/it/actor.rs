//! `Actor` on its own: one thread, one mailbox.

use crate::support::{
    DropCounter, Gate, HANG, Log, OnDrop, Tally, error, eventually, me, quiet_panic, receive,
    wait_until_blocked, within,
};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{AcceptError, Actor, ActorConfig, BuildError, Failure, JoinError, Work};

const SHORT: Duration = Duration::from_millis(30);

fn actor(mailbox_size: usize) -> Actor {
    Actor::new(ActorConfig::default().mailbox_size(mailbox_size)).expect("valid")
}

#[track_caller]
fn end<E>(actor: &Actor<E>) {
    actor.shutdown();
    actor
        .join_timeout(HANG)
        .expect("hung: the actor did not end");
}

/// A work on the actor that waits at the gate, once it does.
#[track_caller]
fn hold<E: Send + 'static>(actor: &Actor<E>) -> Gate {
    let gate = Gate::new();
    assert!(actor.accept(gate.work()).is_ok());
    gate.wait_for(1);
    gate
}

#[test]
fn accepted_work_runs_on_its_thread() {
    let actor: Actor =
        Actor::new(ActorConfig::default().thread_name("solo").mailbox_size(2)).expect("valid");
    let (sender, receiver) = mpsc::channel();
    actor.accept(move || Ok(sender.send(me())?)).expect("room");
    let name = receive(&receiver);
    assert!(name.starts_with("solo"), "{name}");
    end(&actor);
}

#[test]
fn defaults_are_enough() {
    let actor: Actor = Actor::new(ActorConfig::default()).expect("the default is valid");
    let tally = Tally::new(1);
    actor.accept(tally.work(0)).expect("room");
    end(&actor);
    tally.assert_each_once();
}

/// Accepts works that wait at the gate until one is refused, for want of room; how many were accepted.
#[track_caller]
fn fill(actor: &Actor, gate: &Gate) -> usize {
    let mut accepted = 0;
    loop {
        match actor.accept(gate.work()) {
            Ok(()) => accepted += 1,
            Err(refused) => {
                assert!(matches!(refused, AcceptError::Full(_)));
                assert!(refused.is_full() && !refused.is_shutting_down());
                return accepted;
            }
        }
    }
}

/// One running and `mailbox_size` waiting, from the start and after every rest; 0 is hand-off.
#[test]
fn it_holds_exactly_its_mailbox_and_one() {
    for mailbox_size in [0, 1, 5] {
        let actor = actor(mailbox_size);
        let gate = Gate::new();
        assert_eq!(fill(&actor, &gate), mailbox_size + 1);
        gate.open();
        for _ in 0..20 {
            let gate = Gate::new();
            eventually(|| actor.accept(gate.work()).is_ok());
            gate.wait_for(1); // everything before it is finished
            assert_eq!(fill(&actor, &gate), mailbox_size);
            gate.open();
        }
        end(&actor);
    }
}

#[test]
fn refused_work_comes_back_unrun() {
    let actor = actor(0);
    let gate = hold(&actor);
    let tally = Tally::new(2);
    actor
        .accept(tally.work(0))
        .expect_err("full")
        .into_work()
        .run()
        .expect("it succeeds");
    assert!(actor.shutdown());
    let refused = actor.accept(tally.work(1)).expect_err("shutting down");
    assert!(
        matches!(refused, AcceptError::ShuttingDown(_))
            && refused.is_shutting_down()
            && !refused.is_full()
    );
    refused.into_work().run().expect("it succeeds");
    gate.open();
    end(&actor);
    tally.assert_each_once();
}

/// Works run in order of acceptance.
#[test]
fn works_run_in_order() {
    let actor = actor(64);
    let gate = hold(&actor);
    let log = Log::new();
    for index in 0..64 {
        let log = log.clone();
        let work = move || {
            log.push(index);
            Ok(())
        };
        actor.accept(work).expect("room");
    }
    gate.open();
    end(&actor);
    assert!(log.entries().into_iter().eq(0..64));
}

/// "Failures": to its handler, by value; it survives both, and a panic of the handler.
#[test]
fn failures_reach_its_handler() {
    let (sender, receiver) = mpsc::channel();
    let config = ActorConfig::default()
        .mailbox_size(8)
        .error_handler(move |failure: Failure| {
            sender.send(failure).expect("the test listens");
            quiet_panic("in the handler")
        });
    let actor = Actor::new(config).expect("valid");
    actor.accept(|| Err(error("x"))).expect("room");
    actor.accept(|| quiet_panic("y")).expect("room");
    let tally = Tally::new(1);
    actor.accept(tally.work(0)).expect("room");
    assert!(matches!(receive(&receiver), Failure::Error(error) if error.to_string() == "x"));
    assert!(matches!(receive(&receiver), Failure::Panic(panic) if panic.message() == Some("y")));
    end(&actor);
    tally.assert_each_once();
}

/// Without a handler it survives as well.
#[test]
fn it_survives_without_a_handler() {
    let actor = actor(8);
    actor.accept(|| Err(error("x"))).expect("room");
    actor.accept(|| quiet_panic("y")).expect("room");
    let tally = Tally::new(1);
    actor.accept(tally.work(0)).expect("room");
    end(&actor);
    tally.assert_each_once();
}

/// An error type of one's own, without any bound but `Send`.
#[test]
fn an_error_of_ones_own() {
    struct Bare(mpsc::Sender<u8>);
    let config = ActorConfig::<Bare>::default().error_handler(|failure| {
        if let Failure::Error(Bare(reply)) = failure {
            reply.send(7).expect("the test listens");
        }
    });
    let actor = Actor::new(config).expect("valid");
    let (sender, receiver) = mpsc::channel();
    assert!(actor.accept(move || Err(Bare(sender))).is_ok());
    assert_eq!(receive(&receiver), 7);
    end(&actor);
}

#[test]
fn it_tells_whether_it_is_busy_and_since_when() {
    let actor = actor(1);
    assert!(!actor.is_busy());
    assert_eq!((actor.last_accepted(), actor.last_finished()), (None, None));
    let before = Instant::now();
    let gate = hold(&actor);
    let after = Instant::now();
    assert!(actor.is_busy());
    let accepted = actor.last_accepted().expect("it has accepted");
    assert!(before <= accepted && accepted <= after);
    assert_eq!(actor.last_finished(), None);
    let before = Instant::now();
    gate.open();
    // An actor is shown as not busy before it notes when it finished.
    eventually(|| !actor.is_busy() && actor.last_finished().is_some());
    let finished = actor.last_finished().expect("it has finished");
    assert!(before <= finished && finished <= Instant::now());
    assert_eq!(actor.last_accepted(), Some(accepted));
    end(&actor);
    assert!(!actor.is_busy());
}

/// Shutdown, then join: what was accepted runs, what comes later is refused, and any number of calls is fine.
#[test]
fn shutdown_and_join() {
    let actor = actor(4);
    let gate = hold(&actor);
    let tally = Tally::new(4);
    for index in 0..4 {
        actor.accept(tally.work(index)).expect("room");
    }
    assert!(!actor.is_shutdown());
    assert_eq!(actor.join_timeout(SHORT), Err(JoinError::Timeout));
    actor.shutdown();
    actor.shutdown();
    assert!(actor.is_shutdown());
    assert!(
        actor
            .accept(|| Ok(()))
            .expect_err("refused")
            .is_shutting_down()
    );
    assert_eq!(actor.join_timeout(Duration::ZERO), Err(JoinError::Timeout));
    gate.open();
    within(HANG, move || {
        thread::scope(|scope| {
            let joiners: Vec<_> = (0..4).map(|_| scope.spawn(|| actor.join())).collect();
            joiners
                .into_iter()
                .for_each(|joiner| assert_eq!(joiner.join().expect("no panic"), Ok(())));
        });
        assert_eq!(actor.join_timeout(Duration::ZERO), Ok(()));
        tally.assert_each_once();
    });
}

/// Joining before shutdown waits, and lets shutdown in.
#[test]
fn joining_before_shutdown_waits_for_it() {
    within(HANG, || {
        let actor = Arc::new(actor(1));
        let joiner = {
            let actor = Arc::clone(&actor);
            let builder = thread::Builder::new().name("actor-joiner".to_owned());
            builder
                .spawn(move || actor.join_timeout(Duration::MAX))
                .expect("a thread")
        };
        wait_until_blocked("actor-joiner");
        assert!(actor.accept(|| Ok(())).is_ok());
        actor.shutdown();
        assert_eq!(joiner.join().expect("no panic"), Ok(()));
    });
}

/// On its own thread a join would wait for itself.
#[test]
fn on_its_own_thread_join_would_deadlock() {
    let place: Arc<OnceLock<Weak<Actor>>> = Arc::default();
    let actor = Arc::new(actor(1));
    place.set(Arc::downgrade(&actor)).expect("set once");
    let (sender, receiver) = mpsc::channel();
    actor
        .accept(move || {
            let actor = place
                .get()
                .and_then(Weak::upgrade)
                .expect("the test holds it");
            let answers = [
                actor.join(),
                actor.join_timeout(Duration::ZERO),
                actor.join_timeout(Duration::MAX),
            ];
            drop(actor);
            Ok(sender.send(answers)?)
        })
        .expect("room");
    assert_eq!(receive(&receiver), [Err(JoinError::WouldDeadlock); 3]);
    end(&actor);
}

/// Drop is shutdown: it does not block, and what was accepted is drained; nothing is leaked.
#[test]
fn drop_does_not_block_and_work_is_drained() {
    let actor = actor(4);
    let gate = hold(&actor);
    let drops = DropCounter::new();
    let tally = Tally::new(4);
    for index in 0..4 {
        let (lease, tally) = (drops.lease(), tally.clone());
        let work = move || {
            tally.mark(index);
            drop(lease);
            Ok(())
        };
        actor.accept(work).expect("room");
    }
    drop(actor);
    assert_eq!(tally.total(), 0);
    gate.open();
    eventually(|| drops.is_balanced());
    tally.assert_each_once();
}

/// "Dropping it is `shutdown`": its thread ends, and with it the handler.
#[test]
fn drop_ends_the_thread() {
    let drops = DropCounter::new();
    let lease = drops.lease();
    let config = ActorConfig::<()>::default().error_handler(move |_| {
        let _ = &lease;
    });
    drop(Actor::new(config).expect("valid"));
    eventually(|| drops.is_balanced());
}

/// Also in one of its own works.
#[test]
fn drop_on_its_own_thread() {
    let actor = Arc::new(actor(1));
    let gate = Gate::new();
    let drops = DropCounter::new();
    let (inside, pass, lease) = (Arc::clone(&actor), gate.clone(), drops.lease());
    actor
        .accept(move || {
            pass.pass();
            drop(inside);
            drop(lease);
            Ok(())
        })
        .expect("room");
    drop(actor);
    gate.open();
    eventually(|| drops.is_balanced());
}

/// After `join` its captures and its handler have been dropped.
#[test]
fn after_join_everything_has_been_dropped() {
    let drops = DropCounter::new();
    let (in_handler, in_work, in_drop) = (drops.lease(), drops.lease(), drops.lease());
    let config = ActorConfig::<u8>::default()
        .mailbox_size(2)
        .error_handler(move |_| {
            let _held = &in_handler;
        });
    let actor = Actor::new(config).expect("valid");
    let capture = OnDrop::new(move || drop(in_drop));
    assert!(
        actor
            .accept(move || {
                let _held = (&in_work, &capture);
                Err(1)
            })
            .is_ok()
    );
    end(&actor);
    drops.assert_balanced();
}

/// Every invalid setting is an error that names it.
#[test]
fn invalid_settings_are_named() {
    let cases: [(ActorConfig<u8>, &str); 5] = [
        (
            ActorConfig::default().mailbox_size(usize::MAX),
            "mailbox_size",
        ),
        (ActorConfig::default().mailbox_size(1 << 40), "mailbox_size"),
        (ActorConfig::default().thread_name(""), "thread_name"),
        (ActorConfig::default().thread_name("a\0b"), "thread_name"),
        (ActorConfig::default().stack_size(usize::MAX), "stack_size"),
    ];
    for (config, expected) in cases {
        match Actor::new(config) {
            Err(BuildError::Invalid {
                setting,
                value,
                reason,
            }) => {
                assert_eq!(setting, expected);
                assert!(!value.is_empty() && !reason.is_empty());
            }
            other => panic!("expected Invalid, got {other:?}"),
        }
    }
}

/// Many threads at once: what is accepted runs once, what is not comes back.
#[test]
fn many_threads_may_use_it() {
    within(HANG, || {
        let actor = actor(2);
        let tally = Tally::new(2_000);
        thread::scope(|scope| {
            for producer in 0..2 {
                let (actor, tally) = (&actor, &tally);
                scope.spawn(move || {
                    for index in 0..1_000 {
                        let mut work: Work = tally.work(producer * 1_000 + index);
                        while let Err(refused) = actor.accept(work) {
                            work = refused.into_work();
                            thread::yield_now();
                        }
                    }
                });
            }
        });
        end(&actor);
        tally.assert_each_once();
    });
}

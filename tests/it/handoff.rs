//! `mailbox_size(0)`: only an idle or a new actor takes work.

use crate::support::{
    Gate, HANG, Tally, end, fill, occupy, receive, settle, wait_until_blocked, within,
};
use std::sync::{Arc, mpsc};
use std::thread;
use troupe_pool::{Config, Failure, Troupe};

fn fixed(actors: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(0)).expect("valid")
}

/// "When `build` returns, every actor without work counts as idle: the next assign on mailbox_size 0 succeeds."
#[test]
fn ready_when_build_returns() {
    for _ in 0..200 {
        let troupe = fixed(4);
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 4);
        gate.open();
        end(&troupe);
    }
}

/// The same for `initial` actors of a Dynamic troupe.
#[test]
fn ready_when_a_dynamic_build_returns() {
    for _ in 0..50 {
        let troupe: Troupe =
            Troupe::new(Config::dynamic(1, 3).initial(3).mailbox_size(0)).expect("valid");
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 3);
        assert_eq!(troupe.stats().grown, 0);
        gate.open();
        end(&troupe);
    }
}

/// "When `wait_idle` returns, every actor without work counts as idle."
#[test]
fn ready_when_wait_idle_returns() {
    let troupe = fixed(3);
    for _ in 0..2_000 {
        for _ in 0..3 {
            troupe.assign(|| Ok(())).expect("an idle actor");
        }
        settle(&troupe);
        assert_eq!(troupe.stats().idle, 3);
    }
    end(&troupe);
}

/// A busy troupe refuses, and takes work again when one of its actors is idle: as many as are.
#[test]
fn only_idle_actors_take_work() {
    let troupe = fixed(2);
    let (first, second) = (Gate::new(), Gate::new());
    troupe.assign(first.work()).expect("an idle actor");
    troupe.assign(second.work()).expect("an idle actor");
    assert!(troupe.assign(|| Ok(())).expect_err("both busy").is_full());
    first.wait_for(1);
    first.open();
    // The place is free once that actor is idle; assign_wait is how a caller waits for it.
    troupe.assign_wait(second.work()).expect("one is idle soon");
    assert!(troupe.assign(|| Ok(())).expect_err("both busy").is_full());
    second.wait_for(2);
    assert_eq!(troupe.stats().queued, 0);
    second.open();
    end(&troupe);
}

/// A Dynamic troupe grows for every work until `max`, then it is `Full`.
#[test]
fn a_new_actor_takes_work() {
    let troupe: Troupe = Troupe::new(Config::dynamic(0, 3).mailbox_size(0)).expect("valid");
    let gate = Gate::new();
    assert_eq!(fill(&troupe, &gate), 3);
    assert_eq!((troupe.stats().actors, troupe.stats().capacity), (3, 3));
    gate.open();
    end(&troupe);
}

/// A waiting assigner gets the actor that becomes idle.
#[test]
fn a_waiter_gets_the_actor_that_becomes_idle() {
    within(HANG, || {
        let troupe = Arc::new(fixed(1));
        for _ in 0..50 {
            let gate = occupy(&troupe, 1);
            let waiter = {
                let troupe = Arc::clone(&troupe);
                let builder = thread::Builder::new().name("handoff-waiter".to_owned());
                builder
                    .spawn(move || troupe.assign_wait(|| Ok(())).is_ok())
                    .expect("a thread")
            };
            wait_until_blocked("handoff-waiter");
            gate.open();
            assert!(waiter.join().expect("no panic"));
            settle(&troupe);
        }
        end(&troupe);
    });
}

/// Without a mailbox the retry still has its place.
#[test]
fn a_retry_needs_no_mailbox() {
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(
            |failure: Failure<mpsc::Sender<u8>>, context| match failure {
                Failure::Error(reply) => {
                    let retry = move || {
                        reply.send(1).expect("the test listens");
                        Ok(())
                    };
                    assert!(context.reassign(retry).is_ok());
                }
                other => panic!("unexpected: {other:?}"),
            },
        )
        .build()
        .expect("valid");
    let (sender, receiver) = mpsc::channel();
    troupe.assign(move || Err(sender)).expect("the idle actor");
    assert_eq!(receive(&receiver), 1);
    end(&troupe);
    assert_eq!(
        (
            troupe.stats().accepted,
            troupe.stats().completed,
            troupe.stats().failed
        ),
        (2, 1, 1)
    );
}

/// A hand-off that `shutdown_now` overtakes is run or returned; what runs and what returns add up.
#[test]
fn shutdown_now_partitions_hand_offs() {
    for _ in 0..300 {
        let troupe = fixed(2);
        let tally = Tally::new(2);
        troupe.assign(tally.work(0)).expect("an idle actor");
        troupe.assign(tally.work(1)).expect("an idle actor");
        let returned = troupe.shutdown_now();
        crate::support::join(&troupe);
        assert_eq!(tally.total() + returned.len(), 2);
        returned
            .into_iter()
            .for_each(|work| work.run().expect("it succeeds"));
        tally.assert_each_once();
    }
}

//! `shutdown_now`: an exact partition into what ran and what came back.

use crate::support::{
    DropCounter, Gate, HANG, Tally, end, fill, join, occupy, quiet_panic, receive, within,
};
use std::sync::{Arc, Weak, mpsc};
use troupe_pool::{AssignError, Config, Troupe};

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
}

/// "Stop accepting, take back every work that has not started": what runs is finished, the rest comes back unrun.
#[test]
fn what_has_not_started_comes_back() {
    for config in [
        Config::fixed(2).mailbox_size(3),
        Config::dynamic(0, 2).mailbox_size(3),
    ] {
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let gate = occupy(&troupe, 2);
        let tally = Tally::new(6);
        for index in 0..6 {
            troupe.assign(tally.work(index)).expect("room");
        }
        let returned = troupe.shutdown_now();
        assert_eq!(returned.len(), 6);
        assert!(troupe.is_shutdown());
        assert_eq!(troupe.stats().queued, 0);
        gate.open();
        join(&troupe);
        assert_eq!(tally.total(), 0);
        returned
            .into_iter()
            .for_each(|work| work.run().expect("it succeeds"));
        tally.assert_each_once();
        let stats = troupe.stats();
        assert_eq!((stats.accepted, stats.completed, stats.returned), (8, 2, 6));
    }
}

/// Returned work can be assigned to another troupe.
#[test]
fn what_came_back_can_be_assigned_elsewhere() {
    let (first, second) = (fixed(1, 4), fixed(1, 4));
    let gate = occupy(&first, 1);
    let tally = Tally::new(4);
    for index in 0..4 {
        first.assign(tally.work(index)).expect("room");
    }
    for work in first.shutdown_now() {
        second.assign(work).expect("room");
    }
    end(&second);
    tally.assert_each_once();
    gate.open();
    join(&first);
}

/// "A second call returns an empty vector", and the calls after any shutdown are `false` or empty.
#[test]
fn a_second_call_returns_nothing() {
    let troupe = fixed(1, 2);
    let gate = occupy(&troupe, 1);
    fill(&troupe, &gate);
    assert_eq!(troupe.shutdown_now().len(), 2);
    assert!(troupe.shutdown_now().is_empty());
    assert!(!troupe.shutdown());
    gate.open();
    join(&troupe);
    assert!(troupe.shutdown_now().is_empty());
}

/// After `shutdown` it takes back what has not been drained yet.
#[test]
fn after_shutdown_it_takes_back_the_rest() {
    let troupe = fixed(1, 3);
    let gate = occupy(&troupe, 1);
    fill(&troupe, &gate);
    assert!(troupe.shutdown());
    assert_eq!(troupe.shutdown_now().len(), 3);
    gate.open();
    join(&troupe);
    assert_eq!((troupe.stats().completed, troupe.stats().returned), (1, 3));
}

/// On a troupe that rests, that has no actor, or that was never used, it returns nothing and ends it.
#[test]
fn on_a_resting_troupe_it_returns_nothing() {
    for config in [
        Config::fixed(2),
        Config::dynamic(0, 2),
        Config::dynamic(1, 2),
    ] {
        let troupe: Troupe = Troupe::new(config.mailbox_size(1)).expect("valid");
        assert!(troupe.shutdown_now().is_empty());
        assert!(troupe.is_shutdown());
        join(&troupe);
    }
}

/// "After `shutdown_now`, every later assign gets `ShuttingDown`", and no work starts though there is room.
#[test]
fn later_work_is_refused() {
    let troupe = fixed(2, 2);
    let gate = occupy(&troupe, 2);
    assert!(troupe.shutdown_now().is_empty());
    let tally = Tally::new(1);
    match troupe.assign(tally.work(0)) {
        Err(AssignError::ShuttingDown(work)) => drop(work),
        other => panic!("expected ShuttingDown, got {other:?}"),
    }
    gate.open();
    join(&troupe);
    assert_eq!(tally.total(), 0);
}

/// "It may be called on an actor": from a work of the same troupe.
#[test]
fn it_may_be_called_on_an_actor() {
    within(HANG, || {
        let troupe = Arc::new(fixed(1, 3));
        let gate = Gate::new();
        let (inside, pass): (Weak<Troupe>, _) = (Arc::downgrade(&troupe), gate.clone());
        let (sender, receiver) = mpsc::channel();
        troupe
            .assign(move || {
                pass.pass();
                let troupe = inside.upgrade().expect("the test holds it");
                Ok(sender.send(troupe.shutdown_now())?)
            })
            .expect("room");
        gate.wait_for(1);
        let tally = Tally::new(3);
        for index in 0..3 {
            troupe.assign(tally.work(index)).expect("room");
        }
        gate.open();
        let returned = receive(&receiver);
        assert_eq!(returned.len(), 3);
        join(&troupe);
        assert_eq!(tally.total(), 0);
        assert_eq!((troupe.stats().completed, troupe.stats().returned), (1, 3));
    });
}

/// ... and from the error handler.
#[test]
fn it_may_be_called_in_the_handler() {
    within(HANG, || {
        let place: Arc<std::sync::OnceLock<Weak<Troupe<()>>>> = Arc::default();
        let (sender, receiver) = mpsc::channel();
        let inside = Arc::clone(&place);
        let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(2))
            .error_handler(move |_, context| {
                assert!(context.reassign(|| Ok(())).is_ok());
                let troupe = inside
                    .get()
                    .and_then(Weak::upgrade)
                    .expect("the test holds it");
                sender
                    .send(troupe.shutdown_now().len())
                    .expect("the test listens");
            })
            .build()
            .expect("valid");
        let troupe = Arc::new(troupe);
        place.set(Arc::downgrade(&troupe)).expect("set once");
        let gate = Gate::new();
        let pass = gate.clone();
        troupe
            .assign(move || {
                pass.pass();
                Err(())
            })
            .expect("room");
        gate.wait_for(1);
        fill(&troupe, &Gate::new());
        gate.open();
        assert_eq!(receive(&receiver), 3);
        join(&troupe);
        assert_eq!(
            (
                troupe.stats().failed,
                troupe.stats().completed,
                troupe.stats().returned
            ),
            (1, 0, 3)
        );
    });
}

/// A returned work's captures live as long as the work, and are dropped once.
#[test]
fn returned_works_keep_their_captures() {
    let troupe = fixed(1, 2);
    let gate = occupy(&troupe, 1);
    let drops = DropCounter::new();
    for _ in 0..2 {
        let lease = drops.lease();
        let work = move || {
            drop(lease);
            Ok(())
        };
        troupe.assign(work).expect("room");
    }
    let returned = troupe.shutdown_now();
    gate.open();
    join(&troupe);
    drop(troupe);
    assert_eq!(drops.dropped(), 0);
    drop(returned);
    drops.assert_balanced();
}

/// The works that run are not hurried and not forgotten: their failures reach the handler.
#[test]
fn works_in_flight_end_as_usual() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::<&'static str>::builder(Config::fixed(2).mailbox_size(1))
        .error_handler(move |failure, _| sender.send(failure).expect("the test listens"))
        .build()
        .expect("valid");
    let gate = Gate::new();
    let (one, two) = (gate.clone(), gate.clone());
    troupe
        .assign(move || {
            one.pass();
            Err("late")
        })
        .expect("room");
    troupe
        .assign(move || {
            two.pass();
            quiet_panic("late")
        })
        .expect("room");
    gate.wait_for(2);
    assert!(troupe.shutdown_now().is_empty());
    gate.open();
    receive(&receiver);
    receive(&receiver);
    join(&troupe);
    assert_eq!((troupe.stats().failed, troupe.stats().panicked), (1, 1));
}

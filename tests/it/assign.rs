//! `assign`: where work goes, exact `Full`, and the work that comes back.

use crate::support::{
    DropCounter, Gate, HANG, Log, Tally, end, eventually, fill, me, occupy, receive, settle, within,
};
use std::sync::mpsc;
use troupe_pool::{AssignError, BoxError, Config, Troupe, Work};

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("a valid configuration")
}

#[test]
fn smoke() {
    let troupe = fixed(2, 4);
    let (sender, receiver) = mpsc::channel();
    troupe.assign(move || Ok(sender.send(42)?)).expect("room");
    assert_eq!(receive(&receiver), 42);
    end(&troupe);
}

/// Work runs on the troupe's threads, not on the caller's.
#[test]
fn work_runs_on_an_actor() {
    let troupe: Troupe =
        Troupe::new(Config::fixed(1).mailbox_size(1).thread_name("stage")).expect("valid");
    let (sender, receiver) = mpsc::channel();
    troupe.assign(move || Ok(sender.send(me())?)).expect("room");
    assert_eq!(receive(&receiver), "stage-0");
    end(&troupe);
}

/// "Fixed: exactly `max` actors from `build` to shutdown."
#[test]
fn fixed_has_exactly_max_actors_throughout() {
    let troupe = fixed(3, 2);
    assert_eq!(troupe.stats().actors, 3);
    assert_eq!(troupe.stats().idle, 3);
    let gate = occupy(&troupe, 3);
    fill(&troupe, &gate);
    assert_eq!(troupe.stats().actors, 3);
    gate.open();
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!(
        (stats.actors, stats.peak, stats.grown, stats.retired),
        (3, 3, 0, 0)
    );
    end(&troupe);
}

/// "A troupe holds exactly `actors x (mailbox_size + 1)` accepted and unfinished works": with every actor running one.
#[test]
fn fixed_fills_then_refuses() {
    for (actors, mailbox_size) in [
        (1, 0),
        (1, 1),
        (1, 7),
        (2, 0),
        (2, 1),
        (3, 2),
        (5, 3),
        (8, 16),
    ] {
        let troupe = fixed(actors, mailbox_size);
        let gate = occupy(&troupe, actors);
        assert_eq!(
            fill(&troupe, &gate),
            actors * mailbox_size,
            "{actors} x ({mailbox_size} + 1)"
        );
        let stats = troupe.stats();
        assert_eq!(
            (stats.running, stats.queued),
            (actors, actors * mailbox_size)
        );
        assert_eq!(stats.capacity, actors * (mailbox_size + 1));
        gate.open();
        settle(&troupe);
        assert_eq!(
            troupe.stats().completed as usize,
            actors * (mailbox_size + 1)
        );
        end(&troupe);
    }
}

/// "A place is never lost on the way (an actor that was woken and holds nothing yet still has its place)": the same,
/// without waiting for the actors to begin.
#[test]
fn the_bound_is_exact_while_actors_wake() {
    for (actors, mailbox_size) in [(1, 1), (2, 1), (3, 2), (4, 4), (4, 0)] {
        for _ in 0..60 {
            let troupe = fixed(actors, mailbox_size);
            let gate = Gate::new();
            assert_eq!(
                fill(&troupe, &gate),
                actors * (mailbox_size + 1),
                "{actors} x ({mailbox_size} + 1)"
            );
            gate.open();
            end(&troupe);
        }
    }
}

/// The same on actors that have worked and gone to rest: from `wait_idle`, again and again on one troupe.
#[test]
fn the_bound_is_exact_after_every_rest() {
    let troupe = fixed(3, 2);
    for _ in 0..200 {
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 9);
        gate.open();
        settle(&troupe);
    }
    end(&troupe);
}

/// A place that comes free in whichever mailbox is found, and it is one place.
#[test]
fn a_single_place_anywhere_is_found() {
    let troupe = fixed(3, 2);
    let gates: Vec<Gate> = (0..3).map(|_| Gate::new()).collect();
    for gate in &gates {
        troupe.assign(gate.work()).expect("an idle actor");
        gate.wait_for(1);
    }
    let rest = Gate::new();
    assert_eq!(fill(&troupe, &rest), 6);
    for (done, gate) in gates.iter().enumerate() {
        gate.open();
        rest.wait_for(done + 1); // that actor has taken its next work
        assert_eq!(fill(&troupe, &rest), 1, "after actor {done}");
    }
    rest.open();
    end(&troupe);
}

/// 1: "an idle actor, the most recently idle first".
#[test]
fn the_most_recently_idle_actor_is_taken_first() {
    // Below max, so that only the stack of idle actors decides.
    let troupe: Troupe = Troupe::new(Config::dynamic(0, 10).mailbox_size(4)).expect("valid");
    let names = Log::new();
    let gated = |gate: &Gate| {
        let (gate, names) = (gate.clone(), names.clone());
        move || {
            names.push(me());
            gate.pass();
            Ok(())
        }
    };
    let gates: Vec<Gate> = (0..3).map(|_| Gate::new()).collect();
    for gate in &gates {
        troupe.assign(gated(gate)).expect("room");
        gate.wait_for(1);
    }
    for idle in [1, 0, 2] {
        let before = troupe.stats().idle;
        gates[idle].open();
        eventually(|| troupe.stats().idle == before + 1);
    }
    let again = Gate::new();
    for taken in 1..=3 {
        troupe.assign(gated(&again)).expect("an idle actor");
        again.wait_for(taken);
    }
    let names = names.entries();
    assert_eq!(
        names[3..],
        [names[2].clone(), names[0].clone(), names[1].clone()]
    );
    assert_eq!(troupe.stats().grown, 3);
    again.open();
    end(&troupe);
}

/// 1 before 2: while an actor is idle a Dynamic troupe does not grow.
#[test]
fn an_idle_actor_comes_before_growth() {
    let troupe: Troupe = Troupe::new(Config::dynamic(1, 8).mailbox_size(2)).expect("valid");
    for _ in 0..100 {
        troupe.assign(|| Ok(())).expect("the idle actor");
        settle(&troupe);
    }
    let stats = troupe.stats();
    assert_eq!((stats.actors, stats.grown, stats.peak), (1, 0, 1));
    end(&troupe);
}

/// 2 before 3: "in Dynamic mode below `max`, a new actor", though every mailbox has room.
#[test]
fn growth_comes_before_queueing() {
    let troupe: Troupe = Troupe::new(Config::dynamic(1, 4).mailbox_size(8)).expect("valid");
    let gate = Gate::new();
    for works in 1..=4 {
        troupe.assign(gate.work()).expect("room");
        gate.wait_for(works); // it runs beside the others, so it is in nobody's mailbox
        assert_eq!(troupe.stats().actors, works);
    }
    assert_eq!(troupe.stats().queued, 0);
    assert_eq!(troupe.stats().grown, 3);
    gate.open();
    end(&troupe);
}

/// 3, then 4: at `max` any mailbox with room, and only then `Full`.
#[test]
fn mailboxes_come_before_full() {
    let troupe: Troupe = Troupe::new(Config::dynamic(1, 2).mailbox_size(3)).expect("valid");
    let gate = occupy(&troupe, 2);
    for queued in 1..=6 {
        troupe.assign(gate.work()).expect("a mailbox with room");
        assert_eq!(troupe.stats().queued, queued);
    }
    assert!(troupe.assign(gate.work()).expect_err("no room").is_full());
    gate.open();
    end(&troupe);
}

/// "A work for which assign returned `Err` is inside the error and has not been run."
#[test]
fn refused_work_comes_back_unrun() {
    let troupe = fixed(1, 0);
    let gate = occupy(&troupe, 1);
    let tally = Tally::new(1);
    let work = match troupe.assign(tally.work(0)) {
        Err(AssignError::Full(work)) => work,
        other => panic!("expected Full, got {other:?}"),
    };
    assert_eq!(tally.count(0), 0);
    work.run().expect("it succeeds");
    tally.assert_each_once();
    gate.open();
    end(&troupe);
    tally.assert_each_once();
}

/// "`assign` takes a closure, or the `Work` that came back from a refusal": as often as it takes, and it runs once.
#[test]
fn refused_work_can_be_assigned_again() {
    let troupe = fixed(1, 0);
    let gate = occupy(&troupe, 1);
    let tally = Tally::new(1);
    let mut work = tally.work(0);
    for _ in 0..10 {
        work = troupe.assign(work).expect_err("still full").into_work();
    }
    gate.open();
    settle(&troupe);
    troupe.assign(work).expect("an idle actor");
    end(&troupe);
    tally.assert_each_once();
}

/// A lease in a refused work is dropped once, with the error.
#[test]
fn a_refused_works_captures_are_dropped_with_the_error() {
    let troupe = fixed(1, 0);
    let gate = occupy(&troupe, 1);
    let drops = DropCounter::new();
    let lease = drops.lease();
    let refused = troupe.assign(move || {
        drop(lease);
        Ok(())
    });
    assert_eq!(drops.dropped(), 0);
    drop(refused);
    assert_eq!(drops.dropped(), 1);
    gate.open();
    end(&troupe);
    assert_eq!(drops.dropped(), 1);
}

/// "`assign` never waits for room or for a work": on a full troupe that nobody will ever free, it returns.
#[test]
fn assign_never_waits_for_room() {
    let troupe = fixed(2, 1);
    let gate = occupy(&troupe, 2);
    fill(&troupe, &gate);
    for _ in 0..1_000 {
        assert!(troupe.assign(|| Ok(())).expect_err("full").is_full());
    }
    assert_eq!(troupe.stats().refused, 1_001);
    gate.open();
    end(&troupe);
}

/// "Exactly once", the plain case: many works through few places.
#[test]
fn every_accepted_work_runs_once() {
    let troupe = fixed(3, 5);
    let tally = Tally::new(5_000);
    for index in 0..5_000 {
        troupe
            .assign_wait(tally.work(index))
            .expect("it waits for room");
    }
    end(&troupe);
    tally.assert_each_once();
}

/// "On an actor's own thread `assign` works as everywhere": it is accepted, and refused when there is no room.
#[test]
fn assign_on_an_actors_own_thread() {
    let troupe = fixed(1, 1);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || {
            let inner = sender.clone();
            let first = handle.assign(move || Ok(inner.send("inner")?)).is_ok();
            let second = handle
                .assign(|| Ok(()))
                .is_err_and(|refused| refused.is_full());
            assert!(first && second);
            Ok(sender.send("outer")?)
        })
        .expect("room");
    assert_eq!(receive(&receiver), "outer");
    assert_eq!(receive(&receiver), "inner");
    end(&troupe);
    assert_eq!(troupe.stats().completed, 2);
}

/// A handle assigns as its troupe does, and a clone as the first.
#[test]
fn a_handle_assigns() {
    let troupe = fixed(2, 1);
    let handle = troupe.handle();
    let gate = Gate::new();
    handle.assign(gate.work()).expect("an idle actor");
    handle.clone().assign(gate.work()).expect("an idle actor");
    gate.wait_for(2);
    assert_eq!(fill(&troupe, &gate), 2);
    assert!(handle.assign(gate.work()).expect_err("full").is_full());
    assert_eq!(handle.stats(), troupe.stats());
    gate.open();
    end(&troupe);
}

/// The four shapes of work that the documentation names for inference, and a `Work` built by hand.
#[test]
fn what_can_be_assigned() {
    fn named() -> Result<(), BoxError> {
        Ok(())
    }
    fn parse(text: &str) -> Result<i32, std::num::ParseIntError> {
        text.parse()
    }
    let troupe = fixed(1, 8);
    troupe.assign(|| Ok(())).expect("room");
    troupe
        .assign(|| {
            parse("7")?;
            Ok(())
        })
        .expect("room");
    troupe.assign(|| Err("x".into())).expect("room");
    troupe.assign(named).expect("room");
    troupe.assign(Work::new(|| Ok(()))).expect("room");
    troupe.assign(Work::from(named)).expect("room");
    end(&troupe);
    assert_eq!((troupe.stats().completed, troupe.stats().failed), (5, 1));
}

/// However much a closure captures, it is run where it is: the actor's stack need not have room for it.
#[test]
fn a_large_capture_needs_no_large_stack() {
    const KIB: usize = 1024;
    within(HANG, || {
        let config = Config::fixed(1).mailbox_size(1).stack_size(64 * KIB);
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let large = [7_u8; 96 * KIB];
        let (sender, sums) = mpsc::channel();
        let work = move || {
            let sum: usize = large.iter().map(|byte| usize::from(*byte)).sum();
            Ok(sender.send(sum)?)
        };
        troupe.assign(work).expect("it is idle");
        assert_eq!(receive(&sums), 7 * 96 * KIB);
        end(&troupe);
    });
}

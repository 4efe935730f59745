//! Defects of the Go original that this port must be shown to lack: one test each, named after the defect.

use crate::support::{
    Gate, HANG, Log, OnDrop, Tally, end, error, eventually, fill, join, occupy, quiet_panic,
    receive, settle, wait_until_blocked, within,
};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use troupe_pool::{AssignError, BuildError, Config, Failure, JoinError, Troupe};

fn build(config: Config) -> Troupe {
    Troupe::new(config).expect("valid")
}

/// "Drops an actor from its list when a saturated accept fails": refusals cost no actor. All of them are still there,
/// each runs, and the capacity is what it was.
#[test]
fn a_saturated_accept_drops_no_actor() {
    for config in [
        Config::fixed(3),
        Config::dynamic(0, 3),
        Config::dynamic(3, 3),
    ] {
        let troupe = build(config.mailbox_size(1));
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 6);
        for _ in 0..1_000 {
            assert!(troupe.assign(|| Ok(())).expect_err("full").is_full());
        }
        assert_eq!((troupe.stats().actors, troupe.actors().len()), (3, 3));
        gate.open();
        settle(&troupe);
        let again = Gate::new();
        assert_eq!(fill(&troupe, &again), 6);
        again.wait_for(3);
        again.open();
        end(&troupe);
        assert_eq!(troupe.stats().completed, 12);
    }
}

/// "(So its maximum is no bound under overload)": with several callers pushing without pause, there are never more
/// actors than `max`, nor more threads than actors.
#[test]
fn max_is_a_bound_under_overload() {
    within(HANG, || {
        let troupe = build(Config::dynamic(0, 3).mailbox_size(1).thread_name("bounded"));
        let gate = Gate::new();
        let concurrent = Log::new();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let (gate, concurrent) = (gate.clone(), concurrent.clone());
                        let work = move || {
                            concurrent.push(());
                            gate.pass();
                            Ok(())
                        };
                        drop(troupe.assign(work));
                        assert!(troupe.stats().actors <= 3);
                    }
                });
            }
        });
        gate.wait_for(3);
        assert_eq!(concurrent.entries().len(), 3, "three run, and no fourth");
        assert_eq!((troupe.stats().peak, troupe.stats().grown), (3, 3));
        assert_eq!(
            (troupe.stats().accepted, troupe.stats().refused),
            (6, 5_994)
        );
        gate.open();
        end(&troupe);
    });
}

/// "Refuses the second of two works assigned to an empty pool."
#[test]
fn the_second_of_two_works_is_not_refused() {
    for mailbox_size in [0, 1] {
        for _ in 0..100 {
            let troupe = build(Config::dynamic(0, 1_000).mailbox_size(mailbox_size));
            let gate = Gate::new();
            troupe.assign(gate.work()).expect("the first");
            troupe.assign(gate.work()).expect("the second");
            gate.wait_for(2);
            assert_eq!(troupe.stats().actors, 2);
            gate.open();
            end(&troupe);
        }
    }
}

/// "Stops its scan at the first idle-looking actor and reports full while others have room": whichever mailboxes are
/// full, the ones that are not take work. (Every place is freed by a different actor in turn.)
#[test]
fn full_is_not_reported_while_others_have_room() {
    for config in [Config::fixed(4), Config::dynamic(0, 4)] {
        let troupe = build(config.mailbox_size(2));
        let gates: Vec<Gate> = (0..4).map(|_| Gate::new()).collect();
        for gate in &gates {
            troupe.assign(gate.work()).expect("an idle or a new actor");
            gate.wait_for(1);
        }
        let rest = Gate::new();
        assert_eq!(fill(&troupe, &rest), 8);
        for (freed, gate) in gates.iter().enumerate().rev() {
            gate.open();
            rest.wait_for(4 - freed);
            assert_eq!(
                fill(&troupe, &rest),
                1,
                "after actor {freed} took its next work"
            );
        }
        rest.open();
        end(&troupe);
    }
}

/// "Fixed mode tries one random actor only": every place of a fixed troupe can be filled, each time.
#[test]
fn fixed_tries_every_actor() {
    let troupe = build(Config::fixed(8).mailbox_size(1));
    for _ in 0..100 {
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 16);
        gate.open();
        settle(&troupe);
    }
    end(&troupe);
}

/// "Its join ignores the running work": the mailbox is empty, the troupe is shut down, and the join still waits for the
/// work and for what it captured.
#[test]
fn join_waits_for_the_running_work() {
    let troupe = build(Config::fixed(1).mailbox_size(1));
    let (in_work, in_drop) = (Gate::new(), Gate::new());
    let capture = {
        let in_drop = in_drop.clone();
        OnDrop::new(move || in_drop.pass())
    };
    let pass = in_work.clone();
    troupe
        .assign(move || {
            let _held = &capture;
            pass.pass();
            Ok(())
        })
        .expect("room");
    in_work.wait_for(1);
    troupe.shutdown();
    for gate in [in_work, in_drop] {
        gate.wait_for(1);
        assert_eq!(
            troupe.join_timeout(Duration::from_millis(20)),
            Err(JoinError::Timeout)
        );
        gate.open();
    }
    join(&troupe);
    assert_eq!(troupe.stats().completed, 1);
}

/// "Hangs for ever when called before shutdown": it waits, holding nothing, and a later shutdown ends it.
#[test]
fn join_before_shutdown_does_not_hang() {
    within(HANG, || {
        let troupe = Arc::new(build(Config::dynamic(1, 2).mailbox_size(1)));
        let joiner = {
            let troupe = Arc::clone(&troupe);
            let builder = thread::Builder::new().name("joins-first".to_owned());
            builder.spawn(move || troupe.join()).expect("a thread")
        };
        wait_until_blocked("joins-first");
        let tally = Tally::new(1);
        troupe.assign(tally.work(0)).expect("assign still works");
        assert!(troupe.shutdown());
        assert_eq!(joiner.join().expect("no panic"), Ok(()));
        tally.assert_each_once();
    });
}

/// "Deadlocks with an assign from the error handler": the handler assigns while a join waits, before shutdown and
/// after it, and from a work too.
#[test]
fn join_does_not_deadlock_with_an_assign_from_the_handler() {
    within(HANG, || {
        let gate = Gate::new();
        let in_handler = gate.clone();
        let (sender, receiver) = mpsc::channel();
        let troupe = Troupe::<u32>::builder(Config::fixed(1).mailbox_size(4))
            .error_handler(move |failure, context| {
                in_handler.pass();
                if let Failure::Error(left @ 1..) = failure {
                    let again = context.troupe().assign(move || Err(left - 1));
                    sender.send(again.is_ok()).expect("the test listens");
                }
            })
            .build()
            .expect("valid");
        let troupe = Arc::new(troupe);
        let handle = troupe.handle();
        troupe.assign(|| Err(3)).expect("room");
        troupe
            .assign(move || {
                drop(handle.assign(|| Ok(())));
                Ok(())
            })
            .expect("room");
        gate.wait_for(1);
        let joiner = {
            let troupe = Arc::clone(&troupe);
            let builder = thread::Builder::new().name("joins-meanwhile".to_owned());
            builder.spawn(move || troupe.join()).expect("a thread")
        };
        wait_until_blocked("joins-meanwhile");
        gate.open();
        for _ in 0..3 {
            assert!(receive(&receiver));
        }
        troupe.shutdown();
        assert_eq!(joiner.join().expect("no panic"), Ok(()));
        // Shut down, the handler's assign is refused, and the join ends no less.
        let gate = Gate::new();
        let in_handler = gate.clone();
        let (sender, receiver) = mpsc::channel();
        let troupe = Troupe::<u32>::builder(Config::fixed(1).mailbox_size(4))
            .error_handler(move |_, context| {
                in_handler.pass();
                let refused = context
                    .troupe()
                    .assign(|| Ok(()))
                    .is_err_and(|refused| refused.is_shutting_down());
                sender.send(refused).expect("the test listens");
            })
            .build()
            .expect("valid");
        troupe.assign(|| Err(0)).expect("room");
        gate.wait_for(1);
        troupe.shutdown();
        gate.open();
        assert_eq!(troupe.join(), Ok(()));
        assert!(receive(&receiver));
    });
}

/// "It never uses its minimum": the troupe starts with it, and does not shrink below it.
#[test]
fn the_minimum_is_used() {
    let troupe = build(
        Config::dynamic(2, 4)
            .mailbox_size(1)
            .idle_timeout(Duration::from_millis(2)),
    );
    assert_eq!(troupe.stats().actors, 2);
    occupy(&troupe, 4).open();
    eventually(|| troupe.stats().actors == 2);
    let sibling = build(
        Config::dynamic(0, 4)
            .mailbox_size(1)
            .idle_timeout(Duration::from_millis(10)),
    );
    occupy(&sibling, 4).open();
    eventually(|| sibling.stats().actors == 0); // several timeouts later
    end(&sibling);
    assert_eq!((troupe.stats().actors, troupe.stats().retired), (2, 2));
    end(&troupe);
}

/// "... or its idle timeout": actors that were grown for a burst go away again.
#[test]
fn the_idle_timeout_is_used() {
    let troupe = build(
        Config::dynamic(0, 4)
            .mailbox_size(1)
            .idle_timeout(Duration::from_millis(2)),
    );
    occupy(&troupe, 4).open();
    eventually(|| troupe.stats().actors == 0);
    assert_eq!(troupe.stats().retired, 4);
    end(&troupe);
}

/// "Dies on a panic": of a work and of the handler.
#[test]
fn a_panic_is_survived() {
    let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(4))
        .error_handler(|_, _| quiet_panic("in the handler"))
        .build()
        .expect("valid");
    troupe.assign(|| quiet_panic("in the work")).expect("room");
    troupe.assign(|| Err(())).expect("room");
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        sender.send(()).expect("the test listens");
        Ok(())
    };
    troupe.assign(work).expect("room");
    receive(&receiver);
    end(&troupe);
}

/// "Loses work accepted while an actor stops": stopping by idle timeout and by shutdown, under fire. Accepted work
/// is run.
#[test]
fn work_accepted_while_an_actor_stops_is_not_lost() {
    within(HANG, || {
        for round in 0..200 {
            let config = Config::dynamic(0, 2)
                .mailbox_size(1)
                .idle_timeout(Duration::from_micros(20 * (round % 10)));
            let troupe = build(config);
            let tally = Tally::new(400);
            let accepted: usize = thread::scope(|scope| {
                let feeders: Vec<_> = (0..2)
                    .map(|feeder| {
                        let (troupe, tally) = (&troupe, &tally);
                        scope.spawn(move || {
                            let mut accepted = 0;
                            for index in 0..200 {
                                match troupe.assign(tally.work(feeder * 200 + index)) {
                                    Ok(()) => accepted += 1,
                                    Err(AssignError::ShuttingDown(_)) => break,
                                    Err(_) => thread::yield_now(),
                                }
                            }
                            accepted
                        })
                    })
                    .collect();
                if round % 2 == 0 {
                    troupe.shutdown();
                }
                feeders
                    .into_iter()
                    .map(|feeder| feeder.join().expect("no panic"))
                    .sum()
            });
            end(&troupe);
            assert_eq!(tally.total(), accepted);
        }
    });
}

/// "Accepts negative or contradictory sizes": no size can be negative here, and the contradictory and senseless ones are
/// refused before anything is started. Nothing is found only at the first assign.
#[test]
fn contradictory_sizes_are_refused() {
    let cases = [
        (Config::fixed(0), "max"),
        (Config::dynamic(0, 0), "max"),
        (Config::dynamic(2, 1), "min"),
        (Config::dynamic(1, 4).initial(0), "initial"),
        (Config::dynamic(1, 4).initial(5), "initial"),
        (
            Config::dynamic(0, 4).initial(0).mailbox_size(usize::MAX),
            "mailbox_size",
        ),
        (Config::fixed(4).mailbox_size(usize::MAX), "mailbox_size"),
    ];
    for (config, expected) in cases {
        match Troupe::new(config) {
            Err(BuildError::Invalid { setting, .. }) => assert_eq!(setting, expected),
            other => panic!("expected Invalid {expected}, got {other:?}"),
        }
    }
}

/// "Its assign cost grows with the number of actors." Counted rather than timed: an assign to a large troupe leaves
/// every actor but one alone, whichever are idle. (The time is a benchmark's.)
#[test]
fn assign_touches_one_actor_however_many_there_are() {
    let troupe = build(Config::dynamic(0, 400).initial(300).mailbox_size(1));
    for _ in 0..500 {
        troupe.assign(|| Ok(())).expect("an idle actor");
        settle(&troupe);
    }
    let finished: Vec<u64> = troupe
        .actors()
        .iter()
        .map(|actor| actor.finished)
        .filter(|finished| *finished > 0)
        .collect();
    assert_eq!(finished, [500], "the most recently idle took every one");
    end(&troupe);
}

/// Fixed mode "is documented to ignore Min/Initial but validation still rejects them against Max".
#[test]
fn fixed_ignores_min_and_initial() {
    let troupe = build(Config::fixed(2).min(5).initial(7));
    assert_eq!(troupe.stats().actors, 2);
    end(&troupe);
}

/// "Fixed mode after Shutdown returns `ActorShuttingDownError`, Dynamic returns `ShuttingDownError`": one answer here.
#[test]
fn both_modes_refuse_alike_after_shutdown() {
    for config in [
        Config::fixed(2),
        Config::dynamic(1, 2),
        Config::dynamic(0, 2),
    ] {
        let troupe = build(config);
        troupe.shutdown();
        assert!(matches!(
            troupe.assign(|| Ok(())),
            Err(AssignError::ShuttingDown(_))
        ));
        join(&troupe);
        assert!(matches!(
            troupe.assign(|| Ok(())),
            Err(AssignError::ShuttingDown(_))
        ));
    }
}

/// "`MailboxSize: 0` is silently 1": here it is 0, and works.
#[test]
fn a_mailbox_of_zero_is_zero() {
    let troupe = build(Config::fixed(2).mailbox_size(0));
    assert_eq!(
        (troupe.config().mailbox_size, troupe.stats().capacity),
        (0, 2)
    );
    let gate = Gate::new();
    assert_eq!(fill(&troupe, &gate), 2);
    gate.wait_for(2);
    assert_eq!(troupe.stats().queued, 0);
    gate.open();
    end(&troupe);
}

/// "A panic in a job or in the handler kills the process": nor does an error that nobody handles.
#[test]
fn an_unhandled_error_is_counted() {
    let troupe = build(Config::fixed(1).mailbox_size(1));
    troupe.assign(|| Err(error("x"))).expect("room");
    end(&troupe);
    assert_eq!(troupe.stats().failed, 1);
}

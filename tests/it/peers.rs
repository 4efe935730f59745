//! Behaviour that the test suites of other pools check, as far as no other module checks it here. `tests/PEERS.md` has the whole
//! list: which behaviour, from whose tests, and which test of ours covers it, or why it does not apply.

use crate::support::{
    DropCounter, Gate, HANG, Log, Rng, Tally, end, error, eventually, join, occupy, quiet_panic,
    receive, rounds, settle, within,
};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{Config, Failure, JoinError, Stats, Troupe};

fn build(config: Config) -> Troupe {
    Troupe::new(config).expect("a valid configuration")
}

/// threadpool's `join` is our `wait_idle`: it ends nothing, and can be called again after more has been assigned.
#[test]
fn after_a_rest_it_goes_on() {
    let troupe = build(Config::fixed(8).mailbox_size(8));
    let tally = Tally::new(84);
    for half in [0..42, 42..84] {
        let all = half.end;
        for work in half {
            troupe.assign(tally.work(work)).expect("room");
        }
        settle(&troupe);
        assert_eq!(tally.total(), all);
    }
    tally.assert_each_once();
    end(&troupe);
}

/// Two threads wait for the same rest; each then goes on with works of its own, and gets their results.
#[test]
fn those_who_waited_go_on_with_it() {
    let troupe = build(Config::fixed(2).mailbox_size(64));
    let gate = occupy(&troupe, 2);
    let parts = [(0..42_u64, 861), (1..12, 66)];
    thread::scope(|scope| {
        let sums: Vec<_> = parts
            .clone()
            .into_iter()
            .map(|(numbers, _)| {
                let troupe = &troupe;
                scope.spawn(move || {
                    settle(troupe);
                    let (sender, receiver) = mpsc::channel();
                    for number in numbers {
                        let sender = sender.clone();
                        let assigned = troupe.assign(move || Ok(sender.send(number)?));
                        assigned.expect("room");
                    }
                    drop(sender);
                    receiver.iter().sum::<u64>()
                })
            })
            .collect();
        gate.open();
        for (sum, (_, expected)) in sums.into_iter().zip(parts) {
            assert_eq!(sum.join().expect("it does not panic"), expected);
        }
    });
    end(&troupe);
}

/// Works of one troupe start works of another, which wait for the first to come to rest.
#[test]
fn works_of_another_troupe_may_wait_for_this_one() {
    within(HANG, || {
        let first = Arc::new(build(Config::fixed(4).mailbox_size(8)));
        let second = Arc::new(build(Config::fixed(4).mailbox_size(8)));
        let (sender, receiver) = mpsc::channel();
        for number in 0..8_u32 {
            let (this, other) = (Arc::clone(&first), Arc::clone(&second));
            let sender = sender.clone();
            let work = move || {
                let waits = move || {
                    this.wait_idle()?;
                    Ok(sender.send(number)?)
                };
                Ok(other.assign(waits)?)
            };
            first.assign(work).expect("room");
        }
        drop(sender);
        settle(&first);
        settle(&second);
        assert_eq!(receiver.iter().sum::<u32>(), 28);
        end(&first);
        end(&second);
    });
}

/// A work waits for one on another troupe, and that for one on the first: what one actor waits for, another does.
#[test]
fn works_bounce_between_two_troupes() {
    within(HANG, || {
        let first = build(Config::dynamic(0, 2).mailbox_size(0));
        let second = build(Config::dynamic(0, 1).mailbox_size(0));
        let (there, back) = (second.handle(), first.handle());
        let (sender, receiver) = mpsc::channel();
        let outer = move || {
            let (from_second, to_first) = mpsc::channel();
            there.assign(move || {
                let (from_first, to_second) = mpsc::channel();
                back.assign(move || Ok(from_first.send(1)?))?;
                Ok(from_second.send(receive(&to_second) + 1)?)
            })?;
            Ok(sender.send(receive(&to_first) + 1)?)
        };
        first.assign(outer).expect("a new actor");
        assert_eq!(receive(&receiver), 3);
        end(&first);
        end(&second);
    });
}

/// A thousand waiters for one rest, on few threads: none of them is forgotten.
#[test]
fn a_thousand_wait_for_one_rest() {
    within(HANG, || {
        let troupe = Arc::new(build(Config::fixed(1)));
        let waiters = build(Config::fixed(16).mailbox_size(64));
        let gate = occupy(&troupe, 1);
        let tally = Tally::new(1_000);
        for waiter in 0..1_000 {
            let (troupe, tally) = (Arc::clone(&troupe), tally.clone());
            let work = move || {
                troupe.wait_idle()?;
                tally.mark(waiter);
                Ok(())
            };
            waiters.assign(work).expect("room");
        }
        eventually(|| waiters.stats().running == 16);
        assert_eq!(tally.total(), 0);
        gate.open();
        settle(&waiters);
        tally.assert_each_once();
        end(&waiters);
        end(&troupe);
    });
}

/// Built, used or not, and left behind, again and again: nothing hangs, and no thread stays.
#[test]
fn built_and_dropped_again_and_again() {
    within(HANG, || {
        let drops = DropCounter::new();
        for round in 0..rounds(500) {
            let troupe = build(if round % 2 == 0 {
                Config::fixed(2)
            } else {
                Config::dynamic(round % 3, 3).idle_timeout(Duration::ZERO)
            });
            for _ in 0..round % 4 {
                let lease = drops.lease();
                let work = move || {
                    drop(lease);
                    Ok(())
                };
                troupe.assign(work).expect("room");
            }
            match round % 5 {
                0 => settle(&troupe),
                1 => end(&troupe),
                2 => drop(troupe.shutdown_now()),
                _ => {}
            }
        }
        eventually(|| drops.is_balanced());
    });
}

/// Works that panic after their troupe has been dropped: the process survives, and the handler hears of each.
#[test]
fn works_may_panic_after_the_troupe_was_dropped() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::builder(Config::fixed(4))
        .error_handler(move |failure: Failure, _| sender.send(failure.to_string()).expect("here"))
        .build()
        .expect("valid");
    let handle = troupe.handle();
    let barrier = Arc::new(Barrier::new(5));
    for _ in 0..4 {
        let barrier = Arc::clone(&barrier);
        let work = move || {
            barrier.wait();
            quiet_panic("out of the blue")
        };
        troupe.assign(work).expect("room");
    }
    drop(troupe);
    barrier.wait();
    // The handler, and the sender in it, go with the last actor.
    let told: Vec<String> = receiver.iter().collect();
    assert_eq!(told, ["panicked: out of the blue"; 4]);
    eventually(|| handle.stats().actors == 0);
    assert_eq!(handle.stats().panicked, 4);
}

/// Panics cost no actor, and do not keep an actor that has nothing to do.
#[test]
fn a_troupe_whose_works_all_panicked_shrinks_to_min() {
    let timeout = Duration::from_millis(2);
    let troupe = build(Config::dynamic(3, 10).mailbox_size(0).idle_timeout(timeout));
    let gate = Gate::new();
    for _ in 0..10 {
        let gate = gate.clone();
        let work = move || {
            gate.pass();
            quiet_panic("all of us")
        };
        troupe.assign(work).expect("an actor for each");
    }
    gate.wait_for(10);
    gate.open();
    eventually(|| troupe.stats().actors == 3);
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.idle, stats.panicked, stats.peak), (3, 10, 10));
    assert_eq!((stats.grown, stats.retired), (7, 7));
    occupy(&troupe, 10).open();
    end(&troupe);
}

/// A work that runs on when its troupe is dropped still has its handle, and gets back what it assigns.
#[test]
fn a_work_of_a_dropped_troupe_gets_its_works_back() {
    let troupe = build(Config::fixed(1));
    let handle = troupe.handle();
    let gate = Gate::new();
    let (sender, receiver) = mpsc::channel();
    let passed = gate.clone();
    let work = move || {
        passed.pass();
        let refused = handle.assign(|| Err(error("run by hand"))).unwrap_err();
        assert!(refused.is_shutting_down());
        let by_hand = refused.into_work().run().unwrap_err();
        Ok(sender.send(by_hand.to_string())?)
    };
    troupe.assign(work).expect("room");
    gate.wait_for(1);
    drop(troupe);
    gate.open();
    assert_eq!(receive(&receiver), "run by hand");
}

/// Work that works assign fails to the same handler as work that the owner assigns.
#[test]
fn works_of_works_have_the_same_handler() {
    let log = Log::new();
    let told = log.clone();
    let troupe = Troupe::builder(Config::fixed(2))
        .error_handler(move |failure: Failure, _| told.push(failure.to_string()))
        .build()
        .expect("valid");
    let handle = troupe.handle();
    let work = move || {
        for _ in 0..3 {
            handle.assign(|| quiet_panic("a child"))?;
        }
        Err(error("the parent"))
    };
    troupe.assign(work).expect("room");
    eventually(|| log.entries().len() == 4);
    let mut told = log.entries();
    told.sort();
    assert_eq!(
        told,
        [
            "panicked: a child",
            "panicked: a child",
            "panicked: a child",
            "the parent"
        ]
    );
    end(&troupe);
}

/// With `max` 1, what works assign runs in the order of acceptance too: after all that was there.
#[test]
fn works_of_works_run_in_order() {
    let troupe = build(Config::fixed(1).mailbox_size(100));
    let gate = occupy(&troupe, 1);
    let log = Log::new();
    for outer in 0..5 {
        let (handle, log) = (troupe.handle(), log.clone());
        let work = move || {
            log.push((outer, None));
            for inner in 0..5 {
                let log = log.clone();
                let work = move || {
                    log.push((outer, Some(inner)));
                    Ok(())
                };
                handle.assign(work)?;
            }
            Ok(())
        };
        troupe.assign(work).expect("room");
    }
    gate.open();
    eventually(|| log.entries().len() == 30);
    let outers = (0..5).map(|outer| (outer, None));
    let inners = (0..5).flat_map(|outer| (0..5).map(move |inner| (outer, Some(inner))));
    assert_eq!(
        log.entries(),
        outers.chain(inners).collect::<Vec<(i32, Option<i32>)>>()
    );
    end(&troupe);
}

/// A work sees itself in the stats: accepted and running, not finished, exactly; and so while others wait behind it.
#[test]
fn a_work_sees_itself_in_the_stats() {
    let troupe = build(Config::dynamic(0, 1).mailbox_size(3));
    let (sender, receiver) = mpsc::channel();
    for _ in 0..2 {
        let gate = Gate::new();
        let (handle, sender, passed) = (troupe.handle(), sender.clone(), gate.clone());
        let work = move || {
            sender.send(handle.stats())?;
            passed.pass();
            Ok(sender.send(handle.stats())?)
        };
        troupe.assign(work).expect("room");
        let gauges = |stats: Stats| (stats.running, stats.actors, stats.idle, stats.peak);
        let first = receive(&receiver);
        assert_eq!(gauges(first), (1, 1, 0, 1));
        assert_eq!(first.accepted, first.completed + 1);
        for waiting in 1..=3 {
            troupe.assign(|| Ok(())).expect("room");
            assert_eq!(troupe.stats().queued, waiting);
        }
        gate.open();
        let then = receive(&receiver);
        assert_eq!(gauges(then), (1, 1, 0, 1));
        assert_eq!((then.queued, then.accepted), (3, first.accepted + 3));
        assert_eq!(then.completed, first.completed);
        settle(&troupe);
        assert_eq!(troupe.stats().completed, then.accepted);
    }
    end(&troupe);
}

/// Saturated, shut down and ended, by either way to shut down, it refuses by every way in; and in the end exactly what was
/// accepted and not handed back has been run.
#[test]
fn saturated_shut_down_and_ended_it_refuses() {
    for takes_back in [false, true] {
        let troupe = build(Config::fixed(2).mailbox_size(1));
        let handle = troupe.handle();
        let gate = occupy(&troupe, 2);
        for _ in 0..2 {
            troupe.assign(|| Ok(())).expect("room");
        }
        let short = Duration::from_millis(1);
        let refusals = || {
            [
                troupe.assign(|| Ok(())),
                troupe.assign_timeout(|| Ok(()), short),
                handle.assign(|| Ok(())),
                handle.assign_timeout(|| Ok(()), short),
            ]
            .map(|outcome| outcome.expect_err("no room, or the end"))
        };
        assert!(refusals().iter().all(|refused| refused.is_full()));
        let back = if takes_back {
            troupe.shutdown_now().len()
        } else {
            troupe.shutdown();
            0
        };
        assert_eq!(back, if takes_back { 2 } else { 0 });
        assert!(refusals().iter().all(|refused| refused.is_shutting_down()));
        assert_eq!(troupe.join_timeout(Duration::ZERO), Err(JoinError::Timeout));
        gate.open();
        join(&troupe);
        assert!(refusals().iter().all(|refused| refused.is_shutting_down()));
        let stats = troupe.stats();
        assert_eq!(stats.completed as usize, 4 - back);
        assert_eq!((stats.refused, stats.accepted), (12, 4));
    }
}

/// No timed call gives up before its time.
#[test]
fn no_timed_call_gives_up_early() {
    let troupe = build(Config::fixed(1).mailbox_size(0));
    let gate = occupy(&troupe, 1);
    let timeouts = [1, 999, 10_000].map(Duration::from_micros);
    for timeout in timeouts {
        let timed = |call: &dyn Fn() -> bool| {
            let begun = Instant::now();
            assert!(call(), "it times out");
            assert!(begun.elapsed() >= timeout, "{timeout:?} are not over");
        };
        let wait_idle = || troupe.wait_idle_timeout(timeout) == Err(JoinError::Timeout);
        let join = || troupe.join_timeout(timeout) == Err(JoinError::Timeout);
        let assign = || {
            let outcome = troupe.assign_timeout(|| Ok(()), timeout);
            outcome.is_err_and(|refused| refused.is_full())
        };
        timed(&wait_idle);
        timed(&join);
        timed(&assign);
    }
    troupe.shutdown();
    let begun = Instant::now();
    assert_eq!(troupe.join_timeout(timeouts[2]), Err(JoinError::Timeout));
    assert!(begun.elapsed() >= timeouts[2]);
    gate.open();
    join(&troupe);
}

/// A troupe does not come back after its end; its settings build the next.
#[test]
fn the_settings_of_an_ended_troupe_build_the_next() {
    let mut config = Config::dynamic(1, 3).mailbox_size(2).thread_name("reborn");
    for _ in 0..3 {
        let troupe = build(config.clone());
        occupy(&troupe, 3).open();
        end(&troupe);
        assert_eq!(troupe.config(), config);
        config = troupe.config();
    }
}

/// Those who wait for room are woken when every work panics, as when every work ends well.
#[test]
fn panics_make_room_for_those_who_wait() {
    within(HANG, || {
        let troupe = build(Config::fixed(2).mailbox_size(0));
        let gate = Gate::new();
        let panics = |gate: &Gate| {
            let gate = gate.clone();
            move || {
                gate.pass();
                quiet_panic("room")
            }
        };
        for _ in 0..2 {
            troupe.assign(panics(&gate)).expect("an idle actor");
        }
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| troupe.assign_wait(panics(&gate)).expect("room comes"));
            }
            gate.wait_for(2);
            gate.open();
        });
        settle(&troupe);
        assert_eq!(troupe.stats().panicked, 8);
        end(&troupe);
    });
}

/// A crowd of works that each start more, from one: what they leave behind is accounted for to the last, and then the
/// troupe shrinks.
#[test]
fn works_start_works_start_works() {
    within(HANG, || {
        let timeout = Duration::from_millis(2);
        let troupe = build(
            Config::dynamic(3, 20)
                .mailbox_size(64)
                .idle_timeout(timeout),
        );
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..5 {
            let (handle, count) = (troupe.handle(), Arc::clone(&ran));
            let work = move || {
                for _ in 0..160 {
                    let count = Arc::clone(&count);
                    let work = move || {
                        count.fetch_add(1, SeqCst);
                        Ok(())
                    };
                    handle.assign(work)?;
                }
                Ok(())
            };
            troupe.assign(work).expect("room");
        }
        eventually(|| ran.load(SeqCst) == 800);
        eventually(|| troupe.stats().actors == 3);
        end(&troupe);
        let stats = troupe.stats();
        assert_eq!((stats.completed, stats.failed, stats.refused), (805, 0, 0));
        assert!(stats.peak <= 20);
    });
}

/// An actor retires just as a work comes that was meant to find it awake, while the other actor is held up: the work does
/// not stay behind the one that is held up.
///
/// Fails when an assigner at max leaves the work in a busy actor's mailbox because another is awake that may retire. That
/// takes some hundred thousand rounds; `shuttle::an_actor_that_retires_strands_nothing` finds it at once.
#[test]
fn an_actor_that_retires_leaves_no_work_behind_a_busy_one() {
    let timeout = Duration::ZERO;
    let troupe = build(Config::dynamic(0, 2).mailbox_size(8).idle_timeout(timeout));
    let ran = Arc::new(AtomicUsize::new(0));
    let gate = occupy(&troupe, 1);
    let rounds = rounds(5_000);
    let begin = Barrier::new(3);
    thread::scope(|scope| {
        for salt in 0..2 {
            let (troupe, ran, begin) = (&troupe, &ran, &begin);
            scope.spawn(move || {
                let mut rng = Rng::new(33 + salt);
                for _ in 0..rounds {
                    begin.wait();
                    for _ in 0..2 {
                        rng.dally(600);
                        let count = Arc::clone(ran);
                        let work = move || {
                            count.fetch_add(1, SeqCst);
                            Ok(())
                        };
                        troupe.assign(work).expect("room");
                    }
                }
            });
        }
        for round in 1..=rounds {
            begin.wait();
            eventually(|| ran.load(SeqCst) == 4 * round);
            // On a busy machine the next work always comes before the actor sleeps, and then it does not retire by itself.
            if round % 50 == 0 {
                eventually(|| troupe.stats().retired * 50 >= round as u64);
            }
        }
    });
    gate.open();
    end(&troupe);
}

//! `assign_wait`, `assign_timeout` and `WouldDeadlock`.

use crate::support::{
    DropCounter, Gate, HANG, Log, Tally, end, eventually, fill, join, occupy, receive, settle,
    wait_until_blocked, within,
};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{AssignError, Config, Failure, JoinError, Troupe, Work};

/// A way to wait for room.
type Call = fn(&Troupe, Work) -> Result<(), AssignError>;

const SHORT: Duration = Duration::from_millis(30);

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
}

/// A full troupe whose works wait at the gate.
fn full(actors: usize, mailbox_size: usize) -> (Arc<Troupe>, Gate) {
    let troupe = fixed(actors, mailbox_size);
    let gate = occupy(&troupe, actors);
    fill(&troupe, &gate);
    (Arc::new(troupe), gate)
}

/// Starts a thread of that name.
fn start<R: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(f)
        .expect("a thread")
}

/// With room there is nothing to wait for.
#[test]
fn with_room_nobody_waits() {
    let troupe = fixed(2, 1);
    let gate = Gate::new();
    let handle = troupe.handle();
    troupe.assign_wait(gate.work()).expect("room");
    troupe
        .assign_timeout(gate.work(), Duration::ZERO)
        .expect("room");
    handle.assign_wait(gate.work()).expect("room");
    handle
        .assign_timeout(gate.work(), Duration::MAX)
        .expect("room");
    assert!(troupe.assign(|| Ok(())).expect_err("full").is_full());
    gate.open();
    end(&troupe);
}

/// "Waiting assigners are woken by room": on a full troupe the call blocks, and ends when a place is free.
#[test]
fn assign_wait_waits_for_room() {
    within(HANG, || {
        let (troupe, gate) = full(2, 1);
        let tally = Tally::new(1);
        let waiter = {
            let (troupe, work) = (Arc::clone(&troupe), tally.work(0));
            start("wait-for-room", move || troupe.assign_wait(work).is_ok())
        };
        wait_until_blocked("wait-for-room");
        assert_eq!(tally.count(0), 0);
        gate.open();
        assert!(waiter.join().expect("no panic"));
        end(&troupe);
        tally.assert_each_once();
    });
}

/// A timed assign that gets a place in time, of the troupe and of a handle.
#[test]
fn assign_timeout_waits_for_room() {
    within(HANG, || {
        for use_handle in [false, true] {
            let (troupe, gate) = full(1, 2);
            let tally = Tally::new(1);
            let waiter = {
                let (troupe, work) = (Arc::clone(&troupe), tally.work(0));
                start("timed-wait", move || {
                    if use_handle {
                        troupe.handle().assign_timeout(work, HANG).is_ok()
                    } else {
                        troupe.assign_timeout(work, HANG).is_ok()
                    }
                })
            };
            wait_until_blocked("timed-wait");
            gate.open();
            assert!(waiter.join().expect("no panic"));
            end(&troupe);
            tally.assert_each_once();
        }
    });
}

/// A handle waits as its troupe does.
#[test]
fn a_handle_waits_for_room() {
    within(HANG, || {
        let (troupe, gate) = full(1, 0);
        let waiter = {
            let handle = troupe.handle();
            start("handle-wait", move || handle.assign_wait(|| Ok(())).is_ok())
        };
        wait_until_blocked("handle-wait");
        gate.open();
        assert!(waiter.join().expect("no panic"));
        end(&troupe);
        assert_eq!(troupe.stats().completed, 2);
    });
}

/// Below `max` there is no waiting: the troupe grows.
#[test]
fn waiting_calls_grow_first() {
    let troupe: Troupe = Troupe::new(Config::dynamic(0, 3).mailbox_size(0)).expect("valid");
    let gate = Gate::new();
    troupe.assign_wait(gate.work()).expect("a new actor");
    troupe
        .assign_timeout(gate.work(), Duration::ZERO)
        .expect("a new actor");
    troupe
        .handle()
        .assign_wait(gate.work())
        .expect("a new actor");
    assert_eq!(troupe.stats().actors, 3);
    gate.open();
    end(&troupe);
}

/// At `max` a Dynamic troupe makes its assigners wait too.
#[test]
fn assign_wait_waits_at_max() {
    within(HANG, || {
        let troupe: Arc<Troupe> =
            Arc::new(Troupe::new(Config::dynamic(0, 2).mailbox_size(1)).expect("valid"));
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 4);
        let waiter = {
            let troupe = Arc::clone(&troupe);
            start("wait-at-max", move || troupe.assign_wait(|| Ok(())).is_ok())
        };
        wait_until_blocked("wait-at-max");
        gate.open();
        assert!(waiter.join().expect("no panic"));
        end(&troupe);
        assert_eq!(troupe.stats().completed, 5);
    });
}

/// Waiters and an actor that times out: the place of a retired actor is room for a new one.
#[test]
fn assign_wait_while_the_troupe_shrinks() {
    within(HANG, || {
        let config = Config::dynamic(0, 2)
            .mailbox_size(0)
            .idle_timeout(Duration::from_micros(300));
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let tally = Tally::new(600);
        thread::scope(|scope| {
            for producer in 0..3 {
                let (troupe, tally) = (&troupe, &tally);
                scope.spawn(move || {
                    for index in 0..200 {
                        troupe
                            .assign_wait(tally.work(producer * 200 + index))
                            .expect("it waits for room");
                        if index % 20 == 0 {
                            eventually(|| troupe.stats().idle > 0 || troupe.stats().actors < 2);
                        }
                    }
                });
            }
        });
        end(&troupe);
        tally.assert_each_once();
    });
}

/// "A timed-out `assign_timeout` says `Full`", with the work inside, and not before its time.
#[test]
fn a_timed_out_assign_says_full() {
    within(HANG, || {
        let (troupe, gate) = full(2, 1);
        let tally = Tally::new(2);
        let begun = Instant::now();
        let refused = troupe
            .assign_timeout(tally.work(0), SHORT)
            .expect_err("nobody makes room");
        assert!(begun.elapsed() >= SHORT);
        assert!(matches!(refused, AssignError::Full(_)) && refused.is_full());
        let begun = Instant::now();
        let by_handle = troupe
            .handle()
            .assign_timeout(tally.work(1), SHORT)
            .expect_err("nobody makes room");
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(tally.total(), 0);
        refused.into_work().run().expect("it succeeds");
        by_handle.into_work().run().expect("it succeeds");
        gate.open();
        end(&troupe);
        tally.assert_each_once();
    });
}

/// "A zero timeout is `assign`": it does not wait, also on an actor's own thread.
#[test]
fn a_zero_timeout_is_assign() {
    let (troupe, gate) = full(1, 1);
    assert!(
        troupe
            .assign_timeout(|| Ok(()), Duration::ZERO)
            .expect_err("full")
            .is_full()
    );
    assert!(
        troupe
            .handle()
            .assign_timeout(|| Ok(()), Duration::ZERO)
            .expect_err("full")
            .is_full()
    );
    gate.open();
    settle(&troupe);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || {
            let first = handle.assign_timeout(|| Ok(()), Duration::ZERO);
            let second = handle.assign_timeout(|| Ok(()), Duration::ZERO);
            sender.send((
                first.is_ok(),
                second.is_err_and(|refused| refused.is_full()),
            ))?;
            Ok(())
        })
        .expect("room");
    assert_eq!(receive(&receiver), (true, true));
    end(&troupe);
}

/// "One that overflows the clock waits for ever."
#[test]
fn an_overflowing_timeout_waits_for_ever() {
    within(HANG, || {
        for timeout in [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            Duration::MAX / 2,
        ] {
            let (troupe, gate) = full(1, 1);
            let waiter = {
                let troupe = Arc::clone(&troupe);
                start("overflow-wait", move || {
                    troupe.assign_timeout(|| Ok(()), timeout).is_ok()
                })
            };
            wait_until_blocked("overflow-wait");
            assert!(!waiter.is_finished());
            gate.open();
            assert!(waiter.join().expect("no panic"));
            end(&troupe);
        }
    });
}

/// "Waiting assigners are woken by ... shutdown", each with its work, which has not run.
#[test]
fn shutdown_wakes_every_waiter() {
    within(HANG, || {
        let (troupe, gate) = full(2, 1);
        let tally = Tally::new(3);
        let calls: [(&str, Call); 3] = [
            ("woken-wait", |troupe, work| troupe.assign_wait(work)),
            ("woken-timeout", |troupe, work| {
                troupe.assign_timeout(work, HANG)
            }),
            ("woken-handle", |troupe, work| {
                troupe.handle().assign_wait(work)
            }),
        ];
        let mut waiters = Vec::new();
        for (index, (name, call)) in calls.into_iter().enumerate() {
            let (troupe, work) = (Arc::clone(&troupe), tally.work(index));
            waiters.push(start(name, move || call(&troupe, work)));
            wait_until_blocked(name);
        }
        assert!(troupe.shutdown());
        for waiter in waiters {
            let refused = waiter
                .join()
                .expect("no panic")
                .expect_err("it is shutting down");
            assert!(matches!(refused, AssignError::ShuttingDown(_)) && refused.is_shutting_down());
            assert_eq!(tally.total() as u64, 0);
            drop(refused);
        }
        gate.open();
        join(&troupe);
        assert_eq!(tally.total(), 0);
    });
}

/// `shutdown_now` wakes them as well, and their works are not among the returned: they were never accepted.
#[test]
fn shutdown_now_wakes_every_waiter() {
    within(HANG, || {
        let (troupe, gate) = full(1, 2);
        let waiters: Vec<_> = ["now-a", "now-b"]
            .into_iter()
            .map(|name| {
                let troupe = Arc::clone(&troupe);
                let waiter = start(name, move || troupe.assign_wait(|| Ok(())));
                wait_until_blocked(name);
                waiter
            })
            .collect();
        assert_eq!(troupe.shutdown_now().len(), 2);
        for waiter in waiters {
            assert!(
                waiter
                    .join()
                    .expect("no panic")
                    .expect_err("shutting down")
                    .is_shutting_down()
            );
        }
        gate.open();
        join(&troupe);
        assert_eq!(troupe.stats().accepted, 3);
    });
}

/// Many waiters for few places: each gets in, each work runs once.
#[test]
fn every_waiter_gets_in() {
    within(HANG, || {
        for mailbox_size in [0, 1] {
            let (troupe, gate) = full(1, mailbox_size);
            let tally = Tally::new(8);
            thread::scope(|scope| {
                for index in 0..8 {
                    let (troupe, tally) = (&troupe, &tally);
                    scope.spawn(move || {
                        troupe
                            .assign_wait(tally.work(index))
                            .expect("it waits for room");
                    });
                }
                gate.open();
            });
            end(&troupe);
            tally.assert_each_once();
        }
    });
}

/// A place that comes free by sharing is a place for a waiter, too.
#[test]
fn a_place_freed_by_sharing_wakes_a_waiter() {
    within(HANG, || {
        let troupe = Arc::new(fixed(2, 1));
        let (held, free) = (Gate::new(), Gate::new());
        troupe.assign(held.work()).expect("room");
        troupe.assign(free.work()).expect("room");
        held.wait_for(1);
        free.wait_for(1);
        let rest = Gate::new();
        assert_eq!(fill(&troupe, &rest), 2);
        let waiter = {
            let troupe = Arc::clone(&troupe);
            start("shared-place", move || {
                troupe.assign_wait(|| Ok(())).is_ok()
            })
        };
        wait_until_blocked("shared-place");
        free.open();
        rest.open(); // the free actor takes its own, then the other's
        assert!(waiter.join().expect("no panic"));
        eventually(|| troupe.stats().completed == 4);
        held.open();
        end(&troupe);
    });
}

/// As many waiters get in as places come free, though one mailbox frees them all and then nothing moves any more.
#[test]
fn every_place_wakes_a_waiter() {
    within(HANG, || {
        let troupe = Arc::new(fixed(1, 4));
        let (first, rest) = (Gate::new(), Gate::new());
        troupe.assign(first.work()).expect("the idle actor");
        first.wait_for(1);
        for _ in 0..2 {
            troupe.assign(|| Ok(())).expect("room");
        }
        assert_eq!(fill(&troupe, &rest), 2);
        let waiters: Vec<_> = ["place-a", "place-b", "place-c"]
            .into_iter()
            .map(|name| {
                let (troupe, work) = (Arc::clone(&troupe), rest.work());
                let waiter = start(name, move || troupe.assign_wait(work).is_ok());
                wait_until_blocked(name);
                waiter
            })
            .collect();
        // Three works are taken one after the other, and the third stays: three places.
        first.open();
        for waiter in waiters {
            assert!(waiter.join().expect("no panic"));
        }
        assert!(
            troupe
                .assign(|| Ok(()))
                .expect_err("and no fourth")
                .is_full()
        );
        rest.open();
        end(&troupe);
    });
}

/// "Calls that would wait for the troupe itself (`assign_wait` and `assign_timeout` when they would have to wait)
/// return `WouldDeadlock` at once", with the work; with room they are accepted there as everywhere.
#[test]
fn on_an_actors_own_thread_waiting_would_deadlock() {
    let troupe = fixed(1, 1);
    let handle = troupe.handle();
    let tally = Tally::new(3);
    let (sender, receiver) = mpsc::channel();
    let works = [tally.work(0), tally.work(1), tally.work(2)];
    troupe
        .assign(move || {
            let [first, second, third] = works;
            sender.send(handle.assign_wait(first))?;
            sender.send(handle.assign_wait(second))?;
            sender.send(handle.assign_timeout(third, HANG))?;
            Ok(())
        })
        .expect("room");
    assert!(receive(&receiver).is_ok());
    for _ in 0..2 {
        let refused = receive(&receiver).expect_err("it would wait for itself");
        assert!(
            matches!(refused, AssignError::WouldDeadlock(_)),
            "{refused:?}"
        );
        assert!(!refused.is_full() && !refused.is_shutting_down());
        refused.into_work().run().expect("it succeeds");
    }
    end(&troupe);
    tally.assert_each_once();
    assert_eq!(troupe.stats().refused, 2);
}

/// The same in the error handler, which runs on the actor's thread.
#[test]
fn in_the_handler_waiting_would_deadlock() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |_: Failure<&'static str>, context| {
            let refused = context
                .troupe()
                .assign_wait(|| Ok(()))
                .expect_err("its actor is busy with this");
            sender
                .send(matches!(refused, AssignError::WouldDeadlock(_)))
                .expect("the test listens");
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("x")).expect("room");
    assert!(receive(&receiver));
    end(&troupe);
}

/// "`join`, `wait_idle` and their timed forms always": in a work, and in the handler.
#[test]
fn on_an_actors_own_thread_joining_would_deadlock() {
    let log = Log::new();
    let place: Arc<std::sync::OnceLock<std::sync::Weak<Troupe<()>>>> = Arc::default();
    let ask = {
        let (log, place) = (log.clone(), Arc::clone(&place));
        move || {
            let troupe = place
                .get()
                .and_then(std::sync::Weak::upgrade)
                .expect("the test holds it");
            log.push(troupe.join());
            log.push(troupe.join_timeout(Duration::ZERO));
            log.push(troupe.join_timeout(Duration::MAX));
            log.push(troupe.wait_idle());
            log.push(troupe.wait_idle_timeout(Duration::ZERO));
            log.push(troupe.wait_idle_timeout(Duration::MAX));
        }
    };
    let in_handler = ask.clone();
    let troupe = Troupe::builder(Config::fixed(2).mailbox_size(1))
        .error_handler(move |_, _| in_handler())
        .build()
        .expect("valid");
    let troupe = Arc::new(troupe);
    place.set(Arc::downgrade(&troupe)).expect("set once");
    troupe
        .assign(move || {
            ask();
            Err(())
        })
        .expect("room");
    settle(&troupe);
    assert_eq!(log.entries(), vec![Err(JoinError::WouldDeadlock); 12]);
    end(&troupe);
}

/// "Only the own troupe's threads are seen": an actor may wait for another troupe.
#[test]
fn an_actor_may_wait_for_another_troupe() {
    within(HANG, || {
        let (other, gate) = full(1, 0);
        let troupe: Troupe =
            Troupe::new(Config::fixed(1).mailbox_size(1).thread_name("crosswise")).expect("valid");
        let (sender, receiver) = mpsc::channel();
        let target = Arc::clone(&other);
        troupe
            .assign(move || {
                let assigned = target.assign_wait(|| Ok(())).is_ok();
                let idle = target.wait_idle();
                drop(target);
                Ok(sender.send((assigned, idle))?)
            })
            .expect("room");
        wait_until_blocked("crosswise-0");
        gate.open();
        assert_eq!(receive(&receiver), (true, Ok(())));
        end(&troupe);
        end(&other);
    });
}

/// Every way in drops the captures of a refused work once, when its error is dropped.
#[test]
fn refusals_of_every_kind_keep_the_lease() {
    let drops = DropCounter::new();
    let work = || {
        let lease = drops.lease();
        Work::new(move || {
            drop(lease);
            Ok(())
        })
    };
    let (troupe, gate) = full(1, 1);
    let handle = troupe.handle();
    let refused = [
        troupe.assign(work()),
        troupe.assign_timeout(work(), SHORT),
        handle.assign(work()),
        handle.assign_timeout(work(), SHORT),
    ];
    troupe.shutdown();
    let late = [
        troupe.assign(work()),
        troupe.assign_wait(work()),
        handle.assign(work()),
        handle.assign_wait(work()),
    ];
    assert!(refused.iter().chain(&late).all(Result::is_err));
    assert_eq!(drops.dropped(), 0);
    drop(refused);
    assert_eq!(drops.dropped(), 4);
    drop(late);
    drops.assert_balanced();
    gate.open();
    join(&troupe);
    drops.assert_balanced();
}

//! The whole core under shuttle's controlled schedulers, random and PCT.
//!
//! `cargo test --release --features shuttle --test shuttle`. Which schedules
//! are tried can be had more of: `TROUPE_ITERATIONS=100000`. A failing schedule
//! is printed and can be replayed with `shuttle::replay`.
//!
//! Refused spawns and timed-out waits are decided by a coin of the model,
//! unless the troupe's threads are called `sure`.

#![cfg(feature = "shuttle")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shuttle::sync::Arc;
use shuttle::sync::mpsc;
use shuttle::thread;
use troupe_pool::{AssignError, Config, Failure, Handle, JoinError, Troupe, Work};

type Error = &'static str;

fn iterations() -> usize {
    std::env::var("TROUPE_ITERATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_000)
}

/// Runs a model under both schedulers.
fn check(model: fn()) {
    shuttle::check_random(model, iterations());
    shuttle::check_pct(model, iterations(), 3);
}

/// Counts how often works were run and captures dropped.
#[derive(Clone, Default)]
struct Tally {
    run: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

/// A captured value: its drop is a promise to the user.
struct Lease(Arc<AtomicUsize>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Tally {
    fn work(&self) -> Work<Error> {
        let run = Arc::clone(&self.run);
        let lease = Lease(Arc::clone(&self.dropped));
        Work::new(move || {
            let _lease = lease;
            run.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }

    fn run(&self) -> usize {
        self.run.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// An assigner of `works` works: how many were accepted.
fn assigner(handle: Handle<Error>, tally: Tally, works: usize) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        (0..works)
            .filter(|_| handle.assign(tally.work()).is_ok())
            .count()
    })
}

fn build(config: Config) -> Troupe<Error> {
    Troupe::<Error>::builder(config)
        .build()
        .expect("no thread is refused to the initial actors")
}

/// Every accepted work is run, and every capture dropped, though actors retire
/// at any moment and the system refuses threads.
#[test]
fn retire_against_assign() {
    check(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO),
        );
        let tally = Tally::default();
        let assigners: Vec<_> = (0..2)
            .map(|_| assigner(troupe.handle(), tally.clone(), 3))
            .collect();
        let accepted: usize = assigners
            .into_iter()
            .map(|assigner| assigner.join().unwrap())
            .sum();
        troupe.wait_idle().unwrap();
        assert_eq!(tally.run(), accepted);
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 6));
        let stats = troupe.stats();
        assert_eq!(
            (stats.accepted, stats.refused),
            (accepted as u64, 6 - accepted as u64)
        );
        assert!(stats.peak <= 2);
    });
}

/// Nobody shuts down and nobody joins until every work has been run: a lost
/// wake-up is a deadlock.
#[test]
fn going_idle_against_assign() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let (done, all) = mpsc::channel();
        let feeders: Vec<_> = (0..2)
            .map(|_| {
                let (handle, done) = (troupe.handle(), done.clone());
                thread::spawn(move || {
                    for _ in 0..3 {
                        let done = done.clone();
                        let mut work = Work::new(move || {
                            done.send(()).unwrap();
                            Ok(())
                        });
                        while let Err(refused) = handle.assign(work) {
                            work = refused.into_work();
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for _ in 0..6 {
            all.recv().unwrap();
        }
        for feeder in feeders {
            feeder.join().unwrap();
        }
    });
}

/// Accepted before a shutdown is run; refused is not.
#[test]
fn shutdown_against_assign() {
    check(|| {
        let troupe = Arc::new(build(
            Config::dynamic(1, 2).mailbox_size(1).thread_name("sure"),
        ));
        let tally = Tally::default();
        let first = assigner(troupe.handle(), tally.clone(), 2);
        let second = assigner(troupe.handle(), tally.clone(), 2);
        let joiner = {
            let troupe = Arc::clone(&troupe);
            thread::spawn(move || troupe.join())
        };
        troupe.shutdown();
        let accepted = first.join().unwrap() + second.join().unwrap();
        troupe.join().unwrap();
        joiner.join().unwrap().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 4));
        assert!(troupe.assign(tally.work()).unwrap_err().is_shutting_down());
        assert_eq!(troupe.stats().accepted, accepted as u64);
    });
}

/// Accepted works are run or returned, never both; once it has returned, no
/// work starts.
#[test]
fn shutdown_now_is_a_partition() {
    check(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO),
        );
        let tally = Tally::default();
        let first = assigner(troupe.handle(), tally.clone(), 3);
        let second = assigner(troupe.handle(), tally.clone(), 3);
        thread::yield_now();
        let returned = troupe.shutdown_now();
        let run = tally.run();
        let accepted = first.join().unwrap() + second.join().unwrap();
        troupe.join().unwrap();
        // What had started may have been about to count itself, one an actor.
        assert!(tally.run() - run <= 2);
        assert_eq!(accepted, tally.run() + returned.len());
        assert_eq!(tally.dropped(), 6 - returned.len());
        assert_eq!(troupe.stats().returned, returned.len() as u64);
        assert!(troupe.shutdown_now().is_empty());
    });
}

/// A retry is run, or returned by `shutdown_now`, or handed back to the handler.
#[test]
fn reassign_against_shutdown_now() {
    check(|| {
        let tally = Tally::default();
        let retry = tally.clone();
        let handed_back = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&handed_back);
        let troupe = Troupe::<Error>::builder(Config::fixed(1).mailbox_size(1).thread_name("sure"))
            .error_handler(move |_: Failure<Error>, context| {
                if context.reassign(retry.work()).is_err() {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            })
            .build()
            .unwrap();
        troupe.assign(|| Err("again")).unwrap();
        let returned = troupe.shutdown_now();
        troupe.join().unwrap();
        let failed = troupe.stats().failed as usize;
        let retries_returned = returned.len() - (1 - failed);
        assert_eq!(
            tally.run() + retries_returned + handed_back.load(Ordering::SeqCst),
            failed
        );
        drop(returned);
        assert_eq!(tally.dropped(), failed);
    });
}

/// With one place left, exactly one of two assigners gets it.
#[test]
fn full_is_exact() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(1).thread_name("sure"));
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(shuttle::sync::Mutex::new(gate));
        for _ in 0..3 {
            let gate = Arc::clone(&gate);
            troupe
                .assign(move || {
                    gate.lock().unwrap().recv().unwrap();
                    Ok(())
                })
                .unwrap();
        }
        let tally = Tally::default();
        let first = assigner(troupe.handle(), tally.clone(), 1);
        let second = assigner(troupe.handle(), tally.clone(), 1);
        assert_eq!(first.join().unwrap() + second.join().unwrap(), 1);
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (1, 2));
    });
}

/// While one place is freed after the other, an assign that finds `Full` found
/// it at an instant when it was true: never right after a place was freed and
/// before anybody could have taken it.
#[test]
fn a_freed_place_is_seen() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let (begun, begin) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(shuttle::sync::Mutex::new(gate));
        let work = || {
            let (begun, gate) = (begun.clone(), Arc::clone(&gate));
            move || {
                begun.send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
                Ok(())
            }
        };
        troupe.assign(work()).unwrap();
        begin.recv().unwrap();
        troupe.assign(work()).unwrap();
        assert!(troupe.assign(|| Ok(())).unwrap_err().is_full());
        for _ in 0..2 {
            open.send(()).unwrap();
            // The next has begun: its place in the mailbox is free.
            begin.recv().unwrap();
            troupe.assign(work()).unwrap();
            assert!(troupe.assign(|| Ok(())).unwrap_err().is_full());
        }
        open.send(()).unwrap();
        open.send(()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// Waiting assigners get their places without anybody's help, timed ones do or
/// say `Full`, and a shutdown wakes them all.
#[test]
fn waiters_against_room_and_shutdown() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let tally = Tally::default();
        let waiters: Vec<_> = (0..2)
            .map(|waiter| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..3 {
                        let outcome = if waiter == 0 {
                            handle.assign_wait(tally.work())
                        } else {
                            handle.assign_timeout(tally.work(), Duration::from_secs(1))
                        };
                        match outcome {
                            Ok(()) => accepted += 1,
                            Err(AssignError::Full(_)) => assert_eq!(waiter, 1),
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    accepted
                })
            })
            .collect();
        let accepted: usize = waiters
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .sum();
        assert!(accepted >= 3);

        let (open, gate) = mpsc::channel::<()>();
        let late = {
            let (handle, tally) = (troupe.handle(), tally.clone());
            handle
                .assign_wait(move || {
                    gate.recv().unwrap();
                    Ok(())
                })
                .unwrap();
            thread::spawn(move || {
                (0..4)
                    .filter(|_| handle.assign_wait(tally.work()).is_ok())
                    .count()
            })
        };
        troupe.shutdown();
        let accepted = accepted + late.join().unwrap();
        open.send(()).unwrap();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 10));
    });
}

/// Hand-off: who waits for an idle actor gets one, and after `wait_idle` there
/// is one.
#[test]
fn hand_off() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(0).thread_name("sure"));
        let tally = Tally::default();
        troupe.assign(tally.work()).unwrap();
        let waiter = {
            let (handle, tally) = (troupe.handle(), tally.clone());
            thread::spawn(move || handle.assign_wait(tally.work()).unwrap())
        };
        waiter.join().unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!(tally.run(), 2);
        troupe.assign(tally.work()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!(tally.run(), 3);
    });
}

/// When `wait_idle` returns, what was accepted before is finished, whatever a
/// feeder adds meanwhile.
#[test]
fn wait_idle_against_a_feeder() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let early = Tally::default();
        for _ in 0..3 {
            troupe.assign_wait(early.work()).unwrap();
        }
        let later = Tally::default();
        let feeder = assigner(troupe.handle(), later.clone(), 3);
        troupe.wait_idle().unwrap();
        assert_eq!((early.run(), early.dropped()), (3, 3));
        let accepted = feeder.join().unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!((later.run(), later.dropped()), (accepted, 3));
    });
}

/// A chain of works, each of which assigns the next, ends only when `wait_idle`
/// has returned: so it must not wait for later works.
#[test]
fn wait_idle_waits_for_no_later_work() {
    fn link(handle: &Handle<Error>, stop: &Arc<AtomicUsize>) -> Result<(), Error> {
        if stop.load(Ordering::SeqCst) == 0 {
            let (next, stop) = (handle.clone(), Arc::clone(stop));
            handle
                .assign(move || link(&next, &stop))
                .map_err(|_| "refused")?;
        }
        thread::yield_now();
        Ok(())
    }
    shuttle::check_random(
        || {
            let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
            let stop = Arc::new(AtomicUsize::new(0));
            let (handle, stopped) = (troupe.handle(), Arc::clone(&stop));
            troupe.assign(move || link(&handle, &stopped)).unwrap();
            troupe.wait_idle().unwrap();
            stop.store(1, Ordering::SeqCst);
            troupe.wait_idle().unwrap();
            // The last link may have come too late for that.
            troupe.shutdown();
            troupe.join().unwrap();
            let stats = troupe.stats();
            assert_eq!(
                (stats.panicked, stats.completed + stats.failed),
                (0, stats.accepted)
            );
        },
        iterations(),
    );
}

/// With max 1, works run in the order of acceptance.
#[test]
fn one_actor_keeps_the_order() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(2).thread_name("sure"));
        let (say, said) = mpsc::channel();
        for n in 0..6 {
            let say = say.clone();
            troupe
                .assign_wait(move || {
                    say.send(n).unwrap();
                    Ok(())
                })
                .unwrap();
        }
        for n in 0..6 {
            assert_eq!(said.recv().unwrap(), n);
        }
    });
}

/// Two assigners at max - 1: max is never passed, and neither is refused.
#[test]
fn growth_by_two() {
    check(|| {
        let troupe = build(
            Config::dynamic(1, 2)
                .mailbox_size(0)
                .idle_timeout(Duration::MAX)
                .thread_name("sure"),
        );
        let (open, gate) = mpsc::channel::<()>();
        troupe
            .assign(move || {
                gate.recv().unwrap();
                Ok(())
            })
            .unwrap();
        let tally = Tally::default();
        let assigners: Vec<_> = (0..2)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || handle.assign_wait(tally.work()).unwrap())
            })
            .collect();
        for assigner in assigners {
            assigner.join().unwrap();
        }
        open.send(()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
        let stats = troupe.stats();
        assert_eq!((tally.run(), stats.peak, stats.grown), (2, 2, 1));
    });
}

/// The system refuses threads in the middle of growth: nothing is lost, and
/// who had no actor at all gets the work back.
#[test]
fn spawn_refusals_lose_nothing() {
    check(|| {
        let troupe = build(Config::dynamic(0, 2).mailbox_size(1));
        let tally = Tally::default();
        let assigners: Vec<_> = (0..2)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..3 {
                        match handle.assign(tally.work()) {
                            Ok(()) => accepted += 1,
                            Err(AssignError::Full(_) | AssignError::Spawn { .. }) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    accepted
                })
            })
            .collect();
        let accepted: usize = assigners
            .into_iter()
            .map(|assigner| assigner.join().unwrap())
            .sum();
        troupe.wait_idle().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 6));
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// The troupe is dropped on its own actor's thread while another handle
/// assigns: nothing is joined there, nothing is lost.
#[test]
fn drop_on_an_actor() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let handle = troupe.handle();
        let own = troupe.handle();
        let tally = Tally::default();
        let (ended, end) = mpsc::channel();
        own.assign(move || {
            assert_eq!(troupe.join(), Err(JoinError::WouldDeadlock));
            drop(troupe);
            ended.send(()).unwrap();
            Ok(())
        })
        .unwrap();
        let accepted = assigner(handle.clone(), tally.clone(), 2).join().unwrap();
        end.recv().unwrap();
        assert!(handle.assign(tally.work()).unwrap_err().is_shutting_down());
        while tally.run() < accepted {
            thread::yield_now();
        }
    });
}

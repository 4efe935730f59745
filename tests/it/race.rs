//! Races, with real threads. Each test names its claim, and is watched for progress, not for speed.
//!
//! `TROUPE_STRESS=n` runs every test `n` times as long, `TROUPE_SEED=n` shifts the threads otherwise.

use crate::support::{
    DropCounter, Gate, HANG, Rng, Tally, end, error, eventually, fill, join, quiet_panic, rounds,
    settle, within,
};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use troupe_pool::{AssignError, Config, Failure, Handle, Troupe, Work};

fn build(config: Config) -> Troupe {
    Troupe::new(config).expect("valid")
}

/// Runs one race at a time: two cores that are shared with other races do not run a pair of threads side by side, and that
/// is what it takes to meet. A hung one fails.
#[track_caller]
fn race(f: impl FnOnce() + Send + 'static) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    within(HANG, f);
}

/// A counter that works and the test share.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn work<E: 'static>(&self) -> Work<E> {
        let count = self.clone();
        Work::new(move || {
            count.add();
            Ok(())
        })
    }
}

/// The five ways in, by number.
fn assign_by(way: usize, troupe: &Troupe, work: Work) -> Result<(), AssignError> {
    match way {
        0 => troupe.assign(work),
        1 => troupe.assign_wait(work),
        2 => troupe.assign_timeout(work, HANG),
        3 => troupe.handle().assign(work),
        _ => troupe.handle().assign_wait(work),
    }
}

/// Works arrive just as the only actor's idle timeout runs out, one at a time: each is run before the next is assigned,
/// so that no later assign can rescue one that was stranded.
fn against_retire(way: usize) {
    race(move || {
        let timeout = Duration::from_micros(60);
        let troupe = build(Config::dynamic(0, 2).mailbox_size(1).idle_timeout(timeout));
        let ran = Count::default();
        let mut rng = Rng::new(way as u64);
        for round in 1..=rounds(2_500) {
            assign_by(way, &troupe, ran.work()).expect("room");
            eventually(|| ran.get() == round);
            rng.pause(3 * timeout);
        }
        end(&troupe);
        let stats = troupe.stats();
        assert_eq!(stats.completed as usize, rounds(2_500));
        assert!(stats.retired > 0, "the race was run: {stats:?}");
    });
}

/// Claim: an assign that meets an actor on its way out is run, by that actor or another.
#[test]
fn assign_against_retire() {
    against_retire(0);
}

/// The same for `assign_wait`.
#[test]
fn assign_wait_against_retire() {
    against_retire(1);
}

/// The same for `assign_timeout`.
#[test]
fn assign_timeout_against_retire() {
    against_retire(2);
}

/// The same through a handle.
#[test]
fn a_handle_against_retire() {
    against_retire(3);
    against_retire(4);
}

/// Claim: a work that several assigners' bursts put into the mailbox of an actor that leaves is not stranded there. Each
/// burst ends before the next begins, and then everybody is about to time out.
#[test]
fn bursts_against_retire() {
    race(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(2)
                .idle_timeout(Duration::from_micros(80)),
        );
        let ran = Count::default();
        let accepted = Count::default();
        let begin = Barrier::new(4);
        let rounds = rounds(800);
        thread::scope(|scope| {
            for feeder in 0..3 {
                let (troupe, ran, accepted, begin) = (&troupe, &ran, &accepted, &begin);
                scope.spawn(move || {
                    let mut rng = Rng::new(100 + feeder);
                    for _ in 0..rounds {
                        begin.wait();
                        rng.dally(1_000);
                        for _ in 0..2 {
                            // Six at once at most, which is the capacity: none can be refused.
                            troupe.assign(ran.work()).expect("room for six");
                            accepted.add();
                        }
                        begin.wait();
                    }
                });
            }
            let mut rng = Rng::new(110);
            for _ in 0..rounds {
                begin.wait();
                begin.wait();
                eventually(|| ran.get() == accepted.get());
                // Finished work may still hold its place for a moment.
                settle(&troupe);
                rng.pause(Duration::from_micros(250));
            }
        });
        end(&troupe);
        assert_eq!(ran.get(), 6 * rounds);
        assert!(troupe.stats().retired > 0 && troupe.stats().peak <= 2);
    });
}

/// Claim: the same when the only actor leaves as soon as it has nothing to do, so that it can do so between an
/// assigner's look at the troupe and its send.
#[test]
fn bursts_against_an_actor_that_leaves_at_once() {
    race(|| {
        let config = Config::dynamic(0, 1)
            .mailbox_size(2)
            .idle_timeout(Duration::ZERO);
        let troupe = build(config);
        thread::scope(|scope| {
            for feeder in 0..2 {
                let troupe = &troupe;
                scope.spawn(move || {
                    let ran = Count::default();
                    let mut rng = Rng::new(115 + feeder);
                    for round in 1..=rounds(3_000) {
                        // One of the other's and one of its own may be unfinished: there is room for a third.
                        troupe.assign(ran.work()).expect("room for three");
                        eventually(|| ran.get() == round);
                        rng.pause(Duration::from_micros([0, 40, 120][round % 3]));
                    }
                });
            }
        });
        end(&troupe);
        assert!(
            troupe.stats().retired > 0 && troupe.stats().peak == 1,
            "{:?}",
            troupe.stats()
        );
    });
}

/// Claim: retries are not lost when the siblings, and then the actor itself, retire around them.
#[test]
fn reassign_against_retire() {
    race(|| {
        let ran = Count::default();
        let again = ran.clone();
        let config = Config::dynamic(0, 2)
            .mailbox_size(1)
            .idle_timeout(Duration::from_micros(60));
        let troupe = Troupe::<()>::builder(config)
            .error_handler(move |_, context| assert!(context.reassign(again.work()).is_ok()))
            .build()
            .expect("valid");
        let mut rng = Rng::new(120);
        for round in 1..=rounds(2_000) {
            assert!(troupe.assign(|| Err(())).is_ok());
            eventually(|| ran.get() == round);
            rng.pause(Duration::from_micros(180));
        }
        end(&troupe);
        assert_eq!(troupe.stats().handler_panics, 0);
    });
}

/// Claim: two assigners at `max - 1` start one actor between them: never one too many, and neither is refused, as the new
/// actor's mailbox takes the second.
#[test]
fn growth_by_two_assigners_below_max() {
    race(|| {
        for _ in 0..rounds(400) {
            let troupe = build(Config::dynamic(1, 2).mailbox_size(1));
            let gate = crate::support::occupy(&troupe, 1);
            let begin = Barrier::new(2);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        begin.wait();
                        troupe.assign(gate.work()).expect("room for three more");
                    });
                }
            });
            let stats = troupe.stats();
            assert_eq!((stats.actors, stats.peak, stats.grown), (2, 2, 1));
            assert_eq!(fill(&troupe, &gate), 1);
            gate.open();
            end(&troupe);
        }
    });
}

/// Claim: without mailboxes one of the two gets the new actor and the other is refused.
#[test]
fn growth_by_two_assigners_without_mailboxes() {
    race(|| {
        for _ in 0..rounds(400) {
            let troupe = build(Config::dynamic(1, 2).mailbox_size(0));
            let gate = crate::support::occupy(&troupe, 1);
            let (begin, accepted, full) = (Barrier::new(2), Count::default(), Count::default());
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        begin.wait();
                        match troupe.assign(gate.work()) {
                            Ok(()) => accepted.add(),
                            Err(refused) if refused.is_full() => full.add(),
                            Err(other) => panic!("unexpected: {other}"),
                        }
                    });
                }
            });
            assert_eq!((accepted.get(), full.get()), (1, 1));
            assert_eq!((troupe.stats().actors, troupe.stats().peak), (2, 2));
            gate.open();
            end(&troupe);
        }
    });
}

/// Claim: from nothing to `max` by many assigners at once: exactly `max` actors, exactly the capacity accepted.
#[test]
fn growth_by_many_assigners_from_nothing() {
    race(|| {
        for mailbox_size in [0, 1, 3] {
            for _ in 0..rounds(80) {
                let troupe = build(Config::dynamic(0, 3).mailbox_size(mailbox_size));
                let (gate, begin, accepted) = (Gate::new(), Barrier::new(4), Count::default());
                thread::scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| {
                            begin.wait();
                            for _ in 0..4 {
                                match troupe.assign(gate.work()) {
                                    Ok(()) => accepted.add(),
                                    Err(refused) => assert!(refused.is_full()),
                                }
                            }
                        });
                    }
                });
                assert_eq!(accepted.get(), 3 * (mailbox_size + 1));
                assert_eq!((troupe.stats().peak, troupe.stats().grown), (3, 3));
                gate.open();
                end(&troupe);
            }
        }
    });
}

/// Claim: assigns that race growth, retirement and each other are each run once, and `peak` stays within `max`.
#[test]
fn assign_against_growth_and_retire() {
    race(|| {
        let troupe = build(
            Config::dynamic(0, 3)
                .mailbox_size(1)
                .idle_timeout(Duration::from_micros(30)),
        );
        let works = rounds(6_000);
        let tally = Tally::new(2 * works);
        thread::scope(|scope| {
            for feeder in 0..2 {
                let (troupe, tally) = (&troupe, &tally);
                scope.spawn(move || {
                    let mut rng = Rng::new(130 + feeder as u64);
                    for index in 0..works {
                        let mut work = tally.work(feeder * works + index);
                        while let Err(refused) = troupe.assign(work) {
                            assert!(refused.is_full());
                            work = refused.into_work();
                            thread::yield_now();
                        }
                        if rng.chance(5) {
                            rng.pause(Duration::from_micros(100));
                        }
                    }
                });
            }
        });
        end(&troupe);
        tally.assert_each_once();
        assert!(
            troupe.stats().peak <= 3 && troupe.stats().retired > 0,
            "{:?}",
            troupe.stats()
        );
    });
}

/// Feeders that assign until they are told to stop; how many works were accepted, and how many refused.
fn feed_until_shutdown(troupe: &Troupe, ran: &Count, drops: &DropCounter, salt: u64) -> usize {
    let mut rng = Rng::new(salt);
    let mut accepted = 0;
    let mut next: Option<Work> = None;
    loop {
        let work = next.take().unwrap_or_else(|| {
            let (lease, ran) = (drops.lease(), ran.clone());
            let outcome = rng.below(8);
            Work::new(move || {
                let _held = &lease;
                ran.add();
                match outcome {
                    0 => Err(error("x")),
                    1 => quiet_panic("y"),
                    _ => Ok(()),
                }
            })
        });
        match assign_by(rng.below(5) as usize, troupe, work) {
            Ok(()) => accepted += 1,
            Err(AssignError::Full(work)) => {
                next = Some(work);
                thread::yield_now();
            }
            Err(AssignError::ShuttingDown(work)) => {
                drop(work);
                return accepted;
            }
            Err(other) => panic!("unexpected: {other}"),
        }
    }
}

/// Runs feeders against `stop` and joins; how many works were accepted.
fn end_under_fire<R: Send>(
    config: Config,
    salt: u64,
    ran: &Count,
    drops: &DropCounter,
    stop: impl FnOnce(&Troupe) -> R + Send,
) -> (usize, R, Troupe) {
    let troupe = build(config);
    let begin = Barrier::new(3);
    let (accepted, stopped) = thread::scope(|scope| {
        let feeders: Vec<_> = (0..2)
            .map(|feeder| {
                let (troupe, begin) = (&troupe, &begin);
                scope.spawn(move || {
                    begin.wait();
                    feed_until_shutdown(troupe, ran, drops, salt * 2 + feeder)
                })
            })
            .collect();
        begin.wait();
        Rng::new(salt).dally(20_000);
        let stopped = stop(&troupe);
        (
            feeders
                .into_iter()
                .map(|feeder| feeder.join().expect("no panic"))
                .sum(),
            stopped,
        )
    });
    join(&troupe);
    (accepted, stopped, troupe)
}

fn configs(round: usize) -> Config {
    match round % 4 {
        0 => Config::fixed(2).mailbox_size(3),
        1 => Config::fixed(1).mailbox_size(0),
        2 => Config::dynamic(0, 2)
            .mailbox_size(1)
            .idle_timeout(Duration::from_micros(40)),
        _ => Config::dynamic(0, 3)
            .mailbox_size(0)
            .idle_timeout(Duration::from_micros(80)),
    }
}

/// Claim: what was accepted before or while the troupe shuts down is run, all of it, once; every refused work came back,
/// and every capture is dropped before `join` returns.
#[test]
fn assign_against_shutdown() {
    race(|| {
        for round in 0..rounds(400) {
            let (ran, drops) = (Count::default(), DropCounter::new());
            let (accepted, began, troupe) =
                end_under_fire(configs(round), round as u64, &ran, &drops, |troupe| {
                    troupe.shutdown()
                });
            assert!(began);
            assert_eq!(ran.get(), accepted, "round {round}");
            drops.assert_balanced();
            assert_eq!(troupe.stats().accepted as usize, accepted);
        }
    });
}

/// Claim: exactly what was accepted is what ran and what `shutdown_now` returned; each capture is dropped once; and once
/// it has returned nothing starts (more than the works that had begun, one an actor at most).
#[test]
fn assign_against_shutdown_now() {
    race(|| {
        for round in 0..rounds(400) {
            let (ran, drops) = (Count::default(), DropCounter::new());
            let stop = |troupe: &Troupe| {
                let returned = troupe.shutdown_now();
                (returned, ran.get())
            };
            let (accepted, (returned, ran_by_then), troupe) =
                end_under_fire(configs(round), round as u64, &ran, &drops, stop);
            assert_eq!(ran.get() + returned.len(), accepted, "round {round}");
            assert!(
                ran.get() - ran_by_then <= troupe.config().max,
                "round {round}: works started afterwards"
            );
            let stats = troupe.stats();
            assert_eq!(
                (stats.accepted as usize, stats.returned as usize),
                (accepted, returned.len())
            );
            drop(returned);
            drops.assert_balanced();
        }
    });
}

/// Claim: what a refusal gives back is the caller's own work, not another's that happens to be at hand: each feeder runs
/// what it gets back, and then each of its works has run once.
#[test]
fn refused_works_are_ones_own() {
    race(|| {
        for round in 0..rounds(400) {
            let troupe = build(Config::fixed(2).mailbox_size(1));
            let tally = Tally::new(3 * 40);
            let begin = Barrier::new(4);
            let returned = thread::scope(|scope| {
                for feeder in 0..3 {
                    let (troupe, tally, begin) = (&troupe, &tally, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        for index in feeder * 40..(feeder + 1) * 40 {
                            if let Err(refused) = troupe.assign(tally.work(index)) {
                                refused.into_work().run().expect("it succeeds");
                                assert_eq!(
                                    tally.count(index),
                                    1,
                                    "round {round}: it got another's work"
                                );
                            }
                        }
                    });
                }
                begin.wait();
                Rng::new(round as u64).dally(3_000);
                troupe.shutdown_now()
            });
            join(&troupe);
            returned
                .into_iter()
                .for_each(|work| work.run().expect("it succeeds"));
            tally.assert_each_once();
        }
    });
}

/// Claim: several `shutdown_now` and `shutdown` at once return each work once between them, and one call began it.
#[test]
fn many_ends_at_once() {
    race(|| {
        for round in 0..rounds(300) {
            let troupe = build(configs(round));
            let tally = Tally::new(64);
            let mut accepted = 0;
            for index in 0..64 {
                accepted += usize::from(troupe.assign(tally.work(index)).is_ok());
            }
            let begin = Barrier::new(4);
            let (returned, began) = thread::scope(|scope| {
                let now: Vec<_> = (0..2)
                    .map(|_| {
                        scope.spawn(|| {
                            begin.wait();
                            troupe.shutdown_now()
                        })
                    })
                    .collect();
                let drain = scope.spawn(|| {
                    begin.wait();
                    troupe.shutdown()
                });
                let joiner = scope.spawn(|| {
                    begin.wait();
                    troupe.join()
                });
                let returned: Vec<Work> = now
                    .into_iter()
                    .flat_map(|now| now.join().expect("no panic"))
                    .collect();
                assert_eq!(joiner.join().expect("no panic"), Ok(()));
                (returned, drain.join().expect("no panic"))
            });
            assert!(!troupe.shutdown());
            assert_eq!(
                tally.total() + returned.len(),
                accepted,
                "round {round}, began by shutdown: {began}"
            );
            returned
                .into_iter()
                .for_each(|work| work.run().expect("it succeeds"));
            assert_eq!(tally.total(), accepted);
        }
    });
}

/// Claim: a work that is handed to an actor as `shutdown_now` comes is run or returned, and the actor, woken for nothing,
/// goes all the same: `join` returns.
#[test]
fn hand_off_against_shutdown_now() {
    race(|| {
        for round in 0..rounds(1_500) {
            let troupe = build(Config::fixed(2).mailbox_size(round % 2));
            let (ran, begin) = (Count::default(), Barrier::new(2));
            let (accepted, returned) = thread::scope(|scope| {
                let feeder = scope.spawn(|| {
                    begin.wait();
                    (0..4).filter(|_| troupe.assign(ran.work()).is_ok()).count()
                });
                begin.wait();
                Rng::new(round as u64).dally(1_500);
                let returned = troupe.shutdown_now();
                (feeder.join().expect("no panic"), returned)
            });
            join(&troupe);
            let stats = troupe.stats();
            assert_eq!(
                ran.get() + returned.len(),
                accepted,
                "round {round}: {stats:?}"
            );
        }
    });
}

/// Claim: a retry races the end and is run, returned or refused; the sum is exact.
#[test]
fn reassign_against_shutdown_now() {
    race(|| {
        for round in 0..rounds(500) {
            let (ran, retried) = (Count::default(), Count::default());
            let (again, accepted_again) = (ran.clone(), retried.clone());
            let config = Config::fixed(2).mailbox_size(2);
            let troupe = Troupe::<u8>::builder(config)
                .error_handler(move |failure, context| {
                    if let Failure::Error(left @ 1..) = failure {
                        let ran = again.clone();
                        let retry = move || {
                            ran.add();
                            Err(left - 1)
                        };
                        match context.reassign(retry) {
                            Ok(()) => accepted_again.add(),
                            Err(refused) => assert!(refused.is_shutting_down()),
                        }
                    }
                })
                .build()
                .expect("valid");
            let mut accepted = 0;
            for _ in 0..6 {
                let ran = ran.clone();
                let work = move || {
                    ran.add();
                    Err(9)
                };
                accepted += usize::from(troupe.assign(work).is_ok());
            }
            Rng::new(round as u64).dally(8_000);
            let returned = if round % 3 == 0 {
                troupe.shutdown();
                Vec::new()
            } else {
                troupe.shutdown_now()
            };
            join(&troupe);
            assert_eq!(
                ran.get() + returned.len(),
                accepted + retried.get(),
                "round {round}"
            );
            let stats = troupe.stats();
            assert_eq!(stats.accepted as usize, accepted + retried.get());
            assert_eq!(stats.handler_panics, 0);
        }
    });
}

/// One work at a time, and the next at every possible moment of the actor's going idle: with works this short it is still
/// awake, falling asleep, or asleep.
fn one_by_one(config: Config, salt: u64) {
    race(move || {
        let troupe = build(config);
        let ran = Count::default();
        let mut rng = Rng::new(salt);
        for round in 1..=rounds(8_000) {
            let mut work = ran.work();
            // Without a mailbox the place is free only once the actor is idle.
            while let Err(refused) = troupe.assign(work) {
                assert!(refused.is_full());
                work = refused.into_work();
            }
            eventually(|| ran.get() == round);
            let most = [0, 50, 500, 4_000][round % 4];
            rng.dally(most);
        }
        end(&troupe);
    });
}

/// Claim: no wake-up is lost between an assign and an actor that goes idle.
#[test]
fn going_idle_against_assign() {
    one_by_one(Config::fixed(1).mailbox_size(1), 200);
    one_by_one(Config::fixed(2).mailbox_size(1), 201);
}

/// The same without mailboxes.
#[test]
fn going_idle_against_hand_off() {
    one_by_one(Config::fixed(1).mailbox_size(0), 202);
    one_by_one(Config::fixed(3).mailbox_size(0), 203);
}

/// Claim: "no accepted work waits for a running one while an actor is idle". As many works as actors wait for each other,
/// so that each must have an actor of its own; they come from two assigners at once, at every moment of going idle.
#[test]
fn no_work_waits_while_an_actor_is_idle() {
    race(|| {
        for (actors, mailbox_size) in [(2, 1), (2, 4), (3, 2), (4, 1)] {
            let troupe = build(Config::fixed(actors).mailbox_size(mailbox_size));
            let met = Count::default();
            let begin = Barrier::new(2);
            let rounds = rounds(500);
            let feed = |salt: u64, share: usize, leads: bool| {
                let mut rng = Rng::new(salt);
                for round in 1..=rounds {
                    begin.wait();
                    rng.dally(300);
                    for _ in 0..share {
                        let met = met.clone();
                        let work = move || {
                            met.add();
                            eventually(|| met.get() >= round * actors);
                            Ok(())
                        };
                        troupe.assign(work).expect("room for a work an actor");
                    }
                    begin.wait();
                    if leads {
                        eventually(|| met.get() == round * actors);
                        if round % 3 == 0 {
                            settle(&troupe);
                        } else {
                            rng.dally(2_000);
                        }
                    }
                }
            };
            thread::scope(|scope| {
                scope.spawn(|| feed(210, 1, false));
                feed(211, actors - 1, true);
            });
            end(&troupe);
            assert_eq!(met.get(), rounds * actors);
        }
    });
}

/// Claim: exactly one of two assigners gets the last place, and the other is told `Full`.
#[test]
fn two_assigners_and_one_place() {
    race(|| {
        for round in 0..rounds(500) {
            let (actors, mailbox_size) = [(1, 1), (2, 2), (3, 1), (2, 0)][round % 4];
            let troupe = build(Config::fixed(actors).mailbox_size(mailbox_size));
            let gate = Gate::new();
            for _ in 1..actors * (mailbox_size + 1) {
                troupe.assign(gate.work()).expect("room");
            }
            let (begin, accepted, full) = (Barrier::new(2), Count::default(), Count::default());
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        begin.wait();
                        match troupe.assign(gate.work()) {
                            Ok(()) => accepted.add(),
                            Err(refused) => {
                                assert!(refused.is_full());
                                full.add();
                            }
                        }
                    });
                }
            });
            assert_eq!(
                (accepted.get(), full.get()),
                (1, 1),
                "{actors} x ({mailbox_size} + 1)"
            );
            gate.open();
            end(&troupe);
        }
    });
}

/// Claim: `Full` is never said while there is a place. There are few enough assigners, with one work under way each, that together with
/// what the actors have not settled yet they never fill the troupe: none is ever refused.
#[test]
fn full_is_never_said_too_early() {
    race(|| {
        // An assigner's own work has run when it assigns the next, but may hold its place until its actor has taken
        // another: at most one such an actor. So assigners - 1 + actors < actors * (mailbox_size + 1) must hold.
        for (actors, mailbox_size, assigners) in
            [(1, 1, 1), (2, 1, 2), (1, 2, 2), (2, 2, 4), (4, 1, 4)]
        {
            let troupe = build(Config::fixed(actors).mailbox_size(mailbox_size));
            thread::scope(|scope| {
                for assigner in 0..assigners {
                    let troupe = &troupe;
                    scope.spawn(move || {
                        let ran = Count::default();
                        let mut rng = Rng::new(220 + assigner as u64);
                        for round in 1..=rounds(1_500) {
                            if let Err(refused) = troupe.assign(ran.work()) {
                                panic!("{actors} x ({mailbox_size} + 1), {assigners} assigners: {refused}");
                            }
                            eventually(|| ran.get() == round);
                            rng.dally(100);
                        }
                    });
                }
            });
            end(&troupe);
            assert_eq!(troupe.stats().refused, 0);
        }
    });
}

/// Claim: a mailbox that an assigner has just found full is not taken for full once it has been emptied, by that assigner
/// or by another: the place is found, though its actor never takes anything again.
#[test]
fn a_mailbox_found_full_is_found_empty() {
    race(|| {
        for mailbox_size in [1, 2] {
            let troupe = build(Config::fixed(1).mailbox_size(mailbox_size));
            let pushing = Count::default();
            let mut rng = Rng::new(225);
            for round in 1..=rounds(10_000) {
                let gate = Gate::new();
                let (begun, mut inner) = (pushing.clone(), Rng::new(rng.next()));
                let work = move || {
                    eventually(|| begun.get() == round);
                    inner.dally([20, 100, 400, 1_500][round % 4]);
                    Ok(())
                };
                troupe.assign(work).expect("room");
                for _ in 0..mailbox_size {
                    troupe.assign(gate.work()).expect("room");
                }
                pushing.add();
                eventually(|| troupe.assign(gate.work()).is_ok());
                gate.open();
                settle(&troupe);
            }
            end(&troupe);
        }
    });
}

/// Claim: after `wait_idle` every place is free, whatever state the actors rest in: the whole capacity is accepted at once
/// by two assigners, and not one more.
#[test]
fn full_is_exact_from_rest() {
    race(|| {
        for (actors, mailbox_size) in [(2, 1), (3, 3), (4, 0)] {
            let troupe = build(Config::fixed(actors).mailbox_size(mailbox_size));
            let capacity = actors * (mailbox_size + 1);
            let mut rng = Rng::new(230);
            for _ in 0..rounds(300) {
                let (gate, begin, accepted) = (Gate::new(), Barrier::new(2), Count::default());
                thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            begin.wait();
                            for _ in 0..capacity {
                                match troupe.assign(gate.work()) {
                                    Ok(()) => accepted.add(),
                                    Err(refused) => assert!(refused.is_full()),
                                }
                            }
                        });
                    }
                });
                assert_eq!(accepted.get(), capacity);
                gate.open();
                settle(&troupe);
                rng.dally(3_000);
            }
            end(&troupe);
        }
    });
}

/// Claim: every waiter gets a place in the end, whoever frees it and whoever else waits; no wake-up for room is lost.
#[test]
fn waiters_against_the_last_place() {
    race(|| {
        for (actors, mailbox_size) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
            let troupe = build(Config::fixed(actors).mailbox_size(mailbox_size));
            let works = rounds(600);
            let tally = Tally::new(4 * works);
            thread::scope(|scope| {
                for waiter in 0..4 {
                    let (troupe, tally) = (&troupe, &tally);
                    scope.spawn(move || {
                        let mut rng = Rng::new(240 + waiter as u64);
                        for index in 0..works {
                            let work = tally.work(waiter * works + index);
                            assign_by([1, 2, 4][index % 3], troupe, work)
                                .expect("it waits for room");
                            rng.dally(50);
                        }
                    });
                }
            });
            end(&troupe);
            tally.assert_each_once();
        }
    });
}

/// Claim: a single waiter is woken by the single place that comes free, though nothing else ever happens. The work that
/// frees it ends at any moment of the waiter's falling asleep.
#[test]
fn one_waiter_and_one_place() {
    race(|| {
        for mailbox_size in [0, 1] {
            let troupe = build(Config::fixed(1).mailbox_size(mailbox_size));
            let about_to_wait = Count::default();
            let mut rng = Rng::new(250);
            for round in 1..=rounds(12_000) {
                let (about, mut inner) = (about_to_wait.clone(), Rng::new(rng.next()));
                let work = move || {
                    eventually(|| about.get() == round);
                    inner.dally([20, 100, 400, 1_500][round % 4]);
                    Ok(())
                };
                troupe.assign(work).expect("room");
                for _ in 0..mailbox_size {
                    troupe.assign(|| Ok(())).expect("room");
                }
                about_to_wait.add();
                troupe.assign_wait(|| Ok(())).expect("it waits for room");
                settle(&troupe);
            }
            end(&troupe);
        }
    });
}

/// Claim: waiters and growth: on a troupe whose actors come and go all the time every waiter gets in.
#[test]
fn waiters_against_growth_and_retire() {
    race(|| {
        for mailbox_size in [0, 1] {
            let config = Config::dynamic(0, 2)
                .mailbox_size(mailbox_size)
                .idle_timeout(Duration::from_micros(20));
            let troupe = build(config);
            let works = rounds(1_000);
            let tally = Tally::new(3 * works);
            thread::scope(|scope| {
                for waiter in 0..3 {
                    let (troupe, tally) = (&troupe, &tally);
                    scope.spawn(move || {
                        let mut rng = Rng::new(260 + waiter as u64);
                        for index in 0..works {
                            let work = tally.work(waiter * works + index);
                            assign_by([1, 2, 4][index % 3], troupe, work)
                                .expect("it waits for room");
                            if rng.chance(10) {
                                rng.pause(Duration::from_micros(80));
                            }
                        }
                    });
                }
            });
            end(&troupe);
            tally.assert_each_once();
            assert!(troupe.stats().peak <= 2);
        }
    });
}

/// Claim: every waiter is woken by the end, whenever it began to wait; what was accepted is run or returned.
#[test]
fn waiters_against_the_end() {
    race(|| {
        for round in 0..rounds(400) {
            let troupe = build(Config::fixed(1).mailbox_size(round % 2));
            let gate = Gate::new();
            fill(&troupe, &gate);
            let (begin, ran) = (Barrier::new(4), Count::default());
            let (accepted, returned) = thread::scope(|scope| {
                let waiters: Vec<_> = (0..3)
                    .map(|waiter| {
                        let (troupe, begin, work) = (&troupe, &begin, ran.work());
                        scope.spawn(move || {
                            begin.wait();
                            match assign_by([1, 2, 4][waiter], troupe, work) {
                                Ok(()) => 1,
                                Err(refused) => {
                                    assert!(refused.is_shutting_down());
                                    0
                                }
                            }
                        })
                    })
                    .collect();
                begin.wait();
                Rng::new(round as u64).dally(4_000);
                if round % 5 == 0 {
                    gate.open();
                }
                let returned = if round % 3 == 0 {
                    troupe.shutdown();
                    0
                } else {
                    troupe.shutdown_now().len()
                };
                let accepted: usize = waiters
                    .into_iter()
                    .map(|waiter| waiter.join().expect("no panic"))
                    .sum();
                gate.open();
                (accepted, returned)
            });
            join(&troupe);
            let stats = troupe.stats();
            assert_eq!(stats.completed as usize + returned, stats.accepted as usize);
            assert!(ran.get() <= accepted);
        }
    });
}

/// Claim: timed waiters that give up just as room comes leave no place and no wake-up behind: the others get in.
#[test]
fn waiters_that_give_up() {
    race(|| {
        let troupe = build(Config::fixed(1).mailbox_size(0));
        let stop = AtomicBool::new(false);
        let (ran, accepted) = (Count::default(), Count::default());
        thread::scope(|scope| {
            for salt in 270..272 {
                let (troupe, ran, accepted, stop) = (&troupe, &ran, &accepted, &stop);
                scope.spawn(move || {
                    let mut rng = Rng::new(salt);
                    while !stop.load(SeqCst) {
                        let timeout = Duration::from_micros(rng.below(40));
                        match troupe.assign_timeout(ran.work(), timeout) {
                            Ok(()) => accepted.add(),
                            Err(refused) => assert!(refused.is_full()),
                        }
                    }
                });
            }
            for _ in 0..rounds(3_000) {
                troupe.assign_wait(ran.work()).expect("it waits for room");
                accepted.add();
            }
            stop.store(true, SeqCst);
        });
        end(&troupe);
        assert_eq!(ran.get(), accepted.get());
    });
}

/// Claim: any number of joins, timed or not, with works in flight and the shutdown among them, all return `Ok`; what was
/// captured is gone when the first of them returns.
#[test]
fn join_by_many_threads_against_the_last_work() {
    race(|| {
        for round in 0..rounds(300) {
            let troupe = build(configs(round));
            let drops = DropCounter::new();
            for _ in 0..4 {
                let lease = drops.lease();
                drop(troupe.assign(move || {
                    drop(lease);
                    Ok(())
                }));
            }
            let begin = Barrier::new(4);
            thread::scope(|scope| {
                for joiner in 0..3 {
                    let (troupe, begin, drops) = (&troupe, &begin, &drops);
                    scope.spawn(move || {
                        begin.wait();
                        let joined = if joiner == 0 {
                            troupe.join()
                        } else {
                            troupe.join_timeout(HANG)
                        };
                        assert_eq!(joined, Ok(()));
                        drops.assert_balanced();
                        assert_eq!(troupe.stats().actors, 0);
                    });
                }
                begin.wait();
                Rng::new(round as u64).dally(3_000);
                troupe.shutdown();
            });
        }
    });
}

/// Claim: timed joins that give up leave nothing behind that would hold up, or be missed by, another.
#[test]
fn joins_that_give_up() {
    race(|| {
        for round in 0..rounds(200) {
            let troupe = build(configs(round));
            let begin = Barrier::new(3);
            thread::scope(|scope| {
                scope.spawn(|| {
                    begin.wait();
                    while troupe
                        .join_timeout(Duration::from_micros(round as u64 % 30))
                        .is_err()
                    {}
                });
                scope.spawn(|| {
                    begin.wait();
                    assert_eq!(troupe.join(), Ok(()));
                });
                begin.wait();
                drop(troupe.assign(|| Ok(())));
                Rng::new(round as u64).dally(3_000);
                troupe.shutdown();
            });
        }
    });
}

/// Claim: when `wait_idle` returns, every work that was accepted before the call is finished and its captures dropped,
/// and so is what those works assigned, whoever else assigns meanwhile.
#[test]
fn wait_idle_against_feeders() {
    race(|| {
        for (round, config) in [
            Config::fixed(2).mailbox_size(4),
            Config::fixed(3).mailbox_size(0),
            Config::dynamic(0, 3)
                .mailbox_size(1)
                .idle_timeout(Duration::from_micros(50)),
        ]
        .into_iter()
        .enumerate()
        {
            let troupe = build(config);
            let (accepted, finished) = (Count::default(), Count::default());
            thread::scope(|scope| {
                for feeder in 0..3 {
                    let (troupe, accepted, finished) = (&troupe, &accepted, &finished);
                    scope.spawn(move || {
                        let mut rng = Rng::new(280 + feeder + 10 * round as u64);
                        for _ in 0..rounds(300) {
                            let (drops, ran) = (DropCounter::new(), Count::default());
                            let works = 1 + rng.below(3) as usize;
                            for _ in 0..works {
                                let work = pair(troupe.handle(), true, &drops, &ran, finished);
                                troupe.assign_wait(work).expect("it waits for room");
                                accepted.add();
                            }
                            let before = accepted.get();
                            settle(troupe);
                            // Each of three, itself included, assigned one other at most.
                            assert_eq!(ran.get(), 2 * works);
                            drops.assert_balanced();
                            assert!(finished.get() >= 2 * before, "those of the others, too");
                        }
                    });
                }
            });
            end(&troupe);
        }
    });
}

/// A work that holds a lease, and assigns another one if it is the `first`; if that is refused, it runs it itself.
fn pair(handle: Handle, first: bool, drops: &DropCounter, ran: &Count, finished: &Count) -> Work {
    let (ran, drops, finished) = (ran.clone(), drops.clone(), finished.clone());
    let lease = drops.lease();
    Work::new(move || {
        let _held = &lease;
        ran.add();
        if first {
            let second = pair(handle.clone(), false, &drops, &ran, &finished);
            if let Err(refused) = handle.assign(second) {
                refused.into_work().run()?;
            }
        }
        finished.add();
        Ok(())
    })
}

/// Claim: an actor that is idle when `wait_idle` returns takes the next work at once, without a mailbox.
#[test]
fn wait_idle_against_going_idle() {
    race(|| {
        let troupe = build(Config::fixed(2).mailbox_size(0));
        for _ in 0..rounds(5_000) {
            troupe.assign(|| Ok(())).expect("an idle actor");
            troupe.assign(|| Ok(())).expect("an idle actor");
            settle(&troupe);
        }
        end(&troupe);
    });
}

/// Claim: works in one mailbox that its owner and every sibling want are run once each.
#[test]
fn sharing_against_the_owner() {
    race(|| {
        let troupe = build(Config::fixed(3).mailbox_size(8));
        for _ in 0..rounds(400) {
            let tally = Tally::new(24);
            let gate = crate::support::occupy(&troupe, 3);
            for index in 0..24 {
                troupe
                    .assign(tally.work(index))
                    .expect("a mailbox with room");
            }
            gate.open(); // all three at once
            settle(&troupe);
            tally.assert_each_once();
        }
        end(&troupe);
        assert!(troupe.stats().shared > 0, "the race was run");
    });
}

/// Claim: the last reference to a troupe is dropped on its own actor or outside, as it comes: either way nobody hangs,
/// everything accepted is run and everything captured is dropped.
#[test]
fn drop_on_an_actors_own_thread() {
    race(|| {
        for round in 0..rounds(400) {
            let troupe = Arc::new(build(configs(4 * round)));
            let handle = troupe.handle();
            let (ran, drops) = (Count::default(), DropCounter::new());
            let mut accepted = 0;
            for _ in 0..4 {
                let (inside, lease, ran) = (Arc::clone(&troupe), drops.lease(), ran.clone());
                let work = move || {
                    ran.add();
                    drop(inside);
                    drop(lease);
                    Ok(())
                };
                accepted += usize::from(troupe.assign(work).is_ok());
            }
            Rng::new(round as u64).dally(2_000);
            drop(troupe);
            eventually(|| handle.stats().actors == 0);
            assert_eq!(ran.get(), accepted);
            eventually(|| drops.is_balanced());
            assert!(handle.is_shutdown());
        }
    });
}

/// Claim: handles that assign while the troupe is dropped are told `ShuttingDown`, or their work is run.
#[test]
fn handles_against_drop() {
    race(|| {
        for round in 0..rounds(300) {
            let troupe = build(configs(round));
            let ran = Count::default();
            let begin = Barrier::new(3);
            let accepted: usize = thread::scope(|scope| {
                let feeders: Vec<_> = (0..2)
                    .map(|_| {
                        let (handle, begin, ran) = (troupe.handle(), &begin, ran.clone());
                        scope.spawn(move || {
                            begin.wait();
                            let mut accepted = 0;
                            loop {
                                match handle.assign(ran.work()) {
                                    Ok(()) => accepted += 1,
                                    Err(refused) if refused.is_shutting_down() => return accepted,
                                    Err(_) => thread::yield_now(),
                                }
                            }
                        })
                    })
                    .collect();
                begin.wait();
                Rng::new(round as u64).dally(5_000);
                let handle = troupe.handle();
                drop(troupe);
                let accepted = feeders
                    .into_iter()
                    .map(|feeder| feeder.join().expect("no panic"))
                    .sum();
                eventually(|| handle.stats().actors == 0);
                accepted
            });
            eventually(|| ran.get() == accepted);
        }
    });
}

/// Claim: shutdown meets actors that are just retiring or just being born, and `join` returns with all of them gone.
#[test]
fn shutdown_against_retire_and_growth() {
    race(|| {
        for round in 0..rounds(500) {
            let timeout = Duration::from_micros(10 * (round as u64 % 8));
            let troupe = build(
                Config::dynamic(0, 3)
                    .mailbox_size(round % 2)
                    .idle_timeout(timeout),
            );
            let ran = Count::default();
            let mut rng = Rng::new(round as u64);
            let accepted = (0..3).filter(|_| troupe.assign(ran.work()).is_ok()).count();
            rng.pause(Duration::from_micros(120));
            end(&troupe);
            assert_eq!(ran.get(), accepted);
            let stats = troupe.stats();
            assert_eq!(
                (stats.actors, stats.idle, stats.queued, stats.running),
                (0, 0, 0, 0)
            );
        }
    });
}

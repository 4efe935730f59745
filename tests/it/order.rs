//! `max` 1: works run in order of acceptance, a retry first. With more actors, nearly so.

use crate::support::{
    Gate, HANG, Log, Rng, end, eventually, occupy, receive, rounds, settle, within,
};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use troupe_pool::{BoxError, Config, Failure, Troupe, Work};

/// Feeds numbered works through `assign_wait`, resting at random so that the actor goes idle, and checks the order.
fn in_order(config: Config, works: usize, salt: u64) {
    within(HANG, move || {
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let next = Arc::new(AtomicUsize::new(0));
        let disorder = Arc::new(AtomicUsize::new(0));
        let mut rng = Rng::new(salt);
        for index in 0..works {
            let (next, disorder) = (Arc::clone(&next), Arc::clone(&disorder));
            troupe
                .assign_wait(move || {
                    if next.swap(index + 1, SeqCst) != index {
                        disorder.fetch_add(1, SeqCst);
                    }
                    Ok(())
                })
                .expect("it waits for room");
            match rng.below(40) {
                0 => settle(&troupe),
                1..=8 => rng.dally(2_000),
                _ => {}
            }
        }
        end(&troupe);
        assert_eq!((next.load(SeqCst), disorder.load(SeqCst)), (works, 0));
    });
}

/// The work left in a mailbox while its actor goes idle is not overtaken by a later one that is handed over.
#[test]
fn a_fixed_troupe_of_one_keeps_the_order() {
    for (salt, mailbox_size) in [0, 1, 2, 64].into_iter().enumerate() {
        in_order(
            Config::fixed(1).mailbox_size(mailbox_size),
            rounds(8_000),
            salt as u64,
        );
    }
}

/// The same while the actor retires and another begins.
#[test]
fn a_dynamic_troupe_of_one_keeps_the_order() {
    for (salt, mailbox_size) in [0, 1, 16].into_iter().enumerate() {
        let config = Config::dynamic(0, 1)
            .mailbox_size(mailbox_size)
            .idle_timeout(Duration::from_micros(100));
        in_order(config, rounds(3_000), 10 + salt as u64);
    }
}

/// With several producers, each finds its own works in its own order.
#[test]
fn every_producers_own_order_is_kept() {
    within(HANG, || {
        let troupe: Troupe = Troupe::new(Config::fixed(1).mailbox_size(4)).expect("valid");
        let log = Log::new();
        std::thread::scope(|scope| {
            for producer in 0..3_u32 {
                let (troupe, log) = (&troupe, log.clone());
                scope.spawn(move || {
                    for index in 0..2_000_u32 {
                        let log = log.clone();
                        let work = move || {
                            log.push((producer, index));
                            Ok(())
                        };
                        troupe.assign_wait(work).expect("it waits for room");
                    }
                });
            }
        });
        end(&troupe);
        let entries = log.entries();
        assert_eq!(entries.len(), 6_000);
        for producer in 0..3 {
            let own = entries
                .iter()
                .filter(|entry| entry.0 == producer)
                .map(|entry| entry.1);
            assert!(own.eq(0..2_000), "producer {producer}");
        }
    });
}

/// Of works that ran in this order, numbered as they were accepted: by how many later ones was one overtaken at most?
fn most_overtaken(ran: &[usize]) -> usize {
    let overtaken = ran.iter().enumerate().map(|(at, work)| {
        let before = ran[..at].iter();
        before.filter(|other| *other > work).count()
    });
    overtaken.max().unwrap_or_default()
}

/// Holds all actors, each with a work that has been handed over: with one gate for all but one, and another for that one.
fn hold(troupe: &Troupe, actors: usize) -> (Gate, Gate) {
    let (held, free) = (Gate::new(), Gate::new());
    settle(troupe);
    for count in 1..actors {
        troupe.assign(held.work()).expect("an idle actor");
        held.wait_for(count);
    }
    troupe.assign(free.work()).expect("an idle actor");
    free.wait_for(1);
    (held, free)
}

/// Works that fill all mailboxes, each behind an actor that is busy, are run by the one that is free in the order in
/// which they were accepted.
#[test]
fn a_backlog_runs_in_order() {
    for (actors, mailbox_size) in [(2, 1), (2, 8), (3, 4), (4, 1), (4, 3), (8, 2)] {
        let config = Config::fixed(actors).mailbox_size(mailbox_size);
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let (held, free) = hold(&troupe, actors);
        let log = Log::new();
        let places = actors * mailbox_size;
        for index in 0..places {
            let log = log.clone();
            let work = move || {
                log.push(index);
                Ok(())
            };
            troupe.assign(work).expect("a mailbox with room");
        }
        free.open();
        eventually(|| log.entries().len() == places);
        assert!(
            log.entries().into_iter().eq(0..places),
            "{:?}",
            log.entries()
        );
        held.open();
        end(&troupe);
    }
}

/// Works that wait in the mailbox that is being drained are not left behind when another work is put behind them. They
/// are the oldest of all.
///
/// Fails when two visits of the fill cursor have the same number.
#[test]
fn a_work_behind_the_oldest_ones_sends_nobody_away_from_them() {
    for (actors, mailbox_size) in [(2, 2), (2, 4), (3, 4), (8, 2)] {
        let config = Config::fixed(actors).mailbox_size(mailbox_size);
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let (held, free) = hold(&troupe, actors);
        let (first, log) = (Gate::new(), Log::new());
        let work = |index| {
            let log = log.clone();
            move || {
                log.push(index);
                Ok(())
            }
        };
        let places = actors * mailbox_size;
        troupe.assign(first.work()).expect("a mailbox with room");
        for index in 1..places {
            troupe.assign(work(index)).expect("a mailbox with room");
        }
        free.open();
        first.wait_for(1);
        troupe.assign(work(places)).expect("a place is free");
        first.open();
        eventually(|| log.entries().len() == places);
        let oldest = 1..mailbox_size;
        let others = mailbox_size..places;
        let expected = oldest.chain([places]).chain(others);
        assert!(
            log.entries().into_iter().eq(expected),
            "{:?}",
            log.entries()
        );
        held.open();
        end(&troupe);
    }
}

/// While works queue all the time, and room is only where one is taken, each is overtaken by no more later ones than the
/// troupe can hold.
#[test]
fn what_queues_all_the_time_runs_nearly_in_order() {
    within(HANG, || {
        for (actors, mailbox_size) in [(2, 1), (2, 8), (3, 4), (4, 1), (4, 3), (8, 2)] {
            let config = Config::fixed(actors).mailbox_size(mailbox_size);
            let troupe: Troupe = Troupe::new(config).expect("valid");
            let (held, free) = hold(&troupe, actors);
            let log = Log::new();
            let work = |index| {
                let log = log.clone();
                move || {
                    log.push(index);
                    Ok(())
                }
            };
            let places = actors * mailbox_size;
            for index in 0..places {
                troupe.assign(work(index)).expect("a mailbox with room");
            }
            free.open();
            let works = places + 1_000;
            for index in places..works {
                troupe.assign_wait(work(index)).expect("it waits for room");
            }
            held.open();
            end(&troupe);
            let most = most_overtaken(&log.entries());
            assert!(most <= places + actors, "{most} overtook one");
            assert_eq!(log.entries().len(), works);
        }
    });
}

/// Each kind of work carries the mark of the visit. The only room is in the mailbox that is being drained, so without
/// the mark, works that come later would overtake those in the other mailboxes for ever.
#[test]
fn room_in_the_drained_mailbox_starves_no_other() {
    type Run = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;
    let kinds: [fn(Run) -> Work; 4] = [
        Work::new,
        |run| Work::with(run, |run| run()),
        |run| Work::with_reply(run).0,
        |run| Work::new(run).label("numbered"),
    ];
    for (actors, mailbox_size) in [(2, 1), (2, 8), (3, 4), (8, 2)] {
        for kind in kinds {
            let config = Config::fixed(actors).mailbox_size(mailbox_size);
            let troupe: Troupe = Troupe::new(config).expect("valid");
            let (held, free) = hold(&troupe, actors);
            let log = Log::new();
            let (start, started) = mpsc::channel();
            let (go_on, goes_on) = mpsc::channel();
            let goes_on = Arc::new(Mutex::new(goes_on));
            let work = |index: usize| {
                let (log, start, goes_on) = (log.clone(), start.clone(), Arc::clone(&goes_on));
                kind(Box::new(move || {
                    log.push(index);
                    start.send(()).expect("the test listens");
                    goes_on.lock().recv().expect("the test says so");
                    Ok(())
                }))
            };
            let places = actors * mailbox_size;
            for index in 0..places {
                troupe.assign(work(index)).expect("a mailbox with room");
            }
            free.open();
            let works = 4 * places;
            for index in places..works {
                receive(&started);
                troupe.assign(work(index)).expect("one place is free");
                go_on.send(()).expect("a work listens");
            }
            (0..places).for_each(|_| go_on.send(()).expect("a work listens"));
            eventually(|| log.entries().len() == works);
            held.open();
            end(&troupe);
            let most = most_overtaken(&log.entries());
            assert!(most < places, "{most} overtook one: {:?}", log.entries());
        }
    }
}

/// "(A retry first)": before everything that waits.
#[test]
fn a_retry_runs_before_what_waits() {
    let log: Log<&'static str> = Log::new();
    let retry_log = log.clone();
    let troupe = Troupe::<&'static str>::builder(Config::fixed(1).mailbox_size(4))
        .error_handler(move |failure, context| {
            if let Failure::Error("again") = failure {
                let log = retry_log.clone();
                let retry = move || {
                    log.push("retry");
                    Ok(())
                };
                assert!(context.reassign(retry).is_ok());
            }
            retry_log.push("handled");
        })
        .build()
        .expect("valid");
    let gate = occupy(&troupe, 1);
    let first = log.clone();
    let fails = move || {
        first.push("fails");
        Err("again")
    };
    troupe.assign(fails).expect("room");
    for name in ["second", "third"] {
        let log = log.clone();
        let work = move || {
            log.push(name);
            Ok(())
        };
        troupe.assign(work).expect("room");
    }
    gate.open();
    settle(&troupe);
    end(&troupe);
    assert_eq!(
        log.entries(),
        ["fails", "handled", "retry", "second", "third"]
    );
}

//! Works with keys: one at a time, in order, never lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Error, Tally, check, coin, occupy, yield_a_few_times};
use crate::{AssignError, Config, Context, Failure, Handle, Troupe, Work};
use shuttle::sync::Arc;
use shuttle::sync::mpsc;
use shuttle::thread;

/// Sees to it that no two works of a key run at once, and in which order they begin.
#[derive(Clone, Default)]
struct Turn {
    is_taken: Arc<AtomicBool>,
    order: Arc<parking_lot::Mutex<Vec<usize>>>,
}

impl Turn {
    /// A work of `tally` that is the next of its key.
    fn work(&self, tally: &Tally, key: u8, number: usize) -> Work<Error> {
        let (turn, counted) = (self.clone(), tally.work());
        Work::new(move || {
            assert!(
                !turn.is_taken.swap(true, Ordering::SeqCst),
                "two works of a key at once"
            );
            turn.order.lock().push(number);
            yield_a_few_times();
            turn.is_taken.store(false, Ordering::SeqCst);
            counted.run()
        })
        .keyed(&key)
    }

    /// The numbers below `end` and those from it on were each accepted in order.
    fn assert_in_order(&self, end: usize) {
        let order = self.order.lock();
        for half in [order.iter().filter(|n| **n < end).collect::<Vec<_>>(), {
            order.iter().filter(|n| **n >= end).collect()
        }] {
            assert!(half.is_sorted(), "{order:?}");
        }
    }
}

/// Assigns works of one key, numbered from `first`. Returns how many were accepted.
fn keyed_sender(
    handle: Handle<Error>,
    tally: Tally,
    turn: Turn,
    first: usize,
    works: usize,
) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        (first..first + works)
            .filter(|number| handle.assign(turn.work(&tally, 7, *number)).is_ok())
            .count()
    })
}

fn two_senders(config: Config) {
    let troupe = Troupe::<Error>::builder(config).build();
    let Ok(troupe) = troupe else { return };
    let (tally, turn) = (Tally::default(), Turn::default());
    let senders =
        [0, 10].map(|first| keyed_sender(troupe.handle(), tally.clone(), turn.clone(), first, 2));
    let plain = super::sender(troupe.handle(), tally.clone(), 2);
    let mut accepted: usize = senders.map(|sender| sender.join().unwrap()).iter().sum();
    accepted += plain.join().unwrap();
    troupe.wait_idle().unwrap();
    assert_eq!(tally.run(), accepted);
    let stats = troupe.stats();
    assert_eq!((stats.in_line, stats.queued), (0, 0));
    assert_eq!(stats.accepted, stats.completed);
    turn.assert_in_order(10);
    // The key is free again.
    match troupe.assign(turn.work(&tally, 7, 20)) {
        Ok(()) | Err(AssignError::Spawn { .. }) => {}
        Err(refused) => panic!("{refused:?}"),
    }
    troupe.shutdown();
    troupe.join().unwrap();
}

#[test]
fn a_key_against_its_end() {
    check(|| two_senders(Config::fixed(2).mailbox_size(1).thread_name("sure")));
}

#[test]
fn a_key_against_retire() {
    check(|| {
        let config = Config::dynamic(0, 2)
            .mailbox_size(1)
            .idle_timeout(std::time::Duration::ZERO);
        two_senders(config.thread_name("sure"));
    });
}

#[test]
fn a_key_against_a_refused_growth() {
    check(|| two_senders(Config::dynamic(0, 2).mailbox_size(2)));
}

/// Whatever has been accepted is run or returned, those of the key in order.
#[test]
fn a_key_against_shutdown_now() {
    check(|| {
        let config = Config::dynamic(0, 2).mailbox_size(1).line_size(2);
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (tally, turn) = (Tally::default(), Turn::default());
        let senders = [0, 10]
            .map(|first| keyed_sender(troupe.handle(), tally.clone(), turn.clone(), first, 3));
        let left = troupe.shutdown_now();
        let run_before = tally.run();
        let accepted: usize = senders.map(|sender| sender.join().unwrap()).iter().sum();
        troupe.join().unwrap();
        assert!(tally.run() - run_before <= 2, "a work began after the halt");
        assert_eq!(tally.run() + left.len(), accepted);
        let stats = troupe.stats();
        assert_eq!(stats.returned, left.len() as u64);
        assert_eq!(stats.in_line, 0);
        for work in left {
            work.run().unwrap();
        }
        turn.assert_in_order(10);
    });
}

/// Shutdown drains the lines.
#[test]
fn a_key_against_shutdown() {
    check(|| {
        let config = Config::dynamic(0, 2).mailbox_size(1);
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (tally, turn) = (Tally::default(), Turn::default());
        let senders = [0, 10]
            .map(|first| keyed_sender(troupe.handle(), tally.clone(), turn.clone(), first, 2));
        troupe.shutdown();
        let accepted: usize = senders.map(|sender| sender.join().unwrap()).iter().sum();
        troupe.join().unwrap();
        assert_eq!(tally.run(), accepted);
    });
}

/// With no place in line, a waiting sender hears when its key is free, and one that waits for
/// room hears of room.
#[test]
fn a_keyed_waiter_hears_of_its_key() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(0)
            .line_size(0)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (tally, turn) = (Tally::default(), Turn::default());
        let waiters: Vec<_> = (0..3)
            .map(|number| {
                let (handle, tally, turn) = (troupe.handle(), tally.clone(), turn.clone());
                thread::spawn(move || {
                    let work = match number {
                        0 => tally.work(),
                        _ => turn.work(&tally, 7, number),
                    };
                    handle.assign_wait(work).unwrap();
                })
            })
            .collect();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!(tally.run(), 3);
    });
}

/// A sender of a keyed work that waits for its key takes no call from one that waits for room.
#[test]
fn a_plain_waiter_hears_of_room_beside_a_keyed_one() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(0)
            .line_size(0)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (free_key, gate) = mpsc::channel::<()>();
        let holder = Work::new(move || gate.recv().map_err(|_| "closed"));
        troupe.assign(holder.keyed(&7_u8)).unwrap();
        let make_room = occupy(&troupe);
        let (tally, turn) = (Tally::default(), Turn::default());
        let [keyed, plain] = [turn.work(&tally, 7, 0), tally.work()].map(|work| {
            let handle = troupe.handle();
            thread::spawn(move || handle.assign_wait(work).unwrap())
        });
        make_room.send(()).unwrap();
        plain.join().unwrap();
        free_key.send(()).unwrap();
        keyed.join().unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!(tally.run(), 2);
    });
}

/// No snapshot shows more works in line than there are places, even while they are returned.
#[test]
fn places_in_line_against_shutdown_now() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(2)
            .line_size(1)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (tally, turn) = (Tally::default(), Turn::default());
        let sender = keyed_sender(troupe.handle(), tally.clone(), turn.clone(), 0, 2);
        let plain = super::sender(troupe.handle(), tally.clone(), 3);
        let handle = troupe.handle();
        let watcher = thread::spawn(move || {
            for _ in 0..3 {
                let stats = handle.stats();
                assert!(stats.in_line <= 1, "{stats:?}");
            }
        });
        let accepted = sender.join().unwrap() + plain.join().unwrap();
        let left = troupe.shutdown_now();
        watcher.join().unwrap();
        troupe.join().unwrap();
        assert_eq!(tally.run() + left.len(), accepted);
    });
}

/// A place in line is room for a sender that waits.
#[test]
fn a_keyed_waiter_hears_of_a_place_in_line() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(1)
            .line_size(1)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (tally, turn) = (Tally::default(), Turn::default());
        let waiters: Vec<_> = (0..4)
            .map(|number| {
                let (handle, tally, turn) = (troupe.handle(), tally.clone(), turn.clone());
                thread::spawn(move || {
                    let key = [7, 7, 7, 8][number];
                    let turn = if key == 8 { Turn::default() } else { turn };
                    handle.assign_wait(turn.work(&tally, key, number)).unwrap();
                })
            })
            .collect();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        troupe.wait_idle().unwrap();
        assert_eq!(tally.run(), 4);
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// A retry has the turn of its key: the next work of the key begins after it.
#[test]
fn a_retry_comes_before_the_next_of_its_key() {
    check(|| {
        let (say, said) = mpsc::channel();
        let config = Config::fixed(2).mailbox_size(2).thread_name("sure");
        let retried = say.clone();
        let troupe = Troupe::builder(config)
            .error_handler(move |_: Failure<Error>, context: &Context<'_, Error>| {
                yield_a_few_times();
                let say = retried.clone();
                let mut retry = Work::new(move || {
                    say.send(1).unwrap();
                    Ok(())
                });
                if coin() {
                    retry = retry.label("retry");
                }
                assert!(context.reassign(retry).is_ok());
            })
            .build()
            .unwrap();
        troupe.assign(Work::new(|| Err("once")).keyed("k")).unwrap();
        let next = Work::new(move || {
            say.send(2).unwrap();
            Ok(())
        });
        troupe.assign(next.keyed("k")).unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!((said.recv(), said.recv()), (Ok(1), Ok(2)));
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// `Full` is exact: with one place in line, the second work of a taken key is refused only if
/// the first has a place.
#[test]
fn a_line_is_full_exactly() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(1)
            .line_size(1)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let (open, gate) = mpsc::channel::<()>();
        let gated = Work::new(move || gate.recv().map_err(|_| "closed"));
        troupe.assign(gated.keyed("k")).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (handle, accepted) = (troupe.handle(), Arc::clone(&accepted));
                thread::spawn(
                    move || match handle.assign(Work::new(|| Ok(())).keyed("k")) {
                        Ok(()) => drop(accepted.fetch_add(1, Ordering::SeqCst)),
                        Err(refused) => assert!(refused.is_full()),
                    },
                )
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
        assert_eq!(troupe.stats().in_line, 1);
        open.send(()).unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!(troupe.stats().completed, 2);
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// A handler that is dropped at the end, which a refused thread has brought about, assigns a
/// work of the same key.
#[test]
fn the_handler_is_dropped_outside_the_lines() {
    /// The second part is set once the assign has returned.
    struct Last(
        Arc<parking_lot::Mutex<Option<Handle<Error>>>>,
        Arc<AtomicBool>,
    );
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(handle) = self.0.lock().take() {
                let refused = handle.assign(Work::new(|| Ok(())).keyed("k"));
                let is_refused = matches!(refused, Err(AssignError::ShuttingDown(_)));
                self.1.store(is_refused, Ordering::SeqCst);
            }
        }
    }
    check(|| {
        let place = Arc::new(parking_lot::Mutex::new(None));
        let is_refused = Arc::new(AtomicBool::new(false));
        let last = Last(Arc::clone(&place), Arc::clone(&is_refused));
        let troupe = Troupe::builder(Config::dynamic(0, 2).mailbox_size(1))
            .error_handler(move |_: Failure<Error>, _: &Context<'_, Error>| {
                let _kept = &last;
            })
            .build()
            .unwrap();
        *place.lock() = Some(troupe.handle());
        let handle = troupe.handle();
        let sender = thread::spawn(move || {
            let work = Work::new(|| Ok(())).keyed("k");
            drop(handle.assign(work));
        });
        troupe.shutdown();
        sender.join().unwrap();
        troupe.join().unwrap();
        assert!(is_refused.load(Ordering::SeqCst));
    });
}

/// Two hot keys on two actors, and a plain work: nobody starves.
#[test]
fn hot_keys_and_a_plain_work() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(1)
            .line_size(8)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        let tally = Tally::default();
        let turns = [Turn::default(), Turn::default()];
        let mut accepted = 0;
        for number in 0..3 {
            for (key, turn) in turns.iter().enumerate() {
                let work = turn.work(&tally, key as u8, number);
                accepted += usize::from(troupe.assign(work).is_ok());
            }
        }
        let late = super::sender(troupe.handle(), tally.clone(), 1);
        accepted += late.join().unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!(tally.run(), accepted);
        assert!(turns.iter().all(|turn| turn.order.lock().is_sorted()));
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// A work at its turn is taken by an actor whose retry `shutdown_now` has just taken. It is
/// returned, or begun, and never lost.
///
/// Fails when `shutdown_now` empties hand-offs before the works at their turn.
#[test]
fn a_work_at_its_turn_against_shutdown_now_and_a_retry() {
    check(|| {
        let config = Config::fixed(2).mailbox_size(2).thread_name("sure");
        let tally = Tally::default();
        let retry = tally.clone();
        let troupe = Troupe::builder(config)
            .error_handler(move |_: Failure<Error>, context: &Context<'_, Error>| {
                drop(context.reassign(retry.work()));
            })
            .build()
            .unwrap();
        for work in [
            tally.work().keyed("k"),
            tally.work().keyed("k"),
            Work::new(|| Err("once")),
            tally.work(),
        ] {
            drop(troupe.assign(work));
        }
        yield_a_few_times();
        let left = troupe.shutdown_now();
        troupe.join().unwrap();
        let stats = troupe.stats();
        let ended = stats.completed + stats.failed + stats.returned;
        assert_eq!(stats.accepted, ended, "{stats:?}");
        assert_eq!(stats.returned, left.len() as u64);
    });
}

/// The place of a work that has begun is there for the next of its key.
#[test]
fn a_place_in_line_is_free_again() {
    check(|| {
        let config = Config::fixed(2)
            .mailbox_size(1)
            .line_size(1)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config).build().unwrap();
        for _ in 0..2 {
            let (open, gate) = mpsc::channel::<()>();
            let gated = Work::new(move || gate.recv().map_err(|_| "closed"));
            troupe.assign(gated.keyed("k")).unwrap();
            troupe.assign(Work::new(|| Ok(())).keyed("k")).unwrap();
            open.send(()).unwrap();
            troupe.wait_idle().unwrap();
        }
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

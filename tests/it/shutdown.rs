//! `shutdown`, `join`, and drop.

use crate::support::{
    DropCounter, Gate, HANG, OnDrop, Tally, end, error, eventually, fill, join, occupy, receive,
    settle, wait_until_blocked, within,
};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use troupe_pool::{AssignError, Config, Failure, Handle, JoinError, Troupe, Work};

const SHORT: Duration = Duration::from_millis(30);

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
}

/// Every way in, on a troupe or through a handle.
fn every_way_in(
    troupe: &Troupe,
    handle: &Handle,
    work: impl Fn() -> Work,
) -> [Result<(), AssignError>; 6] {
    [
        troupe.assign(work()),
        troupe.assign_wait(work()),
        troupe.assign_timeout(work(), HANG),
        handle.assign(work()),
        handle.assign_wait(work()),
        handle.assign_timeout(work(), HANG),
    ]
}

#[track_caller]
fn assert_shutting_down(refused: [Result<(), AssignError>; 6]) {
    for refused in refused {
        let refused = refused.expect_err("it is shutting down");
        assert!(
            matches!(refused, AssignError::ShuttingDown(_)),
            "{refused:?}"
        );
        assert!(refused.is_shutting_down() && !refused.is_full());
        refused.into_work().run().expect("it succeeds");
    }
}

/// "After `shutdown` returns, every later assign gets `ShuttingDown` with its work": while the troupe drains, though
/// there are idle actors and room, and after the join.
#[test]
fn every_way_in_is_refused() {
    for config in [
        Config::fixed(2).mailbox_size(2),
        Config::dynamic(0, 4).mailbox_size(0),
    ] {
        let troupe: Troupe = Troupe::new(config).expect("valid");
        let handle = troupe.handle();
        let gate = occupy(&troupe, 1);
        let tally = Tally::new(12);
        let next = AtomicUsize::new(0);
        let work = || tally.work(next.fetch_add(1, SeqCst));
        assert!(troupe.shutdown());
        assert_shutting_down(every_way_in(&troupe, &handle, work));
        gate.open();
        join(&troupe);
        assert_shutting_down(every_way_in(&troupe, &handle, work));
        tally.assert_each_once();
        assert_eq!(troupe.stats().refused, 12);
        assert_eq!(troupe.stats().accepted, 1);
    }
}

/// A full troupe that shuts down says `ShuttingDown`, not `Full`: trying again is of no use.
#[test]
fn a_full_troupe_that_shuts_down_says_so() {
    let troupe = fixed(1, 1);
    let gate = occupy(&troupe, 1);
    fill(&troupe, &gate);
    troupe.shutdown();
    assert!(
        troupe
            .assign(|| Ok(()))
            .expect_err("refused")
            .is_shutting_down()
    );
    gate.open();
    join(&troupe);
}

/// "Everything accepted before is still run."
#[test]
fn accepted_work_is_still_run() {
    let troupe = fixed(2, 8);
    let gate = occupy(&troupe, 2);
    let tally = Tally::new(16);
    for index in 0..16 {
        troupe.assign(tally.work(index)).expect("room");
    }
    troupe.shutdown();
    assert_eq!(tally.total(), 0);
    gate.open();
    join(&troupe);
    tally.assert_each_once();
    let stats = troupe.stats();
    assert_eq!(
        (stats.accepted, stats.completed, stats.returned),
        (18, 18, 0)
    );
    assert_eq!((stats.queued, stats.running, stats.actors), (0, 0, 0));
}

/// `shutdown` is "true for the call that began it", whoever makes it, and "never blocks": the actors are all held.
#[test]
fn shutdown_is_true_for_the_call_that_began_it() {
    let troupe = fixed(1, 1);
    let handle = troupe.handle();
    let gate = occupy(&troupe, 1);
    assert!(!troupe.is_shutdown() && !handle.is_shutdown());
    assert!(handle.shutdown());
    assert!(troupe.is_shutdown() && handle.is_shutdown());
    assert!(!troupe.shutdown() && !handle.shutdown());
    gate.open();
    join(&troupe);
    assert!(!troupe.shutdown() && troupe.is_shutdown());
}

/// "`join` waits for the works in flight and their captures to be dropped."
#[test]
fn join_waits_for_works_and_their_captures() {
    within(HANG, || {
        let troupe = fixed(1, 2);
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
        let tally = Tally::new(1);
        troupe.assign(tally.work(0)).expect("room");
        troupe.shutdown();
        in_work.wait_for(1);
        assert_eq!(troupe.join_timeout(SHORT), Err(JoinError::Timeout));
        in_work.open();
        in_drop.wait_for(1);
        assert_eq!(troupe.join_timeout(SHORT), Err(JoinError::Timeout));
        assert_eq!(tally.total(), 0);
        in_drop.open();
        assert_eq!(troupe.join(), Ok(()));
        tally.assert_each_once();
    });
}

/// ... and for the handler that runs after the last work.
#[test]
fn join_waits_for_the_handler() {
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |_, _| in_handler.pass())
        .build()
        .expect("valid");
    troupe.assign(|| Err(())).expect("room");
    gate.wait_for(1);
    troupe.shutdown();
    assert_eq!(troupe.join_timeout(SHORT), Err(JoinError::Timeout));
    gate.open();
    join(&troupe);
}

/// "... and for the threads to be gone": what a thread keeps in thread-local storage has been dropped, too.
#[test]
fn join_waits_for_the_threads() {
    thread_local! {
        static KEPT: RefCell<Option<crate::support::Lease>> = const { RefCell::new(None) };
    }
    for _ in 0..50 {
        let troupe = fixed(3, 1);
        let drops = DropCounter::new();
        let gate = Gate::new();
        for _ in 0..3 {
            let (lease, gate) = (drops.lease(), gate.clone());
            troupe
                .assign(move || {
                    KEPT.with(|kept| kept.replace(Some(lease)));
                    gate.pass();
                    Ok(())
                })
                .expect("an idle actor");
        }
        gate.open();
        end(&troupe);
        drops.assert_balanced();
    }
}

/// Runs when its thread ends.
type AtExit = OnDrop<Box<dyn FnOnce()>>;

/// Every join waits for them, not only the one that came first.
#[test]
fn every_join_waits_for_the_threads() {
    thread_local! {
        static KEPT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
    }
    within(HANG, || {
        let troupe = Arc::new(fixed(1, 1));
        let gate = Gate::new();
        let pass = gate.clone();
        troupe
            .assign(move || {
                let at_exit: AtExit = OnDrop::new(Box::new(move || pass.pass()) as _);
                KEPT.with(|kept| kept.replace(Some(at_exit)));
                Ok(())
            })
            .expect("room");
        troupe.shutdown();
        gate.wait_for(1); // its works are done, and the thread is on its way out
        let first = {
            let troupe = Arc::clone(&troupe);
            let builder = thread::Builder::new().name("first-joiner".to_owned());
            builder.spawn(move || troupe.join()).expect("a thread")
        };
        wait_until_blocked("first-joiner");
        assert_eq!(troupe.join_timeout(SHORT), Err(JoinError::Timeout));
        gate.open();
        assert_eq!(first.join().expect("no panic"), Ok(()));
        assert_eq!(troupe.join(), Ok(()));
    });
}

/// The threads of actors that retired long ago are gone as well.
#[test]
fn join_waits_for_retired_threads() {
    thread_local! {
        static KEPT: RefCell<Option<crate::support::Lease>> = const { RefCell::new(None) };
    }
    let config = Config::dynamic(0, 2)
        .mailbox_size(1)
        .idle_timeout(Duration::from_micros(100));
    let troupe: Troupe = Troupe::new(config).expect("valid");
    let drops = DropCounter::new();
    for _ in 0..200 {
        let lease = drops.lease();
        troupe
            .assign(move || {
                KEPT.with(|kept| kept.replace(Some(lease)));
                Ok(())
            })
            .expect("room");
        eventually(|| troupe.stats().actors == 0);
    }
    end(&troupe);
    drops.assert_balanced();
}

/// "Joining before shutdown waits for somebody to shut down; it holds no lock that shutdown needs", nor one that
/// assign, stats, or another join needs.
#[test]
fn joining_before_shutdown_waits_for_it() {
    within(HANG, || {
        let troupe = Arc::new(fixed(2, 2));
        let joiner = {
            let troupe = Arc::clone(&troupe);
            let builder = thread::Builder::new().name("early-joiner".to_owned());
            builder.spawn(move || troupe.join()).expect("a thread")
        };
        wait_until_blocked("early-joiner");
        assert_eq!(troupe.join_timeout(SHORT), Err(JoinError::Timeout));
        let tally = Tally::new(20);
        for index in 0..20 {
            troupe
                .assign_wait(tally.work(index))
                .expect("it accepts as before");
        }
        assert_eq!(troupe.wait_idle(), Ok(()));
        assert_eq!(troupe.stats().completed, 20);
        assert!(!joiner.is_finished());
        assert!(troupe.shutdown());
        assert_eq!(joiner.join().expect("no panic"), Ok(()));
        tally.assert_each_once();
    });
}

/// "Any number of threads may call any of these at once, before or after shutdown, again and again; all get `Ok`."
#[test]
fn any_number_of_threads_may_join() {
    within(HANG, || {
        let troupe = fixed(2, 4);
        let gate = occupy(&troupe, 2);
        fill(&troupe, &gate);
        thread::scope(|scope| {
            let joiners: Vec<_> = (0..6).map(|_| scope.spawn(|| troupe.join())).collect();
            let timed: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| troupe.join_timeout(Duration::MAX)))
                .collect();
            let idlers: Vec<_> = (0..3).map(|_| scope.spawn(|| troupe.wait_idle())).collect();
            troupe.shutdown();
            gate.open();
            for joiner in joiners.into_iter().chain(timed).chain(idlers) {
                assert_eq!(joiner.join().expect("no panic"), Ok(()));
            }
        });
        for _ in 0..3 {
            assert_eq!(troupe.join(), Ok(()));
            assert_eq!(troupe.join_timeout(Duration::ZERO), Ok(()));
            assert_eq!(troupe.wait_idle(), Ok(()));
            assert_eq!(troupe.wait_idle_timeout(Duration::ZERO), Ok(()));
            assert!(!troupe.shutdown());
            assert!(troupe.shutdown_now().is_empty());
        }
    });
}

/// A timed join that runs out changes nothing: the next one ends well.
#[test]
fn a_timed_out_join_changes_nothing() {
    let troupe = fixed(1, 1);
    let gate = occupy(&troupe, 1);
    assert_eq!(troupe.join_timeout(Duration::ZERO), Err(JoinError::Timeout));
    troupe
        .assign(gate.work())
        .expect("it has not been shut down by that");
    troupe.shutdown();
    for timeout in [Duration::ZERO, SHORT] {
        assert_eq!(troupe.join_timeout(timeout), Err(JoinError::Timeout));
    }
    gate.open();
    within(HANG, move || {
        assert_eq!(troupe.join_timeout(Duration::MAX), Ok(()));
        assert_eq!(troupe.stats().completed, 2);
    });
}

/// A troupe without a work, or without an actor, ends at once.
#[test]
fn an_unused_troupe_ends() {
    for config in [
        Config::fixed(4),
        Config::dynamic(0, 4),
        Config::dynamic(2, 4),
    ] {
        let troupe: Troupe = Troupe::new(config.mailbox_size(1)).expect("valid");
        end(&troupe);
        assert_eq!((troupe.stats().actors, troupe.stats().accepted), (0, 0));
    }
}

/// "Nothing is leaked: after `join`, every closure and what it captured has been dropped, and so has the error
/// handler", also while handles live.
#[test]
fn after_join_everything_has_been_dropped() {
    for config in [
        Config::fixed(2).mailbox_size(2),
        Config::dynamic(0, 2).mailbox_size(2),
    ] {
        for works in [0, 6] {
            let (captured, handled) = (Arc::new(()), Arc::new(()));
            let in_handler = Arc::clone(&handled);
            let troupe = Troupe::builder(config.clone())
                .error_handler(move |_, _| assert!(Arc::strong_count(&in_handler) > 1))
                .build()
                .expect("valid");
            let handles = [troupe.handle(), troupe.handle()];
            for index in 0..works {
                let captured = Arc::clone(&captured);
                troupe
                    .assign(move || match Arc::strong_count(&captured) + index {
                        even if even % 2 == 0 => Ok(()),
                        _ => Err(error("x")),
                    })
                    .expect("room");
            }
            end(&troupe);
            assert_eq!(
                (Arc::strong_count(&captured), Arc::strong_count(&handled)),
                (1, 1),
                "{works} works"
            );
            drop(handles);
        }
    }
}

/// "A lease inside a closure is dropped exactly once, whether the work ran, panicked, was refused, returned or
/// discarded, and before `join` returns."
#[test]
fn a_lease_comes_back_whatever_happens() {
    let drops = DropCounter::new();
    let troupe = fixed(1, 4);
    let gate = occupy(&troupe, 1);
    for outcome in 0..4 {
        let lease = drops.lease();
        troupe
            .assign(move || {
                let _held = &lease;
                match outcome {
                    0 => Ok(()),
                    1 => Err(error("x")),
                    _ => crate::support::quiet_panic("y"),
                }
            })
            .expect("room");
    }
    let lease = drops.lease();
    drop(troupe.assign(move || {
        drop(lease);
        Ok(())
    }));
    assert_eq!(drops.dropped(), 1, "refused");
    gate.open();
    settle(&troupe);
    assert_eq!(drops.dropped(), 5, "ran, failed, panicked");
    let held = occupy(&troupe, 1);
    for _ in 0..2 {
        let lease = drops.lease();
        troupe
            .assign(move || {
                drop(lease);
                Ok(())
            })
            .expect("room");
    }
    let mut returned = troupe.shutdown_now();
    assert_eq!((returned.len(), drops.dropped()), (2, 5));
    drop(returned.pop()); // discarded
    assert_eq!(drops.dropped(), 6);
    held.open();
    join(&troupe);
    assert_eq!(drops.dropped(), 6, "a returned work is the caller's");
    drop(returned);
    drops.assert_balanced();
}

/// "`is_shutdown`: also how a long work learns to stop."
#[test]
fn a_long_work_learns_to_stop() {
    let troupe = fixed(1, 0);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || {
            sender.send(())?;
            eventually(|| handle.is_shutdown());
            Ok(())
        })
        .expect("room");
    receive(&receiver);
    end(&troupe);
    assert_eq!(troupe.stats().completed, 1);
}

/// "After the end a `Handle` answers `ShuttingDown` and the final stats": after a join, and after the troupe is gone.
#[test]
fn a_handle_after_the_end() {
    let troupe = fixed(2, 2);
    let handle = troupe.handle();
    troupe.assign(|| Ok(())).expect("room");
    settle(&troupe);
    troupe.assign(|| Err(error("x"))).expect("room");
    end(&troupe);
    let last = troupe.stats();
    assert_eq!(handle.stats(), last);
    drop(troupe);
    let stats = handle.stats();
    assert_eq!(stats, last);
    assert_eq!(
        (stats.accepted, stats.completed, stats.failed, stats.actors),
        (2, 1, 1, 0)
    );
    assert!(handle.is_shutdown() && !handle.shutdown());
    let tally = Tally::new(3);
    for (index, refused) in [
        handle.assign(tally.work(0)),
        handle.assign_wait(tally.work(1)),
        handle.assign_timeout(tally.work(2), HANG),
    ]
    .into_iter()
    .enumerate()
    {
        match refused {
            Err(AssignError::ShuttingDown(work)) => work.run().expect("it succeeds"),
            other => panic!("call {index}: expected ShuttingDown, got {other:?}"),
        }
    }
    tally.assert_each_once();
}

/// A `Handle` "keeps no thread, work or handler alive".
#[test]
fn a_handle_keeps_nothing_alive() {
    let (captured, handled) = (Arc::new(()), Arc::new(()));
    let in_handler = Arc::clone(&handled);
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(2))
        .error_handler(move |_: Failure, _| assert!(Arc::strong_count(&in_handler) > 0))
        .build()
        .expect("valid");
    let handle = troupe.handle();
    let work = Arc::clone(&captured);
    troupe
        .assign(move || {
            drop(work);
            Ok(())
        })
        .expect("room");
    drop(troupe);
    eventually(|| handle.stats().actors == 0);
    eventually(|| Arc::strong_count(&captured) == 1 && Arc::strong_count(&handled) == 1);
    assert!(handle.is_shutdown());
    assert_eq!(handle.stats().completed, 1);
}

/// "**Drop** of the `Troupe` is `shutdown`: it never blocks": its actor is held, and drop returns all the same;
/// "accepted work is still drained".
#[test]
fn drop_does_not_block_and_work_is_drained() {
    let troupe = fixed(1, 8);
    let handle = troupe.handle();
    let gate = occupy(&troupe, 1);
    let drops = DropCounter::new();
    let tally = Tally::new(8);
    for index in 0..8 {
        let (lease, tally) = (drops.lease(), tally.clone());
        troupe
            .assign(move || {
                tally.mark(index);
                drop(lease);
                Ok(())
            })
            .expect("room");
    }
    drop(troupe);
    assert!(handle.is_shutdown());
    assert!(
        handle
            .assign(|| Ok(()))
            .expect_err("refused")
            .is_shutting_down()
    );
    assert_eq!(tally.total(), 0);
    gate.open();
    eventually(|| drops.is_balanced());
    tally.assert_each_once();
    eventually(|| handle.stats().actors == 0);
    assert_eq!(handle.stats().completed, 9);
}

/// The same for a troupe whose actors sleep, or are none: nothing of it is left.
#[test]
fn drop_of_an_idle_troupe_leaves_nothing() {
    for config in [Config::fixed(3), Config::dynamic(0, 3)] {
        let handled = Arc::new(());
        let in_handler = Arc::clone(&handled);
        let troupe = Troupe::<()>::builder(config.mailbox_size(1))
            .error_handler(move |_, _| assert!(Arc::strong_count(&in_handler) > 0))
            .build()
            .expect("valid");
        let handle = troupe.handle();
        drop(troupe);
        eventually(|| handle.stats().actors == 0 && Arc::strong_count(&handled) == 1);
    }
}

/// "... also on an actor's own thread": the last reference is dropped inside a work of the same troupe.
#[test]
fn drop_on_an_actors_own_thread() {
    let troupe = Arc::new(fixed(2, 4));
    let handle = troupe.handle();
    let gate = Gate::new();
    let tally = Tally::new(4);
    let (inside, pass) = (Arc::clone(&troupe), gate.clone());
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || {
            pass.pass();
            drop(Arc::into_inner(inside).expect("the last reference"));
            Ok(sender.send(())?)
        })
        .expect("room");
    gate.wait_for(1);
    for index in 0..4 {
        troupe.assign(tally.work(index)).expect("room");
    }
    drop(troupe);
    gate.open();
    receive(&receiver);
    eventually(|| handle.stats().actors == 0);
    assert!(handle.is_shutdown());
    tally.assert_each_once();
    assert_eq!(handle.stats().completed, 5);
}

/// As a capture that nobody moved out: the troupe is dropped with the closure, on its own actor.
#[test]
fn drop_as_a_capture_on_an_actors_own_thread() {
    let troupe = Arc::new(fixed(1, 1));
    let handle = troupe.handle();
    let gate = Gate::new();
    let (inside, pass) = (Arc::clone(&troupe), gate.clone());
    troupe
        .assign(move || {
            pass.pass();
            assert_eq!(Arc::strong_count(&inside), 1);
            Ok(())
        })
        .expect("room");
    drop(troupe);
    gate.open();
    eventually(|| handle.stats().actors == 0);
    assert_eq!((handle.stats().completed, handle.stats().panicked), (1, 0));
}

/// Drop while another thread unwinds, and after everything else: no panic.
#[test]
fn drop_after_join_and_while_unwinding() {
    let troupe = fixed(1, 1);
    end(&troupe);
    drop(troupe);
    let troupe = fixed(1, 1);
    let handle = troupe.handle();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _troupe = troupe;
        crate::support::quiet_panic("with a troupe on the stack")
    }));
    assert!(caught.is_err());
    assert!(handle.is_shutdown());
    eventually(|| handle.stats().actors == 0);
}

/// Shut down while the troupe shrinks: nobody is left behind.
#[test]
fn shutdown_while_the_troupe_shrinks() {
    for round in 0..100 {
        let config = Config::dynamic(0, 4)
            .mailbox_size(1)
            .idle_timeout(Duration::from_micros(50 * (round % 5)));
        let troupe: Troupe = Troupe::new(config).expect("valid");
        occupy(&troupe, 4).open();
        end(&troupe);
        assert_eq!((troupe.stats().actors, troupe.stats().completed), (0, 4));
    }
}

/// Shut down while every actor is held in a full troupe that still has works to drain, from the work itself.
#[test]
fn shutdown_from_a_work() {
    let troupe = fixed(1, 2);
    let gate = occupy(&troupe, 1);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || {
            let began = handle.shutdown();
            let refused = handle
                .assign(|| Ok(()))
                .is_err_and(|refused| refused.is_shutting_down());
            Ok(sender.send((began, refused))?)
        })
        .expect("room");
    let tally = Tally::new(1);
    troupe.assign(tally.work(0)).expect("room");
    gate.open();
    assert_eq!(receive(&receiver), (true, true));
    join(&troupe);
    tally.assert_each_once();
}

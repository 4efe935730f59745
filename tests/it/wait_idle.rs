//! `wait_idle` and `wait_idle_timeout`.

use crate::support::{
    Gate, HANG, OnDrop, Tally, end, error, eventually, fill, join, occupy, receive, settle,
    wait_until_blocked, within,
};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use troupe_pool::{Config, Context, Failure, Handle, JoinError, Troupe, Work};

const SHORT: Duration = Duration::from_millis(30);

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
}

/// A thread of that name that has called `wait_idle` and waits.
fn call(troupe: &Arc<Troupe>, name: &str) -> JoinHandle<Result<(), JoinError>> {
    let (troupe, builder) = (Arc::clone(troupe), thread::Builder::new());
    let waiter = builder
        .name(name.to_owned())
        .spawn(move || troupe.wait_idle());
    wait_until_blocked(name);
    waiter.expect("a thread for the test")
}

/// With nothing to wait for it returns at once: unused, at rest, without an actor, shut down, ended.
#[test]
fn at_rest_it_returns_at_once() {
    within(HANG, || {
        for config in [
            Config::fixed(2),
            Config::dynamic(0, 2),
            Config::dynamic(1, 2),
        ] {
            let troupe: Troupe = Troupe::new(config.mailbox_size(1)).expect("valid");
            assert_eq!(troupe.wait_idle(), Ok(()));
            assert_eq!(troupe.wait_idle_timeout(Duration::ZERO), Ok(()));
            troupe.assign(|| Ok(())).expect("room");
            assert_eq!(troupe.wait_idle(), Ok(()));
            assert_eq!(troupe.wait_idle_timeout(Duration::ZERO), Ok(()));
            troupe.shutdown();
            assert_eq!(troupe.wait_idle(), Ok(()));
            assert_eq!(troupe.join(), Ok(()));
            assert_eq!(troupe.wait_idle(), Ok(()));
        }
    });
}

/// "No work running or waiting in a mailbox": all are finished when it returns.
#[test]
fn every_accepted_work_is_finished() {
    let troupe = fixed(2, 16);
    for _ in 0..200 {
        let tally = Tally::new(20);
        for index in 0..20 {
            troupe.assign(tally.work(index)).expect("room");
        }
        settle(&troupe);
        tally.assert_each_once();
        let stats = troupe.stats();
        assert_eq!((stats.idle, stats.running, stats.queued), (2, 0, 0));
    }
    end(&troupe);
}

/// "Every capture dropped, every handler call returned": it does not return while a capture's drop or a handler runs.
#[test]
fn captures_and_handler_are_included() {
    let (in_drop, in_handler) = (Gate::new(), Gate::new());
    let pass = in_handler.clone();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(1))
        .error_handler(move |_, _| pass.pass())
        .build()
        .expect("valid");
    let capture = {
        let in_drop = in_drop.clone();
        OnDrop::new(move || in_drop.pass())
    };
    troupe
        .assign(move || {
            let _held = &capture;
            Err(error("x"))
        })
        .expect("room");
    // Whichever comes first, the drop of the captures or the handler: neither may be left out.
    in_drop.wait_for(1);
    assert_eq!(troupe.wait_idle_timeout(SHORT), Err(JoinError::Timeout));
    in_drop.open();
    in_handler.wait_for(1);
    assert_eq!(troupe.wait_idle_timeout(SHORT), Err(JoinError::Timeout));
    in_handler.open();
    settle(&troupe);
    end(&troupe);
}

/// A timeout is a timeout, zero included, and one that overflows the clock waits for ever.
#[test]
fn timeouts() {
    within(HANG, || {
        let troupe = Arc::new(fixed(1, 1));
        let gate = occupy(&troupe, 1);
        assert_eq!(
            troupe.wait_idle_timeout(Duration::ZERO),
            Err(JoinError::Timeout)
        );
        assert_eq!(troupe.wait_idle_timeout(SHORT), Err(JoinError::Timeout));
        let waiter = {
            let troupe = Arc::clone(&troupe);
            let builder = thread::Builder::new().name("idle-for-ever".to_owned());
            builder
                .spawn(move || troupe.wait_idle_timeout(Duration::MAX))
                .expect("a thread")
        };
        wait_until_blocked("idle-for-ever");
        gate.open();
        assert_eq!(waiter.join().expect("no panic"), Ok(()));
        end(&troupe);
    });
}

/// A work that is accepted while somebody waits is waited for, too: as long as works overlap there is no idle instant.
#[test]
fn works_that_overlap_leave_no_idle_instant() {
    within(HANG, || {
        for mailbox_size in [0, 2] {
            let troupe = Arc::new(fixed(3, mailbox_size));
            let first = occupy(&troupe, 2);
            let waiter = call(&troupe, "idle-overlap");
            let second = occupy(&troupe, 1);
            first.open();
            eventually(|| troupe.stats().idle == 2);
            assert_eq!(troupe.wait_idle_timeout(SHORT), Err(JoinError::Timeout));
            assert!(!waiter.is_finished());
            second.open();
            assert_eq!(waiter.join().expect("no panic"), Ok(()));
            end(&troupe);
        }
    });
}

/// "Works assigned by works are covered": one call covers a tree of 8,191 works, each of which assigns two others.
#[test]
fn one_call_covers_a_tree_of_works() {
    fn node(handle: &Handle, tally: &Tally, index: usize) -> Work {
        let (handle, tally) = (handle.clone(), tally.clone());
        Work::new(move || {
            for child in [2 * index + 1, 2 * index + 2] {
                if child < WORKS {
                    handle.assign(node(&handle, &tally, child))?;
                }
            }
            tally.mark(index);
            Ok(())
        })
    }
    const WORKS: usize = 8_191;
    // There is room for all of them, so that none is refused.
    for config in [
        Config::fixed(2),
        Config::dynamic(0, 4).idle_timeout(Duration::ZERO),
    ] {
        let troupe: Troupe = Troupe::new(config.mailbox_size(WORKS)).expect("valid");
        let tally = Tally::new(WORKS);
        troupe
            .assign(node(&troupe.handle(), &tally, 0))
            .expect("the first work");
        settle(&troupe);
        tally.assert_each_once();
        assert_eq!(troupe.stats().completed, WORKS as u64);
        end(&troupe);
    }
}

/// Fails as often as it says, and then succeeds.
fn attempt(failures: u32) -> Result<(), u32> {
    failures.checked_sub(1).map_or(Ok(()), Err)
}

/// "Retries are covered": one call covers a chain of 20,000.
#[test]
fn one_call_covers_a_chain_of_retries() {
    let retry = |failure: Failure<u32>, context: &Context<'_, u32>| {
        if let Failure::Error(left) = failure {
            assert!(context.reassign(move || attempt(left)).is_ok());
        }
    };
    let config = Config::fixed(2).mailbox_size(1);
    let troupe = Troupe::builder(config).error_handler(retry).build();
    let troupe = troupe.expect("valid");
    assert!(troupe.assign(|| attempt(20_000)).is_ok());
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.completed, stats.failed), (1, 20_000));
    end(&troupe);
}

/// And what a handler assigns in the ordinary way is a work that is assigned by a work.
#[test]
fn one_call_covers_what_handlers_assign() {
    let again = |failure: Failure<u32>, context: &Context<'_, u32>| {
        if let Failure::Error(left) = failure {
            assert!(context.troupe().assign(move || attempt(left)).is_ok());
        }
    };
    // A place for each actor's mailbox: the one that ran the failed work before may not be idle yet.
    let config = Config::fixed(2).mailbox_size(1);
    let troupe = Troupe::builder(config).error_handler(again).build();
    let troupe = troupe.expect("valid");
    for _ in 0..20 {
        assert!(troupe.assign(|| attempt(200)).is_ok());
        settle(&troupe);
    }
    let stats = troupe.stats();
    assert_eq!((stats.completed, stats.failed), (20, 4_000));
    end(&troupe);
}

/// A steady trickle does not hold it up as long as there are idle instants: calls return, again and again.
#[test]
fn a_trickle_does_not_hold_it_up() {
    within(HANG, || {
        let troupe = fixed(2, 8);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let feeder = scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let (done, is_done) = mpsc::channel();
                    let work = move || Ok(done.send(())?);
                    troupe.assign(work).expect("an idle actor");
                    receive(&is_done);
                    // Its answer comes before the actor is idle. This is the idle instant.
                    eventually(|| troupe.stats().idle == 2);
                }
            });
            let outcomes: Vec<_> = (0..200).map(|_| troupe.wait_idle_timeout(HANG)).collect();
            stop.store(true, SeqCst);
            feeder.join().expect("no assertion failed");
            assert_eq!(outcomes, [Ok(()); 200]);
        });
        end(&troupe);
    });
}

/// "At or after an instant at which the troupe was idle": the instant may be over when the caller comes to run again.
///
/// Fails when a caller that is woken looks again whether the troupe is idle. Only real threads show it: a model cannot
/// tell that a caller has begun to wait.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_instant_counts_when_it_is_over() {
    within(HANG, || {
        for _ in 0..50 {
            let troupe = Arc::new(fixed(1, 1));
            let first = occupy(&troupe, 1);
            let names: Vec<_> = (0..8).map(|caller| format!("idle-over-{caller}")).collect();
            let callers: Vec<_> = names.iter().map(|name| call(&troupe, name)).collect();
            // Once more: the lock may have kept one waiting the first time.
            names.iter().for_each(|name| wait_until_blocked(name));
            first.open();
            eventually(|| troupe.stats().idle == 1);
            let second = occupy(&troupe, 1);
            for caller in callers {
                assert_eq!(caller.join().expect("no panic"), Ok(()));
            }
            second.wait_for(1); // still running
            second.open();
            end(&troupe);
        }
    });
}

/// One work that does not end holds it up, however many others finish.
#[test]
fn one_unfinished_work_holds_it_up() {
    within(HANG, || {
        let troupe = fixed(2, 8);
        let gate = occupy(&troupe, 1);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    drop(troupe.assign_wait(|| Ok(())));
                }
            });
            let answers: Vec<_> = (0..5).map(|_| troupe.wait_idle_timeout(SHORT)).collect();
            stop.store(true, SeqCst);
            assert_eq!(answers, [Err(JoinError::Timeout); 5]);
        });
        gate.open();
        end(&troupe);
    });
}

/// Many callers at once, all woken.
#[test]
fn any_number_of_threads_may_wait() {
    within(HANG, || {
        let troupe = fixed(2, 2);
        let gate = occupy(&troupe, 2);
        fill(&troupe, &gate);
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| troupe.wait_idle())).collect();
            let timed: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| troupe.wait_idle_timeout(HANG)))
                .collect();
            gate.open();
            for waiter in waiters.into_iter().chain(timed) {
                assert_eq!(waiter.join().expect("no panic"), Ok(()));
            }
        });
        end(&troupe);
    });
}

/// A call that times out leaves nothing behind: neither those that wait beside it nor later calls notice.
#[test]
fn a_call_that_times_out_leaves_nothing_behind() {
    within(HANG, || {
        let troupe = Arc::new(fixed(2, 1));
        for _ in 0..20 {
            let gate = occupy(&troupe, 1);
            let others = ["idle-beside-1", "idle-beside-2"].map(|name| call(&troupe, name));
            for timeout in [Duration::ZERO, Duration::from_micros(500), Duration::ZERO] {
                let outcome = troupe.wait_idle_timeout(timeout);
                assert_eq!(outcome, Err(JoinError::Timeout));
            }
            assert!(!others.iter().any(JoinHandle::is_finished));
            gate.open();
            for other in others {
                assert_eq!(other.join().expect("no panic"), Ok(()));
            }
        }
        end(&troupe);
    });
}

/// Works that `shutdown_now` takes back are not waited for.
#[test]
fn returned_works_are_not_waited_for() {
    within(HANG, || {
        let troupe = Arc::new(fixed(1, 4));
        let gate = occupy(&troupe, 1);
        fill(&troupe, &Gate::new()); // a gate that nobody opens
        let waiter = call(&troupe, "idle-at-the-end");
        let returned = troupe.shutdown_now();
        assert_eq!(returned.len(), 4);
        gate.open();
        assert_eq!(waiter.join().expect("no panic"), Ok(()));
        join(&troupe);
    });
}

/// While a troupe shrinks, and after: an actor that retires is no unfinished work.
#[test]
fn while_the_troupe_shrinks() {
    let config = Config::dynamic(0, 3)
        .mailbox_size(1)
        .idle_timeout(Duration::from_micros(200));
    let troupe: Troupe = Troupe::new(config).expect("valid");
    for _ in 0..200 {
        let tally = Tally::new(3);
        for index in 0..3 {
            troupe.assign(tally.work(index)).expect("room");
        }
        settle(&troupe);
        tally.assert_each_once();
    }
    eventually(|| troupe.stats().actors == 0);
    settle(&troupe);
    end(&troupe);
}

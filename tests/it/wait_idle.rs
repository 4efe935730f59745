//! `wait_idle` and `wait_idle_timeout`.

use crate::support::{
    Gate, HANG, OnDrop, Tally, end, error, eventually, fill, join, occupy, settle,
    wait_until_blocked, within,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use troupe_pool::{Config, JoinError, Troupe};

const SHORT: Duration = Duration::from_millis(30);

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
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

/// Every work accepted before the call is finished when it returns, those in mailboxes too.
#[test]
fn every_earlier_work_is_finished() {
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

/// "... its captures and its handler included": it does not return while a capture's drop or a handler runs.
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

/// "A feeder's later works cannot hold it up for ever when there is such an instant": the troupe is never idle again,
/// and the call returns all the same when the works that came before it are done.
#[cfg(target_os = "linux")]
#[test]
fn later_works_do_not_hold_it_up() {
    within(HANG, || {
        for mailbox_size in [0, 2] {
            let troupe = Arc::new(fixed(3, mailbox_size));
            let earlier = occupy(&troupe, 2);
            let waiter = {
                let troupe = Arc::clone(&troupe);
                let builder = thread::Builder::new().name("idle-past-later".to_owned());
                builder.spawn(move || troupe.wait_idle()).expect("a thread")
            };
            wait_until_blocked("idle-past-later");
            let later = occupy(&troupe, 1);
            earlier.open();
            assert_eq!(waiter.join().expect("no panic"), Ok(()));
            later.wait_for(1); // still running
            later.open();
            end(&troupe);
        }
    });
}

/// Each of two callers waits for what was accepted before its own call: the second for one work more than the first, and
/// neither for one that comes after both. Also if the first gives up.
///
/// Fails when who calls while another waits has to wait for what is assigned until that one's wait is over.
#[cfg(target_os = "linux")]
#[test]
fn each_caller_waits_for_its_own_works() {
    within(HANG, || {
        for gives_up in [false, true] {
            let troupe = Arc::new(fixed(3, 1));
            let wait = |name: &str| {
                let troupe = Arc::clone(&troupe);
                let builder = thread::Builder::new().name(name.to_owned());
                let waiter = builder.spawn(move || troupe.wait_idle());
                wait_until_blocked(name);
                waiter.expect("a thread")
            };
            let before_both = occupy(&troupe, 1);
            let first = (!gives_up).then(|| wait("idle-first"));
            if gives_up {
                let given_up = troupe.wait_idle_timeout(Duration::ZERO);
                assert_eq!(given_up, Err(JoinError::Timeout));
            }
            let between = occupy(&troupe, 1);
            let second = wait("idle-second");
            let after_both = occupy(&troupe, 1);
            before_both.open();
            if let Some(first) = first {
                assert_eq!(first.join().expect("no panic"), Ok(()));
            }
            eventually(|| troupe.stats().completed == 1);
            assert!(!second.is_finished());
            between.open();
            assert_eq!(second.join().expect("no panic"), Ok(()));
            after_both.wait_for(1); // still running
            after_both.open();
            end(&troupe);
        }
    });
}

/// The same with a feeder that never lets the troupe rest: calls return, again and again.
#[test]
fn a_feeder_does_not_hold_it_up() {
    within(HANG, || {
        let troupe = fixed(2, 8);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    drop(troupe.assign_wait(|| Ok(())));
                }
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for _ in 0..100 {
                    let tally = Tally::new(1);
                    troupe
                        .assign_wait(tally.work(0))
                        .expect("it waits for room");
                    assert_eq!(troupe.wait_idle(), Ok(()));
                    tally.assert_each_once();
                }
            }));
            stop.store(true, SeqCst);
            result.expect("no assertion failed");
        });
        end(&troupe);
    });
}

/// Later works that finish do not stand in for an earlier one that has not.
#[test]
fn later_works_do_not_stand_in_for_earlier_ones() {
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

/// Works that `shutdown_now` takes back are not waited for.
#[test]
fn returned_works_are_not_waited_for() {
    within(HANG, || {
        let troupe = Arc::new(fixed(1, 4));
        let gate = occupy(&troupe, 1);
        fill(&troupe, &Gate::new()); // a gate that nobody opens
        let waiter = {
            let troupe = Arc::clone(&troupe);
            let builder = thread::Builder::new().name("idle-at-the-end".to_owned());
            builder.spawn(move || troupe.wait_idle()).expect("a thread")
        };
        wait_until_blocked("idle-at-the-end");
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

/// A work that another troupe gave back is waited for like any other.
///
/// Fails when it keeps the mark that it came too late for a wait over there.
#[cfg(target_os = "linux")]
#[test]
fn a_work_that_another_troupe_gave_back_is_waited_for() {
    within(HANG, || {
        let other = fixed(1, 1);
        let elsewhere = occupy(&other, 1);
        // The wait that it is late for goes on over there.
        assert_eq!(
            other.wait_idle_timeout(Duration::ZERO),
            Err(JoinError::Timeout)
        );
        let (late, done) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let work = {
            let (late, done) = (late.clone(), Arc::clone(&done));
            move || {
                late.pass();
                done.store(true, SeqCst);
                Ok(())
            }
        };
        other.assign(work).expect("there is room");
        let returned = other.shutdown_now().pop().expect("it had not begun");
        elsewhere.open();

        let troupe = Arc::new(fixed(1, 1));
        let busy = occupy(&troupe, 1);
        troupe.assign(returned).expect("there is room");
        let waiter = {
            let (troupe, done) = (Arc::clone(&troupe), Arc::clone(&done));
            let builder = thread::Builder::new().name("idle-past-other".to_owned());
            let wait = move || (troupe.wait_idle(), done.load(SeqCst));
            builder.spawn(wait).expect("a thread")
        };
        wait_until_blocked("idle-past-other");
        busy.open();
        late.wait_for(1);
        assert_eq!(troupe.wait_idle_timeout(SHORT), Err(JoinError::Timeout));
        late.open();
        assert_eq!(waiter.join().expect("no panic"), (Ok(()), true));
        join(&other);
        end(&troupe);
    });
}

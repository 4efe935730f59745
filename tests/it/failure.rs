//! Failures: errors, panics, and panics where nobody expects one.

use crate::support::{
    DropCounter, Gate, Log, OnDrop, Tally, end, error, eventually, me, occupy, quiet_panic,
    receive, settle,
};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use troupe_pool::{BoxError, Config, Failure, Panic, Troupe, Work};

fn plain(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
}

/// A troupe of one whose failures come out of the receiver.
fn listening(mailbox_size: usize) -> (Troupe, mpsc::Receiver<Failure>) {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(mailbox_size))
        .error_handler(move |failure, _| sender.send(failure).expect("the test listens"))
        .build()
        .expect("valid");
    (troupe, receiver)
}

fn panic_of<E>(failure: Failure<E>) -> Panic {
    match failure {
        Failure::Panic(panic) => panic,
        _ => panic!("expected a panic"),
    }
}

/// "`Err(e)` reaches the handler as `Failure::Error(e)` ... exactly once", by value.
#[test]
fn an_error_reaches_the_handler_once() {
    let (troupe, failures) = listening(4);
    troupe.assign(|| Err("lost the plot".into())).expect("room");
    match receive(&failures) {
        Failure::Error(error) => assert_eq!(error.to_string(), "lost the plot"),
        other => panic!("expected the error, got {other:?}"),
    }
    end(&troupe);
    assert!(failures.try_recv().is_err());
    assert_eq!(
        (
            troupe.stats().failed,
            troupe.stats().panicked,
            troupe.stats().completed
        ),
        (1, 0, 0)
    );
}

/// "A panic as `Failure::Panic`", exactly once, with its message whether that is a literal, formatted, or no text at all.
#[test]
fn a_panic_reaches_the_handler_once() {
    let (troupe, failures) = listening(4);
    troupe.assign(|| quiet_panic("a literal")).expect("room");
    assert_eq!(panic_of(receive(&failures)).message(), Some("a literal"));

    let number = 7;
    troupe
        .assign(move || resume_unwind(Box::new(format!("number {number}"))))
        .expect("room");
    assert_eq!(panic_of(receive(&failures)).message(), Some("number 7"));

    troupe
        .assign(|| resume_unwind(Box::new(7_u8)))
        .expect("room");
    let panic = panic_of(receive(&failures));
    assert_eq!(panic.message(), None);
    assert_eq!(panic.into_payload().downcast_ref::<u8>(), Some(&7));

    end(&troupe);
    assert!(failures.try_recv().is_err());
    assert_eq!(
        (
            troupe.stats().failed,
            troupe.stats().panicked,
            troupe.stats().completed
        ),
        (0, 3, 0)
    );
}

/// The `panic!` macro itself, once: it prints its report on stderr.
#[test]
fn the_panic_macro_reaches_the_handler() {
    let (troupe, failures) = listening(1);
    troupe
        .assign(|| panic!("on purpose: {}", 1 + 1))
        .expect("room");
    let panic = panic_of(receive(&failures));
    assert_eq!(panic.message(), Some("on purpose: 2"));
    assert!(panic.to_string().contains("on purpose: 2"));
    end(&troupe);
}

/// "On the actor's thread": the handler runs where the work ran, and the context says which actor that is.
#[test]
fn the_handler_runs_on_the_actors_thread() {
    let log = Log::new();
    let handler_log = log.clone();
    let troupe = Troupe::builder(Config::fixed(3).mailbox_size(1).thread_name("own"))
        .error_handler(move |failure: Failure<thread::ThreadId>, context| {
            if let Failure::Error(id) = failure {
                handler_log.push((
                    id == thread::current().id(),
                    me() == format!("own-{}", context.actor_id()),
                ));
            }
        })
        .build()
        .expect("valid");
    let gate = Gate::new();
    for _ in 0..3 {
        let gate = gate.clone();
        let work = move || {
            gate.pass();
            Err(thread::current().id())
        };
        troupe.assign(work).expect("an idle actor");
    }
    gate.wait_for(3);
    gate.open();
    end(&troupe);
    assert_eq!(log.entries(), [(true, true); 3]);
}

/// "The actor, its thread and its mailbox survive": the same thread runs what waited behind the failures.
#[test]
fn the_actor_and_its_mailbox_survive() {
    let troupe = plain(1, 8);
    let ids = Log::new();
    let gate = occupy(&troupe, 1);
    let note = |ids: &Log<thread::ThreadId>| {
        let ids = ids.clone();
        move || ids.push(thread::current().id())
    };
    let first = note(&ids);
    troupe
        .assign(move || {
            first();
            quiet_panic("first")
        })
        .expect("room");
    let second = note(&ids);
    troupe
        .assign(move || {
            second();
            Err(error("second"))
        })
        .expect("room");
    let third = note(&ids);
    troupe
        .assign(move || {
            third();
            Ok(())
        })
        .expect("room");
    gate.open();
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!(
        (
            stats.actors,
            stats.idle,
            stats.completed,
            stats.failed,
            stats.panicked
        ),
        (1, 1, 2, 1, 1)
    );
    let ids = ids.entries();
    assert_eq!(ids, vec![ids[0]; 3]);
    end(&troupe);
}

/// Nothing is lost by any number of panics: neither an actor nor a place.
#[test]
fn panics_cost_no_capacity() {
    let troupe = plain(3, 2);
    for _ in 0..200 {
        while troupe.assign(|| quiet_panic("again")).is_ok() {}
        settle(&troupe);
    }
    let gate = Gate::new();
    assert_eq!(crate::support::fill(&troupe, &gate), 9);
    gate.open();
    end(&troupe);
}

/// Work is accepted into the mailbox of an actor that is unwinding at that moment, and runs after it.
#[test]
fn work_is_accepted_by_an_actor_that_is_panicking() {
    let (troupe, failures) = listening(2);
    let gate = Gate::new();
    let capture = {
        let gate = gate.clone();
        OnDrop::new(move || gate.pass())
    };
    troupe
        .assign(move || {
            let _held = capture;
            quiet_panic("slowly")
        })
        .expect("room");
    gate.wait_for(1); // it unwinds, and waits in the capture's drop
    let tally = Tally::new(5);
    troupe.assign(tally.work(0)).expect("its mailbox has room");
    troupe
        .assign_wait(tally.work(1))
        .expect("its mailbox has room");
    let refused = troupe
        .assign(tally.work(2))
        .expect_err("its mailbox is full");
    assert!(refused.is_full());
    let timed_out = troupe.assign_timeout(tally.work(3), std::time::Duration::from_millis(1));
    assert!(timed_out.is_err_and(|refused| refused.is_full()));
    assert!(
        troupe
            .handle()
            .assign(tally.work(4))
            .is_err_and(|refused| refused.is_full())
    );
    assert_eq!(tally.total(), 0);
    gate.open();
    assert_eq!(panic_of(receive(&failures)).message(), Some("slowly"));
    end(&troupe);
    assert_eq!((tally.count(0), tally.count(1), tally.total()), (1, 1, 2));
}

/// "Without a handler, failures are counted."
#[test]
fn without_a_handler_failures_are_counted() {
    let troupe = plain(2, 16);
    for _ in 0..5 {
        troupe.assign(|| Err(error("x"))).expect("room");
        troupe.assign(|| quiet_panic("y")).expect("room");
        troupe.assign(|| Ok(())).expect("room");
    }
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!(
        (
            stats.completed,
            stats.failed,
            stats.panicked,
            stats.handler_panics
        ),
        (5, 5, 5, 0)
    );
    assert_eq!(stats.accepted, 15);
}

/// "A panic in the handler ... is contained and counted, and never kills an actor": after an error and after a panic.
#[test]
fn a_panic_in_the_handler_is_contained() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(16))
        .error_handler(move |_, _| {
            count.fetch_add(1, SeqCst);
            quiet_panic("in the handler")
        })
        .build()
        .expect("valid");
    for _ in 0..4 {
        troupe.assign(|| Err(())).expect("room");
        troupe.assign(|| quiet_panic("in the work")).expect("room");
    }
    troupe.assign(|| Ok(())).expect("room");
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!(seen.load(SeqCst), 8);
    assert_eq!(
        (
            stats.failed,
            stats.panicked,
            stats.completed,
            stats.handler_panics
        ),
        (4, 4, 1, 8)
    );
}

/// "(If a capture's drop panics at the end of a work, the work counts as panicked, whatever it returned.)" And the
/// handler is told so, once.
#[test]
fn a_panic_in_a_captures_drop_makes_the_work_panicked() {
    let (troupe, failures) = listening(4);
    for returned in [Ok(()), Err(error("hidden by the panic"))] {
        let bomb = OnDrop::new(|| quiet_panic("in the capture"));
        troupe
            .assign(move || {
                let _held = &bomb;
                returned
            })
            .expect("room");
        assert_eq!(
            panic_of(receive(&failures)).message(),
            Some("in the capture")
        );
    }
    troupe.assign(|| Ok(())).expect("room");
    end(&troupe);
    assert!(failures.try_recv().is_err());
    let stats = troupe.stats();
    assert_eq!(
        (
            stats.completed,
            stats.failed,
            stats.panicked,
            stats.handler_panics
        ),
        (1, 0, 2, 0)
    );
}

/// The captures beside the one that panics are dropped all the same.
#[test]
fn a_panic_in_a_captures_drop_leaks_nothing() {
    let troupe = plain(1, 4);
    let drops = DropCounter::new();
    let (before, bomb, after) = (
        drops.lease(),
        OnDrop::new(|| quiet_panic("in the capture")),
        drops.lease(),
    );
    troupe
        .assign(move || {
            let _held = (&before, &bomb, &after);
            Ok(())
        })
        .expect("room");
    end(&troupe);
    drops.assert_balanced();
}

/// "A panic ... in the drop ... of an error ... is contained": without a handler the troupe drops it, with one the
/// handler does.
#[test]
fn a_panic_in_an_errors_drop_is_contained() {
    struct Fault(#[expect(dead_code, reason = "held for its drop")] OnDrop<fn()>);
    let fault = || Fault(OnDrop::new(|| quiet_panic("in the error")));
    for handler in [false, true] {
        let mut builder = Troupe::builder(Config::fixed(1).mailbox_size(4));
        if handler {
            builder = builder.error_handler(|failure: Failure<Fault>, _| drop(failure));
        }
        let troupe = builder.build().expect("valid");
        troupe.assign(move || Err(fault())).expect("room");
        troupe.assign(|| Ok(())).expect("room");
        end(&troupe);
        let stats = troupe.stats();
        assert_eq!((stats.completed, stats.failed, stats.panicked), (1, 1, 0));
        assert_eq!(stats.accepted, 2);
        if handler {
            assert_eq!(stats.handler_panics, 1);
        }
    }
}

/// "... or of a panic payload": also when what that throws panics when it is dropped, in its turn.
#[test]
fn a_panic_in_a_payloads_drop_is_contained() {
    struct Payload(u32);
    impl Drop for Payload {
        fn drop(&mut self) {
            if self.0 > 0 {
                resume_unwind(Box::new(Payload(self.0 - 1)));
            }
        }
    }
    for handler in [false, true] {
        for depth in [1, 2, 3] {
            let mut builder = Troupe::<()>::builder(Config::fixed(1).mailbox_size(4));
            if handler {
                builder = builder.error_handler(|failure, _| drop(failure));
            }
            let troupe = builder.build().expect("valid");
            troupe
                .assign(move || resume_unwind(Box::new(Payload(depth))))
                .expect("room");
            troupe.assign(|| Ok(())).expect("room");
            end(&troupe);
            let stats = troupe.stats();
            assert_eq!(
                (stats.completed, stats.failed, stats.panicked),
                (1, 0, 1),
                "depth {depth}"
            );
        }
    }
}

/// A panic of the handler while it holds the failure of a panic: both payloads bad.
#[test]
fn a_handler_panic_with_a_bad_payload_is_contained() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            quiet_panic("in the payload");
        }
    }
    let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(4))
        .error_handler(|failure, _| {
            std::mem::forget(failure); // dropped while unwinding it would abort, as everywhere in Rust
            resume_unwind(Box::new(Payload))
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err(())).expect("room");
    troupe.assign(|| quiet_panic("x")).expect("room");
    troupe.assign(|| Ok(())).expect("room");
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!(
        (
            stats.completed,
            stats.failed,
            stats.panicked,
            stats.handler_panics
        ),
        (1, 1, 1, 2)
    );
}

/// "The handler may assign (that is how retry is built), read stats and call shutdown."
#[test]
fn the_handler_may_assign_read_stats_and_shut_down() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::<&'static str>::builder(Config::fixed(1).mailbox_size(2))
        .error_handler(move |failure, context| match failure {
            Failure::Error("assign") => {
                let done = sender.clone();
                let work = move || {
                    done.send(0).expect("the test listens");
                    Ok(())
                };
                assert!(context.troupe().assign(work).is_ok());
            }
            Failure::Error("stats") => sender
                .send(context.troupe().stats().accepted)
                .expect("the test listens"),
            _ => {
                assert!(context.troupe().shutdown());
                assert!(context.troupe().is_shutdown());
                sender.send(99).expect("the test listens");
            }
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("assign")).expect("room");
    assert_eq!(receive(&receiver), 0);
    settle(&troupe);
    troupe.assign(|| Err("stats")).expect("room");
    assert_eq!(receive(&receiver), 3);
    settle(&troupe);
    troupe.assign(|| Err("shutdown")).expect("room");
    assert_eq!(receive(&receiver), 99);
    assert!(troupe.is_shutdown() && !troupe.shutdown());
    crate::support::join(&troupe);
}

/// "It sees what actors run, never a `Work::run` by hand: there the error returns and a panic unwinds to the caller."
#[test]
fn work_run_by_hand_does_not_reach_the_handler() {
    let (troupe, failures) = listening(0);
    let gate = occupy(&troupe, 1);
    let refused = troupe
        .assign(|| Err(error("by hand")))
        .expect_err("full")
        .into_work();
    assert_eq!(refused.run().expect_err("it fails").to_string(), "by hand");
    let refused = troupe
        .assign(|| quiet_panic("by hand"))
        .expect_err("full")
        .into_work();
    let payload = catch_unwind(AssertUnwindSafe(|| refused.run())).expect_err("it panics");
    assert_eq!(payload.downcast_ref(), Some(&"by hand"));
    gate.open();
    end(&troupe);
    assert!(failures.try_recv().is_err());
    assert_eq!((troupe.stats().failed, troupe.stats().panicked), (0, 0));
}

/// A `Work` made by hand runs on the caller's thread.
#[test]
fn work_runs_by_hand_on_the_callers_thread() {
    let caller = thread::current().id();
    let work: Work<thread::ThreadId> = Work::new(|| Err(thread::current().id()));
    assert_eq!(work.run(), Err(caller));
    let ok: Work<()> = Work::from(|| Ok(()));
    assert_eq!(ok.run(), Ok(()));
}

/// "Nothing more than `Send + 'static` is asked of `E`, and the handler gets it by value, so an error can carry a reply
/// channel, a request or a lease": an `E` without `Sync`, `Debug`, `Display` or `Clone`.
#[test]
fn an_error_may_carry_anything_that_is_send() {
    struct Request {
        reply: mpsc::Sender<u32>,
        attempts: Cell<u32>,
        _lease: crate::support::Lease,
    }
    let drops = DropCounter::new();
    let troupe = Troupe::<Request>::builder(Config::fixed(1).mailbox_size(1))
        .error_handler(|failure, _| {
            if let Failure::Error(request) = failure {
                request
                    .reply
                    .send(request.attempts.get())
                    .expect("the test listens");
            }
        })
        .build()
        .expect("valid");
    let (reply, receiver) = mpsc::channel();
    let request = Request {
        reply,
        attempts: Cell::new(0),
        _lease: drops.lease(),
    };
    troupe
        .assign(move || {
            request.attempts.set(request.attempts.get() + 1);
            Err(request)
        })
        .expect("room");
    assert_eq!(receive(&receiver), 1);
    end(&troupe);
    drops.assert_balanced();
}

/// "`Panic` does not know its work: docs show the guard that does." The guard, at work: a capture that reports when the
/// work did not get to its end.
#[test]
fn a_guard_in_the_work_knows_what_panicked() {
    let troupe = plain(1, 2);
    let (sender, receiver) = mpsc::channel();
    let guard = OnDrop::new(move || {
        if thread::panicking() {
            sender.send("order 66").expect("the test listens");
        }
    });
    troupe
        .assign(move || {
            let _guard = guard;
            quiet_panic("lost")
        })
        .expect("room");
    assert_eq!(receive(&receiver), "order 66");
    end(&troupe);
}

/// Failures on several actors at once: each reaches the handler, and the handler may run on all of them together.
#[test]
fn handlers_run_beside_each_other() {
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::<BoxError>::builder(Config::fixed(3).mailbox_size(1))
        .error_handler(move |_, _| in_handler.pass())
        .build()
        .expect("valid");
    for _ in 0..3 {
        troupe.assign(|| Err(error("x"))).expect("an idle actor");
    }
    gate.wait_for(3);
    gate.open();
    end(&troupe);
    assert_eq!(troupe.stats().failed, 3);
}

/// While the handler runs, the work is unfinished and its actor busy.
#[test]
fn a_work_in_its_handler_keeps_its_place() {
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |_, _| in_handler.pass())
        .build()
        .expect("valid");
    troupe.assign(|| Err(())).expect("the idle actor");
    gate.wait_for(1);
    assert!(
        troupe
            .assign(|| Ok(()))
            .expect_err("its actor is busy")
            .is_full()
    );
    assert!(troupe.actors()[0].is_busy);
    gate.open();
    eventually(|| troupe.assign(|| Ok(())).is_ok());
    end(&troupe);
}

/// `into_payload` gives what was thrown, of any type.
#[test]
fn a_payload_keeps_its_type() {
    let (troupe, failures) = listening(1);
    troupe
        .assign(|| resume_unwind(Box::new(vec![1_u64, 2, 3])))
        .expect("room");
    let payload: Box<dyn Any + Send> = panic_of(receive(&failures)).into_payload();
    assert_eq!(
        *payload.downcast::<Vec<u64>>().expect("the same type"),
        [1, 2, 3]
    );
    end(&troupe);
}

//! `Work::with` and `Work::into_value`: the value back, as long as the work has not started.

use crate::support::{
    DropCounter, Fault, Gate, HANG, Lease, Log, OnDrop, Tally, answer, end, ends, failure_in_words,
    fill, in_words, join, listening, occupy, quiet_panic, receive, refused, refused_stack,
    returned, settle, within,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use troupe_pool::{Actor, ActorConfig, AssignError, Config, Failure, Handle, Troupe, Work};

/// A request that somebody waits for. It cannot be cloned, nor shared between threads.
struct Request {
    number: Cell<u32>,
    _lease: Lease,
}

impl Request {
    fn new(number: u32, drops: &DropCounter) -> Self {
        Self {
            number: Cell::new(number),
            _lease: drops.lease(),
        }
    }
}

/// A work with a request, which must not run.
fn unwanted(number: u32, drops: &DropCounter) -> Work<Fault> {
    Work::with(Request::new(number, drops), |_| {
        Err("it ran, though its value was to come back")
    })
}

/// The number of the request in a work.
#[track_caller]
fn number_in(work: Work<Fault>) -> u32 {
    let value = work.into_value::<Request>();
    value.expect("a request").number.get()
}

/// A troupe of one, of which every place is taken.
fn full(mailbox_size: usize) -> (Troupe<Fault>, Gate) {
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(mailbox_size));
    let gate = occupy(&troupe, 1);
    fill(&troupe, &gate);
    (troupe, gate)
}

/// The closure receives the value, on an actor and by hand.
#[test]
fn the_closure_receives_the_value() {
    let (troupe, _) = listening(Config::fixed(1));
    let drops = DropCounter::new();
    let (sender, receiver) = mpsc::channel();
    for by_hand in [false, true] {
        let sender = sender.clone();
        let work = Work::with(Request::new(7, &drops), move |request| {
            request.number.set(request.number.get() + 1);
            sender.send(request).map_err(|_| "nobody listens")
        });
        if by_hand {
            assert_eq!(work.run(), Ok(()));
        } else {
            troupe.assign(work).expect("an idle actor");
        }
        assert_eq!(receive(&receiver).number.get(), 8);
    }
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 0]);
}

/// "From any refusal": a call of each kind, for each reason.
#[test]
fn every_refusal_gives_the_value_back() {
    type Call = fn(&Troupe<Fault>, &Handle<Fault>, Work<Fault>) -> Result<(), AssignError<Fault>>;
    const CALLS: [Call; 6] = [
        |troupe, _, work| troupe.assign(work),
        |troupe, _, work| troupe.assign_timeout(work, Duration::from_millis(1)),
        |_, handle, work| handle.assign(work),
        |_, handle, work| handle.assign_timeout(work, Duration::from_micros(1)),
        // These two would wait.
        |troupe, _, work| troupe.assign_wait(work),
        |_, handle, work| handle.assign_wait(work),
    ];
    let drops = DropCounter::new();
    for mailbox_size in [0, 2] {
        let (troupe, gate) = full(mailbox_size);
        let handle = troupe.handle();
        for (number, call) in (0..).zip(&CALLS[..4]) {
            let work = unwanted(number, &drops);
            let refused = call(&troupe, &handle, work).expect_err("full");
            assert!(refused.is_full());
            assert_eq!(number_in(refused.into_work()), number);
        }
        troupe.shutdown();
        for (number, call) in (0..).zip(CALLS) {
            let work = unwanted(number, &drops);
            let refused = call(&troupe, &handle, work).expect_err("shutting down");
            assert!(refused.is_shutting_down());
            assert_eq!(number_in(refused.into_work()), number);
        }
        gate.open();
        join(&troupe);
    }
    drops.assert_balanced();
}

/// ... from a call that would wait on an own thread, ...
#[test]
fn a_deadlock_that_is_refused_gives_the_value_back() {
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(0));
    let (handle, drops) = (troupe.handle(), DropCounter::new());
    let (sender, receiver) = mpsc::channel();
    let counter = drops.clone();
    let ask = move || {
        let refused = handle.assign_wait(unwanted(5, &counter));
        let refused = refused.expect_err("its only actor is busy");
        let number = match refused {
            AssignError::WouldDeadlock(work) => number_in(work),
            _ => 0,
        };
        sender.send(number).map_err(|_| "nobody listens")
    };
    troupe.assign(ask).expect("an idle actor");
    assert_eq!(receive(&receiver), 5);
    end(&troupe);
    drops.assert_balanced();
}

/// ... from a troupe that has no actor and is refused one, ...
#[test]
fn a_refused_thread_gives_the_value_back() {
    within(HANG, || {
        let (troupe, _) = listening(Config::dynamic(0, 2).stack_size(refused_stack()));
        let drops = DropCounter::new();
        for work in [
            unwanted(3, &drops),
            unwanted(3, &drops).keyed("key").label("label"),
        ] {
            match troupe.assign(work) {
                Err(AssignError::Spawn { work, .. }) => assert_eq!(number_in(work), 3),
                other => panic!("expected Spawn, got {other:?}"),
            }
        }
        drops.assert_balanced();
        end(&troupe);
    });
}

/// ... from an `Actor`, ...
#[test]
fn an_actor_gives_the_value_back() {
    let actor = Actor::<Fault>::new(ActorConfig::default().mailbox_size(1)).expect("valid");
    let (gate, drops) = (Gate::new(), DropCounter::new());
    actor.accept(gate.work()).expect("it is idle");
    gate.wait_for(1);
    actor.accept(gate.work()).expect("its mailbox has room");
    let refused = actor.accept(unwanted(1, &drops)).expect_err("full");
    assert_eq!(number_in(refused.into_work()), 1);
    actor.shutdown();
    let refused = actor.accept(unwanted(2, &drops)).expect_err("it ends");
    assert_eq!(number_in(refused.into_work()), 2);
    gate.open();
    actor.join_timeout(HANG).expect("it ends");
    drops.assert_balanced();
}

/// ... and from a retry that came too late.
#[test]
fn a_refused_retry_gives_the_value_back() {
    let drops = DropCounter::new();
    let (sender, receiver) = mpsc::channel();
    let counter = drops.clone();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1))
        .error_handler(move |_, context| {
            context.troupe().shutdown();
            let retry = unwanted(9, &counter).label("a retry");
            let refused = context.reassign(retry).expect_err("it is shutting down");
            let number = number_in(refused.into_work());
            sender.send(number).expect("the test listens");
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("at first")).expect("an idle actor");
    assert_eq!(receive(&receiver), 9);
    join(&troupe);
    drops.assert_balanced();
}

/// A refused work "can be kept for later": it has its value when it is assigned again.
#[test]
fn a_refused_work_keeps_its_value() {
    let (troupe, gate) = full(1);
    let (sender, receiver) = mpsc::channel();
    let work = Work::with(7, move |number: u32| {
        sender.send(number).map_err(|_| "nobody listens")
    });
    let refused = troupe.assign(work).expect_err("full");
    gate.open();
    settle(&troupe);
    troupe.assign(refused.into_work()).expect("room");
    assert_eq!(receive(&receiver), 7);
    end(&troupe);
}

/// "From `shutdown_now`", of the troupe and of a handle: in the order in which they would have run.
#[test]
fn shutdown_now_gives_the_values_back() {
    for by_handle in [false, true] {
        let (troupe, _) = listening(Config::fixed(1).mailbox_size(5));
        let (gate, drops) = (occupy(&troupe, 1), DropCounter::new());
        for number in 0..5 {
            let work = unwanted(number, &drops);
            troupe.assign(work).expect("room");
        }
        let works = if by_handle {
            troupe.handle().shutdown_now()
        } else {
            troupe.shutdown_now()
        };
        let numbers: Vec<u32> = works.into_iter().map(number_in).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        assert!(troupe.is_shutdown());
        drops.assert_balanced();
        gate.open();
        join(&troupe);
        assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 0]);
        assert_eq!(troupe.stats().returned, 5);
    }
}

/// "The guide tells handlers to call `shutdown_now`, and they hold a handle": there the values come back too.
#[test]
fn a_handler_may_take_everything_back() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1).mailbox_size(4))
        .error_handler(move |_, context| {
            let works = context.troupe().shutdown_now();
            let numbers: Vec<u32> = works.into_iter().map(number_in).collect();
            sender.send(numbers).expect("the test listens");
        })
        .build()
        .expect("valid");
    let (gate, drops) = (Gate::new(), DropCounter::new());
    let pass = gate.clone();
    let failing = move || {
        pass.pass();
        Err("all of it")
    };
    troupe.assign(failing).expect("an idle actor");
    gate.wait_for(1);
    for number in 0..3 {
        troupe.assign(unwanted(number, &drops)).expect("room");
    }
    gate.open();
    assert_eq!(receive(&receiver), [0, 1, 2]);
    join(&troupe);
    drops.assert_balanced();
}

/// "From `Failure::Expired`": the handler answers the request that nobody got round to.
#[test]
fn an_expired_work_gives_its_value_back() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1).mailbox_size(4))
        .error_handler(move |failure, _| {
            if let Failure::Expired(work) = failure {
                sender.send(number_in(work)).expect("the test listens");
            }
        })
        .build()
        .expect("valid");
    let drops = DropCounter::new();
    let works = [
        unwanted(1, &drops).deadline(Instant::now()),
        unwanted(2, &drops).deadline(Instant::now()).label("label"),
        unwanted(3, &drops).keyed("key").deadline(Instant::now()),
    ];
    for (number, work) in (1..).zip(works) {
        troupe.assign(work).expect("room");
        assert_eq!(receive(&receiver), number);
    }
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [0, 0, 0, 3, 0]);
}

/// "Asked for another type, the work comes back unharmed", and still runs. A plain work has no value, nor has one with
/// a reply.
#[test]
fn asked_for_another_type_the_work_comes_back() {
    let (troupe, _) = listening(Config::fixed(1));
    let (sender, receiver) = mpsc::channel();
    let work = Work::with(7_u32, move |number| {
        sender.send(number).map_err(|_| "nobody listens")
    });
    let work = work.into_value::<u64>().expect_err("no u64");
    let work = work.into_value::<i32>().expect_err("no i32");
    let work = work.into_value::<Option<u32>>().expect_err("no option");
    let work = work.into_value::<()>().expect_err("no unit");
    troupe.assign(work).expect("an idle actor");
    assert_eq!(receive(&receiver), 7);

    let tally = Tally::new(1);
    let mark = tally.clone();
    let plain: Work<Fault> = Work::new(move || {
        mark.mark(0);
        Ok(())
    });
    let plain = plain.into_value::<u32>().expect_err("no value");
    let plain = plain.into_value::<()>().expect_err("no value");
    troupe.assign(plain).expect("room");

    let (work, mut reply) = Work::<Fault>::with_reply(|| Ok(7_u32));
    let work = work.into_value::<u32>().expect_err("no value");
    assert!(!reply.is_finished());
    troupe.assign(work).expect("room");
    assert_eq!(in_words(answer(&mut reply)), "value 7");
    settle(&troupe);
    tally.assert_each_once();
    end(&troupe);
}

/// "`Box<T>` is not confused with `T`", nor an option with what is in it, nor a value with its place inside the work.
#[test]
fn a_box_is_another_type() {
    let boxed = || Work::<Fault>::with(Box::new(7_u32), |_| Ok(()));
    assert!(boxed().into_value::<u32>().is_err());
    let value = boxed().into_value::<Box<u32>>().expect("a box");
    assert_eq!(*value, 7);

    let bare = || Work::<Fault>::with(7_u32, |_| Ok(()));
    assert!(bare().into_value::<Box<u32>>().is_err());
    assert!(bare().into_value::<Option<u32>>().is_err());
    assert_eq!(bare().into_value::<u32>().ok(), Some(7));

    for value in [None, Some(7_u32)] {
        let maybe = || Work::<Fault>::with(value, |_| Ok(()));
        assert!(maybe().into_value::<u32>().is_err());
        assert!(maybe().into_value::<Option<Option<u32>>>().is_err());
        assert_eq!(maybe().into_value::<Option<u32>>().ok(), Some(value));
    }

    let large = || Work::<Fault>::with([7_u64; 100], |_| Ok(()));
    assert!(large().into_value::<Box<[u64; 100]>>().is_err());
    let value = large().into_value::<[u64; 100]>().expect("an array");
    assert_eq!(value, [7; 100]);

    let boxed = || Work::<Fault>::with(Box::new([7_u64; 100]), |_| Ok(()));
    assert!(boxed().into_value::<[u64; 100]>().is_err());
    assert!(boxed().into_value::<Box<[u64; 100]>>().is_ok());

    let unit = || Work::<Fault>::with((), |()| Ok(()));
    assert!(unit().into_value::<()>().is_ok());
}

/// Values and captures of more than 512 bytes: run, asked for, refused, and after a wrong question.
#[test]
fn a_large_value_comes_back_too() {
    type Large = [u64; 1_000];
    let large: Large = std::array::from_fn(|index| index as u64);
    let (troupe, gate) = full(1);
    let (sender, receiver) = mpsc::channel();
    let make = || {
        let sender = sender.clone();
        Work::with(large, move |value: Large| {
            sender.send(value).map_err(|_| "nobody listens")
        })
    };
    let asked = make().into_value::<Large>().expect("an array");
    assert_eq!(asked, large);
    let refused = troupe.assign(make()).expect_err("full").into_work();
    let asked = refused.into_value::<Large>().expect("an array");
    assert_eq!(asked, large);
    let work = make().label("large").into_value::<u64>().expect_err("no");
    gate.open();
    settle(&troupe);
    troupe.assign(work).expect("room");
    assert_eq!(receive(&receiver), large);
    // A small value beside large captures.
    let work = Work::with(7_u8, move |value| {
        assert_eq!(large[7], u64::from(value));
        sender.send(large).map_err(|_| "nobody listens")
    });
    let work = work.into_value::<u16>().expect_err("no u16");
    troupe.assign(work).expect("room");
    assert_eq!(receive(&receiver), large);
    let work = Work::<Fault>::with(7_u8, move |_| Err(["no", "never"][large.len() % 2]));
    assert_eq!(work.into_value::<u8>().ok(), Some(7));
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [4, 0, 0, 0, 0]);
}

/// "`keyed`, `deadline` and `label` do not hide it."
#[test]
fn options_do_not_hide_the_value() {
    let drops = DropCounter::new();
    let later = Instant::now() + HANG;
    let works = [
        unwanted(1, &drops).keyed("key"),
        unwanted(1, &drops).deadline(later),
        unwanted(1, &drops).label("label"),
        unwanted(1, &drops).keyed(&7).deadline(later).label("label"),
        refused(unwanted(1, &drops).label("label")).deadline(later),
        returned(unwanted(1, &drops).keyed("key")),
    ];
    for work in works {
        let work = work.into_value::<Lease>().err().expect("no lease");
        assert_eq!(number_in(work), 1);
    }
    drops.assert_balanced();
}

/// The value and the captures are dropped exactly once, whatever becomes of the work.
#[test]
fn value_and_captures_are_dropped_once() {
    type Way = fn(&Troupe<Fault>, Work<Fault>);
    let (troupe, _) = listening(Config::fixed(1));
    let ways: [Way; 8] = [
        |_, work| drop(work),
        |_, work| drop(work.into_value::<Lease>()),
        |_, work| drop(work.into_value::<u8>()),
        |_, work| assert_eq!(work.run(), Ok(())),
        |_, work| drop(refused(work)),
        |_, work| drop(returned(work)),
        |troupe, work| troupe.assign(work).expect("an idle actor"),
        |troupe, work| {
            let work = work.deadline(Instant::now());
            troupe.assign(work).expect("an idle actor");
        },
    ];
    for (way, act) in ways.into_iter().enumerate() {
        let drops = DropCounter::new();
        let capture = drops.lease();
        let work = Work::with(drops.lease(), move |value| {
            drop((value, capture));
            Ok(())
        });
        act(&troupe, work);
        settle(&troupe);
        assert!(drops.is_balanced(), "way {way}");
    }
    end(&troupe);
}

/// An error may carry the value to the handler, which retries with it, as a work with a value.
#[test]
fn a_retry_may_have_a_value() {
    /// A request, and how often it is still to fail.
    struct Job {
        left: u32,
        _lease: Lease,
    }
    fn work(job: Job) -> Work<Job> {
        Work::with(job, |mut job| {
            if job.left > 0 {
                job.left -= 1;
                return Err(job);
            }
            Ok(())
        })
    }
    let troupe = Troupe::<Job>::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(|failure, context| {
            if let Failure::Error(job) = failure {
                assert!(context.reassign(work(job)).is_ok());
            }
        })
        .build()
        .expect("valid");
    let drops = DropCounter::new();
    let job = Job {
        left: 3,
        _lease: drops.lease(),
    };
    assert!(troupe.assign(work(job)).is_ok());
    settle(&troupe);
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [1, 3, 0, 0, 0]);
}

/// A panic drops the value once. A value that panics in its drop makes the work panicked.
#[test]
fn a_panic_drops_the_value_once() {
    let (troupe, failures) = listening(Config::fixed(1));
    let drops = DropCounter::new();
    let work = Work::with(drops.lease(), |_held| quiet_panic("with a value"));
    troupe.assign(work).expect("an idle actor");
    settle(&troupe);
    drops.assert_balanced();
    let bomb = OnDrop::new(|| quiet_panic("in the value"));
    let work = Work::with((drops.lease(), bomb), |value| {
        drop(value);
        Ok(())
    });
    troupe.assign(work).expect("an idle actor");
    settle(&troupe);
    drops.assert_balanced();
    end(&troupe);
    let expected = ["panic with a value", "panic in the value"];
    assert_eq!(failures.entries(), expected);
    assert_eq!(ends(&troupe.stats()), [0, 0, 2, 0, 0]);
}

/// A value that panics in its drop unwinds to the user that drops the work. On an actor that is contained.
#[test]
fn a_value_of_a_dropped_work_may_panic_in_its_drop() {
    let drops = DropCounter::new();
    let bomb = || {
        let value = (OnDrop::new(|| quiet_panic("in the value")), drops.lease());
        Work::<Fault>::with(value, |_| Ok(()))
    };
    let work = bomb();
    let payload = catch_unwind(AssertUnwindSafe(|| drop(work))).expect_err("it panics");
    assert_eq!(payload.downcast_ref(), Some(&"in the value"));
    let troupe: Troupe<Fault> = Troupe::builder(Config::fixed(1)).build().expect("valid");
    let work = bomb().deadline(Instant::now());
    troupe.assign(work).expect("an idle actor");
    settle(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [0, 0, 0, 1, 0]);
    assert_eq!(troupe.stats().handler_panics, 1);
    end(&troupe);
}

/// The error of a work with a value reaches the handler like any other.
#[test]
fn a_failure_reaches_the_handler() {
    let told = Log::new();
    let log = told.clone();
    let troupe = Troupe::<String>::builder(Config::fixed(1))
        .error_handler(move |failure, context| {
            log.push(format!(
                "{:?} {}",
                context.label(),
                failure_in_words(&failure)
            ));
        })
        .build()
        .expect("valid");
    let work = Work::with("value".to_owned(), Err);
    troupe.assign(work).expect("an idle actor");
    let work = Work::with("another".to_owned(), Err).label("label");
    troupe.assign(work).expect("room");
    end(&troupe);
    let expected = ["None error value", "Some(\"label\") error another"];
    assert_eq!(told.entries(), expected);
}

//! An assign allocates the box of its work, and nothing else. Options cost one
//! box more, all together, and a reply costs one. The map of the taken keys
//! keeps its capacity, and works in line for a key share one buffer.
//!
//! A binary of its own, because a counting allocator counts for all threads
//! and makes everything slower; one test, because tests run side by side.

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use troupe_pool::{AssignError, Config, Handle, Troupe, Work};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WORKS: usize = 2_000;

/// Works of which each waits for the one before.
const WORKS_IN_TURN: usize = 500;

/// How a work is assigned.
type Assign<'a> = &'a dyn Fn(Work) -> Result<(), AssignError>;

/// How a work is made of its number.
type Make = fn(usize) -> Work;

/// Works, each with the allocations that it costs until it has been run.
const KINDS: [(&str, usize, Make); 7] = [
    ("plain", 1, plain),
    ("label", 2, |number| plain(number).label("no-op")),
    ("deadline", 2, |number| plain(number).deadline(later())),
    ("label and deadline", 2, |number| {
        plain(number).label("no-op").deadline(later())
    }),
    ("with a value", 1, |number| {
        Work::with(number, |number| {
            black_box(number);
            Ok(())
        })
    }),
    ("reply that is let go", 2, replied),
    ("reply, label and deadline", 3, |number| {
        replied(number).label("no-op").deadline(later())
    }),
];

fn plain(number: usize) -> Work {
    Work::new(move || {
        black_box(number);
        Ok(())
    })
}

fn replied(number: usize) -> Work {
    let (work, reply) = Work::with_reply(move || Ok(black_box(number)));
    drop(reply);
    work
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// "assign takes a closure, or the work that came back from a refusal, and does
/// not box a second time."
#[test]
fn an_assign_allocates_one_box() {
    for actors in [1, 4] {
        let fixed = Config::fixed(actors);
        let dynamic = Config::dynamic(0, actors).idle_timeout(Duration::MAX);
        for config in [fixed, dynamic] {
            let what = format!("{:?}, {actors} actors", config.mode);
            let troupe: Troupe = Troupe::new(config.mailbox_size(16)).expect("valid");
            let handle: Handle = troupe.handle();
            let ways: [(&str, Assign<'_>); 2] = [
                ("troupe", &|work| troupe.assign(work)),
                ("handle", &|work| handle.assign(work)),
            ];
            for (by, assign) in ways {
                // All actors run at once, so a Dynamic troupe grows to its max,
                // and each has been busy, idle and short of room.
                count_refused(&troupe, assign);
                for (_, _, make) in KINDS {
                    count_accepted(&troupe, assign, make);
                }
                count_answers(&troupe, assign);

                let refused = count_refused(&troupe, assign);
                assert_eq!(
                    refused, 0,
                    "{what}, by its {by}: refused and assigned again"
                );
                for (kind, each, make) in KINDS {
                    let accepted = count_accepted(&troupe, assign, make);
                    assert_eq!(accepted, each * WORKS, "{what}, by its {by}: {kind}");
                }
                let answers = count_answers(&troupe, assign);
                assert_eq!(answers, 2 * WORKS_IN_TURN, "{what}, by its {by}: answers");
            }
            // The first key of each shard allocates its table.
            count_free_keys(&troupe);
            let free = count_free_keys(&troupe);
            assert_eq!(free, 2 * WORKS_IN_TURN, "{what}: keys that are free");
            troupe.shutdown();
            assert_eq!(troupe.join(), Ok(()));
        }
    }
    a_line_allocates_its_buffer();
}

/// A work that stands in line costs its two boxes; the line has a buffer, which
/// grows in place. To pass a key on costs nothing.
fn a_line_allocates_its_buffer() {
    let config = Config::fixed(2).line_size(WORKS);
    let troupe: Troupe = Troupe::new(config).expect("valid");
    let line = || {
        let gate = Arc::new(Gate::default());
        let held = Arc::clone(&gate);
        let first: Work = Work::new(move || {
            held.pass();
            Ok(())
        });
        troupe.assign(first.keyed("key")).expect("there is room");
        while troupe.stats().running < 1 {
            std::thread::yield_now();
        }
        let ran = Arc::new(AtomicUsize::new(0));
        let region = Region::new(ALLOCATOR);
        for _ in 0..WORKS {
            let ran = Arc::clone(&ran);
            let work: Work = Work::new(move || {
                ran.fetch_add(1, Ordering::Release);
                Ok(())
            });
            troupe.assign(work.keyed("key")).expect("there is room");
        }
        let in_line = region.change().allocations;
        let region = Region::new(ALLOCATOR);
        gate.open();
        while ran.load(Ordering::Acquire) < WORKS {
            std::thread::yield_now();
        }
        let passed_on = region.change().allocations;
        troupe.wait_idle().expect("this is no actor's thread");
        (in_line, passed_on)
    };
    line();
    let (in_line, passed_on) = line();
    assert_eq!(in_line, 2 * WORKS + 1, "in line");
    assert_eq!(passed_on, 0, "passed on");
    troupe.shutdown();
    assert_eq!(troupe.join(), Ok(()));
}

/// The allocations of all threads while so many works are assigned, each with a
/// key that is free and after the one before has ended.
fn count_free_keys(troupe: &Troupe) -> usize {
    let mut allocations = 0;
    for number in 0..WORKS_IN_TURN {
        let region = Region::new(ALLOCATOR);
        let work = plain(number).keyed(&number);
        troupe.assign(work).expect("it is idle");
        allocations += region.change().allocations;
        // The wait allocates for itself.
        troupe.wait_idle().expect("this is no actor's thread");
    }
    allocations
}

/// The allocations of all threads while so many works are assigned, and each
/// answer is waited for.
fn count_answers(troupe: &Troupe, assign: Assign<'_>) -> usize {
    let region = Region::new(ALLOCATOR);
    for number in 0..WORKS_IN_TURN {
        let (work, reply) = Work::with_reply(move || Ok(black_box(number)));
        assign(work).expect("there is room");
        assert_eq!(reply.wait().ok(), Some(number));
    }
    let allocations = region.change().allocations;
    troupe.wait_idle().expect("this is no actor's thread");
    allocations
}

/// The allocations of all threads while so many works are assigned, each
/// until it is accepted, and all but the last of them run.
fn count_accepted(troupe: &Troupe, assign: Assign<'_>, make: Make) -> usize {
    let region = Region::new(ALLOCATOR);
    for number in 0..WORKS {
        let mut outcome = assign(make(number));
        while let Err(AssignError::Full(work)) = outcome {
            std::thread::yield_now();
            outcome = assign(work);
        }
        outcome.expect("nobody shuts it down");
    }
    // The wait allocates for itself.
    let allocations = region.change().allocations;
    troupe.wait_idle().expect("this is no actor's thread");
    allocations
}

/// The allocations while one work is assigned again and again to a troupe that
/// has no room, and at last run.
fn count_refused(troupe: &Troupe, assign: Assign<'_>) -> usize {
    let gate = Arc::new(Gate::default());
    let mut work = loop {
        let gate = Arc::clone(&gate);
        let outcome = assign(Work::new(move || {
            gate.pass();
            Ok(())
        }));
        if let Err(AssignError::Full(work)) = outcome {
            break work;
        }
    };
    // A thread that is only just starting allocates too.
    while troupe.stats().running < troupe.config().max {
        std::thread::yield_now();
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..WORKS {
        work = match assign(work) {
            Err(AssignError::Full(work)) => work,
            other => panic!("it is full: {other:?}"),
        };
    }
    let allocations = region.change().allocations;
    gate.open();
    work.run().expect("the gate is open");
    troupe.wait_idle().expect("this is no actor's thread");
    allocations
}

/// A gate that is closed at first.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut is_open = self.is_open.lock();
        self.opened.wait_while(&mut is_open, |is_open| !*is_open);
    }

    fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }
}

//! An assign allocates the box of its work, and nothing else.
//!
//! A binary of its own, because a counting allocator counts for all threads
//! and makes everything slower; one test, because tests run side by side.

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use troupe_pool::{AssignError, Config, Handle, Troupe, Work};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WORKS: usize = 10_000;

/// How a work is assigned.
type Assign<'a> = &'a dyn Fn(Work) -> Result<(), AssignError>;

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
                count_accepted(&troupe, assign);

                let refused = count_refused(&troupe, assign);
                assert_eq!(
                    refused, 0,
                    "{what}, by its {by}: refused and assigned again"
                );
                let accepted = count_accepted(&troupe, assign);
                assert_eq!(accepted, WORKS, "{what}, by its {by}: accepted");
            }
            troupe.shutdown();
            assert_eq!(troupe.join(), Ok(()));
        }
    }
}

/// The allocations of all threads while so many works are assigned, each
/// until it is accepted, and all but the last of them run.
fn count_accepted(troupe: &Troupe, assign: Assign<'_>) -> usize {
    let region = Region::new(ALLOCATOR);
    for number in 0..WORKS {
        let mut outcome = assign(Work::new(move || {
            black_box(number);
            Ok(())
        }));
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
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let mut work = loop {
        let gate = Arc::clone(&gate);
        let outcome = assign(Work::new(move || {
            let (is_open, opened) = &*gate;
            opened.wait_while(&mut is_open.lock(), |is_open| !*is_open);
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
    *gate.0.lock() = true;
    gate.1.notify_all();
    work.run().expect("the gate is open");
    troupe.wait_idle().expect("this is no actor's thread");
    allocations
}

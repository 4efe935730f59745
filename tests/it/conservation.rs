//! Nothing is lost and nothing is done twice: a long run under chaos, with every work and every lease counted.
//!
//! Random errors, panics in works, in captures and in the handler, retries, works that assign works, growth, retirement
//! after fractions of a millisecond, `shutdown`, `shutdown_now`, drop, and the next troupe: over 10^6 works in a release
//! build, 10^5 in a debug build. `TROUPE_STRESS` and `TROUPE_SEED` as everywhere.

use crate::support::{
    DropCounter, HANG, Lease, Rng, eventually, join, quiet_panic, rounds, within,
};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use troupe_pool::{AssignError, Config, Context, Failure, Handle, Stats, Troupe, Work};

const FEEDERS: u64 = 3;

/// The counts of the works and the callers, to be compared with those of the troupe.
#[derive(Default)]
struct Ledger {
    accepted: AtomicU64,
    refused: AtomicU64,
    begun: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    handled: AtomicU64,
    handler_panics: AtomicU64,
    drops: DropCounter,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, SeqCst);
}

/// The error of a work: it holds a lease, and how often it may still be tried again.
struct Fault {
    attempts: u32,
    _lease: Lease,
}

/// A capture whose drop panics once a work has armed it; not when a refused or returned work is dropped.
struct Bomb(Cell<bool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0.get() {
            quiet_panic("in a capture");
        }
    }
}

/// A work with a random fate.
fn chaotic(
    ledger: &Arc<Ledger>,
    rng: &mut Rng,
    handle: &Handle<Fault>,
    attempts: u32,
) -> Work<Fault> {
    let fate = rng.below(32);
    let length = if rng.chance(3) {
        rng.below(3_000)
    } else {
        rng.below(60)
    };
    let (ledger, handle) = (Arc::clone(ledger), handle.clone());
    let lease = ledger.drops.lease();
    let bomb = Bomb(Cell::new(false));
    let mut inner = Rng::new(rng.next());
    Work::new(move || {
        let _held = (&lease, &bomb);
        add(&ledger.begun);
        inner.dally(length);
        match fate {
            0 => {
                bomb.0.set(true);
                add(&ledger.panicked); // in the drop of the bomb, at the end
                Ok(())
            }
            1 => {
                add(&ledger.panicked);
                quiet_panic("in a work")
            }
            2..=5 => {
                add(&ledger.failed);
                Err(Fault {
                    attempts,
                    _lease: ledger.drops.lease(),
                })
            }
            6 if attempts > 0 => {
                // A work that assigns a work; what comes of that is its own.
                let work = chaotic(&ledger, &mut inner, &handle, attempts - 1);
                count(&ledger, handle.assign(work));
                add(&ledger.completed);
                Ok(())
            }
            _ => {
                add(&ledger.completed);
                Ok(())
            }
        }
    })
}

/// Enters the outcome of an assign; a refused work is dropped here.
fn count(ledger: &Ledger, outcome: Result<(), AssignError<Fault>>) -> bool {
    match outcome {
        Ok(()) => {
            add(&ledger.accepted);
            true
        }
        Err(refused) => {
            add(&ledger.refused);
            drop(refused.into_work());
            false
        }
    }
}

/// Retries in place, assigns, does both, or panics, as it comes.
fn handle_failure(
    ledger: &Arc<Ledger>,
    rng: &AtomicU64,
    failure: Failure<Fault>,
    context: &Context<'_, Fault>,
) {
    add(&ledger.handled);
    let mut rng = Rng::new(rng.fetch_add(1, SeqCst));
    let attempts = match &failure {
        Failure::Error(fault) => fault.attempts,
        _ => 0,
    };
    if attempts > 0 && rng.chance(60) {
        let retry = chaotic(ledger, &mut rng, context.troupe(), attempts - 1);
        count(ledger, context.reassign(retry));
    }
    if attempts > 0 && rng.chance(10) {
        let work = chaotic(ledger, &mut rng, context.troupe(), attempts - 1);
        count(ledger, context.troupe().assign(work));
    }
    if rng.chance(5) {
        drop(failure); // dropped while unwinding, a bad payload would abort, as everywhere in Rust
        add(&ledger.handler_panics);
        quiet_panic("in the handler");
    }
}

/// The way this troupe ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Shutdown,
    ShutdownNow,
    Drop,
    /// The feeders end first, then it is shut down.
    Drain,
}

fn feed(troupe: &Troupe<Fault>, ledger: &Arc<Ledger>, works: u64, seed: u64) {
    let mut rng = Rng::new(seed);
    let handle = troupe.handle();
    for _ in 0..works {
        let work = chaotic(ledger, &mut rng, &handle, 3);
        let outcome = match rng.below(8) {
            0 => troupe.assign_wait(work),
            1 => troupe.assign_timeout(work, Duration::from_micros(rng.below(300))),
            2 => handle.assign_wait(work),
            3 => handle.assign(work),
            _ => troupe.assign(work),
        };
        if !count(ledger, outcome) {
            thread::yield_now();
        }
        if rng.chance(1) {
            rng.pause(Duration::from_millis(1)); // long enough for an idle timeout
        }
        if rng.below(2_000) == 0 {
            troupe
                .wait_idle_timeout(HANG)
                .expect("hung: the troupe did not become idle");
        }
    }
}

/// One troupe from build to its end; how many works went through it.
fn generation(seed: u64, works: u64) -> u64 {
    let mut rng = Rng::new(seed);
    let timeout = Duration::from_micros(rng.below(700));
    let mailbox_size = [0, 1, 2, 7, 16][rng.below(5) as usize];
    let max = 1 + rng.below(5) as usize;
    let config = if rng.chance(40) {
        Config::fixed(max)
    } else {
        Config::dynamic(rng.below(2) as usize % max, max).idle_timeout(timeout)
    };
    let config = config.mailbox_size(mailbox_size);
    let end = [
        End::Shutdown,
        End::ShutdownNow,
        End::ShutdownNow,
        End::Drop,
        End::Drain,
    ][rng.below(5) as usize];
    println!("generation {seed}: {config:?}, {end:?}");

    let ledger = Arc::new(Ledger::default());
    let in_handler = Arc::clone(&ledger);
    let (handler_rng, handler_lease) = (AtomicU64::new(seed << 20), ledger.drops.lease());
    let troupe = Troupe::<Fault>::builder(config)
        .error_handler(move |failure, context| {
            let _held = &handler_lease;
            handle_failure(&in_handler, &handler_rng, failure, context);
        })
        .build()
        .expect("valid");

    let mut returned = Vec::new();
    thread::scope(|scope| {
        let feeders: Vec<_> = (0..FEEDERS)
            .map(|feeder| {
                let (troupe, ledger) = (&troupe, &ledger);
                let seed = seed * 100 + feeder;
                scope.spawn(move || feed(troupe, ledger, works / FEEDERS, seed))
            })
            .collect();
        // The end comes while they feed, about when they are two thirds through.
        let middle = works * 2 / 3;
        let fed = || ledger.accepted.load(SeqCst) + ledger.refused.load(SeqCst);
        match end {
            End::Drain | End::Drop => {}
            End::Shutdown => {
                eventually(|| fed() >= middle);
                assert!(troupe.shutdown());
            }
            End::ShutdownNow => {
                eventually(|| fed() >= middle);
                returned = troupe.shutdown_now();
            }
        }
        feeders
            .into_iter()
            .for_each(|feeder| feeder.join().expect("no panic in a feeder"));
    });
    let handle = troupe.handle();
    if let End::Drop = end {
        drop(troupe);
        eventually(|| handle.stats().actors == 0);
        // Nobody joins a dropped troupe: what its last thread still lets go of takes a moment.
        eventually(|| ledger.drops.is_balanced());
    } else {
        troupe.shutdown();
        join(&troupe);
    }
    balance(&ledger, &handle.stats(), returned)
}

/// Every count of ours against every count of the troupe's.
fn balance(ledger: &Ledger, stats: &Stats, returned: Vec<Work<Fault>>) -> u64 {
    let of = |counter: &AtomicU64| counter.load(SeqCst);
    let taken_back = returned.len() as u64;
    drop(returned);
    ledger.drops.assert_balanced();
    assert_eq!(
        of(&ledger.begun) + taken_back,
        of(&ledger.accepted),
        "run or returned, each accepted work once"
    );
    assert_eq!(
        of(&ledger.begun),
        of(&ledger.completed) + of(&ledger.failed) + of(&ledger.panicked)
    );
    assert_eq!(stats.accepted, of(&ledger.accepted), "{stats:?}");
    assert_eq!(stats.refused, of(&ledger.refused), "{stats:?}");
    assert_eq!(stats.completed, of(&ledger.completed), "{stats:?}");
    assert_eq!(stats.failed, of(&ledger.failed), "{stats:?}");
    assert_eq!(stats.panicked, of(&ledger.panicked), "{stats:?}");
    assert_eq!(stats.returned, taken_back, "{stats:?}");
    assert_eq!(
        stats.handler_panics,
        of(&ledger.handler_panics),
        "{stats:?}"
    );
    assert_eq!(
        of(&ledger.handled),
        of(&ledger.failed) + of(&ledger.panicked),
        "each failure reached the handler once"
    );
    assert_eq!(
        (stats.queued, stats.running, stats.idle, stats.actors),
        (0, 0, 0, 0)
    );
    assert_eq!(
        stats.accepted,
        stats.completed + stats.failed + stats.panicked + stats.returned
    );
    of(&ledger.accepted) + of(&ledger.refused)
}

/// Claim ("exactly once", "nothing is leaked", "counting"): all of it at once, and the books balance.
#[test]
fn every_work_and_every_lease_is_accounted_for() {
    let total = rounds(if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    }) as u64;
    let (mut done, mut seed) = (0, 1);
    while done < total {
        done += within(2 * HANG, move || generation(seed, 6_000));
        seed += 1;
    }
}

//! The interface of a pool in a bench, and how a round of works is timed.
//!
//! A work is one boxed closure. Of the benches that measure throughput it
//! captures a number, as small as a real work gets: it does nothing, then
//! counts itself. It counts on a cache line of its thread's own, so that
//! counting adds no traffic between cores. The clock runs from the first
//! producer's start until the last work has counted itself. The thread that
//! waits for that is parked meanwhile, and wakes a handful of times.
//!
//! `scripts/against` compiles this file too, without the peers.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Something that runs works on threads of its own.
pub(crate) trait Assign {
    /// Hands one work over. One that is refused is tried again after a yield.
    fn assign(&self, work: impl FnOnce() + Send + 'static);
}

/// Times how long it takes until `works` works have been run that `producers`
/// threads share out among them; `produce` hands over so many.
pub(crate) fn round(producers: usize, works: usize, produce: impl Fn(usize) + Sync) -> Duration {
    let expected = counted() + works as u64;
    let barrier = Barrier::new(producers);
    let began = thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|index| {
                let (barrier, produce) = (&barrier, &produce);
                let share = works / producers + usize::from(index < works % producers);
                scope.spawn(move || {
                    barrier.wait();
                    let began = Instant::now();
                    produce(share);
                    began
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a producer"))
            .min()
    });
    wait_until_counted(expected);
    began.expect("at least one producer").elapsed()
}

/// The code of a work.
pub(crate) fn no_op(number: usize) {
    black_box(number);
    count();
}

/// A counter on cache lines of its own.
#[repr(align(128))]
struct Counter(AtomicU64);

/// One counter for each thread that has ever counted.
static COUNTERS: Mutex<Vec<&'static Counter>> = Mutex::new(Vec::new());

thread_local! {
    static MINE: &'static Counter = {
        let counter: &'static Counter = Box::leak(Box::new(Counter(AtomicU64::new(0))));
        COUNTERS.lock().push(counter);
        counter
    };
}

/// Counts one work as finished.
pub(crate) fn count() {
    MINE.with(|mine| {
        // Only this thread writes.
        let before = mine.0.load(Ordering::Relaxed);
        mine.0.store(before + 1, Ordering::Release);
    });
}

/// How many works have been finished so far, by all threads.
pub(crate) fn counted() -> u64 {
    COUNTERS
        .lock()
        .iter()
        .map(|counter| counter.0.load(Ordering::Acquire))
        .sum()
}

/// Waits until so many works have been finished in all. It parks for as long
/// as the rest must take at the very least, so it overshoots by some tens of
/// microseconds.
pub(crate) fn wait_until_counted(expected: u64) {
    const QUICKEST: Duration = Duration::from_nanos(50);
    const AT_LEAST: Duration = Duration::from_micros(20);
    loop {
        let left = expected.saturating_sub(counted());
        if left == 0 {
            return;
        }
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        thread::park_timeout((QUICKEST * left).max(AT_LEAST));
    }
}

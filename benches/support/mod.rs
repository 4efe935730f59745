//! The contestants, and how a round of them is timed.
//!
//! Every work is one boxed closure that captures a number, as small as a real
//! work gets: it does nothing, then counts itself. It counts on a cache line
//! of its thread's own, so that counting adds no traffic between cores. The
//! clock runs from the first producer's start until the last work has counted
//! itself. Whoever waits for that is parked meanwhile, and wakes a handful of
//! times.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::Mutex;
use troupe_pool::{AssignError, BoxError, Config, Troupe};

/// The places in one actor's mailbox.
pub(crate) const MAILBOX: usize = 128;

/// Something that runs works on threads of its own.
pub(crate) trait Contestant: Sync {
    /// What it is called in tables.
    fn name(&self) -> &'static str;

    /// Hands `count` works over, one by one, from the calling thread. One that
    /// is refused is tried again after a yield.
    fn produce(&self, count: usize);
}

impl Contestant for Troupe {
    fn name(&self) -> &'static str {
        "troupe"
    }

    fn produce(&self, count: usize) {
        for number in 0..count {
            let mut outcome = self.assign(move || {
                no_op(number);
                Ok(())
            });
            while let Err(AssignError::Full(work)) = outcome {
                thread::yield_now();
                outcome = self.assign(work);
            }
            outcome.expect("nobody shuts this troupe down");
        }
    }
}

impl Contestant for threadpool::ThreadPool {
    fn name(&self) -> &'static str {
        "threadpool"
    }

    fn produce(&self, count: usize) {
        for number in 0..count {
            self.execute(move || no_op(number));
        }
    }
}

impl Contestant for rusty_pool::ThreadPool {
    fn name(&self) -> &'static str {
        "rusty_pool"
    }

    fn produce(&self, count: usize) {
        for number in 0..count {
            self.execute(move || no_op(number));
        }
    }
}

/// The same boxes through one bare bounded channel to the same number of
/// threads, with as many places as all mailboxes together: what a pool made of
/// such a channel cannot beat.
#[derive(Debug)]
pub(crate) struct Floor {
    sender: Sender<Boxed>,
}

type Boxed = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;

impl Floor {
    /// Starts the threads. They end when the floor is dropped.
    pub(crate) fn new(threads: usize) -> Self {
        let (sender, receiver) = bounded::<Boxed>(MAILBOX * threads);
        for _ in 0..threads {
            let receiver = receiver.clone();
            thread::Builder::new()
                .spawn(move || {
                    for work in receiver {
                        work().expect("a no-op does not fail");
                    }
                })
                .expect("a thread for the floor");
        }
        Self { sender }
    }
}

impl Contestant for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn produce(&self, count: usize) {
        for number in 0..count {
            let work: Boxed = Box::new(move || {
                no_op(number);
                Ok(())
            });
            let mut outcome = self.sender.try_send(work);
            while let Err(TrySendError::Full(work)) = outcome {
                thread::yield_now();
                outcome = self.sender.try_send(work);
            }
            outcome.expect("the receivers live as long as the sender");
        }
    }
}

/// Troupe, Fixed.
pub(crate) fn troupe(actors: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(MAILBOX)).expect("a troupe")
}

/// Troupe, its peers and, last, the floor, each with `actors` threads that have
/// all been started.
pub(crate) fn contestants(actors: usize) -> Vec<Box<dyn Contestant>> {
    let threadpool = threadpool::ThreadPool::new(actors);
    let rusty_pool = rusty_pool::ThreadPool::new(actors, actors, Duration::from_secs(3600));
    rusty_pool.start_core_threads();
    vec![
        Box::new(troupe(actors)),
        Box::new(threadpool),
        Box::new(rusty_pool),
        Box::new(Floor::new(actors)),
    ]
}

/// Times how long it takes until `works` works have been run that `producers`
/// threads share out among them.
pub(crate) fn round(contestant: &dyn Contestant, producers: usize, works: usize) -> Duration {
    let expected = counted() + works as u64;
    let barrier = Barrier::new(producers);
    let began = thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|index| {
                let barrier = &barrier;
                let share = works / producers + usize::from(index < works % producers);
                scope.spawn(move || {
                    barrier.wait();
                    let began = Instant::now();
                    contestant.produce(share);
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

/// What a work does.
fn no_op(number: usize) {
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

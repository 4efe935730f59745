//! The primitives that a user's program runs on: parking_lot's locks, std's
//! atomics and threads, crossbeam's bounded channel.

use std::cell::Cell;
use std::io;

use super::{Duration, Instant, Wake};

pub use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
pub use parking_lot::{Mutex, MutexGuard};
pub use std::sync::atomic::{AtomicU64, Ordering};
pub use std::thread::{JoinHandle, Thread, current, yield_now};
pub use std::thread_local;

/// A condition variable of parking_lot's, waited on up to a deadline.
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Waits to be notified, at most until `deadline` if there is one.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> Wake {
        match deadline {
            None => {
                self.0.wait(guard);
                Wake::Called
            }
            Some(deadline) if self.0.wait_until(guard, deadline).timed_out() => Wake::TimedOut,
            Some(_) => Wake::Called,
        }
    }

    /// Wakes one waiting thread.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes every waiting thread.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Starts a named thread, or says why the system has none to give.
pub fn spawn<F>(name: String, stack_size: Option<usize>, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    let mut builder = std::thread::Builder::new().name(name);
    if let Some(bytes) = stack_size {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(body)
}

/// Has the thread left our code? A join then waits for the drops of its thread-locals
/// at most.
pub fn is_finished(thread: &JoinHandle<()>) -> bool {
    thread.is_finished()
}

/// The number of the calling thread: no two threads of a process have the same,
/// as long as it has not started four thousand million of them.
#[inline]
pub fn thread_number() -> u32 {
    static LAST: Mutex<u32> = Mutex::new(0);
    thread_local! {
        /// Zero before the first use.
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    let number = NUMBER.get();
    if number != 0 {
        return number;
    }
    let mut last = LAST.lock();
    *last = last.wrapping_add(1).max(1);
    NUMBER.set(*last);
    *last
}

/// Blocks the calling thread until it is unparked, at most until `deadline`
/// if there is one. May return early for no reason.
pub fn park(deadline: Option<Instant>) -> Wake {
    let Some(deadline) = deadline else {
        std::thread::park();
        return Wake::Called;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Wake::TimedOut;
    }
    std::thread::park_timeout(left);
    if has_passed(deadline) {
        Wake::TimedOut
    } else {
        Wake::Called
    }
}

/// Spins until `done`, or until `time` is over.
pub fn spin_for(time: Duration, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() && !is_over(begin, time) {
        pause();
    }
}

/// Is so much time over?
pub fn is_over(begin: Instant, time: Duration) -> bool {
    begin.elapsed() >= time
}

/// Spins for the time between two looks at a shared word.
pub fn pause() {
    std::hint::spin_loop();
    std::hint::spin_loop();
}

/// Is it later than this?
pub fn has_passed(instant: Instant) -> bool {
    Instant::now() >= instant
}

/// Sleeps long enough for a thread of lower priority to run a few instructions.
#[expect(
    clippy::disallowed_methods,
    reason = "a yield does not let a thread of lower priority run"
)]
pub fn nap() {
    std::thread::sleep(Duration::from_micros(50));
}

/// How long a troupe that has an actor does without another after the system
/// has refused it one.
pub const SPAWN_RETRY: Duration = Duration::from_millis(100);

/// How often an actor that has run out of work looks for more before it goes
/// idle.
pub const SPINS: u32 = 25;

/// How many lines a striped counter is spread over.
pub const STRIPES: usize = 16;

/// How many threads can run at once, as far as this process may use them.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

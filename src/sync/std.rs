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

/// parking_lot's condition variable, with an optional deadline.
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

/// Starts a named thread, or returns the system's reason for refusing it.
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

/// Returns `true` if the thread has left our code. A join then waits at most for the drops of
/// its thread-locals.
pub fn is_finished(thread: &JoinHandle<()>) -> bool {
    thread.is_finished()
}

/// Returns the number of the calling thread, which is never zero. No two threads of a process
/// have the same number until more than four billion have asked for one.
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

/// Blocks the calling thread until it is unparked, at most until `deadline` if there is one.
/// It may wake spuriously.
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

/// Spins until `done` returns `true`, or until `time` is over.
pub fn spin_for(time: Duration, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() && !is_over(begin, time) {
        pause();
    }
}

/// Returns `true` once `time` has passed since `begin`.
pub fn is_over(begin: Instant, time: Duration) -> bool {
    begin.elapsed() >= time
}

/// Spins for the time between two looks at a shared word.
pub fn pause() {
    std::hint::spin_loop();
    std::hint::spin_loop();
}

/// Returns `true` once `instant` has passed.
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

/// After the system has refused a thread, a troupe that has an actor does not ask again for
/// this time.
pub const SPAWN_RETRY: Duration = Duration::from_millis(100);

/// How often an actor that has run out of work looks for more before it goes idle.
pub const SPINS: u32 = 25;

/// How many locks the taken keys are spread over.
pub const SHARDS: usize = 16;

/// How many lines a striped counter is spread over.
pub const STRIPES: usize = 16;

/// Returns how many threads of this process can run at once.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

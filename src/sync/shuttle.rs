//! The primitives under shuttle's controlled scheduler.
//!
//! If the outcome of a real primitive depends on the outside world, a coin of the
//! model decides, so a failing schedule can be replayed. The coin decides whether
//! the system refuses a thread, and whether a wait with a deadline times out.
//!
//! A wait that does not time out then has no deadline, which shows that progress
//! does not depend on timeouts. The exception is a wait after a refusal. Its
//! deadline is the present, and a wait until the present always times out.

use std::collections::VecDeque;
use std::io;

use super::{Arc, Duration, Instant, Wake};

pub use super::channel::TrySendError;
pub use super::lock::{Condvar, Mutex, MutexGuard};
pub use shuttle::sync::atomic::{AtomicU64, Ordering};
pub use shuttle::thread::{JoinHandle, Thread, current, yield_now};
pub use shuttle::thread_local;

/// Returns `true` in `percent` of a hundred cases.
fn coin(percent: u32) -> bool {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..100) < percent
}

/// Returns `true` if a wait until `deadline` times out. A coin decides unless it has passed.
pub(super) fn times_out(deadline: Instant) -> bool {
    deadline <= Instant::now() || coin(30)
}

/// Yields between zero and three times, in place of a wait that times out.
pub(super) fn spin() {
    use shuttle::rand::Rng;
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..4) {
        yield_now();
    }
}

/// Starts a thread, or refuses it if the coin says so. A name that begins with
/// `sure` is never refused, for models that are about something else. Now and
/// then this takes long enough for other threads to start and end meanwhile, even
/// the new one.
pub fn spawn<F>(name: String, _stack_size: Option<usize>, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    use shuttle::rand::Rng;
    let spawned = if !name.starts_with("sure") && coin(20) {
        Err(io::Error::from(io::ErrorKind::WouldBlock))
    } else {
        shuttle::thread::Builder::new().name(name).spawn(body)
    };
    if coin(10) {
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..100) {
            yield_now();
        }
    }
    spawned
}

/// Decided by a coin, since a join of a thread that has not finished only waits.
pub fn is_finished(_thread: &JoinHandle<()>) -> bool {
    coin(50)
}

/// Returns the number of the calling thread. The model's own numbers begin at zero, which here
/// stands for no thread.
pub fn thread_number() -> u32 {
    1 + u32::try_from(usize::from(shuttle::current::me())).expect("a model has few threads")
}

pub fn park(deadline: Option<Instant>) -> Wake {
    // The coin decides even if the idle timeout is zero, so some actors stay.
    if deadline.is_some() && coin(30) {
        spin();
        return Wake::TimedOut;
    }
    shuttle::thread::park();
    Wake::Called
}

/// Yields a few times, unless `done` returns `true`.
pub fn spin_for(_time: Duration, mut done: impl FnMut() -> bool) {
    if !done() {
        spin();
    }
}

pub fn pause() {
    yield_now();
}

/// Yields, since time does not pass in a model.
pub fn nap() {
    yield_now();
}

/// Decided by a coin, so time passes at any speed.
pub fn is_over(_begin: Instant, _time: Duration) -> bool {
    coin(50)
}

/// Decided by a coin, like `is_over`.
pub fn has_passed(_instant: Instant) -> bool {
    coin(50)
}

/// Zero, because a longer time would be measured by the real clock.
pub const SPAWN_RETRY: Duration = Duration::ZERO;

/// Fewer than in `std`, because a look that finds nothing teaches a model nothing.
pub const SPINS: u32 = 1;

/// Two, so that keys share them.
pub const SHARDS: usize = 2;

/// Two, so that threads share them. Each is many steps of a snapshot.
pub const STRIPES: usize = 2;

/// Two, so that actors spin and hold off.
pub fn processors() -> usize {
    2
}

/// The bounded channel as a locked queue. It models the results of crossbeam's channel, not its
/// inner steps.
#[derive(Debug)]
struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Queue<T>>);

#[derive(Debug)]
pub struct Receiver<T>(Arc<Queue<T>>);

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        items: Mutex::new(VecDeque::new()),
        capacity,
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Sender<T> {
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut items = self.0.items.lock();
        if items.len() == self.0.capacity {
            return Err(TrySendError::Full(item));
        }
        items.push_back(item);
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.0.items.lock().len() == self.0.capacity
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, ()> {
        self.0.items.lock().pop_front().ok_or(())
    }

    pub fn len(&self) -> usize {
        self.0.items.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

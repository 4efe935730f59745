//! The same primitives under shuttle's controlled scheduler.
//!
//! Where the real ones depend on the outside world, a coin of the model
//! decides, so that a failing schedule can be replayed: whether the system
//! refuses a thread, and whether a wait with a deadline times out. A wait
//! that does not time out waits for good, which also shows that progress
//! does not rest on a time-out; but where it has to, after a refusal, the
//! deadline is now, and a wait until now always times out.

use std::collections::VecDeque;
use std::io;

use super::{Arc, Duration, Instant, Wake};

pub use super::channel::TrySendError;
pub use super::lock::{Condvar, Mutex, MutexGuard};
pub use shuttle::sync::atomic::{AtomicU64, Ordering};
pub use shuttle::thread::{JoinHandle, Thread, current, yield_now};
pub use shuttle::thread_local;

/// True with a chance of `percent` in a hundred.
fn coin(percent: u32) -> bool {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..100) < percent
}

/// A coin: does a wait with a deadline that is still to come time out?
pub(super) fn times_out(deadline: Instant) -> bool {
    deadline <= Instant::now() || coin(30)
}

/// Lets others run between zero and three times: a wait that times out.
pub(super) fn spin() {
    use shuttle::rand::Rng;
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..4) {
        yield_now();
    }
}

/// Starts a thread, or refuses it when the coin says so. Names that begin
/// with `sure` are never refused, for models that are about something else.
/// Now and then this takes so long that others come and go meanwhile, the new
/// thread among them.
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

/// A coin: a join of one that has not finished waits, that is all.
pub fn is_finished(_thread: &JoinHandle<()>) -> bool {
    coin(50)
}

/// The model's own numbers begin at zero, which is no thread's here.
pub fn thread_number() -> u32 {
    1 + u32::try_from(usize::from(shuttle::current::me())).expect("a model has few threads")
}

pub fn park(deadline: Option<Instant>) -> Wake {
    // A coin also where an idle time-out is zero, so that some actors stay.
    if deadline.is_some() && coin(30) {
        spin();
        return Wake::TimedOut;
    }
    shuttle::thread::park();
    Wake::Called
}

/// Lets others run for a while.
pub fn spin_for(_time: Duration, mut done: impl FnMut() -> bool) {
    if !done() {
        spin();
    }
}

pub fn pause() {
    yield_now();
}

/// Lets others run: time does not pass here.
pub fn nap() {
    yield_now();
}

/// A coin: time passes as fast as it likes.
pub fn is_over(_begin: Instant, _time: Duration) -> bool {
    coin(50)
}

/// As `is_over`.
pub fn has_passed(_instant: Instant) -> bool {
    coin(50)
}

/// None: time that does not pass by a coin would pass by itself.
pub const SPAWN_RETRY: Duration = Duration::ZERO;

/// Fewer than in earnest: a look that finds nothing teaches a model nothing.
pub const SPINS: u32 = 1;

/// Two, so that threads share them. Each is many steps of a snapshot.
pub const STRIPES: usize = 2;

/// Two, so that spins and looking away are modelled.
pub fn processors() -> usize {
    2
}

/// The bounded channel as a locked queue: crossbeam's own insides are not
/// modelled, its results are.
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

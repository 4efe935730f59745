//! The primitives under loom. It tries every schedule of a small model up to a
//! number of preemptions, and every value that a load may return.
//!
//! Atomics, locks and condition variables are loom's. Four things differ from
//! loom's or from the real ones. The last two limit what a model shows:
//!
//! - In loom, a sequentially consistent load may return an old value unless both
//!   that value and the newer one were stored with that ordering. So a word
//!   also stores its first value in this way. Such a store is an exchange, because
//!   loom lets an exchange miss a store that it does not know of. A word whose
//!   operations are all sequentially consistent then always shows its newest value.
//!   A word that is written or read in a weaker way may show old ones.
//! - loom remembers only the last access to a word before a store. A load of one
//!   thread therefore hides an earlier load of another thread. No schedule is then
//!   tried in which the hidden load comes after the store. A count of loads beside
//!   each word makes every load an access that loom remembers.
//! - The mailbox follows the published algorithm of crossbeam's bounded channel.
//!   Its places have stamps, and its head and tail are moved by exchanges. The
//!   orderings are crossbeam's, with one exception. crossbeam finds "full" and
//!   "empty" by a relaxed load behind a sequentially consistent fence. Here the load
//!   is sequentially consistent too, since loom orders such fences only among
//!   themselves. The items are not loom's.
//! - Time stands still, but a wait with a deadline times out at once. `Arc`,
//!   `OnceLock` and `SyncWrapper` are the real ones, so loom sees no race on them.

use std::io;
use std::ops::Deref;

use super::{Arc, Duration, SyncWrapper, Wake};

pub use super::channel::TrySendError;
pub use super::lock::{Condvar, Mutex, MutexGuard};
pub use loom::sync::atomic::Ordering;
pub use loom::thread::{JoinHandle, yield_now};

/// Runs a model under every schedule with at most `preemptions` preemptions, or as many as
/// `LOOM_MAX_PREEMPTIONS` says. Prints how often the model has run.
#[cfg(test)]
#[expect(clippy::print_stderr, reason = "for those who run the models")]
pub fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let ways = Arc::new(Ghost::default());
    let counter = Arc::clone(&ways);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(move || {
        counter.raise();
        model();
    });
    eprintln!(
        "{} ways, at most {:?} preemptions",
        ways.get(),
        builder.preemption_bound
    );
}

/// The only instant. A model that depended on the clock could not be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(unnameable_types, reason = "in place of a public type of std's")]
pub struct Instant(());

impl Instant {
    pub fn now() -> Self {
        Self(())
    }

    pub fn saturating_duration_since(&self, _earlier: Self) -> Duration {
        Duration::ZERO
    }

    pub fn checked_add(&self, _time: Duration) -> Option<Self> {
        Some(*self)
    }
}

/// `thread_local!` with a `const` initializer, which loom's macro does not accept.
macro_rules! local {
    ($(#[$about:meta])* static $name:ident: $kind:ty = const $init:block;) => {
        loom::thread_local! {
            $(#[$about])*
            static $name: $kind = $init;
        }
    };
}
pub(crate) use local as thread_local;

/// An atomic word, with the first two differences that the head of this file describes.
#[derive(Debug)]
pub struct AtomicU64 {
    word: loom::sync::atomic::AtomicU64,
    /// Raised before every load.
    loads: loom::sync::atomic::AtomicU64,
}

impl AtomicU64 {
    pub fn new(value: u64) -> Self {
        let word = loom::sync::atomic::AtomicU64::new(value);
        word.store(value, Ordering::SeqCst);
        let loads = loom::sync::atomic::AtomicU64::new(0);
        Self { word, loads }
    }

    pub fn load(&self, order: Ordering) -> u64 {
        // ORDERING: publishes nothing, and no thread reads it. See the head of this file.
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.word.load(order)
    }

    pub fn store(&self, value: u64, order: Ordering) {
        if order == Ordering::SeqCst {
            self.word.swap(value, order);
        } else {
            self.word.store(value, order);
        }
    }
}

impl Default for AtomicU64 {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Deref for AtomicU64 {
    type Target = loom::sync::atomic::AtomicU64;

    fn deref(&self) -> &Self::Target {
        &self.word
    }
}

/// A number outside the model, which a test counts with. It adds no schedules and orders
/// nothing.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct Ghost(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl Ghost {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Returns `true`: every wait with a deadline times out.
pub(super) fn times_out(_deadline: Instant) -> bool {
    true
}

/// Does nothing. A thread that yields would not run again until the others are blocked.
pub(super) fn spin() {}

/// A thread that can be unparked. Loom's own loses an unpark that comes while the thread
/// yields.
#[derive(Clone, Debug)]
pub struct Thread(Arc<Token>);

#[derive(Debug, Default)]
struct Token {
    called: Mutex<bool>,
    call: Condvar,
}

loom::thread_local! {
    static CURRENT: Thread = Thread(Arc::new(Token::default()));
}

impl Thread {
    pub fn unpark(&self) {
        *self.0.called.lock() = true;
        self.0.call.notify_one();
    }
}

pub fn current() -> Thread {
    CURRENT.with(Thread::clone)
}

pub fn park(deadline: Option<Instant>) -> Wake {
    let Thread(token) = current();
    let mut called = token.called.lock();
    let mut wake = Wake::Called;
    while !*called && wake == Wake::Called {
        wake = token.call.wait(&mut called, deadline);
    }
    *called = false;
    wake
}

/// Starts a thread. None is refused.
pub fn spawn<F>(name: String, _stack_size: Option<usize>, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    loom::thread::Builder::new().name(name).spawn(body)
}

/// Returns `false`, so all exited threads are left to the join of the troupe.
pub fn is_finished(_thread: &JoinHandle<()>) -> bool {
    false
}

/// Returns the number of the calling thread. The model's own numbers begin at zero, which here
/// stands for no thread.
pub fn thread_number() -> u32 {
    let name = format!("{:?}", loom::thread::current().id());
    let digits = name.trim_matches(|symbol: char| !symbol.is_ascii_digit());
    1 + digits
        .parse::<u32>()
        .expect("a thread's name in the model has its number")
}

/// Yields, since time does not pass in a model.
pub fn nap() {
    yield_now();
}

/// Looks once, which in a model is as good as many times.
pub fn spin_for(_time: Duration, mut done: impl FnMut() -> bool) {
    let _: bool = done();
}

pub fn pause() {
    yield_now();
}

/// Returns `false`, so a refusal lasts for the whole model.
pub fn has_passed(_instant: Instant) -> bool {
    false
}

/// Returns `true`, so no loop lasts until a time is over. Such a loop yields, and a thread that
/// yields in loom does not run again until the others are blocked, which hides most schedules.
pub fn is_over(_begin: Instant, _time: Duration) -> bool {
    true
}

/// Zero, since a spin yields (see `is_over`).
pub const SPINS: u32 = 0;

/// Of no effect, since time stands still.
pub const SPAWN_RETRY: Duration = Duration::ZERO;

/// Two, so that keys share them.
pub const SHARDS: usize = 2;

/// One, on which all threads meet.
pub const STRIPES: usize = 1;

pub fn processors() -> usize {
    2
}

/// The bounded channel. Item n, counted from zero, has the place n modulo the capacity. The
/// stamp of the place is 2n while it is free for that item, and 2n + 1 while it holds the item.
#[derive(Debug)]
struct Queue<T> {
    /// How many items have been taken.
    head: AtomicU64,
    /// How many have been placed.
    tail: AtomicU64,
    places: Box<[Place<T>]>,
}

#[derive(Debug)]
struct Place<T> {
    stamp: AtomicU64,
    item: SyncWrapper<Option<T>>,
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Queue<T>>);

#[derive(Debug)]
pub struct Receiver<T>(Arc<Queue<T>>);

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let places = (0..capacity as u64)
        .map(|number| Place {
            stamp: AtomicU64::new(2 * number),
            item: SyncWrapper::new(None),
        })
        .collect();
    let queue = Arc::new(Queue {
        head: AtomicU64::new(0),
        tail: AtomicU64::new(0),
        places,
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Queue<T> {
    fn capacity(&self) -> u64 {
        self.places.len() as u64
    }

    fn place(&self, number: u64) -> &Place<T> {
        &self.places[(number % self.capacity()) as usize]
    }

    fn len(&self) -> u64 {
        loop {
            // ORDERING: crossbeam's, like all in this file without a note.
            let tail = self.tail.load(Ordering::SeqCst);
            let head = self.head.load(Ordering::SeqCst);
            if self.tail.load(Ordering::SeqCst) == tail {
                return tail - head;
            }
        }
    }
}

impl<T> Sender<T> {
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let queue = &*self.0;
        loop {
            let tail = queue.tail.load(Ordering::Relaxed);
            let place = queue.place(tail);
            let stamp = place.stamp.load(Ordering::Acquire);
            if stamp == 2 * tail {
                let moved = queue.tail.compare_exchange(
                    tail,
                    tail + 1,
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                );
                if moved.is_ok() {
                    *place.item.lock() = Some(item);
                    place.stamp.store(2 * tail + 1, Ordering::Release);
                    return Ok(());
                }
            } else if stamp + 2 * queue.capacity() == 2 * tail + 1 {
                loom::sync::atomic::fence(Ordering::SeqCst);
                // ORDERING: crossbeam's is relaxed (see the head of this file).
                if queue.head.load(Ordering::SeqCst) + queue.capacity() == tail {
                    return Err(TrySendError::Full(item));
                }
                yield_now();
            } else {
                yield_now();
            }
        }
    }

    pub fn is_full(&self) -> bool {
        let tail = self.0.tail.load(Ordering::SeqCst);
        let head = self.0.head.load(Ordering::SeqCst);
        head + self.0.capacity() == tail
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, ()> {
        let queue = &*self.0;
        loop {
            let head = queue.head.load(Ordering::Relaxed);
            let place = queue.place(head);
            let stamp = place.stamp.load(Ordering::Acquire);
            if stamp == 2 * head + 1 {
                let moved = queue.head.compare_exchange(
                    head,
                    head + 1,
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                );
                if moved.is_ok() {
                    let item = place.item.lock().take();
                    place
                        .stamp
                        .store(2 * (head + queue.capacity()), Ordering::Release);
                    return item.ok_or(());
                }
            } else if stamp == 2 * head {
                loom::sync::atomic::fence(Ordering::SeqCst);
                // ORDERING: crossbeam's is relaxed (see the head of this file).
                if queue.tail.load(Ordering::SeqCst) == head {
                    return Err(());
                }
                yield_now();
            } else {
                yield_now();
            }
        }
    }

    pub fn len(&self) -> usize {
        self.0.len() as usize
    }

    pub fn is_empty(&self) -> bool {
        let head = self.0.head.load(Ordering::SeqCst);
        let tail = self.0.tail.load(Ordering::SeqCst);
        head == tail
    }
}

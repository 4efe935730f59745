//! Gates, tallies and leases: what a test waits on, and counts with, instead of the clock.
//!
//! Nothing here sleeps but [`eventually`], which polls a condition for the few tests whose subject is time itself
//! (an idle timeout) or a state that signals nobody (an actor gone idle).

use parking_lot::{Condvar, Mutex};
use std::fmt::{Debug, Display};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{
    AssignError, BoxError, BuildError, Config, Failure, Reply, ReplyError, Stats, Troupe, Work,
};

/// After this long a test is hung. No correct run comes near it, whatever else the machine does.
pub(crate) const HANG: Duration = Duration::from_secs(90);

/// Runs `f` on a thread of its own and fails, with the caller's line, if it has not ended after `limit`.
#[track_caller]
pub(crate) fn within<R: Send + 'static>(
    limit: Duration,
    f: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("within".to_owned())
        .spawn(move || drop(sender.send(f())))
        .expect("a thread for the test");
    match receiver.recv_timeout(limit) {
        Ok(value) => {
            thread.join().expect("it has sent its value");
            value
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(payload) => resume_unwind(payload),
            Ok(()) => unreachable!("a thread that ends well sends its value"),
        },
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("hung: not done after {limit:?}"),
    }
}

/// Polls until `condition` holds, and fails with the caller's line if it does not before [`HANG`].
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let mut looks = 0_u32;
    let begun = Instant::now();
    while !condition() {
        looks = looks.saturating_add(1);
        if looks < 2_000 {
            thread::yield_now();
        } else {
            assert!(
                begun.elapsed() < HANG,
                "hung: the condition never came to hold"
            );
            thread::park_timeout(Duration::from_micros(200));
        }
    }
}

/// The next message, or a failed test.
#[track_caller]
pub(crate) fn receive<T>(receiver: &mpsc::Receiver<T>) -> T {
    receiver.recv_timeout(HANG).expect("hung: no message came")
}

/// `join`, or a failed test instead of a hung one.
#[track_caller]
pub(crate) fn join<E>(troupe: &Troupe<E>) {
    troupe
        .join_timeout(HANG)
        .expect("hung: the troupe did not end");
}

/// `shutdown`, then `join`.
#[track_caller]
pub(crate) fn end<E>(troupe: &Troupe<E>) {
    troupe.shutdown();
    join(troupe);
}

/// `wait_idle`, or a failed test instead of a hung one.
#[track_caller]
pub(crate) fn settle<E>(troupe: &Troupe<E>) {
    troupe
        .wait_idle_timeout(HANG)
        .expect("hung: the troupe did not become idle");
}

/// The name of the thread that asks.
pub(crate) fn me() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Waits until the thread of that name (of this process, at most 15 bytes) sleeps in the kernel: until a caller that
/// announced that it is about to block has done so.
#[cfg(target_os = "linux")]
#[track_caller]
pub(crate) fn wait_until_blocked(name: &str) {
    eventually(|| {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux has /proc");
        tasks.flatten().any(|task| {
            let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            read("comm").trim_end() == name
                && read("stat")
                    .rsplit(')')
                    .next()
                    .is_some_and(|rest| rest.starts_with(" S"))
        })
    });
}

/// Elsewhere nothing tells; give it every chance.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wait_until_blocked(_name: &str) {
    for _ in 0..1_000 {
        thread::yield_now();
    }
}

/// Closed until opened: works wait at it, and the test can wait until so many do.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<GateState>);

#[derive(Default)]
struct GateState {
    state: Mutex<(bool, usize)>, // open, waiting
    changed: Condvar,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, for good.
    pub(crate) fn open(&self) {
        self.0.state.lock().0 = true;
        self.0.changed.notify_all();
    }

    /// Returns once the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = self.0.state.lock();
        state.1 += 1;
        self.0.changed.notify_all();
        while !state.0 {
            self.0.changed.wait(&mut state);
        }
        state.1 -= 1;
    }

    /// Returns once `count` threads wait here.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        let until = Instant::now() + HANG;
        let mut state = self.0.state.lock();
        while state.1 != count {
            let timed_out = self.0.changed.wait_until(&mut state, until).timed_out();
            assert!(!timed_out, "hung: {} at the gate, not {count}", state.1);
        }
    }

    /// A work that passes this gate and succeeds.
    pub(crate) fn work<E: 'static>(&self) -> Work<E> {
        let gate = self.clone();
        Work::new(move || {
            gate.pass();
            Ok(())
        })
    }
}

/// Gives `count` actors of the troupe a work each that waits at the gate, and returns when all of them wait.
#[track_caller]
pub(crate) fn occupy<E: Send + 'static>(troupe: &Troupe<E>, count: usize) -> Gate {
    let gate = Gate::new();
    for _ in 0..count {
        assert!(
            troupe.assign(gate.work()).is_ok(),
            "room for a work per actor"
        );
    }
    gate.wait_for(count);
    gate
}

/// Assigns works that wait at the gate until one is refused, which must be for want of room; how many were accepted.
#[track_caller]
pub(crate) fn fill<E: Send + 'static>(troupe: &Troupe<E>, gate: &Gate) -> usize {
    let mut accepted = 0;
    loop {
        match troupe.assign(gate.work()) {
            Ok(()) => accepted += 1,
            Err(AssignError::Full(_)) => return accepted,
            Err(other) => panic!("refused, but not for want of room: {other}"),
        }
    }
}

/// How often each of so many works ran.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Arc<[AtomicU32]>);

impl Tally {
    pub(crate) fn new(works: usize) -> Self {
        Self((0..works).map(|_| AtomicU32::new(0)).collect())
    }

    pub(crate) fn mark(&self, index: usize) {
        self.0[index].fetch_add(1, SeqCst);
    }

    pub(crate) fn count(&self, index: usize) -> u32 {
        self.0[index].load(SeqCst)
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().map(|count| count.load(SeqCst) as usize).sum()
    }

    /// Every work ran, and none twice.
    #[track_caller]
    pub(crate) fn assert_each_once(&self) {
        for (index, count) in self.0.iter().enumerate() {
            assert_eq!(count.load(SeqCst), 1, "runs of work {index}");
        }
    }

    /// A work that marks `index`.
    pub(crate) fn work(&self, index: usize) -> Work {
        let tally = self.clone();
        Work::new(move || {
            tally.mark(index);
            Ok(())
        })
    }
}

/// Events, in order.
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    pub(crate) fn push(&self, value: T) {
        self.0.lock().push(value);
    }

    pub(crate) fn entries(&self) -> Vec<T> {
        self.0.lock().clone()
    }
}

/// Hands out leases, and counts those that have come back.
#[derive(Clone, Default)]
pub(crate) struct DropCounter(Arc<(AtomicUsize, AtomicUsize)>); // taken, dropped

impl DropCounter {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn lease(&self) -> Lease {
        self.0.0.fetch_add(1, SeqCst);
        Lease(self.clone())
    }

    pub(crate) fn dropped(&self) -> usize {
        self.0.1.load(SeqCst)
    }

    /// Every lease that was taken has been dropped.
    pub(crate) fn is_balanced(&self) -> bool {
        self.dropped() == self.0.0.load(SeqCst)
    }

    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        assert_eq!(
            self.dropped(),
            self.0.0.load(SeqCst),
            "leases dropped, of those taken"
        );
    }
}

/// Counted when it is dropped.
pub(crate) struct Lease(DropCounter);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.0.1.fetch_add(1, SeqCst);
    }
}

/// Runs its function when dropped: a capture whose `Drop` blocks, counts or panics.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// Panics with `text` as the message, without the hook's report on stderr.
pub(crate) fn quiet_panic(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

/// An error that says `text`.
pub(crate) fn error(text: &str) -> BoxError {
    text.into()
}

/// An error that is compared easily.
pub(crate) type Fault = &'static str;

/// A troupe whose handler writes down each failure and drops it.
pub(crate) fn listening(config: Config) -> (Troupe<Fault>, Log<String>) {
    let log = Log::new();
    let told = log.clone();
    let troupe = Troupe::builder(config)
        .error_handler(move |failure, _| told.push(failure_in_words(&failure)))
        .build()
        .expect("valid");
    (troupe, log)
}

/// A failure in words.
pub(crate) fn failure_in_words<E: Display>(failure: &Failure<E>) -> String {
    match failure {
        Failure::Error(error) => format!("error {error}"),
        Failure::Panic(panic) => format!("panic {}", panic.message().unwrap_or("of no text")),
        Failure::Expired(_) => "expired".to_owned(),
        _ => "another failure".to_owned(),
    }
}

/// The answer, or a failed test instead of a hung one.
#[track_caller]
pub(crate) fn answer<T, E>(reply: &mut Reply<T, E>) -> Result<T, ReplyError<E>> {
    reply.wait_timeout(HANG).expect("hung: no answer came")
}

/// An answer in words: a failure reads as it does in [`failure_in_words`].
pub(crate) fn in_words<T: Display, E: Debug + Display>(answer: Result<T, ReplyError<E>>) -> String {
    match answer {
        Ok(value) => format!("value {value}"),
        Err(ReplyError::Error(error)) => failure_in_words(&Failure::Error(error)),
        Err(ReplyError::Panic(panic)) => failure_in_words(&Failure::<E>::Panic(panic)),
        Err(ReplyError::Expired) => "expired".to_owned(),
        Err(reason) => format!("{reason:?}").to_lowercase(),
    }
}

/// How works have ended: completed, failed, panicked, expired, cancelled.
pub(crate) fn ends(stats: &Stats) -> [u64; 5] {
    [
        stats.completed,
        stats.failed,
        stats.panicked,
        stats.expired,
        stats.cancelled,
    ]
}

/// How a work ends that is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Completes,
    Fails,
    Panics,
    PanicsInADrop,
}

impl Fate {
    pub(crate) const ALL: [Self; 4] = [
        Self::Completes,
        Self::Fails,
        Self::Panics,
        Self::PanicsInADrop,
    ];

    /// A closure that ends like this. The lease is among its captures.
    pub(crate) fn act(self, lease: Lease) -> impl FnOnce() -> Result<u32, Fault> + Send + 'static {
        let bomb =
            (self == Self::PanicsInADrop).then(|| OnDrop::new(|| quiet_panic("in a capture")));
        move || {
            let _held = (&lease, &bomb);
            match self {
                Self::Fails => Err("on purpose"),
                Self::Panics => quiet_panic("on purpose"),
                Self::Completes | Self::PanicsInADrop => Ok(7),
            }
        }
    }

    /// A plain work that ends like this.
    pub(crate) fn work(self, lease: Lease) -> Work<Fault> {
        let act = self.act(lease);
        Work::new(move || act().map(drop))
    }

    /// The failure in words, as a handler is told of it.
    pub(crate) fn failure(self) -> Option<String> {
        let failure = match self {
            Self::Completes => return None,
            Self::Fails => "error on purpose",
            Self::Panics => "panic on purpose",
            Self::PanicsInADrop => "panic in a capture",
        };
        Some(failure.to_owned())
    }

    /// The answer in words.
    pub(crate) fn answer(self) -> String {
        self.failure().unwrap_or_else(|| "value 7".to_owned())
    }

    /// How one work of this fate is counted: as [`ends`] says it.
    pub(crate) fn ends(self) -> [u64; 5] {
        let at = match self {
            Self::Completes => 0,
            Self::Fails => 1,
            Self::Panics | Self::PanicsInADrop => 2,
        };
        std::array::from_fn(|index| u64::from(index == at))
    }
}

/// A work on its way back to its caller.
pub(crate) const WAYS_BACK: [fn(Work<Fault>) -> Work<Fault>; 3] =
    [never_assigned, refused, returned];

fn never_assigned(work: Work<Fault>) -> Work<Fault> {
    work
}

/// The work, once a troupe has refused it.
pub(crate) fn refused(work: Work<Fault>) -> Work<Fault> {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(0));
    let gate = occupy(&troupe, 2);
    let refused = troupe.assign(work).expect_err("every actor is busy");
    assert!(refused.is_full());
    gate.open();
    end(&troupe);
    refused.into_work()
}

/// The work, once a troupe has accepted it and returned it.
pub(crate) fn returned(work: Work<Fault>) -> Work<Fault> {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(1));
    let gate = occupy(&troupe, 2);
    troupe.assign(work).expect("a mailbox with room");
    let mut returned = troupe.shutdown_now();
    gate.open();
    join(&troupe);
    assert_eq!((returned.len(), troupe.stats().returned), (1, 1));
    returned.remove(0)
}

/// The largest stack that a configuration may ask for and the system will not give.
pub(crate) fn refused_stack() -> usize {
    (40..usize::BITS - 1)
        .rev()
        .map(|bits| 1_usize << bits)
        .find(|bytes| {
            let built = Troupe::new(Config::fixed(1).mailbox_size(1).stack_size(*bytes));
            matches!(built, Err(BuildError::Spawn { .. }))
        })
        .expect("a stack of a terabyte and more")
}

/// The rounds of a race test: `TROUPE_STRESS=n` runs `n` times as many.
pub(crate) fn rounds(default: usize) -> usize {
    let factor = std::env::var("TROUPE_STRESS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    default * factor
}

/// xorshift64*: reproducible chaos. `TROUPE_SEED` replaces the seed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(salt: u64) -> Self {
        let seed = std::env::var("TROUPE_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0x9E37_79B9_u64);
        let mut rng = Self((seed ^ salt.wrapping_mul(0xD134_2543_DE82_EF95)).max(1));
        for _ in 0..8 {
            rng.next();
        }
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Evenly in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Burns a random moment, to shift the threads against each other.
    pub(crate) fn dally(&mut self, most: u64) {
        for _ in 0..self.below(most + 1) {
            std::hint::spin_loop();
        }
    }

    /// Lets a random time pass, of the order of an idle timeout: the subject of races with one.
    pub(crate) fn pause(&mut self, most: Duration) {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let until = Instant::now() + Duration::from_micros(self.below(micros + 1));
        while Instant::now() < until {
            thread::yield_now();
        }
    }
}

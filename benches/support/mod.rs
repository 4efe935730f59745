//! The contestants.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::runtime::Runtime;
use troupe_pool::{AssignError, BoxError, Config, Troupe, Work};

mod rounds;

pub(crate) use rounds::{Assign, count, counted, no_op, round, wait_until_counted};

/// The places in one actor's mailbox.
pub(crate) const MAILBOX: usize = 128;

/// Longer than any bench runs: what a pool may do to threads that are idle for
/// so long is no part of the figures.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// Something that runs works on threads of its own.
pub(crate) enum Pool {
    Troupe(Troupe),
    Dynamic(Troupe),
    Threadpool(threadpool::ThreadPool),
    Rusty(rusty_pool::ThreadPool),
    Rayon(rayon::ThreadPool),
    Tokio(Runtime),
    Floor(Floor),
}

impl Pool {
    /// Troupe, Fixed.
    pub(crate) fn troupe(actors: usize, mailbox_size: usize) -> Self {
        let config = Config::fixed(actors).mailbox_size(mailbox_size);
        Self::Troupe(Troupe::new(config).expect("a troupe")).started(actors)
    }

    /// Troupe, Dynamic, grown to its max, where it stays.
    pub(crate) fn dynamic(actors: usize, mailbox_size: usize) -> Self {
        let config = Config::dynamic(0, actors)
            .mailbox_size(mailbox_size)
            .idle_timeout(FOR_EVER);
        Self::Dynamic(Troupe::new(config).expect("a troupe")).started(actors)
    }

    pub(crate) fn threadpool(threads: usize) -> Self {
        Self::Threadpool(threadpool::ThreadPool::new(threads)).started(threads)
    }

    pub(crate) fn rusty_pool(threads: usize) -> Self {
        Self::Rusty(rusty_pool::ThreadPool::new(threads, threads, FOR_EVER)).started(threads)
    }

    pub(crate) fn rayon(threads: usize) -> Self {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        Self::Rayon(builder.build().expect("a pool of rayon")).started(threads)
    }

    /// `spawn_blocking`, whose threads are not those that run futures. Of the
    /// latter there is one, which has nothing to do.
    pub(crate) fn tokio(threads: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(threads)
            .thread_keep_alive(FOR_EVER)
            .build();
        Self::Tokio(runtime.expect("a runtime")).started(threads)
    }

    pub(crate) fn floor(threads: usize) -> Self {
        Self::Floor(Floor::new(threads)).started(threads)
    }

    /// Makes each thread run one work: some pools start their threads only
    /// when there is work.
    fn started(self, threads: usize) -> Self {
        let all = Arc::new(Barrier::new(threads + 1));
        for _ in 0..threads {
            let all = Arc::clone(&all);
            self.assign(move || {
                all.wait();
                count();
            });
        }
        let expected = counted() + threads as u64;
        all.wait();
        wait_until_counted(expected);
        self
    }

    /// Its name in tables.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Troupe(_) => "troupe",
            Self::Dynamic(_) => "dynamic",
            Self::Threadpool(_) => "threadpool",
            Self::Rusty(_) => "rusty_pool",
            Self::Rayon(_) => "rayon",
            Self::Tokio(_) => "tokio",
            Self::Floor(_) => "floor",
        }
    }

    /// Hands over `count` works that do nothing, one by one.
    pub(crate) fn produce(&self, count: usize) {
        self.feed(count, |number| move || no_op(number));
    }

    /// Hands `count` works over, one by one. Which pool it is is looked at
    /// once: the loop is the one that a user of that pool would write.
    pub(crate) fn feed<W>(&self, count: usize, work: impl FnMut(usize) -> W)
    where
        W: FnOnce() + Send + 'static,
    {
        let numbers = 0..count;
        match self {
            Self::Troupe(pool) | Self::Dynamic(pool) => {
                numbers.map(work).for_each(|work| {
                    persist(pool, move || {
                        work();
                        Ok(())
                    });
                });
            }
            Self::Threadpool(pool) => numbers.map(work).for_each(|work| pool.execute(work)),
            Self::Rusty(pool) => numbers.map(work).for_each(|work| pool.execute(work)),
            Self::Rayon(pool) => numbers.map(work).for_each(|work| pool.spawn(work)),
            Self::Tokio(pool) => numbers
                .map(work)
                .for_each(|work| drop(pool.spawn_blocking(work))),
            Self::Floor(pool) => numbers.map(work).for_each(|work| pool.persist(work)),
        }
    }
}

impl Assign for Pool {
    fn assign(&self, work: impl FnOnce() + Send + 'static) {
        let mut work = Some(work);
        self.feed(1, |_| work.take().expect("it is asked for one"));
    }
}

/// Assigns a work until it is accepted.
pub(crate) fn persist(troupe: &Troupe, work: impl Into<Work>) {
    let mut outcome = troupe.assign(work);
    while let Err(AssignError::Full(work)) = outcome {
        thread::yield_now();
        outcome = troupe.assign(work);
    }
    outcome.expect("nobody shuts this troupe down");
}

/// The same boxes through one bare bounded channel to the same number of
/// threads, with as many places as all mailboxes together: what a pool made of
/// such a channel cannot beat.
pub(crate) struct Floor {
    pub(crate) sender: Sender<Boxed>,
}

pub(crate) type Boxed = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;

impl Floor {
    /// Starts the threads. They end when the floor is dropped.
    fn new(threads: usize) -> Self {
        let (sender, receiver) = bounded::<Boxed>(MAILBOX * threads);
        for _ in 0..threads {
            let receiver = receiver.clone();
            thread::Builder::new()
                .spawn(move || {
                    for work in receiver {
                        work().expect("a work of a bench does not fail");
                    }
                })
                .expect("a thread for the floor");
        }
        Self { sender }
    }

    /// Sends a work until there is room.
    fn persist(&self, work: impl FnOnce() + Send + 'static) {
        let work: Boxed = Box::new(move || {
            work();
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

/// Troupe, its peers and, last, the floor, each with `actors` threads that have
/// all been started.
pub(crate) fn contestants(actors: usize) -> Vec<Pool> {
    vec![
        Pool::troupe(actors, MAILBOX),
        Pool::dynamic(actors, MAILBOX),
        Pool::threadpool(actors),
        Pool::rusty_pool(actors),
        Pool::rayon(actors),
        Pool::tokio(actors),
        Pool::floor(actors),
    ]
}

//! The troupe, what its error handler decides; and another pool in its place, for comparison.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use threadpool::ThreadPool;
use troupe_pool::{BuildError, Failure, Stats, Troupe, Work};

use crate::{args::Args, call::Call, counters::Counter, outbox::Shared, simulation::Simulation};

/// The error of a failed work: the call, which still owes its answer.
#[derive(Debug)]
struct Failed {
    call: Call,
    attempt: u32,
    reason: &'static str,
}

#[derive(Debug)]
pub(crate) enum Pool {
    Troupe(Bounded),
    Threadpool(Unbounded),
}

impl Pool {
    pub(crate) fn new(args: &Args, shared: &Arc<Shared>) -> Result<Self, BuildError> {
        Ok(match args.is_threadpool {
            false => Pool::Troupe(Bounded::new(args, shared)?),
            true => Pool::Threadpool(Unbounded::new(args, shared)),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Pool::Troupe(_) => "troupe",
            Pool::Threadpool(_) => "threadpool",
        }
    }

    /// Takes the call, or answers it with the reason why not, when `--wait` has passed since it
    /// arrived.
    pub(crate) fn assign(&self, call: Call, arrived: Instant) -> bool {
        match self {
            Pool::Troupe(pool) => pool.assign(call, arrived),
            Pool::Threadpool(pool) => pool.assign(call),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Pool::Troupe(pool) => pool.troupe.stats(),
            Pool::Threadpool(pool) => pool.stats(),
        }
    }

    /// Accepts no more.
    pub(crate) fn shutdown(&self) {
        match self {
            Pool::Troupe(pool) => drop(pool.troupe.shutdown()),
            Pool::Threadpool(_) => {} // It looks at `Shared::is_stopping`.
        }
    }

    /// Whether every later call is turned down.
    pub(crate) fn is_shutdown(&self) -> bool {
        match self {
            Pool::Troupe(pool) => pool.troupe.is_shutdown(),
            Pool::Threadpool(pool) => pool.queue.shared.is_stopping(),
        }
    }

    /// Takes back the calls that have not begun, and answers them.
    pub(crate) fn shutdown_now(&self) {
        match self {
            // Each work's drop drops its call, which answers.
            Pool::Troupe(pool) => drop(pool.troupe.shutdown_now()),
            Pool::Threadpool(pool) => pool.queue.is_abandoned.store(true, Ordering::Release),
        }
    }

    /// Waits until what was accepted is done; false if that takes longer.
    pub(crate) fn join_timeout(&self, patience: Duration) -> bool {
        match self {
            // The other error is for the troupe's own threads.
            Pool::Troupe(pool) => pool.troupe.join_timeout(patience).is_ok(),
            Pool::Threadpool(pool) => pool.join_timeout(patience),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Bounded {
    troupe: Troupe<Failed>,
    simulation: Arc<Simulation>,
    wait: Duration,
}

impl Bounded {
    fn new(args: &Args, shared: &Arc<Shared>) -> Result<Self, BuildError> {
        let simulation = Arc::new(args.simulation.clone());
        let retries = args.retries;
        let (simulate, shared) = (Arc::clone(&simulation), Arc::clone(shared));
        let troupe = Troupe::builder(args.config.clone())
            .error_handler(move |failure: Failure<Failed>, context| {
                // A panic has dropped its call on the way, and so answered it.
                let Failure::Error(failed) = failure else {
                    return;
                };
                if failed.attempt > retries {
                    failed.call.fail(failed.attempt, failed.reason);
                    return;
                }
                let retry = work(failed.call, failed.attempt + 1, &simulate);
                match context.reassign(retry) {
                    Ok(()) => shared.counters.retried.add(1),
                    // The troupe shuts down. The call is inside, and its drop says so.
                    Err(refused) => drop(refused),
                }
            })
            .build()?;
        Ok(Bounded {
            troupe,
            simulation,
            wait: args.wait,
        })
    }

    fn assign(&self, call: Call, arrived: Instant) -> bool {
        let work = work(call, 1, &self.simulation);
        // Calls that came together wait together, not one after the other. With nothing left to
        // wait this is `assign`.
        let wait = self.wait.saturating_sub(arrived.elapsed());
        let result = self.troupe.assign_timeout(work, wait);
        // The work that comes back in an error is dropped here, its call with it, which answers.
        result.is_ok()
    }
}

/// One attempt at a call.
fn work(call: Call, attempt: u32, simulation: &Arc<Simulation>) -> Work<Failed> {
    let simulation = Arc::clone(simulation);
    Work::new(move || run(call, attempt, &simulation))
}

fn run(call: Call, attempt: u32, simulation: &Simulation) -> Result<(), Failed> {
    match simulation.attempt(&call.argument, attempt) {
        Ok(()) => {
            call.succeed(attempt);
            Ok(())
        }
        Err(reason) => Err(Failed {
            call,
            attempt,
            reason,
        }),
    }
}

/// The crate `threadpool`, and what has to be written around it: counters, retries, a way to stop.
#[derive(Debug)]
pub(crate) struct Unbounded {
    pool: ThreadPool,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    simulation: Simulation,
    retries: u32,
    shared: Arc<Shared>,
    is_abandoned: AtomicBool,
    completed: Counter,
    failed: Counter,
    returned: Counter,
}

impl Unbounded {
    fn new(args: &Args, shared: &Arc<Shared>) -> Self {
        let pool = threadpool::Builder::new()
            .num_threads(args.config.max)
            .thread_name(args.config.thread_name.clone())
            .build();
        let queue = Arc::new(Queue {
            simulation: args.simulation.clone(),
            retries: args.retries,
            shared: Arc::clone(shared),
            is_abandoned: AtomicBool::new(false),
            completed: Counter::default(),
            failed: Counter::default(),
            returned: Counter::default(),
        });
        Unbounded { pool, queue }
    }

    fn assign(&self, call: Call) -> bool {
        if self.queue.shared.is_stopping() {
            return false; // The drop of the call answers it.
        }
        let queue = Arc::clone(&self.queue);
        self.pool.execute(move || queue.run(call));
        true
    }

    fn stats(&self) -> Stats {
        let (pool, queue) = (&self.pool, &self.queue);
        let mut stats = Stats::default();
        stats.completed = queue.completed.get();
        stats.failed = queue.failed.get();
        stats.panicked = pool.panic_count() as u64;
        stats.returned = queue.returned.get();
        stats.queued = pool.queued_count();
        stats.running = pool.active_count();
        stats.accepted = stats.completed
            + stats.failed
            + stats.panicked
            + stats.returned
            + (stats.queued + stats.running) as u64;
        stats.actors = pool.max_count();
        stats.idle = stats.actors.saturating_sub(stats.running);
        stats.peak = stats.actors;
        stats
    }

    /// Its own `join` has no timeout, so a thread waits there in our place, and may be left.
    fn join_timeout(&self, patience: Duration) -> bool {
        let (done, joined) = mpsc::channel();
        let pool = self.pool.clone();
        let wait = move || {
            pool.join();
            done.send(()).ok(); // Nobody listens if it took too long.
        };
        match thread::Builder::new().name("join".into()).spawn(wait) {
            Ok(_) => joined.recv_timeout(patience).is_ok(),
            Err(_) => false,
        }
    }
}

impl Queue {
    fn run(&self, mut call: Call) {
        for attempt in 1.. {
            if self.is_abandoned.load(Ordering::Acquire) {
                self.returned.add(1);
                return;
            }
            match run(call, attempt, &self.simulation) {
                Ok(()) => return self.completed.add(1),
                Err(failed) if attempt > self.retries => {
                    failed.call.fail(attempt, failed.reason);
                    return self.failed.add(1);
                }
                Err(failed) => {
                    self.failed.add(1);
                    self.shared.counters.retried.add(1);
                    call = failed.call;
                }
            }
        }
    }
}

//! The troupe, what its error handler decides; and another pool in its place, for comparison.

use std::{
    panic,
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

use crate::{
    args::Args,
    call::{Call, Verdict},
    counters::Counter,
    outbox::Shared,
    simulation::Simulation,
};

/// The error of a failed work: the call, which still owes its answer.
#[derive(Debug)]
struct Failed {
    call: Call,
    attempts: u32,
    reason: &'static str,
}

impl Failed {
    fn give_up(self) {
        let Failed {
            call,
            attempts,
            reason,
        } = self;
        call.answer(Verdict::Failed { attempts, reason });
    }
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
            Pool::Troupe(pool) => {
                for work in pool.troupe.shutdown_now() {
                    turn_down(work, Verdict::ShuttingDown);
                }
            }
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
                let failed = match failure {
                    Failure::Error(failed) => failed,
                    Failure::Expired(work) => return turn_down(work, Verdict::Overloaded),
                    _ => return, // A panic has been answered already.
                };
                if failed.attempts > retries {
                    return failed.give_up();
                }
                let retry = work(failed.call, failed.attempts + 1, &simulate);
                match context.reassign(retry) {
                    Ok(()) => shared.counters.retried.add(1),
                    Err(refused) => turn_down(refused.into_work(), Verdict::ShuttingDown),
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
        let mut work = work(call, 1, &self.simulation);
        if !self.wait.is_zero() {
            work = work.deadline(arrived + self.wait);
        }
        // Calls that came together wait together, not one after the other. With nothing left to
        // wait this is `assign`.
        let wait = self.wait.saturating_sub(arrived.elapsed());
        let Err(refused) = self.troupe.assign_timeout(work, wait) else {
            return true;
        };
        let verdict = match refused.is_shutting_down() {
            true => Verdict::ShuttingDown,
            false => Verdict::Overloaded,
        };
        turn_down(refused.into_work(), verdict);
        false
    }
}

/// Answers the call in a work that has not been run.
fn turn_down(work: Work<Failed>, verdict: Verdict) {
    if let Ok(call) = work.into_value::<Call>() {
        call.answer(verdict);
    }
}

/// One attempt at a call, the last of so many.
fn work(call: Call, attempts: u32, simulation: &Arc<Simulation>) -> Work<Failed> {
    let simulation = Arc::clone(simulation);
    Work::with(call, move |call| run(call, attempts, &simulation))
}

fn run(call: Call, attempts: u32, simulation: &Simulation) -> Result<(), Failed> {
    match panic::catch_unwind(|| simulation.attempt(&call.argument, attempts)) {
        Ok(Ok(())) => call.answer(Verdict::Done { attempts }),
        Ok(Err(reason)) => {
            return Err(Failed {
                call,
                attempts,
                reason,
            });
        }
        Err(payload) => {
            call.answer(Verdict::Panicked);
            panic::resume_unwind(payload); // The pool counts it.
        }
    }
    Ok(())
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
            call.answer(Verdict::ShuttingDown);
            return false;
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
                return call.answer(Verdict::ShuttingDown);
            }
            match run(call, attempt, &self.simulation) {
                Ok(()) => return self.completed.add(1),
                Err(failed) if attempt > self.retries => {
                    failed.give_up();
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

//! Pools that are asked for values, each in the way in which its users have a value back.
//!
//! A caller either blocks or is a task of tokio. For a pool that gives no values back, the work
//! captures a channel: std's of one place if the caller blocks, tokio's oneshot if it is a task.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use troupe_pool::{Reply, Troupe, Work};

use crate::measure::{middle_mean, rest};
use crate::support::{self, MAILBOX, Pool};

/// A pool, and a way to have values back from it. Each method is a loop of that pool alone.
pub(crate) trait Asked {
    /// Asks again and again, one at a time and after a rest each, and returns the microseconds from
    /// just before a question to its answer.
    fn round_trip(&self, works: usize, pause: Duration) -> f64;

    /// The same, of a task.
    fn awaited_round_trip(&self, tokio: &Runtime, works: usize, pause: Duration) -> f64;

    /// Asks without a pause. As soon as so many answers are outstanding, waits for the oldest
    /// before each question. Returns the microseconds per work.
    fn stream(&self, works: usize, in_flight: usize) -> f64;

    /// The same, of a task.
    fn awaited_stream(&self, tokio: &Runtime, works: usize, in_flight: usize) -> f64;
}

/// A pool that can be asked for a number.
trait Ask: Copy + Send + 'static {
    /// The answer, for a caller that blocks.
    type Answer;

    fn ask(self, number: usize) -> Self::Answer;

    fn wait(self, answer: Self::Answer) -> usize;

    /// Asks at once, and returns the answer for a task.
    fn promise(self, number: usize) -> impl Future<Output = usize> + Send + 'static;
}

impl<A: Ask> Asked for A {
    fn round_trip(&self, works: usize, pause: Duration) -> f64 {
        let times = (0..works).map(|number| {
            rest_a_while(pause);
            let asked = Instant::now();
            black_box(self.wait(self.ask(number)));
            micros_since(asked)
        });
        middle_mean(times.collect())
    }

    fn awaited_round_trip(&self, tokio: &Runtime, works: usize, pause: Duration) -> f64 {
        let asked = *self;
        run_task(tokio, async move {
            let mut times = Vec::with_capacity(works);
            for number in 0..works {
                rest_a_while(pause);
                let began = Instant::now();
                black_box(asked.promise(number).await);
                times.push(micros_since(began));
            }
            middle_mean(times)
        })
    }

    fn stream(&self, works: usize, in_flight: usize) -> f64 {
        let mut answers = VecDeque::with_capacity(in_flight);
        let began = Instant::now();
        for number in 0..works {
            if answers.len() == in_flight {
                let oldest = answers.pop_front().expect("it is full");
                black_box(self.wait(oldest));
            }
            answers.push_back(self.ask(number));
        }
        for answer in answers {
            black_box(self.wait(answer));
        }
        micros_since(began) / works as f64
    }

    fn awaited_stream(&self, tokio: &Runtime, works: usize, in_flight: usize) -> f64 {
        let asked = *self;
        run_task(tokio, async move {
            let mut answers = VecDeque::with_capacity(in_flight);
            let began = Instant::now();
            for number in 0..works {
                if answers.len() == in_flight {
                    let oldest = answers.pop_front().expect("it is full");
                    black_box(oldest.await);
                }
                answers.push_back(asked.promise(number));
            }
            for answer in answers {
                black_box(answer.await);
            }
            micros_since(began) / works as f64
        })
    }
}

/// Lets time pass. In a task too: a timer would do no more than wake the thread again.
fn rest_a_while(pause: Duration) {
    if !pause.is_zero() {
        rest(pause);
    }
}

fn micros_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

/// Runs a task on a thread of tokio, as a server would.
fn run_task(tokio: &Runtime, task: impl Future<Output = f64> + Send + 'static) -> f64 {
    let task = tokio.spawn(task);
    tokio.block_on(task).expect("the task does not panic")
}

/// Replies of a troupe.
#[derive(Clone, Copy)]
struct Replies(&'static Troupe);

impl Ask for Replies {
    type Answer = Reply<usize>;

    fn ask(self, number: usize) -> Reply<usize> {
        let (work, reply) = Work::with_reply(move || Ok(black_box(number)));
        support::persist(self.0, work);
        reply
    }

    fn wait(self, reply: Reply<usize>) -> usize {
        reply.wait().expect("the work returns a number")
    }

    fn promise(self, number: usize) -> impl Future<Output = usize> + Send + 'static {
        let reply = self.ask(number);
        async move { reply.await.expect("the work returns a number") }
    }
}

/// `evaluate` of rusty_pool, whose handle has a channel that can be awaited.
#[derive(Clone, Copy)]
struct Evaluate(&'static rusty_pool::ThreadPool);

impl Ask for Evaluate {
    type Answer = rusty_pool::JoinHandle<usize>;

    fn ask(self, number: usize) -> rusty_pool::JoinHandle<usize> {
        self.0.evaluate(move || black_box(number))
    }

    fn wait(self, handle: rusty_pool::JoinHandle<usize>) -> usize {
        handle.await_complete()
    }

    fn promise(self, number: usize) -> impl Future<Output = usize> + Send + 'static {
        let handle = self.ask(number);
        async move { handle.receiver.await.expect("the work returns a number") }
    }
}

/// `spawn_blocking` of tokio. A caller that blocks runs the handle as a future.
#[derive(Clone, Copy)]
struct SpawnBlocking(&'static Runtime);

impl Ask for SpawnBlocking {
    type Answer = JoinHandle<usize>;

    fn ask(self, number: usize) -> JoinHandle<usize> {
        self.0.spawn_blocking(move || black_box(number))
    }

    fn wait(self, handle: JoinHandle<usize>) -> usize {
        self.0.block_on(handle).expect("the work does not panic")
    }

    fn promise(self, number: usize) -> impl Future<Output = usize> + Send + 'static {
        let handle = self.ask(number);
        async move { handle.await.expect("the work does not panic") }
    }
}

/// A pool that runs works and gives no values back.
trait Execute: Copy + Send + 'static {
    fn execute(self, work: impl FnOnce() + Send + 'static);
}

impl Execute for &'static Troupe {
    fn execute(self, work: impl FnOnce() + Send + 'static) {
        support::persist(self, move || {
            work();
            Ok(())
        });
    }
}

impl Execute for &'static threadpool::ThreadPool {
    fn execute(self, work: impl FnOnce() + Send + 'static) {
        threadpool::ThreadPool::execute(self, work);
    }
}

impl Execute for &'static rayon::ThreadPool {
    fn execute(self, work: impl FnOnce() + Send + 'static) {
        self.spawn(work);
    }
}

/// A channel for one answer, which the work captures.
#[derive(Clone, Copy)]
struct Channel<P>(P);

impl<P: Execute> Ask for Channel<P> {
    type Answer = Receiver<usize>;

    fn ask(self, number: usize) -> Receiver<usize> {
        let (sender, receiver) = sync_channel(1);
        self.0.execute(move || {
            let sent = sender.send(black_box(number));
            sent.expect("the caller waits for it");
        });
        receiver
    }

    fn wait(self, receiver: Receiver<usize>) -> usize {
        receiver.recv().expect("the work sends a number")
    }

    fn promise(self, number: usize) -> impl Future<Output = usize> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.0.execute(move || {
            let sent = sender.send(black_box(number));
            sent.expect("the caller waits for it");
        });
        async move { receiver.await.expect("the work sends a number") }
    }
}

/// The ways to have values back, by their columns.
pub(crate) struct Contestants {
    pub(crate) all: Vec<(&'static str, Box<dyn Asked>)>,
    /// The runtime of every task, which is also the contestant `tokio`.
    pub(crate) tokio: &'static Runtime,
}

impl Contestants {
    /// A troupe, asked by replies and by a channel, and its peers. They live until the process
    /// ends: as far as the compiler knows, a task may outlive its caller.
    pub(crate) fn leak(actors: usize) -> Self {
        let (
            Pool::Troupe(troupe),
            Pool::Threadpool(threadpool),
            Pool::Rusty(rusty_pool),
            Pool::Rayon(rayon),
            Pool::Tokio(tokio),
        ) = (
            leak(Pool::troupe(actors, MAILBOX)),
            leak(Pool::threadpool(actors)),
            leak(Pool::rusty_pool(actors)),
            leak(Pool::rayon(actors)),
            leak(Pool::tokio(actors)),
        )
        else {
            unreachable!("each is the pool of its name");
        };
        let all: Vec<(&str, Box<dyn Asked>)> = vec![
            ("troupe", Box::new(Replies(troupe))),
            ("by hand", Box::new(Channel(troupe))),
            ("threadpool", Box::new(Channel(threadpool))),
            ("rusty_pool", Box::new(Evaluate(rusty_pool))),
            ("rayon", Box::new(Channel(rayon))),
            ("tokio", Box::new(SpawnBlocking(tokio))),
        ];
        Self { all, tokio }
    }
}

fn leak(pool: Pool) -> &'static Pool {
    Box::leak(Box::new(pool))
}

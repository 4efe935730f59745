//! A service on a port of loopback, in front of a back end that a test holds in its hand.

use std::{
    collections::BTreeMap, net::SocketAddr, panic::resume_unwind, sync::Arc, time::Duration,
};

use axum_example::{
    backend::{Backend, Rejected},
    client::{Answer, Client, figure},
    pool::Pool,
    server::{self, Ended, Times},
    service::Service,
};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use troupe_pool::{Config, Troupe};

#[path = "../../../../tests/it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod shared;

pub(crate) use shared::{Gate, HANG, end, eventually, fill, join, occupy, receive, within};

/// Ids below are done at once; those from here on are rejected.
pub(crate) const REJECTED: u64 = 1_000;

/// Ids from here on panic.
pub(crate) const PANICS: u64 = 2_000;

/// Ids from here on wait at the gate.
pub(crate) const WAITS: u64 = 3_000;

/// Does what the id says, and writes down that it was called.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) gate: Gate,
    pub(crate) calls: Arc<Mutex<BTreeMap<u64, usize>>>,
}

impl Scripted {
    pub(crate) fn calls_of(&self, id: u64) -> usize {
        self.calls.lock().get(&id).copied().unwrap_or(0)
    }
}

impl Backend for Scripted {
    fn call(&self, id: u64) -> Result<String, Rejected> {
        *self.calls.lock().entry(id).or_default() += 1;
        match id {
            ..REJECTED => {}
            REJECTED..PANICS => return Err(Rejected(id)),
            PANICS..WAITS => resume_unwind(Box::new("a panic that the test wants")),
            WAITS.. => self.gate.pass(),
        }
        Ok(format!("done: {id}\n"))
    }
}

/// A server in this process. Its runtime has two threads, as in a real one, and the test's own
/// thread is none of them.
pub(crate) struct Served {
    pub(crate) backend: Scripted,
    pub(crate) troupe: Arc<Troupe<Rejected>>,
    pub(crate) address: SocketAddr,
    pub(crate) runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Ended>,
}

impl Served {
    pub(crate) fn start(config: Config) -> Self {
        Self::with_grace(config, Duration::MAX)
    }

    pub(crate) fn with_grace(config: Config, grace: Duration) -> Self {
        let head = HANG; // None of these clients sends half a head.
        Self::with_times(config, Times { head, grace })
    }

    pub(crate) fn with_times(config: Config, times: Times) -> Self {
        let troupe = Arc::new(Troupe::builder(config).build().unwrap());
        let backend = Scripted::default();
        let pool = Pool::Troupe(troupe.handle());
        let router = Service::new(pool, backend.clone()).router();
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            stopped.await.ok(); // Sent, or the test is over.
        };
        let owner = Arc::clone(&troupe);
        let give_up = move || drop(owner.shutdown_now());
        let serving = async move { server::serve(listener, router, stopped, times, give_up).await };
        Served {
            backend,
            troupe,
            address,
            serving: runtime.spawn(serving),
            runtime,
            stop: Some(stop),
        }
    }

    /// One question on a separate connection, to be awaited later. Its drop hangs up.
    pub(crate) fn ask(&self, path: &str) -> Question {
        Question::ask(&self.runtime, self.address, path)
    }

    /// One question, and its answer.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(path).answer()
    }

    /// The answer for an id.
    #[track_caller]
    pub(crate) fn work(&self, id: u64) -> Answer {
        self.get(&format!("/call/{id}"))
    }

    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let stats = self.get("/stats").text;
        figure(&stats, name).unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    #[track_caller]
    pub(crate) fn until(&self, name: &str, number: u64) {
        eventually(|| self.figure(name) == number);
    }

    /// A connection that stays open.
    pub(crate) fn connect(&self) -> Client {
        let connecting = Client::connect(self.address);
        self.runtime.block_on(connecting).unwrap()
    }

    /// One question on such a connection.
    #[track_caller]
    pub(crate) fn get_on(&self, client: &mut Client, path: &str) -> Answer {
        let asking = async { timeout(HANG, client.get(path)).await };
        self.runtime
            .block_on(asking)
            .expect("hung: no answer")
            .unwrap()
    }

    /// Does it serve no more?
    pub(crate) fn has_stopped(&self) -> bool {
        self.serving.is_finished()
    }

    /// Tells the server to stop, as a signal does.
    pub(crate) fn begin_to_stop(&mut self) {
        let stop = self.stop.take().expect("it is told once");
        stop.send(()).expect("it still serves");
    }

    /// Waits until it no longer serves: was every request answered in time?
    #[track_caller]
    pub(crate) fn stopped(self) -> bool {
        self.ended().is_answered
    }

    /// Waits until it no longer serves.
    #[track_caller]
    pub(crate) fn ended(self) -> Ended {
        let serving = self.serving;
        let serving = self
            .runtime
            .block_on(async { timeout(HANG, serving).await });
        let ended = serving.expect("hung: it still serves").unwrap();
        drop(self.runtime);
        end(&self.troupe);
        ended
    }
}

pub(crate) struct Question {
    runtime: tokio::runtime::Handle,
    asking: JoinHandle<std::io::Result<Answer>>,
}

impl Question {
    pub(crate) fn ask(runtime: &Runtime, address: SocketAddr, path: &str) -> Self {
        let path = path.to_owned();
        let asking = runtime.spawn(async move { Client::connect(address).await?.get(&path).await });
        Question {
            runtime: runtime.handle().clone(),
            asking,
        }
    }

    #[track_caller]
    pub(crate) fn answer(mut self) -> Answer {
        let asking = &mut self.asking;
        let asking = self.runtime.block_on(async { timeout(HANG, asking).await });
        asking
            .expect("hung: no answer")
            .unwrap()
            .expect("an answer")
    }

    /// Goes away without the answer.
    pub(crate) fn hang_up(self) {
        drop(self);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

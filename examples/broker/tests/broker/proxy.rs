//! A proxy in front of Redis that can lose an answer.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use parking_lot::Mutex;

use crate::support::receive;

/// Lets connections through to Redis, until it has taken away the answer to a request with these
/// words. Then it lets nobody through until [`open`](Proxy::open).
pub(crate) struct Proxy {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    lost: Receiver<()>,
}

struct State {
    /// The answer to a request with this in it gets lost.
    words: Option<Vec<u8>>,
    is_closed: bool,
    lost: Sender<()>,
}

impl Proxy {
    /// `redis` is the socket of the server, and beside it is the proxy's own.
    pub(crate) fn start(redis: &Path, argument: &str) -> Self {
        let path = redis.with_file_name("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (sender, lost) = mpsc::channel();
        let state = Arc::new(Mutex::new(State {
            words: Some(format!("\r\n{argument}\r\n").into_bytes()),
            is_closed: false,
            lost: sender,
        }));
        let (shared, redis) = (Arc::clone(&state), redis.to_owned());
        // It ends with the process of the test.
        start(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !shared.lock().is_closed
                    && let Ok(server) = UnixStream::connect(&redis)
                {
                    forward(client, server, &shared);
                }
            }
        });
        Proxy { path, state, lost }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.path.display())
    }

    /// Waits until Redis has done what was asked, and its answer was lost.
    #[track_caller]
    pub(crate) fn await_loss(&self) {
        receive(&self.lost);
    }

    pub(crate) fn open(&self) {
        self.state.lock().is_closed = false;
    }
}

/// Both ways, each on a thread.
fn forward(client: UnixStream, server: UnixStream, state: &Arc<Mutex<State>>) {
    let is_asked = Arc::new(Mutex::new(false));
    let (state, asks) = (Arc::clone(state), Arc::clone(&is_asked));
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let watched = Arc::clone(&state);
    start(move || {
        let mut seen = Vec::new();
        pump(from, to, |bytes| {
            seen.extend_from_slice(bytes);
            let mut state = watched.lock();
            if let Some(words) = &state.words
                && seen.windows(words.len()).any(|window| window == words)
            {
                state.words = None;
                *asks.lock() = true;
            }
            true
        });
    });
    start(move || {
        pump(server, client, |_| {
            let is_lost = *is_asked.lock();
            if is_lost {
                let mut state = state.lock();
                state.is_closed = true;
                state.lost.send(()).ok();
            }
            !is_lost
        });
    });
}

/// Until one of them ends, or the bytes may not pass.
fn pump(mut from: UnixStream, mut to: UnixStream, mut may_pass: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        if !may_pass(bytes) || to.write_all(bytes).is_err() {
            break;
        }
    }
    for end in [from, to] {
        end.shutdown(Shutdown::Both).ok();
    }
}

fn start(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .name("proxy".into())
        .spawn(run)
        .unwrap();
}

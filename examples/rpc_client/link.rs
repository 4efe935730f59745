//! One connection: a thread that sends, and one that receives.

use std::{
    collections::HashMap,
    io::{self, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use serde_json::{Deserializer, value::RawValue};

use crate::{
    args::Args,
    tally::{Kind, Tally},
    wire::{Answer, Argument, Done, METHOD, Object},
};

/// The most calls that are written at once.
const BATCH: usize = 256;

/// The state that all connections share.
#[derive(Debug)]
pub(crate) struct Load {
    /// Set when all threads are there: what the system needs to start them is not load.
    start: Mutex<Option<Instant>>,
    begun: Condvar,
    duration: Duration,
    /// Between two calls, of all connections together. `None`: whenever the window has room.
    interval: Option<Duration>,
    connections: u64,
    window: usize,
    patience: Duration,
    work_us: Option<u64>,
    is_stopped: AtomicBool,
    answers: AtomicU64,
}

impl Load {
    pub(crate) fn new(args: &Args) -> Self {
        Load {
            start: Mutex::new(None),
            begun: Condvar::new(),
            duration: args.duration,
            interval: args.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            connections: args.connections as u64,
            window: args.window,
            patience: args.patience,
            work_us: args.work_us,
            is_stopped: AtomicBool::new(false),
            answers: AtomicU64::new(0),
        }
    }

    /// Lets the senders begin.
    pub(crate) fn begin(&self) -> Instant {
        let now = Instant::now();
        *self.start.lock() = Some(now);
        self.begun.notify_all();
        now
    }

    fn wait_to_begin(&self) -> Instant {
        let mut start = self.start.lock();
        loop {
            match *start {
                Some(start) => return start,
                None => self.begun.wait(&mut start),
            }
        }
    }

    /// Nothing more will be sent.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Relaxed);
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    /// When a call becomes due, of a load that began at the start. The connections take turns, so
    /// ids are due in order.
    fn due(&self, start: Instant, id: u64) -> Option<Instant> {
        self.interval
            .map(|interval| start + interval.mul_f64(id as f64))
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    index: u64,
    calls: Mutex<Calls>,
    /// A call was answered, or the connection has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Calls {
    sent: u64,
    /// By id: since when each waits for its answer.
    waiting: HashMap<u64, Instant>,
    /// When the last was sent.
    finished: Option<Instant>,
    has_ended: bool,
}

/// A call as it is sent.
#[derive(Debug, Serialize)]
struct Request<'m> {
    method: &'m str,
    params: [Argument; 1],
    id: u64,
}

impl Link {
    pub(crate) fn connect(args: &Args, index: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(&args.connect)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(args.patience))?;
        stream.set_write_timeout(Some(args.patience))?;
        Ok(Link {
            stream,
            index: index as u64,
            calls: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Ends the connection at once.
    pub(crate) fn hang_up(&self) {
        self.stream.shutdown(Shutdown::Both).ok();
    }

    /// Sends until the load is over or the connection ends, and then closes for writing.
    pub(crate) fn send(&self, load: &Load) {
        let start = load.wait_to_begin();
        let mut bytes = Vec::new();
        while let Some(ids) = self.take_due(load, start) {
            bytes.clear();
            for id in ids {
                let (method, work_us) = (METHOD, load.work_us);
                let params = [Argument { id, work_us }];
                let request = Request { method, params, id };
                serde_json::to_writer(&mut bytes, &request).expect("plain types, into a vector");
                bytes.push(b'\n');
            }
            if (&self.stream).write_all(&bytes).is_err() {
                self.hang_up(); // Calls that were taken remain unanswered, and are counted so.
                break;
            }
        }
        self.calls.lock().finished = Some(Instant::now());
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// Waits until calls are due and the window has room for some; `None` at the end.
    fn take_due(&self, load: &Load, start: Instant) -> Option<Vec<u64>> {
        let end = start + load.duration;
        let mut calls = self.calls.lock();
        loop {
            let now = Instant::now();
            if calls.has_ended || now >= end || load.is_stopped.load(Relaxed) {
                return None;
            }
            let room = load.window - calls.waiting.len();
            let mut ids = Vec::new();
            while ids.len() < room.min(BATCH) {
                let id = calls.sent * load.connections + self.index;
                let due = load.due(start, id).unwrap_or(now);
                if due > now {
                    break;
                }
                calls.sent += 1;
                calls.waiting.insert(id, due);
                ids.push(id);
            }
            if !ids.is_empty() {
                return Some(ids);
            }
            let next = match room {
                0 => end,
                _ => load.due(start, calls.sent * load.connections + self.index)?,
            };
            self.changed.wait_until(&mut calls, next.min(end));
        }
    }

    /// Receives until the server closes, or the patience is over. Calls without an answer by then
    /// stay unanswered.
    pub(crate) fn receive(&self, load: &Load) -> Tally {
        let mut tally = Tally::default();
        let bytes = BufReader::new(Incoming { link: self, load });
        for answer in Deserializer::from_reader(bytes).into_iter::<Box<RawValue>>() {
            match answer {
                Ok(answer) => self.settle(answer.get(), load, &mut tally),
                Err(error) if error.is_io() => break,
                // Nobody can tell where the next answer begins.
                Err(error) => tally.strange(&error.to_string()),
            }
        }
        self.hang_up();
        let mut calls = self.calls.lock();
        calls.has_ended = true;
        self.changed.notify_one();
        // The sender takes no more from here on.
        tally.sent = calls.sent;
        tally.unanswered = calls.waiting.len() as u64;
        tally
    }

    fn is_given_up(&self, load: &Load) -> bool {
        let calls = self.calls.lock();
        calls
            .finished
            .is_some_and(|finished| finished.elapsed() >= load.patience)
    }

    fn settle(&self, answer: &str, load: &Load, tally: &mut Tally) {
        let Ok(Object(Answer { id, result, error })) =
            serde_json::from_str::<Object<Answer<Option<u64>, Object<Done>, String>>>(answer)
        else {
            return tally.strange(answer);
        };
        let since = id.and_then(|id| {
            let mut calls = self.calls.lock();
            let since = calls.waiting.remove(&id);
            drop(calls);
            self.changed.notify_one();
            since
        });
        let Some(since) = since else {
            return tally.strange(answer); // Nobody has asked, or it was answered before.
        };
        load.answers.fetch_add(1, Relaxed);
        let is_ours = |Object(done): &Object<Done>| Some(done.id) == id;
        match (result.filter(is_ours), error.as_deref()) {
            (Some(_), None) => tally.ok(since.elapsed()),
            (None, Some(error)) => match tally.error(error, since.elapsed()) {
                Kind::Failed | Kind::Overloaded => {}
                Kind::ShuttingDown => load.stop(),
                Kind::Strange => tally.strange(answer),
            },
            _ => tally.strange(answer),
        }
    }
}

/// The bytes from the server. A read goes on when the system's patience ends before the client's.
#[derive(Debug)]
struct Incoming<'l> {
    link: &'l Link,
    load: &'l Load,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.link.stream).read(buffer) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                        && !self.link.is_given_up(self.load) => {}
                read => return read,
            }
        }
    }
}

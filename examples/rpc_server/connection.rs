//! One client: the places for its calls, its outbox, and the thread that empties it.
//!
//! A *place* is taken before a line is read and given back when its answer has been written. So
//! the outbox never holds more answers than there are places, putting an answer there waits for
//! nobody, and a client that does not read its answers is soon not read either.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use crate::{counters::Counters, wire::Answer};

/// The most that is written at once, and that a buffer keeps in quiet times.
const CHUNK: usize = 16 * 1024;

/// What connections and calls know of the server.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) counters: Counters,
    is_stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// To be called before the pool is told.
    pub(crate) fn begin_to_stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    places: usize,
    /// How long a client may take nothing.
    stall: Duration,
    outbox: Mutex<Outbox>,
    /// A place has come free, or the connection has gone.
    room: Condvar,
    /// There is an answer, or the end has come nearer.
    news: Condvar,
}

#[derive(Debug)]
struct Outbox {
    /// Answers that wait to be written, one after the other.
    bytes: Vec<u8>,
    /// How many these are.
    answers: usize,
    /// Places taken.
    in_flight: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    /// Nothing more will be read; what has been read will be answered.
    Ending,
    /// Nothing more can be written.
    Gone,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        shared: Arc<Shared>,
        places: usize,
        stall: Duration,
    ) -> io::Result<Self> {
        stream.set_nonblocking(false)?; // Some systems let it inherit that from the listener.
        stream.set_nodelay(true)?; // An answer is not to wait for the next.
        stream.set_write_timeout(Some(stall))?;
        Ok(Connection {
            stream,
            shared,
            places,
            stall,
            outbox: Mutex::new(Outbox {
                bytes: Vec::new(),
                answers: 0,
                in_flight: 0,
                phase: Phase::Open,
            }),
            room: Condvar::new(),
            news: Condvar::new(),
        })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes a place, and waits for one if need be. False if the connection has gone.
    pub(crate) fn take_place(&self) -> bool {
        let mut outbox = self.outbox.lock();
        while outbox.in_flight >= self.places && outbox.phase != Phase::Gone {
            self.room.wait(&mut outbox);
        }
        outbox.in_flight += 1;
        outbox.phase != Phase::Gone
    }

    /// Puts the answer for a taken place into the outbox. Waits for nobody.
    pub(crate) fn answer(&self, answer: &Answer<impl Serialize, impl Serialize>) {
        let mut outbox = self.outbox.lock();
        if outbox.phase == Phase::Gone {
            drop(outbox);
            self.shared.counters.lost.add(1);
            return;
        }
        serde_json::to_writer(&mut outbox.bytes, answer).expect("plain types, into a vector");
        outbox.bytes.push(b'\n');
        outbox.answers += 1;
        let is_first = outbox.answers == 1;
        drop(outbox);
        if is_first {
            self.news.notify_one();
        }
    }

    /// Nothing more will be read: the writer leaves when all is answered. The place that the
    /// reader had taken for the next line is given back.
    pub(crate) fn end_of_calls(&self) {
        let mut outbox = self.outbox.lock();
        outbox.in_flight -= 1;
        if outbox.phase == Phase::Open {
            outbox.phase = Phase::Ending;
        }
        drop(outbox);
        self.news.notify_one();
    }

    /// Lets no more in: what has arrived is still read, and then comes the end of calls.
    pub(crate) fn stop_reading(&self) {
        self.stream.shutdown(Shutdown::Read).ok(); // An error means that it has gone by itself.
    }

    /// Ends everything at once; answers that are not yet written are lost.
    pub(crate) fn cut(&self) {
        self.stream.shutdown(Shutdown::Both).ok();
        let mut outbox = self.outbox.lock();
        outbox.phase = Phase::Gone;
        outbox.bytes = Vec::new();
        let lost = mem::take(&mut outbox.answers);
        drop(outbox);
        self.shared.counters.lost.add(lost as u64);
        self.room.notify_one();
        self.news.notify_one();
    }

    /// The writer's life: writes answers, many at a time if many wait, until all is answered and
    /// no more can come, or the connection has gone.
    pub(crate) fn write_answers(&self) {
        let mut batch = Vec::new();
        while let Some(answers) = self.next_batch(&mut batch) {
            if let Err(error) = self.write(&batch) {
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    self.shared.counters.cut.add(1);
                }
                self.shared.counters.lost.add(answers as u64);
                self.cut();
                return;
            }
            batch.clear();
            batch.shrink_to(CHUNK);
            let mut outbox = self.outbox.lock();
            let was_full = outbox.in_flight >= self.places;
            outbox.in_flight -= answers;
            drop(outbox);
            if was_full {
                self.room.notify_one();
            }
        }
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// Swaps the outbox with an empty one, and says how many answers it had.
    fn next_batch(&self, batch: &mut Vec<u8>) -> Option<usize> {
        let mut outbox = self.outbox.lock();
        while outbox.answers == 0 {
            match outbox.phase {
                Phase::Gone => return None,
                Phase::Ending if outbox.in_flight == 0 => return None,
                Phase::Ending | Phase::Open => self.news.wait(&mut outbox),
            }
        }
        mem::swap(&mut outbox.bytes, batch);
        Some(mem::take(&mut outbox.answers))
    }

    /// Writes it all. For each chunk the client has the time that it may stall.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        for mut chunk in bytes.chunks(CHUNK) {
            let start = Instant::now();
            while !chunk.is_empty() {
                match (&self.stream).write(chunk) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => chunk = &chunk[written..],
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                // A client that takes a little now and then does not get the time anew.
                if !chunk.is_empty() && start.elapsed() > self.stall {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }
}

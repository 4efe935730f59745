//! The open connections of the operations port, and which of them makes room for another.

use std::{
    collections::BTreeMap,
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How long an actor may take to read a request that is there already, or to write an answer, before
/// its connection may be closed for another.
const SAFE: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(crate) struct Visitors(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// In the order in which they came.
    open: BTreeMap<u64, Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    phase: Phase,
    since: Instant,
    stream: Arc<TcpStream>,
}

/// In the order in which they make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The answer has been written, and the client has not closed yet.
    Leaving,
    /// The head of the request is not whole yet.
    Asking,
    Answering,
    /// No actor has taken the connection yet. One soon will, whatever the client does, so this phase
    /// makes no room.
    Waiting,
}

/// A connection that is open. Its drop closes it.
#[derive(Debug)]
pub(crate) struct Visitor {
    visitors: Arc<Visitors>,
    number: u64,
    stream: Arc<TcpStream>,
}

impl Visitors {
    pub(crate) fn admit(self: &Arc<Self>, stream: TcpStream) -> Visitor {
        let stream = Arc::new(stream);
        let mut list = self.0.lock();
        let number = list.next;
        list.next += 1;
        let open = Open {
            phase: Phase::Waiting,
            since: Instant::now(),
            stream: Arc::clone(&stream),
        };
        list.open.insert(number, open);
        Visitor {
            visitors: Arc::clone(self),
            number,
            stream,
        }
    }

    /// Closes the connection that has least to lose: the oldest that has its answer, or else the
    /// oldest whose request is not complete. Its thread notices that in its next read or write. If
    /// every connection is still safe, none is closed.
    pub(crate) fn make_room(&self) {
        let list = self.0.lock();
        let candidates = list.open.values().filter(|open| !open.is_safe());
        if let Some(open) = candidates.min_by_key(|open| open.phase) {
            open.stream.shutdown(Shutdown::Both).ok(); // An error means that it has gone already.
        }
    }
}

impl Open {
    fn is_safe(&self) -> bool {
        match self.phase {
            Phase::Leaving => false,
            Phase::Asking | Phase::Answering => self.since.elapsed() < SAFE,
            Phase::Waiting => true,
        }
    }
}

impl Visitor {
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn enter(&self, phase: Phase) {
        if let Some(open) = self.visitors.0.lock().open.get_mut(&self.number) {
            (open.phase, open.since) = (phase, Instant::now());
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.visitors.0.lock().open.remove(&self.number);
    }
}

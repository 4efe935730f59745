//! The open connections of the operations port, and which of them makes room for another.

use std::{
    collections::BTreeMap,
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct Visitors(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// In the order in which they came.
    open: BTreeMap<u64, (Phase, Arc<TcpStream>)>,
    next: u64,
}

/// In the order in which they make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The answer has been written, and the client has not closed yet.
    Leaving,
    /// The head of the request is not whole yet.
    Asking,
    Answering,
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
        let entry = (Phase::Asking, Arc::clone(&stream));
        list.open.insert(number, entry);
        Visitor {
            visitors: Arc::clone(self),
            number,
            stream,
        }
    }

    /// Ends the connection that has least to lose: the oldest that has its answer, or else the
    /// oldest that has not finished to ask. Its thread notices that in its next read or write.
    pub(crate) fn make_room(&self) {
        let list = self.0.lock();
        if let Some((_, stream)) = list.open.values().min_by_key(|(phase, _)| *phase) {
            stream.shutdown(Shutdown::Both).ok(); // An error means that it has gone already.
        }
    }
}

impl Visitor {
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn enter(&self, phase: Phase) {
        if let Some((current, _)) = self.visitors.0.lock().open.get_mut(&self.number) {
            *current = phase;
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.visitors.0.lock().open.remove(&self.number);
    }
}

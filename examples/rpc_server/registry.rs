//! The connections that there are.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::connection::Connection;

#[derive(Debug, Default)]
pub(crate) struct Registry {
    list: Mutex<List>,
    /// A connection has left.
    left: Condvar,
}

#[derive(Debug, Default)]
struct List {
    /// Weak, so that nobody else decides when a connection's file is closed.
    connections: HashMap<u64, Weak<Connection>>,
    next: u64,
}

/// One connection's place in the list, given back by its drop. The connection is to be dropped
/// before, so that there are never more files than places.
#[derive(Debug)]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    number: u64,
}

impl Registry {
    pub(crate) fn enter(self: &Arc<Self>, connection: &Arc<Connection>) -> Entry {
        let mut list = self.list.lock();
        let number = list.next;
        list.next += 1;
        list.connections.insert(number, Arc::downgrade(connection));
        Entry {
            registry: Arc::clone(self),
            number,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.lock().connections.len()
    }

    pub(crate) fn for_each(&self, act: impl FnMut(Arc<Connection>)) {
        // A copy: the act may block, and one that leaves meanwhile needs the lock.
        let connections = Vec::from_iter(self.list.lock().connections.values().cloned());
        connections.iter().filter_map(Weak::upgrade).for_each(act);
    }

    /// Waits until one leaves, or for so long.
    pub(crate) fn wait_for_a_leave(&self, patience: Duration) {
        let mut list = self.list.lock();
        self.left.wait_for(&mut list, patience);
    }

    /// Waits until all have left; false if that takes longer.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> bool {
        let mut list = self.list.lock();
        while !list.connections.is_empty() {
            if self.left.wait_until(&mut list, deadline).timed_out() {
                return list.connections.is_empty();
            }
        }
        true
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.list.lock().connections.remove(&self.number);
        self.registry.left.notify_all();
    }
}

//! The addresses to be asked next: by host, so that none is asked more than it likes, and not before its
//! time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Instant,
};

use url::Url;

use crate::lease::Id;

/// Hosts take turns. A host that has its fill is passed over until one of its answers is there.
#[derive(Debug)]
pub(crate) struct Queue {
    per_host: usize,
    hosts: HashMap<String, Host>,
    /// Each host that has something waiting and is below its limit, once.
    turns: VecDeque<String>,
    waiting: usize,
    retries: BinaryHeap<Reverse<(Instant, Id)>>,
}

#[derive(Debug, Default)]
struct Host {
    asked: usize,
    waiting: VecDeque<Id>,
    has_turn: bool,
}

impl Queue {
    pub(crate) fn new(per_host: usize) -> Self {
        Queue {
            per_host,
            hosts: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            retries: BinaryHeap::new(),
        }
    }

    pub(crate) fn push(&mut self, id: Id, url: &Url) {
        self.waiting += 1;
        self.change(url, |host| host.waiting.push_back(id));
    }

    /// The next to ask, which counts as asked until it is [`done`](Self::done).
    pub(crate) fn pop(&mut self) -> Option<Id> {
        let name = self.turns.pop_front()?;
        let host = self.hosts.get_mut(&name)?;
        host.has_turn = false;
        let id = host.waiting.pop_front()?;
        host.asked += 1;
        self.waiting -= 1;
        self.settle(name);
        Some(id)
    }

    pub(crate) fn done(&mut self, url: &Url) {
        self.change(url, |host| host.asked -= 1);
    }

    /// How many wait for their turn, retries apart.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn push_retry(&mut self, id: Id, at: Instant) {
        self.retries.push(Reverse((at, id)));
    }

    /// When the first retry is due.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.retries.peek().map(|Reverse((at, _))| *at)
    }

    /// A retry that is due.
    pub(crate) fn pop_retry(&mut self, now: Instant) -> Option<Id> {
        if self.next_retry()? > now {
            return None;
        }
        self.retries.pop().map(|Reverse((_, id))| id)
    }

    /// How many wait for their time.
    pub(crate) fn retrying(&self) -> usize {
        self.retries.len()
    }

    fn change(&mut self, url: &Url, change: impl FnOnce(&mut Host)) {
        let name = host_of(url);
        change(self.hosts.entry(name.clone()).or_default());
        self.settle(name);
    }

    /// Gives a host its turn if it should have one, and forgets one that has nothing left.
    fn settle(&mut self, name: String) {
        let Some(host) = self.hosts.get_mut(&name) else {
            return;
        };
        // The files of this machine are no host that one has to be polite to.
        let limit = if name.is_empty() {
            usize::MAX
        } else {
            self.per_host
        };
        if host.asked == 0 && host.waiting.is_empty() {
            self.hosts.remove(&name);
        } else if !host.has_turn && !host.waiting.is_empty() && host.asked < limit {
            host.has_turn = true;
            self.turns.push_back(name);
        }
    }
}

/// Host and port; empty for files.
fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, Queue, Url};

    #[test]
    fn hosts_take_turns_and_have_a_limit() {
        let [a, b] = ["http://a/", "http://b/"].map(|url| Url::parse(url).unwrap());
        let mut queue = Queue::new(2);
        for id in 0..4 {
            queue.push(id, &a);
        }
        queue.push(4, &b);
        let ids: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(ids, [0, 4, 1], "in turn, and two of each at most");
        queue.done(&a);
        assert_eq!((queue.pop(), queue.pop()), (Some(2), None));
        for url in [&b, &a, &a] {
            queue.done(url);
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(3), None));
        queue.done(&a);
        assert_eq!((queue.hosts.len(), queue.waiting()), (0, 0));
    }

    #[test]
    fn retries_come_back_when_they_are_due() {
        let mut queue = Queue::new(1);
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(1);
        queue.push_retry(1, later);
        queue.push_retry(2, now);
        assert_eq!(queue.next_retry(), Some(now));
        assert_eq!(
            (queue.pop_retry(now), queue.pop_retry(now)),
            (Some(2), None)
        );
        assert_eq!((queue.pop_retry(later), queue.retrying()), (Some(1), 0));
    }
}

//! Results in the order in which the jobs were fed, however the actors finish them.

use std::{
    collections::VecDeque,
    sync::mpsc::{self, Receiver, TryRecvError},
};

use troupe_pool::Troupe;

/// Feeds a troupe and gives the results back in order.
///
/// Two bounds keep memory flat. The troupe's own holds back the jobs that are not finished. The
/// window holds back the results that are, but cannot be printed because an older one is still
/// being worked on: without it, a terabyte in front of a million small files would pile up a
/// million lines. It is as wide as the troupe's capacity: if it were narrower, the mailboxes
/// could not fill.
///
/// Each job has a channel of its own for its one result. That is what makes every path settle
/// its place exactly once: whether the job returns an error, panics, is taken back by
/// `shutdown_now` or is refused, its sender is dropped, and the receiver learns that there will
/// be no result. Nothing can be forgotten, so nothing can hang.
#[derive(Debug)]
pub(crate) struct Ordered<'t, E, T, R> {
    troupe: &'t Troupe<E>,
    window: usize,
    /// The places in the window, oldest first: what was fed, and where its result arrives.
    places: VecDeque<(T, Receiver<R>)>,
}

impl<'t, E, T, R> Ordered<'t, E, T, R>
where
    E: Send + 'static,
    R: Send + 'static,
{
    pub(crate) fn new(troupe: &'t Troupe<E>) -> Self {
        let window = troupe.stats().capacity;
        Ordered {
            troupe,
            window,
            places: VecDeque::new(),
        }
    }

    /// Takes the next place for `item` and assigns `job`, waiting for room in the troupe.
    ///
    /// The caller first takes what is [`due`](Self::due), so the window has room. A job may
    /// decline with `Ok(None)`. Once the troupe is shutting down the job is refused, and its
    /// place comes back without a result like that of any other job that was not done.
    pub(crate) fn feed<F>(&mut self, item: T, job: F)
    where
        F: FnOnce() -> Result<Option<R>, E> + Send + 'static,
    {
        assert!(self.places.len() < self.window, "the window is full");
        let (sender, receiver) = mpsc::sync_channel(1);
        self.places.push_back((item, receiver));
        let refused = self.troupe.assign_wait(move || {
            if let Some(result) = job()? {
                // The receiver is gone only if the program is ending early.
                sender.send(result).ok();
            }
            Ok(())
        });
        drop(refused);
    }

    /// The oldest item and its result, if it is settled. Waits for it only when the window is
    /// full.
    pub(crate) fn due(&mut self) -> Option<(T, Option<R>)> {
        if self.places.len() >= self.window {
            return self.oldest();
        }
        let (_, receiver) = self.places.front()?;
        let result = match receiver.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => return None,
        };
        self.places.pop_front().map(|(item, _)| (item, result))
    }

    /// The oldest item and its result. Waits for it; `None` when there is no item left.
    pub(crate) fn oldest(&mut self) -> Option<(T, Option<R>)> {
        let (item, receiver) = self.places.pop_front()?;
        Some((item, receiver.recv().ok()))
    }
}

//! Results in the order in which the jobs were fed, however the actors finish them.
//!
//! Two bounds keep memory flat. The troupe's own holds back the jobs that are not finished. The
//! window holds back the results that are, but cannot be printed because an older one is still
//! being worked on: without it, a terabyte in front of a million small files would pile up a
//! million lines. It is as wide as the troupe's capacity: if it were narrower, the mailboxes
//! could not fill.
//!
//! Each job has a separate channel for its one result. That settles the place of every job exactly
//! once: if the job panics, is taken back by `shutdown_now` or is refused, its sender is dropped, and
//! the receiver learns that there will be no result. An error takes the sender along, to the error
//! handler. Nothing can be forgotten.
//!
//! Feeding and taking are for two threads. The feeder waits for room, for a directory and for a
//! list; the taker waits for results only, and a request to stop ends that wait. So what is
//! finished can be taken even if a file, a directory or a list never comes to its end.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use troupe_pool::{Handle, Troupe, Work};

/// How long a result is waited for after a request to stop: long enough for a job to give up after
/// its next read. Less than the second after which another signal ends the program.
const GRACE: Duration = Duration::from_millis(500);

/// The end of a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome<R> {
    Done(R),
    /// It returned an error.
    Failed,
    /// It has declined, was not run, panicked, or is still running after a request to stop.
    NotDone,
}

/// The error of a job, and the job's place. The troupe's error handler gets both, and the drop
/// settles the place: the error has been reported by then.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Failed<E, R> {
    error: E,
    place: Sender<Outcome<R>>,
}

impl<E, R> Drop for Failed<E, R> {
    fn drop(&mut self) {
        // The receiver is gone only if the program is ending early.
        self.place.send(Outcome::Failed).ok();
    }
}

/// A place in the window: what was fed, and where the result of its job arrives.
type Place<T, R> = (T, Option<Receiver<Outcome<R>>>);

/// Both ends. `stop` disconnects at a request to stop.
pub(crate) fn ordered<E, T, R>(
    troupe: &Troupe<Failed<E, R>>,
    stop: Receiver<()>,
) -> (Feed<E, T, R>, Results<T, R>) {
    let (sender, receiver) = bounded(troupe.stats().capacity);
    let feed = Feed {
        troupe: troupe.handle(),
        places: sender,
    };
    let results = Results {
        places: receiver,
        stop,
        deadline: None,
    };
    (feed, results)
}

/// The feeder's end.
#[derive(Debug)]
pub(crate) struct Feed<E, T, R> {
    troupe: Handle<Failed<E, R>>,
    places: Sender<Place<T, R>>,
}

impl<E, T, R> Feed<E, T, R>
where
    E: Send + 'static,
    R: Send + 'static,
{
    /// Takes the next place for `item`, which has no job. Waits for a place in the window. `false`
    /// if nobody takes results any more.
    pub(crate) fn item(&self, item: T) -> bool {
        self.places.send((item, None)).is_ok()
    }

    /// Takes the next place for `item`, and assigns `job`. Waits for a place in the window, and for
    /// room in the troupe. `false` if nobody takes results any more.
    ///
    /// A job may decline with `Ok(None)`. Jobs with the same key run one after the other, in
    /// order. Once the troupe is shutting down the job is refused, and its place comes back without
    /// a result like that of any other job that was not done.
    pub(crate) fn job<F>(&self, item: T, key: Option<&str>, job: F) -> bool
    where
        F: FnOnce() -> Result<Option<R>, E> + Send + 'static,
    {
        let (sender, receiver) = bounded(1);
        if self.places.send((item, Some(receiver))).is_err() {
            return false;
        }
        let mut work = Work::new(move || {
            let place = sender;
            match job() {
                Ok(None) => Ok(()),
                Ok(Some(result)) => {
                    place.send(Outcome::Done(result)).ok();
                    Ok(())
                }
                Err(error) => Err(Failed { error, place }),
            }
        });
        if let Some(key) = key {
            work = work.keyed(key);
        }
        drop(self.troupe.assign_wait(work));
        true
    }
}

/// The taker's end.
#[derive(Debug)]
pub(crate) struct Results<T, R> {
    places: Receiver<Place<T, R>>,
    stop: Receiver<()>,
    /// Set at a request to stop.
    deadline: Option<Instant>,
}

impl<T, R> Results<T, R> {
    /// Receives the next message; `None` if there can be none, or there is none within the grace.
    fn receive<M>(&mut self, channel: &Receiver<M>) -> Option<M> {
        if self.deadline.is_none() {
            select! {
                recv(channel) -> message => return message.ok(),
                recv(self.stop) -> _ => self.deadline = Instant::now().checked_add(GRACE),
            }
        }
        // Even when the time is up, this receives a message that is there already.
        channel.recv_deadline(self.deadline?).ok()
    }
}

/// The oldest item first, each with the outcome of its job, if it has one. After a request to stop,
/// what does not come within the grace is passed over.
impl<T, R> Iterator for Results<T, R> {
    type Item = (T, Option<Outcome<R>>);

    fn next(&mut self) -> Option<Self::Item> {
        let places = self.places.clone();
        let (item, result) = self.receive(&places)?;
        let outcome = result.map(|result| self.receive(&result).unwrap_or(Outcome::NotDone));
        Some((item, outcome))
    }
}

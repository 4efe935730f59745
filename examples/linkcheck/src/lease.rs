//! A lease on one resource: whatever becomes of the work that holds it, the feeder hears of it
//! exactly once.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use crate::{error::Broken, page::Answer};

/// The number of a resource in the ledger.
pub(crate) type Id = usize;

/// Messages to the feeder.
#[derive(Debug)]
pub(crate) enum Message {
    /// The work has an answer.
    Answer(Id, Answer),
    /// The work failed, and the error handler wants it tried again.
    Again(Id, Option<Duration>),
    /// The work failed for good.
    Broken(Id, Broken),
    /// The work was refused or taken back, by a troupe that is shutting down, or was cut off.
    Unchecked(Id),
    /// A signal has come.
    Stop,
}

/// Held by the closure of a work, and by its error.
///
/// It ends by [`tell`](Lease::tell), or else by its drop: in a work that panics, that was refused,
/// that `shutdown_now` gave back, or that has nothing to tell. So no path can forget the feeder, and
/// none can tell it twice.
#[derive(Debug)]
pub(crate) struct Lease {
    id: Id,
    attempt: u32,
    outbox: Option<SyncSender<Message>>,
}

impl Lease {
    pub(crate) fn new(id: Id, attempt: u32, outbox: SyncSender<Message>) -> Self {
        Lease {
            id,
            attempt,
            outbox: Some(outbox),
        }
    }

    /// The first is 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn tell(mut self, message: impl FnOnce(Id) -> Message) {
        let message = message(self.id);
        self.send(message);
    }

    fn send(&mut self, message: Message) {
        if let Some(outbox) = self.outbox.take() {
            // Never blocks, see `mail`. The inbox is gone only if the program is ending early.
            outbox.send(message).ok();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let message = if thread::panicking() {
            Message::Broken(self.id, Broken::Panicked)
        } else {
            Message::Unchecked(self.id)
        };
        self.send(message);
    }
}

/// The `E` of the troupe: a work returns it, and the error handler gets it by value.
///
/// It carries the lease of the work that failed, so the handler can answer for it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Failed {
    pub(crate) lease: Lease,
    pub(crate) why: Broken,
    /// When the server wants to be asked again.
    pub(crate) after: Option<Duration>,
}

/// The channel to a feeder that has at most so many leases out.
///
/// Each lease sends once, so neither a work nor the error handler ever waits for room here: a
/// handler that blocks keeps an actor from its mailbox. One place more is for the signal.
pub(crate) fn mail(leases: usize) -> (SyncSender<Message>, Receiver<Message>) {
    sync_channel(leases.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use troupe_pool::{Config, Failure, Troupe};

    use super::{Broken, Failed, Lease, Message, mail};
    use crate::page::{Answer, Page};

    /// A wait that takes longer is a failed test.
    const HANG: Duration = Duration::from_secs(60);

    /// Whatever becomes of a work, its lease tells once.
    #[test]
    fn a_lease_tells_exactly_once() {
        let (outbox, inbox) = mail(9);
        let lease = |id| Lease::new(id, 1, outbox.clone());
        let troupe = Troupe::<Failed>::builder(Config::fixed(1).mailbox_size(9))
            .error_handler(|failure, _| match failure {
                Failure::Error(failed) if failed.why == Broken::Dns => {
                    failed.lease.tell(|id| Message::Broken(id, Broken::Dns));
                }
                Failure::Error(failed) => panic!("the handler, over {failed}"),
                _ => {}
            })
            .build()
            .unwrap();
        type Run = fn(Lease) -> Result<(), Failed>;
        let works: [(usize, Run); 5] = [
            (0, |lease| {
                lease.tell(|id| Message::Answer(id, Answer::Here(Page::default())));
                Ok(())
            }),
            (1, |lease| Err(fail(lease, Broken::Dns))),
            (2, |lease| Err(fail(lease, Broken::Refused))),
            (3, |_lease| panic!("a parser")),
            (4, |lease| {
                lease.tell(|id| Message::Again(id, None));
                panic!("having told")
            }),
        ];
        for (id, work) in works {
            let lease = lease(id);
            troupe.assign(move || work(lease)).unwrap();
        }
        troupe.wait_idle_timeout(HANG).unwrap();
        let (open, gate) = mpsc::channel::<()>();
        let (started, is_started) = mpsc::channel();
        let last = lease(5);
        troupe
            .assign(move || {
                let _last = last;
                started.send(()).ok();
                gate.recv().ok();
                Ok(())
            })
            .unwrap();
        is_started.recv_timeout(HANG).unwrap();
        let taken_back = lease(6);
        troupe
            .assign(move || Err(fail(taken_back, Broken::Dns)))
            .unwrap();
        drop(troupe.shutdown_now());
        let refused = lease(7);
        assert!(
            troupe
                .assign(move || Err(fail(refused, Broken::Dns)))
                .is_err()
        );
        drop(open);
        troupe.join_timeout(HANG).unwrap();
        drop(outbox);
        assert_eq!(
            told(&inbox),
            [
                "Answer(0)",
                "Broken(1, Dns)",
                "Broken(2, Panicked)",
                "Broken(3, Panicked)",
                "Again(4)",
                "Unchecked(6)",
                "Unchecked(7)",
                "Unchecked(5)",
            ]
        );
    }

    fn fail(lease: Lease, why: Broken) -> Failed {
        Failed {
            lease,
            why,
            after: None,
        }
    }

    fn told(inbox: &mpsc::Receiver<Message>) -> Vec<String> {
        let messages = inbox.try_iter().map(|message| match message {
            Message::Answer(id, _) => format!("Answer({id})"),
            Message::Again(id, _) => format!("Again({id})"),
            other => format!("{other:?}"),
        });
        messages.collect()
    }
}

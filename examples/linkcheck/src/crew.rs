//! The troupe, and its error handler.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use troupe_pool::{AssignError, BuildError, Config, Failure, Troupe};
use url::Url;

use crate::{
    error::Fatal,
    fetch::{Attempt, Fetcher, NoAnswer},
    lease::{Failed, Id, Lease, Message},
    report::Report,
};

#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) troupe: Arc<Troupe<Failed>>,
    pub(crate) fetcher: Arc<Fetcher>,
    retries: u32,
}

impl Crew {
    pub(crate) fn new(
        config: Config,
        retries: u32,
        fetcher: Fetcher,
        report: Arc<Report>,
    ) -> Result<Self, BuildError> {
        let troupe = Troupe::builder(config)
            // The handler decides and passes on; it never waits. Were it to sleep until the retry
            // is due, or to wait for room in its own troupe, every actor could end up in here.
            .error_handler(move |failure: Failure<Failed>, _| match failure {
                Failure::Error(Failed { lease, why, after }) => {
                    if why.is_transient() && lease.attempt() <= retries {
                        lease.tell(|id| Message::Again(id, after));
                    } else {
                        lease.tell(|id| Message::Broken(id, why));
                    }
                }
                // Its lease has told the feeder already, when it was dropped.
                other => report.say(other),
            })
            .build()?;
        Ok(Crew {
            troupe: Arc::new(troupe),
            fetcher: Arc::new(fetcher),
            retries,
        })
    }

    /// Assigns the work that asks for a resource. Waits for room in the troupe; true if it had to.
    ///
    /// Whatever happens to the work, `outbox` gets one message.
    pub(crate) fn ask(
        &self,
        id: Id,
        attempt: u32,
        url: Url,
        is_page: bool,
        outbox: SyncSender<Message>,
    ) -> Result<bool, Fatal> {
        let (fetcher, troupe) = (Arc::clone(&self.fetcher), self.troupe.handle());
        // Before the closure: one that is never run has its lease all the same.
        let lease = Lease::new(id, attempt, outbox);
        let attempt = Attempt {
            is_first: attempt == 1,
            is_last: attempt > self.retries,
        };
        let work = move || match fetcher.ask(&url, is_page, attempt, || troupe.is_shutdown()) {
            Ok(answer) => {
                lease.tell(|id| Message::Answer(id, answer));
                Ok(())
            }
            Err(NoAnswer::Broken(why, after)) => Err(Failed { lease, why, after }),
            // The drop of its lease tells that it is unchecked.
            Err(NoAnswer::Stopped) => Ok(()),
        };
        let (was_full, result) = match self.troupe.assign(work) {
            // Nothing is dropped and nothing piles up: the feeder stops until there is room.
            Err(AssignError::Full(work)) => (true, self.troupe.assign_wait(work)),
            other => (false, other),
        };
        match result {
            Err(AssignError::Spawn { source, .. }) => Err(Fatal::Thread(source)),
            // Shutting down: dropping the work tells the feeder.
            _ => Ok(was_full),
        }
    }
}

/// How long to wait before the next attempt: twice as long each time.
pub(crate) fn backoff(first: Duration, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    first.saturating_mul(1 << doublings)
}

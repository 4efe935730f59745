//! A lease on one message: whatever becomes of the work that holds it, the feeder gets exactly one
//! verdict.

use std::{sync::Arc, thread};

use crate::{
    inbox::Inbox,
    verdict::{Delivery, Settlement, Verdict},
};

/// Held by the closure of a work, and by its error.
///
/// It ends by [`done`](Lease::done) or [`failed`](Lease::failed), or else by its drop: in a work
/// that panics, in one that was refused, or that `shutdown_now` gave back. So refusal, panic and
/// shutdown are one path, which nobody has to remember to take. The end of the process is the same
/// to the broker: there the lease runs out, and another worker takes the message over.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Empty once the verdict is given.
    delivery: Option<Arc<Delivery>>,
    inbox: Arc<Inbox>,
}

impl Lease {
    pub(crate) fn new(delivery: Arc<Delivery>, inbox: Arc<Inbox>) -> Self {
        Lease {
            delivery: Some(delivery),
            inbox,
        }
    }

    /// Has to be called before the work begins. False if it may not: the feeder has revoked it.
    pub(crate) fn begin(&self) -> bool {
        self.delivery
            .as_ref()
            .is_some_and(|delivery| delivery.end_wait())
    }

    pub(crate) fn done(mut self) {
        self.settle(Verdict::Done);
    }

    pub(crate) fn failed(mut self, why: String) {
        self.settle(Verdict::Failed(why));
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(delivery) = self.delivery.take() {
            self.inbox.put(Settlement { delivery, verdict });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(delivery) = &self.delivery else {
            return;
        };
        // A panic counts as an attempt: otherwise a message that always panics would be given out
        // for ever.
        let verdict = if thread::panicking() {
            Verdict::Failed("panicked".into())
        } else if delivery.end_wait() {
            Verdict::Released
        } else {
            Verdict::Revoked
        };
        self.settle(verdict);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic,
        time::{Duration, Instant},
    };

    use troupe_pool::{Config, Troupe};

    use super::*;
    use crate::inbox::Heard;

    fn lease(inbox: &Arc<Inbox>) -> Lease {
        let delivery = Delivery::new("1-1".into(), 1, Instant::now());
        Lease::new(Arc::new(delivery), Arc::clone(inbox))
    }

    fn verdicts(inbox: &Inbox) -> Vec<Verdict> {
        let mut settlements = Vec::new();
        let Heard { .. } = inbox.hear(&mut settlements, 1, Duration::ZERO);
        settlements.into_iter().map(|one| one.verdict).collect()
    }

    #[test]
    fn each_way_to_end_gives_one_verdict() {
        let inbox = Arc::new(Inbox::new(1));
        lease(&inbox).done();
        assert_eq!(verdicts(&inbox), [Verdict::Done]);
        lease(&inbox).failed("no paper".into());
        assert_eq!(verdicts(&inbox), [Verdict::Failed("no paper".into())]);
        drop(lease(&inbox));
        assert_eq!(verdicts(&inbox), [Verdict::Released]);
        let revoked = lease(&inbox);
        assert!(revoked.delivery.as_ref().unwrap().end_wait());
        assert!(!revoked.begin());
        drop(revoked);
        assert_eq!(verdicts(&inbox), [Verdict::Revoked]);
        let held = lease(&inbox);
        assert!(held.begin());
        panic::catch_unwind(panic::AssertUnwindSafe(move || {
            let _held = held;
            panic::resume_unwind(Box::new("no message"));
        }))
        .unwrap_err();
        assert_eq!(verdicts(&inbox), [Verdict::Failed("panicked".into())]);
    }

    #[test]
    fn a_troupe_that_is_shut_down_gives_the_message_back() {
        let inbox = Arc::new(Inbox::new(3));
        let troupe: Troupe = Troupe::new(Config::fixed(1).mailbox_size(2)).unwrap();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (begun, begin) = std::sync::mpsc::channel();
        let running = lease(&inbox);
        let work = move || {
            begun.send(())?;
            gate.recv().ok();
            running.done();
            Ok(())
        };
        troupe.assign(work).unwrap();
        begin.recv().unwrap();
        for _ in 0..2 {
            let waiting = lease(&inbox);
            troupe
                .assign(move || {
                    waiting.done();
                    Ok(())
                })
                .unwrap();
        }
        drop(troupe.shutdown_now());
        assert_eq!(verdicts(&inbox), [Verdict::Released, Verdict::Released]);
        let late = lease(&inbox);
        let work = move || {
            late.done();
            Ok(())
        };
        let refused = troupe.assign(work).unwrap_err();
        assert!(refused.is_shutting_down());
        drop(refused);
        assert_eq!(verdicts(&inbox), [Verdict::Released]);
        open.send(()).unwrap();
        troupe.join().unwrap();
        assert_eq!(verdicts(&inbox), [Verdict::Done]);
    }
}

//! Where verdicts wait for the feeder: it sleeps until there are as many as are worth a trip to the
//! broker.

use std::{
    mem,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::verdict::Settlement;

/// Holds no more than one verdict for each lease that is out, and those are bounded by the
/// troupe's capacity; so to put one in never waits.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Many verdicts wake the feeder once. A channel would wake it for each, and where works are
    /// short that costs more than they do.
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    settlements: Vec<Settlement>,
    /// The feeder sleeps until there are so many; 0 while it is awake.
    wanted: usize,
    is_stopping: bool,
    /// Whether the feeder knows that.
    is_stop_heard: bool,
}

/// Messages to the feeder, besides the verdicts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) is_stopping: bool,
}

impl Inbox {
    pub(crate) fn new(leases: usize) -> Self {
        Inbox {
            state: Mutex::new(State {
                settlements: Vec::with_capacity(leases),
                wanted: 0,
                is_stopping: false,
                is_stop_heard: false,
            }),
            wake: Condvar::new(),
        }
    }

    pub(crate) fn put(&self, settlement: Settlement) {
        let mut state = self.state.lock();
        state.settlements.push(settlement);
        let is_enough = state.settlements.len() == state.wanted;
        drop(state);
        if is_enough {
            self.wake.notify_one();
        }
    }

    /// A signal has come.
    pub(crate) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.wake.notify_one();
    }

    /// Appends the verdicts that are there to `settlements`. Waits until they are `wanted`, or the
    /// time is up, or [`stop`](Inbox::stop) has been called and no call of this has said so yet.
    pub(crate) fn hear(
        &self,
        settlements: &mut Vec<Settlement>,
        wanted: usize,
        timeout: Duration,
    ) -> Heard {
        let mut state = self.state.lock();
        if !timeout.is_zero() {
            let deadline = Instant::now() + timeout;
            state.wanted = wanted;
            while state.settlements.len() < wanted && state.is_stopping == state.is_stop_heard {
                if self.wake.wait_until(&mut state, deadline).timed_out() {
                    break;
                }
            }
            state.wanted = 0;
        }
        if settlements.is_empty() {
            // Both keep their places in memory.
            mem::swap(settlements, &mut state.settlements);
        } else {
            settlements.append(&mut state.settlements);
        }
        state.is_stop_heard = state.is_stopping;
        Heard {
            is_stopping: state.is_stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;
    use crate::{lease::Lease, verdict::Delivery};

    /// After this long a test is hung.
    const HANG: Duration = Duration::from_secs(60);

    #[test]
    fn the_feeder_is_woken_by_as_many_as_it_wants() {
        let inbox = Arc::new(Inbox::new(8));
        let leases: Vec<_> = (0..8)
            .map(|number| Delivery::new("1-1".into(), number, Instant::now()))
            .map(|delivery| Lease::new(Arc::new(delivery), Arc::clone(&inbox)))
            .collect();
        let actors = thread::Builder::new()
            .spawn(move || leases.into_iter().for_each(Lease::done))
            .unwrap();
        let mut settlements = Vec::new();
        while settlements.len() < 8 {
            let before = settlements.len();
            inbox.hear(&mut settlements, 4, HANG);
            assert!(settlements.len() >= before + 4, "woken too early");
        }
        actors.join().unwrap();
    }

    #[test]
    fn a_signal_that_came_before_the_wait_ends_it() {
        let inbox = Inbox::new(1);
        let begun = Instant::now();
        inbox.stop();
        assert!(inbox.hear(&mut Vec::new(), 1, HANG).is_stopping);
        assert!(begun.elapsed() < HANG, "it waited to the end");
    }

    #[test]
    fn a_signal_wakes_the_feeder() {
        let inbox = Arc::new(Inbox::new(1));
        let signal = Arc::clone(&inbox);
        let begun = Instant::now();
        let signals = thread::Builder::new().spawn(move || signal.stop()).unwrap();
        while !inbox.hear(&mut Vec::new(), 1, HANG).is_stopping {
            assert!(begun.elapsed() < HANG, "hung");
        }
        signals.join().unwrap();
        // Once it is known, it is no reason to wake up again.
        let short = Duration::from_millis(1);
        let heard = inbox.hear(&mut Vec::new(), 1, short);
        assert!(heard.is_stopping && begun.elapsed() >= short);
    }
}

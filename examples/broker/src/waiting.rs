//! Messages that wait in the troupe, and that somebody may settle meanwhile: another worker that was
//! late with its verdict, or an operator with `XACK` or `XDEL`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::verdict::{Delivery, Settlement, Verdict};

/// A message is checked once it has waited this long, and then at this interval. Short works never
/// leave a message waiting this long.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// The most messages in one check. The oldest come first, since they usually begin next. Each costs
/// the broker some microseconds, and there may be many workers.
const CHECKED: usize = 64;

#[derive(Debug)]
pub(crate) struct Waiting {
    /// The oldest first. Some may have begun.
    deliveries: Vec<Arc<Delivery>>,
    /// At this length, deliveries that have begun are removed.
    most: usize,
    check_at: Instant,
    /// Deliveries that were revoked, and whose leases have not come back.
    revoked: usize,
}

impl Waiting {
    pub(crate) fn new(capacity: usize) -> Self {
        let most = capacity.saturating_mul(2);
        Waiting {
            deliveries: Vec::new(),
            most,
            check_at: Instant::now(),
            revoked: 0,
        }
    }

    pub(crate) fn add(&mut self, delivery: Arc<Delivery>) {
        if self.deliveries.len() >= self.most {
            self.deliveries.retain(|one| one.is_waiting());
        }
        self.deliveries.push(delivery);
    }

    /// The deliveries to ask the broker about at this time, if there are any.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Arc<Delivery>> {
        if self.check_at > now {
            return Vec::new();
        }
        self.check_at = now + CHECK_EVERY;
        self.deliveries.retain(|one| one.is_waiting());
        let is_old = |one: &&Arc<Delivery>| now.duration_since(one.at) >= CHECK_EVERY;
        let old = self.deliveries.iter().take_while(is_old);
        old.take(CHECKED).cloned().collect()
    }

    /// Keeps the work of this delivery from being begun. False if it has begun.
    pub(crate) fn revoke(&mut self, delivery: &Delivery) -> bool {
        let is_revoked = delivery.end_wait();
        self.revoked += usize::from(is_revoked);
        is_revoked
    }

    /// Removes the verdicts of revoked deliveries, which the broker does not need.
    pub(crate) fn remove_revoked(&mut self, settlements: &mut Vec<Settlement>) {
        if self.revoked == 0 {
            return;
        }
        let before = settlements.len();
        settlements.retain(|one| one.verdict != Verdict::Revoked);
        self.revoked -= before - settlements.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_wait_for_long_are_checked_the_oldest_first() {
        let begun = Instant::now();
        let (wait, short) = (CHECK_EVERY, CHECK_EVERY / 2);
        let mut waiting = Waiting::new(2 * CHECKED);
        let add = |waiting: &mut Waiting, number, at| {
            let delivery = Arc::new(Delivery::new("1-1".into(), number, at));
            waiting.add(Arc::clone(&delivery));
            delivery
        };
        let first = add(&mut waiting, 1, begun);
        for number in 2..=CHECKED + 2 {
            add(&mut waiting, u32::try_from(number).unwrap(), begun);
        }
        add(&mut waiting, 0, begun + wait);
        let check = |waiting: &mut Waiting, at| -> Vec<u32> {
            let deliveries = waiting.due(at);
            deliveries.iter().map(|one| one.number).collect()
        };
        let from = |first: u32| (first..first + CHECKED as u32).collect::<Vec<_>>();
        // Too early, too early again, and then all that are old but for the last two.
        assert_eq!(check(&mut waiting, begun + short), []);
        assert_eq!(check(&mut waiting, begun + wait), []);
        assert_eq!(check(&mut waiting, begun + wait + short), from(1));
        // It begins, and so may the next.
        assert!(first.end_wait() && !waiting.revoke(&first));
        assert_eq!(check(&mut waiting, begun + 3 * wait), from(2));
    }

    #[test]
    fn those_that_have_begun_are_forgotten() {
        let mut waiting = Waiting::new(4);
        for number in 0..1_000 {
            let delivery = Arc::new(Delivery::new("1-1".into(), number, Instant::now()));
            waiting.add(Arc::clone(&delivery));
            assert!(delivery.end_wait());
        }
        assert!(waiting.deliveries.len() <= 8);
    }
}

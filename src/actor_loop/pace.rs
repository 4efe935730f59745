//! The choice of an actor that has run out of work: to look for more at once, or to hold off
//! for a while first.
//!
//! If works come one by one, each sent after the last has begun, an actor that keeps looking
//! begins them soonest. A stream of small works is done soonest by an actor that holds off while
//! the senders run ahead. Otherwise the mailbox's cache lines bounce with every work. An actor
//! cannot see which of the two is the case, but it can try: holding off has paid if many works
//! have come meanwhile.

/// Holding off has paid if at least this many works in a row followed.
const PAID: u32 = 16;

/// The number of works before an actor first holds off, and before it holds off again if that
/// has paid.
const SOON: u32 = 4;

/// The highest number of works before an actor holds off again if that has not paid.
const LATE: u32 = 4_096;

/// An actor's experience with the works that come to it.
#[derive(Debug)]
pub(super) struct Pace {
    /// The number of works since the effect of holding off was last judged.
    works: u32,
    /// The number of works before the actor holds off again.
    wait: u32,
    /// Whether the actor held off when it last ran out of work.
    held_off: bool,
    /// Works run since the actor last ran out of work.
    run_length: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            works: 0,
            wait: SOON,
            held_off: false,
            run_length: 0,
        }
    }

    /// Notes that the actor has run a work.
    pub(super) fn ran(&mut self) {
        self.run_length = self.run_length.saturating_add(1);
    }

    /// Notes that the actor has run out of work. Returns `true` if it should hold off for a
    /// while.
    pub(super) fn runs_out(&mut self) -> bool {
        let works = std::mem::take(&mut self.run_length);
        if self.held_off {
            self.works = 0;
            self.wait = if works >= PAID {
                SOON
            } else {
                (self.wait * 4).min(LATE)
            };
        }
        self.works = self.works.saturating_add(works);
        self.held_off = self.works >= self.wait;
        self.held_off
    }
}

#[cfg(test)]
mod tests {
    use super::{LATE, PAID, Pace, SOON};

    fn run_out_after(pace: &mut Pace, works: u32) -> bool {
        (0..works).for_each(|_| pace.ran());
        pace.runs_out()
    }

    #[test]
    fn it_holds_off_as_long_as_that_pays() {
        let mut pace = Pace::new();
        assert!(!run_out_after(&mut pace, SOON - 1));
        assert!(run_out_after(&mut pace, 1));
        for _ in 0..10 {
            assert!(run_out_after(&mut pace, PAID));
        }
    }

    #[test]
    fn it_holds_off_ever_more_rarely_if_that_does_not_pay() {
        let mut pace = Pace::new();
        let gaps: Vec<u32> = (0..8)
            .map(|_| 1 + (0..).take_while(|_| !run_out_after(&mut pace, 1)).count() as u32)
            .collect();
        assert_eq!(gaps[..4], [SOON, 4 * SOON, 16 * SOON, 64 * SOON]);
        assert_eq!(gaps[6..], [LATE, LATE]);
    }
}

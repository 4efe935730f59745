//! The blocking back end: a driver, a library in C, a disk. Here it only takes its time.

use std::{panic, thread, time::Duration};

/// Something that can only be called by a thread that waits.
pub trait Backend: Send + Sync + 'static {
    /// Blocks until there is an answer.
    ///
    /// # Errors
    ///
    /// If this id cannot be processed.
    fn call(&self, id: u64) -> Result<String, Rejected>;
}

/// The back end has understood, and says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id {0} is rejected")]
pub struct Rejected(
    /// The id.
    pub u64,
);

/// Takes its time; what then happens depends on the id alone, so that a run can be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Simulated {
    /// How long a call takes.
    pub time: Duration,
    /// An id that this divides is rejected; 0 divides none.
    pub error_every: u64,
    /// The id before one that this divides panics; 0 divides none.
    pub panic_every: u64,
}

impl Backend for Simulated {
    fn call(&self, id: u64) -> Result<String, Rejected> {
        rest(self.time);
        if divides(self.panic_every, id.wrapping_add(1)) {
            // Like `panic!`, without a message on standard error for each.
            panic::resume_unwind(Box::new("the simulated panic"));
        } else if divides(self.error_every, id) {
            Err(Rejected(id))
        } else {
            Ok(format!("done: {id}\n"))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody waits for something here: that it takes time is all that the call does"
)]
fn rest(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}

fn divides(divisor: u64, number: u64) -> bool {
    number.checked_rem(divisor) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four hundred ids that follow each other are the mix that README.md shows.
    #[test]
    fn the_id_alone_decides() {
        let simulated = Simulated {
            time: Duration::ZERO,
            error_every: 10,
            panic_every: 100,
        };
        let (mut ok, mut rejected, mut panicked) = (0, 0, 0);
        for id in 0..400 {
            match panic::catch_unwind(|| simulated.call(id)) {
                Ok(Ok(text)) => {
                    assert_eq!(text, format!("done: {id}\n"));
                    ok += 1;
                }
                Ok(Err(Rejected(which))) => {
                    assert_eq!(which, id);
                    rejected += 1;
                }
                Err(_) => panicked += 1,
            }
        }
        assert_eq!((ok, rejected, panicked), (356, 40, 4));
        assert!(!divides(0, 0), "0 divides none");
    }
}

//! The simulated work: it takes its time, and then it succeeds, fails or panics.

use std::{ops::RangeInclusive, panic, thread, time::Duration};

use crate::wire::Argument;

/// The outcome of an attempt depends on nothing but the seed, the id in the call's argument, and
/// how many attempts went before, so a run can be repeated whatever its threads do.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    pub(crate) work: RangeInclusive<Duration>,
    pub(crate) error_rate: f64,
    pub(crate) panic_rate: f64,
    pub(crate) seed: u64,
}

impl Simulation {
    /// Makes one attempt, the first being 1.
    pub(crate) fn attempt(&self, argument: &Argument, attempt: u32) -> Result<(), &'static str> {
        let call = mix(self.seed ^ mix(argument.id));
        let (time, fate) = (
            mix(call ^ u64::from(attempt)),
            mix(!call ^ u64::from(attempt)),
        );
        rest(match argument.work_us {
            Some(microseconds) => Duration::from_micros(microseconds),
            None => {
                let spread = *self.work.end() - *self.work.start();
                *self.work.start() + spread.mul_f64(share(time))
            }
        });
        let fate = share(fate);
        if fate < self.panic_rate {
            // Like `panic!`, without a message on standard error for each.
            panic::resume_unwind(Box::new("the simulated panic"));
        } else if fate < self.panic_rate + self.error_rate {
            Err("the simulated error")
        } else {
            Ok(())
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody waits for something here: that it takes time is all that the work does"
)]
fn rest(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}

/// A number in 0..1.
fn share(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finalizer of SplitMix64: near numbers become far ones.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

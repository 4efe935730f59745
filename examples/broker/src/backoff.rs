//! How long to wait after a failure.

use std::time::{Duration, Instant};

/// The first wait; then twice as long after each failure, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(20);
pub(crate) const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Backoff {
    /// Since the last success.
    failures: u32,
    /// The earliest time of the next attempt.
    resume: Instant,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff {
            failures: 0,
            resume: Instant::now(),
        }
    }

    /// How long to wait before the next attempt.
    pub(crate) fn pause(&self) -> Duration {
        self.resume.saturating_duration_since(Instant::now())
    }

    pub(crate) fn fail(&mut self) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let pause = SHORTEST.saturating_mul(1 << doublings).min(LONGEST);
        self.resume = Instant::now() + pause;
    }

    /// Tests need not wait.
    #[cfg(test)]
    pub(crate) fn resume_at(&mut self, time: Instant) {
        self.resume = time;
    }

    /// Whether the last attempt was a success.
    pub(crate) fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Records a success.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }
}

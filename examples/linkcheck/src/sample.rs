//! Samples of the pool, for the progress line and the picture.

use std::time::Duration;

/// The pool at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) actors: usize,
    pub(crate) busy: usize,
    pub(crate) queued: usize,
    pub(crate) retrying: usize,
}

//! The instructions of a worker, and the defaults of some of them.

use std::time::Duration;

use crate::stream::{Rule, Stream};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stream: Stream,
    pub(crate) rule: Rule,
    /// The longest that a work takes.
    pub(crate) work_timeout: Duration,
    /// Messages with equal values of this field are done in order.
    pub(crate) key_field: Option<String>,
    pub(crate) claim_every: Duration,
    /// How long an end may take.
    pub(crate) grace: Duration,
    pub(crate) report_every: Option<Duration>,
    pub(crate) trim_every: Option<Duration>,
    /// Whether to end once no message is left.
    pub(crate) is_until_empty: bool,
}

/// A number that suits most machines, since the works mostly wait.
pub(crate) const ACTORS: usize = 8;
pub(crate) const MAILBOX: usize = 31;
pub(crate) const WORK_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const MIN_IDLE: Duration = Duration::from_secs(60);

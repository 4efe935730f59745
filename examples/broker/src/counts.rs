//! Counts of a worker's messages so far.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// New messages.
    pub(crate) fetched: u64,
    /// Messages taken over, or given out again.
    pub(crate) claimed: u64,
    pub(crate) done: u64,
    pub(crate) given_back: u64,
    pub(crate) dead_lettered: u64,
    /// Messages that another worker took over, or that somebody acknowledged, before this worker
    /// gave its verdict or began them.
    pub(crate) overtaken: u64,
    /// Verdicts given so late that another worker may have done the work too.
    pub(crate) late: u64,
    /// Messages that somebody removed from the stream before they were settled.
    pub(crate) trimmed: u64,
    /// How often the troupe was full for a moment.
    pub(crate) full: u64,
    pub(crate) lost_connections: u64,
    pub(crate) groups_made: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            fetched,
            claimed,
            done,
            given_back,
            dead_lettered,
            overtaken,
            late,
            trimmed,
            full,
            lost_connections,
            groups_made,
        } = self;
        write!(
            f,
            "fetched {fetched} claimed {claimed} done {done} given_back {given_back} \
             dead_lettered {dead_lettered} overtaken {overtaken} late {late} trimmed {trimmed} \
             full {full} lost_connections {lost_connections} groups_made {groups_made}"
        )
    }
}

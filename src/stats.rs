//! `Stats` and `ActorStats`, snapshots of a troupe and its actors.

use crate::sync::Instant;

/// A snapshot of what a troupe has done and is doing.
///
/// Counters (`u64`) never decrease from one snapshot to the next. Gauges (`usize`) go up
/// and down.
///
/// All accepted work ends in exactly one of `completed`, `failed`, `panicked`, `expired`,
/// `cancelled` and `returned`. At rest their sum equals `accepted`, and in no snapshot is it
/// higher. Differences such as `accepted - completed` therefore never underflow.
/// `queued + running` never exceeds `capacity`, and `in_line` never exceeds
/// [`line_size`](crate::Config::line_size).
///
/// A snapshot is not taken at one instant. Work that moves on meanwhile, from waiting to
/// running or from running to finished, may be missed by the gauges. It is never counted
/// twice.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Troupe};
///
/// let troupe = Troupe::new(Config::fixed(2))?;
/// let before = troupe.stats();
/// for _ in 0..10 {
///     troupe.assign(|| Ok(()))?;
/// }
/// troupe.wait_idle()?;
/// let after = troupe.stats();
/// assert_eq!(after.completed - before.completed, 10);
/// assert_eq!(after.queued + after.running, 0);
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Accepted work. A retry by [`reassign`](crate::Context::reassign) counts as one more.
    pub accepted: u64,
    /// Calls of an assign method that returned an error, for any reason.
    pub refused: u64,
    /// Work that returned `Ok`.
    pub completed: u64,
    /// Work that returned `Err`.
    pub failed: u64,
    /// Work that panicked, or whose captures panicked when they were dropped.
    pub panicked: u64,
    /// Work whose deadline had passed when it would have started.
    pub expired: u64,
    /// Work that was cancelled before it started.
    pub cancelled: u64,
    /// Work returned by `shutdown_now`.
    pub returned: u64,
    /// Actors started after the initial ones.
    pub grown: u64,
    /// Actors that retired after they had been idle for `idle_timeout`.
    pub retired: u64,
    /// Work that an actor took from another actor's mailbox. This is usual while work is
    /// queued, since each actor drains all mailboxes.
    pub shared: u64,
    /// Threads that the system refused to start.
    pub spawn_failures: u64,
    /// Panics of the error handler, of hooks, of the wakers of replies, and of drops of errors,
    /// of panic payloads and of work that was not run. With the feature `tracing`, also those of
    /// the subscriber.
    pub handler_panics: u64,
    /// Accepted work that has not started, except the work in line.
    pub queued: usize,
    /// Accepted work that waits for its key, or whose turn has come and that waits for an actor.
    pub in_line: usize,
    /// Work that is running, or whose failure is in the error handler.
    pub running: usize,
    /// Actors, except those that are still being started.
    pub actors: usize,
    /// Actors that are idle.
    pub idle: usize,
    /// The highest number of actors at once so far.
    pub peak: usize,
    /// The largest amount of accepted, unfinished work that is not in line:
    /// `max * (mailbox_size + 1)`.
    pub capacity: usize,
}

/// A snapshot of what one actor has done and is doing.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Troupe};
///
/// let troupe = Troupe::new(Config::fixed(2))?;
/// let actors = troupe.actors();
/// assert_eq!(actors.len(), 2);
/// assert!(actors.iter().all(|actor| !actor.is_busy && actor.queued == 0));
/// # troupe.shutdown();
/// # troupe.join()?;
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActorStats {
    /// The actor's number, as in its thread's name. The numbers of retired actors are reused,
    /// lowest first.
    pub id: usize,
    /// `true` while the actor runs work or the error handler.
    pub is_busy: bool,
    /// Work in the actor's mailbox. Any actor may take it.
    pub queued: usize,
    /// Work that actors of this number have finished.
    pub finished: u64,
    /// The time at which an actor of this number last started work.
    ///
    /// It is exact when an idle actor becomes busy, and at most one second old under steady
    /// load. Successive pieces of work that take less than 2.5 microseconds share one reading
    /// of the clock. At most 16 pieces of work share a reading, even if longer ones follow.
    pub last_accepted: Option<Instant>,
    /// The time at which an actor of this number last finished work.
    ///
    /// It is exact when a busy actor becomes idle, and otherwise as exact as `last_accepted`.
    pub last_finished: Option<Instant>,
}

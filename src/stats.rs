//! Snapshots: what a troupe and its actors have done and are doing.

use crate::sync::Instant;

/// What a troupe has done and is doing, at about one moment.
///
/// Counters (`u64`) only grow, from one snapshot to the next; gauges
/// (`usize`) go up and down. Every accepted work ends in exactly one of
/// `completed`, `failed`, `panicked` and `returned`: at rest their sum is
/// `accepted`, and in no snapshot is it more. `queued` and `running` together
/// are never more than `capacity`. So no difference underflows.
///
/// A snapshot is not taken at one instant. Work that moves on meanwhile, from
/// waiting to running or from running to finished, may be missed by the gauges. It
/// is never counted twice.
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
#[non_exhaustive]
pub struct Stats {
    /// Works accepted. A retry by [`reassign`](crate::Context::reassign) counts as
    /// one more.
    pub accepted: u64,
    /// Calls of an assign method that returned an error, for any reason.
    pub refused: u64,
    /// Works that returned `Ok`.
    pub completed: u64,
    /// Works that returned `Err`.
    pub failed: u64,
    /// Works that panicked, or whose captures panicked when they were dropped.
    pub panicked: u64,
    /// Works handed back by `shutdown_now`.
    pub returned: u64,
    /// Actors started after the initial ones.
    pub grown: u64,
    /// Actors that retired: they were idle for `idle_timeout`.
    pub retired: u64,
    /// Works that an actor took from another actor's mailbox. That is usual while
    /// works queue, since each actor drains all mailboxes.
    pub shared: u64,
    /// Threads that the system refused.
    pub spawn_failures: u64,
    /// Panics of the error handler, and of drops of errors and panic payloads.
    pub handler_panics: u64,
    /// Works that have been accepted and wait to be started.
    pub queued: usize,
    /// Works that are running, or whose error handler is.
    pub running: usize,
    /// Actors, without those that are still being started.
    pub actors: usize,
    /// Actors that are idle.
    pub idle: usize,
    /// The highest number of actors so far.
    pub peak: usize,
    /// The most works that can be unfinished at once: `max * (mailbox_size + 1)`.
    pub capacity: usize,
}

/// What one actor is doing, at about one moment.
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
    /// The actor's number, as in its thread's name. Numbers of retired actors are
    /// given again, lowest first.
    pub id: usize,
    /// `true` while the actor runs a work or the error handler.
    pub is_busy: bool,
    /// Works in the actor's mailbox. Any actor may take them.
    pub queued: usize,
    /// Works that actors of this number have finished.
    pub finished: u64,
    /// When an actor of this number last began a work.
    ///
    /// Exact when the actor goes busy, and at most one second behind under steady
    /// load. Works that take less than 2.5 microseconds share a reading of the
    /// clock: at most 16 of them, even if longer ones follow.
    pub last_accepted: Option<Instant>,
    /// When an actor of this number last finished a work.
    ///
    /// Exact when the actor goes idle, and otherwise as exact as `last_accepted`.
    pub last_finished: Option<Instant>,
}

//! The part of an actor that other threads see: its mailbox, its hand-off and its progress.

use super::handoff::Handoff;
use super::mailbox::Mailbox;
use super::room::Gate;
use crate::sync::atomics::{Padded, SingleWriter};
use crate::sync::{Duration, Instant};

/// One actor's place in the troupe. It outlives the actor, and is given to
/// the next one of the same number.
pub struct Slot<E> {
    // First come the parts that senders and actors read at each work, and rarely write.
    pub mailbox: Mailbox<E>,
    /// Whether the slot is vacant, and whether the mailbox is known to be full.
    pub gate: Gate,
    /// The parts that the actor writes at each work, on separate cache lines.
    own: Padded<Own<E>>,
}

/// The parts that mostly the actor writes.
struct Own<E> {
    progress: Progress,
    handoff: Handoff<E>,
}

/// The progress of an actor, which only the actor writes.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rises by four with each work: 4k between two works, 4k + 1 in one, 4k + 3 while the end
    /// of one is told or `on_start` runs. Never the same number twice.
    pub phase: SingleWriter,
    pub completed: SingleWriter,
    pub failed: SingleWriter,
    pub panicked: SingleWriter,
    pub expired: SingleWriter,
    pub cancelled: SingleWriter,
    pub handler_panics: SingleWriter,
    pub shared: SingleWriter,
    last_accepted: SingleWriter,
    last_finished: SingleWriter,
}

impl<E> Slot<E> {
    /// A vacant slot.
    pub(super) fn new(mailbox_size: usize) -> Self {
        Self {
            mailbox: Mailbox::new(mailbox_size),
            gate: Gate::new(),
            own: Padded(Own {
                progress: Progress::default(),
                handoff: Handoff::new(),
            }),
        }
    }

    /// Returns the progress of the actor.
    #[inline]
    pub fn progress(&self) -> &Progress {
        &self.own.progress
    }

    /// Returns the actor's hand-off, with its signal.
    #[inline]
    pub fn handoff(&self) -> &Handoff<E> {
        &self.own.handoff
    }
}

impl Progress {
    /// Moves on to the next phase between two works, which shows `shutdown_now` that the actor
    /// has no work to begin.
    pub fn step(&self) {
        self.phase.set(self.phase.get() + 4);
    }

    /// Returns `true` while the actor runs a work or the error handler.
    pub(super) fn is_running(&self) -> bool {
        is_running(self.phase.get())
    }

    /// Returns how many works actors of this number have finished.
    pub(super) fn finished(&self) -> u64 {
        let by_itself = self.completed.get() + self.failed.get() + self.panicked.get();
        by_itself + self.expired.get() + self.cancelled.get()
    }

    pub fn stamp_accepted(&self, built: Instant, now: Instant) {
        self.last_accepted.set(stamp(built, now));
    }

    pub fn stamp_finished(&self, built: Instant, now: Instant) {
        self.last_finished.set(stamp(built, now));
    }

    pub(super) fn last_accepted(&self, built: Instant) -> Option<Instant> {
        instant(built, self.last_accepted.get())
    }

    pub(super) fn last_finished(&self, built: Instant) -> Option<Instant> {
        instant(built, self.last_finished.get())
    }
}

/// Returns `true` if this phase says that the actor runs a work.
#[inline]
fn is_running(phase: u64) -> bool {
    phase % 4 == 1
}

/// Returns `true` if this phase says that the actor may hold a work that it has not begun.
pub fn is_between(phase: u64) -> bool {
    phase % 4 == 0
}

/// Returns the nanoseconds from `built` to `now`, plus one. Zero stands for never.
fn stamp(built: Instant, now: Instant) -> u64 {
    let nanoseconds = now.saturating_duration_since(built).as_nanos();
    u64::try_from(nanoseconds).unwrap_or(u64::MAX - 1) + 1
}

fn instant(built: Instant, stamp: u64) -> Option<Instant> {
    stamp
        .checked_sub(1)
        .and_then(|nanoseconds| built.checked_add(Duration::from_nanos(nanoseconds)))
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::{Progress, instant, stamp};
    use crate::sync::{Duration, Instant};

    #[test]
    fn each_step_is_a_new_phase_between_works() {
        let progress = Progress::default();
        let mut seen = vec![progress.phase.get()];
        for _ in 0..4 {
            progress.step();
            assert!(!progress.is_running() && !seen.contains(&progress.phase.get()));
            seen.push(progress.phase.get());
        }
        progress.phase.set(progress.phase.get() + 1);
        assert!(progress.is_running());
    }

    #[test]
    fn a_stamp_keeps_the_instant() {
        let built = Instant::now();
        assert_eq!(instant(built, 0), None);
        for after in [0, 1, 2, 1_000_000_007] {
            let then = built + Duration::from_nanos(after);
            assert_eq!(instant(built, stamp(built, then)), Some(then));
        }
        // A stamp has room for 584 years.
        let never = built.checked_add(Duration::from_secs(20_000_000_000));
        assert!(never.is_none_or(|never| instant(built, stamp(built, never)) < Some(never)));
    }
}

//! The snapshots of a pool that users see.
//!
//! # Why a snapshot counts no work twice
//!
//! Finished works are read before running ones, and running ones before waiting ones. A work
//! that moves on meanwhile is therefore missed rather than counted twice.
//!
//! A work that has begun has been accepted, even if its sender has not counted it yet. A work
//! that waits may still go back to a late sender. So no more works are shown as waiting than
//! have been counted as accepted and have not begun.
//!
//! Attacked by `shuttle::snapshots_against_what_goes_back`, `loom::a_snapshot_against_a_work`,
//! `it::stats::the_inequalities_hold_in_every_snapshot`.

use super::{Pool, Slot};
use crate::stats::{ActorStats, Stats};

impl<E> Pool<E> {
    pub fn stats(&self) -> Stats {
        // The order of these loops is that of the argument above. They do not hold the lock,
        // since they take time in proportion to the number of actors.
        // Returned works are read first, since they were waiting before.
        let locked = self.lock();
        let (given, returned) = (locked.roster().given(), locked.returned());
        drop(locked);
        let slots = || given.clone().filter_map(|id| self.slot(id));
        let mut stats = Stats {
            refused: self.tallies.refused(),
            capacity: self.config.max * (self.config.mailbox_size + 1),
            ..Stats::default()
        };
        for slot in slots() {
            stats.completed += slot.progress().completed.get();
            stats.failed += slot.progress().failed.get();
            stats.panicked += slot.progress().panicked.get();
            stats.expired += slot.progress().expired.get();
            stats.cancelled += slot.progress().cancelled.get();
            stats.handler_panics += slot.progress().handler_panics.get();
            stats.shared += slot.progress().shared.get();
        }
        let running = slots().filter(|slot| slot.progress().is_running()).count();
        let held: usize = slots()
            .map(|slot| {
                // A retry shares the place of the failed work, which is still running.
                let in_hand = !slot.progress().is_running() && !slot.handoff().is_empty();
                slot.mailbox.len() + usize::from(in_hand)
            })
            .sum();
        let in_line = self.lines.len();
        stats.handler_panics += self.other_panics.load();
        let mut locked = self.lock();
        stats.idle = self.counts.load().idle();
        let roster = locked.roster();
        stats.actors = roster.open_slots();
        stats.grown = roster.grown;
        stats.retired = roster.retired;
        stats.spawn_failures = roster.spawn_failures;
        stats.peak = roster.peak;
        stats.returned = returned;
        // A work can be taken, and even finished, before its sender has counted it. A
        // work that has begun has been accepted, though.
        let ended = stats.completed + stats.failed + stats.panicked;
        let finished = ended + stats.expired + stats.cancelled + stats.returned;
        let begun = finished + running as u64;
        stats.accepted = locked.accepted_at_least(self.tallies.accepted().max(begun));
        // Some may have finished since they were seen running.
        stats.running = running.min(stats.actors - stats.idle);
        // A work that has neither begun nor been counted may still go back to its sender.
        let waiting = usize::try_from(stats.accepted - begun).unwrap_or(usize::MAX);
        stats.queued = held.min(waiting).min(stats.capacity - stats.running);
        let in_line = usize::try_from(in_line).unwrap_or(usize::MAX);
        stats.in_line = in_line.min(waiting - stats.queued);
        stats
    }

    pub fn actors(&self) -> Vec<ActorStats> {
        let ids: Vec<usize> = self.lock().roster().occupied().collect();
        ids.into_iter()
            .filter_map(|id| Some((id, self.slot(id)?)))
            .filter(|(_, slot)| !slot.gate.generation().is_vacant())
            .map(|(id, slot)| self.actor_stats(id, slot))
            .collect()
    }

    pub fn actor_stats(&self, id: usize, slot: &Slot<E>) -> ActorStats {
        ActorStats {
            id,
            is_busy: slot.progress().is_running(),
            queued: slot.mailbox.len(),
            finished: slot.progress().finished(),
            last_accepted: slot.progress().last_accepted(self.built),
            last_finished: slot.progress().last_finished(self.built),
        }
    }
}

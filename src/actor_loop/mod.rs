//! The loop of an actor: find work, run it, go idle, and retire or leave.

mod clock;
mod idle;
mod leave;
mod pace;
mod perform;

use self::clock::Clock;
use self::pace::Pace;
use crate::pool::{Pool, Signal, Slot};
use crate::sync::Arc;
use crate::work::Envelope;

/// Runs the actor `id` until it leaves. Its thread runs nothing else.
pub(crate) fn run<E>(pool: &Arc<Pool<E>>, id: usize) {
    pool.adopt_thread();
    if let Some(slot) = pool.slot(id) {
        ActorLoop {
            pool,
            slot,
            id,
            source: None,
            run_length: 0,
            pace: Pace::new(),
            clock: Clock::new(pool.built),
        }
        .run();
    }
}

/// The next step of an actor.
enum Next<E> {
    /// Run this work.
    Run(Envelope<E>),
    /// Look for work.
    Look,
    /// Return, since the actor has left the troupe.
    Gone,
}

struct ActorLoop<'a, E> {
    pool: &'a Arc<Pool<E>>,
    slot: &'a Slot<E>,
    id: usize,
    /// The mailbox from which the current work was taken, if it was in one.
    source: Option<usize>,
    /// The number of works since the actor last ran out of work.
    run_length: u32,
    pace: Pace,
    clock: Clock,
}

impl<E> ActorLoop<'_, E> {
    fn run(mut self) {
        let mut next = if self.slot.handoff().signal() == Signal::HandedOff {
            self.run_first()
        } else {
            self.go_idle(false)
        };
        loop {
            match next {
                Next::Run(envelope) => self.perform(envelope),
                Next::Look => {}
                Next::Gone => return,
            }
            while let Some(envelope) = self.take_next() {
                self.perform(envelope);
            }
            let in_stream = self.pace.runs_out(std::mem::take(&mut self.run_length));
            next = self.run_out(in_stream);
        }
    }

    /// Takes the work with which the actor was started. Its slot is opened first, so the actor
    /// is counted before its work begins. It does not count as searching.
    fn run_first(&mut self) -> Next<E> {
        self.pool.lock().open(self.id);
        self.take_over()
    }

    /// Takes the work that has been handed over, if there is one.
    fn take_over(&mut self) -> Next<E> {
        self.source = None;
        match self.slot.handoff().take_over() {
            Some(envelope) => Next::Run(envelope),
            None => Next::Look,
        }
    }

    /// Takes the next work from any mailbox.
    #[inline]
    fn take_next(&mut self) -> Option<Envelope<E>> {
        let next = self.pool.take_next();
        self.taken(next)
    }

    /// Notes the mailbox from which a work was taken.
    #[inline]
    fn taken(&mut self, next: Option<(usize, Envelope<E>)>) -> Option<Envelope<E>> {
        let (id, envelope) = next?;
        self.source = Some(id);
        Some(envelope)
    }
}

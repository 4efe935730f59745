//! An actor's life: find work, run it, go idle, retire or leave.

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

/// The life of the actor `id`. Its thread runs this and nothing else.
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
    /// It runs this work.
    Run(Envelope<E>),
    /// It looks for work.
    Look,
    /// Nothing: the actor has left the troupe.
    Gone,
}

struct ActorLoop<'a, E> {
    pool: &'a Arc<Pool<E>>,
    slot: &'a Slot<E>,
    id: usize,
    /// The mailbox that the current work was in, if it was in one.
    source: Option<usize>,
    /// Works run since the actor last ran out of work.
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

    /// Begins the life of an actor that was started with a work, and does not count as
    /// searching. It counts as an actor before it begins the work.
    fn run_first(&mut self) -> Next<E> {
        self.pool.lock().open(self.id);
        self.take_over()
    }

    /// Takes what has been handed over.
    fn take_over(&mut self) -> Next<E> {
        self.source = None;
        match self.slot.handoff().take_over() {
            Some(envelope) => Next::Run(envelope),
            None => Next::Look,
        }
    }

    /// Takes the next work, whichever mailbox it is in.
    #[inline]
    fn take_next(&mut self) -> Option<Envelope<E>> {
        let next = self.pool.take_next();
        self.taken(next)
    }

    /// Notes which mailbox a work has come from.
    #[inline]
    fn taken(&mut self, next: Option<(usize, Envelope<E>)>) -> Option<Envelope<E>> {
        let (id, envelope) = next?;
        self.source = Some(id);
        Some(envelope)
    }
}

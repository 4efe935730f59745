//! The loop of an actor: find work, run it, go idle, and retire or leave.

mod clock;
mod idle;
mod leave;
mod pace;
mod perform;

use self::clock::Clock;
use self::pace::Pace;
use crate::events;
use crate::member;
use crate::pool::{Hooks, Pool, Signal, Slot};
use crate::sync::Arc;
use crate::sync::unwind::drop_contained;
use crate::work::{Aside, Envelope};

/// The step after an actor has put a work into a mailbox, which makes sure that the work will be
/// found. It may start another actor, so this module does not know how that is done.
pub(crate) type Announce<E> = fn(&Arc<Pool<E>>, usize);

/// The life of the actor `id`. Its thread runs this and nothing else. `is_initial` says that
/// the troupe is still being built.
pub(crate) fn run<E>(pool: &Arc<Pool<E>>, id: usize, is_initial: bool, announce: Announce<E>) {
    member::adopt(pool.number());
    let hooks = pool.hooks.lock().clone();
    if let Some(slot) = pool.slot(id) {
        ActorLoop {
            pool,
            slot,
            id,
            source: None,
            pace: Pace::new(),
            clock: Clock::new(pool.built),
            aside: Aside::default(),
            announce,
        }
        .run(is_initial, hooks.as_deref());
    }
    let hook = hooks.as_ref().and_then(|hooks| hooks.on_stop.as_ref());
    pool.run_hook(hook, id);
    pool.report_panic(Some(id), drop_contained(hooks));
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
    pace: Pace,
    clock: Clock,
    /// All that works tell besides their results.
    aside: Aside<E>,
    announce: Announce<E>,
}

impl<E> ActorLoop<'_, E> {
    fn run(mut self, is_initial: bool, hooks: Option<&Hooks>) {
        let mut next = self.begin(is_initial, hooks);
        loop {
            match next {
                Next::Run(envelope) => self.perform(envelope),
                Next::Look => {}
                Next::Gone => return,
            }
            while let Some(envelope) = self.take_next() {
                self.perform(envelope);
            }
            let in_stream = self.pace.runs_out();
            next = self.run_out(in_stream);
        }
    }

    /// Begins the life of an actor. It runs the hook in an odd phase, and a work that it was
    /// started with stays in its hand-off meanwhile. So `shutdown_now` does not wait for the
    /// hook. Its slot is open, so no sender waits for the hook either. `build` does: an initial
    /// actor opens its slot afterwards.
    fn begin(&mut self, is_initial: bool, hooks: Option<&Hooks>) -> Next<E> {
        let handed_off = self.slot.handoff().signal() == Signal::HandedOff;
        let hook = hooks.and_then(|hooks| hooks.on_start.as_ref());
        let progress = self.slot.progress();
        let phase = progress.phase.get();
        progress.phase.set(phase + 3);
        let runs_user_code = hook.is_some() || events::ENABLED;
        if handed_off || (runs_user_code && !is_initial) {
            self.pool.lock().open(self.id);
        }
        self.pool
            .report(|troupe| events::actor_starts(troupe, self.id));
        self.pool.run_hook(hook, self.id);
        progress.phase.set(phase + 4);
        if handed_off {
            return self.take_over();
        }
        self.go_idle(false, true)
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

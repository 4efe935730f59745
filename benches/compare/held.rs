//! A troupe whose actors all stand before gates.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use troupe_pool::{AssignError, BoxError, BuildError, Config, Troupe, Work};

use crate::gate::Gate;

thread_local! {
    /// Which gate is this actor's. A thread is an actor of one troupe only.
    static GATE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A troupe whose actors stand before a gate each, with works behind them.
pub(crate) struct Held {
    troupe: Troupe,
    gates: Arc<Gates>,
}

struct Gates {
    all: Box<[Gate]>,
    owned: AtomicUsize,
}

impl Gates {
    /// Waits at the gate of the actor that calls this.
    fn pass(&self) {
        let own = GATE.get().unwrap_or_else(|| {
            let own = self.owned.fetch_add(1, Ordering::Relaxed);
            GATE.set(Some(own));
            own
        });
        self.all[own].pass();
    }
}

impl Held {
    /// As many works as there is room for.
    pub(crate) fn full(actors: usize, mailbox_size: usize) -> Result<Self, BuildError> {
        let held = Self::with(actors, mailbox_size, actors * (mailbox_size + 1))?;
        assert!(
            matches!(held.try_assign(), Err(AssignError::Full(_))),
            "full means that every place is taken"
        );
        Ok(held)
    }

    /// Assigns enough works that every actor has one to run and half of the places in
    /// mailboxes are taken. In which mailboxes they are is the troupe's choice.
    pub(crate) fn half_full(actors: usize, mailbox_size: usize) -> Result<Self, BuildError> {
        Self::with(actors, mailbox_size, actors + actors * mailbox_size / 2)
    }

    fn with(actors: usize, mailbox_size: usize, works: usize) -> Result<Self, BuildError> {
        let troupe = Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size))?;
        let gates = Arc::new(Gates {
            all: (0..actors).map(|_| Gate::default()).collect(),
            owned: AtomicUsize::new(0),
        });
        let held = Self { troupe, gates };
        for _ in 0..works {
            held.assign();
        }
        for gate in &held.gates.all {
            gate.wait_until_came(1);
        }
        Ok(held)
    }

    /// Assigns one more work that waits at a gate. There must be room.
    pub(crate) fn assign(&self) {
        self.try_assign().expect("there is room");
    }

    fn try_assign(&self) -> Result<(), AssignError<BoxError>> {
        let gates = Arc::clone(&self.gates);
        self.troupe.assign(move || {
            gates.pass();
            Ok(())
        })
    }

    /// Lets an actor finish its work, and waits until it has begun its next
    /// one: now there is one more place, and every actor is busy.
    pub(crate) fn finish_one(&self, actor: usize) {
        let gate = &self.gates.all[actor];
        let came = gate.came();
        gate.let_one_through();
        gate.wait_until_came(came + 1);
    }

    /// Assigns one work again and again, which comes back each time.
    pub(crate) fn refuse(&self, times: usize) {
        let mut work = Work::new(|| Ok(()));
        for _ in 0..times {
            work = match self.troupe.assign(work) {
                Err(AssignError::Full(work)) => work,
                other => panic!("it was full: {other:?}"),
            };
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for gate in &self.gates.all {
            gate.open();
        }
        self.troupe.shutdown();
        self.troupe.join().expect("this is no actor's thread");
    }
}

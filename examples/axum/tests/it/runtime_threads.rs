//! Calls to avoid on a thread of the runtime, and the calls to use instead.
//!
//! The library sees only its own threads: there, a call that would wait for the troupe returns
//! `WouldDeadlock`. A runtime's thread is like any other to it, so `join`, `wait_idle` and
//! `assign_wait` block there, and with them every future of that thread. These tests have a runtime
//! with one thread, so that the harm does not depend on luck, and the timed forms of the calls, so
//! that they end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    task::{spawn, spawn_blocking, yield_now},
};
use troupe_pool::{Config, JoinError, Troupe};

use crate::support::{Gate, HANG, end, fill, join, occupy, within};

/// The time is no measure: nothing can happen in it, however long it is.
const BLOCKED: Duration = Duration::from_millis(10);

fn one_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// A future of the same runtime that opens the gate, and says that it was polled.
fn opener(gate: &Gate) -> (Arc<AtomicBool>, impl Future<Output = ()> + Send + 'static) {
    let was_polled = Arc::new(AtomicBool::new(false));
    let (polled, gate) = (Arc::clone(&was_polled), gate.clone());
    let open = async move {
        polled.store(true, SeqCst);
        gate.open();
    };
    (was_polled, open)
}

/// Fails if they saw the runtime's thread as one of the troupe's, or let others go on.
#[test]
fn join_and_wait_idle_on_a_runtime_thread_hold_up_what_they_wait_for() {
    let troupe = Troupe::new(Config::fixed(1)).unwrap();
    let gate = occupy(&troupe, 1);
    one_thread().block_on(async {
        let (was_polled, open) = opener(&gate);
        let opened = spawn(open);
        assert_eq!(troupe.wait_idle_timeout(BLOCKED), Err(JoinError::Timeout));
        troupe.shutdown();
        // The work needs the future, the future needs this thread, and this thread waits for the
        // work. Without the timeout nothing would end that.
        assert_eq!(troupe.join_timeout(BLOCKED), Err(JoinError::Timeout));
        assert!(!was_polled.load(SeqCst), "another future has run meanwhile");
        opened.await.unwrap();
        assert!(was_polled.load(SeqCst));
    });
    join(&troupe);
}

#[test]
fn join_by_spawn_blocking_lets_the_runtime_go_on() {
    within(HANG, || {
        let troupe = Arc::new(Troupe::new(Config::fixed(1)).unwrap());
        let gate = occupy(&troupe, 1);
        one_thread().block_on(async {
            let (was_polled, open) = opener(&gate);
            spawn(open);
            troupe.shutdown();
            let owner = Arc::clone(&troupe);
            assert_eq!(spawn_blocking(move || owner.join()).await.unwrap(), Ok(()));
            assert!(was_polled.load(SeqCst));
        });
    });
}

/// The shape of `main` of this example: the troupe is around the runtime, not inside.
#[test]
fn join_after_the_runtime_needs_nothing_of_it() {
    within(HANG, || {
        let troupe = Troupe::new(Config::fixed(1)).unwrap();
        let gate = occupy(&troupe, 1);
        let runtime = one_thread();
        runtime.block_on(async {
            spawn(opener(&gate).1).await.unwrap();
        });
        drop(runtime);
        troupe.shutdown();
        assert_eq!(troupe.join(), Ok(()));
    });
}

#[test]
fn assign_timeout_on_a_runtime_thread_holds_up_what_makes_room() {
    let troupe = Troupe::new(Config::fixed(1).mailbox_size(1)).unwrap();
    let gate = occupy(&troupe, 1);
    assert_eq!(fill(&troupe, &gate), 1);
    one_thread().block_on(async {
        let (was_polled, open) = opener(&gate);
        let opened = spawn(open);
        let refused = troupe.assign_timeout(|| Ok(()), BLOCKED).unwrap_err();
        assert!(refused.is_full(), "{refused}");
        assert!(!was_polled.load(SeqCst), "another future has run meanwhile");
        opened.await.unwrap();
        // Now there is, or will be, room. `assign` never blocks, so it may be called here.
        let mut work = refused.into_work();
        while let Err(refused) = troupe.assign(work) {
            work = refused.into_work();
            yield_now().await;
        }
    });
    end(&troupe);
    assert_eq!(troupe.stats().completed, 3);
}

#[test]
fn assign_wait_by_spawn_blocking_lets_the_runtime_go_on() {
    within(HANG, || {
        let troupe = Troupe::new(Config::fixed(1).mailbox_size(1)).unwrap();
        let gate = occupy(&troupe, 1);
        assert_eq!(fill(&troupe, &gate), 1);
        one_thread().block_on(async {
            spawn(opener(&gate).1);
            let handle = troupe.handle();
            let assigned = spawn_blocking(move || handle.assign_wait(|| Ok(())));
            assigned.await.unwrap().unwrap();
        });
        end(&troupe);
        assert_eq!(troupe.stats().completed, 3);
    });
}

/// Neither `shutdown` nor the drop waits, so both may happen anywhere; what was accepted still runs.
#[test]
fn drop_on_a_runtime_thread_does_not_wait() {
    within(HANG, || {
        let troupe = Troupe::new(Config::fixed(1).mailbox_size(1)).unwrap();
        let gate = occupy(&troupe, 1);
        assert_eq!(fill(&troupe, &gate), 1);
        let handle = troupe.handle();
        one_thread().block_on(async {
            drop(troupe);
            assert!(handle.is_shutdown());
            assert_eq!(handle.stats().completed, 0, "it has not waited");
            gate.open();
            while handle.stats().completed < 2 {
                yield_now().await;
            }
        });
    });
}

//! The bridge alone: what it promises to whoever copies it.

use std::{
    future::poll_fn,
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::mpsc,
    task::Poll,
    thread,
};

use axum_example::{
    bridge::{RunError, Unmet, run},
    pool::{self, NotStarted},
};
use tokio::runtime::Builder;
use troupe_pool::{Config, Troupe};

use crate::support::{end, eventually, occupy, receive};

fn troupe(config: Config) -> (Troupe<Unmet>, NotStarted) {
    let not_started = NotStarted::default();
    (pool::build(config, &not_started).unwrap(), not_started)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

/// Polls once. An assigned work is then accepted.
async fn begin<T>(mut future: Pin<&mut impl Future<Output = T>>) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A value of any type, and an error of any other; neither is asked to be more than `Send`.
#[test]
fn values_and_errors_come_back_as_they_are() {
    let (troupe, _) = troupe(Config::fixed(1));
    let handle = troupe.handle();
    let value = block_on(run(&handle, || Ok::<_, ()>(vec![1, 2, 3])));
    assert_eq!(value.unwrap(), [1, 2, 3]);
    let error = block_on(run(&handle, || Err::<(), _>(mpsc::channel::<u8>().1)));
    assert!(matches!(error, Err(RunError::Failed(_))));
    end(&troupe);
    assert_eq!((troupe.stats().completed, troupe.stats().failed), (1, 1));
}

#[test]
fn a_panic_comes_back_as_one() {
    let (troupe, _) = troupe(Config::fixed(1));
    let panics = || -> Result<(), ()> { resume_unwind(Box::new("a panic that the test wants")) };
    let outcome = block_on(run(&troupe.handle(), panics));
    assert!(matches!(outcome, Err(RunError::Panicked)), "{outcome:?}");
    end(&troupe);
    assert_eq!(troupe.stats().panicked, 1);
}

#[test]
fn a_refusal_says_why() {
    let (troupe, _) = troupe(Config::fixed(1).mailbox_size(0));
    let gate = occupy(&troupe, 1);
    let nothing = || Ok::<_, ()>(());
    let outcome = block_on(run(&troupe.handle(), nothing));
    assert!(matches!(outcome, Err(RunError::Full)), "{outcome:?}");
    troupe.shutdown();
    let outcome = block_on(run(&troupe.handle(), nothing));
    assert!(
        matches!(outcome, Err(RunError::ShuttingDown)),
        "{outcome:?}"
    );
    gate.open();
    end(&troupe);
}

#[test]
fn what_is_taken_back_is_told_so() {
    let (troupe, _) = troupe(Config::fixed(1).mailbox_size(1));
    let gate = occupy(&troupe, 1);
    let handle = troupe.handle();
    block_on(async {
        let mut waiting = pin!(run(&handle, || Ok::<_, ()>(())));
        begin(waiting.as_mut()).await;
        let returned = troupe.shutdown_now();
        assert_eq!(returned.len(), 1);
        drop(returned);
        let outcome = waiting.await;
        assert!(
            matches!(outcome, Err(RunError::ShuttingDown)),
            "{outcome:?}"
        );
    });
    gate.open();
    end(&troupe);
}

/// The captures of a work that nobody waits for are dropped all the same.
#[test]
fn a_work_that_was_left_does_not_start() {
    let (troupe, not_started) = troupe(Config::fixed(1).mailbox_size(1));
    let gate = occupy(&troupe, 1);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel::<()>();
    block_on(async {
        let work = move || sender.send(());
        let mut waiting = Box::pin(run(&handle, work));
        begin(waiting.as_mut()).await;
    });
    gate.open();
    end(&troupe);
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert_eq!(not_started.get(), 1);
}

/// So a lease that a work holds is back before its client knows.
#[test]
fn the_answer_comes_after_the_captures_are_dropped() {
    let (troupe, _) = troupe(Config::fixed(1));
    let (lease, back) = mpsc::channel::<()>();
    let work = move || {
        let _held = lease;
        Ok::<_, ()>(())
    };
    block_on(run(&troupe.handle(), work)).unwrap();
    assert_eq!(back.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    end(&troupe);
}

/// The bridge asks nothing of the runtime: any thread that can poll will do.
#[test]
fn it_wakes_whoever_waits_on_another_thread() {
    let (troupe, _) = troupe(Config::fixed(1));
    let gate = occupy(&troupe, 1);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let outcome = block_on(run(&handle, || Ok::<_, ()>(5)));
            sender.send(outcome.unwrap()).unwrap();
        });
        eventually(|| troupe.stats().queued == 1);
        gate.open();
        assert_eq!(receive(&receiver), 5);
    });
    end(&troupe);
}

//! The bridge alone: what it promises to whoever copies it.

use std::{
    future::poll_fn,
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::mpsc,
    task::Poll,
    thread,
};

use axum_example::bridge::{RunError, run, service};
use tokio::runtime::Builder;
use tower::{Service, ServiceBuilder, ServiceExt};
use troupe_pool::{Config, Troupe};

use crate::support::{end, eventually, occupy, receive};

fn troupe(config: Config) -> Troupe<()> {
    Troupe::builder(config).build().unwrap()
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
    let troupe = Troupe::builder(Config::fixed(1)).build().unwrap();
    let handle = troupe.handle();
    let error = block_on(run(&handle, || Err::<(), _>(mpsc::channel::<u8>().1)));
    assert!(matches!(error, Err(RunError::Failed(_))));
    let value = block_on(run(&handle, || Ok(vec![1, 2, 3])));
    assert_eq!(value.unwrap(), [1, 2, 3]);
    end(&troupe);
    assert_eq!((troupe.stats().completed, troupe.stats().failed), (1, 1));
}

#[test]
fn a_panic_comes_back_as_one() {
    let troupe = troupe(Config::fixed(1));
    let panics = || -> Result<(), ()> { resume_unwind(Box::new("a panic that the test wants")) };
    let outcome = block_on(run(&troupe.handle(), panics));
    assert!(matches!(outcome, Err(RunError::Panicked)), "{outcome:?}");
    end(&troupe);
    assert_eq!(troupe.stats().panicked, 1);
}

#[test]
fn a_refusal_says_why() {
    let troupe = troupe(Config::fixed(1).mailbox_size(0));
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
    let troupe = troupe(Config::fixed(1).mailbox_size(1));
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

/// The captures of a work are dropped even if nobody waits for it.
#[test]
fn a_work_that_was_left_does_not_start() {
    let troupe = troupe(Config::fixed(1).mailbox_size(1));
    let gate = occupy(&troupe, 1);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel::<()>();
    block_on(async {
        let work = move || sender.send(()).map_err(drop);
        let mut waiting = Box::pin(run(&handle, work));
        begin(waiting.as_mut()).await;
    });
    gate.open();
    end(&troupe);
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert_eq!(troupe.stats().cancelled, 1);
}

/// So a lease that a work holds is back before its client knows.
#[test]
fn the_answer_comes_after_the_captures_are_dropped() {
    let troupe = troupe(Config::fixed(1));
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
    let troupe = troupe(Config::fixed(1));
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

/// A caller that waited for readiness here would never return, since nothing wakes it.
#[test]
fn the_service_is_ready_while_the_troupe_is_full_and_its_call_refuses() {
    let troupe = troupe(Config::fixed(1).mailbox_size(0));
    let gate = occupy(&troupe, 1);
    let mut service = service(troupe.handle(), |number: u8| Ok(number));
    block_on(async {
        let outcome = service.ready().await.unwrap().call(1).await;
        assert!(matches!(outcome, Err(RunError::Full)), "{outcome:?}");
    });
    gate.open();
    end(&troupe);
}

/// A call that a layer keeps back never comes to the troupe. One that it lets through is as without it.
#[test]
fn layers_go_around_the_service() {
    let troupe = troupe(Config::fixed(1).mailbox_size(4));
    let gate = occupy(&troupe, 1);
    let mut service = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .map_request(u64::from)
        .map_err(|error: RunError<()>| format!("{error:?}"))
        .service(service(troupe.handle(), |number: u64| {
            (number > 0).then_some(number * 2).ok_or(())
        }));
    block_on(async {
        let mut waiting = Box::pin(service.ready().await.unwrap().call(4_u8));
        begin(waiting.as_mut()).await;
        let shed = service.clone().oneshot(5).await.unwrap_err();
        assert!(shed.is::<tower::load_shed::error::Overloaded>(), "{shed}");
        gate.open();
        assert_eq!(waiting.await.unwrap(), 8);
        let failed = service.oneshot(0).await.unwrap_err();
        assert_eq!(failed.to_string(), "Failed(())");
    });
    end(&troupe);
    // The occupant, and the two that were let through.
    assert_eq!(troupe.stats().accepted, 3);
}

#[test]
fn a_call_whose_future_is_dropped_does_not_start() {
    let troupe = troupe(Config::fixed(1).mailbox_size(1));
    let gate = occupy(&troupe, 1);
    let mut service = service(troupe.handle(), |()| Ok(()));
    let call = service.call(());
    assert_eq!(troupe.stats().queued, 1, "a call is assigned at once");
    drop(call);
    gate.open();
    end(&troupe);
    assert_eq!((troupe.stats().cancelled, troupe.stats().completed), (1, 1));
}

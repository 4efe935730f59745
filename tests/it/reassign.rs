//! `Context::reassign`: the retry in the failed work's place.

use crate::support::{
    DropCounter, Gate, Lease, Log, Tally, end, eventually, fill, join, me, occupy, quiet_panic,
    receive, settle,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;
use troupe_pool::{AssignError, Config, Context, Failure, Troupe, Work};

/// A job that may be tried again: the error carries its context.
struct Job {
    left: u32,
    done: mpsc::Sender<String>,
    lease: Lease,
}

fn attempt(job: Job) -> Result<(), Job> {
    if job.left > 0 {
        return Err(Job {
            left: job.left - 1,
            ..job
        });
    }
    job.done.send(me()).expect("the test listens");
    drop(job.lease);
    Ok(())
}

fn retry(failure: Failure<Job>, context: &Context<'_, Job>) {
    match failure {
        Failure::Error(job) => assert!(context.reassign(|| attempt(job)).is_ok()),
        other => panic!("unexpected: {}", matches!(other, Failure::Panic(_))),
    }
}

fn retrying(config: Config) -> Troupe<Job> {
    Troupe::builder(config)
        .error_handler(retry)
        .build()
        .expect("valid")
}

/// "A retry is never refused for want of room": every mailbox full, every actor busy, and each retry is accepted.
#[test]
fn a_retry_is_not_refused_when_the_troupe_is_full() {
    for config in [
        Config::fixed(2).mailbox_size(2),
        Config::fixed(1).mailbox_size(0),
        Config::dynamic(0, 3).mailbox_size(1),
        Config::dynamic(1, 1).mailbox_size(4),
    ] {
        let troupe = retrying(config);
        let drops = DropCounter::new();
        let (done, receiver) = mpsc::channel();
        let gate = Gate::new();
        let mut jobs = 0;
        loop {
            let (gate, job) = (
                gate.clone(),
                Job {
                    left: 3,
                    done: done.clone(),
                    lease: drops.lease(),
                },
            );
            let work = move || {
                gate.pass();
                attempt(job)
            };
            match troupe.assign(work) {
                Ok(()) => jobs += 1,
                Err(refused) => break assert!(refused.is_full()),
            }
        }
        assert_eq!(jobs, troupe.stats().capacity);
        gate.open();
        for _ in 0..jobs {
            receive(&receiver);
        }
        end(&troupe);
        drops.assert_balanced();
        let stats = troupe.stats();
        assert_eq!(
            (stats.completed, stats.failed, stats.handler_panics),
            (jobs as u64, 3 * jobs as u64, 0)
        );
        assert_eq!(
            stats.accepted,
            4 * jobs as u64,
            "a reassign counts one more accepted"
        );
    }
}

/// "Runs once the handler has returned", on the actor whose work failed.
#[test]
fn a_retry_runs_on_the_same_actor_after_the_handler() {
    let log = Log::new();
    let handler_log = log.clone();
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::<()>::builder(Config::fixed(3).mailbox_size(2).thread_name("same"))
        .error_handler(move |_, context| {
            let retry_log = handler_log.clone();
            let retry = move || {
                retry_log.push(("retry", me()));
                Ok(())
            };
            assert!(context.reassign(retry).is_ok());
            in_handler.pass();
            handler_log.push(("handled", me()));
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err(())).expect("room");
    gate.wait_for(1);
    // Two idle siblings, and the retry waits for its own actor all the same.
    assert_eq!(troupe.stats().idle, 2);
    assert!(log.entries().is_empty());
    gate.open();
    end(&troupe);
    let entries = log.entries();
    assert_eq!(
        entries.iter().map(|entry| entry.0).collect::<Vec<_>>(),
        ["handled", "retry"]
    );
    assert_eq!(entries[0].1, entries[1].1);
}

/// "The actor that runs the handler keeps the failed work's share of the bound": no more and no fewer places while a
/// retry is pending, and the inequality holds in the handler itself.
#[test]
fn a_pending_retry_takes_exactly_the_failed_works_place() {
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::<()>::builder(Config::fixed(1).mailbox_size(2))
        .error_handler(move |_, context| {
            assert!(context.reassign(|| Ok(())).is_ok());
            in_handler.pass();
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err(())).expect("room");
    gate.wait_for(1);
    // Neither is the retry shown beside the failed work.
    let stats = troupe.stats();
    assert_eq!((stats.queued, stats.running), (0, 1), "{stats:?}");
    let rest = Gate::new();
    assert_eq!(fill(&troupe, &rest), 2);
    let stats = troupe.stats();
    assert_eq!((stats.queued, stats.running), (2, 1), "{stats:?}");
    rest.open();
    gate.open();
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!(
        (
            stats.completed,
            stats.failed,
            stats.accepted,
            stats.handler_panics
        ),
        (3, 1, 4, 0)
    );
}

/// "(At most one per failure; a second call is an ordinary assign)": refused on a full troupe, accepted with room.
#[test]
fn a_second_reassign_is_an_ordinary_assign() {
    for (mailbox_size, room) in [(0, false), (1, true)] {
        let (sender, receiver) = mpsc::channel();
        let troupe = Troupe::<u32>::builder(Config::fixed(1).mailbox_size(mailbox_size))
            .error_handler(move |_, context| {
                let first = context.reassign(|| Ok(()));
                let second = context.reassign(|| Ok(()));
                sender.send((first, second)).expect("the test listens");
            })
            .build()
            .expect("valid");
        troupe.assign(|| Err(1)).expect("room");
        let (first, second) = receive(&receiver);
        assert!(first.is_ok());
        match second {
            Ok(()) => assert!(room),
            Err(refused) => assert!(!room && refused.is_full()),
        }
        end(&troupe);
        assert_eq!(troupe.stats().completed, 1 + u64::from(room));
    }
}

/// A panic can be retried as well as an error.
#[test]
fn a_panic_may_be_reassigned() {
    let tally = Tally::new(1);
    let again = tally.clone();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |failure, context| {
            if let Failure::Panic(_) = failure {
                assert!(context.reassign(again.work(0)).is_ok());
            }
        })
        .build()
        .expect("valid");
    troupe.assign(|| quiet_panic("x")).expect("room");
    settle(&troupe);
    end(&troupe);
    tally.assert_each_once();
    assert_eq!((troupe.stats().panicked, troupe.stats().completed), (1, 1));
}

/// A retry that was accepted runs, also when the handler panics after accepting it.
#[test]
fn a_retry_survives_a_panic_of_the_handler() {
    let tally = Tally::new(1);
    let again = tally.clone();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |_, context| {
            assert!(context.reassign(again.work(0)).is_ok());
            quiet_panic("after the retry was accepted")
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("x".into())).expect("room");
    settle(&troupe);
    end(&troupe);
    tally.assert_each_once();
    assert_eq!(
        (troupe.stats().handler_panics, troupe.stats().completed),
        (1, 1)
    );
}

/// "That removes the livelock ...: 2 actors, mailbox 4, works of 2 ms that fail once, 0 of 100 done after 3 s." Here all
/// hundred are done, with the feeder pushing as hard as it can. (Works of no length: the livelock did not need them.)
#[test]
fn works_that_fail_once_on_a_full_troupe_are_all_done() {
    let troupe = retrying(Config::fixed(2).mailbox_size(4));
    let drops = DropCounter::new();
    let (done, receiver) = mpsc::channel();
    for _ in 0..100 {
        let job = Job {
            left: 1,
            done: done.clone(),
            lease: drops.lease(),
        };
        assert!(troupe.assign_wait(move || attempt(job)).is_ok());
    }
    for _ in 0..100 {
        receive(&receiver);
    }
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(
        (troupe.stats().completed, troupe.stats().failed),
        (100, 100)
    );
}

/// "While draining, `reassign` and assign from the handler get `ShuttingDown` with the work."
#[test]
fn while_draining_a_retry_comes_back() {
    let tally = Tally::new(2);
    let (sender, receiver) = mpsc::channel();
    let works = std::sync::OnceLock::new();
    works.set([tally.clone(), tally.clone()]).expect("set once");
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(1))
        .error_handler(move |_, context| {
            let [first, second] = works.get().expect("set above");
            sender
                .send(context.reassign(first.work(0)))
                .expect("the test listens");
            sender
                .send(context.troupe().assign(second.work(1)))
                .expect("the test listens");
        })
        .build()
        .expect("valid");
    let gate = Gate::new();
    let pass = gate.clone();
    troupe
        .assign(move || {
            pass.pass();
            Err("x".into())
        })
        .expect("room");
    gate.wait_for(1);
    troupe.shutdown();
    gate.open();
    for _ in 0..2 {
        match receive(&receiver) {
            Err(AssignError::ShuttingDown(work)) => {
                work.run().expect("handed back, to go where it came from");
            }
            other => panic!("expected ShuttingDown, got {other:?}"),
        }
    }
    join(&troupe);
    tally.assert_each_once();
    assert_eq!(
        (
            troupe.stats().accepted,
            troupe.stats().failed,
            troupe.stats().refused
        ),
        (1, 1, 2)
    );
}

/// "Once `shutdown_now` has returned, no work starts (a reassigned one included: it is among the returned)."
#[test]
fn a_pending_retry_is_among_the_returned() {
    let tally = Tally::new(1);
    let again = tally.clone();
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(2))
        .error_handler(move |_, context| {
            assert!(context.reassign(again.work(0)).is_ok());
            in_handler.pass();
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("x".into())).expect("room");
    gate.wait_for(1);
    troupe.assign(|| Ok(())).expect("room");
    let returned = troupe.shutdown_now();
    assert_eq!(returned.len(), 2);
    gate.open();
    join(&troupe);
    assert_eq!(tally.total(), 0);
    returned
        .into_iter()
        .for_each(|work| work.run().expect("it succeeds"));
    tally.assert_each_once();
    let stats = troupe.stats();
    assert_eq!(
        (
            stats.accepted,
            stats.failed,
            stats.returned,
            stats.completed
        ),
        (3, 1, 2, 0)
    );
}

/// A retry accepted before `shutdown` was accepted: it is still run.
#[test]
fn a_retry_accepted_before_shutdown_is_run() {
    let tally = Tally::new(1);
    let again = tally.clone();
    let gate = Gate::new();
    let in_handler = gate.clone();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(0))
        .error_handler(move |_, context| {
            assert!(context.reassign(again.work(0)).is_ok());
            in_handler.pass();
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err("x".into())).expect("room");
    gate.wait_for(1);
    troupe.shutdown();
    gate.open();
    join(&troupe);
    tally.assert_each_once();
}

/// Below `max` a retry does not grow the troupe: it has its place already.
#[test]
fn a_retry_does_not_grow_the_troupe() {
    let troupe = retrying(Config::dynamic(0, 8).mailbox_size(1));
    let drops = DropCounter::new();
    let (done, receiver) = mpsc::channel();
    let job = Job {
        left: 20,
        done,
        lease: drops.lease(),
    };
    assert!(troupe.assign(move || attempt(job)).is_ok());
    receive(&receiver);
    end(&troupe);
    assert_eq!((troupe.stats().grown, troupe.stats().peak), (1, 1));
}

/// While its siblings retire a retry stays where it is, and its actor does not retire under it.
#[test]
fn a_retry_while_the_troupe_shrinks() {
    let gate = Gate::new();
    let in_handler = gate.clone();
    let tally = Tally::new(1);
    let again = tally.clone();
    let config = Config::dynamic(0, 3)
        .mailbox_size(1)
        .idle_timeout(Duration::from_millis(1));
    let troupe = Troupe::builder(config)
        .error_handler(move |_, context| {
            assert!(context.reassign(again.work(0)).is_ok());
            in_handler.pass();
        })
        .build()
        .expect("valid");
    let (siblings, failing) = (Gate::new(), Gate::new());
    let pass = failing.clone();
    troupe
        .assign(move || {
            pass.pass();
            Err("x".into())
        })
        .expect("a new actor");
    troupe.assign(siblings.work()).expect("a new actor");
    troupe.assign(siblings.work()).expect("a new actor");
    failing.open();
    gate.wait_for(1);
    siblings.open();
    eventually(|| troupe.stats().actors == 1);
    gate.open();
    eventually(|| troupe.stats().actors == 0);
    tally.assert_each_once();
    end(&troupe);
}

/// The work that comes back from a refusal can be the retry, and a retry may fail and be retried: a chain as long as
/// it takes, on a busy troupe.
#[test]
fn a_long_chain_of_retries() {
    let troupe = retrying(Config::fixed(1).mailbox_size(1));
    let drops = DropCounter::new();
    let (done, receiver) = mpsc::channel();
    for _ in 0..2 {
        let job = Job {
            left: 5_000,
            done: done.clone(),
            lease: drops.lease(),
        };
        let work: Work<Job> = Work::new(move || attempt(job));
        assert!(troupe.assign_wait(work).is_ok());
    }
    receive(&receiver);
    receive(&receiver);
    settle(&troupe);
    assert_eq!(troupe.stats().accepted, 2 * 5_001);
    end(&troupe);
    drops.assert_balanced();
}

/// "A retry that must wait (back-off) is sent to a channel, and the feeder assigns it."
#[test]
fn a_retry_may_go_back_to_the_feeder() {
    let (again, returned) = mpsc::channel::<Job>();
    let troupe = Troupe::builder(Config::fixed(2).mailbox_size(1))
        .error_handler(move |failure, _| {
            if let Failure::Error(job) = failure {
                again.send(job).expect("the feeder listens");
            }
        })
        .build()
        .expect("valid");
    let drops = DropCounter::new();
    let (done, receiver) = mpsc::channel();
    for _ in 0..10 {
        let job = Job {
            left: 1,
            done: done.clone(),
            lease: drops.lease(),
        };
        assert!(troupe.assign_wait(move || attempt(job)).is_ok());
    }
    for _ in 0..10 {
        let job = receive(&returned);
        assert!(troupe.assign_wait(move || attempt(job)).is_ok());
        receive(&receiver);
    }
    end(&troupe);
    drops.assert_balanced();
}

/// The actor on which a retry is pending is not idle: it takes nothing else before, so with siblings held the retry
/// comes before the work that waits in its mailbox.
#[test]
fn a_retry_comes_before_its_actors_mailbox() {
    let order = Arc::new(AtomicUsize::new(0));
    let (retried, queued) = (Log::new(), Log::new());
    let gate = Gate::new();
    let (in_handler, next, log) = (gate.clone(), Arc::clone(&order), retried.clone());
    let troupe = Troupe::<()>::builder(Config::fixed(2).mailbox_size(2))
        .error_handler(move |_, context| {
            let (next, log) = (Arc::clone(&next), log.clone());
            let retry = move || {
                log.push(next.fetch_add(1, SeqCst));
                Ok(())
            };
            assert!(context.reassign(retry).is_ok());
            in_handler.pass();
        })
        .build()
        .expect("valid");
    let held = occupy(&troupe, 1);
    troupe.assign(|| Err(())).expect("the idle actor");
    gate.wait_for(1);
    for _ in 0..4 {
        let (next, log) = (Arc::clone(&order), queued.clone());
        let work = move || {
            log.push(next.fetch_add(1, SeqCst));
            Ok(())
        };
        troupe.assign(work).expect("a mailbox with room");
    }
    gate.open();
    eventually(|| troupe.stats().completed == 5);
    assert_eq!(retried.entries(), [0]);
    assert_eq!(queued.entries().len(), 4);
    held.open();
    end(&troupe);
}

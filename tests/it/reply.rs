//! `Work::with_reply`, `Work::cancellable` and `Reply`: the answer on every path, exactly once.

use crate::support::{
    DropCounter, Fate, Fault, Gate, HANG, Lease, Log, OnDrop, Rng, Tally, WAYS_BACK, answer, end,
    ends, eventually, failure_in_words, in_words, join, listening, me, occupy, quiet_panic,
    receive, refused, returned, rounds, settle, wait_until_blocked, within,
};
use parking_lot::Mutex;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{
    Actor, ActorConfig, BoxError, CancelToken, Config, Failure, Handle, Reply, ReplyError, Troupe,
    Work,
};

/// A work of this fate, with a lease among its captures, and its reply.
fn asked(fate: Fate, drops: &DropCounter) -> (Work<Fault>, Reply<u32, Fault>) {
    Work::with_reply(fate.act(drops.lease()))
}

/// A work that passes the gate and then ends like this, and its reply.
fn gated(fate: Fate, gate: &Gate, drops: &DropCounter) -> (Work<Fault>, Reply<u32, Fault>) {
    let (gate, act) = (gate.clone(), fate.act(drops.lease()));
    Work::with_reply(move || {
        gate.pass();
        act()
    })
}

/// A waker that calls a function.
fn waker(call: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Call<F>(F);
    impl<F: Fn() + Send + Sync + 'static> Wake for Call<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    Waker::from(Arc::new(Call(call)))
}

/// Polls once.
fn poll<T, E>(reply: &mut Reply<T, E>, waker: &Waker) -> Option<Result<T, ReplyError<E>>> {
    match Pin::new(reply).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// The smallest executor: one future, on the calling thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let caller = thread::current();
    let waker = waker(move || caller.unpark());
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

// ---- The table ------------------------------------------------------------

/// A work that is run answers as it ends. Its captures have been dropped by then, and the handler does not hear of it.
#[test]
fn the_answer_is_how_the_work_ends() {
    for fate in Fate::ALL {
        let (troupe, failures) = listening(Config::fixed(2).mailbox_size(2));
        let drops = DropCounter::new();
        let (work, mut reply) = asked(fate, &drops);
        troupe.assign(work).expect("an idle actor");
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        assert!(drops.is_balanced(), "{fate:?}: the captures");
        assert_eq!(ends(&troupe.stats()), fate.ends(), "{fate:?}");
        end(&troupe);
        assert_eq!(failures.entries(), [""; 0], "{fate:?}: the handler");
    }
}

/// "A failure nobody waits for is the handler's": the reply was dropped before the work was assigned.
#[test]
fn a_failure_that_nobody_waits_for_is_the_handlers() {
    for fate in Fate::ALL {
        let (troupe, failures) = listening(Config::fixed(2).mailbox_size(2));
        let drops = DropCounter::new();
        let (work, reply) = asked(fate, &drops);
        drop(reply);
        troupe.assign(work).expect("an idle actor");
        end(&troupe);
        assert_eq!(ends(&troupe.stats()), fate.ends(), "{fate:?}");
        assert_eq!(failures.entries(), Vec::from_iter(fate.failure()));
        drops.assert_balanced();
    }
}

/// The same, while the work was running.
#[test]
fn a_reply_may_be_dropped_while_its_work_runs() {
    for fate in Fate::ALL {
        let (troupe, failures) = listening(Config::fixed(1).mailbox_size(0));
        let (drops, gate) = (DropCounter::new(), Gate::new());
        let (work, reply) = gated(fate, &gate, &drops);
        troupe.assign(work).expect("the idle actor");
        gate.wait_for(1);
        drop(reply);
        gate.open();
        end(&troupe);
        assert_eq!(ends(&troupe.stats()), fate.ends(), "{fate:?}");
        assert_eq!(failures.entries(), Vec::from_iter(fate.failure()));
        drops.assert_balanced();
    }
}

/// "Closure and captures are dropped, on the actor", and then the reply says `Expired`.
#[test]
fn an_expired_work_says_so() {
    let config = Config::fixed(1).mailbox_size(1).thread_name("expires");
    let (troupe, failures) = listening(config);
    let (dropped, tally) = (Log::new(), Tally::new(1));
    let (log, mark) = (dropped.clone(), tally.clone());
    let capture = OnDrop::new(move || log.push(me()));
    let (work, mut reply) = Work::with_reply(move || {
        let _held = &capture;
        mark.mark(0);
        Ok(7)
    });
    let work = work.deadline(Instant::now());
    troupe.assign(work).expect("an assign does not look");
    assert_eq!(in_words(answer(&mut reply)), "expired");
    assert_eq!(dropped.entries(), ["expires-0"]);
    assert_eq!(ends(&troupe.stats()), [0, 0, 0, 1, 0]);
    end(&troupe);
    assert_eq!((failures.entries().len(), tally.total()), (0, 0));
}

/// "`Expired(work)` included": without a caller the handler gets the work, with all its captures, and may run it.
#[test]
fn an_expired_work_that_nobody_waits_for_goes_to_the_handler() {
    let drops = DropCounter::new();
    let (seen, failures) = mpsc::channel();
    let counter = drops.clone();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1).mailbox_size(1))
        .error_handler(move |failure, context| {
            let held = !counter.is_balanced();
            seen.send((failure_in_words(&failure), held))
                .expect("the test listens");
            if let Failure::Expired(work) = failure {
                assert!(context.reassign(work).is_ok());
            }
        })
        .build()
        .expect("valid");
    let (work, reply) = asked(Fate::Fails, &drops);
    drop(reply);
    troupe.assign(work.deadline(Instant::now())).expect("room");
    assert_eq!(receive(&failures), ("expired".to_owned(), true));
    assert_eq!(receive(&failures), ("error on purpose".to_owned(), false));
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [0, 1, 0, 1, 0]);
    assert_eq!(troupe.stats().accepted, 2);
}

/// "Cancelled, at once"; the work "keeps its place until its turn comes; then an actor drops its captures, counts it,
/// and goes on".
#[test]
fn a_cancelled_work_is_not_run() {
    let config = Config::fixed(1).mailbox_size(1).thread_name("cancels");
    let (troupe, failures) = listening(config);
    let gate = occupy(&troupe, 1);
    let (dropped, tally) = (Log::new(), Tally::new(1));
    let (log, mark) = (dropped.clone(), tally.clone());
    let capture = OnDrop::new(move || log.push(me()));
    let (work, mut reply) = Work::with_reply(move || {
        let _held = &capture;
        mark.mark(0);
        Ok(7)
    });
    troupe.assign(work).expect("room");
    assert!(!reply.is_finished());
    assert!(reply.cancel());
    assert!(reply.is_finished());
    assert_eq!(in_words(answer(&mut reply)), "cancelled");
    assert_eq!(dropped.entries(), [""; 0]);
    let beside = troupe.assign(|| Ok(())).expect_err("its place is taken");
    assert!(beside.is_full());
    assert_eq!(ends(&troupe.stats()), [0; 5]);
    gate.open();
    settle(&troupe);
    assert_eq!(dropped.entries(), ["cancels-0"]);
    assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 1]);
    end(&troupe);
    assert_eq!((failures.entries().len(), tally.total()), (0, 0));
}

/// The same if the reply is dropped at once.
#[test]
fn a_cancelled_work_without_its_reply_is_not_run() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(1));
    let (drops, gate) = (DropCounter::new(), occupy(&troupe, 1));
    let (work, reply) = asked(Fate::Fails, &drops);
    troupe.assign(work).expect("room");
    assert!(reply.cancel());
    drop(reply);
    gate.open();
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 1]);
    assert_eq!(failures.entries(), [""; 0]);
}

/// Never assigned, refused, or returned by `shutdown_now`: `Dropped` "when it is dropped, not before", and the captures
/// have been dropped by then.
#[test]
fn a_dropped_work_says_so() {
    for way_back in WAYS_BACK {
        let drops = DropCounter::new();
        let (work, mut reply) = asked(Fate::Fails, &drops);
        let work = way_back(work);
        assert!(!reply.is_finished());
        assert!(reply.try_wait().is_none());
        let seen = Arc::new(AtomicBool::new(false));
        let (balanced, counter) = (Arc::clone(&seen), drops.clone());
        let waker = waker(move || balanced.store(counter.is_balanced(), SeqCst));
        assert!(poll(&mut reply, &waker).is_none());
        drop(work);
        assert!(seen.load(SeqCst), "the captures are dropped before");
        assert_eq!(in_words(answer(&mut reply)), "dropped");
    }
}

/// With the reply dropped before, the captures are dropped all the same, and nobody is told.
#[test]
fn a_dropped_work_without_its_reply_is_silent() {
    for way_back in WAYS_BACK {
        let drops = DropCounter::new();
        let (work, reply) = asked(Fate::Fails, &drops);
        drop(reply);
        let work = way_back(work);
        assert!(!drops.is_balanced());
        drop(work);
        drops.assert_balanced();
    }
}

/// "Run by hand: as if an actor had run it; `run` returns `Ok(())`".
#[test]
fn a_work_that_is_run_by_hand_answers_too() {
    for way_back in WAYS_BACK {
        for fate in Fate::ALL {
            let drops = DropCounter::new();
            let (work, mut reply) = asked(fate, &drops);
            let work = way_back(work);
            assert!(!reply.is_finished());
            assert_eq!(work.run(), Ok(()), "{fate:?}");
            drops.assert_balanced();
            assert_eq!(in_words(answer(&mut reply)), fate.answer());
        }
    }
}

/// "By hand `run` returns the error, or unwinds" if the reply has been dropped.
#[test]
fn by_hand_a_failure_that_nobody_waits_for_is_the_callers() {
    for way_back in WAYS_BACK {
        for fate in Fate::ALL {
            let drops = DropCounter::new();
            let (work, reply) = asked(fate, &drops);
            drop(reply);
            let work = way_back(work);
            let outcome = match catch_unwind(AssertUnwindSafe(|| work.run())) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("error {error}")),
                Err(payload) => {
                    let text = payload.downcast_ref::<&str>().expect("a text");
                    Some(format!("panic {text}"))
                }
            };
            assert_eq!(outcome, fate.failure());
            drops.assert_balanced();
        }
    }
}

/// By hand a cancelled work is not run either, and a deadline does not count.
#[test]
fn by_hand_cancel_counts_and_a_deadline_does_not() {
    for way_back in WAYS_BACK {
        let drops = DropCounter::new();
        let (work, mut reply) = asked(Fate::Fails, &drops);
        assert!(reply.cancel());
        let work = way_back(work);
        assert_eq!(work.run(), Ok(()));
        drops.assert_balanced();
        assert_eq!(in_words(answer(&mut reply)), "cancelled");

        let (work, mut reply) = asked(Fate::Fails, &drops);
        let work = way_back(work.deadline(Instant::now()));
        assert_eq!(work.run(), Ok(()));
        assert_eq!(in_words(answer(&mut reply)), "error on purpose");
    }
}

/// "`AssignError` in `?`: `Work` and reply part ways, the reply says `Dropped` once the error is dropped."
#[test]
fn with_a_question_mark_a_refused_work_is_dropped() {
    fn ask(troupe: &Troupe, replies: &mut Vec<Reply<u32>>) -> Result<(), BoxError> {
        let (work, reply) = Work::with_reply(|| Ok(7));
        replies.push(reply);
        troupe.assign(work)?;
        Ok(())
    }
    let troupe: Troupe = Troupe::new(Config::fixed(1)).expect("valid");
    let mut replies = Vec::new();
    ask(&troupe, &mut replies).expect("an idle actor");
    end(&troupe);
    let refused = ask(&troupe, &mut replies).expect_err("it has ended");
    assert!(!replies[1].is_finished());
    drop(refused);
    let answers = replies.iter_mut().map(|reply| in_words(answer(reply)));
    assert_eq!(Vec::from_iter(answers), ["value 7", "dropped"]);
}

/// A work may be assigned again once it has come back, to another troupe too. There it answers.
#[test]
fn a_work_may_be_assigned_to_a_second_troupe() {
    for way_back in WAYS_BACK {
        for fate in Fate::ALL {
            let (troupe, failures) = listening(Config::fixed(1));
            let drops = DropCounter::new();
            let (work, mut reply) = asked(fate, &drops);
            troupe.assign(way_back(work)).expect("an idle actor");
            assert_eq!(in_words(answer(&mut reply)), fate.answer());
            drops.assert_balanced();
            end(&troupe);
            assert_eq!(ends(&troupe.stats()), fate.ends());
            assert_eq!(failures.entries(), [""; 0]);
        }
    }
}

/// "`Actor::accept` takes all of this as well."
#[test]
fn an_actor_answers_too() {
    let actor = Actor::<Fault>::new(ActorConfig::default().mailbox_size(4)).expect("valid");
    for fate in Fate::ALL {
        let drops = DropCounter::new();
        let (work, mut reply) = asked(fate, &drops);
        actor.accept(work).expect("room");
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        drops.assert_balanced();
    }
    let (work, mut expired) = asked(Fate::Completes, &DropCounter::new());
    actor.accept(work.deadline(Instant::now())).expect("room");
    let (work, mut cancelled) = asked(Fate::Completes, &DropCounter::new());
    assert!(cancelled.cancel());
    actor.accept(work).expect("room");
    assert_eq!(in_words(answer(&mut expired)), "expired");
    assert_eq!(in_words(answer(&mut cancelled)), "cancelled");
    actor.shutdown();
    actor.join_timeout(HANG).expect("it ends");
    let (work, mut reply) = asked(Fate::Completes, &DropCounter::new());
    drop(actor.accept(work));
    assert_eq!(in_words(answer(&mut reply)), "dropped");
}

/// "`reassign` of a replied work works (its failure goes to its reply)", and not to the handler that assigned it.
#[test]
fn a_retry_may_have_a_reply() {
    for fate in Fate::ALL {
        let drops = DropCounter::new();
        let (work, mut reply) = asked(fate, &drops);
        let (retry, told) = (Mutex::new(Some(work)), Log::new());
        let log = told.clone();
        let troupe = Troupe::<Fault>::builder(Config::fixed(1).mailbox_size(0))
            .error_handler(move |failure, context| {
                log.push(failure_in_words(&failure));
                if let Some(work) = retry.lock().take() {
                    assert!(context.reassign(work).is_ok());
                }
            })
            .build()
            .expect("valid");
        troupe.assign(|| Err("at first")).expect("the idle actor");
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        end(&troupe);
        assert_eq!(told.entries(), ["error at first"], "{fate:?}");
        drops.assert_balanced();
    }
}

/// Values and captures of more than 512 bytes answer as small ones do.
#[test]
fn large_values_and_captures_answer_too() {
    let troupe: Troupe<Fault> = Troupe::builder(Config::fixed(1)).build().expect("valid");
    let large = [7_u64; 500];
    let (work, mut reply) = Work::with_reply(move || Ok(large));
    troupe.assign(work).expect("an idle actor");
    assert!(answer(&mut reply).is_ok_and(|value| value == large));
    let (work, mut reply) = Work::cancellable(move |_| Ok(large.iter().sum::<u64>()));
    troupe.assign(work).expect("room");
    assert_eq!(in_words(answer(&mut reply)), "value 3500");
    let (work, mut reply) = Work::with_reply(move || Ok(large.len()));
    drop(work);
    assert_eq!(in_words::<usize, Fault>(answer(&mut reply)), "dropped");
    end(&troupe);
}

// ---- When -----------------------------------------------------------------

/// A caller that has seen the reply "sees `Stats` that include the work". And the captures have been dropped.
///
/// One by one, and several at a time, since ten thousand waits one by one are slow on a machine that is busy.
#[test]
fn an_answer_is_seen_after_its_work_has_been_counted() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(1).mailbox_size(16));
        let drops = DropCounter::new();
        let (mut asked_for, mut seen) = (0, 0);
        for round in 0.. {
            let replies = (0..[1, 15][round % 2]).map(|_| {
                let (work, reply) = asked(Fate::Completes, &drops);
                troupe.assign_wait(work).expect("it waits for room");
                reply
            });
            let replies = Vec::from_iter(replies);
            asked_for += replies.len();
            for reply in replies {
                assert_eq!(in_words(reply.wait()), "value 7");
                seen += 1;
                let stats = troupe.stats();
                // With one actor the works end in order.
                let between = seen..=asked_for;
                assert!(between.contains(&(stats.completed as usize)), "{stats:?}");
                assert!(between.contains(&drops.dropped()));
                assert_eq!(stats.accepted as usize, asked_for);
            }
            if seen >= rounds(10_000) {
                break;
            }
        }
        end(&troupe);
    });
}

/// "`wait_idle` and `join` return only after every reply of a finished work has resolved."
#[test]
fn after_wait_idle_and_join_every_answer_is_there() {
    within(HANG, || {
        let drops = DropCounter::new();
        for round in 0..rounds(200) {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(4));
            for last in [false, true] {
                let replies: Vec<_> = (0..6)
                    .map(|_| {
                        let (work, reply) = asked(Fate::ALL[round % 4], &drops);
                        troupe.assign(work).expect("room");
                        reply
                    })
                    .collect();
                if last {
                    end(&troupe);
                } else {
                    settle(&troupe);
                }
                assert!(replies.iter().all(Reply::is_finished), "round {round}");
            }
        }
    });
}

// ---- Waiting --------------------------------------------------------------

/// "An answer can be taken once: afterwards every way says `Taken`, none panics, none hangs."
#[test]
fn an_answer_can_be_taken_once() {
    type Take = fn(&mut Reply<u32, Fault>) -> Option<Result<u32, ReplyError<Fault>>>;
    const TAKES: [Take; 5] = [
        |reply| reply.try_wait(),
        |reply| reply.wait_timeout(Duration::ZERO),
        |reply| reply.wait_timeout(HANG),
        |reply| reply.wait_timeout(Duration::MAX),
        |reply| poll(reply, Waker::noop()),
    ];
    for take in TAKES {
        for fate in Fate::ALL {
            let (work, mut reply) = asked(fate, &DropCounter::new());
            assert_eq!(work.run(), Ok(()));
            let taken = take(&mut reply).map(in_words);
            assert_eq!(taken, Some(fate.answer()));
            for again in TAKES {
                let taken = again(&mut reply).map(in_words);
                assert_eq!(taken.as_deref(), Some("taken"));
            }
            assert!(reply.is_finished());
            assert!(!reply.cancel());
            assert_eq!(in_words(reply.wait()), "taken");
        }
    }
}

/// "`wait` blocks until the reply resolves."
#[test]
fn wait_blocks_until_the_answer_is_there() {
    type Wait = fn(Reply<u32, Fault>) -> Option<String>;
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(1));
        let (drops, gate) = (DropCounter::new(), Gate::new());
        let waits: [Wait; 3] = [
            |reply| Some(in_words(reply.wait())),
            |mut reply| reply.wait_timeout(HANG).map(in_words),
            |mut reply| reply.wait_timeout(Duration::MAX).map(in_words),
        ];
        let waiters: Vec<_> = waits
            .into_iter()
            .enumerate()
            .map(|(index, wait)| {
                let (work, reply) = gated(Fate::Completes, &gate, &drops);
                troupe.assign(work).expect("room");
                let name = format!("wait-answer-{index}");
                let thread = thread::Builder::new().name(name.clone());
                let waiter = thread.spawn(move || wait(reply)).expect("a thread");
                wait_until_blocked(&name);
                waiter
            })
            .collect();
        gate.open();
        for waiter in waiters {
            let told = waiter.join().expect("no panic");
            assert_eq!(told.as_deref(), Some("value 7"));
        }
        end(&troupe);
    });
}

/// "`wait_timeout` blocks at most so long; zero is `try_wait`", and neither loses the answer.
#[test]
fn a_wait_that_times_out_keeps_the_answer() {
    let (troupe, _) = listening(Config::fixed(1));
    let (drops, gate) = (DropCounter::new(), Gate::new());
    let (work, mut reply) = gated(Fate::Completes, &gate, &drops);
    troupe.assign(work).expect("an idle actor");
    gate.wait_for(1);
    assert!(reply.try_wait().is_none());
    for timeout in [0, 1, 10_000, 2_000_000].map(Duration::from_nanos) {
        let begun = Instant::now();
        assert!(reply.wait_timeout(timeout).is_none());
        assert!(begun.elapsed() >= timeout);
    }
    gate.open();
    assert_eq!(in_words(answer(&mut reply)), "value 7");
    end(&troupe);
}

/// "On a thread of the troupe that has accepted the work `wait`, and `wait_timeout` of more than zero, return
/// `WouldDeadlock` at once if the answer is not there; `wait_timeout` keeps the reply [...]; `wait` has let it go."
#[test]
fn on_the_troupes_own_thread_waiting_would_deadlock() {
    let options: [fn(Work<Fault>) -> Work<Fault>; 2] = [|work| work, |work| work.label("asks")];
    for with_options in options {
        let (troupe, failures) = listening(Config::fixed(1).mailbox_size(2));
        let handle = troupe.handle();
        let (sender, receiver) = mpsc::channel();
        let ask = move || {
            let (work, mut reply) = Work::with_reply(|| Ok(7_u32));
            handle.assign(with_options(work)).expect("room");
            let mut said = Vec::new();
            for timeout in [Duration::ZERO, HANG, Duration::MAX] {
                said.push(reply.wait_timeout(timeout).map(in_words));
            }
            said.push(reply.try_wait().map(in_words));
            said.push(poll(&mut reply, Waker::noop()).map(in_words));
            let (work, let_go) = Work::with_reply(|| Err::<u32, Fault>("nobody waits"));
            handle.assign(with_options(work)).expect("room");
            said.push(Some(in_words(let_go.wait())));
            sender.send((said, reply)).expect("the test listens");
            Ok(())
        };
        troupe.assign(ask).expect("an idle actor");
        let (said, mut reply) = receive(&receiver);
        let deadlock = Some("woulddeadlock".to_owned());
        let expected = [
            None,
            deadlock.clone(),
            deadlock.clone(),
            None,
            None,
            deadlock,
        ];
        assert_eq!(said, expected);
        assert_eq!(in_words(answer(&mut reply)), "value 7");
        end(&troupe);
        assert_eq!(failures.entries(), ["error nobody waits"]);
    }
}

/// ... "if the answer is not there".
#[test]
fn on_the_troupes_own_thread_an_answer_that_is_there_is_returned() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    let ask = move || {
        let (work, mut first) = Work::with_reply(|| Ok(1_u32));
        handle.assign(work).expect("the other actor");
        let (work, second) = Work::with_reply(|| Ok(2_u32));
        handle.assign(work).expect("room");
        eventually(|| first.is_finished() && second.is_finished());
        let first = first.wait_timeout(HANG).map(in_words);
        let said = (first, in_words(second.wait()));
        sender.send(said).expect("the test listens");
        Ok(())
    };
    troupe.assign(ask).expect("an idle actor");
    let said = receive(&receiver);
    assert_eq!(said, (Some("value 1".to_owned()), "value 2".to_owned()));
    end(&troupe);
}

/// Another troupe's thread waits like any other.
#[test]
fn on_another_troupes_thread_waiting_is_allowed() {
    let (outer, _) = listening(Config::fixed(1));
    let (inner, _) = listening(Config::fixed(1));
    let handle = inner.handle();
    let (work, mut reply) = Work::with_reply(move || {
        let (work, mut first) = Work::with_reply(|| Ok(3_u32));
        handle.assign(work).map_err(|_| "refused")?;
        let (work, second) = Work::with_reply(|| Ok(4_u32));
        handle.assign(work).map_err(|_| "refused")?;
        let first = first.wait_timeout(HANG).and_then(Result::ok);
        let second = second.wait().ok();
        first.zip(second).map(|(a, b)| a + b).ok_or("no answer")
    });
    outer.assign(work).expect("an idle actor");
    assert_eq!(in_words(answer(&mut reply)), "value 7");
    end(&outer);
    end(&inner);
}

/// A troupe that has refused the work has not accepted it: its threads may wait for what another troupe answers.
#[test]
fn a_refusal_leaves_waiting_allowed() {
    let (first, _) = listening(Config::fixed(1).mailbox_size(0));
    let (second, _) = listening(Config::fixed(1));
    let (own, other) = (first.handle(), second.handle());
    let (work, mut reply) = Work::with_reply(move || {
        let (work, inner) = Work::with_reply(|| Ok(7_u32));
        let refused = own.assign(work).expect_err("its only actor is busy");
        other.assign(refused.into_work()).map_err(|_| "refused")?;
        inner.wait().map_err(|_| "no answer")
    });
    first.assign(work).expect("the idle actor");
    assert_eq!(in_words(answer(&mut reply)), "value 7");
    end(&first);
    end(&second);
}

// ---- Cancelling -----------------------------------------------------------

/// "It may be called before the work is assigned; assigning it then is an ordinary assign."
#[test]
fn a_work_may_be_cancelled_before_it_is_assigned() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(0));
    let drops = DropCounter::new();
    let (work, mut reply) = asked(Fate::Panics, &drops);
    assert!(reply.cancel());
    assert_eq!(in_words(answer(&mut reply)), "cancelled");
    let gate = occupy(&troupe, 1);
    let refused = troupe.assign(work).expect_err("its only actor is busy");
    assert!(refused.is_full() && !drops.is_balanced());
    gate.open();
    settle(&troupe);
    troupe.assign(refused.into_work()).expect("an idle actor");
    settle(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 1]);
    assert_eq!(troupe.stats().accepted, 2);
    assert_eq!(troupe.actors()[0].finished, 2);
    end(&troupe);
    assert_eq!(failures.entries(), [""; 0]);
}

/// "If the work has started, `cancel` returns false, the work goes on, `CancelToken::is_cancelled` is true from then on,
/// and the reply resolves with whatever the work returns."
#[test]
fn a_started_work_is_only_asked_to_stop() {
    let (troupe, _) = listening(Config::fixed(1));
    let (sender, tokens) = mpsc::channel();
    let gate = Gate::new();
    let pass = gate.clone();
    let (work, mut reply) = Work::cancellable(move |token: &CancelToken| {
        sender.send(token.clone()).expect("the test listens");
        pass.pass();
        Ok(u32::from(token.is_cancelled()))
    });
    troupe.assign(work).expect("an idle actor");
    gate.wait_for(1);
    let token = receive(&tokens);
    assert!(!token.is_cancelled());
    assert!(!reply.cancel());
    assert!(token.is_cancelled());
    assert!(!reply.cancel() && !reply.is_finished());
    gate.open();
    assert_eq!(in_words(answer(&mut reply)), "value 1");
    assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 0]);
    end(&troupe);
}

/// A work that is not cancelled sees that too.
#[test]
fn a_token_of_a_wanted_work_says_so() {
    let (troupe, _) = listening(Config::fixed(1));
    let (work, mut reply) = Work::cancellable(|token| Ok(token.is_cancelled()));
    troupe.assign(work).expect("an idle actor");
    assert_eq!(in_words(answer(&mut reply)), "value false");
    end(&troupe);
}

/// "After the end it returns false and changes nothing": neither the answer nor the token.
#[test]
fn after_the_end_cancel_changes_nothing() {
    for fate in Fate::ALL {
        let (troupe, _) = listening(Config::fixed(1));
        let (sender, tokens) = mpsc::channel();
        let act = fate.act(DropCounter::new().lease());
        let (work, mut reply) = Work::cancellable(move |token| {
            sender.send(token.clone()).expect("the test listens");
            act()
        });
        troupe.assign(work).expect("an idle actor");
        settle(&troupe);
        assert!(!reply.cancel());
        assert!(!receive(&tokens).is_cancelled());
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        assert_eq!(ends(&troupe.stats()), fate.ends());
        end(&troupe);
    }
}

/// "`cancel` returns true exactly if the work has not started and never will": against an actor that is about to start
/// it, and counted.
#[test]
fn cancel_against_start() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
        let works = rounds(2_000);
        let tally = Tally::new(works);
        let mut rng = Rng::new(1);
        let mut cancelled = Vec::new();
        for index in 0..works {
            let mark = tally.clone();
            let (work, mut reply) = Work::with_reply(move || {
                mark.mark(index);
                Ok(7)
            });
            troupe.assign_wait(work).expect("it waits for room");
            rng.dally(1_500);
            let expected = if reply.cancel() {
                cancelled.push(index);
                "cancelled"
            } else {
                "value 7"
            };
            assert_eq!(in_words(answer(&mut reply)), expected);
        }
        end(&troupe);
        assert!(cancelled.iter().all(|index| tally.count(*index) == 0));
        let run = works - cancelled.len();
        assert_eq!(tally.total(), run);
        let expected = [run as u64, 0, 0, 0, cancelled.len() as u64];
        assert_eq!(ends(&troupe.stats()), expected);
    });
}

/// The drop of a capture that panics when a cancelled or expired work is dropped is contained and counted.
#[test]
fn a_panic_in_the_drop_of_a_work_that_is_not_run_is_contained() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(4));
    let gate = occupy(&troupe, 1);
    let (work, mut cancelled) = asked(Fate::PanicsInADrop, &DropCounter::new());
    troupe.assign(work).expect("room");
    assert!(cancelled.cancel());
    let (work, mut expired) = asked(Fate::PanicsInADrop, &DropCounter::new());
    troupe.assign(work.deadline(Instant::now())).expect("room");
    gate.open();
    assert_eq!(in_words(answer(&mut expired)), "expired");
    assert_eq!(in_words(answer(&mut cancelled)), "cancelled");
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!(ends(&stats), [1, 0, 0, 1, 1]);
    assert_eq!((stats.handler_panics, stats.actors), (2, 1));
    end(&troupe);
    assert_eq!(failures.entries(), [""; 0]);
}

// ---- Dropping -------------------------------------------------------------

/// "Dropping a reply lets the work go on."
#[test]
fn dropping_a_reply_lets_the_work_go_on() {
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(4));
    let gate = occupy(&troupe, 1);
    let tally = Tally::new(4);
    for index in 0..4 {
        let mark = tally.clone();
        let (work, reply) = Work::cancellable(move |token| {
            assert!(!token.is_cancelled());
            mark.mark(index);
            Ok(())
        });
        if index % 2 == 0 {
            drop(reply);
            troupe.assign(work).expect("room");
        } else {
            troupe.assign(work).expect("room");
            drop(reply);
        }
    }
    gate.open();
    end(&troupe);
    tally.assert_each_once();
    assert_eq!(ends(&troupe.stats()), [5, 0, 0, 0, 0]);
}

/// "`reply.cancel_on_drop()`: from then on dropping it is `cancel`", before the work is assigned and while it waits. It
/// does not block.
#[test]
fn a_reply_may_cancel_when_it_is_dropped() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(4));
    let gate = occupy(&troupe, 1);
    let drops = DropCounter::new();
    let (work, reply) = asked(Fate::Fails, &drops);
    drop(reply.cancel_on_drop());
    troupe.assign(work).expect("room");
    let (work, reply) = asked(Fate::Fails, &drops);
    let reply = reply.cancel_on_drop();
    troupe.assign(work).expect("room");
    drop(reply);
    let (work, reply) = asked(Fate::Completes, &drops);
    let mut reply = reply.cancel_on_drop();
    troupe.assign(work).expect("room");
    gate.open();
    assert_eq!(in_words(answer(&mut reply)), "value 7");
    drop(reply);
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(ends(&troupe.stats()), [2, 0, 0, 0, 2]);
    assert_eq!(failures.entries(), [""; 0]);
}

/// A task that drops its reply is not called for an answer that it cannot see any more.
#[test]
fn a_reply_that_cancels_on_drop_does_not_wake_its_own_task() {
    let (work, reply) = Work::<&str>::with_reply(|| Ok(7));
    let mut reply = reply.cancel_on_drop();
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let waker = waker(move || {
        called.fetch_add(1, SeqCst);
    });
    assert!(poll(&mut reply, &waker).is_none());
    drop(reply);
    assert_eq!(calls.load(SeqCst), 0);
    drop(waker);
    assert_eq!(Arc::strong_count(&calls), 1, "a waker is kept");
    drop(work);
}

/// Of a started work it says that nobody wants the answer. The work goes on, and its failure is the handler's.
#[test]
fn a_reply_that_cancels_on_drop_tells_a_started_work() {
    let (troupe, failures) = listening(Config::fixed(1));
    let gate = Gate::new();
    let pass = gate.clone();
    let (work, reply) = Work::cancellable(move |token| {
        let before = token.is_cancelled();
        pass.pass();
        match (before, token.is_cancelled()) {
            (false, true) => Err("stopped half way"),
            _ => Ok(()),
        }
    });
    let reply = reply.cancel_on_drop();
    troupe.assign(work).expect("an idle actor");
    gate.wait_for(1);
    drop(reply);
    gate.open();
    end(&troupe);
    assert_eq!(failures.entries(), ["error stopped half way"]);
    assert_eq!(ends(&troupe.stats()), [0, 1, 0, 0, 0]);
}

/// "If the drop of a value or error that nobody took panics, it panics where the reply is dropped."
#[test]
fn a_value_that_nobody_took_is_dropped_with_the_reply() {
    type Bomb = OnDrop<fn()>;
    fn bomb() -> Bomb {
        OnDrop::new(|| quiet_panic("in the answer"))
    }
    for is_value in [true, false] {
        let troupe: Troupe<Bomb> = Troupe::builder(Config::fixed(1)).build().expect("valid");
        let (work, reply) = Work::with_reply(move || match is_value {
            true => Ok(bomb()),
            false => Err(bomb()),
        });
        assert!(troupe.assign(work).is_ok());
        settle(&troupe);
        let payload = catch_unwind(|| drop(reply)).expect_err("it panics");
        assert_eq!(payload.downcast_ref(), Some(&"in the answer"));
        // On an actor that is a panic of the work that drops it.
        let (work, reply) = Work::with_reply(move || match is_value {
            true => Ok(bomb()),
            false => Err(bomb()),
        });
        assert!(work.run().is_ok());
        assert!(
            troupe
                .assign(move || {
                    drop(reply);
                    Ok(())
                })
                .is_ok()
        );
        end(&troupe);
        let counts = [u64::from(is_value), u64::from(!is_value), 1, 0, 0];
        assert_eq!(ends(&troupe.stats()), counts);
        assert_eq!(troupe.stats().handler_panics, 0);
    }
}

/// If the reply has been dropped before, the value is dropped on the actor, which survives it.
#[test]
fn a_value_that_nobody_waits_for_may_panic_in_its_drop() {
    let (troupe, _) = listening(Config::fixed(1));
    let (work, reply) = Work::with_reply(|| Ok(OnDrop::new(|| quiet_panic("in the value"))));
    drop(reply);
    troupe.assign(work).expect("an idle actor");
    troupe.assign(|| Ok(())).expect("room");
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!(ends(&stats).iter().sum::<u64>(), 2);
    assert_eq!((stats.accepted, stats.actors), (2, 1));
    end(&troupe);
}

/// A value is dropped once: by its caller, with the reply, or with the work.
#[test]
fn a_value_is_dropped_once() {
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(8));
    let drops = DropCounter::new();
    for way in 0..5 {
        let lease = drops.lease();
        let (work, mut reply) = Work::with_reply(move || Ok(lease));
        if way == 0 {
            drop(reply);
            drop(work);
            continue;
        }
        troupe.assign(work).expect("room");
        match way {
            1 => drop(answer(&mut reply)),
            2 => {
                settle(&troupe);
                assert!(!drops.is_balanced());
                drop(reply);
            }
            3 => drop(reply.wait()),
            _ => drop(reply),
        }
        settle(&troupe);
        assert!(drops.is_balanced(), "way {way}");
    }
    end(&troupe);
    drops.assert_balanced();
}

/// "A reply forgotten (`mem::forget`) leaks nothing but its answer." And nobody else hears of the failure.
#[test]
fn a_forgotten_reply_leaks_nothing_but_its_answer() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(4));
    let (captures, values) = (DropCounter::new(), DropCounter::new());
    for fate in Fate::ALL {
        let (work, reply) = asked(fate, &captures);
        std::mem::forget(reply);
        troupe.assign(work).expect("room");
        settle(&troupe);
    }
    let value = values.lease();
    let (work, reply) = Work::with_reply(move || Ok(value));
    std::mem::forget(reply);
    troupe.assign(work).expect("room");
    end(&troupe);
    captures.assert_balanced();
    assert_eq!(values.dropped(), 0);
    assert_eq!(ends(&troupe.stats()), [2, 1, 2, 0, 0]);
    assert_eq!(failures.entries(), [""; 0]);
}

/// "Where the reply is dropped in the same instants in which the work ends, it is one or the other": never both, and
/// nothing is lost or dropped twice.
#[test]
fn a_reply_is_dropped_against_its_answer() {
    within(HANG, || {
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let troupe = Troupe::<Lease>::builder(Config::fixed(2).mailbox_size(2))
            .error_handler(move |failure, _| {
                assert!(matches!(failure, Failure::Error(_)));
                count.fetch_add(1, SeqCst);
            })
            .build()
            .expect("valid");
        let drops = DropCounter::new();
        let mut rng = Rng::new(2);
        let (works, mut taken) = (rounds(4_000), 0);
        for _ in 0..works {
            let lease = drops.lease();
            let (work, mut reply) = Work::with_reply(move || Err::<(), _>(lease));
            assert!(troupe.assign_wait(work).is_ok());
            rng.dally(1_500);
            taken += usize::from(reply.try_wait().is_some());
            drop(reply);
        }
        end(&troupe);
        drops.assert_balanced();
        assert!(heard.load(SeqCst) + taken <= works);
        assert_eq!(ends(&troupe.stats()), [0, works as u64, 0, 0, 0]);
        assert_eq!(troupe.stats().handler_panics, 0);
    });
}

// ---- Wakers and futures ---------------------------------------------------

/// "As a future it wakes the last waker that polled it", once, on the actor's thread, when the answer is there.
#[test]
fn the_last_waker_is_called_once() {
    let (troupe, _) = listening(Config::fixed(1).thread_name("wakes"));
    let (drops, gate) = (DropCounter::new(), Gate::new());
    let (work, mut reply) = gated(Fate::Completes, &gate, &drops);
    let calls = Log::new();
    for name in ["first", "second"] {
        let log = calls.clone();
        let waker = waker(move || log.push((name, me())));
        assert!(poll(&mut reply, &waker).is_none());
    }
    troupe.assign(work).expect("an idle actor");
    gate.open();
    settle(&troupe);
    assert_eq!(calls.entries(), [("second", "wakes-0".to_owned())]);
    let answer = poll(&mut reply, Waker::noop()).map(in_words);
    assert_eq!(answer.as_deref(), Some("value 7"));
    end(&troupe);
    assert_eq!(calls.entries().len(), 1);
}

/// However a reply resolves, its task is woken.
#[test]
fn every_way_to_resolve_wakes() {
    type Way = fn(&Troupe<Fault>, Work<Fault>, &Reply<u32, Fault>);
    let ways: [Way; 7] = [
        |troupe, work, _| troupe.assign(work).expect("an idle actor"),
        |troupe, work, _| {
            let work = work.deadline(Instant::now()).keyed("key").label("label");
            troupe.assign(work).expect("an idle actor");
        },
        |_, _, reply| assert!(reply.cancel()),
        |_, work, _| drop(work),
        |_, work, _| assert_eq!(work.run(), Ok(())),
        |_, work, _| drop(refused(work)),
        |_, work, _| drop(returned(work)),
    ];
    let expected = [
        "value 7",
        "expired",
        "cancelled",
        "dropped",
        "value 7",
        "dropped",
        "dropped",
    ];
    for (way, expected) in ways.into_iter().zip(expected) {
        let (troupe, _) = listening(Config::fixed(2));
        let (work, mut reply) = asked(Fate::Completes, &DropCounter::new());
        let (sender, woken) = mpsc::channel();
        let waker = waker(move || sender.send(()).expect("the test listens"));
        assert!(poll(&mut reply, &waker).is_none());
        way(&troupe, work, &reply);
        receive(&woken);
        assert_eq!(in_words(answer(&mut reply)), expected);
        end(&troupe);
        assert!(woken.try_recv().is_err(), "{expected}: woken twice");
    }
}

/// "If it panics, that is contained and counted in `handler_panics`": the actor and the answer survive.
#[test]
fn a_waker_that_panics_is_contained() {
    let (troupe, failures) = listening(Config::fixed(1).mailbox_size(4));
    for (index, fate) in Fate::ALL.into_iter().enumerate() {
        let (drops, gate) = (DropCounter::new(), Gate::new());
        let (work, mut reply) = gated(fate, &gate, &drops);
        assert!(poll(&mut reply, &waker(|| quiet_panic("in the waker"))).is_none());
        troupe.assign(work).expect("room");
        gate.open();
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        settle(&troupe);
        let stats = troupe.stats();
        assert_eq!((stats.handler_panics, stats.actors), (index as u64 + 1, 1));
    }
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [1, 1, 2, 0, 0]);
    assert_eq!(failures.entries(), [""; 0]);
}

/// A waker that panics where a user resolves the reply is contained too.
#[test]
fn a_waker_that_panics_unwinds_to_nobody() {
    let panicking = waker(|| quiet_panic("in the waker"));
    let (work, mut reply) = asked(Fate::Completes, &DropCounter::new());
    assert!(poll(&mut reply, &panicking).is_none());
    assert!(reply.cancel());
    drop(work);
    assert_eq!(in_words(answer(&mut reply)), "cancelled");
    let (work, mut reply) = asked(Fate::Completes, &DropCounter::new());
    assert!(poll(&mut reply, &panicking).is_none());
    drop(work);
    assert_eq!(in_words(answer(&mut reply)), "dropped");
    let (work, mut reply) = asked(Fate::Completes, &DropCounter::new());
    assert!(poll(&mut reply, &panicking).is_none());
    assert_eq!(work.run(), Ok(()));
    assert_eq!(in_words(answer(&mut reply)), "value 7");
}

/// A waker is called outside every lock and when the answer is there: it may take the answer itself.
#[test]
fn a_waker_may_take_the_answer() {
    let (troupe, _) = listening(Config::fixed(1));
    let (drops, gate) = (DropCounter::new(), Gate::new());
    let (work, mut reply) = gated(Fate::Completes, &gate, &drops);
    let place = Arc::new(Mutex::new(None::<Reply<u32, Fault>>));
    let (sender, receiver) = mpsc::channel();
    let (inside, handle) = (Arc::clone(&place), troupe.handle());
    let waker = waker(move || {
        let taken = inside.lock().take().map(|reply| in_words(reply.wait()));
        let seen = (taken, handle.stats().completed, handle.stats().running);
        sender.send(seen).expect("the test listens");
    });
    assert!(poll(&mut reply, &waker).is_none());
    *place.lock() = Some(reply);
    troupe.assign(work).expect("an idle actor");
    gate.open();
    assert_eq!(receive(&receiver), (Some("value 7".to_owned()), 1, 0));
    end(&troupe);
}

/// "Where it may do what a work may": assign.
#[test]
fn a_waker_may_assign() {
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(2));
    let (drops, tally) = (DropCounter::new(), Tally::new(2));
    let (work, mut reply) = asked(Fate::Completes, &drops);
    let (handle, mark) = (troupe.handle(), tally.clone());
    let waker = waker(move || {
        for index in 0..2 {
            let mark = mark.clone();
            let next = move || {
                mark.mark(index);
                Ok(())
            };
            handle.assign(next).expect("its own mailbox has room");
        }
    });
    assert!(poll(&mut reply, &waker).is_none());
    troupe.assign(work).expect("an idle actor");
    settle(&troupe);
    tally.assert_each_once();
    assert_eq!(troupe.stats().handler_panics, 0);
    end(&troupe);
}

/// ... and `shutdown_now`, on two actors at once: it waits for actors between two works, and neither of these is.
#[test]
fn a_waker_may_shut_down_at_once() {
    within(HANG, || {
        for round in 0..rounds(200) {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
            let (drops, gate) = (DropCounter::new(), Gate::new());
            let returned = Arc::new(AtomicUsize::new(0));
            let mut replies = Vec::new();
            for _ in 0..2 {
                let (work, mut reply) = gated(Fate::ALL[round % 4], &gate, &drops);
                let (handle, count) = (troupe.handle(), Arc::clone(&returned));
                let waker = waker(move || {
                    count.fetch_add(handle.shutdown_now().len(), SeqCst);
                });
                assert!(poll(&mut reply, &waker).is_none());
                troupe.assign(work).expect("an idle actor");
                replies.push(reply);
            }
            gate.wait_for(2);
            for _ in 0..3 {
                troupe.assign(|| Ok(())).expect("a mailbox with room");
            }
            gate.open();
            join(&troupe);
            assert_eq!((returned.load(SeqCst), troupe.stats().returned), (3, 3));
            assert!(replies.iter().all(Reply::is_finished));
            assert_eq!(troupe.stats().handler_panics, 0);
        }
    });
}

/// The same against actors that are in the middle of ordinary works.
#[test]
fn a_waker_that_shuts_down_against_other_works() {
    within(HANG, || {
        let mut rng = Rng::new(3);
        for _ in 0..rounds(200) {
            let (troupe, _) = listening(Config::fixed(3).mailbox_size(4));
            let returned = Arc::new(AtomicUsize::new(0));
            let (drops, tally) = (DropCounter::new(), Tally::new(12));
            let mut accepted = 0;
            let mut replies = Vec::new();
            for index in 0..12 {
                let outcome = if index % 4 == 1 {
                    let (work, mut reply) = asked(Fate::Fails, &drops);
                    let (handle, count) = (troupe.handle(), Arc::clone(&returned));
                    let waker = waker(move || {
                        count.fetch_add(handle.shutdown_now().len(), SeqCst);
                    });
                    assert!(poll(&mut reply, &waker).is_none());
                    replies.push(reply);
                    troupe.assign(work)
                } else {
                    let mark = tally.clone();
                    troupe.assign(move || {
                        mark.mark(index);
                        Ok(())
                    })
                };
                accepted += u64::from(outcome.is_ok());
                rng.dally(300);
            }
            end(&troupe);
            let stats = troupe.stats();
            assert_eq!(stats.accepted, accepted);
            assert_eq!(stats.returned, returned.load(SeqCst) as u64);
            assert_eq!(ends(&stats).iter().sum::<u64>() + stats.returned, accepted);
            assert_eq!(stats.completed as usize, tally.total());
            // A returned work has been dropped in its waker, so each reply has resolved.
            assert!(replies.iter().all(Reply::is_finished));
        }
    });
}

/// "It may be polled by reference (`&mut reply`) and dropped at any time without losing the answer."
#[test]
fn a_reply_may_be_polled_by_reference() {
    let (troupe, _) = listening(Config::fixed(1));
    let (drops, gate) = (DropCounter::new(), Gate::new());
    let (work, mut reply) = gated(Fate::Completes, &gate, &drops);
    troupe.assign(work).expect("an idle actor");
    for _ in 0..3 {
        let mut by_reference = &mut reply;
        let pinned = Pin::new(&mut by_reference);
        let polled = pinned.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    gate.open();
    within(HANG, move || {
        assert_eq!(in_words(block_on(&mut reply)), "value 7");
        assert_eq!(in_words(block_on(reply)), "taken");
    });
    end(&troupe);
}

/// A waker that a task has left behind is dropped with the reply, or called: neither harms anybody.
#[test]
fn a_polled_reply_may_be_dropped() {
    let (troupe, failures) = listening(Config::fixed(1));
    let (drops, wakers, gate) = (DropCounter::new(), DropCounter::new(), Gate::new());
    let (work, mut reply) = gated(Fate::Fails, &gate, &drops);
    let lease = wakers.lease();
    let waker = waker(move || {
        let _held = &lease;
        quiet_panic("called, though its task is gone")
    });
    assert!(poll(&mut reply, &waker).is_none());
    drop(waker);
    assert!(!wakers.is_balanced());
    drop(reply);
    wakers.assert_balanced();
    troupe.assign(work).expect("an idle actor");
    gate.open();
    end(&troupe);
    assert_eq!(troupe.stats().handler_panics, 0);
    assert_eq!(failures.entries(), ["error on purpose"]);
}

/// In a task, with `?`: "no runtime is needed or known".
#[test]
fn a_task_awaits_replies() {
    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }
    within(HANG, || {
        let troupe: Troupe = Troupe::new(Config::fixed(2)).expect("valid");
        let handle = troupe.handle();
        let task = is_send(async move {
            let mut sum = 0;
            for text in ["1", "2", "4"] {
                let (work, reply) = Work::with_reply(move || Ok(text.parse::<u32>()?));
                handle.assign(work)?;
                sum += reply.await?;
            }
            let (work, reply) = Work::with_reply(|| Ok("eight".parse::<u32>()?));
            handle.assign(work)?;
            let failed = reply.await.err().map(|error| error.to_string());
            assert_eq!(failed.as_deref(), Some("invalid digit found in string"));
            Ok::<u32, BoxError>(sum)
        });
        assert!(block_on(task).is_ok_and(|sum| sum == 7));
        end(&troupe);
    });
}

/// The next answer of several, and its index.
async fn select<T>(replies: &mut [Option<Reply<T, Fault>>]) -> (usize, String)
where
    T: fmt::Display,
{
    poll_fn(|context| {
        for (index, place) in replies.iter_mut().enumerate() {
            let polled = place.as_mut().map(|reply| Pin::new(reply).poll(context));
            if let Some(Poll::Ready(answer)) = polled {
                *place = None;
                return Poll::Ready((index, in_words(answer)));
            }
        }
        Poll::Pending
    })
    .await
}

/// A task waits for whichever of several replies comes next.
#[test]
fn a_task_selects_over_many_replies() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(8).mailbox_size(0));
        let gates: Vec<Gate> = (0..8).map(|_| Gate::new()).collect();
        let mut replies: Vec<_> = gates
            .iter()
            .enumerate()
            .map(|(index, gate)| {
                let gate = gate.clone();
                let (work, reply) = Work::with_reply(move || {
                    gate.pass();
                    Ok(index)
                });
                troupe.assign(work).expect("an idle actor");
                Some(reply)
            })
            .collect();
        for next in [3, 0, 7, 1, 2, 6, 4, 5] {
            gates[next].open();
            let selected = block_on(select(&mut replies));
            assert_eq!(selected, (next, format!("value {next}")));
        }
        end(&troupe);
    });
}

/// The same, all at once, from two tasks on two threads.
#[test]
fn tasks_select_while_answers_come() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(2).mailbox_size(8));
        thread::scope(|scope| {
            for task in 0..2 {
                let troupe = &troupe;
                scope.spawn(move || {
                    let mut rng = Rng::new(task);
                    for _ in 0..rounds(100) {
                        let mut replies: Vec<_> = (0..6)
                            .map(|index: usize| {
                                let mut inner = Rng::new(rng.next());
                                let (work, reply) = Work::with_reply(move || {
                                    inner.dally(200);
                                    Ok(index)
                                });
                                troupe.assign_wait(work).expect("it waits for room");
                                Some(reply)
                            })
                            .collect();
                        let mut seen = [false; 6];
                        for _ in 0..6 {
                            let (index, told) = block_on(select(&mut replies));
                            assert_eq!(told, format!("value {index}"));
                            assert!(!std::mem::replace(&mut seen[index], true));
                        }
                    }
                });
            }
        });
        end(&troupe);
        assert_eq!(troupe.stats().completed as usize, 12 * rounds(100));
    });
}

/// A work may be made on one thread, and its reply awaited on another; a reply may also be shared to be cancelled.
#[test]
fn a_reply_may_be_shared() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(1).mailbox_size(1));
        let gate = occupy(&troupe, 1);
        let (work, mut reply) = asked(Fate::Completes, &DropCounter::new());
        troupe.assign(work).expect("room");
        thread::scope(|scope| {
            let cancels = [0; 3].map(|_| scope.spawn(|| reply.cancel()));
            let cancels = cancels.map(|cancel| cancel.join().expect("no panic"));
            assert!(cancels.contains(&true));
        });
        assert_eq!(in_words(answer(&mut reply)), "cancelled");
        gate.open();
        end(&troupe);
        assert_eq!(troupe.stats().cancelled, 1);
    });
}

/// A program that asks its own troupe, in a chain of wakers: no thread waits anywhere.
#[test]
fn wakers_may_ask_in_a_chain() {
    struct Chain {
        handle: Handle<Fault>,
        left: AtomicUsize,
        reply: Mutex<Option<Reply<usize, Fault>>>,
        done: mpsc::Sender<usize>,
        this: OnceLock<Waker>,
    }
    impl Wake for Chain {
        fn wake(self: Arc<Self>) {
            let asked = self.reply.lock().take();
            let answer = asked.map(|reply| in_words(reply.wait()));
            let left = self.left.load(SeqCst);
            assert_eq!(answer, Some(format!("value {left}")));
            self.ask(left);
        }
    }
    impl Chain {
        fn ask(&self, left: usize) {
            let Some(next) = left.checked_sub(1) else {
                self.done.send(left).expect("the test listens");
                return;
            };
            self.left.store(next, SeqCst);
            let (work, mut reply) = Work::with_reply(move || Ok(next));
            let waker = self.this.get().expect("set before");
            assert!(poll(&mut reply, waker).is_none());
            *self.reply.lock() = Some(reply);
            self.handle.assign(work).expect("room");
        }
    }
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(1));
    let (done, receiver) = mpsc::channel();
    let chain = Arc::new(Chain {
        handle: troupe.handle(),
        left: AtomicUsize::new(0),
        reply: Mutex::new(None),
        done,
        this: OnceLock::new(),
    });
    let waker = Waker::from(Arc::clone(&chain));
    chain.this.set(waker).expect("set once");
    chain.ask(1_000);
    assert_eq!(receive(&receiver), 0);
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.completed, stats.handler_panics), (1_000, 0));
}

// ---- The surface ----------------------------------------------------------

/// A type that is `Send` and nothing else.
struct Bare(#[expect(dead_code, reason = "it is not Sync because of this")] Cell<u8>);

/// A type that is not even that.
struct NotSend(#[expect(dead_code, reason = "it is not Send because of this")] *const u8);

const fn shared<T: Send + Sync + 'static>() {}
const fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
const fn unpin<T: Unpin>() {}
const fn debug<T: fmt::Debug>() {}
const fn an_error<T: Error>() {}
const fn a_future<T: Future>() {}

/// `Reply`: "Send + Sync where T and E are Send; always Unpin, UnwindSafe, RefUnwindSafe; Debug for all"; `CancelToken`:
/// "Send + Sync + 'static, UnwindSafe, RefUnwindSafe, Debug"; `ReplyError`: "Error where E: Debug + Display". Checked by
/// the compiler.
const _: () = {
    shared::<Reply<u8>>();
    shared::<Reply<Bare, Bare>>();
    shared::<ReplyError>();
    shared::<CancelToken>();
    unwind_safe::<Reply<Bare, Bare>>();
    unwind_safe::<Reply<NotSend, NotSend>>();
    unwind_safe::<CancelToken>();
    unpin::<Reply<Bare, Bare>>();
    unpin::<Reply<NotSend, NotSend>>();
    unpin::<Reply<std::marker::PhantomPinned, std::marker::PhantomPinned>>();
    debug::<Reply<NotSend, NotSend>>();
    debug::<ReplyError>();
    debug::<CancelToken>();
    an_error::<ReplyError>();
    an_error::<ReplyError<Fault>>();
    a_future::<Reply<NotSend, NotSend>>();
};

/// `Debug` of what can be seen, at every stage.
#[test]
fn debug_shows_whether_the_answer_is_there() {
    let (work, reply) = Work::cancellable(|token| Ok::<_, Fault>(format!("{token:?}")));
    let pending = format!("{reply:?}");
    assert!(pending.starts_with("Reply") && pending.contains("false"));
    assert_eq!(work.run(), Ok(()));
    let resolved = format!("{reply:?}");
    assert!(resolved.starts_with("Reply") && resolved.contains("true"));
    let token = reply.wait().expect("it succeeds");
    assert!(token.starts_with("CancelToken") && token.contains("false"));
}

/// `Display` of every reason, and the way into a boxed error.
#[test]
fn every_reason_has_its_own_words() {
    let (work, mut reply) = asked(Fate::Panics, &DropCounter::new());
    assert_eq!(work.run(), Ok(()));
    let Err(ReplyError::Panic(panic)) = answer(&mut reply) else {
        panic!("expected a panic");
    };
    let reasons: [ReplyError<Fault>; 7] = [
        ReplyError::Error("out of ink"),
        ReplyError::Panic(panic),
        ReplyError::Expired,
        ReplyError::Cancelled,
        ReplyError::Dropped,
        ReplyError::WouldDeadlock,
        ReplyError::Taken,
    ];
    let mut texts = Vec::new();
    for reason in reasons {
        let boxed: BoxError = reason.into();
        texts.push(boxed.to_string());
    }
    assert!(texts[0].contains("out of ink") && texts[1].contains("on purpose"));
    assert!(texts.iter().all(|text| !text.is_empty()));
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 7, "{texts:?}");
}

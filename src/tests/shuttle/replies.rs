//! Replies: each resolves once, rightly, and a failure reaches one party.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use super::{Error, check, coin, yield_a_few_times};
use crate::{Config, Context, Failure, Handle, Reply, ReplyError, Troupe, Work};
use shuttle::sync::Arc;
use shuttle::thread;

fn troupe(max: usize) -> Troupe<Error> {
    let config = Config::fixed(max).mailbox_size(2).thread_name("sure");
    Troupe::builder(config).build().unwrap()
}

fn end<E: Send + 'static>(troupe: &Troupe<E>) {
    troupe.shutdown();
    troupe.join().unwrap();
}

/// `cancel` returns true exactly if the work never starts, and the reply agrees.
#[test]
fn cancel_against_start() {
    check(|| {
        let troupe = troupe(1);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let (work, reply) = Work::with_reply(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(7)
        });
        troupe.assign(work).unwrap();
        yield_a_few_times();
        let cancelled = reply.cancel();
        match reply.wait() {
            Ok(7) => assert!(!cancelled),
            Err(ReplyError::Cancelled) => assert!(cancelled),
            other => panic!("{other:?}"),
        }
        troupe.wait_idle().unwrap();
        let stats = troupe.stats();
        assert_eq!(runs.load(Ordering::SeqCst), usize::from(!cancelled));
        assert_eq!(
            (stats.cancelled, stats.completed),
            (u64::from(cancelled), u64::from(!cancelled))
        );
        end(&troupe);
    });
}

/// A caller that has seen the answer sees statistics that include the work.
#[test]
fn an_answer_comes_after_its_count() {
    check(|| {
        let troupe = troupe(2);
        let (work, reply) = Work::with_reply(|| Ok(7));
        troupe.assign(work).unwrap();
        assert!(matches!(reply.wait(), Ok(7)));
        let stats = troupe.stats();
        assert_eq!((stats.completed, stats.running), (1, 0));
        end(&troupe);
    });
}

/// An error that is dropped unseen would be lost. It reaches the caller or the handler.
#[test]
fn a_reply_is_dropped_against_its_answer() {
    struct Fault(Arc<AtomicUsize>);
    impl Drop for Fault {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    check(|| {
        let (handled, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&handled);
        let troupe = Troupe::builder(Config::fixed(1).thread_name("sure"))
            .error_handler(move |_: Failure<Fault>, _: &Context<'_, Fault>| {
                counted.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .unwrap();
        let fault = Fault(Arc::clone(&drops));
        let has_ended = Arc::new(AtomicUsize::new(0));
        let ends = Arc::clone(&has_ended);
        let (work, mut reply) = Work::<Fault>::with_reply::<(), _>(move || {
            yield_a_few_times();
            ends.store(1, Ordering::SeqCst);
            Err(fault)
        });
        assert!(troupe.assign(work).is_ok());
        yield_a_few_times();
        let seen = usize::from(reply.try_wait().is_some());
        drop(reply);
        let is_early = has_ended.load(Ordering::SeqCst) == 0;
        end(&troupe);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        let handled = handled.load(Ordering::SeqCst);
        assert!(seen + handled <= 1);
        assert!(!is_early || handled == 1, "nobody has heard of the failure");
        assert_eq!(troupe.stats().failed, 1);
    });
}

/// Dropping a reply that cancels is as exact as `cancel`.
#[test]
fn a_drop_cancels_against_start() {
    check(|| {
        let troupe = troupe(1);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let (work, reply) = Work::with_reply(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        troupe.assign(work).unwrap();
        yield_a_few_times();
        drop(reply.cancel_on_drop());
        troupe.wait_idle().unwrap();
        let stats = troupe.stats();
        assert_eq!(stats.completed, runs.load(Ordering::SeqCst) as u64);
        assert_eq!(stats.completed + stats.cancelled, 1);
        end(&troupe);
    });
}

/// Work that `shutdown_now` returns resolves its reply when it is dropped, not before.
#[test]
fn a_returned_work_is_dropped_later() {
    check(|| {
        let troupe = troupe(1);
        let pairs: Vec<_> = (0..2)
            .map(|n| Work::<Error>::with_reply(move || Ok(n)))
            .collect();
        let mut replies = Vec::new();
        for (work, reply) in pairs {
            troupe.assign(work).unwrap();
            replies.push(reply);
        }
        let left = troupe.shutdown_now();
        troupe.join().unwrap();
        let open = replies.iter().filter(|reply| !reply.is_finished()).count();
        assert_eq!(open, left.len());
        drop(left);
        for (n, reply) in replies.into_iter().enumerate() {
            match reply.wait() {
                Ok(value) => assert_eq!(value, n),
                Err(ReplyError::Dropped) => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

/// A task, driven by a thread. Its waker shuts the troupe down if it has a handle.
struct Task {
    thread: thread::Thread,
    ends: Option<Handle<Error>>,
}

impl Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        if let Some(handle) = &self.ends {
            drop(handle.shutdown_now());
        }
        self.thread.unpark();
    }
}

fn block_on<T>(
    mut reply: Reply<T, Error>,
    ends: Option<Handle<Error>>,
) -> Result<T, ReplyError<Error>> {
    let thread = thread::current();
    let waker = Waker::from(std::sync::Arc::new(Task { thread, ends }));
    let mut context = TaskContext::from_waker(&waker);
    loop {
        match std::pin::Pin::new(&mut reply).poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

/// A waker is not lost, and may end the troupe from the actor's thread.
#[test]
fn a_waker_shuts_the_troupe_down() {
    check(|| {
        let troupe = troupe(2);
        let (work, reply) = Work::with_reply(|| Ok(7));
        let (other, _let_go) = Work::with_reply(|| Ok(8));
        troupe.assign(work).unwrap();
        troupe.assign(other).unwrap();
        assert!(matches!(block_on(reply, Some(troupe.handle())), Ok(7)));
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// A caller that waits with a deadline that passes does not lose the answer.
#[test]
fn a_timeout_against_the_answer() {
    check(|| {
        let troupe = troupe(1);
        let (work, mut reply) = Work::with_reply(|| Ok(7));
        troupe.assign(work).unwrap();
        let answer = match reply.wait_timeout(std::time::Duration::from_secs(1)) {
            Some(answer) => answer,
            None => reply.wait(),
        };
        assert!(matches!(answer, Ok(7)));
        end(&troupe);
    });
}

/// A work with a deadline that the model lets pass, of which somebody hears.
#[test]
fn a_deadline_against_a_drop_of_the_reply() {
    check(|| {
        let expired = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&expired);
        let troupe = Troupe::builder(Config::fixed(1).thread_name("sure"))
            .error_handler(
                move |failure: Failure<Error>, context: &Context<'_, Error>| {
                    let Failure::Expired(work) = failure else {
                        panic!("{failure:?}");
                    };
                    counted.fetch_add(1, Ordering::SeqCst);
                    context.reassign(work).unwrap();
                },
            )
            .build()
            .unwrap();
        let (work, reply) = Work::with_reply(|| Ok(7));
        let work = work.deadline(std::time::Instant::now());
        let is_early = coin();
        if is_early {
            drop(reply);
            troupe.assign(work).unwrap();
        } else {
            troupe.assign(work).unwrap();
            yield_a_few_times();
            drop(reply);
        }
        end(&troupe);
        let (stats, expired) = (troupe.stats(), expired.load(Ordering::SeqCst) as u64);
        assert!(stats.expired <= 1);
        assert_eq!(stats.accepted, stats.expired + stats.completed);
        assert!(expired <= stats.expired);
        assert!(!is_early || expired == stats.expired);
    });
}

/// A work that has been cancelled does not expire, and one that has expired cannot be cancelled.
#[test]
fn a_deadline_against_cancel() {
    check(|| {
        let troupe = troupe(1);
        let (work, reply) = Work::with_reply(|| Ok(7));
        let work = work.deadline(std::time::Instant::now());
        troupe.assign(work).unwrap();
        yield_a_few_times();
        let cancelled = reply.cancel();
        match reply.wait() {
            Ok(7) | Err(ReplyError::Expired) => assert!(!cancelled),
            Err(ReplyError::Cancelled) => assert!(cancelled),
            other => panic!("{other:?}"),
        }
        end(&troupe);
        let stats = troupe.stats();
        assert_eq!(stats.cancelled, u64::from(cancelled));
        assert_eq!(stats.completed + stats.expired + stats.cancelled, 1);
    });
}

//! Models of the whole core under shuttle's controlled schedulers.
//!
//! `scripts/models shuttle test --release --lib tests::shuttle` runs them. With
//! `TROUPE_ITERATIONS=100000` in the environment it tries more schedules. A failing
//! schedule is printed and can be replayed with shuttle's function `replay`. The models
//! know the public interface only.
//!
//! A coin of the model decides which waits time out. It also decides which spawns are
//! refused, unless the troupe's threads are called `sure`.

mod keys;
mod replies;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::random::Random;
use super::schedule::{Driver, Kind, Plan};
use crate::{AssignError, Config, Context, Failure, Handle, JoinError, Troupe, Work};
use shuttle::sync::Arc;
use shuttle::sync::mpsc;
use shuttle::thread;

type Error = &'static str;

fn iterations() -> usize {
    std::env::var("TROUPE_ITERATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_000)
}

/// Runs a model under shuttle's random scheduler and under PCT, with [`iterations`] schedules
/// each. The two take turns, so a fault that only the second finds is found early.
fn check(model: fn()) {
    const TURN: usize = 10_000;
    let mut left = iterations();
    while left > 0 {
        let some = left.min(TURN);
        shuttle::check_random(model, some);
        shuttle::check_pct(model, some, 3);
        left -= some;
    }
}

/// Runs a model under ten times as many schedules, each of which holds up a thread for long, one
/// to four times. It finds faults that are too rare under the other schedulers.
fn check_held(model: fn()) {
    let mut random = Random::new(1);
    let mut left = 10 * iterations();
    let mut horizon = 64;
    let driver = Driver::new(move |steps| {
        left = left.checked_sub(1)?;
        horizon = horizon.max(steps);
        let (kind, seed) = (Kind::Hold, random.next());
        Some(Plan {
            kind,
            seed,
            horizon,
        })
    });
    shuttle::Runner::new(driver, shuttle::Config::new()).run(model);
}

/// Yields between zero and three times.
fn yield_a_few_times() {
    use shuttle::rand::Rng;
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..4) {
        thread::yield_now();
    }
}

/// Decided by the model, one way as often as the other.
fn coin() -> bool {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..2) == 0
}

/// Counts how often works were run and captures dropped.
#[derive(Clone, Default)]
struct Tally {
    run: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

/// A captured value, whose drop is promised to users.
struct Lease(Arc<AtomicUsize>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Tally {
    fn work(&self) -> Work<Error> {
        let run = Arc::clone(&self.run);
        let lease = Lease(Arc::clone(&self.dropped));
        Work::new(move || {
            let _lease = lease;
            run.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }

    fn run(&self) -> usize {
        self.run.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// Starts a sender of `works` works, which returns how many were accepted.
fn sender(handle: Handle<Error>, tally: Tally, works: usize) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        (0..works)
            .filter(|_| handle.assign(tally.work()).is_ok())
            .count()
    })
}

/// The senders' records of their works, an oracle for `wait_idle`.
#[expect(
    clippy::disallowed_types,
    reason = "a look at the records is not a step of the schedule"
)]
#[derive(Clone, Default)]
struct Ledger(std::sync::Arc<std::sync::Mutex<Book>>);

#[derive(Default)]
struct Book {
    /// Whether each work has been accepted, and whether it has been dropped.
    works: Vec<(bool, bool)>,
    /// How often no accepted work was left.
    idle_moments: usize,
}

impl Book {
    fn look(&mut self) -> usize {
        let is_idle = !self.works.contains(&(true, false));
        self.idle_moments += usize::from(is_idle);
        self.idle_moments
    }
}

/// Records in the ledger, when it is dropped, that its work is done.
struct Entry(Ledger, usize);

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.0.0.lock().unwrap();
        book.works[self.1].1 = true;
        book.look();
    }
}

impl Ledger {
    /// Assigns `work`, and records what becomes of it.
    fn assign(&self, handle: &Handle<Error>, work: impl FnOnce() + Send + 'static) {
        let number = {
            let mut book = self.0.lock().unwrap();
            book.works.push((false, false));
            book.works.len() - 1
        };
        let entry = Entry(self.clone(), number);
        let work = move || {
            let _entry = entry;
            work();
            Ok(())
        };
        if handle.assign(work).is_ok() {
            let mut book = self.0.lock().unwrap();
            book.works[number].0 = true;
            book.look();
        }
    }

    /// Calls `wait_idle`, and checks that it returns at or after an instant, later than the
    /// call, at which no accepted work was left.
    fn wait_idle(&self, troupe: &Troupe<Error>) {
        let before = {
            let mut book = self.0.lock().unwrap();
            let before = book.idle_moments;
            book.look();
            before
        };
        troupe.wait_idle().unwrap();
        assert!(self.0.lock().unwrap().look() > before, "too early");
    }
}

fn build(config: Config) -> Troupe<Error> {
    Troupe::<Error>::builder(config)
        .build()
        .expect("no thread is refused to the initial actors")
}

/// Assigns a work that runs until it is told to end.
fn occupy(troupe: &Troupe<Error>) -> mpsc::Sender<()> {
    let (open, gate) = mpsc::channel();
    troupe
        .assign(move || {
            gate.recv().unwrap();
            Ok(())
        })
        .unwrap();
    open
}

/// Builds a troupe whose initial actors the system may refuse for a while.
fn build_at_last(config: &Config) -> Troupe<Error> {
    loop {
        if let Ok(troupe) = Troupe::<Error>::builder(config.clone()).build() {
            return troupe;
        }
    }
}

/// Every accepted work is run, and every capture is dropped, while actors retire at any moment
/// and the system refuses threads.
///
/// Fails when a refused spawn loses its work, and when a popped actor retires.
#[test]
fn retire_against_assign() {
    check(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO),
        );
        let tally = Tally::default();
        let senders: Vec<_> = (0..2)
            .map(|_| sender(troupe.handle(), tally.clone(), 3))
            .collect();
        let accepted: usize = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        troupe.wait_idle().unwrap();
        assert_eq!(tally.run(), accepted);
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 6));
        let stats = troupe.stats();
        assert_eq!(
            (stats.accepted, stats.refused),
            (accepted as u64, 6 - accepted as u64)
        );
        assert!(stats.peak <= 2);
    });
}

/// Every accepted work is run without a shutdown, so a lost wake-up is a deadlock.
///
/// Fails when an actor does not look again after it has stopped searching, and when a sender
/// notifies no actor. Fails when an actor takes from a mailbox without noticing that it has been
/// popped.
#[test]
fn going_idle_against_assign() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let senders = [(); 2].map(|()| {
            let handle = troupe.handle();
            thread::spawn(move || {
                let (done, mine) = mpsc::channel();
                for _ in 0..3 {
                    let done = done.clone();
                    let outcome = handle.assign(move || {
                        done.send(()).unwrap();
                        Ok(())
                    });
                    outcome.unwrap();
                    // The next work meets an actor that is just going idle.
                    mine.recv().unwrap();
                }
            })
        });
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// Every work that is accepted before a shutdown is run, and no refused work is.
///
/// Fails when a sender does not check for a shutdown after its send, and when an actor leaves
/// without a last look for work.
#[test]
fn shutdown_against_assign() {
    check(|| {
        let troupe = Arc::new(build(
            Config::dynamic(1, 2).mailbox_size(1).thread_name("sure"),
        ));
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 2);
        let second = sender(troupe.handle(), tally.clone(), 2);
        let joiner = {
            let troupe = Arc::clone(&troupe);
            thread::spawn(move || troupe.join())
        };
        troupe.shutdown();
        let accepted = first.join().unwrap() + second.join().unwrap();
        troupe.join().unwrap();
        joiner.join().unwrap().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 4));
        assert!(troupe.assign(tally.work()).unwrap_err().is_shutting_down());
        assert_eq!(troupe.stats().accepted, accepted as u64);
    });
}

/// Every accepted work is run or returned by `shutdown_now`, never both.
///
/// Fails when a late sender does not check for a shutdown after its send, or does not wait for
/// actors between two works. Fails when `shutdown_now` empties hand-offs before mailboxes, resets
/// the signal with a hand-off, or does not wait for actors between two works. Fails when a work
/// that is given back after `shutdown_now` has returned does not go to its sender.
#[test]
fn shutdown_now_is_a_partition() {
    check(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO),
        );
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 3);
        let second = sender(troupe.handle(), tally.clone(), 3);
        thread::yield_now();
        let returned = troupe.shutdown_now();
        let run = tally.run();
        let accepted = first.join().unwrap() + second.join().unwrap();
        troupe.join().unwrap();
        // Started works may have been about to count themselves, one for each actor.
        assert!(tally.run() - run <= 2);
        assert_eq!(accepted, tally.run() + returned.len());
        assert_eq!(tally.dropped(), 6 - returned.len());
        assert_eq!(troupe.stats().returned, returned.len() as u64);
        assert!(troupe.shutdown_now().is_empty());
    });
}

/// Once `shutdown_now` has returned, no work starts. An actor that is running a work runs no other
/// afterwards, even if a sender comes late.
///
/// Fails when `shutdown_now` does not halt the pool.
#[test]
fn nothing_starts_after_shutdown_now() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(2).thread_name("sure"));
        let tally = Tally::default();
        let (open, gate) = mpsc::channel::<()>();
        let held = move || {
            assert!(gate.recv().is_err());
            Ok(())
        };
        troupe.assign(held).expect("the actor is idle");
        let first = sender(troupe.handle(), tally.clone(), 2);
        let second = sender(troupe.handle(), tally.clone(), 2);
        thread::yield_now();
        let returned = troupe.shutdown_now();
        drop(open);
        let accepted = first.join().unwrap() + second.join().unwrap();
        troupe.join().unwrap();
        // Either only the first work was begun, or none was.
        assert_eq!(tally.run(), 0);
        let held = usize::from(troupe.stats().completed == 0);
        assert_eq!(accepted + held, returned.len());
    });
}

/// A retry is run, or returned by `shutdown_now`, or given back to the handler.
///
/// Fails when `reassign` checks for the shutdown before it has the hand-off's lock, and when
/// `shutdown_now` does not wait for actors between two works.
#[test]
fn reassign_against_shutdown_now() {
    check(|| {
        let tally = Tally::default();
        let retry = tally.clone();
        let handed_back = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&handed_back);
        let troupe = Troupe::<Error>::builder(Config::fixed(1).mailbox_size(1).thread_name("sure"))
            .error_handler(move |_: Failure<Error>, context| {
                if context.reassign(retry.work()).is_err() {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            })
            .build()
            .unwrap();
        troupe.assign(|| Err("again")).unwrap();
        let returned = troupe.shutdown_now();
        troupe.join().unwrap();
        let failed = troupe.stats().failed as usize;
        let retries_returned = returned.len() - (1 - failed);
        assert_eq!(
            tally.run() + retries_returned + handed_back.load(Ordering::SeqCst),
            failed
        );
        drop(returned);
        assert_eq!(tally.dropped(), failed);
    });
}

/// If one place is left, exactly one of two senders gets it.
///
/// Fails when a sender takes a mailbox for full without a second look. Fails when an actor leaves
/// the idle stack before it has taken its work and opened the gate.
#[test]
fn full_is_exact() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(1).thread_name("sure"));
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(shuttle::sync::Mutex::new(gate));
        for _ in 0..3 {
            let gate = Arc::clone(&gate);
            troupe
                .assign(move || {
                    gate.lock().unwrap().recv().unwrap();
                    Ok(())
                })
                .unwrap();
        }
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 1);
        let second = sender(troupe.handle(), tally.clone(), 1);
        assert_eq!(first.join().unwrap() + second.join().unwrap(), 1);
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (1, 2));
    });
}

/// A place that has been freed is found by the next assign, which does not return `Full`.
///
/// Fails when a take leaves the gate of a full mailbox shut.
#[test]
fn a_freed_place_is_seen() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let (begun, begin) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(shuttle::sync::Mutex::new(gate));
        let work = || {
            let (begun, gate) = (begun.clone(), Arc::clone(&gate));
            move || {
                begun.send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
                Ok(())
            }
        };
        troupe.assign(work()).unwrap();
        begin.recv().unwrap();
        troupe.assign(work()).unwrap();
        assert!(troupe.assign(|| Ok(())).unwrap_err().is_full());
        for _ in 0..2 {
            open.send(()).unwrap();
            // The next work has begun, so its place in the mailbox is free.
            begin.recv().unwrap();
            troupe.assign(work()).unwrap();
            assert!(troupe.assign(|| Ok(())).unwrap_err().is_full());
        }
        open.send(()).unwrap();
        open.send(()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// Waiting senders get their places, or return `Full` if they have a timeout. A shutdown wakes
/// them all.
///
/// Fails when a waiter sleeps although the generation has risen since it noted it.
#[test]
fn waiters_against_room_and_shutdown() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let tally = Tally::default();
        let waiters: Vec<_> = (0..2)
            .map(|waiter| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..3 {
                        let outcome = if waiter == 0 {
                            handle.assign_wait(tally.work())
                        } else {
                            handle.assign_timeout(tally.work(), Duration::from_secs(1))
                        };
                        match outcome {
                            Ok(()) => accepted += 1,
                            Err(AssignError::Full(_)) => assert_eq!(waiter, 1),
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    accepted
                })
            })
            .collect();
        let accepted: usize = waiters
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .sum();
        assert!(accepted >= 3);

        let (open, gate) = mpsc::channel::<()>();
        let late = {
            let (handle, tally) = (troupe.handle(), tally.clone());
            handle
                .assign_wait(move || {
                    gate.recv().unwrap();
                    Ok(())
                })
                .unwrap();
            thread::spawn(move || {
                (0..4)
                    .filter(|_| handle.assign_wait(tally.work()).is_ok())
                    .count()
            })
        };
        troupe.shutdown();
        let accepted = accepted + late.join().unwrap();
        open.send(()).unwrap();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 10));
    });
}

/// Without mailboxes, a sender that waits for an idle actor gets one, and an actor is idle after
/// `wait_idle`.
///
/// Fails when an actor that goes idle wakes no waiter, and when a hand-off does not unpark the
/// actor that it pops. Fails when an actor counts as idle once it has finished its work.
#[test]
fn hand_off() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(0).thread_name("sure"));
        let tally = Tally::default();
        troupe.assign(tally.work()).unwrap();
        let waiter = {
            let (handle, tally) = (troupe.handle(), tally.clone());
            thread::spawn(move || handle.assign_wait(tally.work()).unwrap())
        };
        waiter.join().unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!(tally.run(), 2);
        troupe.assign(tally.work()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!(tally.run(), 3);
    });
}

/// While a sender adds works, `wait_idle` returns to each of two callers, and not before the
/// troupe was idle.
///
/// Fails when the mailboxes are not looked at, when an actor that goes idle wakes no caller, and
/// when only one caller is woken.
#[test]
fn wait_idle_against_a_feeder() {
    check(|| {
        let troupe = Arc::new(build(Config::fixed(2).mailbox_size(2).thread_name("sure")));
        let ledger = Ledger::default();
        for _ in 0..3 {
            ledger.assign(&troupe.handle(), || {});
        }
        let sender = {
            let (handle, ledger) = (troupe.handle(), ledger.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    ledger.assign(&handle, || {});
                    yield_a_few_times();
                }
            })
        };
        let other = {
            let (troupe, ledger) = (Arc::clone(&troupe), ledger.clone());
            thread::spawn(move || ledger.wait_idle(&troupe))
        };
        ledger.wait_idle(&troupe);
        other.join().unwrap();
        sender.join().unwrap();
        ledger.wait_idle(&troupe);
    });
}

/// One call of `wait_idle` covers works that are assigned by works, at any depth.
///
/// Fails when an actor counts as idle once it has finished its work.
#[test]
fn wait_idle_covers_what_works_assign() {
    fn tree(handle: &Handle<Error>, tally: &Tally, height: usize) -> Work<Error> {
        let (handle, tally) = (handle.clone(), tally.clone());
        let own = tally.work();
        Work::new(move || {
            for below in 0..height {
                let assigned = handle.assign(tree(&handle, &tally, below));
                assigned.map_err(|_| "there is room for all")?;
            }
            own.run()
        })
    }
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(3).thread_name("sure"));
        let tally = Tally::default();
        troupe.assign(tree(&troupe.handle(), &tally, 2)).unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (4, 4));
    });
}

/// One call of `wait_idle` covers a retry, and a work that a handler assigns in the ordinary way.
///
/// Fails when an actor counts as idle once it has finished its work.
#[test]
fn wait_idle_covers_a_retry() {
    check(|| {
        let tally = Tally::default();
        let last = tally.clone();
        let handler = move |failure: Failure<Error>, context: &Context<'_, Error>| {
            let done = match failure {
                Failure::Error("first") => context.reassign(|| Err("second")),
                _ => context.troupe().assign(last.work()),
            };
            assert!(done.is_ok());
        };
        let config = Config::fixed(1).mailbox_size(1).thread_name("sure");
        let troupe = Troupe::builder(config)
            .error_handler(handler)
            .build()
            .unwrap();
        troupe.assign(|| Err("first")).unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (1, 1));
    });
}

/// A trickle of work does not hold up `wait_idle` if there are idle instants. The trickle ends
/// only once each of two callers has returned.
///
/// Fails when an actor that goes idle wakes no caller.
#[test]
fn wait_idle_against_a_trickle() {
    // Only a fair scheduler ends this model.
    shuttle::check_random(
        || {
            let troupe = Arc::new(build(Config::fixed(1).mailbox_size(1).thread_name("sure")));
            let ledger = Ledger::default();
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let (troupe, ledger) = (Arc::clone(&troupe), ledger.clone());
                    thread::spawn(move || ledger.wait_idle(&troupe))
                })
                .collect();
            let returned = Arc::new(AtomicUsize::new(0));
            let sender = {
                let (troupe, returned) = (Arc::clone(&troupe), Arc::clone(&returned));
                thread::spawn(move || {
                    while returned.load(Ordering::SeqCst) < 2 {
                        ledger.assign(&troupe.handle(), || {});
                        while troupe.stats().idle == 0 {
                            thread::yield_now();
                        }
                    }
                })
            };
            for caller in callers {
                caller.join().unwrap();
                returned.fetch_add(1, Ordering::SeqCst);
            }
            sender.join().unwrap();
        },
        iterations(),
    );
}

/// `wait_idle` does not take a spinning actor for idle, even if the actor finds another work
/// meanwhile.
///
/// Fails when an actor counts as idle once it has finished its work.
#[test]
fn wait_idle_against_who_lingers() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let (handle, ledger) = (troupe.handle(), Ledger::default());
        ledger.assign(&handle, || {});
        let sender = {
            let ledger = ledger.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    yield_a_few_times();
                    ledger.assign(&handle, || {});
                }
            })
        };
        ledger.wait_idle(&troupe);
        yield_a_few_times();
        ledger.wait_idle(&troupe);
        sender.join().unwrap();
    });
}

/// `wait_idle` returns when a troupe that is shutting down has ended.
///
/// Fails when an actor that leaves wakes no caller.
#[test]
fn wait_idle_while_the_troupe_drains() {
    check(|| {
        let troupe = Arc::new(build(Config::fixed(2).mailbox_size(1).thread_name("sure")));
        let ledger = Ledger::default();
        for _ in 0..3 {
            ledger.assign(&troupe.handle(), || {});
        }
        let waiter = {
            let (troupe, ledger) = (Arc::clone(&troupe), ledger.clone());
            thread::spawn(move || ledger.wait_idle(&troupe))
        };
        troupe.shutdown();
        waiter.join().unwrap();
        troupe.join().unwrap();
        ledger.wait_idle(&troupe);
    });
}

/// With max 1, works run in the order of acceptance.
///
/// Fails when a hand-off overtakes work in the actor's mailbox.
#[test]
fn one_actor_keeps_the_order() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(2).thread_name("sure"));
        let (say, said) = mpsc::channel();
        for n in 0..6 {
            let say = say.clone();
            troupe
                .assign_wait(move || {
                    say.send(n).unwrap();
                    Ok(())
                })
                .unwrap();
        }
        for n in 0..6 {
            assert_eq!(said.recv().unwrap(), n);
        }
    });
}

/// Two senders at max - 1 never grow the troupe beyond max, and neither is refused.
///
/// Fails when an actor that goes idle wakes no waiter.
#[test]
fn growth_by_two() {
    check(|| {
        let troupe = build(
            Config::dynamic(1, 2)
                .mailbox_size(0)
                .idle_timeout(Duration::MAX)
                .thread_name("sure"),
        );
        let open = occupy(&troupe);
        let tally = Tally::default();
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || handle.assign_wait(tally.work()).unwrap())
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        open.send(()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
        let stats = troupe.stats();
        assert_eq!((tally.run(), stats.peak, stats.grown), (2, 2, 1));
    });
}

/// If the system refuses threads during growth, no work is lost, and the work of a troupe without
/// an actor goes back to its sender.
///
/// Fails when a refused spawn keeps its reservation or loses its work.
#[test]
fn spawn_refusals_lose_nothing() {
    check(|| {
        let troupe = build(Config::dynamic(0, 2).mailbox_size(1));
        let tally = Tally::default();
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..3 {
                        match handle.assign(tally.work()) {
                            Ok(()) => accepted += 1,
                            Err(AssignError::Full(_) | AssignError::Spawn { .. }) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    accepted
                })
            })
            .collect();
        let accepted: usize = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        troupe.wait_idle().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 6));
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// A troupe that is dropped on its actor's thread, while a handle assigns, joins no thread and
/// loses no work.
///
/// Fails when a sender does not check for a shutdown after its send.
#[test]
fn drop_on_an_actor() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let handle = troupe.handle();
        let own = troupe.handle();
        let tally = Tally::default();
        let (ended, end) = mpsc::channel();
        own.assign(move || {
            assert_eq!(troupe.join(), Err(JoinError::WouldDeadlock));
            drop(troupe);
            ended.send(()).unwrap();
            Ok(())
        })
        .unwrap();
        let accepted = sender(handle.clone(), tally.clone(), 2).join().unwrap();
        end.recv().unwrap();
        assert!(handle.assign(tally.work()).unwrap_err().is_shutting_down());
        while tally.run() < accepted {
            thread::yield_now();
        }
    });
}

/// Runs two works that wait for each other, and two more while the actors go idle.
fn two_meet(config: Config) {
    let troupe = build(config.mailbox_size(2).thread_name("sure"));
    for _ in 0..2 {
        let (to_first, first) = mpsc::channel();
        let (to_second, second) = mpsc::channel();
        for (say, hear) in [(to_second, first), (to_first, second)] {
            troupe
                .assign(move || {
                    say.send(()).unwrap();
                    hear.recv().unwrap();
                    Ok(())
                })
                .unwrap();
        }
        troupe.wait_idle().unwrap();
    }
}

/// As many works as there are actors run at once, whichever mailbox they are in. So two works
/// that wait for each other do not wait for ever.
///
/// Fails when an actor that leaves the idle stack with a work notifies no other, and when a popped
/// actor notifies no other.
#[test]
fn two_works_meet() {
    check(|| two_meet(Config::fixed(2)));
}

/// Below max, a work gets a new actor or an idle one, and does not wait in a mailbox.
///
/// Fails when a work below max goes to a mailbox while an actor is searching, and no actor is
/// started for it.
#[test]
fn two_works_meet_below_max() {
    check(|| two_meet(Config::dynamic(1, 2).idle_timeout(Duration::MAX)));
}

/// A sender that finds no room while an actor is being started waits for the new mailbox, and is
/// not refused.
///
/// Fails when an assign returns `Full` after some rounds without success.
#[test]
fn no_sender_is_refused_during_a_growth() {
    check(|| {
        let troupe = build(Config::dynamic(0, 1).mailbox_size(1).thread_name("sure"));
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 1);
        let second = sender(troupe.handle(), tally.clone(), 1);
        assert_eq!(first.join().unwrap() + second.join().unwrap(), 2);
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!(tally.run(), 2);
    });
}

/// A work that has begun has left its place. So no assign returns `Full` while fewer works wait
/// than the mailboxes have places.
///
/// Fails when a sender takes a mailbox for full without a second look.
#[test]
fn full_is_never_said_too_early() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let begun = Arc::new(AtomicUsize::new(0));
        for accepted in 0..10 {
            loop {
                let begun = Arc::clone(&begun);
                let waiting = accepted - begun.load(Ordering::SeqCst);
                let assigned = troupe.assign(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    Ok(())
                });
                if assigned.is_ok() {
                    break;
                }
                assert!(waiting >= 4, "{waiting} works wait for 2 actors");
                thread::yield_now();
            }
        }
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// Two waiting senders get the places of two takes, of which only the first opens the gate, while
/// no actor goes idle.
///
/// Fails when a waiter that has got its place does not wake the next, and when a gate that opens
/// wakes no waiter.
#[test]
fn one_opened_gate_is_room_for_two() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(2).thread_name("sure"));
        let open = occupy(&troupe);
        troupe.assign(|| Ok(())).unwrap();
        let (let_go, held) = mpsc::channel::<()>();
        troupe
            .assign(move || {
                held.recv().unwrap();
                Ok(())
            })
            .unwrap();
        let tally = Tally::default();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || handle.assign_wait(tally.work()).unwrap())
            })
            .collect();
        open.send(()).unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        let_go.send(()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!(tally.run(), 2);
    });
}

/// Each work that has begun has left a free place behind, even if two takes race to open the
/// gate.
///
/// Fails when a take opens a full gate before it has uncounted the mailbox.
#[test]
fn three_begun_are_three_places() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(3).thread_name("sure"));
        let (begun, begin) = mpsc::channel();
        let holds: Vec<_> = (0..2)
            .map(|_| {
                let (open, gate) = mpsc::channel::<()>();
                let begun = begun.clone();
                troupe
                    .assign(move || {
                        begun.send(()).unwrap();
                        gate.recv().unwrap();
                        Ok(())
                    })
                    .unwrap();
                open
            })
            .collect();
        for _ in &holds {
            begin.recv().unwrap();
        }
        for _ in 0..6 {
            let begun = begun.clone();
            troupe
                .assign(move || {
                    begun.send(()).unwrap();
                    Ok(())
                })
                .unwrap();
        }
        assert!(troupe.assign(|| Ok(())).unwrap_err().is_full());
        for hold in holds {
            hold.send(()).unwrap();
        }
        for _ in 0..3 {
            begin.recv().unwrap();
        }
        for _ in 0..3 {
            troupe.assign(|| Ok(())).unwrap();
        }
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// A `wait_idle` that begins while an actor is being started returns if the thread is refused. No
/// work is sent to the slot of that actor.
///
/// Fails when an undone reservation wakes no caller, and when a sender sends to a vacant slot.
#[test]
fn wait_idle_against_a_refused_growth() {
    check(|| {
        let troupe = build(Config::dynamic(0, 1).mailbox_size(1));
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 1);
        let second = sender(troupe.handle(), tally.clone(), 1);
        troupe.wait_idle().unwrap();
        let accepted = first.join().unwrap() + second.join().unwrap();
        troupe.wait_idle().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 2));
    });
}

/// A work that is assigned while the only actor retires is run without another assign.
///
/// Fails when a retiring actor does not look for work again.
#[test]
fn the_only_actor_retires_against_assign() {
    fn model() {
        let troupe = build(
            Config::dynamic(0, 1)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO)
                .thread_name("sure"),
        );
        let (say, said) = mpsc::channel();
        for _ in 0..2 {
            let say = say.clone();
            troupe
                .assign(move || {
                    say.send(()).unwrap();
                    Ok(())
                })
                .unwrap();
            said.recv().unwrap();
            yield_a_few_times();
        }
    }
    // The model is small, and the fault takes two preemptions at the right steps.
    for _ in 0..4 {
        check(model);
    }
}

/// When `join` returns, the error handler has been dropped, even if there was no actor to drop it.
///
/// Fails when the end is marked before the handler is dropped.
#[test]
fn the_handler_goes_before_the_end() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let lease = Lease(Arc::clone(&dropped));
        let troupe = Troupe::<Error>::builder(Config::dynamic(0, 1).thread_name("sure"))
            .error_handler(move |_: Failure<Error>, _: &Context<'_, Error>| {
                let _lease = &lease;
            })
            .build()
            .unwrap();
        let handle = troupe.handle();
        let closer = thread::spawn(move || handle.shutdown());
        troupe.join().unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        closer.join().unwrap();
    });
}

/// A sender that comes too late for `shutdown_now` does not wait for an actor whose thread is
/// refused.
///
/// Fails when a late sender also waits for actors that are only reserved.
#[test]
fn a_late_sender_against_a_refused_growth() {
    check(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(1)
                .idle_timeout(Duration::MAX),
        );
        let (begun, begin) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(shuttle::sync::Mutex::new(gate));
        let held = || {
            let (begun, gate) = (begun.clone(), Arc::clone(&gate));
            move || {
                begun.send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
                Ok(())
            }
        };
        while troupe.assign(held()).is_err() {}
        begin.recv().unwrap();
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 1);
        let second = sender(troupe.handle(), tally.clone(), 1);
        let returned = troupe.shutdown_now();
        let accepted = first.join().unwrap() + second.join().unwrap();
        open.send(()).unwrap();
        troupe.join().unwrap();
        assert_eq!(accepted, tally.run() + returned.len());
    });
}

/// Makes a work that takes long enough for actors to come and go meanwhile.
fn long_work(tally: &Tally) -> Work<Error> {
    let work = tally.work();
    Work::new(move || {
        use shuttle::rand::Rng;
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..120) {
            thread::yield_now();
        }
        work.run()
    })
}

/// Starts a sender of `works` long works, which returns how many were accepted.
fn slow_sender(handle: Handle<Error>, tally: Tally, works: usize) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        (0..works)
            .filter(|_| handle.assign(long_work(&tally)).is_ok())
            .count()
    })
}

/// Every accepted work is run although the only actor retires and is started again between works.
/// It can even be idle before its starter has stored its thread.
///
/// Fails when a popped actor retires.
#[test]
fn long_works_against_retire() {
    check(|| {
        let config = Config::dynamic(0, 1)
            .mailbox_size(2)
            .idle_timeout(Duration::from_secs(1))
            .thread_name("sure");
        let troupe = build(config);
        let tally = Tally::default();
        let senders: Vec<_> = (0..3)
            .map(|_| slow_sender(troupe.handle(), tally.clone(), 2))
            .collect();
        let accepted: usize = senders.into_iter().map(|a| a.join().unwrap()).sum();
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 6));
    });
}

/// A sender that waits because of a reservation is woken when the reservation is undone. In a
/// troupe without an actor, it then gets its work back or starts an actor.
///
/// Fails when a refused growth wakes no waiter.
#[test]
fn waiters_against_a_refused_growth() {
    check(|| {
        let troupe = build(Config::dynamic(0, 1).mailbox_size(0));
        let tally = Tally::default();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || match handle.assign_wait(tally.work()) {
                    Ok(()) | Err(AssignError::Spawn { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                })
            })
            .collect();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// A sender that waits for room asks the system for a thread again after a refusal, even if no
/// room is made.
///
/// Fails when a waiter sleeps on when the system may be asked again.
#[test]
fn waiters_ask_the_system_again() {
    check(|| {
        let troupe = build_at_last(&Config::dynamic(1, 2).mailbox_size(0));
        let open = occupy(&troupe);
        let tally = Tally::default();
        let first = sender(troupe.handle(), tally.clone(), 1);
        let second = {
            let (handle, work) = (troupe.handle(), tally.work());
            thread::spawn(
                move || match handle.assign_timeout(work, Duration::from_secs(1)) {
                    Ok(()) | Err(AssignError::Full(_)) => {}
                    Err(other) => panic!("{other:?}"),
                },
            )
        };
        troupe.assign_wait(tally.work()).unwrap();
        first.join().unwrap();
        second.join().unwrap();
        open.send(()).unwrap();
    });
}

/// A late work is not accepted because of an actor that is only reserved.
///
/// Fails when a reservation keeps late works from going back to their senders.
#[test]
fn shutdown_against_a_refused_growth() {
    check(|| {
        let config = Config::dynamic(1, 2).mailbox_size(2);
        let troupe = build_at_last(&config);
        let tally = Tally::default();
        let senders: Vec<_> = [2, 1, 1]
            .into_iter()
            .map(|works| sender(troupe.handle(), tally.clone(), works))
            .collect();
        troupe.shutdown();
        let accepted: usize = senders.into_iter().map(|a| a.join().unwrap()).sum();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 4));
    });
}

/// `wait_idle` returns even if a late sender takes its work back out of a mailbox.
///
/// Fails when a late sender that empties a mailbox wakes no caller.
#[test]
fn wait_idle_against_the_end() {
    check(|| {
        let troupe = Arc::new(build(Config::fixed(1).mailbox_size(1).thread_name("sure")));
        let tally = Tally::default();
        let first = troupe.assign(tally.work());
        assert!(first.is_ok());
        let sender = sender(troupe.handle(), tally.clone(), 1);
        let waiter = {
            let troupe = Arc::clone(&troupe);
            thread::spawn(move || troupe.wait_idle().unwrap())
        };
        drop(troupe.shutdown_now());
        sender.join().unwrap();
        troupe.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(tally.dropped(), 2);
    });
}

/// A troupe never has fewer actors than min, even while the system refuses threads.
///
/// Fails when a retiring actor counts a reservation as another actor.
#[test]
fn min_against_a_refused_growth() {
    check(|| {
        let config = Config::dynamic(1, 2)
            .mailbox_size(0)
            .idle_timeout(Duration::ZERO);
        let troupe = build_at_last(&config);
        let tally = Tally::default();
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (handle, tally) = (troupe.handle(), tally.clone());
                thread::spawn(move || {
                    let outcome = handle.assign(tally.work());
                    let had_none = matches!(outcome, Err(AssignError::Spawn { .. }));
                    assert!(!had_none, "no actor at all, though min is 1");
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        assert!(troupe.stats().actors >= 1);
    });
}

/// The count of accepted works never falls, and is never below that of the works shown. When the
/// troupe is idle, it equals that of the finished works.
///
/// Fails when a snapshot reads running works before finished ones, and when an actor counts a work
/// as finished while it still runs. Fails when works are shown as waiting that are not counted as
/// accepted.
#[test]
fn snapshots_against_sharing() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let tally = Tally::default();
        let sender = sender(troupe.handle(), tally.clone(), 5);
        let mut accepted = 0;
        for _ in 0..3 {
            let stats = troupe.stats();
            assert!(stats.queued + stats.running <= stats.capacity);
            let known = stats.completed + stats.running as u64 + stats.queued as u64;
            assert!(stats.accepted >= known, "{stats:?}");
            assert!(stats.accepted >= accepted, "it was {accepted}: {stats:?}");
            accepted = stats.accepted;
        }
        sender.join().unwrap();
        troupe.wait_idle().unwrap();
        let stats = troupe.stats();
        assert_eq!(stats.accepted, stats.completed);
    });
}

/// No snapshot shows more works than the troupe may hold. A work may be running when the snapshot
/// counts running works, and its retry may be waiting when it counts waiting works.
///
/// Fails when a snapshot does not limit the waiting works to the places that running works leave.
#[test]
fn snapshots_against_a_retry() {
    check(|| {
        let retries = Tally::default();
        let retry = retries.clone();
        let handler = move |_: Failure<Error>, context: &Context<'_, Error>| {
            drop(context.reassign(retry.work()));
        };
        let config = Config::fixed(1).mailbox_size(1).thread_name("sure");
        let troupe = Troupe::builder(config)
            .error_handler(handler)
            .build()
            .unwrap();
        let handle = troupe.handle();
        let sender = thread::spawn(move || {
            for _ in 0..3 {
                drop(handle.assign(|| Err("once more")));
            }
        });
        for _ in 0..8 {
            let stats = troupe.stats();
            assert!(stats.queued + stats.running <= stats.capacity, "{stats:?}");
        }
        sender.join().unwrap();
    });
}

/// No snapshot counts as accepted a work that goes back to its sender. Such a work was meant for
/// an actor whose thread is refused, or comes too late for a `shutdown_now`.
///
/// Fails when a snapshot counts every work in a mailbox or a hand-off as accepted.
#[test]
fn snapshots_against_what_goes_back() {
    check(|| {
        let troupe = Arc::new(build(Config::dynamic(0, 1).mailbox_size(1)));
        let tally = Tally::default();
        let sender = sender(troupe.handle(), tally.clone(), 3);
        let stopper = {
            let troupe = Arc::clone(&troupe);
            thread::spawn(move || {
                yield_a_few_times();
                troupe.shutdown_now().len()
            })
        };
        for _ in 0..4 {
            let _ = troupe.stats();
        }
        let accepted = sender.join().unwrap();
        let returned = stopper.join().unwrap();
        troupe.join().unwrap();
        let stats = troupe.stats();
        assert_eq!(stats.accepted, accepted as u64, "{stats:?}");
        assert_eq!(tally.run() + returned, accepted);
    });
}

/// The count of accepted works never falls, not even while a work has finished and neither its
/// actor nor its sender has counted it.
///
/// Fails when a snapshot does not remember the count of the last one.
#[test]
fn snapshots_against_the_end_of_a_work() {
    check_held(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let (begun, begin) = mpsc::channel();
        let (sender, handle) = (troupe.handle(), troupe.handle());
        let sender = thread::spawn(move || {
            let work = move || {
                begun.send(handle.stats().accepted).unwrap();
                Ok(())
            };
            sender.assign(work).unwrap();
        });
        let accepted = begin.recv().unwrap();
        for _ in 0..3 {
            assert!(troupe.stats().accepted >= accepted);
        }
        sender.join().unwrap();
    });
}

/// No snapshot shows more retired actors than grown ones.
///
/// Fails when a growth is counted only when the starter stores the thread.
#[test]
fn snapshots_against_a_short_life() {
    check(|| {
        let config = Config::dynamic(0, 1)
            .mailbox_size(0)
            .idle_timeout(Duration::ZERO)
            .thread_name("sure");
        let troupe = build(config);
        let tally = Tally::default();
        let sender = sender(troupe.handle(), tally.clone(), 1);
        for _ in 0..40 {
            let stats = troupe.stats();
            assert!(stats.grown >= stats.retired, "{stats:?}");
            thread::yield_now();
        }
        sender.join().unwrap();
    });
}

/// No mailbox stays counted as full. Once the troupe is idle, it has exactly as many places as it
/// should have.
///
/// Fails when an open slot is opened again.
#[test]
fn a_mailbox_is_not_full_for_ever() {
    check(|| {
        let config = Config::dynamic(0, 1)
            .mailbox_size(1)
            .idle_timeout(Duration::from_secs(1))
            .thread_name("sure");
        let troupe = build(config);
        let tally = Tally::default();
        let senders: Vec<_> = (0..3)
            .map(|_| slow_sender(troupe.handle(), tally.clone(), 3))
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        troupe.wait_idle().unwrap();
        let (open, gate) = mpsc::channel::<()>();
        let held = troupe.assign(move || {
            gate.recv().unwrap();
            Ok(())
        });
        assert!(held.is_ok());
        assert!(troupe.assign(tally.work()).is_ok());
        assert!(troupe.assign(tally.work()).unwrap_err().is_full());
        open.send(()).unwrap();
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// If an actor retires just as a work is sent, the work does not wait behind the other actor,
/// which is held up. A stranded work is a deadlock.
///
/// Fails when a sender does not check whether the troupe is still at max, and when a retiring
/// actor looks only into its own mailbox.
#[test]
fn an_actor_that_retires_strands_nothing() {
    check(|| {
        let troupe = build_at_last(
            &Config::dynamic(0, 2)
                .initial(2)
                .mailbox_size(2)
                .idle_timeout(Duration::ZERO),
        );
        let (open, gate) = mpsc::channel::<()>();
        let (begun, begin) = mpsc::channel();
        let (done, rest) = mpsc::channel();
        let held_up = troupe.assign(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            Ok(())
        });
        if held_up.is_err() {
            return;
        }
        begin.recv().unwrap();
        let mut accepted = 0;
        for _ in 0..2 {
            let done = done.clone();
            let work = move || {
                done.send(()).unwrap();
                Ok(())
            };
            if troupe.assign(work).is_ok() {
                accepted += 1;
            }
            yield_a_few_times();
        }
        // If a thread was refused, a work may have to wait for the only actor.
        if troupe.stats().spawn_failures > 0 {
            open.send(()).unwrap();
        }
        for _ in 0..accepted {
            rest.recv().unwrap();
        }
        let _ = open.send(());
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// Neither a sender nor `shutdown_now` waits for the hook of an actor that was started for a work
/// in a mailbox, and holds none. The hook waits for their ends, so that would be a deadlock.
///
/// Fails when an actor runs its hook before its slot is open, or counts as between two works
/// meanwhile.
#[test]
fn nobody_waits_for_a_hook() {
    check(|| {
        let (end_hooks, hooks_end) = mpsc::channel::<()>();
        let hooks_end = shuttle::sync::Mutex::new(hooks_end);
        let births = AtomicUsize::new(0);
        let config = Config::dynamic(0, 2)
            .initial(2)
            .mailbox_size(2)
            .idle_timeout(Duration::ZERO)
            .thread_name("sure");
        let troupe = Troupe::<Error>::builder(config)
            .on_start(move |_| {
                if births.fetch_add(1, Ordering::SeqCst) >= 2 {
                    let _ = hooks_end.lock().unwrap().recv();
                }
            })
            .build()
            .unwrap();
        let open = occupy(&troupe);
        for _ in 0..6 {
            drop(troupe.assign(|| Ok(())));
            yield_a_few_times();
        }
        drop(troupe.shutdown_now());
        drop(end_hooks);
        let _ = open.send(());
        troupe.join().unwrap();
    });
}

/// While idle actors retire as soon as they may, a troupe accepts one endless work for each of
/// its places, and then returns `Full`.
///
/// Fails when the slot of an actor that is started without a work is opened by its starter. Fails
/// when an actor parks without a look at its signal.
#[test]
fn full_is_exact_while_actors_retire() {
    check_held(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .initial(2)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO)
                .thread_name("sure"),
        );
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(shuttle::sync::Mutex::new(gate));
        let mut accepted = 0;
        loop {
            let gate = Arc::clone(&gate);
            let work = move || {
                let _ = gate.lock().unwrap().recv();
                Ok(())
            };
            match troupe.assign(work) {
                Ok(()) => accepted += 1,
                Err(refused) => {
                    assert!(refused.is_full());
                    break;
                }
            }
        }
        assert_eq!(accepted, 4);
        drop(open);
        troupe.shutdown();
        troupe.join().unwrap();
    });
}

/// In an idle troupe, four works that do not end get the four places. An idle actor may retire
/// just as a work is put into a mailbox, and another actor is then started for it.
///
/// Fails when the slot of an actor that is started without a work is opened before it counts as
/// idle. Fails when an actor parks without a look at its signal.
#[test]
fn full_is_exact_during_a_growth_for_a_work() {
    check_held(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .initial(1)
                .mailbox_size(1)
                .idle_timeout(Duration::ZERO)
                .thread_name("sure"),
        );
        let first = occupy(&troupe);
        troupe.assign(|| Ok(())).unwrap();
        first.send(()).unwrap();
        troupe.wait_idle().unwrap();
        let holds: Vec<_> = (0..4).map(|_| occupy(&troupe)).collect();
        for hold in holds {
            hold.send(()).unwrap();
        }
    });
}

/// The peak is at least the number of works that ran at once, even if their actors retire
/// immediately.
///
/// Fails when an actor that is started with a work begins it before its slot is open.
#[test]
fn the_peak_is_no_less_than_what_ran_at_once() {
    check(|| {
        let troupe = build(
            Config::dynamic(0, 2)
                .mailbox_size(0)
                .idle_timeout(Duration::ZERO)
                .thread_name("sure"),
        );
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let senders = [(); 2].map(|()| {
            let (handle, running, most) =
                (troupe.handle(), Arc::clone(&running), Arc::clone(&most));
            let work = move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            thread::spawn(move || handle.assign(work).unwrap())
        });
        for sender in senders {
            sender.join().unwrap();
        }
        troupe.shutdown();
        troupe.join().unwrap();
        let stats = troupe.stats();
        assert!(stats.peak >= most.load(Ordering::SeqCst), "{stats:?}");
    });
}

/// When `join` returns, every thread of the troupe is gone and its thread-locals are dropped. The
/// starter of an actor may be about to store its thread.
///
/// Fails when `join` does not wait for a starter that is about to store the thread of an actor.
#[test]
fn join_waits_for_every_thread() {
    struct Slow(Arc<AtomicUsize>);
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::yield_now();
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    shuttle::thread_local! {
        static LOCAL: std::cell::RefCell<Option<Slow>> = const { std::cell::RefCell::new(None) };
    }
    check(|| {
        let troupe = build(Config::dynamic(0, 1).thread_name("sure"));
        let dropped = Arc::new(AtomicUsize::new(0));
        let slow = Slow(Arc::clone(&dropped));
        let handle = troupe.handle();
        let sender = thread::spawn(move || {
            let work = move || {
                LOCAL.with(|local| *local.borrow_mut() = Some(slow));
                Ok(())
            };
            drop(handle.assign(work));
        });
        troupe.shutdown();
        troupe.join().unwrap();
        if troupe.stats().completed == 1 {
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
        }
        sender.join().unwrap();
    });
}

/// Works that refill the mailbox that is being drained do not overtake the works in another
/// mailbox without end.
///
/// Fails when an actor stays with a mailbox that is refilled, and when a sender does not mark the
/// works that it puts there.
#[test]
fn a_refilled_mailbox_keeps_none_waiting() {
    fn chain(handle: &Handle<Error>, tally: &Tally, left: usize) -> Work<Error> {
        let (handle, tally) = (handle.clone(), tally.clone());
        let own = tally.work();
        Work::new(move || {
            if left > 0 {
                let assigned = handle.assign(chain(&handle, &tally, left - 1));
                assigned.map_err(|_| "its own place is free")?;
            }
            own.run()
        })
    }
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let holds = [(); 2].map(|()| occupy(&troupe));
        while troupe.stats().running < 2 {
            thread::yield_now();
        }
        let tally = Tally::default();
        let handle = troupe.handle();
        for _ in 0..2 {
            troupe.assign(chain(&handle, &tally, 20)).unwrap();
        }
        let [held, free] = holds;
        let overtaken = [(); 2].map(|()| {
            let (overtaken, before) = mpsc::channel();
            let tally = tally.clone();
            let work = move || {
                overtaken.send(tally.run()).unwrap();
                Ok(())
            };
            troupe.assign(work).unwrap();
            before
        });
        free.send(()).unwrap();
        for before in overtaken {
            let before = before.recv().unwrap();
            assert!(before <= 4, "{before} works of a chain came first");
        }
        held.send(()).unwrap();
        troupe.wait_idle().unwrap();
    });
}

//! The whole core under shuttle's controlled schedulers, random and PCT.
//!
//! `scripts/models shuttle test --release --lib tests::shuttle` runs them. With
//! `TROUPE_ITERATIONS=100000` in the environment it tries more schedules. A failing
//! schedule is printed and can be replayed with shuttle's function `replay`. The models
//! know the public interface only.
//!
//! Refused spawns and timed-out waits are decided by a coin of the model,
//! unless the troupe's threads are called `sure`.

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

/// Runs a model under both schedulers, so many schedules each. They take turns: what
/// only the second finds need not wait for all of the first.
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

/// Runs a model under ten times as many schedules, each of which holds up a thread for
/// long, one to four times. For what the others find too seldom.
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

/// Lets others run between zero and three times.
fn linger() {
    use shuttle::rand::Rng;
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..4) {
        thread::yield_now();
    }
}

/// Counts how often works were run and captures dropped.
#[derive(Clone, Default)]
struct Tally {
    run: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

/// A captured value: its drop is a promise to the user.
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

/// A sender of `works` works: how many were accepted.
fn sender(handle: Handle<Error>, tally: Tally, works: usize) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        (0..works)
            .filter(|_| handle.assign(tally.work()).is_ok())
            .count()
    })
}

/// The senders' knowledge of their works: an oracle for `wait_idle`.
#[expect(clippy::disallowed_types, reason = "to look is no step of a schedule")]
#[derive(Clone, Default)]
struct Ledger(std::sync::Arc<std::sync::Mutex<Book>>);

#[derive(Default)]
struct Book {
    /// Of each work: has it been accepted, and has it been dropped?
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

/// Tells the ledger, when it is dropped, that its work is done.
struct Entry(Ledger, usize);

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.0.0.lock().unwrap();
        book.works[self.1].1 = true;
        book.look();
    }
}

impl Ledger {
    /// Assigns a work that does this.
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

    /// `wait_idle` returns at or after an instant, later than the call, at which no
    /// accepted work was left.
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

/// Every accepted work is run, and every capture dropped, though actors retire
/// at any moment and the system refuses threads.
///
/// Fails when a refused spawn loses its work, and when an actor retires that has been
/// popped or called to search.
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

/// Nobody shuts down and nobody joins until every work has been run: a lost
/// wake-up is a deadlock.
///
/// Fails when an actor does not look again after it has stopped searching, when a sender wakes
/// nobody, and when an actor takes from a mailbox without finding that it has been popped.
#[test]
fn going_idle_against_assign() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let feeders = [(); 2].map(|()| {
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
        for feeder in feeders {
            feeder.join().unwrap();
        }
    });
}

/// Accepted before a shutdown is run; refused is not.
///
/// Fails when a sender does not look for a shutdown after its send, and when an actor
/// leaves without a look for work that is left.
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

/// Accepted works are run or returned, never both; once it has returned, no
/// work starts.
///
/// Fails when a sender does not look for a shutdown after its send or does not
/// wait for actors between two works, and when `shutdown_now` empties hands
/// before mailboxes, pops the idle before both and takes them for settled, does
/// not wait for the unsettled, or is given what is laid down after it has
/// returned.
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

/// Once `shutdown_now` has returned, no work starts: an actor that is in one runs no other afterwards, whoever sends late.
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
        // The first work was begun and held, or nothing was.
        assert_eq!(tally.run(), 0);
        let held = usize::from(troupe.stats().completed == 0);
        assert_eq!(accepted + held, returned.len());
    });
}

/// A retry is run, or returned by `shutdown_now`, or handed back to the handler.
///
/// Fails when `reassign` looks for the shutdown before it has the hand's lock,
/// and when `shutdown_now` does not wait for the unsettled.
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

/// With one place left, exactly one of two senders gets it.
///
/// Fails when a sender takes a mailbox for full without a second try, and when
/// an actor leaves the idle ones before it has taken its work and opened the
/// gate.
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

/// While one place is freed after the other, an assign that finds `Full` found
/// it at an instant when it was true: never right after a place was freed and
/// before anybody could have taken it.
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
            // The next has begun: its place in the mailbox is free.
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

/// Waiting senders get their places without anybody's help, timed ones do or
/// say `Full`, and a shutdown wakes them all.
///
/// Fails when a waiter sleeps though the generation has risen since it noted
/// it.
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

/// Hand-off: who waits for an idle actor gets one, and after `wait_idle` there
/// is one.
///
/// Fails when an actor that goes idle wakes no waiter, and when `wait_idle`
/// takes an actor for idle once it has finished its work.
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

/// `wait_idle` returns to each of two callers, and not before the troupe was idle,
/// while a feeder adds works.
///
/// Fails when the mailboxes are not looked at, and when only one caller is told.
#[test]
fn wait_idle_against_a_feeder() {
    check(|| {
        let troupe = Arc::new(build(Config::fixed(2).mailbox_size(2).thread_name("sure")));
        let ledger = Ledger::default();
        for _ in 0..3 {
            ledger.assign(&troupe.handle(), || {});
        }
        let feeder = {
            let (handle, ledger) = (troupe.handle(), ledger.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    ledger.assign(&handle, || {});
                    linger();
                }
            })
        };
        let other = {
            let (troupe, ledger) = (Arc::clone(&troupe), ledger.clone());
            thread::spawn(move || ledger.wait_idle(&troupe))
        };
        ledger.wait_idle(&troupe);
        other.join().unwrap();
        feeder.join().unwrap();
        ledger.wait_idle(&troupe);
    });
}

/// One call covers works that works assign, and what those assign.
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

/// One call covers a retry, and what a handler assigns in the ordinary way.
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

/// A trickle does not hold up `wait_idle` as long as there are idle instants: it ends
/// only when each of two callers has been told of one.
///
/// Fails when an actor that goes idle does not tell.
#[test]
fn wait_idle_against_a_trickle() {
    // Nothing here is bounded but by a scheduler that is fair.
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
            let feeder = {
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
            feeder.join().unwrap();
        },
        iterations(),
    );
}

/// `wait_idle` does not take an actor for idle that lingers, even if it comes by
/// another work meanwhile.
///
/// Fails when an actor counts as idle once it has finished its work.
#[test]
fn wait_idle_against_who_lingers() {
    check(|| {
        let troupe = build(Config::fixed(1).mailbox_size(1).thread_name("sure"));
        let (handle, ledger) = (troupe.handle(), Ledger::default());
        ledger.assign(&handle, || {});
        let feeder = {
            let ledger = ledger.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    linger();
                    ledger.assign(&handle, || {});
                }
            })
        };
        ledger.wait_idle(&troupe);
        linger();
        ledger.wait_idle(&troupe);
        feeder.join().unwrap();
    });
}

/// `wait_idle` returns when a troupe that shuts down has come to its end.
///
/// Fails when an actor that leaves does not tell.
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
/// Fails when a hand-off overtakes what is in the actor's mailbox.
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

/// Two senders at max - 1: max is never passed, and neither is refused.
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

/// The system refuses threads in the middle of growth: nothing is lost, and
/// who had no actor at all gets the work back.
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

/// The troupe is dropped on its own actor's thread while another handle
/// assigns: nothing is joined there, nothing is lost.
///
/// Fails when a sender does not look for a shutdown after its send.
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

/// Two works that wait for each other, on a troupe of up to two actors; and two more while
/// the actors go idle.
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

/// As many works as there are actors run together, whichever mailbox they are
/// in: two that wait for each other do not wait for ever.
///
/// Fails when an actor that leaves the idle ones with a work wakes nobody, and when one
/// that has been popped does not.
#[test]
fn two_works_meet() {
    check(|| two_meet(Config::fixed(2)));
}

/// Below max, a work gets an actor of its own, or an idle one: it does not wait
/// in a mailbox where nobody comes.
///
/// Fails when below max, too, a work goes to a mailbox while an actor is awake,
/// and no actor is started for it.
#[test]
fn two_works_meet_below_max() {
    check(|| two_meet(Config::dynamic(1, 2).idle_timeout(Duration::MAX)));
}

/// While an actor is being started, its mailbox is room that is about to come:
/// who finds no other waits for it, and is not refused.
///
/// Fails when an assign says `Full` after some rounds without success.
#[test]
fn nobody_is_refused_during_a_birth() {
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

/// A work that has begun has left its place: while fewer works wait than
/// mailboxes have places, nobody is told `Full`.
///
/// Fails when a sender takes a mailbox for full without a second try.
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

/// Two places are freed by takes of which only the first opens the gate, and
/// nobody ever goes idle: two waiting senders get them.
///
/// Fails when a waiter that has got its place does not wake the next, and when
/// a gate that opens wakes nobody.
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

/// As many works as have begun have left places behind, however far the takers
/// have got with opening the gates.
///
/// Fails when a taker opens a full gate before it has uncounted it.
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

/// A `wait_idle` that begins while an actor is being started does not wait for
/// one that is never born, and nothing is sent to where it would have been.
///
/// Fails when nobody tells that a reservation has been undone, and when a sender
/// sends to a vacant slot.
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

/// A work that meets the only actor on its way out is run, though no other work
/// ever comes.
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
            linger();
        }
    }
    // Small, and two preemptions have to fall right.
    for _ in 0..4 {
        check(model);
    }
}

/// When `join` returns, the error handler has been dropped, also where there is
/// no actor to do it.
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

/// A sender that comes too late for `shutdown_now` does not wait for an actor
/// that is never born.
///
/// Fails when a refused growth does not move on the phase of the actor that was
/// not born.
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

/// Works that take a while, so that others come and go meanwhile.
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

/// A sender of `works` long works: how many were accepted.
fn slow_assigner(handle: Handle<Error>, tally: Tally, works: usize) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        (0..works)
            .filter(|_| handle.assign(long_work(&tally)).is_ok())
            .count()
    })
}

/// Works that take a while, and the only actor comes and goes between them; it
/// can even be idle before its parent has opened its slot.
///
/// Fails when an actor retires that has been popped.
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
            .map(|_| slow_assigner(troupe.handle(), tally.clone(), 2))
            .collect();
        let accepted: usize = senders.into_iter().map(|a| a.join().unwrap()).sum();
        troupe.shutdown();
        troupe.join().unwrap();
        assert_eq!((tally.run(), tally.dropped()), (accepted, 6));
    });
}

/// A sender that waits because of a reservation hears of its end: the system's refusal
/// comes back to every waiter of a troupe without an actor.
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

/// A sender that waits for room asks the system again after a refusal, which may have a thread by
/// then, though there is no room.
///
/// Fails when a waiter sleeps until it is called.
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

/// A late sender is not accepted on the strength of an actor that is only
/// reserved.
///
/// Fails when a reservation keeps late works from going back.
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

/// `wait_idle` ends though a late sender takes its work back out of a mailbox.
///
/// Fails when a late sender that empties a mailbox does not tell.
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

/// Never fewer actors than min, also while the system refuses more.
///
/// Fails when an actor that retires counts a reservation as another actor.
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

/// At rest the accepted are the finished, whoever takes a snapshot on the way,
/// and on the way they never become fewer.
///
/// Fails when a snapshot reads what runs before what has been finished, when an actor
/// counts a work as finished that still runs, and when what waits is not cut to what is
/// accepted.
#[test]
fn snapshots_against_sharing() {
    check(|| {
        let troupe = build(Config::fixed(2).mailbox_size(2).thread_name("sure"));
        let tally = Tally::default();
        let feeder = sender(troupe.handle(), tally.clone(), 5);
        let mut accepted = 0;
        for _ in 0..3 {
            let stats = troupe.stats();
            assert!(stats.queued + stats.running <= stats.capacity);
            let known = stats.completed + stats.running as u64 + stats.queued as u64;
            assert!(stats.accepted >= known, "{stats:?}");
            assert!(stats.accepted >= accepted, "it was {accepted}: {stats:?}");
            accepted = stats.accepted;
        }
        feeder.join().unwrap();
        troupe.wait_idle().unwrap();
        let stats = troupe.stats();
        assert_eq!(stats.accepted, stats.completed);
    });
}

/// No snapshot shows more works than the troupe may hold, though a work may run while
/// the snapshot counts the running, and wait for its retry while it counts what waits.
///
/// Fails when a snapshot does not cut what waits to what the running leave.
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
        let feeder = thread::spawn(move || {
            for _ in 0..3 {
                drop(handle.assign(|| Err("once more")));
            }
        });
        for _ in 0..8 {
            let stats = troupe.stats();
            assert!(stats.queued + stats.running <= stats.capacity, "{stats:?}");
        }
        feeder.join().unwrap();
    });
}

/// Work that goes back to its sender is counted as accepted in no snapshot: neither work that
/// was meant for an actor that the system refuses, nor work that comes too late for a
/// `shutdown_now`.
///
/// Fails when a snapshot takes for accepted what is in a mailbox or a hand.
#[test]
fn snapshots_against_what_goes_back() {
    check(|| {
        let troupe = Arc::new(build(Config::dynamic(0, 1).mailbox_size(1)));
        let tally = Tally::default();
        let feeder = sender(troupe.handle(), tally.clone(), 3);
        let stopper = {
            let troupe = Arc::clone(&troupe);
            thread::spawn(move || {
                linger();
                troupe.shutdown_now().len()
            })
        };
        for _ in 0..4 {
            let _ = troupe.stats();
        }
        let accepted = feeder.join().unwrap();
        let returned = stopper.join().unwrap();
        troupe.join().unwrap();
        let stats = troupe.stats();
        assert_eq!(stats.accepted, accepted as u64, "{stats:?}");
        assert_eq!(tally.run() + returned, accepted);
    });
}

/// The count of accepted work never goes down, not even while an actor goes from the
/// work to what it counts, and its sender has not counted yet.
///
/// Fails when each snapshot derives anew what has been accepted.
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

/// No more retired than grown, in any snapshot.
///
/// Fails when a growth is counted only when its parent comes back to it.
#[test]
fn snapshots_against_a_short_life() {
    check(|| {
        let config = Config::dynamic(0, 1)
            .mailbox_size(0)
            .idle_timeout(Duration::ZERO)
            .thread_name("sure");
        let troupe = build(config);
        let tally = Tally::default();
        let feeder = sender(troupe.handle(), tally.clone(), 1);
        for _ in 0..40 {
            let stats = troupe.stats();
            assert!(stats.grown >= stats.retired, "{stats:?}");
            thread::yield_now();
        }
        feeder.join().unwrap();
    });
}

/// No mailbox stays counted as full: once all are at rest there is room again,
/// exactly as much as there should be.
///
/// Fails when a slot is opened again though it is open.
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
            .map(|_| slow_assigner(troupe.handle(), tally.clone(), 3))
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

/// An actor retires just as a work comes that was meant to find it awake, while
/// the other actor is held up: the work does not stay behind the one that is
/// held up. A stranded work is a deadlock.
///
/// Fails when a sender does not look whether the troupe is still at max, and
/// when a retiring actor looks only into its own mailbox.
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
            linger();
        }
        // With one actor for want of threads, it may wait.
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

/// While idle actors retire as soon as they may, a troupe of works that do not
/// end still takes as many as it has places, and then says `Full`.
///
/// Fails when the slot of an actor that is started without a work is opened
/// before it counts as idle, and when an actor parks without a look at what it is called
/// to do.
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

/// At rest, four works that do not end get the four places, although an idle actor
/// retires just as a work is put into a mailbox and another actor is started for it.
///
/// Fails as the model before.
#[test]
fn full_is_exact_during_a_birth_for_a_work() {
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

/// As many works as ran at once are the peak at least, however short their actors'
/// lives.
///
/// Fails when an actor that is born with a work begins it before it is counted.
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

/// When `join` returns, every thread of the troupe is gone, and what it has in its
/// thread-locals is dropped, even if its parent has not come back to it.
///
/// Fails when `join` does not wait for who is about to store the thread of an actor.
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

/// Works that refill the mailbox that is being drained do not overtake without end what
/// waits in another.
///
/// Fails when an actor stays with a mailbox that is filled again, and when a sender does
/// not mark what it puts there.
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

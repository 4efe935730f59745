//! `Builder::on_start` and `Builder::on_stop`: what each actor's thread runs first and last.

use crate::support::{
    DropCounter, Gate, HANG, Log, OnDrop, Tally, end, ends, eventually, join, me, occupy,
    quiet_panic, receive, refused_stack, rounds, settle, wait_until_blocked, within,
};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;
use troupe_pool::{AssignError, BuildError, Config, Handle, JoinError, Troupe, Work};

/// An event, the number that the hook was given, and the thread.
type Event = (&'static str, usize, ThreadId);

/// A troupe whose hooks write down what they see.
fn logging(config: Config) -> (Troupe, Log<Event>) {
    let log = Log::new();
    let (starts, stops) = (log.clone(), log.clone());
    let troupe = Troupe::builder(config)
        .on_start(move |id| starts.push(("start", id, thread::current().id())))
        .on_stop(move |id| stops.push(("stop", id, thread::current().id())))
        .build()
        .expect("valid");
    (troupe, log)
}

/// Events of that name.
fn count(log: &Log<Event>, name: &str) -> usize {
    let entries = log.entries();
    entries.iter().filter(|event| event.0 == name).count()
}

/// A place for the handle of a troupe, for hooks that are made before it.
#[derive(Clone, Default)]
struct Place(Arc<OnceLock<Handle>>);

impl Place {
    fn fill(&self, troupe: &Troupe) {
        assert!(self.0.set(troupe.handle()).is_ok());
    }

    fn get(&self) -> Option<&Handle> {
        self.0.get()
    }
}

/// "`on_start(id)` runs on the thread of each actor, the initial ones included, [...] before `build` returns", and gets
/// the number that is in the thread's name. "`on_stop(id)` runs on it last". "Both run once per thread, also for one
/// that never ran a work."
#[test]
fn each_thread_runs_both_once() {
    for config in [
        Config::fixed(3),
        Config::fixed(1).mailbox_size(0),
        Config::dynamic(3, 5),
        Config::dynamic(0, 5).initial(2),
    ] {
        let first = config.initial.unwrap_or(config.max.min(3));
        let names = Log::new();
        let (starts, stops) = (names.clone(), names.clone());
        let troupe: Troupe = Troupe::builder(config.thread_name("hook"))
            .on_start(move |id| starts.push((id, "start", me(), thread::current().id())))
            .on_stop(move |id| stops.push((id, "stop", me(), thread::current().id())))
            .build()
            .expect("valid");
        assert_eq!(names.entries().len(), first, "before build returns");
        assert_eq!(troupe.stats().actors, first);
        end(&troupe);
        let mut events = names.entries();
        assert!(events[..first].iter().all(|event| event.1 == "start"));
        events.sort_by_key(|event| (event.0, event.1));
        assert_eq!(events.len(), 2 * first);
        for (id, pair) in events.chunks(2).enumerate() {
            let [start, stop] = pair else {
                panic!("{pair:?}");
            };
            assert_eq!(
                (start.0, start.1, stop.0, stop.1),
                (id, "start", id, "stop")
            );
            assert_eq!(start.2, format!("hook-{id}"));
            assert_eq!((&start.2, start.3), (&stop.2, stop.3), "the same thread");
        }
    }
}

/// Between the two come the works, on that thread: of the first actors, and of those that are started later.
#[test]
fn works_run_between_the_two() {
    for config in [Config::fixed(2), Config::dynamic(0, 2)] {
        let (troupe, log) = logging(config.mailbox_size(20));
        for _ in 0..20 {
            let works = log.clone();
            let work = move || {
                works.push(("work", 0, thread::current().id()));
                Ok(())
            };
            troupe.assign(work).expect("room");
        }
        end(&troupe);
        let events = log.entries();
        assert_eq!(count(&log, "work"), 20);
        let starts = events.iter().filter(|event| event.0 == "start");
        for (_, _, thread) in starts {
            let own = events.iter().filter(|event| event.2 == *thread);
            let own: Vec<&str> = own.map(|event| event.0).collect();
            let (last, works) = own[1..].split_last().expect("it has stopped");
            assert_eq!((own[0], *last), ("start", "stop"));
            assert!(works.iter().all(|event| *event == "work"));
        }
        assert_eq!(count(&log, "start"), count(&log, "stop"));
    }
}

/// "... and before `build` returns": `build` waits for it.
#[test]
fn build_waits_for_the_first_hooks() {
    within(HANG, || {
        let gate = Gate::new();
        let pass = gate.clone();
        let builder = thread::Builder::new().name("builds".to_owned());
        let building = builder
            .spawn(move || {
                let troupe: Troupe = Troupe::builder(Config::fixed(3))
                    .on_start(move |_| pass.pass())
                    .build()
                    .expect("valid");
                assert_eq!((troupe.stats().actors, troupe.stats().idle), (3, 3));
                end(&troupe);
            })
            .expect("a thread");
        gate.wait_for(3);
        wait_until_blocked("builds");
        assert!(!building.is_finished());
        gate.open();
        building.join().expect("no panic");
    });
}

/// "`on_start` makes a growth as much slower as it takes; the work that the actor was started for waits." Nobody else
/// does: neither the assign that started the actor, nor the next, nor a snapshot.
#[test]
fn a_growing_troupe_waits_for_nobody() {
    within(HANG, || {
        let gate = Gate::new();
        let pass = gate.clone();
        let troupe: Troupe = Troupe::builder(Config::dynamic(0, 2).mailbox_size(1))
            .on_start(move |_| pass.pass())
            .build()
            .expect("valid");
        let tally = Tally::new(4);
        troupe.assign(tally.work(0)).expect("a new actor");
        gate.wait_for(1);
        troupe.assign(tally.work(1)).expect("a new actor");
        gate.wait_for(2);
        troupe.assign(tally.work(2)).expect("a mailbox");
        troupe.assign_wait(tally.work(3)).expect("a mailbox");
        let refused = troupe.assign(|| Ok(())).expect_err("every place is taken");
        assert!(refused.is_full());
        let stats = troupe.stats();
        assert_eq!((stats.idle, stats.running, stats.grown), (0, 0, 2));
        assert_eq!(stats.accepted, 4);
        assert_eq!(tally.total(), 0);
        assert_eq!(
            troupe.wait_idle_timeout(Duration::ZERO),
            Err(JoinError::Timeout)
        );
        gate.open();
        settle(&troupe);
        tally.assert_each_once();
        end(&troupe);
    });
}

/// `shutdown_now` does not wait for a hook in progress: it returns the work that the actor was started for, and what is
/// in mailboxes. The actor stops once its hook has returned.
#[test]
fn shutdown_now_does_not_wait_for_a_hook() {
    within(HANG, || {
        let gate = Gate::new();
        let pass = gate.clone();
        let stopped = Arc::new(AtomicUsize::new(0));
        let stops = Arc::clone(&stopped);
        let troupe: Troupe = Troupe::builder(Config::dynamic(0, 1).mailbox_size(2))
            .on_start(move |_| pass.pass())
            .on_stop(move |_| {
                stops.fetch_add(1, SeqCst);
            })
            .build()
            .expect("valid");
        let tally = Tally::new(3);
        for index in 0..3 {
            troupe.assign(tally.work(index)).expect("room");
        }
        gate.wait_for(1);
        let returned = troupe.shutdown_now();
        assert_eq!(returned.len(), 3);
        assert_eq!(
            troupe.join_timeout(Duration::ZERO),
            Err(JoinError::Timeout),
            "join waits for the hook"
        );
        gate.open();
        join(&troupe);
        assert_eq!((tally.total(), stopped.load(SeqCst)), (0, 1));
        let stats = troupe.stats();
        assert_eq!((stats.accepted, stats.returned), (3, 3));
    });
}

/// A shutdown that comes while the hook runs loses nothing: the actor runs its work afterwards.
#[test]
fn what_was_accepted_during_a_hook_is_run() {
    within(HANG, || {
        let gate = Gate::new();
        let pass = gate.clone();
        let troupe: Troupe = Troupe::builder(Config::dynamic(0, 1).mailbox_size(2))
            .on_start(move |_| pass.pass())
            .build()
            .expect("valid");
        let tally = Tally::new(3);
        for index in 0..3 {
            troupe.assign(tally.work(index)).expect("room");
        }
        gate.wait_for(1);
        assert!(troupe.shutdown());
        gate.open();
        join(&troupe);
        tally.assert_each_once();
    });
}

/// Actors that are started later run it too, and those that retire run `on_stop`, long before the end.
#[test]
fn hooks_run_when_a_troupe_grows_and_shrinks() {
    let config = Config::dynamic(0, 4)
        .mailbox_size(0)
        .idle_timeout(Duration::from_millis(1));
    let (troupe, log) = logging(config);
    for round in 1..=3 {
        assert_eq!(count(&log, "start"), 4 * (round - 1));
        occupy(&troupe, 4).open();
        assert_eq!(count(&log, "start"), 4 * round);
        eventually(|| troupe.stats().actors == 0);
        eventually(|| count(&log, "stop") == 4 * round);
    }
    end(&troupe);
    assert_eq!(count(&log, "stop"), 12);
    let mut threads: Vec<_> = log.entries().iter().map(|event| event.2).collect();
    threads.dedup();
    assert!(threads.len() >= 12);
}

/// "The actor has left by then, its number may have been given to another already, and it counts nowhere."
#[test]
fn on_stop_runs_when_the_actor_has_left() {
    within(HANG, || {
        let (gate, log) = (Gate::new(), Log::new());
        let (pass, stops) = (gate.clone(), log.clone());
        let config = Config::dynamic(0, 1)
            .mailbox_size(0)
            .idle_timeout(Duration::from_millis(1));
        let troupe: Troupe = Troupe::builder(config)
            .on_stop(move |id| {
                stops.push(id);
                pass.pass();
            })
            .build()
            .expect("valid");
        occupy(&troupe, 1).open();
        gate.wait_for(1);
        let stats = troupe.stats();
        assert_eq!((stats.actors, stats.idle, stats.retired), (0, 0, 1));
        assert!(troupe.actors().is_empty());
        assert_eq!(troupe.wait_idle(), Ok(()));
        // The number is free, though the thread is not gone.
        occupy(&troupe, 1).open();
        gate.wait_for(2);
        assert_eq!(log.entries(), [0, 0]);
        assert_eq!((troupe.stats().peak, troupe.stats().grown), (1, 2));
        troupe.shutdown();
        gate.open();
        join(&troupe);
    });
}

/// "`join` returns when every thread is gone": after the last `on_stop`.
#[test]
fn join_waits_for_on_stop() {
    within(HANG, || {
        let (gate, stopped) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let (pass, stops) = (gate.clone(), Arc::clone(&stopped));
        let troupe: Troupe = Troupe::builder(Config::fixed(3))
            .on_stop(move |_| {
                pass.pass();
                stops.fetch_add(1, SeqCst);
            })
            .build()
            .expect("valid");
        troupe.shutdown();
        gate.wait_for(3);
        assert_eq!(troupe.stats().actors, 0);
        thread::scope(|scope| {
            let joiner = thread::Builder::new().name("joins".to_owned());
            let joiner = joiner
                .spawn_scoped(scope, || {
                    join(&troupe);
                    stopped.load(SeqCst)
                })
                .expect("a thread");
            wait_until_blocked("joins");
            assert!(!joiner.is_finished());
            gate.open();
            assert_eq!(joiner.join().expect("no panic"), 3);
        });
    });
}

/// "A panic in either is contained and counted in `handler_panics`": the actors run their works.
#[test]
fn hooks_that_panic_are_contained() {
    let troupe: Troupe = Troupe::builder(Config::dynamic(2, 3).mailbox_size(0))
        .on_start(|_| quiet_panic("in on_start"))
        .on_stop(|_| quiet_panic("in on_stop"))
        .build()
        .expect("valid");
    assert_eq!(troupe.stats().handler_panics, 2);
    occupy(&troupe, 3).open();
    let stats = troupe.stats();
    assert_eq!((stats.handler_panics, stats.actors), (3, 3));
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.handler_panics, stats.completed), (6, 3));
    assert_eq!(ends(&stats), [3, 0, 0, 0, 0]);
}

/// A panic of `on_start` of a thread that was started for a work does not keep the work from being run.
#[test]
fn the_work_of_a_thread_whose_hook_panics_is_run() {
    for _ in 0..rounds(50) {
        let troupe: Troupe = Troupe::builder(Config::dynamic(0, 2))
            .on_start(|_| quiet_panic("in on_start"))
            .build()
            .expect("valid");
        let tally = Tally::new(4);
        for index in 0..4 {
            troupe.assign(tally.work(index)).expect("room");
        }
        end(&troupe);
        tally.assert_each_once();
    }
}

thread_local! {
    /// State of an actor: made by `on_start` or a work, ended by `on_stop`.
    static STATE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// "State per actor: `thread_local!`, [...] dropped by the thread, or earlier by `on_stop`, where other thread-locals
/// still stand."
#[test]
fn thread_locals_still_stand_in_on_stop() {
    let seen = Log::new();
    let log = seen.clone();
    let troupe: Troupe = Troupe::builder(Config::fixed(1))
        .on_start(|_| STATE.with_borrow_mut(|state| state.push("start")))
        .on_stop(move |_| log.push(STATE.take()))
        .build()
        .expect("valid");
    for name in ["first", "second"] {
        let work = move || {
            STATE.with_borrow_mut(|state| state.push(name));
            Ok(())
        };
        troupe.assign(work).expect("room");
    }
    end(&troupe);
    assert_eq!(seen.entries(), [["start", "first", "second"]]);
    assert!(STATE.take().is_empty());
}

/// "A hook may assign": `on_start` of an actor that is started later.
#[test]
fn on_start_may_assign() {
    let (place, tally) = (Place::default(), Tally::new(2));
    let (handle, work) = (place.clone(), tally.clone());
    let troupe: Troupe = Troupe::builder(Config::dynamic(0, 1).mailbox_size(4))
        .on_start(move |_| {
            let handle = handle.get().expect("it is there before it grows");
            handle.assign(work.work(0)).expect("room");
        })
        .build()
        .expect("valid");
    place.fill(&troupe);
    troupe.assign(tally.work(1)).expect("a new actor");
    settle(&troupe);
    tally.assert_each_once();
    end(&troupe);
    assert_eq!(troupe.stats().handler_panics, 0);
}

/// ... and `on_stop` of one that retires, which starts another in its place. After a shutdown it is refused.
#[test]
fn on_stop_may_assign() {
    let (place, accepted) = (Place::default(), Log::new());
    let (handle, log) = (place.clone(), accepted.clone());
    let left = AtomicUsize::new(3);
    let config = Config::dynamic(0, 1)
        .mailbox_size(0)
        .idle_timeout(Duration::from_millis(1));
    let troupe: Troupe = Troupe::builder(config)
        .on_stop(move |_| {
            let again = left.load(SeqCst) > 0;
            let handle = handle.get().filter(|_| again);
            if let Some(handle) = handle {
                left.fetch_sub(1, SeqCst);
                log.push(handle.assign(|| Ok(())).is_ok());
            }
        })
        .build()
        .expect("valid");
    place.fill(&troupe);
    troupe.assign(|| Ok(())).expect("a new actor");
    eventually(|| accepted.entries().len() == 3 && troupe.stats().completed == 4);
    end(&troupe);
    assert_eq!(accepted.entries(), [true; 3]);

    let (place, refused) = (Place::default(), Log::new());
    let (handle, log) = (place.clone(), refused.clone());
    let troupe: Troupe = Troupe::builder(Config::fixed(2))
        .on_stop(move |_| {
            let handle = handle.get().expect("it has been built");
            let refusal = handle.assign(|| Ok(())).expect_err("it is shutting down");
            log.push(refusal.is_shutting_down());
        })
        .build()
        .expect("valid");
    place.fill(&troupe);
    end(&troupe);
    assert_eq!(refused.entries(), [true; 2]);
}

/// A hook is on one of the troupe's own threads: to wait for room there would deadlock.
#[test]
fn in_a_hook_waiting_would_deadlock() {
    let (place, said) = (Place::default(), Log::new());
    let (start, starts) = (place.clone(), said.clone());
    let troupe: Troupe = Troupe::builder(Config::dynamic(0, 1).mailbox_size(0))
        .on_start(move |_| {
            let handle = start.get().expect("it is there before it grows");
            let refused = handle.assign_wait(|| Ok(())).expect_err("its work waits");
            starts.push(matches!(refused, AssignError::WouldDeadlock(_)));
        })
        .build()
        .expect("valid");
    place.fill(&troupe);
    let tally = Tally::new(1);
    troupe.assign(tally.work(0)).expect("a new actor");
    settle(&troupe);
    end(&troupe);
    assert_eq!(said.entries(), [true]);
    tally.assert_each_once();
}

/// A hook may shut its troupe down. The work that the actor was started for has been accepted before.
#[test]
fn a_hook_may_shut_the_troupe_down() {
    let (place, said) = (Place::default(), Log::new());
    let (start, stop) = (place.clone(), place.clone());
    let (starts, stops) = (said.clone(), said.clone());
    let troupe: Troupe = Troupe::builder(Config::dynamic(0, 1))
        .on_start(move |_| {
            let handle = start.get().expect("it is there before it grows");
            starts.push(handle.shutdown());
        })
        .on_stop(move |_| {
            let handle = stop.get().expect("it has been built");
            stops.push(handle.shutdown());
            stops.push(!handle.shutdown_now().is_empty());
        })
        .build()
        .expect("valid");
    place.fill(&troupe);
    let tally = Tally::new(1);
    troupe.assign(tally.work(0)).expect("a new actor");
    join(&troupe);
    assert_eq!(said.entries(), [true, false, false]);
    tally.assert_each_once();
    assert_eq!(troupe.stats().handler_panics, 0);
}

/// Or at once: then it takes back the work that the actor was started for, and whatever waits behind it.
#[test]
fn a_hook_may_take_everything_back() {
    let (place, returned) = (Place::default(), Log::new());
    let (handle, log, gate) = (place.clone(), returned.clone(), Gate::new());
    let pass = gate.clone();
    let troupe: Troupe = Troupe::builder(Config::dynamic(0, 1).mailbox_size(2))
        .on_start(move |_| {
            pass.pass();
            let handle = handle.get().expect("it is there before it grows");
            log.push(handle.shutdown_now().len());
        })
        .build()
        .expect("valid");
    place.fill(&troupe);
    let tally = Tally::new(3);
    for index in 0..3 {
        troupe.assign(tally.work(index)).expect("room");
    }
    gate.open();
    join(&troupe);
    assert_eq!((returned.entries(), tally.total()), (vec![3], 0));
    let stats = troupe.stats();
    assert_eq!((stats.returned, stats.handler_panics), (3, 0));
}

/// "Hooks are dropped before `join` returns, as the handler is", and a panic in that drop is contained.
#[test]
fn after_join_hooks_have_been_dropped() {
    for config in [Config::fixed(2), Config::dynamic(0, 2)] {
        let drops = DropCounter::new();
        let (start, stop) = (drops.lease(), drops.lease());
        let bomb = OnDrop::new(|| quiet_panic("in a hook"));
        let troupe: Troupe = Troupe::builder(config)
            .on_start(move |_| {
                let _held = (&start, &bomb);
            })
            .on_stop(move |_| {
                let _held = &stop;
            })
            .build()
            .expect("valid");
        occupy(&troupe, 2).open();
        settle(&troupe);
        assert_eq!(drops.dropped(), 0);
        end(&troupe);
        drops.assert_balanced();
    }
}

/// A handle that outlives its troupe keeps no hook alive, nor does a troupe that never had an actor.
#[test]
fn a_handle_keeps_no_hook_alive() {
    let drops = DropCounter::new();
    let (start, stop) = (drops.lease(), drops.lease());
    let troupe: Troupe = Troupe::builder(Config::dynamic(0, 2))
        .on_start(move |_| {
            let _held = &start;
        })
        .on_stop(move |_| {
            let _held = &stop;
        })
        .build()
        .expect("valid");
    let handle = troupe.handle();
    drop(troupe);
    drops.assert_balanced();
    assert!(handle.is_shutdown());
}

/// "Setting a hook twice keeps the last." The first is dropped at once.
#[test]
fn setting_a_hook_twice_keeps_the_last() {
    let log = Log::new();
    let drops = DropCounter::new();
    let hook = |name: &'static str| {
        let (log, lease) = (log.clone(), drops.lease());
        move |id: usize| {
            let _held = &lease;
            log.push((name, id));
        }
    };
    let builder = Troupe::builder(Config::fixed(1))
        .on_start(hook("first start"))
        .on_stop(hook("first stop"))
        .on_start(hook("start"))
        .on_stop(hook("stop"));
    assert_eq!(drops.dropped(), 2);
    let troupe: Troupe = builder.build().expect("valid");
    end(&troupe);
    assert_eq!(log.entries(), [("start", 0), ("stop", 0)]);
    drops.assert_balanced();
}

/// A builder that is dropped, or whose `build` fails, drops the hooks and has run none.
#[test]
fn a_failed_build_drops_the_hooks() {
    within(HANG, || {
        let drops = DropCounter::new();
        let log = Log::new();
        let builder = |config| {
            let hook = || {
                let (log, lease) = (log.clone(), drops.lease());
                move |id: usize| {
                    let _held = &lease;
                    log.push(id);
                }
            };
            Troupe::<&str>::builder(config)
                .on_start(hook())
                .on_stop(hook())
        };
        drop(builder(Config::fixed(1)));
        drops.assert_balanced();
        assert!(builder(Config::fixed(0)).build().is_err());
        drops.assert_balanced();
        let config = Config::fixed(1).stack_size(refused_stack());
        let refused = builder(config).build();
        assert!(matches!(refused, Err(BuildError::Spawn { .. })));
        drops.assert_balanced();
        assert!(log.entries().is_empty());
    });
}

/// The `Debug` of a builder says whether there are hooks.
#[test]
fn debug_of_a_builder_shows_hooks() {
    let bare = Troupe::<&str>::builder(Config::fixed(1));
    let none = format!("{bare:?}");
    let both = format!("{:?}", bare.on_start(|_| {}).on_stop(|_| {}));
    assert!(none.contains("on_start") && none.contains("on_stop"));
    assert_ne!(none, both);
}

/// "While a hook runs, nothing is lost": works that come while actors start and stop all the time.
#[test]
fn nothing_is_lost_beside_slow_hooks() {
    within(HANG, || {
        let slowly = |_: usize| (0..20).for_each(|_| thread::yield_now());
        let config = Config::dynamic(0, 3)
            .mailbox_size(2)
            .idle_timeout(Duration::from_micros(50));
        let troupe: Troupe = Troupe::builder(config)
            .on_start(slowly)
            .on_stop(slowly)
            .build()
            .expect("valid");
        let works = rounds(2_000);
        let tally = Tally::new(works);
        for index in 0..works {
            troupe
                .assign_wait(tally.work(index))
                .expect("it waits for room");
            if index % 10 == 0 {
                settle(&troupe);
            }
        }
        end(&troupe);
        tally.assert_each_once();
    });
}

/// "10,000 troupes with hooks leave no thread": each thread that has started has stopped when `join` returns.
#[test]
fn many_troupes_with_hooks_leave_no_thread() {
    within(HANG, || {
        let running = Arc::new(AtomicUsize::new(0));
        for round in 0..rounds(400) {
            let (starts, stops) = (Arc::clone(&running), Arc::clone(&running));
            let config = [Config::fixed(2), Config::dynamic(0, 2)];
            let troupe: Troupe = Troupe::builder(config[round % 2].clone())
                .on_start(move |_| {
                    starts.fetch_add(1, SeqCst);
                })
                .on_stop(move |_| {
                    stops.fetch_sub(1, SeqCst);
                })
                .build()
                .expect("valid");
            for _ in 0..3 {
                troupe.assign(|| Ok(())).expect("room");
            }
            if round % 3 == 0 {
                drop(troupe.shutdown_now());
            }
            end(&troupe);
            assert_eq!(running.load(SeqCst), 0, "round {round}");
        }
    });
}

/// A hook is told to each thread of each troupe by its own number, and the first work of an actor finds what `on_start`
/// has made.
#[test]
fn the_first_work_finds_what_on_start_has_made() {
    let config = Config::dynamic(1, 4).mailbox_size(0).thread_name("made");
    let (sender, receiver) = mpsc::channel();
    let troupe: Troupe = Troupe::builder(config)
        .on_start(|id| {
            let name = ["zero", "one", "two", "three"][id];
            STATE.with_borrow_mut(|state| state.push(name));
        })
        .build()
        .expect("valid");
    let gate = Gate::new();
    for _ in 0..4 {
        let (gate, sender) = (gate.clone(), sender.clone());
        let work = Work::new(move || {
            gate.pass();
            Ok(sender.send((me(), STATE.take()))?)
        });
        troupe.assign(work).expect("an idle or a new actor");
    }
    gate.wait_for(4);
    gate.open();
    let mut made: Vec<_> = (0..4).map(|_| receive(&receiver)).collect();
    made.sort_unstable();
    let expected = ["zero", "one", "two", "three"].iter().enumerate();
    let expected = expected.map(|(id, name)| (format!("made-{id}"), vec![*name]));
    assert_eq!(made, Vec::from_iter(expected));
    end(&troupe);
}

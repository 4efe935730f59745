//! `Work::keyed` and `Config::line_size`: works of one key run in order, one at a time, and hold up no others.

use crate::support::{
    DropCounter, Fate, Fault, Gate, HANG, Lease, Log, OnDrop, Rng, Tally, WAYS_BACK, answer, end,
    ends, eventually, failure_in_words, in_words, join, listening, occupy, quiet_panic, receive,
    refused_stack, rounds, settle, wait_until_blocked, within,
};
use parking_lot::Mutex;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use troupe_pool::{
    Actor, ActorConfig, AssignError, BuildError, Config, Context, Failure, Handle, JoinError,
    Reply, Troupe, Work,
};

/// Assigns a work of this key that waits at the gate, and returns when it does.
#[track_caller]
fn hold<K: Hash + ?Sized>(troupe: &Troupe<Fault>, key: &K) -> Gate {
    let gate = Gate::new();
    let held = troupe.assign(gate.work().keyed(key));
    held.expect("its key is free, and there is room");
    gate.wait_for(1);
    gate
}

/// A work that writes its name down.
fn noting<T: Clone + Send + 'static>(log: &Log<T>, name: T) -> Work<Fault> {
    let log = log.clone();
    Work::new(move || {
        log.push(name);
        Ok(())
    })
}

/// A work of the index.
fn marking(tally: &Tally, index: usize) -> Work<Fault> {
    let tally = tally.clone();
    Work::new(move || {
        tally.mark(index);
        Ok(())
    })
}

/// Starts a thread of that name, and returns when it waits.
#[track_caller]
fn start_waiting(
    name: &str,
    f: impl FnOnce() -> bool + Send + 'static,
) -> thread::JoinHandle<bool> {
    let thread = thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(f).expect("a thread");
    wait_until_blocked(name);
    thread
}

// ---- Order ----------------------------------------------------------------

/// "Works of one key start in the order in which they were accepted", whatever is idle.
#[test]
fn works_of_one_key_run_in_order() {
    for config in [
        Config::fixed(4).mailbox_size(50),
        Config::fixed(4).mailbox_size(0).line_size(200),
        Config::dynamic(0, 4).line_size(200),
    ] {
        let (troupe, _) = listening(config);
        let log = Log::new();
        let gate = hold(&troupe, "key");
        for index in 0..200 {
            let work = noting(&log, index).keyed("key");
            troupe.assign(work).expect("a place in line");
        }
        gate.open();
        settle(&troupe);
        assert!(log.entries().into_iter().eq(0..200));
        end(&troupe);
        assert_eq!(ends(&troupe.stats()), [201, 0, 0, 0, 0]);
    }
}

/// "Each starts only after the one before has ended", while idle actors run works of other keys, and works without one.
#[test]
fn the_next_waits_though_an_actor_is_idle() {
    let (troupe, _) = listening(Config::fixed(3).mailbox_size(4));
    let log = Log::new();
    let gate = hold(&troupe, "hot");
    let work = noting(&log, "hot").keyed("hot");
    troupe.assign(work).expect("a place in line");
    let work = noting(&log, "cool").keyed("cool");
    troupe.assign(work).expect("an idle actor");
    eventually(|| log.entries().len() == 1);
    troupe.assign(noting(&log, "plain")).expect("an idle actor");
    eventually(|| log.entries().len() == 2);
    eventually(|| troupe.stats().idle == 2);
    let stats = troupe.stats();
    assert_eq!((stats.in_line, stats.queued, stats.running), (1, 0, 1));
    assert_eq!(log.entries(), ["cool", "plain"]);
    gate.open();
    end(&troupe);
    assert_eq!(log.entries(), ["cool", "plain", "hot"]);
}

/// "Its captures dropped, its failure told, its handler returned, its retry (`reassign`) ended."
#[test]
fn the_next_starts_when_all_of_the_one_before_has_ended() {
    let log = Log::new();
    let (in_handler, in_retry) = (Gate::new(), Gate::new());
    let (told, handling, retrying) = (log.clone(), in_handler.clone(), in_retry.clone());
    let dropping = |log: &Log<&'static str>, name| {
        let log = log.clone();
        OnDrop::new(move || log.push(name))
    };
    let troupe = Troupe::<Fault>::builder(Config::fixed(3))
        .error_handler(move |_, context| {
            told.push("handler");
            let (log, gate) = (told.clone(), retrying.clone());
            let capture = dropping(&log, "retry's captures");
            let retry = move || {
                let _held = &capture;
                log.push("retry");
                gate.pass();
                Ok(())
            };
            assert!(context.reassign(retry).is_ok());
            handling.pass();
            told.push("handler returned");
        })
        .build()
        .expect("valid");
    let (note, capture) = (log.clone(), dropping(&log, "captures"));
    let work = Work::new(move || {
        let _held = &capture;
        note.push("work");
        Err("once")
    });
    troupe.assign(work.keyed("key")).expect("an idle actor");
    in_handler.wait_for(1);
    let work = noting(&log, "next").keyed("key");
    troupe.assign(work).expect("a place in line");
    in_handler.open();
    in_retry.wait_for(1);
    // Others pass by meanwhile.
    let (work, mut reply) = Work::with_reply(|| Ok(7));
    troupe.assign(work.keyed("other")).expect("an idle actor");
    assert_eq!(in_words(answer(&mut reply)), "value 7");
    assert_eq!(troupe.stats().in_line, 1);
    in_retry.open();
    settle(&troupe);
    end(&troupe);
    let expected = [
        "work",
        "captures",
        "handler",
        "handler returned",
        "retry",
        "retry's captures",
        "next",
    ];
    assert_eq!(log.entries(), expected);
}

/// A work of the table of ends, with its reply if somebody waits for it.
fn ending(end: usize, drops: &DropCounter) -> (Work<Fault>, Option<Reply<u32, Fault>>) {
    let fate = Fate::ALL[end % 4];
    if end < 4 {
        return (fate.work(drops.lease()), None);
    }
    let (work, reply) = Work::with_reply(fate.act(drops.lease()));
    let expiring = || Instant::now();
    match end / 4 {
        1 => (work, Some(reply)),
        2 => {
            drop(reply);
            (work, None)
        }
        3 => {
            assert!(reply.cancel());
            (work, Some(reply))
        }
        4 => (work.deadline(expiring()), Some(reply)),
        _ => {
            drop(reply);
            (work.deadline(expiring()), None)
        }
    }
}

/// "A failed or panicked work passes its key on like one that completed." So does one that has a reply, has expired or
/// was cancelled, whether it stood in line or was the first of its key.
#[test]
fn every_end_passes_the_key_on() {
    for (first, end_of_it) in (0..48).map(|index| (index % 2 == 0, index / 2)) {
        let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
        let (drops, tally) = (DropCounter::new(), Tally::new(2));
        let gate = if first {
            Gate::new()
        } else {
            hold(&troupe, "key")
        };
        let (work, reply) = ending(end_of_it, &drops);
        troupe.assign(work.keyed("key")).expect("room");
        for index in 0..2 {
            let work = marking(&tally, index).keyed("key");
            troupe.assign(work).expect("room");
        }
        gate.open();
        settle(&troupe);
        tally.assert_each_once();
        drops.assert_balanced();
        let stats = troupe.stats();
        assert_eq!(stats.in_line, 0);
        assert_eq!(ends(&stats).iter().sum::<u64>(), stats.accepted);
        assert!(reply.is_none_or(|reply| reply.is_finished()));
        end(&troupe);
    }
}

/// "Of two assigns of which the one had returned before the other was called, the first is before", from any threads.
#[test]
fn the_order_is_that_of_acceptance() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(3).mailbox_size(8));
        let log = Log::new();
        let turn = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                let (troupe, log, turn) = (&troupe, &log, &turn);
                scope.spawn(move || {
                    for _ in 0..rounds(500) {
                        let mut turn = turn.lock();
                        let work = noting(log, *turn).keyed("key");
                        troupe.assign_wait(work).expect("it waits for a place");
                        *turn += 1;
                    }
                });
            }
        });
        end(&troupe);
        assert!(log.entries().into_iter().eq(0..3 * rounds(500)));
    });
}

/// "`max` 1, and `Actor`: a key changes nothing there: works run in order of acceptance, one by one, and lines are not
/// used."
#[test]
fn with_one_actor_a_key_changes_nothing() {
    for config in [Config::fixed(1), Config::dynamic(0, 1)] {
        let (troupe, _) = listening(config.mailbox_size(6).line_size(0));
        let log = Log::new();
        let gate = hold(&troupe, &0);
        for index in 0..6 {
            let work = noting(&log, index);
            let work = match index % 3 {
                0 => work.keyed(&0),
                1 => work.keyed(&1),
                _ => work,
            };
            troupe.assign(work).expect("a mailbox with room");
        }
        let refused = troupe.assign(noting(&log, 6).keyed(&2));
        assert!(refused.is_err_and(|refused| refused.is_full()));
        let stats = troupe.stats();
        assert_eq!((stats.queued, stats.in_line), (6, 0));
        gate.open();
        end(&troupe);
        assert_eq!(log.entries(), [0, 1, 2, 3, 4, 5]);
    }
    let actor = Actor::<Fault>::new(ActorConfig::default()).expect("valid");
    let log = Log::new();
    for index in 0..10 {
        let work = noting(&log, index).keyed(&(index % 2));
        actor.accept(work).expect("its mailbox has room");
    }
    actor.shutdown();
    actor.join_timeout(HANG).expect("it ends");
    assert!(log.entries().into_iter().eq(0..10));
}

/// With one actor a retry in the turn of its key runs, too, and one with another key takes the failed work's place.
#[test]
fn with_one_actor_a_retry_may_have_any_key() {
    for key in ["same", "another"] {
        let (troupe, told) = retrying(Config::fixed(1).mailbox_size(0), key);
        let work = Work::new(|| Err("once")).keyed("same");
        troupe.assign(work).expect("an idle actor");
        settle(&troupe);
        end(&troupe);
        assert_eq!(told.entries(), ["error once: accepted"]);
        assert_eq!(ends(&troupe.stats()), [1, 1, 0, 0, 0]);
    }
}

// ---- Keys -----------------------------------------------------------------

/// "Anything that is `Hash`, by reference; its type counts (`7_u32` and `7_u64` differ), `String` and `str` agree."
#[test]
fn keys_are_what_their_hashes_are() {
    #[derive(Hash)]
    struct Customer<'a> {
        country: &'a str,
        number: u32,
    }
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(3));
    let stands_in_line = |work: Work<Fault>| {
        let before = troupe.stats().in_line;
        troupe.assign(work).expect("room, or a place in line");
        troupe.stats().in_line > before
    };
    let quick = || Work::new(|| Ok(()));
    let gate = hold(&troupe, &String::from("customer 7"));
    assert!(stands_in_line(quick().keyed("customer 7")));
    assert!(stands_in_line(quick().keyed(&"customer 7")));
    assert!(stands_in_line(
        quick().keyed(&Box::<str>::from("customer 7"))
    ));
    assert!(!stands_in_line(quick().keyed("customer 8")));
    gate.open();
    settle(&troupe);
    let gate = hold(&troupe, &7_u32);
    assert!(stands_in_line(quick().keyed(&7_u32)));
    assert!(!stands_in_line(quick().keyed(&7_u64)));
    gate.open();
    settle(&troupe);
    let customer = |country, number| Customer { country, number };
    let gate = hold(&troupe, &customer("se", 7));
    assert!(stands_in_line(quick().keyed(&customer("se", 7))));
    assert!(!stands_in_line(quick().keyed(&customer("no", 7))));
    assert!(!stands_in_line(quick().keyed(&customer("se", 8))));
    gate.open();
    end(&troupe);
}

/// "Setting a key twice keeps the last", whatever is set in between.
#[test]
fn setting_a_key_twice_keeps_the_last() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
    let tally = Tally::new(2);
    let gate = hold(&troupe, "hot");
    let work = marking(&tally, 0).keyed("hot").label("label").keyed("cool");
    troupe.assign(work).expect("an idle actor");
    eventually(|| tally.count(0) == 1);
    let work = marking(&tally, 1).keyed("cool").keyed("hot");
    troupe.assign(work).expect("a place in line");
    assert_eq!((troupe.stats().in_line, tally.count(1)), (1, 0));
    gate.open();
    end(&troupe);
    tally.assert_each_once();
}

/// A key whose `Hash` panics: that unwinds to the caller, and the work is dropped with all its captures.
#[test]
fn a_key_whose_hash_panics_unwinds_to_the_caller() {
    struct Bad;
    impl Hash for Bad {
        fn hash<H: Hasher>(&self, _: &mut H) {
            quiet_panic("in the hash")
        }
    }
    let (troupe, failures) = listening(Config::fixed(2));
    let gate = hold(&troupe, "key");
    let drops = DropCounter::new();
    let (work, mut reply) = Work::<Fault>::with_reply(Fate::Completes.act(drops.lease()));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(work.keyed(&Bad))));
    let payload = panic.expect_err("it panics");
    assert_eq!(payload.downcast_ref(), Some(&"in the hash"));
    drops.assert_balanced();
    assert_eq!(in_words(answer(&mut reply)), "dropped");
    let work = Fate::Completes.work(drops.lease()).keyed("key");
    troupe.assign(work).expect("a place in line");
    gate.open();
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(failures.entries(), [""; 0]);
}

/// "By hand (`Work::run`) a key does not count."
#[test]
fn by_hand_a_key_does_not_count() {
    let (troupe, _) = listening(Config::fixed(2));
    let gate = hold(&troupe, "key");
    for way_back in WAYS_BACK {
        for fate in [Fate::Completes, Fate::Fails] {
            let drops = DropCounter::new();
            let work = way_back(fate.work(drops.lease()).keyed("key"));
            let failure = work.run().err().map(|error| format!("error {error}"));
            assert_eq!(failure, fate.failure());
            drops.assert_balanced();
        }
    }
    assert_eq!(troupe.stats().in_line, 0);
    gate.open();
    end(&troupe);
}

/// A work that comes back keeps its key, in this troupe and in another, and passes it on there.
#[test]
fn a_work_that_comes_back_keeps_its_key() {
    for way_back in WAYS_BACK {
        let (troupe, _) = listening(Config::fixed(2));
        let (log, gate) = (Log::new(), hold(&troupe, "key"));
        for name in ["first", "second"] {
            let work = way_back(noting(&log, name).keyed("key"));
            troupe.assign(work).expect("a place in line");
        }
        let dropped = way_back(noting(&log, "dropped").keyed("key"));
        drop(dropped);
        assert_eq!(troupe.stats().in_line, 2);
        gate.open();
        end(&troupe);
        assert_eq!(log.entries(), ["first", "second"]);
    }
}

// ---- The bound ------------------------------------------------------------

/// "If its key is taken, it stands in line, if fewer than `line_size` works do in the whole troupe", though an actor is
/// idle. "The two are apart": room and line do not take each other's places.
#[test]
fn full_is_said_of_the_line_and_of_the_room() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(1).line_size(3));
    let first = hold(&troupe, "first");
    let quick = || Work::<Fault>::new(|| Ok(()));
    for _ in 0..3 {
        let work = quick().keyed("first");
        troupe.assign(work).expect("a place in line");
    }
    let is_full = |work: Work<Fault>| match troupe.assign(work) {
        Err(AssignError::Full(_)) => true,
        Ok(()) => false,
        Err(other) => panic!("{other:?}"),
    };
    assert!(is_full(quick().keyed("first")));
    let timed_out = troupe.assign_timeout(quick().keyed("first"), Duration::from_millis(1));
    assert!(timed_out.is_err_and(|refused| refused.is_full()));
    // The line is full, and there is room.
    let second = hold(&troupe, "second");
    assert!(is_full(quick().keyed("second")));
    let rest = Gate::new();
    troupe.assign(rest.work()).expect("a mailbox");
    troupe
        .assign(rest.work().keyed("third"))
        .expect("a mailbox");
    // The room is full, for keys that are free and for works without one.
    assert!(is_full(quick()) && is_full(quick().keyed("fourth")));
    let stats = troupe.stats();
    assert_eq!((stats.running, stats.queued, stats.in_line), (2, 2, 3));
    assert_eq!((stats.capacity, stats.refused), (4, 5));
    [first, second, rest].iter().for_each(Gate::open);
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.completed, stats.in_line), (7, 0));
    // The refused works have left their keys free.
    for key in ["first", "second", "third", "fourth"] {
        troupe.assign(quick().keyed(key)).expect("an idle actor");
        settle(&troupe);
    }
    assert_eq!(troupe.stats().completed, 11);
    end(&troupe);
}

/// The last place in line: it is free again when the next of the line begins, and not before.
#[test]
fn the_last_place_in_line() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(4).line_size(2));
    let gates = [(); 4].map(|()| Gate::new());
    let assign = |index: usize| troupe.assign(gates[index].work().keyed("key"));
    assign(0).expect("its key is free");
    gates[0].wait_for(1);
    assign(1).expect("a place in line");
    assign(2).expect("the last place in line");
    assert!(assign(3).is_err_and(|refused| refused.is_full()));
    assert_eq!(troupe.stats().in_line, 2);
    gates[0].open();
    gates[1].wait_for(1);
    assert_eq!(troupe.stats().in_line, 1);
    assign(3).expect("the last place in line");
    assert!(assign(3).is_err_and(|refused| refused.is_full()));
    gates.iter().for_each(Gate::open);
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.completed, stats.refused), (4, 2));
}

/// Two threads and the last place in line: one of them gets it.
#[test]
fn two_assigners_and_the_last_place_in_line() {
    within(HANG, || {
        for _ in 0..rounds(150) {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(0).line_size(1));
            let keys = ["one", "two"];
            let held = keys.map(|key| hold(&troupe, key));
            let accepted: usize = thread::scope(|scope| {
                let assigns = keys.map(|key| {
                    let troupe = &troupe;
                    scope.spawn(move || troupe.assign(Work::new(|| Ok(())).keyed(key)).is_ok())
                });
                let accepted = assigns.into_iter().map(|assign| assign.join());
                accepted
                    .filter(|accepted| matches!(accepted, Ok(true)))
                    .count()
            });
            assert_eq!((accepted, troupe.stats().in_line), (1, 1));
            held.iter().for_each(Gate::open);
            end(&troupe);
        }
    });
}

/// "`line_size` 0 means: one work of a key in the troupe at a time", in a mailbox, running or being retried.
#[test]
fn line_size_zero_is_one_work_of_a_key_at_a_time() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(2).line_size(0));
    let quick = || Work::<Fault>::new(|| Ok(()));
    let first = hold(&troupe, "running");
    let other = occupy(&troupe, 1);
    troupe.assign(quick().keyed("waiting")).expect("a mailbox");
    for key in ["running", "waiting"] {
        let refused = troupe.assign(quick().keyed(key));
        assert!(refused.is_err_and(|refused| refused.is_full()), "{key}");
    }
    troupe.assign(quick().keyed("free")).expect("a mailbox");
    troupe.assign(quick()).expect("a mailbox");
    first.open();
    other.open();
    settle(&troupe);
    for key in ["running", "waiting", "free"] {
        troupe.assign(quick().keyed(key)).expect("its key is free");
    }
    end(&troupe);
    assert_eq!(troupe.stats().completed, 8);
}

/// `mailbox_size` 0 says nothing of the line, unless its size is left to it: "as many as may wait in all mailboxes
/// together".
#[test]
fn a_line_without_mailboxes() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(0).line_size(5));
    let (log, gate) = (Log::new(), hold(&troupe, "key"));
    for index in 0..5 {
        let work = noting(&log, index).keyed("key");
        troupe.assign(work).expect("a place in line");
    }
    let refused = troupe.assign(noting(&log, 5).keyed("key"));
    assert!(refused.is_err_and(|refused| refused.is_full()));
    occupy(&troupe, 1).open();
    gate.open();
    end(&troupe);
    assert!(log.entries().into_iter().eq(0..5));

    for (actors, mailbox_size) in [(2, 0), (2, 3), (3, 1)] {
        let config = Config::fixed(actors).mailbox_size(mailbox_size);
        let (troupe, _) = listening(config);
        let gate = hold(&troupe, "key");
        let in_line = (0..).take_while(|_| {
            let work = Work::new(|| Ok(())).keyed("key");
            troupe.assign(work).is_ok()
        });
        assert_eq!(in_line.count(), actors * mailbox_size);
        gate.open();
        end(&troupe);
    }
}

/// `line_size`: "up to 67,108,864", checked by `build`, and no memory until it is used.
#[test]
fn line_size_absurd() {
    let most = 1 << 26;
    assert_eq!(Config::fixed(1).line_size, None);
    let config = Config::fixed(2).line_size(most);
    assert_eq!(config.line_size, Some(most));
    let (troupe, _) = listening(config);
    end(&troupe);
    match Troupe::<Fault>::builder(Config::fixed(2).line_size(most + 1)).build() {
        Err(BuildError::Invalid { setting, value, .. }) => {
            assert_eq!((setting, value.as_str()), ("line_size", "67108865"));
        }
        other => panic!("expected Invalid, got {other:?}"),
    }
}

/// "It starts no actor" if its key is taken. If it is free, it goes "where any work goes: an idle actor, a new one".
#[test]
fn a_work_in_line_starts_no_actor() {
    let (troupe, _) = listening(Config::dynamic(0, 4).mailbox_size(2));
    let first = hold(&troupe, "first");
    for _ in 0..5 {
        let work = Work::new(|| Ok(())).keyed("first");
        troupe.assign(work).expect("a place in line");
    }
    assert_eq!((troupe.stats().actors, troupe.stats().in_line), (1, 5));
    let second = hold(&troupe, "second");
    assert_eq!((troupe.stats().actors, troupe.stats().in_line), (2, 5));
    first.open();
    second.open();
    settle(&troupe);
    assert_eq!((troupe.stats().completed, troupe.stats().grown), (7, 2));
    end(&troupe);
}

/// A cancelled work in line "keeps its place until its turn comes".
#[test]
fn a_cancelled_work_keeps_its_place_in_line() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(0).line_size(1));
    let (gate, drops) = (hold(&troupe, "key"), DropCounter::new());
    let (work, mut reply) = Work::with_reply(Fate::Fails.act(drops.lease()));
    troupe.assign(work.keyed("key")).expect("a place in line");
    assert!(reply.cancel());
    assert_eq!(in_words(answer(&mut reply)), "cancelled");
    let work = || Work::new(|| Ok(())).keyed("key");
    assert!(
        troupe
            .assign(work())
            .is_err_and(|refused| refused.is_full())
    );
    assert_eq!((drops.dropped(), troupe.stats().in_line), (0, 1));
    gate.open();
    settle(&troupe);
    drops.assert_balanced();
    troupe.assign(work()).expect("its key is free");
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [2, 0, 0, 0, 1]);
}

/// A troupe that has no actor and is refused one leaves the key free: the next work of it is told the same, and none is
/// left in line.
#[test]
fn a_refused_thread_leaves_the_key_free() {
    within(HANG, || {
        let config = Config::dynamic(0, 2).stack_size(refused_stack());
        let (troupe, _) = listening(config.mailbox_size(2));
        for _ in 0..3 {
            match troupe.assign(Work::new(|| Err("never run")).keyed("key")) {
                Err(AssignError::Spawn { .. }) => {}
                other => panic!("expected Spawn, got {other:?}"),
            }
        }
        assert_eq!((troupe.stats().in_line, troupe.stats().accepted), (0, 0));
        end(&troupe);
    });
}

// ---- Waiting --------------------------------------------------------------

/// "`assign_wait` and `assign_timeout` wait for a place in line": a keyed waiter is called when one is free, and it is
/// not the business of a waiter without a key.
#[test]
fn a_place_in_line_is_for_a_keyed_waiter() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(2).mailbox_size(0).line_size(1));
        let troupe = Arc::new(troupe);
        let (first, other) = (hold(&troupe, "hot"), occupy(&troupe, 1));
        let (second, third) = (Gate::new(), Gate::new());
        let work = second.work().keyed("hot");
        troupe.assign(work).expect("a place in line");
        let caller = Arc::clone(&troupe);
        let plain = start_waiting("waits-plain-1", move || {
            caller.assign_wait(|| Ok(())).is_ok()
        });
        let (caller, work) = (Arc::clone(&troupe), third.work().keyed("hot"));
        let keyed = start_waiting("waits-keyed-1", move || caller.assign_wait(work).is_ok());
        // The second begins at once, and its place in line is free. No actor is.
        first.open();
        assert!(keyed.join().expect("no panic"));
        second.wait_for(1);
        assert!(!plain.is_finished());
        let stats = troupe.stats();
        assert_eq!((stats.accepted, stats.in_line), (4, 1));
        other.open();
        assert!(plain.join().expect("no panic"));
        second.open();
        third.open();
        end(&troupe);
        assert_eq!(troupe.stats().completed, 5);
    });
}

/// ... "or for the key", which is free when the last work of it has ended. "Nobody who waits for the one takes a call
/// meant for the other."
#[test]
fn room_is_for_a_plain_waiter_and_a_key_for_a_keyed_one() {
    within(HANG, || {
        for timed in [false, true] {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(0).line_size(0));
            let troupe = Arc::new(troupe);
            let (first, other) = (hold(&troupe, "hot"), occupy(&troupe, 1));
            let wait = move |troupe: &Troupe<Fault>, work: Work<Fault>| match timed {
                true => troupe.assign_timeout(work, HANG).is_ok(),
                false => troupe.assign_wait(work).is_ok(),
            };
            let (caller, work) = (Arc::clone(&troupe), Work::new(|| Ok(())).keyed("hot"));
            let keyed = start_waiting("waits-keyed-2", move || wait(&caller, work));
            let third = Gate::new();
            let (caller, work) = (Arc::clone(&troupe), third.work());
            let plain = start_waiting("waits-plain-2", move || wait(&caller, work));
            // An actor is idle, and the key is taken.
            other.open();
            assert!(plain.join().expect("no panic"));
            third.wait_for(1);
            assert!(!keyed.is_finished());
            first.open();
            assert!(keyed.join().expect("no panic"));
            third.open();
            end(&troupe);
            assert_eq!(troupe.stats().completed, 4);
        }
    });
}

/// A keyed and a plain waiter, and places that become free one by one: each of them gets one.
#[test]
fn a_keyed_and_a_plain_waiter_get_a_place_each() {
    within(HANG, || {
        for mailbox_size in [0, 1] {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(mailbox_size));
            let troupe = Arc::new(troupe);
            let gates = [(); 4].map(|()| Gate::new());
            let held = 2 * (mailbox_size + 1);
            for gate in &gates[..held] {
                troupe.assign(gate.work()).expect("room");
            }
            let works = [Work::new(|| Ok(())).keyed("key"), Work::new(|| Ok(()))];
            let names = ["waits-either-1", "waits-either-2"];
            let waiters = names.into_iter().zip(works).map(|(name, work)| {
                let troupe = Arc::clone(&troupe);
                start_waiting(name, move || troupe.assign_wait(work).is_ok())
            });
            let waiters = Vec::from_iter(waiters);
            gates.iter().for_each(Gate::open);
            for waiter in waiters {
                assert!(waiter.join().expect("no panic"));
            }
            end(&troupe);
            assert_eq!(troupe.stats().completed, held as u64 + 2);
        }
    });
}

/// Many waiters of both kinds, as places and keys come and go: none is forgotten.
#[test]
fn many_keyed_and_plain_waiters() {
    within(HANG, || {
        for (mailbox_size, line_size) in [(0, 0), (0, 1), (1, 0), (1, 2)] {
            let config = Config::fixed(2).mailbox_size(mailbox_size);
            let (troupe, _) = listening(config.line_size(line_size));
            let works = rounds(300);
            let tally = Tally::new(6 * works);
            thread::scope(|scope| {
                for feeder in 0..6 {
                    let (troupe, tally) = (&troupe, &tally);
                    scope.spawn(move || {
                        for index in 0..works {
                            let work = marking(tally, feeder * works + index);
                            let work = match feeder {
                                0 | 1 => work,
                                2 | 3 => work.keyed("shared"),
                                _ => work.keyed(&feeder),
                            };
                            let outcome = troupe.assign_wait(work);
                            outcome.expect("it waits for a place");
                        }
                    });
                }
            });
            end(&troupe);
            tally.assert_each_once();
        }
    });
}

/// A shutdown wakes those who wait for a key, and they get their works back.
#[test]
fn shutdown_wakes_keyed_waiters() {
    within(HANG, || {
        for now in [false, true] {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(2).line_size(0));
            let troupe = Arc::new(troupe);
            let gate = hold(&troupe, "key");
            let caller = Arc::clone(&troupe);
            let waiter = start_waiting("waits-key-end", move || {
                let work = Work::new(|| Err("never run")).keyed("key");
                let refused = caller.assign_wait(work);
                refused.is_err_and(|refused| refused.is_shutting_down())
            });
            if now {
                assert!(troupe.shutdown_now().is_empty());
            } else {
                troupe.shutdown();
            }
            assert!(waiter.join().expect("no panic"));
            gate.open();
            join(&troupe);
            assert_eq!(ends(&troupe.stats()), [1, 0, 0, 0, 0]);
        }
    });
}

/// On an own thread a call that would have to wait for its key, or for a place in line, says so instead.
#[test]
fn on_an_own_thread_waiting_for_a_key_would_deadlock() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(1).line_size(1));
    let (sender, receiver) = mpsc::channel();
    let (handle, tally) = (troupe.handle(), Tally::new(2));
    let mark = tally.clone();
    let work = Work::new(move || {
        let first = handle.assign_wait(marking(&mark, 0).keyed("own"));
        let second = handle.assign_wait(marking(&mark, 1).keyed("own"));
        let said = match second {
            Err(AssignError::WouldDeadlock(work)) => work.run().is_ok(),
            _ => false,
        };
        let said = (first.is_ok(), said);
        sender.send(said).map_err(|_| "nobody listens")
    });
    troupe.assign(work.keyed("own")).expect("an idle actor");
    assert_eq!(receive(&receiver), (true, true));
    end(&troupe);
    tally.assert_each_once();
}

/// "`wait_idle` (which means idle now) covers lines and ready works." A long retry holds the key: the next has not
/// started, and `wait_idle` waits for both.
#[test]
fn wait_idle_covers_a_retry_and_the_line_behind_it() {
    within(HANG, || {
        let (log, gate) = (Log::new(), Gate::new());
        let (told, pass) = (log.clone(), gate.clone());
        let troupe = Troupe::<Fault>::builder(Config::fixed(3))
            .error_handler(move |failure, context| {
                told.push(failure_in_words(&failure));
                let (log, gate) = (told.clone(), pass.clone());
                let retry = move || {
                    gate.pass();
                    log.push("retry".to_owned());
                    Ok(())
                };
                assert!(context.reassign(retry).is_ok());
            })
            .build()
            .expect("valid");
        let troupe = Arc::new(troupe);
        let work = Work::new(|| Err("once")).keyed("key");
        troupe.assign(work).expect("an idle actor");
        gate.wait_for(1);
        let work = noting(&log, "next".to_owned()).keyed("key");
        troupe.assign(work).expect("a place in line");
        let (caller, seen) = (Arc::clone(&troupe), log.clone());
        let waiter = start_waiting("waits-idle", move || {
            caller.wait_idle().is_ok() && seen.entries().len() == 3
        });
        let zero = troupe.wait_idle_timeout(Duration::ZERO);
        assert_eq!(zero, Err(JoinError::Timeout));
        assert_eq!((log.entries().len(), troupe.stats().in_line), (1, 1));
        gate.open();
        assert!(waiter.join().expect("no panic"));
        assert_eq!(log.entries(), ["error once", "retry", "next"]);
        end(&troupe);
    });
}

/// Whenever `wait_idle` returns, every work in line has been run.
#[test]
fn after_wait_idle_no_work_is_in_line() {
    within(HANG, || {
        let (troupe, _) = listening(Config::fixed(3).mailbox_size(2).line_size(8));
        let works = rounds(300);
        let tally = Tally::new(8 * works);
        for round in 0..works {
            for index in 0..8 {
                let work = marking(&tally, 8 * round + index);
                troupe.assign(work.keyed(&(index % 2))).expect("room");
            }
            settle(&troupe);
            assert_eq!(tally.total(), 8 * (round + 1));
            assert_eq!(troupe.stats().in_line, 0);
        }
        end(&troupe);
        tally.assert_each_once();
    });
}

// ---- Others ---------------------------------------------------------------

/// "A hot key fills its line, and takes no place from anybody else": a hundred works of other keys pass it by.
#[test]
fn a_hot_key_holds_up_no_other() {
    for mailbox_size in [0, 4] {
        let config = Config::fixed(3).mailbox_size(mailbox_size);
        let (troupe, _) = listening(config.line_size(50));
        let (hot, others) = (Tally::new(50), Tally::new(100));
        let gate = hold(&troupe, "hot");
        for index in 0..50 {
            let work = marking(&hot, index).keyed("hot");
            troupe.assign(work).expect("a place in line");
        }
        for index in 0..100 {
            let work = marking(&others, index).keyed(&index);
            troupe.assign_wait(work).expect("it waits for room");
        }
        eventually(|| others.total() == 100);
        assert_eq!((hot.total(), troupe.stats().in_line), (0, 50));
        gate.open();
        end(&troupe);
        hot.assert_each_once();
        others.assert_each_once();
    }
}

/// A work that assigns itself again until it is told to stop.
fn chain(
    handle: &Handle<Fault>,
    key: Option<usize>,
    stop: &Arc<AtomicBool>,
    ran: &Arc<AtomicUsize>,
) -> Work<Fault> {
    let (handle, stop, ran) = (handle.clone(), Arc::clone(stop), Arc::clone(ran));
    let work = Work::new(move || {
        ran.fetch_add(1, SeqCst);
        if stop.load(SeqCst) {
            return Ok(());
        }
        let next = chain(&handle, key, &stop, &ran);
        handle.assign(next).map_err(|_| "no room for the next")
    });
    match key {
        Some(key) => work.keyed(&key),
        None => work,
    }
}

/// "The ready works are one more segment, so neither starves the other": two hot keys, each of which always has a next
/// work, keep two actors busy, and a plain work comes to its turn.
#[test]
fn two_hot_keys_starve_no_plain_work() {
    within(HANG, || {
        for keys in [1, 2, 3] {
            let (troupe, failures) = listening(Config::fixed(2).mailbox_size(4).line_size(8));
            let stop = Arc::new(AtomicBool::new(false));
            let ran: Vec<_> = (0..keys).map(|_| Arc::new(AtomicUsize::new(0))).collect();
            for (key, ran) in ran.iter().enumerate() {
                let first = chain(&troupe.handle(), Some(key), &stop, ran);
                troupe.assign(first).expect("room");
            }
            for _ in 0..rounds(200) {
                let (work, mut reply) = Work::with_reply(|| Ok(7));
                troupe.assign_wait(work).expect("it waits for room");
                assert_eq!(in_words(answer(&mut reply)), "value 7");
            }
            // Nor does one of the keys starve another.
            let before: Vec<usize> = ran.iter().map(|ran| ran.load(SeqCst)).collect();
            eventually(|| {
                let mut both = ran.iter().zip(&before);
                both.all(|(ran, before)| ran.load(SeqCst) > before + 10)
            });
            stop.store(true, SeqCst);
            settle(&troupe);
            end(&troupe);
            assert_eq!(failures.entries(), [""; 0]);
        }
    });
}

/// And the other way round: works without a key that always have a next one starve no key.
#[test]
fn plain_works_starve_no_key() {
    within(HANG, || {
        let (troupe, failures) = listening(Config::fixed(2).mailbox_size(4).line_size(8));
        let stop = Arc::new(AtomicBool::new(false));
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let first = chain(&troupe.handle(), None, &stop, &ran);
            troupe.assign(first).expect("room");
        }
        for _ in 0..rounds(200) {
            let mut replies: Vec<_> = (0..4)
                .map(|_| {
                    let (work, reply) = Work::with_reply(|| Ok(7));
                    let work = work.keyed("key");
                    troupe.assign_wait(work).expect("it waits for room");
                    reply
                })
                .collect();
            for reply in &mut replies {
                assert_eq!(in_words(answer(reply)), "value 7");
            }
        }
        stop.store(true, SeqCst);
        settle(&troupe);
        end(&troupe);
        assert_eq!(failures.entries(), [""; 0]);
    });
}

/// While a key has a long line, its actor goes from the works at their turn to the mailboxes and back. A plain work
/// waits for two works of the line at most.
#[test]
fn a_line_and_the_mailboxes_take_turns() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(2).line_size(8));
    let (first, other) = (hold(&troupe, "key"), occupy(&troupe, 1));
    let (gate, log) = (Gate::new(), Log::new());
    for _ in 0..8 {
        let work = noting(&log, "in line").keyed("key");
        troupe.assign(work).expect("a place in line");
    }
    for _ in 0..2 {
        troupe.assign(noting(&log, "before")).expect("room");
    }
    troupe.assign(gate.work()).expect("room");
    first.open();
    // The drain cursor is at the last mailbox that holds work, and will be at the works at their turn after it.
    gate.wait_for(1);
    for _ in 0..2 {
        troupe.assign(noting(&log, "plain")).expect("room");
    }
    gate.open();
    eventually(|| log.entries().len() == 12);
    let ran = log.entries();
    let last = ran.iter().rposition(|name| *name == "plain");
    let line = ran.iter().take(last.unwrap_or_default());
    assert!(
        line.filter(|name| **name == "in line").count() <= 2,
        "{ran:?}"
    );
    other.open();
    end(&troupe);
}

/// An actor that has gone on from one work of a key to the next is shown as busy in what it runs then, and afterwards.
#[test]
fn an_actor_that_goes_on_is_shown_as_busy() {
    let (troupe, _) = listening(Config::fixed(2).line_size(8));
    for _ in 0..3 {
        let first = hold(&troupe, "key");
        let (second, third) = (Gate::new(), Gate::new());
        for gate in [&second, &third] {
            let work = gate.work().keyed("key");
            troupe.assign(work).expect("a place in line");
        }
        for (ends, runs) in [(&first, &second), (&second, &third)] {
            ends.open();
            runs.wait_for(1);
            assert_eq!(troupe.stats().running, 1);
        }
        third.open();
        settle(&troupe);
        assert_eq!(troupe.stats().running, 0);
    }
    let gates = [occupy(&troupe, 1), occupy(&troupe, 1)];
    assert_eq!(troupe.stats().running, 2);
    gates.iter().for_each(Gate::open);
    end(&troupe);
}

/// "If the actor has nothing else to do [...], it goes on with it at once. Otherwise that work waits for an actor with
/// all others": it is still counted in line, and an idle actor takes it.
#[test]
fn a_work_at_its_turn_waits_with_all_others() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
    let (first, other) = (hold(&troupe, "key"), occupy(&troupe, 1));
    let (rest, log) = (Gate::new(), Log::new());
    for name in ["second", "third"] {
        let work = noting(&log, name).keyed("key");
        troupe.assign(work).expect("a place in line");
    }
    for _ in 0..4 {
        troupe.assign(rest.work()).expect("a mailbox with room");
    }
    // Its actor has been through the line, or is with one of the others while a work of the key is at its turn.
    first.open();
    rest.wait_for(1);
    let stats = troupe.stats();
    assert_eq!(stats.in_line + log.entries().len(), 2, "{stats:?}");
    other.open();
    rest.wait_for(2);
    let stats = troupe.stats();
    assert_eq!(stats.in_line + log.entries().len(), 2, "{stats:?}");
    assert!(stats.queued <= 2 && stats.running == 2, "{stats:?}");
    rest.open();
    settle(&troupe);
    assert_eq!(log.entries(), ["second", "third"]);
    assert_eq!((troupe.stats().in_line, troupe.stats().completed), (0, 8));
    end(&troupe);
}

/// No accepted work waits while an actor is idle, "except that a keyed work waits for those of its key": when the key
/// comes to the next, it is run though its actor goes on with something long.
#[test]
fn an_idle_actor_takes_what_is_at_its_turn() {
    within(HANG, || {
        for _ in 0..rounds(150) {
            let (troupe, _) = listening(Config::fixed(2).mailbox_size(1));
            let (first, long) = (hold(&troupe, "key"), Gate::new());
            let tally = Tally::new(2);
            for index in 0..2 {
                let work = marking(&tally, index).keyed("key");
                troupe.assign(work).expect("a place in line");
            }
            thread::scope(|scope| {
                scope.spawn(|| first.open());
                troupe.assign(long.work()).expect("room");
            });
            // One actor is held by the long work. The other runs the line.
            eventually(|| tally.total() == 2);
            long.open();
            end(&troupe);
            tally.assert_each_once();
        }
    });
}

// ---- Retries --------------------------------------------------------------

/// A troupe whose handler retries each error with a work of this key, once, and writes down what came of it.
fn retrying(config: Config, key: &'static str) -> (Troupe<Fault>, Log<String>) {
    let log = Log::new();
    let told = log.clone();
    let handler = move |failure: Failure<Fault>, context: &Context<'_, Fault>| {
        let outcome = match context.reassign(Work::new(|| Ok(())).keyed(key)) {
            Ok(()) => "accepted".to_owned(),
            Err(refused) => refused.to_string(),
        };
        told.push(format!("{}: {outcome}", failure_in_words(&failure)));
    };
    let troupe = Troupe::builder(config).error_handler(handler).build();
    (troupe.expect("valid"), log)
}

/// "A retry by `reassign` runs in the failed work's place *and in its key's turn*, before the next in line, whatever
/// closure it is": with the same key, or with none. It is never `Full`.
#[test]
fn a_retry_has_its_keys_turn() {
    for key in [None, Some("key")] {
        let log = Log::new();
        let told = log.clone();
        let config = Config::fixed(3).mailbox_size(0).line_size(2);
        let troupe = Troupe::<Fault>::builder(config)
            .error_handler(move |_, context| {
                for name in ["retry", "refused"] {
                    let work = noting(&told, name);
                    let work = match key {
                        Some(key) => work.keyed(key),
                        None => work,
                    };
                    // A second call is an ordinary assign: if it has the key, it stands in line.
                    let outcome = context.reassign(work);
                    assert_eq!(outcome.is_ok(), name == "retry" || key.is_none());
                }
            })
            .build()
            .expect("valid");
        let gate = Gate::new();
        let pass = gate.clone();
        let work = Work::new(move || {
            pass.pass();
            Err("once")
        });
        troupe.assign(work.keyed("key")).expect("an idle actor");
        gate.wait_for(1);
        for name in ["second", "third"] {
            let work = noting(&log, name).keyed("key");
            troupe.assign(work).expect("a place in line");
        }
        gate.open();
        settle(&troupe);
        end(&troupe);
        let entries = log.entries().into_iter();
        let in_turn: Vec<_> = entries.filter(|name| *name != "refused").collect();
        assert_eq!(in_turn, ["retry", "second", "third"]);
        assert_eq!(troupe.stats().handler_panics, 0);
    }
}

/// "A retry that carries another key than the failed work's is assigned as by `Handle::assign` (it may have to stand in
/// line, [...])", and the key of the failed work is passed on.
#[test]
fn a_retry_with_another_key_stands_in_line_for_it() {
    let (troupe, told) = retrying(Config::fixed(3).mailbox_size(2), "other");
    let (gate, tally) = (hold(&troupe, "other"), Tally::new(1));
    let work = Work::new(|| Err("once")).keyed("own");
    troupe.assign(work).expect("an idle actor");
    let work = marking(&tally, 0).keyed("own");
    troupe.assign(work).expect("room, or a place in line");
    eventually(|| troupe.stats().completed == 1 && troupe.stats().failed == 1);
    tally.assert_each_once();
    assert_eq!(told.entries(), ["error once: accepted"]);
    assert_eq!((troupe.stats().in_line, troupe.stats().completed), (1, 1));
    gate.open();
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [3, 1, 0, 0, 0]);
}

/// ... "or be refused": then the error has the work, and the key of the failed work is passed on all the same.
#[test]
fn a_retry_with_another_key_may_be_refused() {
    let config = Config::fixed(3).mailbox_size(2).line_size(0);
    let (troupe, told) = retrying(config, "other");
    let (gate, tally) = (hold(&troupe, "other"), Tally::new(1));
    let work = Work::new(|| Err("once")).keyed("own");
    troupe.assign(work).expect("an idle actor");
    eventually(|| troupe.stats().failed == 1 && troupe.stats().idle == 2);
    troupe
        .assign(marking(&tally, 0).keyed("own"))
        .expect("free");
    eventually(|| tally.total() == 1);
    assert_eq!(told.entries(), ["error once: the troupe is full"]);
    gate.open();
    end(&troupe);
    assert_eq!(ends(&troupe.stats()), [2, 1, 0, 0, 0]);
}

/// A work without a key may be retried with one, whose turn it then has to wait for.
#[test]
fn a_plain_work_may_be_retried_with_a_key() {
    let (troupe, told) = retrying(Config::fixed(3).mailbox_size(2), "key");
    let gate = hold(&troupe, "key");
    troupe.assign(|| Err("once")).expect("an idle actor");
    eventually(|| troupe.stats().failed == 1);
    assert_eq!((troupe.stats().in_line, troupe.stats().completed), (1, 0));
    gate.open();
    end(&troupe);
    assert_eq!(told.entries(), ["error once: accepted"]);
    assert_eq!(ends(&troupe.stats()), [2, 1, 0, 0, 0]);
}

/// A chain of retries holds the key from its first to its last.
#[test]
fn a_chain_of_retries_holds_the_key() {
    let (log, left) = (Log::new(), AtomicUsize::new(100));
    let told = log.clone();
    let troupe = Troupe::<Fault>::builder(Config::fixed(2).mailbox_size(0).line_size(1))
        .error_handler(move |_, context| {
            let left = left.fetch_sub(1, SeqCst) - 1;
            let log = told.clone();
            let retry = Work::new(move || {
                log.push(left);
                if left > 0 { Err("again") } else { Ok(()) }
            });
            assert!(context.reassign(retry).is_ok());
        })
        .build()
        .expect("valid");
    let gate = Gate::new();
    let pass = gate.clone();
    let work = Work::new(move || {
        pass.pass();
        Err("at first")
    });
    troupe.assign(work.keyed("key")).expect("an idle actor");
    gate.wait_for(1);
    let work = noting(&log, 1_000).keyed("key");
    troupe.assign(work).expect("a place in line");
    gate.open();
    settle(&troupe);
    end(&troupe);
    let expected = (0..100).rev().chain([1_000]);
    assert!(log.entries().into_iter().eq(expected));
}

// ---- The end --------------------------------------------------------------

/// "After `shutdown` a keyed assign is refused whether its key is taken or not." "`shutdown` drains lines, too."
#[test]
fn shutdown_drains_lines_and_accepts_no_more() {
    for config in [Config::fixed(2), Config::dynamic(0, 2)] {
        let (troupe, _) = listening(config.mailbox_size(5).line_size(10));
        let (gate, tally) = (hold(&troupe, "taken"), Tally::new(10));
        for index in 0..10 {
            let work = marking(&tally, index).keyed("taken");
            troupe.assign(work).expect("a place in line");
        }
        assert!(troupe.shutdown());
        let handle = troupe.handle();
        for key in ["taken", "free"] {
            let work = || Work::<Fault>::new(|| Err("never run")).keyed(key);
            let refusals = [
                troupe.assign(work()),
                troupe.assign_wait(work()),
                troupe.assign_timeout(work(), HANG),
                handle.assign(work()),
            ];
            for refused in refusals {
                let refused = refused.expect_err("it is shutting down");
                assert!(refused.is_shutting_down(), "{key}: {refused:?}");
            }
        }
        assert_eq!(troupe.stats().in_line, 10);
        gate.open();
        join(&troupe);
        tally.assert_each_once();
        let stats = troupe.stats();
        assert_eq!(ends(&stats), [11, 0, 0, 0, 0]);
        assert_eq!((stats.in_line, stats.refused), (0, 8));
    }
}

/// A work of a line, which must not run.
fn in_line(key: usize, index: usize) -> Work<Fault> {
    Work::with((key, index), |_| Err("it ran after shutdown_now")).keyed(&key)
}

/// The indices of the works of a key, in the order in which they were returned.
fn indices(values: &[(usize, usize)], key: usize) -> Vec<usize> {
    let own = values.iter().filter(|value| value.0 == key);
    own.map(|value| value.1).collect()
}

/// "`shutdown_now` returns what stands in line, those of one key in order; [...] afterwards no key is passed on."
#[test]
fn shutdown_now_returns_lines_in_order() {
    let (troupe, _) = listening(Config::fixed(3).mailbox_size(2).line_size(40));
    let held: Vec<Gate> = (0..3_usize).map(|key| hold(&troupe, &key)).collect();
    for index in 0..10 {
        for key in 0..3 {
            let work = in_line(key, index);
            troupe.assign(work).expect("a place in line");
        }
    }
    for index in 0..6 {
        let key = 3 + index % 2;
        let work = in_line(key, index / 2);
        troupe.assign(work).expect("a mailbox, or a place in line");
    }
    let works = troupe.shutdown_now();
    assert_eq!((works.len(), troupe.stats().in_line), (36, 0));
    held.iter().for_each(Gate::open);
    join(&troupe);
    let values = works.into_iter().map(|work| work.into_value().ok());
    let values: Option<Vec<(usize, usize)>> = values.collect();
    let values = values.expect("each has its value");
    for key in 0..3 {
        assert!(indices(&values, key).into_iter().eq(0..10), "{values:?}");
    }
    for key in 3..5 {
        assert_eq!(indices(&values, key), [0, 1, 2], "{values:?}");
    }
    let stats = troupe.stats();
    assert_eq!(ends(&stats), [3, 0, 0, 0, 0]);
    assert_eq!((stats.returned, stats.accepted), (36, 39));
}

/// A work that "had come to its turn is begun or among them", and comes before those behind it.
#[test]
fn shutdown_now_returns_works_at_their_turn() {
    let (troupe, _) = listening(Config::fixed(2).mailbox_size(2));
    let (first, other) = (hold(&troupe, &0), occupy(&troupe, 1));
    let rest = Gate::new();
    for _ in 0..4 {
        troupe.assign(rest.work()).expect("a mailbox with room");
    }
    // Either of these waits at the gate if it comes to its turn.
    for index in 0..3_usize {
        let gate = rest.clone();
        let work = Work::with((0_usize, index), move |_| {
            gate.pass();
            Ok(())
        });
        troupe.assign(work.keyed(&0)).expect("a place in line");
    }
    first.open();
    rest.wait_for(1);
    let works = troupe.shutdown_now();
    rest.open();
    other.open();
    join(&troupe);
    let values = works.into_iter();
    let values = values.filter_map(|work| work.into_value::<(usize, usize)>().ok());
    let values: Vec<(usize, usize)> = values.collect();
    let begun = 3 - values.len();
    assert!(begun <= 1, "{values:?}");
    assert!(indices(&values, 0).into_iter().eq(begun..3), "{values:?}");
    let stats = troupe.stats();
    assert_eq!((stats.completed, stats.returned), (3, 6));
    assert_eq!(stats.in_line, 0);
}

/// A work that stands in line when its handler ends the troupe is returned, and the retry with it.
#[test]
fn a_handler_may_end_the_troupe_before_the_next() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::<Fault>::builder(Config::fixed(2).mailbox_size(2))
        .error_handler(move |_, context| {
            let retry = Work::with((0_usize, 0_usize), |_| Err("never run"));
            assert!(context.reassign(retry).is_ok());
            let works = context.troupe().shutdown_now();
            sender.send(works).expect("the test listens");
        })
        .build()
        .expect("valid");
    let gate = Gate::new();
    let pass = gate.clone();
    let work = Work::new(move || {
        pass.pass();
        Err("once")
    });
    troupe.assign(work.keyed(&0_usize)).expect("an idle actor");
    gate.wait_for(1);
    for index in 1..4 {
        troupe.assign(in_line(0, index)).expect("a place in line");
    }
    gate.open();
    let works = receive(&receiver).into_iter();
    let mut values: Vec<_> = works
        .map(|work| work.into_value::<(usize, usize)>().ok())
        .collect();
    values.sort_unstable();
    assert!(values.into_iter().eq((0..4).map(|index| Some((0, index)))));
    join(&troupe);
    let stats = troupe.stats();
    assert_eq!(ends(&stats), [0, 1, 0, 0, 0]);
    assert_eq!((stats.accepted, stats.returned), (5, 4));
}

// ---- Chaos ----------------------------------------------------------------

const KEYS: usize = 3;
const FEEDERS: usize = 3;

/// The observer of a long run.
struct Watch {
    /// Rises with each event.
    clock: AtomicU64,
    /// For each key: whether a work has its turn.
    taken: [AtomicBool; KEYS],
    /// For each key: the works in the order in which they started, and whether that was a retry.
    starts: [Mutex<Vec<(usize, bool)>>; KEYS],
    overlaps: AtomicUsize,
    drops: DropCounter,
}

impl Watch {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }
}

/// The turn of a key: from the start of a work to the end of its last retry.
struct Turn {
    watch: Arc<Watch>,
    key: usize,
    work: usize,
    _lease: Lease,
}

impl Turn {
    fn begin(watch: &Arc<Watch>, key: usize, work: usize) -> Self {
        if watch.taken[key].swap(true, SeqCst) {
            watch.overlaps.fetch_add(1, SeqCst);
        }
        watch.starts[key].lock().push((work, false));
        Self {
            watch: Arc::clone(watch),
            key,
            work,
            _lease: watch.drops.lease(),
        }
    }

    /// A retry begins in this turn.
    fn go_on(&self) {
        self.watch.starts[self.key].lock().push((self.work, true));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.watch.taken[self.key].store(false, SeqCst);
    }
}

/// The error of a work. It holds the turn, unless a caller may hold the error.
struct Trouble {
    turn: Option<Turn>,
    attempts: u32,
}

/// The end of a work that has the turn.
fn act(fate: u64, turn: Turn, attempts: u32, is_asked: bool) -> Result<(), Trouble> {
    match fate {
        0 => quiet_panic("in a keyed work"),
        1..=3 => Err(Trouble {
            turn: (!is_asked).then_some(turn),
            attempts,
        }),
        _ => Ok(()),
    }
}

/// Retries in the turn, or lets it go.
fn handle_trouble(watch: &Arc<Watch>, failure: Failure<Trouble>, context: &Context<'_, Trouble>) {
    let mut rng = Rng::new(watch.tick());
    match failure {
        Failure::Error(Trouble {
            turn: Some(turn),
            attempts: attempts @ 1..,
        }) => {
            let (key, fate) = (turn.key, rng.below(8));
            let retry = Work::new(move || {
                turn.go_on();
                act(fate, turn, attempts - 1, false)
            });
            let retry = if rng.chance(50) {
                retry.keyed(&key)
            } else {
                retry
            };
            drop(context.reassign(retry));
        }
        Failure::Expired(work) if rng.chance(50) => drop(context.reassign(work)),
        other => drop(other),
    }
}

/// A work as a feeder saw it.
#[derive(Clone, Copy)]
struct Record {
    work: usize,
    key: usize,
    /// Before the assign was called, and after it had returned `Ok`.
    called: u64,
    accepted: u64,
    /// Whether `cancel` has returned `true`.
    cancelled: bool,
}

/// Feeds the troupe until it is refused for good.
fn feed(troupe: &Troupe<Trouble>, watch: &Arc<Watch>, feeder: usize, salt: u64) -> Vec<Record> {
    let mut rng = Rng::new(salt);
    let mut records = Vec::new();
    let mut replies = Vec::new();
    for index in 0..rounds(500) {
        let work = feeder + FEEDERS * index;
        let key = rng.below(KEYS as u64) as usize;
        let (fate, length, is_asked) = (rng.below(24), rng.below(300), rng.chance(40));
        let (seen, mut inner) = (Arc::clone(watch), Rng::new(rng.next()));
        let lease = watch.drops.lease();
        let run = move || {
            let _held = &lease;
            let turn = Turn::begin(&seen, key, work);
            inner.dally(length);
            act(fate, turn, 3, is_asked)
        };
        let (made, reply) = if is_asked {
            let (work, reply) = Work::with_reply(run);
            (work, Some(reply))
        } else {
            (Work::new(run), None)
        };
        let mut made = made.keyed(&key);
        if rng.chance(20) {
            let late = Duration::from_nanos(rng.below(100_000));
            made = made.deadline(Instant::now() + late);
        }
        if rng.chance(20) {
            made = made.label("in the chaos");
        }
        let called = watch.tick();
        let outcome = match rng.below(4) {
            0 => troupe.assign(made),
            1 => troupe.assign_timeout(made, Duration::from_micros(rng.below(200))),
            2 => troupe.handle().assign_wait(made),
            _ => troupe.assign_wait(made),
        };
        let accepted = watch.tick();
        match outcome {
            Ok(()) => records.push(Record {
                work,
                key,
                called,
                accepted,
                cancelled: reply
                    .as_ref()
                    .is_some_and(|reply| rng.chance(40) && reply.cancel()),
            }),
            Err(refused) if refused.is_shutting_down() => break,
            Err(refused) => assert!(refused.is_full()),
        }
        match reply {
            Some(reply) if rng.chance(40) => replies.push(reply),
            Some(reply) if rng.chance(30) => drop(reply.cancel_on_drop()),
            reply => drop(reply),
        }
        if rng.chance(2) {
            rng.pause(Duration::from_micros(300)); // long enough for an idle timeout
        }
    }
    records
}

/// Whether each key's works ran one at a time, in an order that agrees with the clock.
fn check_turns(watch: &Watch, records: &[Record]) {
    assert_eq!(watch.overlaps.load(SeqCst), 0, "two at a time");
    for (key, starts) in watch.starts.iter().enumerate() {
        let starts = starts.lock();
        let mut latest_call = 0;
        let mut seen = Vec::new();
        for (at, (work, is_retry)) in starts.iter().enumerate() {
            if *is_retry {
                let before = at.checked_sub(1).map(|before| starts[before].0);
                assert_eq!(before, Some(*work), "another came before a retry");
                continue;
            }
            seen.push(*work);
            // A work may start before its assign has returned, and then be known to none.
            let Some(record) = records.iter().find(|record| record.work == *work) else {
                panic!("work {work} ran, and was not accepted");
            };
            assert_eq!((record.key, record.cancelled), (key, false));
            assert!(
                record.accepted >= latest_call,
                "work {work} had been accepted before one that ran earlier was assigned"
            );
            latest_call = latest_call.max(record.called);
        }
        let runs = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), runs, "a work ran twice");
    }
}

/// Feeds a troupe from three threads with works that fail, panic, are retried, cancelled or expire, and ends it.
fn chaos(config: Config, now: bool, salt: u64) {
    let watch = Arc::new(Watch {
        clock: AtomicU64::new(1),
        taken: Default::default(),
        starts: Default::default(),
        overlaps: AtomicUsize::new(0),
        drops: DropCounter::new(),
    });
    let handler_watch = Arc::clone(&watch);
    let troupe = Troupe::<Trouble>::builder(config)
        .error_handler(move |failure, context| handle_trouble(&handler_watch, failure, context))
        .build()
        .expect("valid");
    let (records, returned) = thread::scope(|scope| {
        let feeders: Vec<_> = (0..FEEDERS)
            .map(|feeder| {
                let (troupe, watch) = (&troupe, &watch);
                let salt = salt + 1_000 * feeder as u64;
                scope.spawn(move || feed(troupe, watch, feeder, salt))
            })
            .collect();
        let mut returned = Vec::new();
        if now {
            let enough = (FEEDERS * rounds(500) / 4) as u64;
            let all_done = || feeders.iter().all(|feeder| feeder.is_finished());
            eventually(|| troupe.stats().accepted >= enough || all_done());
            returned = troupe.shutdown_now();
        }
        let records = feeders.into_iter();
        let records = records.flat_map(|feeder| feeder.join().expect("no panic"));
        (records.collect::<Vec<Record>>(), returned)
    });
    end(&troupe);
    check_turns(&watch, &records);
    let stats = troupe.stats();
    assert_eq!(stats.returned, returned.len() as u64);
    let ended = ends(&stats);
    assert_eq!(ended.iter().sum::<u64>() + stats.returned, stats.accepted);
    let starts = watch.starts.iter().map(|starts| starts.lock().len() as u64);
    assert_eq!(starts.sum::<u64>(), ended[..3].iter().sum::<u64>());
    assert_eq!((stats.in_line, stats.queued, stats.running), (0, 0, 0));
    assert_eq!(stats.handler_panics, 0);
    drop(returned);
    watch.drops.assert_balanced();
    let cancelled = records.iter().filter(|record| record.cancelled).count();
    assert!(ended[4] + stats.returned >= cancelled as u64);
}

/// Order and exclusion of three keys under three feeders, with errors, panics, retries, cancels, deadlines, growth and
/// retirement, ended by `shutdown`.
#[test]
fn order_and_exclusion_under_chaos() {
    within(HANG, || chaos_of_each_config(false));
}

/// The same, ended in the middle by `shutdown_now`.
#[test]
fn order_and_exclusion_under_chaos_until_shutdown_now() {
    within(HANG, || chaos_of_each_config(true));
}

fn chaos_of_each_config(now: bool) {
    let brief = Duration::from_micros(100);
    for (salt, config) in [
        Config::fixed(3).mailbox_size(1),
        Config::fixed(2).mailbox_size(2).line_size(0),
        Config::fixed(4).mailbox_size(0).line_size(3),
        Config::dynamic(0, 4).mailbox_size(1).idle_timeout(brief),
        Config::dynamic(1, 3).mailbox_size(0).line_size(2),
        Config::dynamic(0, 2).mailbox_size(4).idle_timeout(brief),
        Config::dynamic(0, 1).mailbox_size(4).idle_timeout(brief),
    ]
    .into_iter()
    .enumerate()
    {
        chaos(config, now, 10 * salt as u64);
    }
}

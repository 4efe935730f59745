//! A troupe gives back everything that it takes from the system: threads, mappings, files and memory are the same after the
//! ten-thousandth troupe as after the first, and a troupe of thousands of actors works, and is gone afterwards.
//!
//! Each test runs again in a child process, where nothing else is counted. `TROUPE_CYCLES` is the number of cycles and
//! `TROUPE_ACTORS` that of the actors, and both are small without it:
//!
//! ```text
//! TROUPE_CYCLES=10000 TROUPE_ACTORS=10000 cargo test --release --test resources -- --nocapture
//! ```
//!
//! The cost of an idle troupe is in `tests/idle.rs`.
#![cfg(target_os = "linux")]

mod process;
#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;

use parking_lot::{Condvar, Mutex};
use process::{
    descriptors, expect_success, is_child, mappings, resident_kib, rest, run_child, size, skip,
    threads, threads_named, until_threads_are,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::any::Any;
use std::cell::RefCell;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use support::{
    DropCounter, Gate, HANG, eventually, fill, join, occupy, quiet_panic, settle, within,
};
use troupe_pool::{BuildError, Config, Failure, Mode, Troupe};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs `body`: in the child at once; otherwise this test once more, in a child.
#[track_caller]
fn alone(test: &str, body: impl FnOnce() + Send + 'static) {
    if is_child() {
        return within(20 * HANG, body);
    }
    let this = std::env::current_exe().expect("known here");
    expect_success(&run_child(Command::new(this), test));
}

/// The resources of the system that this process has.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    threads: usize,
    descriptors: usize,
    mappings: usize,
    resident_kib: usize,
    /// Bytes allocated and not freed.
    heap: usize,
}

impl Holdings {
    fn now() -> Self {
        // The heap first: the others allocate, and free it again.
        let stats = ALLOCATOR.stats();
        Self {
            heap: stats.bytes_allocated - stats.bytes_deallocated,
            threads: threads(),
            descriptors: descriptors(),
            mappings: mappings(),
            resident_kib: resident_kib(),
        }
    }

    /// Exactly what it was in what we hold ourselves. The C library keeps stacks and arenas for the next thread, some now
    /// and some then: there, less than a mapping for ten cycles, and less than a page for a cycle.
    #[track_caller]
    fn assert_still(self, before: Self, cycles: u64, heap_slack: usize) {
        println!("{cycles} cycles: {before:?}, then {self:?}");
        let slack = cycles as usize;
        assert_eq!(self.threads, before.threads);
        assert_eq!(self.descriptors, before.descriptors);
        assert!(
            self.heap.abs_diff(before.heap) <= heap_slack,
            "bytes on the heap"
        );
        assert!(self.mappings <= before.mappings + (slack / 10).min(64));
        assert!(self.resident_kib <= before.resident_kib + (4 * slack).clamp(1_024, 8_192));
    }
}

/// Runs so many cycles, after some that fill what is filled once only, and compares. How many there were in all.
/// `heap_slack` is by how many bytes the heap may differ.
#[track_caller]
fn measure(cycles: u64, heap_slack: usize, mut cycle: impl FnMut(u64)) -> u64 {
    let warming = cycles / 5;
    (0..warming).for_each(&mut cycle);
    let begun = Instant::now();
    let before = Holdings::now();
    (0..cycles).for_each(&mut cycle);
    Holdings::now().assert_still(before, cycles, heap_slack);
    println!("{:.2} s", begun.elapsed().as_secs_f64());
    warming + cycles
}

/// Build, use, end, join, over and over. Anything that a cycle leaves behind is seen, even a single byte.
#[test]
fn cycles_leave_nothing() {
    alone("cycles_leave_nothing", || {
        let before = threads();
        measure(size("TROUPE_CYCLES", 500), 0, |cycle| {
            build_use_end(cycle);
            until_threads_are(before);
        });
    });
}

/// A troupe with all that it can have, ended in one of four ways.
fn build_use_end(cycle: u64) {
    let config = match cycle % 3 {
        0 => Config::fixed(3),
        1 => Config::dynamic(0, 3).idle_timeout(Duration::ZERO),
        _ => Config::dynamic(1, 3),
    };
    let leases = DropCounter::new();
    let lease = leases.lease();
    let troupe = Troupe::<String>::builder(config.mailbox_size(4).thread_name("cycle"))
        .error_handler(move |failure: Failure<String>, context| {
            let _held = &lease;
            if let Failure::Error(text) = failure {
                drop(context.reassign(move || Err(text).or(Ok(()))));
            }
        })
        .build()
        .expect("there are threads");
    let handle = troupe.handle();
    for number in 0..12 {
        let lease = leases.lease();
        let work = move || {
            let _held = &lease;
            match number {
                3 => Err("again".to_owned()),
                5 => quiet_panic("in a work"),
                _ => Ok(()),
            }
        };
        match number % 3 {
            0 => drop(troupe.assign(work)),
            1 => drop(handle.assign_wait(work)),
            _ => drop(troupe.assign_timeout(work, Duration::from_micros(50))),
        }
    }
    drop((troupe.stats(), troupe.actors()));
    match cycle % 4 {
        0 => {
            settle(&troupe);
            troupe.shutdown();
            join(&troupe);
        }
        1 => {
            drop(troupe.shutdown_now());
            join(&troupe);
        }
        2 => {
            troupe.shutdown();
            join(&troupe);
        }
        _ => {
            drop(troupe);
            eventually(|| handle.stats().actors == 0);
        }
    }
    drop(handle);
    eventually(|| leases.is_balanced());
}

/// One troupe that grows to its max and shrinks to nothing, over and over.
#[test]
fn growing_and_shrinking_leaves_nothing() {
    alone("growing_and_shrinking_leaves_nothing", || {
        let before = threads();
        let config = Config::dynamic(0, 8).idle_timeout(Duration::from_micros(100));
        let troupe: Troupe =
            Troupe::new(config.mailbox_size(2).thread_name("tide")).expect("valid");
        // The handle of a thread that is about to end is left to the next that retires: 55 bytes for each of a few, and a
        // list of them that grows once. A loss in each cycle would be more.
        let heap_slack = 8 * 55 + 192;
        let cycles = measure(size("TROUPE_CYCLES", 1_000), heap_slack, |_| {
            let gate = occupy(&troupe, 8);
            // Numbers are given again, lowest first.
            let ids = troupe.actors().into_iter().map(|actor| actor.id);
            assert_eq!(ids.collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
            gate.open();
            eventually(|| troupe.stats().actors == 0);
            until_threads_are(before);
        });
        let stats = troupe.stats();
        assert_eq!((stats.peak, stats.grown), (8, stats.retired), "{stats:?}");
        assert_eq!(stats.grown, 8 * cycles, "{stats:?}");
        troupe.shutdown();
        join(&troupe);
    });
}

/// Ends its thread only once the gate is open.
struct Anchor(Gate);

impl Drop for Anchor {
    fn drop(&mut self) {
        self.0.pass();
    }
}

thread_local! {
    static ANCHOR: RefCell<Option<Anchor>> = const { RefCell::new(None) };
}

/// A retired actor's thread that takes its time to end does not keep those that retire after it.
///
/// Fails when who retires joins all that have retired before it, whether they have finished or not.
#[test]
fn a_thread_that_ends_slowly_keeps_no_others() {
    alone("a_thread_that_ends_slowly_keeps_no_others", || {
        let before = threads();
        let config = Config::dynamic(0, 1).idle_timeout(Duration::ZERO);
        let troupe: Troupe = Troupe::new(config.thread_name("slow")).expect("valid");
        let gate = Gate::new();
        let anchor = Anchor(gate.clone());
        let work = move || {
            ANCHOR.set(Some(anchor));
            Ok(())
        };
        troupe.assign(work).expect("it grows");
        gate.wait_for(1);
        for cycle in 2..=50 {
            troupe.assign(|| Ok(())).expect("it grows");
            eventually(|| troupe.stats().retired == cycle);
        }
        // The slow one, who joins it since it has run all of ours, and the last.
        eventually(|| threads() <= before + 3);
        gate.open();
        troupe.shutdown();
        join(&troupe);
        until_threads_are(before);
    });
}

/// Actors that come and go as fast as they can, on one processor: of threads that have left and not yet ended there are
/// few, since none waits for another.
///
/// Fails when who retires joins all that have retired before it.
#[test]
fn actors_that_come_and_go_leave_no_crowd() {
    let test = "actors_that_come_and_go_leave_no_crowd";
    if !is_child() {
        let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
        let allowed = status.lines().find_map(|line| {
            let list = line.strip_prefix("Cpus_allowed_list:")?.trim();
            list.split([',', '-']).next()
        });
        let mut command = Command::new("taskset");
        command.args(["-c", allowed.expect("it runs somewhere")]);
        if command.arg("true").output().is_err() {
            return skip("there is no taskset");
        }
        let mut command = Command::new("taskset");
        command.args(["-c", allowed.expect("it runs somewhere")]);
        command.arg(std::env::current_exe().expect("known here"));
        return expect_success(&run_child(command, test));
    }
    within(20 * HANG, || {
        let (max, feeders) = (6, 3);
        let config = Config::dynamic(0, max)
            .mailbox_size(1)
            .idle_timeout(Duration::ZERO);
        let troupe: Troupe = Troupe::new(config.thread_name("tide")).expect("valid");
        let before = threads();
        let births = 20 * size("TROUPE_CYCLES", 500);
        let (mut most, is_enough) = (0, AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..feeders {
                scope.spawn(|| {
                    while !is_enough.load(SeqCst) {
                        drop(troupe.assign(|| Ok(())));
                    }
                });
            }
            while troupe.stats().grown < births {
                most = threads().max(most);
                rest(Duration::from_millis(1)); // and look again
            }
            is_enough.store(true, SeqCst);
        });
        println!("{most} threads at most, in {births} births");
        // The system takes a while to end a thread: as many again, and then some.
        assert!(most <= before + feeders + 2 * max + 100, "{most} threads");
        troupe.shutdown();
        join(&troupe);
        until_threads_are(before);
    });
}

/// Where works wait for each other, however many they are.
#[derive(Default)]
struct Crossing {
    arrived: AtomicUsize,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Crossing {
    fn pass(&self) {
        self.arrived.fetch_add(1, SeqCst);
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.opened.wait(&mut is_open);
        }
    }

    #[track_caller]
    fn wait_for(&self, count: usize) {
        eventually(|| self.arrived.load(SeqCst) == count);
    }

    fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }
}

/// Thousands of actors: each runs a work at the same time as all others, each mailbox is filled, nothing more fits, and
/// after `join` every thread is gone.
#[test]
fn a_crowd_works_at_once_and_goes() {
    alone("a_crowd_works_at_once_and_goes", || {
        let count = size("TROUPE_ACTORS", 1_000) as usize;
        let crowds = || crowd(Config::fixed(count)) && crowd(Config::dynamic(0, count));
        // The first crowd fills what is filled once only, such as the tables of the locks.
        if crowds() {
            let before = Holdings::now();
            if crowds() {
                Holdings::now().assert_still(before, 2 * count as u64, 0);
            }
        }
    });
}

/// False if the system has not so many threads.
fn crowd(config: Config) -> bool {
    let (threads_before, resident_before) = (threads(), resident_kib());
    let begun = Instant::now();
    let (count, is_fixed) = (config.max, config.mode == Mode::Fixed);
    let lacks_threads = |why: &dyn std::fmt::Display| {
        skip(&format!("this system has not {count} threads: {why}"));
        false
    };
    let troupe: Troupe = match Troupe::new(config.mailbox_size(1).thread_name("crowd")) {
        Ok(troupe) => troupe,
        Err(error @ BuildError::Spawn { .. }) => {
            until_threads_are(threads_before);
            return lacks_threads(&error);
        }
        Err(other) => panic!("{other}"),
    };
    let built = begun.elapsed();
    let crossing = Arc::new(Crossing::default());
    for _ in 0..count {
        let crossing = Arc::clone(&crossing);
        let work = move || {
            crossing.pass();
            Ok(())
        };
        let answer = troupe.assign(work);
        if answer.is_err() {
            break;
        }
    }
    if troupe.stats().spawn_failures > 0 {
        crossing.open();
        troupe.shutdown();
        join(&troupe);
        return lacks_threads(&"refused while growing");
    }
    crossing.wait_for(count); // all at once
    let at_once = begun.elapsed();
    assert_eq!(threads_named("crowd"), count);
    let stats = troupe.stats();
    assert_eq!(
        (stats.actors, stats.running, stats.idle, stats.queued),
        (count, count, 0, 0)
    );
    assert_eq!((stats.peak, stats.capacity), (count, 2 * count));
    assert_eq!(stats.grown as usize, if is_fixed { 0 } else { count });
    let actors = troupe.actors();
    assert!(actors.iter().all(|actor| actor.is_busy));
    let ids: Vec<usize> = actors.into_iter().map(|actor| actor.id).collect();
    assert_eq!(ids, (0..count).collect::<Vec<_>>());

    let gate = Gate::new();
    gate.open();
    assert_eq!(fill(&troupe, &gate), count);
    assert_eq!(troupe.stats().queued, count);
    let resident = resident_kib();
    crossing.open();
    settle(&troupe);
    let stats = troupe.stats();
    assert_eq!((stats.idle, stats.completed as usize), (count, 2 * count));
    troupe.shutdown();
    join(&troupe);
    assert_eq!(troupe.stats().actors, 0);
    drop(troupe);
    until_threads_are(threads_before);
    println!(
        "{count} actors: built in {built:?}, all at work after {at_once:?}, gone after {:?}, {} KiB each",
        begun.elapsed(),
        resident.saturating_sub(resident_before) / count
    );
    true
}

/// Does nothing as a rule. With `TROUPE_PLANT=leak` it leaks, for `scripts/leaks` to see that leaks are found.
#[test]
fn plant() {
    if std::env::var_os("TROUPE_PLANT").is_some_and(|what| what == "leak") {
        let troupe: Troupe = Troupe::new(Config::fixed(1)).expect("valid");
        for _ in 0..50 {
            let cell = Arc::new(OnceLock::<Box<dyn Any + Send + Sync>>::new());
            let work = move || {
                // From here on it owns itself.
                let itself = Box::new(Arc::clone(&cell));
                drop(cell.set(itself));
                Ok(())
            };
            troupe.assign_wait(work).expect("it waits for room");
        }
        troupe.shutdown();
        join(&troupe);
    }
}

//! Idle costs nothing: no thread of an idle troupe runs, wakes or polls.
//!
//! A binary of its own, so that no other test's troupes are about.
#![cfg(target_os = "linux")]

#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use support::{HANG, eventually, occupy, receive};
use troupe_pool::{Config, Failure, JoinError, Troupe};

/// Context switches, voluntary or not, and clock ticks of CPU time of all threads of that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Activity {
    threads: u64,
    switches: u64,
    ticks: u64,
}

fn activity(prefix: &str) -> Activity {
    let mut sum = Activity::default();
    for task in fs::read_dir("/proc/self/task")
        .expect("Linux has /proc")
        .flatten()
    {
        let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if !read("comm").starts_with(prefix) {
            continue;
        }
        sum.threads += 1;
        for line in read("status").lines() {
            // "voluntary_ctxt_switches:\t12", "nonvoluntary_ctxt_switches:\t3"
            if let Some((_, count)) = line.split_once("voluntary_ctxt_switches:") {
                sum.switches += count.trim().parse::<u64>().expect("a number");
            }
        }
        // After the name, which may hold anything, the state is the first field, and utime and
        // stime are the 12th and 13th.
        let stat = read("stat");
        let fields: Vec<&str> = stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .split(' ')
            .collect();
        sum.ticks +=
            fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    }
    sum
}

/// Lets time pass, which is what this test is about.
fn rest(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}

/// Looks until two looks agree: until the threads have gone to rest.
fn at_rest(prefix: &str) -> Activity {
    let begun = Instant::now();
    let mut last = activity(prefix);
    loop {
        rest(Duration::from_millis(50));
        let now = activity(prefix);
        if now == last {
            return now;
        }
        last = now;
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it never comes to rest: {now:?}"
        );
    }
}

/// "No thread polls: an idle troupe uses no CPU and causes no context switches apart from one
/// wake per idle_timeout." Here the timeout is far off: there is no switch at all in a second.
#[test]
fn an_idle_troupe_does_nothing() {
    for (name, config) in [
        ("idle-fixed", Config::fixed(8).mailbox_size(4)),
        ("idle-dyn", Config::dynamic(2, 8).initial(6).mailbox_size(0)),
        (
            "idle-never",
            Config::dynamic(0, 8)
                .initial(4)
                .mailbox_size(4)
                .idle_timeout(Duration::MAX),
        ),
    ] {
        let config = config.thread_name(name);
        let actors = config.initial.unwrap_or(config.max) as u64;
        let troupe = Troupe::<&'static str>::builder(config)
            .error_handler(|_: Failure<&'static str>, _| {})
            .build()
            .expect("valid");
        for round in 0..200 {
            let work = move || if round % 2 == 0 { Ok(()) } else { Err("x") };
            troupe.assign_wait(work).expect("it waits for room");
        }
        assert_eq!(troupe.wait_idle(), Ok(()));
        let before = at_rest(name);
        assert!(
            before.threads >= actors && before.switches > 0,
            "the threads are seen: {before:?}"
        );
        rest(Duration::from_secs(1));
        assert_eq!(activity(name), before, "{name}");
        troupe.shutdown();
        assert_eq!(troupe.join(), Ok(()));
    }
}

/// "join, wait_idle and assign_wait wait on condition variables or channels": waiting threads
/// use no more than idle ones.
#[test]
fn those_who_wait_do_nothing() {
    let troupe: Troupe =
        Troupe::new(Config::fixed(1).mailbox_size(0).thread_name("wait-act")).expect("valid");
    let (release, held) = mpsc::channel::<()>();
    troupe
        .assign(move || {
            let _ = held.recv();
            Ok(())
        })
        .expect("room");
    let long = Duration::from_secs(3_600);
    thread::scope(|scope| {
        let mut waiters = Vec::new();
        let builder = || thread::Builder::new().name("wait-caller".to_owned());
        waiters.push(
            builder()
                .spawn_scoped(scope, || troupe.join().is_ok())
                .expect("a thread"),
        );
        waiters.push(
            builder()
                .spawn_scoped(scope, || troupe.join_timeout(long).is_ok())
                .expect("a thread"),
        );
        waiters.push(
            builder()
                .spawn_scoped(scope, || troupe.wait_idle().is_ok())
                .expect("a thread"),
        );
        waiters.push(
            builder()
                .spawn_scoped(scope, || troupe.wait_idle_timeout(long).is_ok())
                .expect("a thread"),
        );
        let wait = || {
            troupe
                .assign_wait(|| Ok(()))
                .is_err_and(|refused| refused.is_shutting_down())
        };
        waiters.push(builder().spawn_scoped(scope, wait).expect("a thread"));
        let timed = || {
            troupe
                .assign_timeout(|| Ok(()), long)
                .is_err_and(|refused| refused.is_shutting_down())
        };
        waiters.push(builder().spawn_scoped(scope, timed).expect("a thread"));
        let before = at_rest("wait-");
        assert_eq!(before.threads, 7, "{before:?}");
        rest(Duration::from_secs(1));
        assert_eq!(activity("wait-"), before);
        troupe.shutdown();
        drop(release);
        for waiter in waiters {
            assert!(waiter.join().expect("no panic"));
        }
    });
}

/// "... apart from one wake per idle_timeout": with a timeout of 100 ms, each of four actors that
/// `min` keeps is woken at most about ten times a second, not hundreds of times. (Only the actor
/// at the bottom of the idle stack is.)
#[test]
fn an_idle_timeout_costs_one_wake() {
    let config = Config::dynamic(4, 5)
        .mailbox_size(1)
        .idle_timeout(Duration::from_millis(100))
        .thread_name("wakes");
    let troupe: Troupe = Troupe::new(config).expect("valid");
    assert_eq!(troupe.wait_idle(), Ok(()));
    rest(Duration::from_millis(200));
    let before = activity("wakes");
    let begun = Instant::now();
    rest(Duration::from_secs(1));
    let after = activity("wakes");
    let timeouts = begun.elapsed().as_millis() as u64 / 100 + 1;
    assert_eq!((before.threads, after.threads), (4, 4));
    let wakes = after.switches - before.switches;
    // A wake is one switch, or two when the thread is preempted besides.
    assert!(
        wakes <= 4 * timeouts * 2,
        "{wakes} switches of 4 actors in {timeouts} timeouts"
    );
    troupe.shutdown();
    assert_eq!(troupe.join(), Ok(()));
}

/// The thread that asks, as a folder of `/proc`.
fn this_task() -> PathBuf {
    let task = fs::read_link("/proc/thread-self").expect("Linux has /proc");
    PathBuf::from("/proc").join(task)
}

/// How often a thread has given up its processor, or `None` if it does not sleep now.
fn sleeps(task: &Path) -> Option<u64> {
    let status = fs::read_to_string(task.join("status")).expect("the thread is there");
    let value = |key| status.lines().find_map(|line| line.strip_prefix(key));
    let state = value("State:").expect("a state").trim();
    let sleeps = value("voluntary_ctxt_switches:").expect("a count").trim();
    state
        .starts_with('S')
        .then(|| sleeps.parse().expect("a number"))
}

/// Waits until all those threads sleep at the same time, and returns how often they have gone
/// to sleep in all.
///
/// Two looks in succession agree then. A thread that was asleep in both, with the same count,
/// slept all the time between them. So none of them waits for a lock that another one holds.
#[track_caller]
fn when_all_sleep(tasks: &[PathBuf]) -> u64 {
    let look = || {
        tasks
            .iter()
            .map(|task| sleeps(task))
            .collect::<Option<Vec<u64>>>()
    };
    let mut sum = 0;
    let mut last = None;
    eventually(|| {
        let now = look();
        let agree = now.is_some() && now == last;
        sum = now.iter().flatten().sum();
        last = now;
        agree
    });
    sum
}

/// "join, wait_idle and assign_wait wait on condition variables or channels", each for its own
/// event. An actor that starts or retires wakes no caller of `join` or `wait_idle`.
///
/// The count is exact and its bound generous: 3 wakes per birth, of a thousand threads in all.
///
/// Fails when a birth notifies the condition variable on which `join` or `wait_idle` waits.
#[test]
fn births_wake_nobody_who_waits_for_the_end() {
    const CALLERS: u64 = 1_000;
    const BIRTHS: u64 = 400;
    let config = Config::dynamic(0, 4)
        .mailbox_size(0)
        .idle_timeout(Duration::ZERO)
        .thread_name("birth");
    let troupe = Arc::new(Troupe::new(config).expect("valid"));
    // One actor stays busy, so `wait_idle` does not return.
    let gate = occupy(&troupe, 1);
    let (here, arrivals) = mpsc::channel();
    let callers: Vec<JoinHandle<Result<(), JoinError>>> = (0..CALLERS)
        .map(|number| {
            let (troupe, here) = (Arc::clone(&troupe), here.clone());
            let call = move || {
                here.send(this_task()).expect("the test receives it");
                if number % 2 == 0 {
                    troupe.join_timeout(2 * HANG)
                } else {
                    troupe.wait_idle_timeout(2 * HANG)
                }
            };
            let builder = thread::Builder::new().stack_size(64 * 1024);
            builder.spawn(call).expect("a thread")
        })
        .collect();
    let tasks: Vec<PathBuf> = (0..CALLERS).map(|_| receive(&arrivals)).collect();

    let before = when_all_sleep(&tasks);
    for birth in 1..=BIRTHS {
        troupe.assign(|| Ok(())).expect("it grows");
        eventually(|| troupe.stats().retired == birth);
    }
    let wakes = when_all_sleep(&tasks) - before;

    assert_eq!(troupe.stats().grown, BIRTHS + 1, "{:?}", troupe.stats());
    gate.open();
    troupe.shutdown();
    for caller in callers {
        assert_eq!(caller.join().expect("no panic"), Ok(()));
    }
    println!("{wakes} wakes in {BIRTHS} births");
    assert!(
        wakes <= 3 * BIRTHS,
        "{wakes} wakes of {CALLERS} threads in {BIRTHS} births"
    );
}

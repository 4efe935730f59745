//! A system that refuses threads, over and over: at build, in growth, with no actor at all, while a troupe ends; and what
//! happens when it gives some again.
//!
//! Each test runs again in a child process that may have [`LIMIT`] threads: `prlimit` limits a user id that nothing else
//! uses, and `setpriv` takes it on, which works for root, in a container too. Where that cannot be had, the tests say that
//! they are skipped; with `TROUPE_NO_SKIP` set they fail instead. `TROUPE_STRESS=n` makes the races `n` times as long.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "the other functions serve other tests")]
mod process;
#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;

use parking_lot::Mutex;
use process::{
    expect_success, is_child, rest, run_child, skip, threads, threads_named, until_threads_are,
};
use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use support::{
    DropCounter, Gate, HANG, Rng, Tally, end, eventually, fill, join, rounds, settle, within,
};
use troupe_pool::{
    Actor, ActorConfig, AssignError, BoxError, BuildError, Config, Failure, Handle, Troupe, Work,
};

/// The threads that a child may have, its own included.
const LIMIT: usize = 20;

/// How long a troupe that has an actor does without another after a refusal, says ARCHITECTURE.md.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs `body`: in the child at once; otherwise this test once more, in a child.
#[track_caller]
fn limited(test: &str, body: impl FnOnce() + Send + 'static) {
    if is_child() {
        return within(HANG * rounds(1) as u32, body);
    }
    static REFUSES: OnceLock<Result<(), String>> = OnceLock::new();
    let refuses = REFUSES.get_or_init(|| {
        let output = run_limited("the_limit_binds")?;
        output.status.success().then_some(()).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            format!("this system sets no limit that refuses threads: {said}")
        })
    });
    match refuses {
        Err(reason) => skip(reason),
        Ok(()) => match run_limited(test) {
            Ok(output) => expect_success(&output),
            Err(reason) => panic!("{reason}"),
        },
    }
}

/// Runs a test of this binary as a user of its own who may have [`LIMIT`] threads.
fn run_limited(test: &str) -> Result<Output, String> {
    // One at a time: a binary cannot be executed while another child, just forked, still has it open for writing.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    for tool in ["setpriv", "prlimit"] {
        let output = Command::new(tool).arg("--version").output();
        if !output.is_ok_and(|output| output.status.success()) {
            return Err(format!("there is no {tool}"));
        }
    }
    let scratch = Scratch::new(test);
    // The limit is one of the user id: each child, and each run, has its own.
    let salt = test.bytes().fold(std::process::id(), |salt, byte| {
        salt.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={}", 60_000 + salt % 5_000)])
        .args(["--clear-groups", "prlimit"])
        .arg(format!("--nproc={LIMIT}:{LIMIT}"))
        .arg(scratch.binary())
        .current_dir("/");
    Ok(run_child(command, test))
}

/// A copy of this binary where anybody may execute it, whatever the build directory allows.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let name = format!("troupe-refused-{}-{test}", std::process::id());
        let scratch = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&scratch.0).expect("a directory for the child");
        let this = std::env::current_exe().expect("known here");
        fs::copy(this, scratch.binary()).expect("a copy for the child");
        for path in [&scratch.0, &scratch.binary()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        scratch
    }

    fn binary(&self) -> PathBuf {
        self.0.join("refused")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Threads that the system has given to somebody else; each goes when its gate opens.
struct Fillers(Vec<(Gate, thread::JoinHandle<()>)>);

impl Fillers {
    /// Takes every thread that there is but for `left`.
    fn take_all_but(left: usize) -> Self {
        let mut fillers = Self(Vec::new());
        loop {
            let gate = Gate::new();
            let pass = gate.clone();
            let builder = thread::Builder::new().name("filler".to_owned());
            match builder.spawn(move || pass.pass()) {
                Ok(thread) => fillers.0.push((gate, thread)),
                Err(_) => break,
            }
            assert!(fillers.0.len() < LIMIT, "the limit binds");
        }
        fillers.release(left);
        fillers
    }

    fn take_all() -> Self {
        Self::take_all_but(0)
    }

    /// Gives so many back, and returns when the system has them.
    fn release(&mut self, count: usize) {
        for (gate, thread) in self.0.drain(..count) {
            gate.open();
            thread.join().expect("no panic");
        }
        eventually(|| threads_named("filler") == self.0.len());
    }

    fn release_all(mut self) {
        self.release(self.0.len());
    }
}

fn build(config: Config) -> Troupe {
    Troupe::new(config.thread_name("part")).expect("the threads are there")
}

/// Is it a refusal of the system's, with the reason?
#[track_caller]
fn assert_refused(error: &BuildError, name: &str) {
    match error {
        BuildError::Spawn { thread, source } => {
            assert_eq!(thread, name);
            assert_eq!(source.kind(), ErrorKind::WouldBlock);
        }
        other => panic!("expected Spawn, got {other:?}"),
    }
    assert_eq!(
        error.to_string(),
        format!("the system refused the thread {name}")
    );
    assert!(error.source().is_some(), "{error:?}");
}

/// All others say nothing if this one's limit does not bind.
#[test]
fn the_limit_binds() {
    limited("the_limit_binds", || {
        let fillers = Fillers::take_all();
        assert_eq!(threads(), LIMIT);
        fillers.release_all();
    });
}

/// "`build` returns an error and stops what it had started": the error names the first thread that there was not, and of
/// those before it, and of the handler, nothing is left.
#[test]
fn a_refused_build_leaves_nothing() {
    limited("a_refused_build_leaves_nothing", || {
        let (before, files) = (threads(), process::descriptors());
        let room = LIMIT - before;
        let leases = DropCounter::new();
        for _ in 0..rounds(20) {
            for config in [
                Config::fixed(room + 1),
                Config::fixed(400).mailbox_size(0),
                Config::dynamic(room + 1, 400),
                Config::dynamic(0, 400).initial(room + 7),
            ] {
                let lease = leases.lease();
                let refused = Troupe::<BoxError>::builder(config.thread_name("part"))
                    .error_handler(move |_: Failure, _| {
                        let _held = &lease;
                    })
                    .build();
                let error = refused.expect_err("so many threads there are not");
                leases.assert_balanced();
                assert_refused(&error, &format!("part-{room}"));
                until_threads_are(before);
            }
            // As many as there are threads can be had, also after refusals.
            let troupe = build(Config::fixed(room).mailbox_size(1));
            let gate = Gate::new();
            assert_eq!(fill(&troupe, &gate), 2 * room);
            gate.open();
            end(&troupe);
            drop(troupe);
            until_threads_are(before);
        }
        assert_eq!(process::descriptors(), files);
    });
}

/// The same for an actor on its own.
#[test]
fn a_refused_actor_leaves_nothing() {
    limited("a_refused_actor_leaves_nothing", || {
        let before = threads();
        for _ in 0..rounds(20) {
            let fillers = Fillers::take_all();
            let leases = DropCounter::new();
            let lease = leases.lease();
            let config = ActorConfig::<BoxError>::default()
                .thread_name("lone")
                .error_handler(move |_: Failure| {
                    let _held = &lease;
                });
            let error = Actor::new(config).expect_err("there is no thread");
            leases.assert_balanced();
            assert_refused(&error, "lone-0");
            fillers.release_all();
            until_threads_are(before);
            let actor: Actor = Actor::new(ActorConfig::default()).expect("there are threads again");
            assert!(actor.accept(|| Ok(())).is_ok());
            actor.shutdown();
            assert!(actor.join_timeout(HANG).is_ok());
            drop(actor);
            until_threads_are(before);
        }
    });
}

/// A growing troupe "carries on" with the actors that it has: their mailboxes take exactly what they hold, the rest comes
/// back by every way in, and all that was accepted is run.
#[test]
fn a_refused_growth_goes_to_a_mailbox_or_comes_back() {
    limited("a_refused_growth_goes_to_a_mailbox_or_comes_back", || {
        for left in [0, 1, 3] {
            for mailbox_size in [0, 2] {
                let before = threads();
                let troupe = build(Config::dynamic(1, 8).mailbox_size(mailbox_size));
                let fillers = Fillers::take_all_but(left);
                let gate = Gate::new();
                let accepted = fill(&troupe, &gate);
                let stats = troupe.stats();
                assert_eq!(accepted, (1 + left) * (mailbox_size + 1), "{stats:?}");
                assert_eq!(
                    (stats.actors, stats.peak),
                    (1 + left, 1 + left),
                    "{stats:?}"
                );
                assert_eq!(stats.grown as usize, left, "{stats:?}");
                assert!(stats.spawn_failures >= 1, "{stats:?}");
                assert_eq!(stats.capacity, 8 * (mailbox_size + 1));

                let tally = Tally::new(4);
                let handle = troupe.handle();
                let answers = [
                    troupe.assign(tally.work(0)),
                    handle.assign(tally.work(1)),
                    troupe.assign_timeout(tally.work(2), Duration::from_millis(1)),
                    handle.assign_timeout(tally.work(3), 2 * PATIENCE), // asks the system at its end
                ];
                for answer in answers {
                    let refused = answer.expect_err("no room and no thread");
                    assert!(refused.is_full(), "{refused:?}");
                    refused.into_work().run().expect("it succeeds");
                }
                tally.assert_each_once();

                gate.wait_for(1 + left);
                gate.open();
                end(&troupe);
                let stats = troupe.stats();
                assert_eq!(stats.accepted as usize, accepted);
                assert_eq!(stats.completed as usize, accepted);
                assert_eq!(stats.refused, 5);
                drop(troupe);
                fillers.release_all();
                until_threads_are(before);
            }
        }
    });
}

/// "With no actor at all every assign tries, and the work comes back in `AssignError::Spawn`": by every way in, as often as
/// one asks; and the very first assign after there is a thread again gets it.
#[test]
fn with_no_actor_it_recovers_at_once() {
    limited("with_no_actor_it_recovers_at_once", || {
        let before = threads();
        let config = Config::dynamic(0, 4).idle_timeout(Duration::from_micros(200));
        let troupe = build(config.mailbox_size(2));
        let handle: Handle = troupe.handle();
        let cycles = rounds(30);
        let leases = DropCounter::new();
        for _ in 0..cycles {
            eventually(|| troupe.stats().actors == 0);
            until_threads_are(before);
            let mut fillers = Fillers::take_all();
            let tally = Tally::new(5);
            for index in 0..5 {
                let lease = leases.lease();
                let mark = tally.clone();
                let work = Work::new(move || {
                    let _held = &lease;
                    mark.mark(index);
                    Ok(())
                });
                let answer = match index {
                    0 => troupe.assign(work),
                    1 => troupe.assign_wait(work),
                    2 => troupe.assign_timeout(work, HANG),
                    3 => handle.assign(work),
                    _ => handle.assign_wait(work),
                };
                match answer {
                    Err(AssignError::Spawn { work, source }) => {
                        assert_eq!(source.kind(), ErrorKind::WouldBlock);
                        assert_eq!(tally.count(index), 0);
                        if index % 2 == 0 {
                            work.run().expect("it succeeds");
                        }
                    }
                    other => panic!("expected Spawn, got {other:?}"),
                }
            }
            assert_eq!(tally.total(), 3);
            leases.assert_balanced();
            fillers.release(1);
            assert!(troupe.assign(tally.work(1)).is_ok(), "there is a thread");
            settle(&troupe);
            assert_eq!(tally.count(1), 1);
            fillers.release_all();
        }
        end(&troupe);
        let stats = troupe.stats();
        let cycles = cycles as u64;
        assert_eq!(
            (stats.spawn_failures, stats.refused),
            (5 * cycles, 5 * cycles)
        );
        assert_eq!((stats.accepted, stats.completed), (cycles, cycles));
        assert_eq!((stats.grown, stats.peak), (cycles, 1));
    });
}

/// "It does not retry the system call on every assign", but once in a hundred milliseconds it does; and after these the
/// first assign that needs a thread gets it, and the next ones need not wait again.
#[test]
fn with_an_actor_it_recovers_after_its_patience() {
    limited("with_an_actor_it_recovers_after_its_patience", || {
        let config = Config::dynamic(1, 4).idle_timeout(Duration::from_millis(1));
        let troupe = build(config.mailbox_size(3));
        let with_one_actor = threads();
        for round in 1..=3 {
            eventually(|| troupe.stats().actors == 1);
            until_threads_are(with_one_actor);
            settle(&troupe);
            let fillers = Fillers::take_all();
            let failures = || troupe.stats().spawn_failures - 4 * (round - 1);
            let gate = Gate::new();
            let begun = Instant::now();
            troupe.assign(gate.work()).expect("it is idle");
            assert_eq!(failures(), 0);
            troupe.assign(gate.work()).expect("room in its mailbox");
            assert_eq!(failures(), 1);

            let (mut accepted, mut assigns) = (2, 0);
            eventually(|| {
                assigns += 1;
                match troupe.assign(gate.work()) {
                    Ok(()) => accepted += 1,
                    Err(refused) => assert!(refused.is_full(), "{refused:?}"),
                }
                failures() >= 4
            });
            assert_eq!(failures(), 4);
            assert_eq!(accepted, 4);
            let took = begun.elapsed();
            assert!(
                took >= 3 * PATIENCE && assigns > 4,
                "asked four times in {took:?}, at {assigns} assigns"
            );

            fillers.release_all();
            rest(PATIENCE);
            // Work that has waited since the refusals gets an actor, too.
            for _ in 2..=4 {
                troupe.assign(gate.work()).expect("there are threads");
            }
            eventually(|| troupe.stats().actors == 4);
            assert_eq!(accepted + 3 + fill(&troupe, &gate), 16);
            gate.open();
            settle(&troupe);
            assert_eq!((troupe.stats().completed, failures()), (16 * round, 4));
        }
        end(&troupe);
    });
}

/// A refused growth does not hold up those that wait: for room, for a round, for the end.
#[test]
fn who_waits_is_woken_though_growth_is_refused() {
    limited("who_waits_is_woken_though_growth_is_refused", || {
        for round in 0..rounds(20) {
            let troupe = build(Config::dynamic(1, 6).mailbox_size(1));
            let (gate, start) = (Gate::new(), Gate::new());
            thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    start.pass();
                    troupe.assign_wait(|| Ok(())).is_ok()
                });
                let idler = scope.spawn(|| {
                    start.pass();
                    troupe.wait_idle_timeout(HANG).is_ok()
                });
                start.wait_for(2);
                let fillers = Fillers::take_all();
                assert_eq!(fill(&troupe, &gate), 2);
                start.open();
                if round % 2 == 0 {
                    // While they wait, growth is asked for and refused again.
                    eventually(|| {
                        assert!(troupe.assign(gate.work()).expect_err("full").is_full());
                        troupe.stats().spawn_failures > 1
                    });
                }
                gate.open();
                assert!(waiter.join().expect("no panic"));
                assert!(idler.join().expect("no panic"));
                fillers.release_all();
            });
            end(&troupe);
            assert_eq!(troupe.stats().completed, 3);
        }
    });
}

/// The outcomes that the assigners of a race saw.
#[derive(Default)]
struct Ledger {
    accepted: AtomicU64,
    refused: AtomicU64,
    run: AtomicU64,
    retried: AtomicU64,
    leases: DropCounter,
}

/// Claim: whatever the system refuses while the troupe comes to its end, each accepted work is run or returned, each
/// refused one is with its assigner, the handler and the captures are dropped, and `join` returns.
#[test]
fn refusals_in_the_middle_of_a_shutdown_lose_nothing() {
    limited("refusals_in_the_middle_of_a_shutdown_lose_nothing", || {
        let before = threads();
        let mut failures = 0;
        for round in 0..rounds(100) as u64 {
            failures += end_while_refused(round);
            until_threads_are(before);
        }
        assert!(failures > 0, "the system has refused threads");
    });
}

/// One troupe, three assigners, and an end in between; how many threads were refused.
fn end_while_refused(round: u64) -> u64 {
    let mut rng = Rng::new(round);
    let ledger = std::sync::Arc::new(Ledger::default());
    let config = Config::dynamic(round as usize % 2, 300)
        .mailbox_size(rng.below(3) as usize)
        .idle_timeout(Duration::from_micros(rng.below(200)))
        .thread_name("part");
    let (in_handler, lease) = (ledger.clone(), ledger.leases.lease());
    let troupe = Troupe::<()>::builder(config)
        .error_handler(move |_, context| {
            let _held = &lease;
            let ledger = in_handler.clone();
            let retry = context.reassign(move || {
                ledger.run.fetch_add(1, SeqCst);
                Ok(())
            });
            if retry.is_ok() {
                in_handler.retried.fetch_add(1, SeqCst);
            }
        })
        .build()
        .expect("one thread");
    let start = Gate::new();
    let mut returned = Vec::new();
    thread::scope(|scope| {
        for feeder in 0..3 {
            let (troupe, ledger, start) = (&troupe, &ledger, &start);
            scope.spawn(move || {
                let mut rng = Rng::new(1_000 + 10 * round + feeder);
                start.pass();
                for index in 0..400 {
                    let (lease, inside) = (ledger.leases.lease(), ledger.clone());
                    let dally = rng.below(2_000);
                    let work = Work::new(move || {
                        let _held = &lease;
                        inside.run.fetch_add(1, SeqCst);
                        for _ in 0..dally {
                            std::hint::spin_loop();
                        }
                        if index % 16 == 0 { Err(()) } else { Ok(()) }
                    });
                    let answer = match index % 4 {
                        0 => troupe.assign_wait(work),
                        1 => troupe.assign_timeout(work, Duration::from_micros(100)),
                        _ => troupe.assign(work),
                    };
                    match answer {
                        Ok(()) => ledger.accepted.fetch_add(1, SeqCst),
                        Err(_) => ledger.refused.fetch_add(1, SeqCst),
                    };
                    if rng.chance(3) {
                        rng.pause(Duration::from_micros(300)); // long enough to retire
                    }
                }
            });
        }
        start.wait_for(3);
        let fillers = Fillers::take_all_but(rng.below(4) as usize);
        start.open();
        let middle = rng.below(1_000);
        eventually(|| ledger.accepted.load(SeqCst) + ledger.refused.load(SeqCst) >= middle);
        match round % 3 {
            0 => drop(troupe.shutdown()),
            1 => returned = troupe.shutdown_now(),
            _ => {
                // Threads are given again, just then.
                fillers.release_all();
                returned = troupe.shutdown_now();
                return;
            }
        }
        join(&troupe);
        fillers.release_all();
    });
    join(&troupe);
    let stats = troupe.stats();
    let of = |counter: &AtomicU64| counter.load(SeqCst);
    let accepted = of(&ledger.accepted) + of(&ledger.retried);
    assert_eq!(
        of(&ledger.run) + returned.len() as u64,
        accepted,
        "run or returned: {stats:?}"
    );
    assert_eq!(
        of(&ledger.accepted) + of(&ledger.refused),
        1_200,
        "{stats:?}"
    );
    assert_eq!(stats.accepted, accepted, "{stats:?}");
    assert_eq!(stats.returned, returned.len() as u64, "{stats:?}");
    assert_eq!((stats.actors, stats.queued, stats.running), (0, 0, 0));
    assert!(stats.peak < LIMIT, "{stats:?}");
    drop(returned);
    ledger.leases.assert_balanced();
    stats.spawn_failures
}

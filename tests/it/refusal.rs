//! A system that really refuses threads: the tests run again in a child process that may have twenty.
//!
//! `setpriv` and `prlimit` limit a user id that nothing else uses, which takes root. Elsewhere these tests say that they
//! are skipped, and `build.rs` has what can be had with a stack that no system gives.
#![cfg(target_os = "linux")]

use crate::support::{
    Gate, HANG, Tally, end, eventually, fill, settle, wait_until_blocked, within,
};
use parking_lot::Mutex;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use troupe_pool::{AssignError, BuildError, Config, JoinError, Troupe};

const VARIABLE: &str = "TROUPE_REFUSAL_CHILD";
const LIMIT: usize = 20;

fn is_child() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

fn has(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs the test of that name, of this module, where no more than [`LIMIT`] threads are given.
#[track_caller]
fn run_limited(test: &str) {
    if !is_root() || !has("setpriv") || !has("prlimit") {
        println!("skipped: refusing threads for real takes root, setpriv and prlimit");
        return;
    }
    // One at a time: a binary cannot be executed while another test's child, just forked, still has it open for writing.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    // Where anybody may execute it, whatever the build directory allows.
    let directory = std::env::temp_dir().join(format!("troupe-{}-{test}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the child");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let binary = directory.join("it");
    // Copied by a process of its own. If this one wrote the file, a child that another test starts at that moment would
    // hold it open for writing, and it could not be executed.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().expect("known here"))
        .arg(&binary)
        .status()
        .expect("cp runs");
    assert!(copied.success(), "a copy for the child");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("it is ours");
    // The limit is one of the user id: each test, and each run, has its own.
    let salt = test.bytes().fold(std::process::id(), |salt, byte| {
        salt.wrapping_mul(31).wrapping_add(byte.into())
    });
    let user = 54_321 + salt % 5_000;
    let output = Command::new("setpriv")
        .args([format!("--reuid={user}"), "--clear-groups".to_owned()])
        .args(["prlimit".to_owned(), format!("--nproc={LIMIT}:{LIMIT}")])
        .arg(&binary)
        .args([
            &format!("refusal::{test}"),
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(VARIABLE, "1")
        .current_dir("/")
        .output()
        .expect("the tools are there");
    drop(fs::remove_dir_all(&directory));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Takes every thread that the system still gives; each goes when its gate opens.
struct Fillers(Vec<(Gate, thread::JoinHandle<()>)>);

impl Fillers {
    fn take_all() -> Self {
        let mut fillers = Vec::new();
        loop {
            let gate = Gate::new();
            let pass = gate.clone();
            match thread::Builder::new().spawn(move || pass.pass()) {
                Ok(thread) => fillers.push((gate, thread)),
                Err(_) => break,
            }
        }
        assert!(
            !fillers.is_empty() && fillers.len() < LIMIT,
            "the limit binds: {}",
            fillers.len()
        );
        Self(fillers)
    }

    fn release(&mut self, count: usize) {
        for (gate, thread) in self.0.drain(..count) {
            gate.open();
            thread.join().expect("no panic");
        }
    }

    fn release_all(mut self) {
        self.release(self.0.len());
    }
}

/// "A growing troupe that has an actor carries on with it, counts the refusal, and does not retry the system call on
/// every assign."
#[test]
fn growth_that_is_refused_carries_on() {
    if !is_child() {
        return run_limited("growth_that_is_refused_carries_on");
    }
    let troupe: Troupe =
        Troupe::new(Config::dynamic(0, 400).mailbox_size(2)).expect("it starts no thread");
    let gate = Gate::new();
    let accepted = fill(&troupe, &gate);
    let stats = troupe.stats();
    assert!(stats.actors > 1 && stats.actors < LIMIT, "{stats:?}");
    // `Full` means it: every mailbox of those that live is full.
    assert_eq!(accepted, 3 * stats.actors, "{stats:?}");
    assert!(stats.spawn_failures >= 1, "{stats:?}");
    assert_eq!(
        (stats.grown as usize, stats.peak, stats.capacity),
        (stats.actors, stats.actors, 1_200)
    );
    for _ in 0..10_000 {
        assert!(
            troupe
                .assign(|| Ok(()))
                .expect_err("no room and no thread")
                .is_full()
        );
    }
    let failures = troupe.stats().spawn_failures - stats.spawn_failures;
    assert!(
        failures < 1_000,
        "{failures} system calls for 10,000 assigns"
    );
    gate.wait_for(stats.actors);
    gate.open();
    end(&troupe);
    let stats = troupe.stats();
    assert_eq!(
        (stats.accepted, stats.completed),
        (accepted as u64, accepted as u64)
    );
    assert_eq!(stats.refused, 10_001);
}

/// When the system has threads again, the troupe has them, too.
#[test]
fn it_grows_again_when_there_are_threads() {
    if !is_child() {
        return run_limited("it_grows_again_when_there_are_threads");
    }
    within(HANG, || {
        let troupe: Troupe =
            Troupe::new(Config::dynamic(1, 4).mailbox_size(2)).expect("one thread");
        let fillers = Fillers::take_all();
        let gate = Gate::new();
        let works = 3; // one running, two waiting
        for _ in 0..works {
            troupe
                .assign(gate.work())
                .expect("it carries on with the actor that it has");
        }
        assert!(troupe.assign(|| Ok(())).expect_err("full").is_full());
        assert_eq!(troupe.stats().actors, 1);
        assert!(troupe.stats().spawn_failures >= 1);
        fillers.release_all();
        let mut more = 0;
        eventually(|| {
            more += usize::from(troupe.assign(gate.work()).is_ok());
            troupe.stats().actors == 4
        });
        more += fill(&troupe, &gate);
        assert_eq!(works + more, 12);
        gate.open();
        end(&troupe);
        assert_eq!(troupe.stats().completed, 12);
    });
}

/// "With no actor at all every assign tries, and the work comes back in `AssignError::Spawn`, from `assign_wait` too";
/// and the first try after there are threads again succeeds.
#[test]
fn with_no_actor_every_assign_tries() {
    if !is_child() {
        return run_limited("with_no_actor_every_assign_tries");
    }
    within(HANG, || {
        let troupe: Troupe =
            Troupe::new(Config::dynamic(0, 4).mailbox_size(2)).expect("it starts no thread");
        let mut fillers = Fillers::take_all();
        let tally = Tally::new(30);
        for index in 0..30 {
            let answer = match index % 3 {
                0 => troupe.assign(tally.work(index)),
                1 => troupe.assign_wait(tally.work(index)),
                _ => troupe.assign_timeout(tally.work(index), HANG),
            };
            match answer {
                Err(AssignError::Spawn { work, source }) => {
                    assert_eq!(source.kind(), std::io::ErrorKind::WouldBlock);
                    assert_eq!(tally.count(index), 0);
                    work.run().expect("it succeeds");
                }
                other => panic!("expected Spawn, got {other:?}"),
            }
        }
        let stats = troupe.stats();
        assert_eq!(
            (
                stats.spawn_failures,
                stats.refused,
                stats.accepted,
                stats.actors
            ),
            (30, 30, 0, 0)
        );
        tally.assert_each_once();
        fillers.release(1);
        // The thread's place is free a moment after it has been joined.
        eventually(|| troupe.assign(|| Ok(())).is_ok());
        settle(&troupe);
        assert_eq!((troupe.stats().actors, troupe.stats().completed), (1, 1));
        fillers.release_all();
        end(&troupe);
    });
}

/// "Waiting assigners are woken by ... growth": one that waits because the system gave no thread gets a place in the
/// mailbox of the actor that another's assign starts later, though nobody finishes anything.
/// Fails when a growth that succeeds does not wake one of those that wait.
#[test]
fn growth_wakes_a_waiter() {
    if !is_child() {
        return run_limited("growth_wakes_a_waiter");
    }
    within(HANG, || {
        let config = Config::dynamic(1, 2).mailbox_size(1);
        let troupe: Arc<Troupe> = Arc::new(Troupe::new(config).expect("one thread"));
        let (gate, start, started) = (Gate::new(), Gate::new(), Arc::new(AtomicBool::new(false)));
        // Before the threads are taken, so that it is not refused itself.
        let waiter = {
            let (troupe, work) = (Arc::clone(&troupe), gate.work());
            let (start, started) = (start.clone(), Arc::clone(&started));
            let builder = thread::Builder::new().name("grown-for".to_owned());
            let wait = move || {
                start.pass();
                started.store(true, SeqCst);
                troupe.assign_wait(work).is_ok()
            };
            builder.spawn(wait).expect("a thread")
        };
        start.wait_for(1);
        let fillers = Fillers::take_all();
        assert_eq!(fill(&troupe, &gate), 2);
        start.open();
        eventually(|| started.load(SeqCst));
        wait_until_blocked("grown-for");
        fillers.release_all();
        let mut more = 0;
        eventually(|| {
            more += u64::from(troupe.assign(gate.work()).is_ok());
            troupe.stats().actors == 2
        });
        assert!(waiter.join().expect("no panic"));
        gate.open();
        end(&troupe);
        assert_eq!(troupe.stats().completed, 2 + more + 1);
    });
}

/// "`build` returns an error and stops what it had started": eighteen of the four hundred had been, and they go.
#[test]
fn a_build_that_is_refused_stops_what_it_started() {
    if !is_child() {
        return run_limited("a_build_that_is_refused_stops_what_it_started");
    }
    let threads = || {
        fs::read_dir("/proc/self/task")
            .expect("Linux has /proc")
            .count()
    };
    let before = threads();
    for config in [
        Config::fixed(400),
        Config::dynamic(300, 400),
        Config::dynamic(0, 400).initial(300),
    ] {
        match Troupe::new(config.mailbox_size(1).thread_name("part")) {
            Err(BuildError::Spawn { thread, source }) => {
                assert!(
                    thread.starts_with("part-") && thread != "part-0",
                    "{thread}"
                );
                assert_eq!(source.kind(), std::io::ErrorKind::WouldBlock);
            }
            other => panic!("expected Spawn, got {other:?}"),
        }
        eventually(|| threads() == before);
    }
    let mut built = None;
    eventually(|| {
        built = Troupe::new(Config::fixed(4).mailbox_size(1)).ok();
        built.is_some()
    });
    let troupe: Troupe = built.expect("set above");
    let gate = Gate::new();
    assert_eq!(fill(&troupe, &gate), 8);
    gate.open();
    end(&troupe);
}

/// Several assigners at once where the system refuses: nobody loses a work, nobody hangs.
#[test]
fn many_assigners_while_threads_are_refused() {
    if !is_child() {
        return run_limited("many_assigners_while_threads_are_refused");
    }
    within(HANG, || {
        let config = Config::dynamic(0, 300)
            .mailbox_size(1)
            .idle_timeout(std::time::Duration::from_micros(200));
        let troupe: Troupe = Troupe::new(config).expect("it starts no thread");
        let tally = Tally::new(3_000);
        // Once the troupe grows there may be no thread left for the next feeder.
        let all_there = Barrier::new(3);
        thread::scope(|scope| {
            for feeder in 0..3 {
                let (troupe, tally, all_there) = (&troupe, &tally, &all_there);
                scope.spawn(move || {
                    all_there.wait();
                    for index in 0..1_000 {
                        let mut work = tally.work(feeder * 1_000 + index);
                        while let Err(refused) = troupe.assign_wait(work) {
                            assert!(matches!(refused, AssignError::Spawn { .. }), "{refused:?}");
                            work = refused.into_work();
                        }
                    }
                });
            }
        });
        assert_ne!(troupe.wait_idle(), Err(JoinError::WouldDeadlock));
        end(&troupe);
        tally.assert_each_once();
        assert!(troupe.stats().peak < LIMIT);
    });
}

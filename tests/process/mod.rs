//! Facts of the system about this process, and tests that run again in a separate process.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::eventually;

/// Set in a child process that runs one test of this binary again.
const CHILD: &str = "TROUPE_TEST_CHILD";

/// Set where a test that cannot be run must fail.
const NO_SKIP: &str = "TROUPE_NO_SKIP";

/// The threads of this process. Not by listing them: while some end, a listing
/// can miss others.
pub(crate) fn threads() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    let threads = threads.and_then(|threads| threads.trim().parse().ok());
    threads.expect("a process has threads")
}

/// Those of its threads whose name begins so.
pub(crate) fn threads_named(prefix: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has /proc");
    let names = tasks.flatten().map(|task| task.path().join("comm"));
    names
        .filter(|name| fs::read_to_string(name).is_ok_and(|name| name.starts_with(prefix)))
        .count()
}

/// Its open files, without the one that looks for them.
pub(crate) fn descriptors() -> usize {
    count("/proc/self/fd") - 1
}

/// Its mappings of memory: stacks, heaps, files.
pub(crate) fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps")
        .expect("Linux has /proc")
        .lines()
        .count()
}

/// Its memory that is in RAM.
pub(crate) fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next())
        .and_then(|number| number.parse().ok())
        .expect("a number of kB")
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).expect("Linux has /proc").count()
}

/// Waits until this process has no more than so many threads: one that has been joined is seen a moment longer.
#[track_caller]
pub(crate) fn until_threads_are(before: usize) {
    eventually(|| threads() <= before);
    assert_eq!(threads(), before, "threads, of those that were there");
}

/// The number in this variable, or else `short`. Fails if it is none.
pub(crate) fn size(variable: &str, short: u64) -> u64 {
    std::env::var(variable).map_or(short, |text| {
        text.replace('_', "")
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number"))
    })
}

/// Says that a test is not run, and why. Fails instead if [`NO_SKIP`] is set.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    assert!(
        std::env::var_os(NO_SKIP).is_none(),
        "{NO_SKIP} is set, but: {reason}"
    );
    println!("skipped: {reason}");
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test of that name again, alone in a process that this command starts.
pub(crate) fn run_child(mut command: Command, test: &str) -> Output {
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("a child process")
}

/// Fails, with what the child said, unless it has run its one test well. Says it again otherwise.
#[track_caller]
pub(crate) fn expect_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}\n{said}\n{complained}",
        output.status,
    );
    print!("{said}");
}

/// Lets time pass, where that is the subject.
pub(crate) fn rest(time: Duration) {
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}

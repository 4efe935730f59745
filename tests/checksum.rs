//! The example `checksum`, run as a process beside `sha256sum`; and the parts of it that a process
//! cannot be made to show on demand.

#![cfg(unix)]

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    os::unix::{ffi::OsStringExt, fs::symlink, net::UnixListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use crossbeam_channel::bounded;

#[expect(dead_code, reason = "`hash` names only a part of it")]
#[path = "../examples/checksum/error.rs"]
mod error;
#[path = "../examples/checksum/hash.rs"]
mod hash;
#[path = "../examples/checksum/list.rs"]
mod list;
#[path = "../examples/checksum/ordered.rs"]
mod ordered;
mod programs;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "it/support.rs"]
mod support;

use crate::{
    ordered::{Outcome, ordered},
    programs::{Dir, assert_exit, assert_says, example, signal, signal_twice, text},
    support::{HANG, eventually, within},
};

/// SHA-256 of `abc`, from FIPS 180-2.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// SHA-256 of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// --- Helpers ------------------------------------------------------------------------------------

impl Dir {
    /// Runs `checksum` in here and waits for its end.
    fn checksum(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `checksum` in here, with a file as its standard input.
    fn checksum_reading(&self, input: &str, args: &[&str]) -> Output {
        let input = File::open(self.0.join(input)).unwrap();
        self.command(args).stdin(input).output().unwrap()
    }

    fn mkfifo(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.0.join(name)).status();
        assert!(made.unwrap().success());
    }

    /// Opens a FIFO for writing, which waits for its reader. Fails if none comes.
    #[track_caller]
    fn writer(&self, name: &str) -> File {
        let path = self.0.join(name);
        within(HANG, move || File::create(path).unwrap())
    }

    /// Starts `checksum` in here.
    fn start(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Child {
        let mut command = self.command(args);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(example("checksum"));
        command.args(args).current_dir(&self.0).stdin(Stdio::null());
        command
    }

    /// Runs `sha256sum` in here. `None`, and a word about it, where there is no such program or
    /// another one than coreutils'.
    fn sha256sum(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Option<Output> {
        let version = Command::new("sha256sum").arg("--version").output();
        if !version.is_ok_and(|output| text(&output.stdout).contains("GNU coreutils")) {
            println!("skipped the comparison: no sha256sum of GNU coreutils here");
            return None;
        }
        Some(
            Command::new("sha256sum")
                .args(args)
                .current_dir(&self.0)
                .output()
                .unwrap(),
        )
    }
}

/// Waits for the end of a program that says no more than a pipe holds. Fails if it does not end.
#[track_caller]
fn finish(mut child: Child) -> Output {
    eventually(|| child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

/// Names that a list must escape, could confuse with its own marks, or cannot decode.
fn odd_names() -> Vec<OsString> {
    let mut names: Vec<_> = [
        &b"a plain name"[..],
        b" leading blank",
        b"*star",
        b"\\",
        b"back\\slash",
        b"both\\and\nmore",
        b"car\rriage",
        b"escape\x1b",
        b"new\nline",
        b"tab\t",
        b"trailing\n",
        b"(parentheses) = 00",
    ]
    .map(|name| OsString::from_vec(name.to_vec()))
    .into();
    if cfg!(target_os = "linux") {
        names.push(OsString::from_vec(b"not \xff utf-8".to_vec())); // Others refuse such a name.
    }
    names.sort();
    names
}

/// A directory with a file of each odd name, each with other content.
fn odd_dir(test: &str) -> (Dir, Vec<OsString>) {
    let (dir, names) = (Dir::new(test), odd_names());
    for (index, name) in names.iter().enumerate() {
        dir.write(name, vec![b'x'; index * index * 1000]);
    }
    (dir, names)
}

// --- Writing a list -----------------------------------------------------------------------------

#[test]
fn known_vector() {
    let dir = Dir::new("known-vector");
    dir.write("abc", "abc");
    let output = dir.checksum(["abc"]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), format!("{ABC}  abc\n"));
    assert_says(&output, "files: 1, bytes: 3,");
    assert_says(&output, "refusals: 0, errors: 0");
}

#[test]
fn writes_what_sha256sum_writes() {
    let (dir, names) = odd_dir("writes");
    let ours = dir.checksum(&names);
    assert_exit(&ours, 0);
    if let Some(theirs) = dir.sha256sum(&names) {
        assert_eq!(text(&ours.stdout), text(&theirs.stdout));
        assert_eq!(ours.stdout, theirs.stdout);
    }
}

/// With few places, files of very different sizes overtake each other; in the list they do not.
#[test]
fn order_is_the_walks() {
    let dir = Dir::new("order");
    let mut paths = Vec::new();
    for sub in ["a", "a-b", "b"] {
        fs::create_dir(dir.0.join(sub)).unwrap();
        for index in 10..50 {
            let path = format!("{sub}/{index}");
            dir.write(&path, vec![0; if index % 7 == 0 { 300_000 } else { index }]);
            paths.push(format!("./{path}"));
        }
    }
    for (actors, mailbox) in [
        ("1", "0"),
        ("2", "0"),
        ("2", "1"),
        ("5", "3"),
        ("3", "1000"),
    ] {
        let output = dir.checksum(["--quiet", "--actors", actors, "--mailbox", mailbox, "."]);
        assert_exit(&output, 0);
        let stdout = text(&output.stdout);
        let names: Vec<_> = stdout.lines().map(|line| &line[66..]).collect();
        assert_eq!(
            names, paths,
            "with {actors} actors and a mailbox of {mailbox}"
        );
        assert_eq!(text(&output.stderr), "");
    }
}

/// Under `/proc` a file's length says 0, which is no sign that it has changed.
#[test]
#[cfg(target_os = "linux")]
fn length_of_zero_is_no_change() {
    let dir = Dir::new("proc");
    let output = dir.checksum(["/proc/version"]);
    assert_exit(&output, 0);
    if let Some(theirs) = dir.sha256sum(["/proc/version"]) {
        assert_eq!(text(&output.stdout), text(&theirs.stdout));
    }
}

#[test]
fn missing_path_is_an_error_and_the_rest_is_hashed() {
    let dir = Dir::new("missing");
    dir.write("abc", "abc");
    let output = dir.checksum(["gone", "abc"]);
    assert_exit(&output, 1);
    assert_eq!(text(&output.stdout), format!("{ABC}  abc\n"));
    assert_says(&output, "checksum: \"gone\": cannot be listed: ");
    assert_says(&output, "errors: 1");
}

#[test]
fn what_is_no_file_is_skipped_in_a_directory() {
    let dir = Dir::new("skipped");
    dir.write("abc", "abc");
    symlink("abc", dir.0.join("link")).unwrap();
    let socket = UnixListener::bind(dir.0.join("socket")).unwrap();
    dir.mkfifo("fifo");

    let output = dir.checksum(["."]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), format!("{ABC}  ./abc\n"));
    assert_says(&output, "checksum: \"./fifo\": skipped, a fifo\n");
    assert_says(&output, "checksum: \"./socket\": skipped, a socket\n");
    assert_says(&output, "skipped: 3");
    drop(socket);
}

/// A link, a FIFO, a device: as `sha256sum` does. These failed because they were skipped, with exit
/// status 0.
#[test]
fn what_is_named_is_read_whatever_it_is() {
    let dir = Dir::new("named");
    dir.write("abc", "abc");
    symlink("abc", dir.0.join("link")).unwrap();
    symlink("nowhere", dir.0.join("dangling")).unwrap();
    dir.mkfifo("fifo");

    let child = dir.start(["--quiet", "link", "fifo", "/dev/fd/0", "/dev/null"]);
    dir.writer("fifo").write_all(b"abc").unwrap();
    let output = finish(child);
    assert_exit(&output, 0);
    let list = format!("{ABC}  link\n{ABC}  fifo\n{NOTHING}  /dev/fd/0\n{NOTHING}  /dev/null\n");
    assert_eq!(text(&output.stdout), list);
    assert_eq!(text(&output.stderr), "");

    let output = dir.checksum(["dangling", "link"]);
    assert_exit(&output, 1);
    assert_eq!(text(&output.stdout), format!("{ABC}  link\n"));
    assert_says(&output, "checksum: \"dangling\": ");
}

#[test]
fn directory_behind_a_named_link_is_walked() {
    let dir = Dir::new("linked-directory");
    fs::create_dir(dir.0.join("sub")).unwrap();
    dir.write("sub/abc", "abc");
    symlink("sub", dir.0.join("link")).unwrap();
    let output = dir.checksum(["link"]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), format!("{ABC}  link/abc\n"));
}

#[test]
fn dash_and_nothing_are_standard_input() {
    let dir = Dir::new("dash");
    dir.write("abc", "abc");
    for args in [&[][..], &["-"]] {
        let output = dir.checksum_reading("abc", args);
        assert_exit(&output, 0);
        assert_eq!(text(&output.stdout), format!("{ABC}  -\n"));
    }
    dir.write("-", "abc");
    let output = dir.checksum(["./-"]);
    assert_eq!(text(&output.stdout), format!("{ABC}  ./-\n"));
    let output = dir.checksum(["."]);
    assert_eq!(text(&output.stdout), format!("{ABC}  ./-\n{ABC}  ./abc\n"));
}

/// The first takes all of it, and the others find nothing left: whoever reads next, in turn.
#[test]
fn standard_input_named_twice_is_read_in_turn() {
    let dir = Dir::new("dash-twice");
    dir.write("abc", "abc");
    let output = dir.checksum_reading("abc", &["--actors", "4", "-", "abc", "-", "-"]);
    assert_exit(&output, 0);
    let list = format!("{ABC}  -\n{ABC}  abc\n{NOTHING}  -\n{NOTHING}  -\n");
    assert_eq!(text(&output.stdout), list);
}

// --- Verifying a list ---------------------------------------------------------------------------

#[test]
fn either_accepts_the_others_list() {
    let (dir, names) = odd_dir("accepts");
    dir.write("ours", dir.checksum(&names).stdout);
    let ours = dir.checksum(["--check", "ours"]);
    assert_exit(&ours, 0);
    let Some(theirs) = dir.sha256sum(["--check", "ours"]) else {
        return;
    };
    assert_exit(&theirs, 0);

    for form in ["--text", "--binary", "--tag"] {
        let args = [OsStr::new(form), OsStr::new("--")];
        let args = args
            .into_iter()
            .chain(names.iter().map(OsString::as_os_str));
        dir.write("theirs", dir.sha256sum(args).unwrap().stdout);
        let output = dir.checksum(["--check", "theirs"]);
        assert_exit(&output, 0);
        assert_eq!(output.stdout, ours.stdout, "a list written with {form}");
    }
}

#[test]
fn verdicts_are_those_of_sha256sum() {
    let dir = Dir::new("verdicts");
    for name in ["changed", "gone", "new\nline", "same"] {
        dir.write(name, "abc");
    }
    dir.write(
        "list",
        dir.checksum(["changed", "gone", "new\nline", "same"])
            .stdout,
    );
    dir.write("changed", "abd");
    fs::remove_file(dir.0.join("gone")).unwrap();

    let output = dir.checksum(["--check", "list"]);
    assert_exit(&output, 1);
    let verdicts = "changed: FAILED\ngone: FAILED open or read\n\\new\\nline: OK\nsame: OK\n";
    assert_eq!(text(&output.stdout), verdicts);
    assert_says(&output, "checksum: \"gone\": cannot be opened: ");
    assert_says(
        &output,
        "checksum: WARNING: 1 listed file could not be read\n",
    );
    assert_says(
        &output,
        "checksum: WARNING: 1 computed checksum did NOT match\n",
    );
    if let Some(theirs) = dir.sha256sum(["--check", "list"]) {
        assert_exit(&theirs, 1);
        assert_eq!(text(&theirs.stdout), verdicts);
    }

    let output = dir.checksum(["--check", "--quiet", "list"]);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stdout),
        "changed: FAILED\ngone: FAILED open or read\n"
    );
}

#[test]
fn list_from_standard_input() {
    let dir = Dir::new("stdin");
    dir.write("abc", "abc");
    dir.write("list", format!("{ABC}  abc\n"));
    for args in [&["--check", "-"][..], &["--check"], &["-c"]] {
        let output = dir.checksum_reading("list", args);
        assert_exit(&output, 0);
        assert_eq!(text(&output.stdout), "abc: OK\n");
    }
}

/// Standard input cannot be listed if the list itself comes from there.
#[test]
fn standard_input_can_be_listed() {
    let dir = Dir::new("listed-dash");
    dir.write("abc", "abc");
    dir.write("list", format!("{ABC}  -\n"));
    let output = dir.checksum_reading("abc", &["-c", "list"]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "-: OK\n");
    let output = dir.checksum_reading("list", &["-c"]);
    assert_exit(&output, 1);
    assert_says(
        &output,
        "checksum: standard input: no properly formatted checksum lines found\n",
    );
}

/// Each list has its own warnings, and a missing list does not hold up the others.
#[test]
fn several_lists_are_verified_in_their_order() {
    let dir = Dir::new("several");
    dir.write("abc", "abc");
    dir.write("good", format!("{ABC}  abc\n"));
    dir.write("bad", format!("nonsense\n{ABC}  none\n"));
    let output = dir.checksum(["-c", "good", "gone", "bad", "good"]);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stdout),
        "abc: OK\nnone: FAILED open or read\nabc: OK\n"
    );
    assert_says(&output, "checksum: \"gone\": ");
    assert_says(&output, "checksum: \"none\": cannot be opened: ");
    assert_says(
        &output,
        "checksum: WARNING: 1 line is improperly formatted\n\
         checksum: WARNING: 1 listed file could not be read\n\
         checksum: files: 2, ",
    );
    let output = dir.checksum(["-c", "good", "good"]);
    assert_exit(&output, 0);
}

/// `--quiet`, `--status` and `--warn`, of which the last one counts.
#[test]
fn verifying_says_as_much_as_it_is_told_to() {
    let dir = Dir::new("says");
    dir.write("abc", "abc");
    dir.write("abd", "abd");
    dir.write(
        "list",
        format!("{ABC}  abc\nnonsense\n{ABC}  abd\n\n{ABC}\n"),
    );
    let verdicts = "abc: OK\nabd: FAILED\n";
    let warnings = "checksum: WARNING: 2 lines are improperly formatted\n\
                    checksum: WARNING: 1 computed checksum did NOT match\n";
    let lines = "checksum: \"list\": 2: improperly formatted SHA256 checksum line\n\
                 checksum: \"list\": 5: improperly formatted SHA256 checksum line\n";
    let all = format!("{lines}{warnings}");
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], verdicts, warnings),
        (&["-w"], verdicts, &all),
        (&["--warn"], verdicts, &all),
        (&["--quiet"], "abd: FAILED\n", warnings),
        (&["--status"], "", ""),
        (&["--status", "--quiet", "--warn"], verdicts, &all),
        (&["--warn", "--quiet"], "abd: FAILED\n", warnings),
        (&["--warn", "--status"], "", ""),
    ];
    for (options, stdout, stderr) in cases {
        let output = dir.checksum([&["-c"], *options, &["list"]].concat());
        assert_exit(&output, 1);
        assert_eq!(text(&output.stdout), *stdout, "{options:?}");
        let said = text(&output.stderr);
        let said = said.split("checksum: files: ").next();
        assert_eq!(said, Some(*stderr), "{options:?}");
    }
    dir.write("list", "nonsense");
    let output = dir.checksum(["-c", "--status", "list"]);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stderr),
        "checksum: \"list\": no properly formatted checksum lines found\n"
    );
}

#[test]
fn improper_lines_are_an_error_if_it_is_strict() {
    let dir = Dir::new("strict");
    dir.write("abc", "abc");
    dir.write("list", format!("{ABC}  abc\nnonsense\n"));
    assert_exit(&dir.checksum(["-c", "list"]), 0);
    let output = dir.checksum(["-c", "--strict", "list"]);
    assert_exit(&output, 1);
    assert_eq!(text(&output.stdout), "abc: OK\n");
    dir.write("list", format!("{ABC}  abc\n"));
    assert_exit(&dir.checksum(["-c", "--strict", "list"]), 0);
}

/// Missing files may be ignored, but not if all are missing. A file that exists must still match.
#[test]
fn missing_files_can_be_ignored() {
    let dir = Dir::new("ignored");
    dir.write("abc", "abc");
    dir.write("list", format!("{ABC}  gone\n{ABC}  abc\n"));
    let output = dir.checksum(["-c", "--ignore-missing", "list"]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "abc: OK\n");
    assert_says(&output, "checksum: files: 1, ");

    dir.write("list", format!("{ABC}  gone\n"));
    let output = dir.checksum(["-c", "--ignore-missing", "list"]);
    assert_exit(&output, 1);
    assert_eq!(text(&output.stdout), "");
    assert_says(&output, "checksum: \"list\": no file was verified\n");

    dir.write("list", format!("{ABC}  abc\n{ABC}  .\n{ABC}  abc/d\n"));
    let output = dir.checksum(["-c", "--ignore-missing", "list"]);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stdout),
        "abc: OK\n.: FAILED open or read\nabc/d: FAILED open or read\n"
    );
}

#[test]
fn malformed_lines_are_a_warning_unless_there_is_nothing_else() {
    let dir = Dir::new("malformed");
    dir.write("abc", "abc");
    dir.write(
        "list",
        format!("# a comment\n\nnonsense\n{ABC}  abc\r\n{ABC}\n"),
    );
    let output = dir.checksum(["--check", "list"]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "abc: OK\n");
    assert_says(
        &output,
        "checksum: WARNING: 2 lines are improperly formatted\n",
    );

    dir.write("list", "nonsense\n");
    let output = dir.checksum(["--check", "list"]);
    assert_exit(&output, 1);
    assert_says(
        &output,
        "checksum: \"list\": no properly formatted checksum lines found\n",
    );

    let output = dir.checksum(["--check", "gone"]);
    assert_exit(&output, 1);
    assert_says(&output, "checksum: \"gone\": ");
}

#[test]
fn listed_fifo_and_device_are_read() {
    let dir = Dir::new("listed-fifo");
    dir.mkfifo("fifo");
    dir.write(
        "list",
        format!("{ABC}  fifo\n{NOTHING}  /dev/null\n{ABC}  .\n"),
    );
    let child = dir.start(["--check", "list"]);
    dir.writer("fifo").write_all(b"abc").unwrap();
    let output = finish(child);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stdout),
        "fifo: OK\n/dev/null: OK\n.: FAILED open or read\n"
    );
    assert_says(&output, "checksum: \".\": cannot be read: ");
}

// --- The command line, and early ends -----------------------------------------------------------

#[test]
fn wrong_arguments_are_named() {
    let dir = Dir::new("arguments");
    let cases: &[(&[&str], &str)] = &[
        (&["--actors", "0", "."], "--actors: "),
        (&["--actors", "many", "."], "--actors: "),
        (&["--mailbox", "18446744073709551615", "."], "--mailbox: "),
        (&["--mailbox", "-1", "."], "--mailbox: "),
        (&["--mailbox"], "--mailbox"),
        (&["--frobnicate", "."], "--frobnicate"),
        (&["--quiet=3", "."], "--quiet"),
        (&["--status", "."], "--status: only with --check"),
        (&["-w", "."], "--warn: only with --check"),
        (&["--ignore-missing"], "--ignore-missing: only with --check"),
        (&["--strict", "."], "--strict: only with --check"),
    ];
    for (args, words) in cases {
        let output = dir.checksum(*args);
        assert_exit(&output, 2);
        assert_says(&output, words);
        assert_eq!(text(&output.stdout), "");
    }
    let output = dir.checksum(["--help"]);
    assert_exit(&output, 0);
    assert!(text(&output.stdout).contains("usage: checksum"));
}

/// Enough files for more than one block of output.
fn many_files(dir: &Dir, letter: char, count: usize) {
    for index in 0..count {
        dir.write(format!("{letter}{index:04}"), index.to_string());
    }
}

/// Starts `checksum .` and waits for its first line.
fn start_and_read_a_line(dir: &Dir) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut child = dir.start(["--actors", "2", "."]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (child, line, stdout)
}

#[test]
fn interrupt_prints_what_it_had_and_counts_what_is_left() {
    interrupt_in_the_middle("interrupt", |child| signal(child, "INT"));
}

/// As GNU `timeout` sends it: to the process, and to its group. This failed because the second
/// signal ended the program, and finished lines were lost.
#[test]
fn one_stop_that_comes_as_two_signals_prints_what_it_had() {
    interrupt_in_the_middle("two-signals", signal_twice);
}

/// The file in the middle has a tebibyte (of nothing), so the signal comes before the end.
fn interrupt_in_the_middle(test: &str, interrupt: impl Fn(&Child)) {
    let dir = Dir::new(test);
    many_files(&dir, 'a', 1500);
    File::create(dir.0.join("b"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    many_files(&dir, 'c', 100);

    let (child, mut lines, mut stdout) = start_and_read_a_line(&dir);
    interrupt(&child);
    let lines = within(HANG, move || {
        stdout.read_to_string(&mut lines).unwrap();
        lines
    });
    let output = finish(child);

    assert_exit(&output, 130);
    let names: Vec<_> = lines.lines().map(|line| &line[66..]).collect();
    assert_eq!(names.first(), Some(&"./a0000"));
    assert!(names.is_sorted());
    assert!(!names.contains(&"./b"));
    let stderr = text(&output.stderr);
    let left = stderr.split("interrupted: ").nth(1).expect(&stderr);
    let left: usize = left.split(' ').next().unwrap().parse().unwrap();
    assert!(
        (1..=1601 - names.len()).contains(&left),
        "{} printed, {stderr}",
        names.len()
    );
    assert_says(&output, &format!("files: {}, ", names.len()));
}

/// Neither a file that never comes to its end holds it up, nor is what was finished behind it lost.
/// This failed because a FIFO was not read at all.
#[test]
fn interrupt_does_not_wait_for_a_file_without_an_end() {
    let dir = Dir::new("endless");
    dir.write("abc", "abc");
    for name in ["never-opened", "never-closed"] {
        dir.mkfifo(name);
    }
    let child = dir.start(["--actors", "2", "never-opened", "abc", "never-closed"]);
    // The first occupies an actor, and the other one has opened the last.
    let fifo = dir.writer("never-closed");
    signal(&child, "INT");
    let output = finish(child);
    drop(fifo);
    assert_exit(&output, 130);
    assert_eq!(text(&output.stdout), format!("{ABC}  abc\n"));
    assert_says(&output, "interrupted: 2 of the files found so far are left");
}

/// This failed because the thread that printed was the one that read the list.
#[test]
fn interrupt_does_not_wait_for_the_rest_of_a_list() {
    let dir = Dir::new("endless-list");
    dir.write("abc", "abc");
    dir.mkfifo("fifo");
    let mut child = dir
        .command(["--actors", "1", "--check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut list = child.stdin.take().unwrap();
    list.write_all(format!("{ABC}  abc\n{ABC}  fifo\n").as_bytes())
        .unwrap();
    // It has read the list that far, and verified what comes before.
    let fifo = dir.writer("fifo");
    signal(&child, "TERM");
    let output = finish(child);
    drop((list, fifo));
    assert_exit(&output, 130);
    assert_eq!(text(&output.stdout), "abc: OK\n");
}

/// Even if the program waits for a reader of its output.
#[test]
fn second_request_to_stop_ends_it_at_once() {
    let dir = Dir::new("second");
    many_files(&dir, 'a', 4000);
    let mut child = dir.start(["--quiet", "."]);
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0];
    stdout.read_exact(&mut first).unwrap();
    // Its output is more than a pipe holds, and nobody reads it.
    eventually(|| {
        signal(&child, "INT");
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn closed_output_ends_quietly() {
    let dir = Dir::new("closed");
    many_files(&dir, 'a', 4000);
    let (child, _, stdout) = start_and_read_a_line(&dir);
    drop(stdout);
    let output = finish(child);
    assert_exit(&output, 141);
    assert_eq!(text(&output.stderr), "");
}

// --- Parts --------------------------------------------------------------------------------------

/// A file of other length than it had when it was opened has changed; `opened` stands for the
/// length that somebody truncated or appended to.
#[test]
fn changed_length_is_an_error() {
    let dir = Dir::new("changed");
    dir.write("abc", "abc");
    let hash = |opened| {
        let file = File::open(dir.0.join("abc")).unwrap();
        hash::hash_open(&file, opened, &mut [0; 2], |_| true)
    };
    assert_eq!(hash(3).unwrap().unwrap().bytes, 3);
    // A file that grew is not read to its end, which it may not have.
    for (length, bytes) in [(0, 2), (2, 3), (4, 3)] {
        match hash(length) {
            Err(error::Reason::Changed { opened, read }) => {
                assert_eq!((opened, read), (length, bytes));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn hash_gives_up_when_told_to() {
    let dir = Dir::new("gives-up");
    dir.write("abc", "abc");
    assert_eq!(hash::hash(&dir.0.join("abc"), |_| false).unwrap(), None);
}

#[test]
fn lines_survive_the_way_there_and_back() {
    for name in odd_names() {
        let entry = list::Entry {
            digest: [0xa5; 32],
            name: name.into(),
        };
        let mut line = Vec::new();
        list::write_entry(&mut line, &entry.digest, &entry.name);
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(!line.contains(&b'\n'), "{:?} takes two lines", entry.name);
        let mut parser = list::Parser::default();
        assert_eq!(parser.entry(&line), Some(entry));
    }
}

#[test]
fn lines_that_are_none() {
    for line in [
        String::new(),
        ABC.into(),
        format!("{ABC} "),
        format!("{ABC}\t"),
        format!("{ABC}\u{a0}abc"),
        format!("{ABC}0  abc"),
        format!("{}  abc", &ABC[1..]),
        format!("{}g  abc", &ABC[1..]),
        format!("\\{ABC}  a\\bc"),
        format!("\\{ABC}  abc\\"),
        format!("\\{ABC}  a\0bc"),
        format!("\\\\{ABC}  abc"),
        format!("MD5 (abc) = {ABC}"),
        format!("SHA256  (abc) = {ABC}"),
        format!("SHA256 (abc = {ABC}"),
        format!("SHA256 (abc) {ABC}"),
        format!("SHA256 (abc) = {ABC} "),
        "SHA256 (abc) = 00".into(),
    ] {
        let mut parser = list::Parser::default();
        assert_eq!(parser.entry(line.as_bytes()), None, "{line:?}");
    }
}

/// This failed because two characters were wanted.
#[test]
fn one_blank_or_tab_is_enough_between_digest_and_name() {
    for (line, name) in [
        (format!("{ABC} abc"), "abc"),
        (format!("{ABC}\tabc"), "abc"),
        (format!("{ABC}\t abc"), "abc"),
        (format!("{ABC}\t*abc"), "abc"),
        (format!("{ABC}  "), " "),
        (format!("{ABC} *"), "*"),
        (format!("{ABC}   abc"), " abc"),
        (format!("{ABC} **abc"), "*abc"),
        (format!("{ABC}  a\0bc"), "a"),
        (format!("SHA256(abc)= {ABC}\0junk"), "abc"),
    ] {
        let mut parser = list::Parser::default();
        let entry = parser.entry(line.as_bytes());
        let entry = entry.unwrap_or_else(|| panic!("{line:?}"));
        assert_eq!(entry.name, Path::new(name), "{line:?}");
    }
}

/// Otherwise ` abc` could pass for `abc`.
#[test]
fn first_line_decides_how_names_begin() {
    let (short, long) = (format!("{ABC} abc"), format!("{ABC}  abc"));
    let names = |lines: [&str; 2]| {
        let mut parser = list::Parser::default();
        lines.map(|line| parser.entry(line.as_bytes()).map(|entry| entry.name))
    };
    let [abc, blank_abc] = ["abc", " abc"].map(|name| Some(name.into()));
    assert_eq!(names([&short, &long]), [abc.clone(), blank_abc]);
    assert_eq!(names([&long, &short]), [abc.clone(), None]);
    assert_eq!(names([&long, &long]), [abc.clone(), abc]);
}

/// `sha256sum` escapes a name in a verdict only if it would take two lines.
#[test]
fn verdict_takes_one_line() {
    for (name, line) in [
        ("back\\slash", "back\\slash: OK\n"),
        ("both\\and\nmore", "\\both\\\\and\\nmore: OK\n"),
    ] {
        let mut verdict = Vec::new();
        list::write_verdict(&mut verdict, Path::new(name), "OK");
        assert_eq!(text(&verdict), line);
    }
}

/// Whatever becomes of a job, its place is settled, and in its turn.
#[test]
fn every_place_is_settled_in_order() {
    let config = troupe_pool::Config::fixed(2).mailbox_size(1);
    let troupe = troupe_pool::Troupe::builder(config).build().unwrap();
    let (_stop, stopped) = bounded(0);
    let (feed, results) = ordered(&troupe, stopped);
    let feeder = move || {
        for item in 0..100 {
            let goes_on = match item % 5 {
                0 => feed.item(item),
                kind => feed.job(item, None, move || match kind {
                    1 => Ok(Some(item)),
                    2 => Ok(None),
                    3 => Err("an error"),
                    _ => panic!("a panic, as this test wants it"),
                }),
            };
            assert!(goes_on);
        }
    };
    let feeder = std::thread::Builder::new().spawn(feeder).unwrap();
    let expected = (0..100).map(|item| {
        let outcome = match item % 5 {
            0 => None,
            1 => Some(Outcome::Done(item)),
            3 => Some(Outcome::Failed),
            _ => Some(Outcome::NotDone),
        };
        (item, outcome)
    });
    assert_eq!(results.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    feeder.join().unwrap();

    troupe.shutdown();
    troupe.join().unwrap();
    let stats = troupe.stats();
    assert_eq!(
        (stats.completed, stats.failed, stats.panicked),
        (40, 20, 20)
    );
}

/// The same for jobs that never start: one is taken back, one is refused. And after a request to
/// stop for one that does not end.
#[test]
fn jobs_taken_back_refused_and_stuck_are_settled() {
    let config = troupe_pool::Config::fixed(1).mailbox_size(2);
    let troupe = troupe_pool::Troupe::<ordered::Failed<&str, _>>::builder(config)
        .build()
        .unwrap();
    let (stop, stopped) = bounded(0);
    let (feed, mut results) = ordered(&troupe, stopped);
    let (started, is_started) = std::sync::mpsc::channel();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    feed.job(0, None, move || {
        started.send(()).unwrap();
        gate.recv().unwrap();
        Ok(Some("done"))
    });
    is_started.recv().unwrap();
    feed.job(1, None, || Ok(Some("never")));
    assert_eq!(troupe.shutdown_now().len(), 1);
    feed.job(2, None, || Ok(Some("never")));
    drop(stop);
    // The feeder is still there, as one that waits for a list.
    let settled: Vec<_> = results.by_ref().collect();
    let not_done = [0, 1, 2].map(|item| (item, Some(Outcome::NotDone)));
    assert_eq!(settled, not_done);
    drop((feed, results));
    open.send(()).unwrap();
    troupe.join().unwrap();
}

//! The example `checksum`, run as a process beside `sha256sum`; and the parts of it that a process
//! cannot be made to show on demand.

#![cfg(unix)]

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::{ffi::OsStringExt, fs::symlink, net::UnixListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

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

use crate::programs::{Dir, assert_exit, assert_says, example, signal, text};

/// SHA-256 of `abc`, from FIPS 180-2.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

// --- Helpers ------------------------------------------------------------------------------------

impl Dir {
    /// Runs `checksum` in here and waits for its end.
    fn checksum(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(args).output().unwrap()
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
fn what_is_no_file_is_skipped() {
    let dir = Dir::new("skipped");
    dir.write("abc", "abc");
    symlink("abc", dir.0.join("link")).unwrap();
    let socket = UnixListener::bind(dir.0.join("socket")).unwrap();
    let made = Command::new("mkfifo")
        .arg(dir.0.join("fifo"))
        .status()
        .unwrap();
    assert!(made.success());

    let output = dir.checksum(["."]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), format!("{ABC}  ./abc\n"));
    assert_says(&output, "checksum: \"./fifo\": skipped, a fifo\n");
    assert_says(&output, "checksum: \"./socket\": skipped, a socket\n");
    assert_says(&output, "skipped: 3");

    let output = dir.checksum(["link", "/dev/null"]);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "");
    assert_says(&output, "checksum: \"link\": skipped, a symbolic link\n");
    assert_says(&output, "checksum: \"/dev/null\": skipped, a device\n");
    drop(socket);
}

/// In a list `-` is standard input, so the file of that name is listed by another.
#[test]
fn file_named_dash_is_listed_as_a_path() {
    let dir = Dir::new("dash");
    dir.write("-", "abc");
    let output = dir.checksum(["-"]);
    assert_eq!(text(&output.stdout), format!("{ABC}  ./-\n"));
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
    let list = File::open(dir.0.join("list")).unwrap();
    let output = dir.command(["--check", "-"]).stdin(list).output().unwrap();
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "abc: OK\n");
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

/// To open a fifo is to wait for its writer, so a list must not be able to ask for that.
#[test]
fn listed_fifo_is_unreadable() {
    let dir = Dir::new("listed-fifo");
    assert!(
        Command::new("mkfifo")
            .arg(dir.0.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    dir.write("list", format!("{ABC}  fifo\n{ABC}  .\n"));
    let output = dir.checksum(["--check", "list"]);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stdout),
        "fifo: FAILED open or read\n.: FAILED open or read\n"
    );
    assert_says(&output, "checksum: \"fifo\": is not a regular file\n");
}

// --- The command line, and early ends -----------------------------------------------------------

#[test]
fn wrong_arguments_are_named() {
    let dir = Dir::new("arguments");
    let cases: &[(&[&str], &str)] = &[
        (&[], "no PATH"),
        (&["--actors", "0", "."], "--actors: "),
        (&["--actors", "many", "."], "--actors: "),
        (&["--mailbox", "18446744073709551615", "."], "--mailbox: "),
        (&["--mailbox", "-1", "."], "--mailbox: "),
        (&["--mailbox"], "--mailbox"),
        (&["--frobnicate", "."], "--frobnicate"),
        (&["--quiet=3", "."], "--quiet"),
        (&["--check"], "--check takes one FILE"),
        (&["--check", "list", "."], "--check takes one FILE"),
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

/// The file in the middle has a tebibyte (of nothing), so the signal comes before the end.
#[test]
fn interrupt_prints_what_it_had_and_counts_what_is_left() {
    let dir = Dir::new("interrupt");
    many_files(&dir, 'a', 1500);
    File::create(dir.0.join("b"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    many_files(&dir, 'c', 100);

    let (child, mut lines, mut stdout) = start_and_read_a_line(&dir);
    signal(&child, "INT");
    stdout.read_to_string(&mut lines).unwrap();
    let output = child.wait_with_output().unwrap();

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

#[test]
fn closed_output_ends_quietly() {
    let dir = Dir::new("closed");
    many_files(&dir, 'a', 4000);
    let (child, _, stdout) = start_and_read_a_line(&dir);
    drop(stdout);
    let output = child.wait_with_output().unwrap();
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
        assert_eq!(list::parse_entry(&line), Some(entry));
    }
}

#[test]
fn lines_that_are_none() {
    for line in [
        String::new(),
        ABC.into(),
        format!("{ABC}  "),
        format!("{ABC} abc"),
        format!("{ABC}  -"),
        format!("{ABC}0  abc"),
        format!("{}  abc", &ABC[1..]),
        format!("{}g  abc", &ABC[1..]),
        format!("\\{ABC}  a\\bc"),
        format!("\\{ABC}  abc\\"),
        format!("{ABC}  a\0bc"),
        format!("MD5 (abc) = {ABC}"),
        format!("SHA256 (abc = {ABC}"),
        format!("SHA256 (abc) {ABC}"),
        "SHA256 (abc) = 00".into(),
    ] {
        assert_eq!(list::parse_entry(line.as_bytes()), None, "{line:?}");
    }
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
    let troupe = troupe_pool::Troupe::<&str>::builder(config)
        .build()
        .unwrap();
    let mut ordered = ordered::Ordered::new(&troupe);
    let mut settled = Vec::new();
    for item in 0..100 {
        while let Some(due) = ordered.due() {
            settled.push(due);
        }
        ordered.feed(item, move || match item % 4 {
            0 => Ok(Some(item)),
            1 => Ok(None),
            2 => Err("an error"),
            _ => panic!("a panic, as this test wants it"),
        });
    }
    while let Some(due) = ordered.oldest() {
        settled.push(due);
    }
    let expected = (0..100).map(|item| (item, (item % 4 == 0).then_some(item)));
    assert_eq!(settled, expected.collect::<Vec<_>>());

    troupe.shutdown();
    troupe.join().unwrap();
    let stats = troupe.stats();
    assert_eq!(
        (stats.completed, stats.failed, stats.panicked),
        (50, 25, 25)
    );
}

/// The same for jobs that never start: one is taken back, one is refused.
#[test]
fn jobs_taken_back_and_refused_are_settled() {
    let config = troupe_pool::Config::fixed(1).mailbox_size(2);
    let troupe = troupe_pool::Troupe::<&str>::builder(config)
        .build()
        .unwrap();
    let mut ordered = ordered::Ordered::new(&troupe);
    let (started, is_started) = std::sync::mpsc::channel();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    ordered.feed(0, move || {
        started.send(()).unwrap();
        gate.recv().unwrap();
        Ok(Some("done"))
    });
    is_started.recv().unwrap();
    ordered.feed(1, || Ok(Some("never")));
    assert_eq!(troupe.shutdown_now().len(), 1);
    ordered.feed(2, || Ok(Some("never")));
    open.send(()).unwrap();
    assert_eq!(ordered.oldest(), Some((0, Some("done"))));
    assert_eq!(ordered.oldest(), Some((1, None)));
    assert_eq!(ordered.oldest(), Some((2, None)));
    assert_eq!(ordered.oldest(), None);
    troupe.join().unwrap();
}

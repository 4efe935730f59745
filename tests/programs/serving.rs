//! A server as a process, which says on standard output where it listens, and how it got on.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::programs::{signal, signal_twice};
use crate::support::eventually;

/// Killed at the end, if it has not stopped.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Serving {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Serving { child, stdout }
    }

    /// The text between `start` and `end` in its next line.
    pub(crate) fn said<T: std::str::FromStr>(&mut self, start: &str, end: &str) -> T {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let said = line.trim_end().strip_prefix(start);
        let said = said.and_then(|said| said.strip_suffix(end)).expect(&line);
        said.parse().ok().expect(&line)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub(crate) fn signal_twice(&self) {
        signal_twice(&self.child);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end: the exit code, and the rest of what it says.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        eventually(|| self.has_ended());
        let mut report = String::new();
        self.stdout.read_to_string(&mut report).unwrap();
        (self.child.wait().unwrap().code(), report)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

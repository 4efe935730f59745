//! Processes of this program, for the demo and the bench.

use std::{
    env,
    ffi::OsStr,
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
};

/// Killed at its drop, unless it has ended.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts this program again, with these arguments.
    pub(crate) fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> io::Result<Self> {
        Command::new(env::current_exe()?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map(Process)
    }

    /// As a machine that dies.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// As a service manager that stops a service.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        let kill = format!("kill -TERM {}", self.0.id());
        let status = Command::new("sh").args(["-c", &kill]).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("{kill}: {status}")))
        }
    }

    /// Waits for its end. Its output must fit into a pipe.
    pub(crate) fn finish(mut self) -> io::Result<(ExitStatus, String)> {
        let mut said = String::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_string(&mut said)?;
        }
        Ok((self.0.wait()?, said))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither does anything once it has ended and been waited for.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

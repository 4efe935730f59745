//! On which CPUs a workload runs.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::measure::cpus;

/// On which CPUs a workload runs. On one, producer and actor share a cache; on
/// several they fight for its lines: figures of the one say nothing about the
/// other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// On all that this process may use.
    All,
    /// On one of them.
    One,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all CPUs",
            Self::One => "one CPU",
        }
    }

    /// The modes that this machine has, of those that are wanted, and what is
    /// to be said about those that it has not.
    pub(crate) fn available(wanted: &[Self]) -> (Vec<Self>, Vec<&'static str>) {
        let mut remarks = Vec::new();
        let mut modes = wanted.to_vec();
        if cpus() == 1 {
            if wanted.contains(&Self::All) {
                remarks.push("This process may use one CPU only: \"all CPUs\" is left out.");
            }
            modes.retain(|mode| *mode == Self::One);
        } else if wanted.contains(&Self::One) && !has_taskset() {
            remarks.push("There is no `taskset`: \"one CPU\" is left out.");
            modes.retain(|mode| *mode == Self::All);
        }
        (modes, remarks)
    }

    /// A command that runs a program in this mode.
    pub(crate) fn command(self, program: &Path) -> Command {
        if self == Self::All || cpus() == 1 {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args([OsString::from("-c"), first_cpu().into(), program.into()]);
        command
    }
}

fn has_taskset() -> bool {
    let outcome = Command::new("taskset").arg("--version").output();
    outcome.is_ok_and(|output| output.status.success())
}

/// The first CPU that this process may use, which need not be 0.
fn first_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = list.unwrap_or("0").trim();
    list.split([',', '-']).next().unwrap_or("0").to_owned()
}

//! The command line.

use std::path::PathBuf;

use lexopt::prelude::{Long, Value, ValueExt};

use crate::effort::Effort;
use crate::mode::Mode;
use crate::workloads::{self, Workload};

pub(crate) const USAGE: &str = "\
usage: cargo bench --bench compare -- [--quick] [--only NAME,..] [--mode all|one] [--runs N] [--out DIR]

Measures Troupe and other pools, and writes the figures to benches/RESULTS.md and benches/plots.

  --quick     small sizes, in some 80 seconds; writes nothing, and fails if a ratio is more than twice its bar,
              also when measured four times more
  --only      these workloads; writes nothing without --out
  --mode      on all CPUs, or on one; writes nothing without --out
  --runs      repeat everything so often, and show the medians
  --out       where RESULTS.md and plots/ are written; usually benches/
  --help      this text";

/// The task of this process.
pub(crate) enum Task {
    /// Print the usage.
    Help,
    /// Run workloads in other processes.
    Suite(Options),
    /// Measure one workload, for the process that started this one.
    Measure {
        workload: &'static Workload,
        part: String,
        effort: Effort,
    },
}

pub(crate) struct Options {
    pub(crate) effort: Effort,
    pub(crate) only: Vec<&'static Workload>,
    pub(crate) modes: Vec<Mode>,
    pub(crate) runs: usize,
    /// The folder to write to, if anything is to be written.
    pub(crate) out: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse() -> Result<Task, lexopt::Error> {
        let mut effort = None;
        let mut is_bench = false;
        let mut workload = None;
        let mut part = String::new();
        let mut only = None;
        let mut modes = None;
        let mut runs = 1;
        let mut out = None;
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                // `cargo bench` passes it, `cargo test --benches` does not.
                Long("bench") => is_bench = true,
                Long("help") => return Ok(Task::Help),
                Long("quick") => effort = Some(Effort::Quick),
                Long("tiny") => effort = Some(Effort::Tiny),
                Long("workload") => workload = Some(find(&arguments.value()?.string()?)?),
                Long("part") => part = arguments.value()?.string()?,
                Long("only") => {
                    let names = arguments.value()?.string()?;
                    only = Some(names.split(',').map(find).collect::<Result<Vec<_>, _>>()?);
                }
                Long("mode") => {
                    modes = Some(match arguments.value()?.string()?.as_str() {
                        "all" => vec![Mode::All],
                        "one" => vec![Mode::One],
                        other => return Err(format!("no mode {other}: all or one").into()),
                    });
                }
                Long("runs") => runs = arguments.value()?.parse()?,
                Long("out") => out = Some(PathBuf::from(arguments.value()?)),
                Value(_) | Long(_) | lexopt::Arg::Short(_) => return Err(argument.unexpected()),
            }
        }
        if let Some(workload) = workload {
            return Ok(Task::Measure {
                workload,
                part,
                effort: effort.unwrap_or(Effort::Full),
            });
        }
        if runs == 0 {
            return Err("--runs must be at least 1".into());
        }
        let usual = if is_bench { Effort::Full } else { Effort::Tiny };
        let effort = effort.unwrap_or(usual);
        // A part of the results does not replace them.
        let is_whole = only.is_none() && modes.is_none();
        let out = out.or_else(|| is_whole.then(|| in_project("benches")));
        Ok(Task::Suite(Self {
            effort,
            only: only.unwrap_or_else(|| workloads::ALL.iter().collect()),
            modes: modes.unwrap_or_else(|| vec![Mode::All, Mode::One]),
            runs,
            out: out.filter(|_| effort == Effort::Full),
        }))
    }
}

/// A path from the root of this project, wherever the process was started.
pub(crate) fn in_project(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), path].iter().collect()
}

fn find(name: &str) -> Result<&'static Workload, lexopt::Error> {
    workloads::named(name).ok_or_else(|| {
        let names: Vec<&str> = workloads::ALL
            .iter()
            .map(|workload| workload.name)
            .collect();
        format!("no workload {name}; there are {}", names.join(", ")).into()
    })
}

//! Starts a process for each workload, in each mode, and collects the figures.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use crate::effort::Effort;
use crate::figures::{Figures, Run};
use crate::mode::Mode;
use crate::options::Options;
use crate::page::{Missed, Page};
use crate::plots;
use crate::workloads::Workload;

/// How often a quick run measures again what is missed by far.
const MORE_TRIES: usize = 4;

/// Runs everything; fails if a child does, and in a quick run also if a ratio
/// is more than twice its bar in every try.
pub(crate) fn run(options: &Options) -> ExitCode {
    let began = Instant::now();
    let (mut modes, remarks) = Mode::available(&options.modes);
    if options.effort == Effort::Tiny {
        modes.truncate(1);
    }
    let mut failures = Vec::new();
    let mut runs: Vec<Run> = Vec::new();
    for number in 1..=options.runs {
        let mut run = Run::new();
        for &mode in &modes {
            for workload in &options.only {
                if workload.is_once && mode != modes[0] {
                    continue;
                }
                let mode_name = mode.name();
                let name = workload.name;
                eprintln!(
                    "[{:4} s] run {number} of {}, {mode_name}: {name}",
                    began.elapsed().as_secs(),
                    options.runs
                );
                match measured(workload, mode, options.effort) {
                    Ok(figures) => {
                        run.insert((mode, name), figures);
                    }
                    Err(error) => failures.push(format!("{mode_name}: {name} failed: {error}")),
                }
            }
        }
        runs.push(run);
    }

    if options.effort == Effort::Quick {
        let missed = missed_in_every_try(options, &modes, &mut runs);
        failures.extend(missed.iter().map(Missed::text));
    }
    let page = Page::new(options, &modes, &runs);
    let text = page.to_markdown(&remarks, &failures);
    print!("{text}");
    eprintln!("[{:4} s] done", began.elapsed().as_secs());
    if let Some(folder) = &options.out {
        if let Err(error) = write(folder, &text, &page) {
            failures.push(format!("{}: {error}", folder.display()));
        }
    }
    for failure in &failures {
        eprintln!("compare: {failure}");
    }
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Measures again what is missed by far, and returns the ratios that were so in
/// every try. A busy machine spoils one try of so small a size, but hardly the
/// same ratio each time.
fn missed_in_every_try(options: &Options, modes: &[Mode], runs: &mut [Run]) -> Vec<Missed> {
    let mut missed = Page::new(options, modes, runs).missed_by_far();
    for _ in 0..MORE_TRIES {
        for run in &mut *runs {
            for (key, figures) in run {
                if !missed.iter().any(|missed| missed.key == *key) {
                    continue;
                }
                let workload = options.only.iter().find(|workload| workload.name == key.1);
                eprintln!("once more, {}: {}", key.0.name(), key.1);
                let again = workload.map(|workload| measured(workload, key.0, options.effort));
                if let Some(Ok(again)) = again {
                    *figures = again;
                }
            }
        }
        let now = Page::new(options, modes, runs).missed_by_far();
        missed.retain(|missed| now.iter().any(|now| now.is_same(missed)));
    }
    missed
}

/// Has a workload measured by other processes.
fn measured(workload: &Workload, mode: Mode, effort: Effort) -> io::Result<Figures> {
    let program = std::env::current_exe()?;
    let mut figures = Figures::default();
    for part in workload.parts {
        let output = mode
            .command(&program)
            .args(["--workload", workload.name, "--part", part])
            .args(effort.option())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(output.status.to_string()));
        }
        let lines = String::from_utf8_lossy(&output.stdout);
        let new = Figures::from_lines(&lines)
            .ok_or_else(|| io::Error::other(format!("no figures: {lines}")))?;
        figures.append(new);
    }
    Ok(figures)
}

fn write(folder: &Path, text: &str, page: &Page) -> Result<(), Box<dyn std::error::Error>> {
    let plots = folder.join("plots");
    fs::create_dir_all(&plots)?;
    fs::write(folder.join("RESULTS.md"), text)?;
    let plotters: [(&str, plots::Plot); 3] = [
        ("throughput", plots::throughput),
        ("mixed", plots::sojourn),
        ("refusal", plots::refusal),
    ];
    for (workload, plot) in plotters {
        let figures = page.figures_of(workload);
        if !figures.is_empty() {
            plot(&plots, &figures)?;
        }
    }
    Ok(())
}

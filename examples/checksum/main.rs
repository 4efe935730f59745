//! Hashes files on a fixed troupe, in the format of `sha256sum`, and verifies such lists.
//!
//! ```text
//! cargo run --release --example checksum -- PATH... > list
//! cargo run --release --example checksum -- --check list
//! ```
//!
//! A feeder thread walks the tree, or reads the lists, and gives each file to the troupe with
//! `assign_wait`; the main thread prints the results in order. Read `ordered` for how memory stays
//! flat and nothing is forgotten, `crew` for the troupe, its error handler and its end,
//! `examples/support/signals.rs` for Ctrl-C, and `hash` for what a work does. For Unix.

use std::{io, process::ExitCode};

use crossbeam_channel::bounded;

mod args;
mod check;
mod crew;
mod error;
#[path = "../support/fatal.rs"]
mod fatal;
mod hash;
mod list;
mod lists;
#[expect(dead_code, reason = "the other functions serve other examples")]
#[path = "../support/options.rs"]
mod options;
mod ordered;
mod output;
mod report;
#[path = "../support/signals.rs"]
mod signals;
mod sum;
mod tally;
mod walk;

use crate::{args::Task, crew::Crew, fatal::Fatal, report::Report};

fn main() -> ExitCode {
    run().unwrap_or_else(|fatal| match fatal {
        // The reader has gone, as `head` does: the ordinary end of a pipeline. A shell reports the
        // same status for `sha256sum`, which SIGPIPE ends.
        Fatal::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(141),
        fatal => fatal.exit("checksum"),
    })
}

fn run() -> Result<ExitCode, Fatal> {
    let Some(args) = args::parse(lexopt::Parser::from_env())? else {
        return options::print_help(args::HELP).map_err(Fatal::Output);
    };
    let (stop, stopped) = bounded(0);
    let crew = Crew::new(args.config, Report::new(args.say), stopped);
    let crew = crew.map_err(Fatal::build(args::SETTINGS))?;
    let troupe = crew.troupe.handle();
    signals::on_first(move || {
        // The feeder, and the works in the middle of a file, stop at the troupe's `is_shutdown`.
        drop(troupe.shutdown_now());
        drop(stop); // Wakes the main thread.
    })
    .map_err(Fatal::system("signals cannot be watched"))?;
    let tally = match args.task {
        Task::Sum(paths) => sum::run(paths, &crew),
        Task::Check(lists, rules) => check::run(lists, rules, &crew),
    };
    crew.finish(tally)
}

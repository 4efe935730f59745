//! Troupe side by side with other pools.
//!
//! ```sh
//! cargo bench --bench compare                  # figures: benches/RESULTS.md, benches/plots
//! cargo bench --bench compare -- --quick       # a look whether a bar is missed by far
//! cargo bench --bench compare -- --only mixed,latency --mode all
//! ```
//!
//! Run it on a quiet machine. It runs each workload on all CPUs and on one: on
//! one, producer and actor share a cache, on several they fight for its lines.
//!
//! This process only starts others and writes down what they print. Each
//! workload has a process of its own, so that no threads and no memory of
//! another are about. Within a workload all contestants are in one process and
//! take turns: each round runs every one of them once, every second round in
//! reverse order, and a figure is the median of the rounds. So a machine whose
//! speed drifts is as slow for the one as for the other. All are warmed up
//! first, and all stay alive, idle, while others run.
//!
//! A **bar** is what Troupe promises, beside the figure. Bars that are ratios
//! hold on every machine; the few that are nanoseconds do not.

use std::process::ExitCode;

use options::{Options, Task};
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod closed_loop;
mod dice;
mod effort;
mod figures;
mod gate;
mod held;
mod machine;
mod measure;
mod mode;
mod no_ops;
mod options;
mod page;
mod plots;
mod section;
mod start;
mod suite;
mod workloads;

fn main() -> ExitCode {
    match Options::parse() {
        Ok(Task::Help) => {
            println!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Task::Suite(options)) => suite::run(&options),
        Ok(Task::Measure {
            workload,
            part,
            effort,
        }) => {
            print!("{}", (workload.measure)(effort, &part).to_lines());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("compare: {error}\n{}", options::USAGE);
            ExitCode::from(2)
        }
    }
}

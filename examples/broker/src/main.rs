//! At-least-once works from a Redis stream, with a troupe in each worker process. See README.md.
//!
//! Read in this order:
//!
//! - `verdict`, `lease`: how the feeder hears of each message exactly once, whatever becomes of its work,
//! - `inbox`: where it hears that,
//! - `untold`: the verdicts that the broker does not know yet; `waiting`: the messages without one,
//!   which somebody else may settle,
//! - `feeder`: the one thread that talks to Redis, and takes in no more than there is room for,
//! - `stream`, `settle.lua` and the other scripts: what is said to Redis; `link`, `nodes`: over which
//!   connection,
//! - `plan`, `worker`: what it is told to do, and the process around it,
//! - `work`, `order`: what the works do, which is what they are told to: wait, fail, panic, abort,
//! - `demo`: processes that are killed, and the count afterwards; `bench`: what all this costs.
//!
//! For Unix.

use std::{
    io::{self, Write},
    process::ExitCode,
};

mod args;
mod backoff;
mod bench;
mod children;
mod counts;
mod demo;
mod error;
mod feeder;
mod inbox;
mod lease;
mod link;
mod nodes;
#[path = "../../support/options.rs"]
mod options;
mod order;
mod plain;
mod plan;
mod produce;
mod redis_server;
mod say;
mod session;
#[path = "../../support/signals.rs"]
mod signals;
mod stream;
mod untold;
mod verdict;
mod waiting;
mod work;
mod worker;

use crate::{args::Command, error::Fatal};

fn main() -> ExitCode {
    run().unwrap_or_else(|fatal| {
        say::say(&fatal);
        ExitCode::from(fatal.exit_code())
    })
}

fn run() -> Result<ExitCode, Fatal> {
    let Some(command) = args::parse(&mut lexopt::Parser::from_env())? else {
        return options::print_help(args::HELP).map_err(Fatal::Output);
    };
    let is_well = match command {
        Command::Worker(args) => worker::run(&args)?,
        Command::Produce(args) => {
            let sent = produce::run(&args)?;
            writeln!(io::stdout(), "sent {sent}").map_err(Fatal::Output)?;
            true
        }
        Command::Demo(args) => demo::run(&args)?,
        Command::Bench(args) => {
            bench::run(&args)?;
            true
        }
        Command::Plain(args) => {
            plain::run(&args)?;
            true
        }
    };
    Ok(ExitCode::from(u8::from(!is_well)))
}

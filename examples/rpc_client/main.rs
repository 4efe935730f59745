//! Puts load on `rpc_server`, and says what became of each call.
//!
//! ```text
//! cargo run --release --example rpc_client -- --connections 16 --window 64 --duration 10
//! cargo run --release --example rpc_client -- --connections 4 --rate 2000 --work-us 500
//! ```
//!
//! Without `--rate` each connection keeps `--window` calls in flight. With it, calls become due at
//! even intervals, and a latency counts from when its call was due: a server that is late cannot
//! hide that by slowing its clients down.
//!
//! When a call is answered `shutting down` nothing more is sent, on any connection. At the end each
//! connection is closed for writing, and read until the server closes it too.

use std::{
    io,
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

mod args;
#[expect(dead_code, reason = "it builds no troupe")]
#[path = "../support/fatal.rs"]
mod fatal;
mod link;
#[expect(dead_code, reason = "the other functions serve other examples")]
#[path = "../support/options.rs"]
mod options;
mod tally;
#[path = "../support/wire.rs"]
mod wire;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    args::Args,
    fatal::Fatal,
    link::{Link, Load},
    tally::Tally,
};

/// A thread of the client does little, and there are two for each connection.
const STACK: usize = 128 * 1024;

fn main() -> ExitCode {
    run().unwrap_or_else(|fatal| fatal.exit("rpc_client"))
}

fn run() -> Result<ExitCode, Fatal> {
    let Some(args) = args::parse(&mut lexopt::Parser::from_env())? else {
        return options::print_help(args::HELP).map_err(Fatal::Output);
    };
    let tally = put_load_on(&args)?;
    tally
        .print(&mut io::stdout().lock())
        .map_err(Fatal::Output)?;
    Ok(ExitCode::from(u8::from(!tally.is_clean())))
}

/// Connects, then sends and receives on all connections at once.
fn put_load_on(args: &Args) -> Result<Tally, Fatal> {
    let links = (0..args.connections).map(|index| Link::connect(args, index));
    let links = links
        .collect::<io::Result<Vec<_>>>()
        .map_err(Fatal::system(format!("--connect: {:?}", args.connect)))?;
    let load = Load::new(args);
    thread::scope(|scope| {
        let (done, all_done) = mpsc::channel();
        let spawn = |name: &str| thread::Builder::new().name(name.into()).stack_size(STACK);
        let mut receivers = Vec::new();
        for link in &links {
            let (load, done) = (&load, done.clone());
            let receive = move || {
                let tally = link.receive(load);
                drop(done);
                tally
            };
            let threads = spawn("receive")
                .spawn_scoped(scope, receive)
                .and_then(|receiver| {
                    receivers.push(receiver);
                    spawn("send").spawn_scoped(scope, move || link.send(load))
                });
            if let Err(error) = threads {
                // The others would hold up the end of the scope.
                load.stop();
                load.begin();
                links.iter().for_each(Link::hang_up);
                return Err(Fatal::system("a thread was refused")(error));
            }
        }
        drop(done);
        let start = load.begin();
        show_progress(&load, start, args.duration, &all_done);
        let mut tally = Tally::default();
        for receiver in receivers {
            match receiver.join() {
                Ok(part) => tally.add(&part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        tally.took = start.elapsed();
        Ok(tally)
    })
}

/// Until all receivers have left. On no terminal it draws nothing.
fn show_progress(load: &Load, start: Instant, duration: Duration, all_done: &mpsc::Receiver<()>) {
    let bar = ProgressBar::new(duration.as_millis() as u64);
    // The template is a constant; should it ever be wrong, the plain style does as well.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        bar.set_style(style);
    }
    let pause = match bar.is_hidden() {
        true => Duration::MAX,
        false => Duration::from_millis(100),
    };
    while all_done.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        bar.set_position(start.elapsed().as_millis() as u64);
        bar.set_message(format!("{} answers", load.answers()));
    }
    bar.finish_and_clear();
}

//! An axum service in front of a blocking back end, bounded: `serve` it, or put `load` on it.
//!
//! ```text
//! cargo run --release -p axum-example
//! curl -i http://127.0.0.1:3000/call/1
//! cargo run --release -p axum-example -- load
//! ```
//!
//! README.md has the table that `load` prints, which outcome is which status, and what must not be
//! done on a thread of the runtime. For Linux: `load` reads /proc.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use axum_example::{backend::Simulated, pool::Pool, server, service::Service};
use tokio::{net::TcpListener, runtime, sync::oneshot};
use troupe_pool::{Config, Troupe};

mod args;
mod error;
mod load;
#[expect(dead_code, reason = "the other functions serve other examples")]
#[path = "../../support/options.rs"]
mod options;
#[path = "../../support/signals.rs"]
mod signals;

use crate::{
    args::{Behind, Both, Command, Serve},
    error::Fatal,
};

fn main() -> ExitCode {
    run().unwrap_or_else(|fatal| {
        // `eprintln` would panic if standard error is closed.
        writeln!(io::stderr().lock(), "axum-example: {fatal}").ok();
        ExitCode::from(fatal.exit_code())
    })
}

fn run() -> Result<ExitCode, Fatal> {
    let command = args::parse(&mut lexopt::Parser::from_env())?;
    let is_well = match command {
        Command::Help => say(args::HELP).map(|()| true),
        Command::Serve(both, serve) => {
            open_files()?;
            serve_until_stopped(&both, &serve)
        }
        Command::Load(both, load) => {
            load.check(open_files()?)?;
            load::run(&both, &load)
        }
    }?;
    Ok(ExitCode::from(u8::from(!is_well)))
}

/// As many as the system allows; how many those are.
fn open_files() -> Result<u64, Fatal> {
    rlimit::increase_nofile_limit(u64::MAX).map_err(Fatal::OpenFiles)
}

fn say(text: &str) -> Result<(), Fatal> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Fatal::Output)
}

/// The troupe lives on this thread, around the runtime. So it is joined by a thread that has
/// nothing else to do, and after everybody who could wait for one of its works.
fn serve_until_stopped(both: &Both, serve: &Serve) -> Result<bool, Fatal> {
    let simulated = Simulated {
        time: both.work,
        error_every: both.error_every,
        panic_every: both.panic_every,
    };
    let config = Config::fixed(both.max).mailbox_size(both.mailbox);
    let (troupe, pool) = match serve.pool {
        Behind::Troupe => {
            // No error handler: who waits is told of errors and panics, and the troupe counts them.
            let troupe = Troupe::builder(config.thread_name("axum")).build()?;
            let pool = Pool::Troupe(troupe.handle());
            (Some(troupe), pool)
        }
        Behind::SpawnBlocking => (None, Pool::SpawnBlocking),
        Behind::Limited => (None, Pool::Limited(both.places())),
    };
    let service = Service::new(pool, simulated);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(both.runtime_threads)
        .enable_all()
        .build()
        .map_err(Fatal::Runtime)?;

    let ended = runtime.block_on(async {
        let listening = TcpListener::bind(&serve.listen).await;
        let listening = listening.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening.map_err(|error| Fatal::Listen {
            address: serve.listen.clone(),
            error,
        })?;
        let stop = stopped().map_err(Fatal::Signals)?;
        say(&format!("listening: http://{address}\n"))?;
        let router = service.clone().router();
        let give_up = || {
            if let Some(troupe) = &troupe {
                drop(troupe.shutdown_now()); // The drop of each resolves its reply.
            }
        };
        Ok::<_, Fatal>(server::serve(listener, router, stop, serve.times, give_up).await)
    })?;

    runtime.shutdown_timeout(ended.left());
    let is_drained = troupe.is_none_or(|troupe| {
        troupe.shutdown();
        // Works may be left whose clients have gone.
        troupe.join_timeout(ended.left()).is_ok() || {
            // Threads without a work need not be waited for.
            let stats = troupe.stats();
            stats.queued + stats.running == 0
        }
    });
    let is_well = ended.is_answered && is_drained;
    let end = if is_well { "drained" } else { "not drained" };
    say(&format!("{end}\n{}", service.stats())).ok(); // Standard output may be closed.
    Ok(is_well)
}

/// Resolves at the first request to stop. The second ends the process immediately. It may come when
/// the runtime has ended, so the runtime is not what listens for it.
fn stopped() -> io::Result<impl Future<Output = ()> + Send> {
    let (stop, stopped) = oneshot::channel();
    signals::on_first(move || {
        stop.send(()).ok(); // Nobody listens if the server has failed.
    })?;
    Ok(async {
        stopped.await.ok(); // The thread that sends lives as long as the process.
    })
}

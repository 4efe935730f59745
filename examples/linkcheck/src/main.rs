//! Checks the links of Markdown and HTML documents, and of web sites, on a dynamic troupe. See README.md.
//!
//! The feeder is the main thread. It knows what is to be asked, keeps to the limit of each host,
//! and gives a work for each URL to the troupe. Read in this order:
//!
//! - `lease`: how the feeder hears of each work exactly once, though works fail, panic, are refused
//!   or taken back,
//! - `crew`: the troupe and its error handler,
//! - `feeder`: the bounds, and what is asked when,
//! - `fetch`: what a work does, and the typed errors (`error`) that come of it,
//! - `watch` and `picture`: `stats()` over time.
//!
//! For Unix.

use std::{env, fs, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use troupe_pool::JoinError;
use url::Url;

mod allow;
mod args;
mod crew;
mod demo;
mod document;
mod error;
mod feeder;
mod fetch;
mod filter;
mod header;
mod html;
mod inputs;
mod lease;
mod ledger;
mod markdown;
#[expect(dead_code, reason = "the other functions serve other examples")]
#[path = "../../support/options.rs"]
mod options;
#[cfg(test)]
mod oracle;
mod page;
mod picture;
mod queue;
mod report;
mod sample;
mod server;
#[path = "../../support/signals.rs"]
mod signals;
mod slug;
mod statuses;
mod target;
mod watch;

use crate::{
    allow::AllowList,
    args::Args,
    crew::Crew,
    demo::Demo,
    error::Fatal,
    feeder::{Feeder, Plan},
    fetch::{Fetcher, Manner},
    inputs::Source,
    lease::Message,
    report::{Outcome, Report},
    sample::Sample,
    target::Resolver,
    watch::{Gauges, Watch},
};

fn main() -> ExitCode {
    run().unwrap_or_else(|fatal| {
        if !fatal.is_closed_output() {
            report::say(&fatal);
        }
        ExitCode::from(fatal.exit_code())
    })
}

fn run() -> Result<ExitCode, Fatal> {
    let Some(args) = args::parse(env::args_os().skip(1).collect())? else {
        return options::print_help(args::HELP).map_err(Fatal::Output);
    };
    let (mut starts, mut paths) = (Vec::new(), Vec::new());
    for name in &args.names {
        match Source::parse(name)? {
            Source::Web(url) if args.is_offline => {
                let message = format!("--offline takes no URL: {url}");
                return Err(Fatal::Usage(message.into()));
            }
            Source::Web(url) => starts.push(url),
            Source::Path(path) => paths.push(path),
        }
    }
    // Served until the end of this function.
    let _demo = if args.is_demo {
        let demo = Demo::start().map_err(Fatal::Demo)?;
        starts.push(demo.url().map_err(|error| Fatal::Demo(error.into()))?);
        Some(demo)
    } else {
        None
    };
    let allowed = Arc::new(read_allow_list(&args)?);
    let report = Arc::new(Report::new(args.is_quiet));
    let (allow_list, reporter) = (Arc::clone(&allowed), Arc::clone(&report));
    let (outcome, samples) = check(&args, starts, paths, allow_list, reporter)?;

    report.clear();
    if args.is_json {
        report::print_json(&outcome)
    } else {
        report::print_lines(&outcome.verdicts)
    }
    .map_err(Fatal::Output)?;
    if !outcome.is_interrupted {
        for pattern in allowed.unused() {
            report.note(format_args!("the allow-list's {pattern:?} allowed nothing"));
        }
    }
    report.summary(&outcome);
    draw(&args, &outcome, &samples)?;
    Ok(ExitCode::from(match outcome.verdicts.broken.len() {
        _ if outcome.is_interrupted => 130,
        0 if outcome.is_empty() => 2,
        0 => 0,
        _ => 1,
    }))
}

fn read_allow_list(args: &Args) -> Result<AllowList, Fatal> {
    let Some(path) = &args.allow_list else {
        return Ok(AllowList::default());
    };
    let text = fs::read_to_string(path).map_err(|error| Fatal::File {
        option: "--allow-list: ",
        path: path.clone(),
        error,
    })?;
    Ok(AllowList::parse(&text))
}

fn check(
    args: &Args,
    starts: Vec<Url>,
    paths: Vec<PathBuf>,
    allowed: Arc<AllowList>,
    report: Arc<Report>,
) -> Result<(Outcome, Vec<Sample>), Fatal> {
    let fetcher = Fetcher::new(Manner {
        timeout: args.timeout,
        per_host: args.per_host,
        roots: fetch::roots(args.ca.as_deref())?,
        // The demo is on this machine: no proxy leads there.
        use_proxy: !args.is_demo,
        headers: args.headers.clone(),
        accept: args.accept.clone(),
    });
    let crew = Crew::new(
        args.config.clone(),
        args.retries,
        fetcher,
        Arc::clone(&report),
    )?;
    if let Some(path) = &args.svg {
        // That it cannot be written is better known now than after an hour. But what else is wrong
        // with the command line comes first: it is to leave no empty file.
        let opened = fs::File::options().append(true).create(true).open(path);
        opened.map_err(|error| Fatal::File {
            option: "--svg: ",
            path: path.clone(),
            error,
        })?;
    }
    let window = feeder::window(crew.troupe.stats().capacity);
    let (outbox, inbox) = lease::mail(window);
    let (troupe, fetcher, signal) = (
        Arc::clone(&crew.troupe),
        Arc::clone(&crew.fetcher),
        outbox.clone(),
    );
    signals::on_first(move || {
        drop(troupe.shutdown_now());
        fetcher.stop();
        // It may wait for a retry that is due in a minute. There is always room for this one.
        signal.try_send(Message::Stop).ok();
    })
    .map_err(Fatal::Signals)?;

    let gauges = Arc::new(Gauges::default());
    let watch = if args.svg.is_some() || report.is_live() {
        let troupe = crew.troupe.handle();
        let watch = Watch::start(
            troupe,
            Arc::clone(&gauges),
            Arc::clone(&report),
            args.svg.is_some(),
        );
        Some(watch.map_err(Fatal::Thread)?)
    } else {
        None
    };
    let plan = Plan {
        resolver: Resolver {
            root: args.root.clone(),
            is_offline: args.is_offline,
            allowed,
            filter: args.filter.clone(),
        },
        starts,
        depth: args.depth,
        per_host: args.per_host,
        backoff: args.backoff,
        max_redirects: args.redirects,
        current: env::current_dir().unwrap_or_default(),
    };
    let feeder = Feeder::new(&crew, plan, gauges, window, (outbox, inbox));
    let (verdicts, effort) = feeder.run(inputs::inputs(paths))?;
    let time = report.elapsed();
    let is_interrupted = crew.troupe.is_shutdown();

    let samples = watch.map(|watch| {
        let shrinking = args.config.idle_timeout.saturating_mul(2);
        let at_most = if is_interrupted {
            Duration::ZERO
        } else {
            shrinking
        };
        watch.finish(args.config.min, at_most)
    });
    crew.troupe.shutdown();
    let patience = if is_interrupted {
        Duration::ZERO // The feeder has waited for what can be waited for.
    } else {
        Duration::MAX
    };
    match crew.troupe.join_timeout(patience) {
        // Work that is stuck in a connect ends with the process.
        Err(JoinError::Timeout) if is_interrupted => {}
        end => end?,
    }
    let outcome = Outcome {
        verdicts,
        effort,
        stats: crew.troupe.stats(),
        requests: crew.fetcher.requests(),
        is_interrupted,
        time,
    };
    Ok((outcome, samples.unwrap_or_default()))
}

fn draw(args: &Args, outcome: &Outcome, samples: &[Sample]) -> Result<(), Fatal> {
    let Some(path) = &args.svg else {
        return Ok(());
    };
    let title = format!(
        "linkcheck{}: {} links on {} to {} actors, {} retries, {} broken",
        if args.is_demo { " --demo" } else { "" },
        outcome.verdicts.links(),
        args.config.min,
        args.config.max,
        outcome.effort.retries,
        outcome.verdicts.broken.len(),
    );
    picture::draw(path, &title, &args.config, samples).map_err(|error| Fatal::Picture {
        path: path.clone(),
        error: error.to_string(),
    })
}

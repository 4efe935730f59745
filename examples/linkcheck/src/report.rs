//! The output for the user: progress and summary on standard error, findings on standard output.

use std::{
    fmt::{self, Display},
    io::{self, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use troupe_pool::Stats;

use crate::{
    document::MAX_PAGE,
    ledger::{Effort, Finding, Verdicts},
    sample::Sample,
};

/// Shared by the feeder, the watch and the error handler.
#[derive(Debug)]
pub(crate) struct Report {
    is_quiet: bool,
    start: Instant,
    /// Draws nothing when standard error is no terminal.
    bar: ProgressBar,
}

/// All that is known at the end.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdicts: Verdicts,
    pub(crate) effort: Effort,
    pub(crate) stats: Stats,
    pub(crate) requests: u64,
    pub(crate) is_interrupted: bool,
    pub(crate) time: Duration,
}

impl Outcome {
    /// Whether it says nothing about any link: a mistake in the command line, most of the time.
    pub(crate) fn is_empty(&self) -> bool {
        self.verdicts.checked() == 0
    }

    /// Why a check without findings may not mean that everything is good.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Effort {
            documents, cut_off, ..
        } = &self.effort;
        let cut_off = cut_off.iter().map(|name| {
            let limit = MAX_PAGE >> 20;
            format!("only the first {limit} MiB are checked: {}", Plain(name))
        });
        let links = self.verdicts.links();
        let nothing = match (documents, links) {
            _ if self.is_interrupted || !self.is_empty() => None,
            (0, _) => Some("there is no document".to_owned()),
            (_, 0) => Some(format!("no links in {documents} documents")),
            _ => Some(format!("all {links} links are skipped or allowed")),
        };
        let nothing = nothing.map(|why| format!("nothing was checked: {why}"));
        cut_off.chain(nothing).collect()
    }
}

impl Report {
    pub(crate) fn new(is_quiet: bool) -> Self {
        let bar = if is_quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        // The template is a constant; should it ever be wrong, the plain style does as well.
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {pos}/{len} links, {msg}") {
            bar.set_style(style.progress_chars("##-"));
        }
        Report {
            is_quiet,
            start: Instant::now(),
            bar,
        }
    }

    /// Whether anybody sees the progress.
    pub(crate) fn is_live(&self) -> bool {
        !self.bar.is_hidden()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn progress(&self, settled: u64, found: u64, broken: usize, sample: &Sample) {
        if !self.is_live() {
            return;
        }
        let Sample {
            actors,
            queued,
            retrying,
            ..
        } = sample;
        self.bar.set_length(found);
        self.bar.set_position(settled);
        self.bar.set_message(format!(
            "{broken} broken, actors {actors}, queued {queued}, retrying {retrying}"
        ));
    }

    /// Ends the progress. Later output has the terminal for itself.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    pub(crate) fn say(&self, message: impl Display) {
        self.bar.suspend(|| say(message));
    }

    /// Says something that is merely good to know.
    pub(crate) fn note(&self, message: impl Display) {
        if !self.is_quiet {
            self.say(message);
        }
    }

    /// The last lines.
    pub(crate) fn summary(&self, outcome: &Outcome) {
        let Outcome {
            verdicts,
            effort,
            stats,
            requests,
            is_interrupted,
            time,
        } = outcome;
        for warning in outcome.warnings() {
            self.say(format_args!("warning: {warning}"));
        }
        if *is_interrupted {
            self.say("interrupted: what was found so far is printed");
        }
        self.note(format_args!(
            "links: {}, good: {}, broken: {}, allowed: {}, skipped: {}, unchecked: {}",
            verdicts.links(),
            verdicts.good,
            verdicts.broken.len(),
            verdicts.allowed,
            verdicts.skipped,
            verdicts.unchecked,
        ));
        self.note(format_args!(
            "documents: {}, urls: {}, requests: {requests}, retries: {}, feeder held: {}, \
             most actors: {}, seconds: {:.2}",
            effort.documents,
            effort.urls,
            effort.retries,
            effort.held,
            stats.peak,
            time.as_secs_f64(),
        ));
    }
}

/// A line for each broken link.
pub(crate) fn print_lines(verdicts: &Verdicts) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for finding in &verdicts.broken {
        let document = Plain(&finding.document);
        match finding.line {
            Some(line) => write!(out, "{document}:{line}: {}: ", Plain(&finding.written))?,
            None => write!(out, "{document}: ")?,
        }
        writeln!(out, "{}", Plain(&reason(finding)))?;
    }
    out.flush()
}

/// Why, and after how many attempts if there was more than one.
fn reason(finding: &Finding) -> String {
    let mut reason = finding.why.to_string();
    if finding.attempts > 1 {
        reason += &format!(" ({} attempts)", finding.attempts);
    }
    reason
}

pub(crate) fn print_json(outcome: &Outcome) -> io::Result<()> {
    let Outcome {
        verdicts,
        effort,
        stats,
        requests,
        is_interrupted,
        time,
    } = outcome;
    let findings: Vec<Value> = verdicts.broken.iter().map(to_json).collect();
    let report = json!({
        "links": verdicts.links(),
        "good": verdicts.good,
        "broken": findings.len(),
        "allowed": verdicts.allowed,
        "skipped": verdicts.skipped,
        "unchecked": verdicts.unchecked,
        "interrupted": is_interrupted,
        "documents": effort.documents,
        "urls": effort.urls,
        "requests": requests,
        "retries": effort.retries,
        "held": effort.held,
        "most_actors": stats.peak,
        "seconds": time.as_secs_f64(),
        "warnings": outcome.warnings(),
        "findings": findings,
    });
    writeln!(io::stdout().lock(), "{report:#}")
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "document": &*finding.document,
        "line": finding.line,
        "link": finding.written,
        "url": finding.url.as_ref().map(|url| url.as_str()),
        "kind": finding.why.kind(),
        "reason": finding.why.to_string(),
        "attempts": finding.attempts,
    })
}

/// Text from a page that somebody else wrote: it must not steer the terminal.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for symbol in self.0.chars() {
            if symbol.is_control() {
                write!(f, "{}", symbol.escape_default())?;
            } else {
                write!(f, "{symbol}")?;
            }
        }
        Ok(())
    }
}

/// Writes a line to standard error. `eprintln` would panic if that is closed.
pub(crate) fn say(message: impl Display) {
    writeln!(io::stderr().lock(), "linkcheck: {message}").ok();
}

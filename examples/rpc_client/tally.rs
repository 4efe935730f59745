//! The outcomes of the calls.

use std::{
    io::{self, Write},
    time::Duration,
};

use hdrhistogram::Histogram;

#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    ok: u64,
    /// Panics among them.
    failed: u64,
    panicked: u64,
    overloaded: u64,
    shutting_down: u64,
    pub(crate) unanswered: u64,
    /// Answers to nothing that was asked, or that say nothing known.
    strange: u64,
    /// The first of them.
    strangest: Option<String>,
    /// Microseconds to an answer of a work: ok or failed.
    latency: Histogram<u64>,
    /// Microseconds to a refusal.
    refusal: Histogram<u64>,
    pub(crate) took: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Failed,
    Overloaded,
    ShuttingDown,
    Strange,
}

impl Default for Tally {
    fn default() -> Self {
        let three_digits = || Histogram::new(3).expect("3 is from 0 to 5");
        Tally {
            sent: 0,
            ok: 0,
            failed: 0,
            panicked: 0,
            overloaded: 0,
            shutting_down: 0,
            unanswered: 0,
            strange: 0,
            strangest: None,
            latency: three_digits(),
            refusal: three_digits(),
            took: Duration::ZERO,
        }
    }
}

impl Tally {
    pub(crate) fn ok(&mut self, latency: Duration) {
        self.ok += 1;
        record(&mut self.latency, latency);
    }

    /// Counts an error by how it begins, except a strange one.
    pub(crate) fn error(&mut self, error: &str, latency: Duration) -> Kind {
        if error.starts_with("failed") || error.starts_with("panicked") {
            self.failed += 1;
            self.panicked += u64::from(error.starts_with("panicked"));
            record(&mut self.latency, latency);
            Kind::Failed
        } else if error.starts_with("overloaded") {
            self.overloaded += 1;
            record(&mut self.refusal, latency);
            Kind::Overloaded
        } else if error.starts_with("shutting down") {
            self.shutting_down += 1;
            Kind::ShuttingDown
        } else {
            Kind::Strange
        }
    }

    pub(crate) fn strange(&mut self, answer: &str) {
        self.strange += 1;
        self.strangest.get_or_insert_with(|| answer.to_owned());
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        let Tally {
            sent,
            ok,
            failed,
            panicked,
            overloaded,
            shutting_down,
            unanswered,
            strange,
            strangest,
            latency,
            refusal,
            took: _,
        } = other;
        self.sent += sent;
        self.ok += ok;
        self.failed += failed;
        self.panicked += panicked;
        self.overloaded += overloaded;
        self.shutting_down += shutting_down;
        self.unanswered += unanswered;
        self.strange += strange;
        self.strangest = self.strangest.take().or_else(|| strangest.clone());
        self.latency += latency;
        self.refusal += refusal;
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.unanswered == 0 && self.strange == 0
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let answered = self.ok + self.failed;
        let rate = answered as f64 / self.took.as_secs_f64();
        writeln!(out, "sent: {}", self.sent)?;
        writeln!(out, "ok: {}", self.ok)?;
        writeln!(out, "failed: {}, panicked: {}", self.failed, self.panicked)?;
        writeln!(out, "overloaded: {}", self.overloaded)?;
        writeln!(out, "shutting down: {}", self.shutting_down)?;
        writeln!(out, "unanswered: {}", self.unanswered)?;
        if let Some(first) = &self.strangest {
            writeln!(
                out,
                "strange answers: {}, the first: {first:?}",
                self.strange
            )?;
        }
        writeln!(out, "calls per second: {rate:.0}")?;
        print_percentiles(out, "latency", &self.latency)?;
        print_percentiles(out, "refusal", &self.refusal)?;
        out.flush()
    }
}

/// The histogram grows as need be.
fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.record(latency.as_micros() as u64).ok();
}

fn print_percentiles(
    out: &mut impl Write,
    name: &str,
    histogram: &Histogram<u64>,
) -> io::Result<()> {
    if histogram.is_empty() {
        return Ok(());
    }
    let milliseconds = |percent| histogram.value_at_quantile(percent) as f64 / 1e3;
    writeln!(
        out,
        "{name}, ms: p50 {:.3}, p90 {:.3}, p99 {:.3}, max {:.3}",
        milliseconds(0.5),
        milliseconds(0.9),
        milliseconds(0.99),
        milliseconds(1.0),
    )
}

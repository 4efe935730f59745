//! Standard error: messages, progress and the last line.

use std::{
    fmt::Display,
    io::{self, Write},
    time::Instant,
};

use indicatif::{ProgressBar, ProgressStyle};
use troupe_pool::Stats;

use crate::{args::Say, tally::Tally};

/// Shared by the main thread, the actors and the error handler.
#[derive(Debug)]
pub(crate) struct Report {
    say: Say,
    start: Instant,
    /// Draws nothing when standard error is no terminal.
    bar: ProgressBar,
}

impl Report {
    pub(crate) fn new(say: Say) -> Self {
        let bar = match say {
            Say::Most | Say::Warn => ProgressBar::new_spinner(),
            Say::Quiet | Say::Status => ProgressBar::hidden(),
        };
        // The template is a constant; should it ever be wrong, the plain style does as well.
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} {decimal_bytes} in {elapsed} ({decimal_bytes_per_sec})",
        ) {
            bar.set_style(style);
        }
        Report {
            say,
            start: Instant::now(),
            bar,
        }
    }

    pub(crate) fn say(&self) -> Say {
        self.say
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Says something that matters even with `--quiet`.
    pub(crate) fn error(&self, message: impl Display) {
        self.aside(|| write(message));
    }

    /// Clears the bar while `write` writes to the terminal, too.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Says something that is merely good to know.
    pub(crate) fn note(&self, message: impl Display) {
        if matches!(self.say, Say::Most | Say::Warn) {
            self.error(message);
        }
    }

    /// The last line.
    pub(crate) fn summary(&self, tally: &Tally, stats: &Stats) {
        self.bar.finish_and_clear();
        let seconds = self.start.elapsed().as_secs_f64();
        let Tally {
            files,
            bytes,
            skipped,
            ..
        } = tally;
        let rate = *bytes as f64 / 1e6 / seconds;
        let (refusals, errors) = (stats.refused, tally.errors(stats));
        self.note(format_args!(
            "files: {files}, bytes: {bytes}, seconds: {seconds:.2}, MB/s: {rate:.1}, \
             skipped: {skipped}, refusals: {refusals}, errors: {errors}"
        ));
    }
}

/// Writes a line to standard error. `eprintln` would panic if that is closed.
fn write(message: impl Display) {
    writeln!(io::stderr().lock(), "checksum: {message}").ok();
}

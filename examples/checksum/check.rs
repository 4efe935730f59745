//! `checksum --check LIST...`: verifies lists.

use std::{io, mem, path::PathBuf, sync::Arc};

use crate::{
    args::{Rules, Say},
    crew::Crew,
    fatal::Fatal,
    list::{self, Entry},
    lists::{Label, Line, Lines},
    ordered::Outcome,
    output::Output,
    report::Report,
    tally::{Hashed, Tally},
};

pub(crate) fn run(lists: Vec<PathBuf>, rules: Rules, crew: &Arc<Crew>) -> Result<Tally, Fatal> {
    let report = &crew.report;
    let mut output = Output::new(report);
    let mut list = Findings::default();
    let mut faults = 0;
    let lines = Lines::new(lists).map(|line| {
        let path = match &line {
            Line::Entry(entry) => Some(entry.name.clone()),
            _ => None,
        };
        (line, path)
    });
    let tally = crew.hash_all(lines, rules.ignore_missing, |line, outcome| {
        match line {
            Line::Entry(entry) => {
                list.entries += 1;
                // Nobody got to it: there is no verdict.
                if outcome == Some(Outcome::NotDone) && crew.is_stopped() {
                    return Ok(());
                }
                if let Some(verdict) = list.judge(&entry, outcome, report.say()) {
                    output.line(|line| list::write_verdict(line, &entry.name, verdict))?;
                }
            }
            Line::Improper(label, number) => {
                list.improper += 1;
                if report.say() == Say::Warn {
                    report.error(format_args!(
                        "{label}: {number}: improperly formatted SHA256 checksum line"
                    ));
                }
            }
            Line::End(label, result) => {
                output.flush()?;
                faults += mem::take(&mut list).sum_up(&label, result, rules, report);
            }
        }
        Ok(())
    })?;
    output.flush().map_err(Fatal::Output)?;
    if crew.is_stopped() {
        list.warn(report); // Of the list that did not come to its end.
    }
    Ok(Tally { faults, ..tally })
}

/// The findings in one list.
#[derive(Debug, Default)]
struct Findings {
    entries: u64,
    improper: u64,
    matched: u64,
    mismatched: u64,
    unreadable: u64,
}

impl Findings {
    /// Counts what became of a file, and says what is printed about it, if anything is.
    fn judge(
        &mut self,
        entry: &Entry,
        outcome: Option<Outcome<Hashed>>,
        say: Say,
    ) -> Option<&'static str> {
        let verdict = match outcome {
            Some(Outcome::Done(Hashed::Missing)) => return None,
            Some(Outcome::Done(Hashed::Sum(sum))) if sum.digest == entry.digest => {
                self.matched += 1;
                if say == Say::Quiet {
                    return None;
                }
                "OK"
            }
            Some(Outcome::Done(Hashed::Sum(_))) => {
                self.mismatched += 1;
                "FAILED"
            }
            Some(Outcome::Failed | Outcome::NotDone) | None => {
                self.unreadable += 1;
                "FAILED open or read"
            }
        };
        (say != Say::Status).then_some(verdict)
    }

    /// Says what was wrong with a list that has come to its end, in the words of `sha256sum`, and
    /// returns how many faults the troupe has not counted.
    fn sum_up(self, label: &Label, result: io::Result<()>, rules: Rules, report: &Report) -> u64 {
        if let Err(error) = result {
            report.error(format_args!("{label}: {error}"));
            return 1;
        }
        if self.entries == 0 {
            report.error(format_args!(
                "{label}: no properly formatted checksum lines found"
            ));
            return 1;
        }
        self.warn(report);
        let is_unverified = rules.ignore_missing && self.matched == 0;
        if is_unverified && report.say() != Say::Status {
            report.error(format_args!("{label}: no file was verified"));
        }
        let is_improper = rules.strict && self.improper > 0;
        self.mismatched + u64::from(is_unverified) + u64::from(is_improper)
    }

    fn warn(&self, report: &Report) {
        if report.say() == Say::Status {
            return;
        }
        let warn = |count, [one, many]: [&str; 2], what: &str| match count {
            0 => {}
            1 => report.error(format_args!("WARNING: 1 {one} {what}")),
            _ => report.error(format_args!("WARNING: {count} {many} {what}")),
        };
        warn(
            self.improper,
            ["line is", "lines are"],
            "improperly formatted",
        );
        let files = ["listed file could not", "listed files could not"];
        warn(self.unreadable, files, "be read");
        let sums = ["computed checksum", "computed checksums"];
        warn(self.mismatched, sums, "did NOT match");
    }
}

//! `checksum --check FILE`: verifies a list.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use crate::{
    crew::Crew,
    fatal::Fatal,
    list::{self, Entry},
    output::Output,
    report::Report,
    tally::Tally,
};

pub(crate) fn run(mut list: List, crew: &Crew) -> io::Result<Tally> {
    let mut output = Output::new(&crew.report);
    let (mut mismatched, mut unreadable) = (0, 0);
    let files = crew.until_stopped(list.by_ref()).map(|entry| {
        let path = entry.name.clone();
        (entry, path)
    });
    let tally = crew.hash_all(files, |entry, sum| {
        let verdict = match sum {
            Some(sum) if sum.digest == entry.digest => "OK",
            Some(_) => {
                mismatched += 1;
                "FAILED"
            }
            // Nobody got to it: there is no verdict.
            None if crew.is_stopped() => return Ok(()),
            None => {
                unreadable += 1;
                "FAILED open or read"
            }
        };
        if verdict == "OK" && crew.report.is_quiet() {
            return Ok(());
        }
        output.line(|line| list::write_verdict(line, &entry.name, verdict))
    })?;
    output.flush()?;

    let unusable = !crew.is_stopped() && list.sum_up(&crew.report);
    warn(
        &crew.report,
        unreadable,
        ["listed file could not", "listed files could not"],
        "be read",
    );
    warn(
        &crew.report,
        mismatched,
        ["computed checksum", "computed checksums"],
        "did NOT match",
    );
    Ok(Tally {
        faults: mismatched + u64::from(unusable),
        ..tally
    })
}

/// The entries of a list, read as the work goes on and not beforehand.
pub(crate) struct List {
    path: PathBuf,
    source: io::Split<Box<dyn BufRead>>,
    entries: u64,
    malformed: u64,
    error: Option<io::Error>,
}

impl List {
    /// Opens the list; `-` is standard input.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Fatal> {
        let source: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(&path).map_err(Fatal::system(format!("{path:?}")))?;
            Box::new(BufReader::new(file))
        };
        Ok(List {
            path,
            source: source.split(b'\n'),
            entries: 0,
            malformed: 0,
            error: None,
        })
    }

    /// Says what was wrong with the list; true if that is an error and not just a warning.
    fn sum_up(&self, report: &Report) -> bool {
        let path = &self.path;
        if let Some(error) = &self.error {
            report.error(format_args!("{path:?}: {error}"));
        } else if self.entries == 0 {
            report.error(format_args!(
                "{path:?}: no properly formatted checksum lines found"
            ));
        } else {
            warn(
                report,
                self.malformed,
                ["line is", "lines are"],
                "improperly formatted",
            );
        }
        self.error.is_some() || self.entries == 0
    }

    fn parse(&mut self, line: &[u8]) -> Option<Entry> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        let entry = list::parse_entry(line);
        match entry {
            Some(_) => self.entries += 1,
            None => self.malformed += 1,
        }
        entry
    }
}

impl Iterator for List {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            match self.source.next()? {
                Ok(line) => {
                    if let Some(entry) = self.parse(&line) {
                        return Some(entry);
                    }
                }
                Err(error) => {
                    self.error = Some(error);
                    return None;
                }
            }
        }
    }
}

/// Says how many, in the words of `sha256sum`.
fn warn(report: &Report, count: u64, [one, many]: [&str; 2], what: &str) {
    match count {
        0 => {}
        1 => report.error(format_args!("WARNING: 1 {one} {what}")),
        _ => report.error(format_args!("WARNING: {count} {many} {what}")),
    }
}

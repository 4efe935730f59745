//! `checksum PATH...`: writes the list.

use std::{io, path::PathBuf};

use crate::{
    crew::Crew,
    list,
    output::Output,
    tally::Tally,
    walk::{Found, walk},
};

pub(crate) fn run(paths: Vec<PathBuf>, crew: &Crew) -> io::Result<Tally> {
    let mut output = Output::new(&crew.report);
    let (mut skipped, mut faults) = (0, 0);
    let files = crew
        .until_stopped(walk(paths))
        .filter_map(|found| match found {
            Found::File(path) => Some((path.clone(), path)),
            Found::Link => {
                skipped += 1;
                None
            }
            Found::Other(path, kind) => {
                skipped += 1;
                crew.report
                    .note(format_args!("{path:?}: skipped, a {kind}"));
                None
            }
            Found::Unreadable(error) => {
                faults += 1;
                crew.report.error(error);
                None
            }
        });
    let tally = crew.hash_all(files, |path, sum| match sum {
        Some(sum) => output.line(|line| list::write_entry(line, &sum.digest, &path)),
        None => Ok(()), // The error handler has said why.
    })?;
    output.flush()?;
    Ok(Tally {
        skipped,
        faults,
        ..tally
    })
}

//! `checksum PATH...`: writes the list.

use std::{path::PathBuf, sync::Arc};

use crate::{
    crew::Crew,
    fatal::Fatal,
    list,
    ordered::Outcome,
    output::Output,
    tally::{Hashed, Tally},
    walk::{Found, walk},
};

pub(crate) fn run(paths: Vec<PathBuf>, crew: &Arc<Crew>) -> Result<Tally, Fatal> {
    let mut output = Output::new(&crew.report);
    let (mut skipped, mut faults) = (0, 0);
    let files = walk(paths).map(|found| {
        let path = match &found {
            Found::File(path) => Some(path.clone()),
            _ => None,
        };
        (found, path)
    });
    let tally = crew.hash_all(files, false, |found, outcome| {
        match found {
            Found::File(path) => {
                // If there is no sum, the error handler has said why.
                if let Some(Outcome::Done(Hashed::Sum(sum))) = outcome {
                    output.line(|line| list::write_entry(line, &sum.digest, &path))?;
                }
            }
            Found::Link => skipped += 1,
            Found::Other(path, kind) => {
                skipped += 1;
                crew.report
                    .note(format_args!("{path:?}: skipped, a {kind}"));
            }
            Found::Unreadable(error) => {
                faults += 1;
                crew.report.error(error);
            }
        }
        Ok(())
    })?;
    output.flush().map_err(Fatal::Output)?;
    Ok(Tally {
        skipped,
        faults,
        ..tally
    })
}

//! Makes a failing program small.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::choices::Bytes;
use super::program::Program;
use super::search::{Failure, Run, search};
use crate::tests::random::Random;
use crate::tests::schedule::Plan;

/// Tries smaller programs under the same kind of schedule, for at most `time`.
pub(crate) fn shrink(mut failure: Failure, time: Duration) -> Failure {
    let end = Instant::now() + time;
    let mut tries = 400;
    loop {
        let mut has_shrunk = false;
        let mut index = 0;
        loop {
            let candidates = smaller(&failure.run.bytes);
            let Some(candidate) = candidates.get(index) else {
                break;
            };
            if Instant::now() > end {
                return failure;
            }
            match attempt(&failure, candidate, tries) {
                Some(smaller) => {
                    failure = smaller;
                    has_shrunk = true;
                }
                None => index += 1,
            }
        }
        if !has_shrunk {
            if tries > 10_000 {
                return failure;
            }
            tries *= 8;
        }
    }
}

/// Returns simpler strings of bytes, the shortest first.
fn smaller(bytes: &Bytes) -> Vec<Bytes> {
    let (_, mut spans) = Program::make(bytes);
    let mut candidates = Vec::new();
    spans.retain(|span| span.start < bytes.0.len());
    spans.sort_by_key(|span| std::cmp::Reverse(span.len()));
    for span in spans {
        let mut shorter = bytes.clone();
        shorter.0.drain(span.start..span.end.min(bytes.0.len()));
        candidates.push(shorter);
    }
    if let Some((_, rest)) = bytes.0.split_last() {
        candidates.push(Bytes(rest[..rest.len() / 2].to_vec()));
        candidates.push(Bytes(rest.to_vec()));
    }
    for at in (0..bytes.0.len()).filter(|at| bytes.0[*at] != 0) {
        for value in [0, bytes.0[at] / 2, bytes.0[at] - 1] {
            let mut simpler = bytes.clone();
            simpler.0[at] = value;
            if simpler != *bytes && !candidates.contains(&simpler) {
                candidates.push(simpler);
            }
        }
    }
    candidates
}

/// Runs a candidate under some schedules. Only the same failure counts.
fn attempt(failure: &Failure, bytes: &Bytes, tries: usize) -> Option<Failure> {
    let (program, _) = Program::make(bytes);
    let (bytes, program) = (Arc::new(bytes.clone()), Arc::new(program));
    let mut plan = failure.run.plan;
    let mut random = Random::new(plan.seed);
    let mut left = tries;
    let found = search(move |steps| {
        left = left.checked_sub(1)?;
        if left + 1 < tries {
            plan = Plan {
                kind: plan.kind,
                seed: random.next(),
                horizon: plan.horizon.min(steps.max(16) + 8),
            };
        }
        Some(Run {
            bytes: Arc::clone(&bytes),
            program: Arc::clone(&program),
            plan,
        })
    })?;
    (found.class() == failure.class()).then_some(found)
}

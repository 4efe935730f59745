//! Rounds, medians and threads: what the workloads have in common.

use std::thread;
use std::time::{Duration, Instant};

/// How many CPUs this process may use.
pub(crate) fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Runs every contestant once to warm it up, then `rounds` rounds of all of
/// them. Every second round is the one before it in reverse order; after each
/// such pair another contestant begins. With two contestants the order is ABBA
/// BAAB, so neither always goes first. Returns the results by contestant.
///
/// Before each turn it rests, so that whatever the last contestant's threads
/// do before they sleep is not on the next one's account.
pub(crate) fn interleaved<T>(
    contestants: usize,
    rounds: usize,
    mut run: impl FnMut(usize, bool) -> T,
) -> Vec<Vec<T>> {
    let mut turn = |index: usize, is_measured: bool| {
        rest(Duration::from_millis(10));
        run(index, is_measured)
    };
    for index in 0..contestants {
        turn(index, false);
    }
    let mut results: Vec<Vec<T>> = (0..contestants)
        .map(|_| Vec::with_capacity(rounds))
        .collect();
    for round in 0..rounds {
        for offset in 0..contestants {
            let offset = if round % 2 == 0 {
                offset
            } else {
                contestants - 1 - offset
            };
            let index = (round / 2 + offset) % contestants;
            results[index].push(turn(index, true));
        }
    }
    results
}

/// Lets time pass.
pub(crate) fn rest(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the workloads are about time: works come by the clock, and threads rest"
    )]
    thread::sleep(time);
}

/// Times something, in nanoseconds.
pub(crate) fn nanos(run: impl FnOnce()) -> f64 {
    let began = Instant::now();
    run();
    began.elapsed().as_secs_f64() * 1e9
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The smallest value that is not below the given share of all; of an even
/// number the median lies between two, and is their mean.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if share == 0.5 && values.len() % 2 == 0 {
        return (values[middle - 1] + values[middle]) / 2.0;
    }
    let rank = (values.len() as f64 * share) as usize;
    values[rank.min(values.len() - 1)]
}

pub(crate) fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// The mean of the middle half: as deaf to outliers as a median, and finer than
/// the steps of a clock.
pub(crate) fn middle_mean(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = &values[values.len() / 4..values.len() - values.len() / 4];
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// The cost of a read of the clock, in nanoseconds: the time between two reads.
pub(crate) fn clock_cost() -> f64 {
    middle_mean((0..10_000).map(|_| nanos(|| {})).collect())
}

//! Works that compute: what is left of the pools' differences.
//!
//! A work is a chain of multiplications of a length that is calibrated once.
//! The cost of the computation without any pool is measured in the same rounds,
//! on as many plain threads as there are CPUs for the two actors.

use std::hint::black_box;
use std::thread;

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{cpus, interleaved, median, nanos};
use crate::mode::Mode;
use crate::section::{Section, Table};
use crate::support::{self, Pool};

const ACTORS: usize = 2;

fn compute(steps: u64) {
    let mut value = black_box(1_u64);
    for _ in 0..steps {
        value = value
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
    }
    black_box(value);
}

/// How many steps take a microsecond.
fn steps_per_microsecond() -> f64 {
    const STEPS: u64 = 1_000_000;
    let times = (0..9).map(|_| nanos(|| compute(STEPS)));
    STEPS as f64 * 1e3 / median(times.collect())
}

/// Runs the works without a pool; returns the nanoseconds.
fn plain(works: usize, steps: u64) -> f64 {
    let threads = cpus().min(ACTORS);
    nanos(|| {
        thread::scope(|scope| {
            for index in 0..threads {
                let share = works / threads + usize::from(index < works % threads);
                scope.spawn(move || (0..share).for_each(|_| compute(steps)));
            }
        });
    })
}

fn through(pool: &Pool, works: usize, steps: u64) -> f64 {
    let took = support::round(1, works, |count| {
        pool.feed(count, |_| {
            move || {
                compute(steps);
                support::count();
            }
        });
    });
    took.as_secs_f64() * 1e9
}

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 3, 1);
    let micros_in_all = effort.of(100_000, 5_000, 1_000);
    let rate = steps_per_microsecond();
    let contestants = support::contestants(ACTORS);
    let mut figures = Figures::default();
    for micros in [1, 10, 100] {
        let steps = (rate * micros as f64) as u64;
        let works = micros_in_all / micros;
        let cells = interleaved(contestants.len() + 1, rounds, |index, _| match contestants
            .get(index)
        {
            Some(pool) => through(pool, works, steps),
            None => plain(works, steps),
        });
        let mut times = cells.into_iter().map(median);
        let times_of_pools: Vec<f64> = times.by_ref().take(contestants.len()).collect();
        let plain = times.next().expect("the plain threads come last");
        for (contestant, time) in contestants.iter().zip(times_of_pools) {
            let overhead = (time / plain - 1.0) * 100.0;
            figures.put(format!("{micros} us"), contestant.name(), overhead);
        }
    }
    figures
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    Section {
        about: "Percent by which works of so much computation take longer than the computation \
                alone on plain threads; 2 actors, 1 producer, which needs CPU time too."
            .to_owned(),
        tables: vec![Table::of(figures, "a work", 1)],
        bars: Vec::new(),
    }
}

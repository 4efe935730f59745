//! End to end: no-op works through Troupe and through pools without a bound.
//!
//! The workload: one or two producer threads hand over boxed closures that do
//! nothing, to 2 and to 16 threads; timed from the first producer's start until
//! the last work has been run; the figure is the time per work. Troupe's
//! mailboxes hold 128 works each, and a work that is refused is tried again
//! after a yield. `dynamic` is a Dynamic troupe that stays at its max.
//! `threadpool`, `rusty_pool`, `rayon` and `tokio` (its `spawn_blocking`) never
//! refuse: their queues grow instead. `floor` is one bare bounded channel with as many places as all
//! mailboxes together.
//!
//! Pools are built once for all rounds, outside the timing. `compare` has the
//! same workload in interleaved rounds, which is fairer on a machine whose
//! speed drifts; this one has criterion's statistics.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

mod support;

fn throughput(criterion: &mut Criterion) {
    for actors in [2, 16] {
        let contestants = support::contestants(actors);
        for producers in [1, 2] {
            let mut group =
                criterion.benchmark_group(format!("no-op/{actors} actors/{producers} producers"));
            group
                .throughput(Throughput::Elements(1))
                .sampling_mode(SamplingMode::Flat)
                .sample_size(20)
                .warm_up_time(Duration::from_secs(1))
                .measurement_time(Duration::from_secs(3));
            for contestant in &contestants {
                group.bench_function(BenchmarkId::from_parameter(contestant.name()), |bencher| {
                    bencher.iter_custom(|works| {
                        let works = usize::try_from(works).expect("fewer works than addresses");
                        support::round(producers, works, |count| contestant.produce(count))
                    });
                });
            }
            group.finish();
        }
    }
}

// The code of criterion's macros, whose function would have no documentation.
fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    throughput(&mut criterion);
    criterion.final_summary();
}

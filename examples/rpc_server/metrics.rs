//! The figures in Prometheus' text format.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::figures::Figures;

pub(crate) fn render(figures: &Figures<'_>) -> prometheus::Result<String> {
    let Figures { troupe, calls, .. } = figures;
    let gauges = [
        ("troupe_actors", "Actors that there are.", troupe.actors),
        (
            "troupe_actors_busy",
            "Actors that run a work.",
            troupe.running,
        ),
        ("troupe_actors_peak", "Most actors at once.", troupe.peak),
        ("troupe_queued", "Works that wait.", troupe.queued),
        (
            "troupe_capacity",
            "Works that the pool can hold; 0 if it has no bound.",
            troupe.capacity,
        ),
        ("rpc_connections", "Connections open.", figures.connections),
        (
            "rpc_shutting_down",
            "1 from the first signal on.",
            usize::from(figures.shutting_down),
        ),
    ];
    let counters = [
        (
            "troupe_accepted_total",
            "Works accepted, retries included.",
            troupe.accepted,
        ),
        (
            "troupe_refused_total",
            "Works refused, for want of room or for the shutdown.",
            troupe.refused,
        ),
        ("troupe_grown_total", "Actors started.", troupe.grown),
        ("troupe_retired_total", "Actors retired.", troupe.retired),
        (
            "troupe_shared_total",
            "Works taken from a busy actor's mailbox by another.",
            troupe.shared,
        ),
        (
            "troupe_spawn_failures_total",
            "Threads that the system refused.",
            troupe.spawn_failures,
        ),
        (
            "rpc_calls_total",
            "Calls of the method that there is.",
            calls.read.get(),
        ),
        (
            "rpc_calls_accepted_total",
            "Calls that the pool took.",
            calls.accepted.get(),
        ),
        (
            "rpc_retries_total",
            "Second and later attempts.",
            calls.retried.get(),
        ),
        (
            "rpc_bad_requests_total",
            "Values that were no such call, and what was no value.",
            calls.bad.get(),
        ),
        (
            "rpc_answers_lost_total",
            "Answers whose connection had gone.",
            calls.lost.get(),
        ),
        (
            "rpc_connections_total",
            "Connections served.",
            calls.connected.get(),
        ),
        (
            "rpc_connections_turned_away_total",
            "Connections that found no room, or no thread.",
            calls.turned_away.get(),
        ),
        (
            "rpc_accept_errors_total",
            "How often no connection could be accepted, most likely for want of a file.",
            calls.accept_errors.get(),
        ),
        (
            "rpc_connections_cut_total",
            "Connections cut off because the client took nothing.",
            calls.cut.get(),
        ),
    ];
    let outcomes = [
        ("completed", troupe.completed),
        ("failed", troupe.failed),
        ("panicked", troupe.panicked),
        ("expired", troupe.expired),
        ("returned", troupe.returned),
    ];
    let answers = [
        ("ok", calls.ok.get()),
        ("failed", calls.failed.get()),
        ("panicked", calls.panicked.get()),
        ("overloaded", calls.overloaded.get()),
        ("shutting_down", calls.shutting_down.get()),
    ];
    let labelled = [
        (
            "troupe_finished_total",
            "Works that came to an end, by the way it took.",
            "outcome",
            outcomes,
        ),
        ("rpc_answers_total", "Answers to calls.", "answer", answers),
    ];

    let registry = Registry::new();
    let gauge = |name, help, value| {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(Box::new(gauge))
    };
    for (name, help, value) in gauges {
        gauge(name, help, value as u64)?;
    }
    if let Some(bytes) = figures.resident_bytes {
        gauge("process_resident_memory_bytes", "Memory in RAM.", bytes)?;
    }
    for (name, help, value) in counters {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))?;
    }
    for (name, help, label, values) in labelled {
        let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
        for (which, value) in values {
            counter.with_label_values(&[which]).inc_by(value);
        }
        registry.register(Box::new(counter))?;
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

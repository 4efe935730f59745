//! The figures in Prometheus' text format.

use std::fmt::{Display, Write};

use crate::figures::Figures;

pub(crate) fn render(figures: &Figures) -> String {
    let Figures { troupe, calls, .. } = figures;
    let mut page = Page::default();

    page.gauge("troupe_actors", "Actors that there are.", troupe.actors);
    page.gauge("troupe_actors_busy", "Actors that run a work.", troupe.busy);
    page.gauge("troupe_actors_peak", "Most actors at once.", troupe.peak);
    page.gauge("troupe_queued", "Works that wait.", troupe.queued);
    page.gauge(
        "troupe_capacity",
        "Works that the pool can hold; 0 if it has no bound.",
        troupe.capacity,
    );
    page.counter(
        "troupe_accepted_total",
        "Works accepted, retries included.",
        troupe.accepted,
    );
    page.counter(
        "troupe_refused_total",
        "Works refused, for want of room or for the shutdown.",
        troupe.refused,
    );
    page.counters(
        "troupe_finished_total",
        "Works that came to an end, by the way it took.",
        "outcome",
        &[
            ("completed", troupe.completed),
            ("failed", troupe.failed),
            ("panicked", troupe.panicked),
            ("returned", troupe.returned),
        ],
    );
    page.counter("troupe_grown_total", "Actors started.", troupe.grown);
    page.counter("troupe_retired_total", "Actors retired.", troupe.retired);
    page.counter(
        "troupe_shared_total",
        "Works taken from a busy actor's mailbox by another.",
        troupe.shared,
    );
    page.counter(
        "troupe_spawn_failures_total",
        "Threads that the system refused.",
        troupe.spawn_failures,
    );

    page.counter(
        "rpc_calls_total",
        "Calls of the method that there is.",
        calls.read,
    );
    page.counter(
        "rpc_calls_accepted_total",
        "Calls that the pool took.",
        calls.accepted,
    );
    page.counter(
        "rpc_retries_total",
        "Second and later attempts.",
        calls.retried,
    );
    page.counters(
        "rpc_answers_total",
        "Answers to calls.",
        "answer",
        &[
            ("ok", calls.ok),
            ("failed", calls.failed),
            ("panicked", calls.panicked),
            ("overloaded", calls.overloaded),
            ("shutting_down", calls.shutting_down),
        ],
    );
    page.counter(
        "rpc_bad_requests_total",
        "Lines that were no such call.",
        calls.bad,
    );
    page.counter(
        "rpc_answers_lost_total",
        "Answers whose connection had gone.",
        calls.lost,
    );
    page.gauge("rpc_connections", "Connections open.", figures.connections);
    page.counter(
        "rpc_connections_total",
        "Connections served.",
        calls.connected,
    );
    page.counter(
        "rpc_connections_turned_away_total",
        "Connections that found no room, or no thread.",
        calls.turned_away,
    );
    page.counter(
        "rpc_accept_errors_total",
        "How often no connection could be accepted, most likely for want of a file.",
        calls.accept_errors,
    );
    page.counter(
        "rpc_connections_cut_total",
        "Connections cut off because the client took nothing.",
        calls.cut,
    );
    page.gauge(
        "rpc_shutting_down",
        "1 from the first signal on.",
        u8::from(figures.shutting_down),
    );
    if let Some(bytes) = figures.resident_bytes {
        page.gauge("process_resident_memory_bytes", "Memory in RAM.", bytes);
    }
    page.0
}

#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.line(format_args!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(format_args!("{name} {value}"));
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, help, "counter");
        for (which, value) in values {
            self.line(format_args!("{name}{{{label}=\"{which}\"}} {value}"));
        }
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a string takes every line");
    }
}

//! The workloads, in the order in which they are run and shown.

use crate::effort::Effort;
use crate::figures::Figures;
use crate::mode::Mode;
use crate::section::Section;

mod flat;
mod growth;
mod idle;
mod keyed;
mod latency;
mod memory;
mod mixed;
mod nearly_full;
mod nested;
mod options;
mod payload;
mod refusal;
mod reply;
mod storm;
mod tail;
mod throughput;
mod waiting;

/// One workload: how it is measured, in a child, and what is said about the
/// figures, in the parent.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// Has the number of CPUs nothing to do with it? Then it runs in one mode.
    pub(crate) is_once: bool,
    /// The parts that need a process each; usually a single part, without a name.
    pub(crate) parts: &'static [&'static str],
    pub(crate) measure: fn(Effort, &str) -> Figures,
    pub(crate) report: fn(&Figures, Mode) -> Section,
}

const WHOLE: &[&str] = &[""];

const fn workload(
    name: &'static str,
    measure: fn(Effort, &str) -> Figures,
    report: fn(&Figures, Mode) -> Section,
) -> Workload {
    Workload {
        name,
        is_once: false,
        parts: WHOLE,
        measure,
        report,
    }
}

pub(crate) const ALL: &[Workload] = &[
    workload("throughput", throughput::measure, throughput::report),
    workload("waiting", waiting::measure, waiting::report),
    workload("mixed", mixed::measure, mixed::report),
    workload("tail", tail::measure, tail::report),
    workload("refusal", refusal::measure, refusal::report),
    workload("nearly_full", nearly_full::measure, nearly_full::report),
    workload("flat", flat::measure, flat::report),
    workload("latency", latency::measure, latency::report),
    workload("growth", growth::measure, growth::report),
    workload("storm", storm::measure, storm::report),
    workload("payload", payload::measure, payload::report),
    workload("nested", nested::measure, nested::report),
    workload("options", options::measure, options::report),
    workload("reply", reply::measure, reply::report),
    Workload {
        parts: keyed::PARTS,
        ..workload("keyed", keyed::measure, keyed::report)
    },
    Workload {
        is_once: true,
        parts: memory::PARTS,
        ..workload("memory", memory::measure, memory::report)
    },
    Workload {
        is_once: true,
        ..workload("idle", idle::measure, idle::report)
    },
];

/// The workload of that name.
pub(crate) fn named(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

//! Where and with what the figures were made.

use std::fs;
use std::process::Command;

use crate::options::in_project;

/// The crates whose versions belong to the figures.
const CRATES: [&str; 6] = [
    "troupe-pool",
    "threadpool",
    "rusty_pool",
    "rayon",
    "tokio",
    "crossbeam-channel",
];

/// The facts about the machine that a reader of the figures needs, as far as the system tells.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    vec![
        ("machine", or_unknown(processor())),
        ("kernel", or_unknown(read("/proc/sys/kernel/osrelease"))),
        ("compiler", or_unknown(output("rustc", "-V"))),
        ("date", or_unknown(output("date", "+%F"))),
        ("versions", or_unknown(versions())),
    ]
}

fn or_unknown(fact: Option<String>) -> String {
    fact.unwrap_or_else(|| "unknown".to_owned())
}

fn read(file: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.trim().to_owned())
}

fn output(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

/// The processor's model, and how many of them the machine has.
fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let values = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.filter(|(name, _)| name.trim() == key);
        lines.map(|(_, value)| value.trim().to_owned()).collect()
    };
    let models: Vec<String> = values("model name");
    let details = ["cpu family", "model", "stepping"].map(|key| {
        let values: Vec<String> = values(key);
        values.first().cloned().unwrap_or_else(|| "?".to_owned())
    });
    Some(format!(
        "{} (family {}), {} CPUs",
        models.first()?,
        details.join("/"),
        models.len()
    ))
}

/// The versions in Cargo.lock.
fn versions() -> Option<String> {
    let lock = fs::read_to_string(in_project("Cargo.lock")).ok()?;
    let found = CRATES.iter().map(|name| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        let (version, _) = rest.split_once('"')?;
        Some(format!("{name} {version}"))
    });
    Some(found.collect::<Option<Vec<_>>>()?.join(", "))
}

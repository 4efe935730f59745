//! Facts of Linux about a process: its threads, its memory.

use std::{fs, io};

/// The threads that a process has now.
///
/// # Errors
///
/// If the system does not say.
pub fn threads(id: u32) -> io::Result<u64> {
    figure(id, "Threads:")
}

/// The most memory that a process has ever had in RAM, in KiB.
///
/// # Errors
///
/// If the system does not say.
pub fn peak_kib(id: u32) -> io::Result<u64> {
    figure(id, "VmHWM:")
}

fn figure(id: u32, name: &str) -> io::Result<u64> {
    let path = format!("/proc/{id}/status");
    let status = fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{path}: no {name}")))
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn it_knows_this_process() {
        assert!(threads(process::id()).unwrap() >= 1);
        assert!(peak_kib(process::id()).unwrap() > 100);
        assert!(figure(process::id(), "Nothing:").is_err());
    }
}

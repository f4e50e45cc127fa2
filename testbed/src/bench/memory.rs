//! What a process takes of memory, from Linux's /proc.

use anyhow::{Context, Result};

/// Resident now, in MB.
pub(super) fn resident_mb(pid: u32) -> Result<f64> {
    read(pid, "VmRSS:")
}

/// The most that was ever resident, in MB.
pub(super) fn peak_mb(pid: u32) -> Result<f64> {
    read(pid, "VmHWM:")
}

fn read(pid: u32, name: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("memory is read from /proc")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("/proc has no {name}"))?;
    let kilobytes: f64 = line.split_whitespace().next().context("an empty line in /proc")?.parse()?;
    Ok(kilobytes / 1_000.0)
}

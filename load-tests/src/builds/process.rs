//! What a process has used, as Linux tells it.

use std::fs;

use anyhow::Context;

/// Begins the peak of this process's memory anew with what it has now.
pub fn reset_peak() -> anyhow::Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// The most memory it has had, in bytes, pages of mapped files included.
pub fn peak() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes = line.trim().strip_suffix("kB").context("VmHWM without its unit")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

/// Seconds of processor time of all threads of this process, the system's part included.
pub fn processor_seconds() -> anyhow::Result<f64> {
    processor_seconds_of(std::process::id())
}

/// The same of any process.
pub fn processor_seconds_of(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Fields are counted behind the name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>);
    // A tick is a hundredth of a second on every Linux that programs see.
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / 100.0)
}

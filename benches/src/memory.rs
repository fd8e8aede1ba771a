//! What the operating system counts for this process.

use std::fs;
use std::io::{Error, Result};

use rustix::time::{ClockId, clock_gettime};

/// Returns the resident memory, in bytes.
///
/// # Errors
///
/// If the system has no `/proc/self/status`, which only Linux has.
pub fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Error::other("no VmRSS in /proc/self/status"))
}

/// Returns the CPU time that all threads of this process have used so far, in nanoseconds. Threads that have ended are counted.
#[must_use]
pub fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The time is never negative.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

//! What the operating system counts for this process.

use std::fs;
use std::io::{Error, Result};

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

/// Returns the CPU time that all threads of this process have used, in nanoseconds. Threads that have ended are not counted.
///
/// # Errors
///
/// If the system has no `/proc/self/task/*/schedstat`, which only Linux has.
pub fn cpu_nanos() -> Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok());
        total += nanos.ok_or_else(|| Error::other("no number in schedstat"))?;
    }
    Ok(total)
}

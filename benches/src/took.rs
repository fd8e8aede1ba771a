//! What one run of a workload took.

use std::time::Duration;

use crate::memory::cpu_nanos;

/// The time of a run, and the CPU time of the process that ran it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// The time, as the workload measures it.
    pub wall: Duration,
    /// The CPU time that all threads of the process used meanwhile, in nanoseconds.
    pub cpu_nanos: u64,
}

impl Took {
    /// Calls `run`, which returns how long its work took, and measures the CPU time that this process uses meanwhile.
    pub fn of(run: impl FnOnce() -> Duration) -> Self {
        let before = cpu_nanos();
        let wall = run();
        Self { wall, cpu_nanos: cpu_nanos() - before }
    }
}

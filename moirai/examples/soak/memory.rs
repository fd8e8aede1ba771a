//! The resident memory of the process.

use std::fmt;

/// The number of tasks after which memory must not grow. By then everything has reached its final size.
const WARM: u64 = 1_000_000;

/// Resident memory over time, in KiB.
#[derive(Debug)]
pub(crate) struct Watch {
    now: Option<u64>,
    /// The value at the end of the warm-up.
    warm: Option<u64>,
    /// The greatest value since then.
    most: Option<u64>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { now: None, warm: None, most: None }
    }

    /// Reads the memory, after this many tasks.
    pub(crate) fn look(&mut self, tasks: u64) {
        self.now = resident();
        if tasks >= WARM {
            self.warm = self.warm.or(self.now);
            self.most = self.most.max(self.now);
        }
    }

    /// Returns a description of the fault, if memory has grown by more than `growth` MiB.
    pub(crate) fn verdict(&self, growth: u64) -> Option<String> {
        let grown = self.most?.saturating_sub(self.warm?);
        (grown > growth * 1024).then(|| {
            format!(
                "memory grew by {grown} KiB after {WARM} tasks; at most {growth} MiB are allowed"
            )
        })
    }
}

impl fmt::Display for Watch {
    /// Prints the result, or with `#` the present value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (f.alternate(), self.now, self.warm, self.most) {
            (true, Some(now), ..) => write!(f, "{:>7.1} MiB resident", now as f64 / 1024.0),
            (true, None, ..) => f.write_str("memory unknown"),
            (false, _, Some(warm), Some(most)) => {
                write!(
                    f,
                    "resident memory: {warm} KiB after {WARM} tasks, at most {most} KiB from then on"
                )
            }
            (false, Some(_), ..) => write!(f, "resident memory: not checked before {WARM} tasks"),
            (false, None, ..) => f.write_str("resident memory: not known on this system"),
        }
    }
}

/// Returns the resident memory in KiB, or `None` on a system without `/proc`.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

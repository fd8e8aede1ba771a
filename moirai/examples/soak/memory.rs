//! The process's resident memory.

use std::fmt;

/// From how many tasks on memory must not grow: by then everything has reached its size.
const WARM: u64 = 1_000_000;

/// Resident memory over time, in KiB.
#[derive(Debug)]
pub(crate) struct Watch {
    now: Option<u64>,
    /// What it was when the warm-up was over.
    warm: Option<u64>,
    /// The most since then.
    most: Option<u64>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { now: None, warm: None, most: None }
    }

    /// Looks at the memory, after so many tasks.
    pub(crate) fn look(&mut self, tasks: u64) {
        self.now = resident();
        if tasks >= WARM {
            self.warm = self.warm.or(self.now);
            self.most = self.most.max(self.now);
        }
    }

    /// What is wrong if memory has grown by more than so many MiB.
    pub(crate) fn verdict(&self, growth: u64) -> Option<String> {
        let grown = self.most?.saturating_sub(self.warm?);
        (grown > growth * 1024).then(|| {
            format!("memory grew by {grown} KiB after {WARM} tasks; allowed are {growth} MiB")
        })
    }
}

impl fmt::Display for Watch {
    /// The result; what there is now with `#`.
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
            (false, Some(_), ..) => write!(f, "resident memory: not judged before {WARM} tasks"),
            (false, None, ..) => f.write_str("resident memory: not known on this system"),
        }
    }
}

/// Resident memory in KiB, where `/proc` tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

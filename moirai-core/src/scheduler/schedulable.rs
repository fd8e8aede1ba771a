//! What a scheduler may ask of what it schedules.

use std::time::Duration;

/// What a scheduler may ask of what it schedules, beyond the priority that comes with each push.
///
/// The executor's tasks answer with what was said of them when they were spawned: `task().deadline(…)`, `.affinity(…)`,
/// `.expected_duration(…)`. The answers cost nothing to a task of which nothing was said, and do not change while it is queued,
/// but for [`is_late`](Self::is_late).
pub trait Schedulable: Send + 'static {
    /// Which task it is: no other in the same executor has this number.
    fn number(&self) -> u64;

    /// Tasks with the same affinity are best run by the same worker. A task of which nothing was said has one of its own.
    fn affinity(&self) -> u64 {
        self.number()
    }

    /// By when it should have run: a moment on the executor's clock, only to be compared with others. Smaller is earlier.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Whether its deadline has passed, as of now. Reads the clock if there is a deadline.
    fn is_late(&self) -> bool {
        false
    }

    /// How long it is expected to compute.
    fn expected_duration(&self) -> Option<Duration> {
        None
    }

    /// The worker that ran it first, if it ran on one.
    fn home(&self) -> Option<usize> {
        None
    }
}

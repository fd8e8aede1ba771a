//! What tasks that have been polled are doing at the moment, which their records do not tell.

use std::collections::HashMap;
use std::time::SystemTime;

use moirai::{HybridExecutor, Stall, TaskId, TaskState, Timestamp};

/// What a task is doing that does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is being polled, since this time.
    Polled(SystemTime),
    /// It was woken, or yielded, at this time, and waits for a thread.
    Queued(SystemTime),
}

/// What the tasks that do not wait are doing.
pub(crate) type AllDoing = HashMap<TaskId, Doing>;

/// Returns what the active tasks are doing. Those that wait are not among them. Polls on threads outside of the executor are not known.
///
/// It takes about two milliseconds for each thread of the executor that has done much lately.
pub(crate) fn all_doing(executor: &HybridExecutor) -> AllDoing {
    let stalls: HashMap<TaskId, Stall> =
        executor.stalled().into_iter().map(|stall| (stall.id, stall)).collect();
    let dump = executor.dump();
    let now = dump.taken_at.to_system_time();
    // Without a flight recorder it is known that a task is being polled, but not since when, unless that is a stall.
    let polled_since = |id: &TaskId| {
        let age = stalls.get(id).map(|stall| stall.age);
        age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
    };
    let time = |since: Option<Timestamp>| since.map(Timestamp::to_system_time);
    let doing = dump.tasks.into_iter().filter_map(|task| {
        let id = task.stats.id;
        let doing = match task.state {
            TaskState::Polled { since, .. } => {
                Doing::Polled(time(since).unwrap_or_else(|| polled_since(&id)))
            }
            TaskState::Queued { since } => Doing::Queued(time(since).unwrap_or(now)),
            _ => return None,
        };
        Some((id, doing))
    });
    doing.collect()
}

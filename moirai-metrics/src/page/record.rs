//! The records of tasks as JSON. Ids are texts, because numbers beyond 2⁵³ are not exact in JavaScript; times are seconds since the
//! executor's start, and durations are in nanoseconds.

use std::time::Duration;

use moirai_core::{Stall, TaskStats, Timestamp};
use serde_json::{Value, json};

/// Everything that a record says.
pub(super) fn task(task: &TaskStats) -> Value {
    let tags: Vec<_> = task.tags.iter().map(|(key, value)| [key, value]).collect();
    json!({
        "id": task.id.to_string(),
        "name": task.name.as_deref(),
        "kind": task.kind.to_string(),
        "status": task.status.to_string(),
        "priority": task.priority.to_string(),
        "spawned": seconds(task.spawned_at),
        "started": task.started_at.map(seconds),
        "ended": task.finished_at.map(seconds),
        "observed": seconds(task.observed_at),
        "polls": task.polls,
        "busy": nanos(task.busy),
        "waited": task.queue_time().map(nanos),
        "ran": task.execution_time().map(nanos),
        "worker": task.worker,
        "location": task.location.to_string(),
        "error": task.error.as_deref(),
        "parent": task.parent.map(|id| id.to_string()),
        "tags": tags,
        "done": task.progress.map(|progress| progress.done),
        "total": task.progress.map(|progress| progress.total),
        "note": task.note.as_deref(),
        "cause": task.cancelled_by.map(|cause| cause.to_string()),
    })
}

/// A task that has failed, in short.
pub(super) fn failure(task: &TaskStats) -> Value {
    json!({
        "id": task.id.to_string(),
        "name": task.name.as_deref(),
        "location": task.location.to_string(),
        "error": task.error.as_deref(),
        "ended": task.finished_at.map(seconds),
    })
}

pub(super) fn stall(stall: &Stall) -> Value {
    json!({
        "id": stall.id.to_string(),
        "name": stall.name.as_deref(),
        "kind": stall.kind.to_string(),
        "location": stall.location.to_string(),
        "worker": stall.worker,
        "age": nanos(stall.age),
        "computes": stall.computes,
    })
}

pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_nanos() as f64 / 1e9
}

/// Exact to 104 days, which is where the numbers of JavaScript end.
pub(super) fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

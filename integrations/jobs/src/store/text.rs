//! How rows name states and results.

use std::time::{Duration, SystemTime};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::contract::{Ended, Outcome, seconds_up};
use crate::Error;
use crate::record::JobState;
#[cfg(any(feature = "postgres", feature = "redis"))]
use crate::record::QueueStats;

/// The `last_result` of an attempt, as `apalis` writes it.
pub(super) fn result(error: Option<&str>) -> serde_json::Value {
    error.map_or_else(
        || serde_json::json!({ "Ok": null }),
        |error| serde_json::json!({ "Err": error }),
    )
}

/// The error in a `last_result`.
pub(super) fn error(result: &serde_json::Value) -> Option<String> {
    match result.get("Err")? {
        serde_json::Value::String(error) => Some(error.clone()),
        other => Some(other.to_string()),
    }
}

/// The state of this name, which a query has made.
pub(super) fn state(name: &str) -> Result<JobState, Error> {
    let state = JobState::ALL.into_iter().find(|state| state.name() == name);
    state.ok_or_else(|| Error::storage(format!("no job has the state {name:?}")))
}

/// The values of the column `status` that jobs of a state have, for a condition that an index serves.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const fn statuses(state: JobState) -> &'static str {
    match state {
        JobState::Waiting | JobState::Scheduled => "('Pending')",
        JobState::Running => "('Queued', 'Running')",
        JobState::Retrying => "('Failed')",
        JobState::Done => "('Done')",
        JobState::Dead => "('Failed', 'Killed')",
        JobState::Cancelled => "('Killed')",
    }
}

/// The value of `status` after an attempt, and its error. `apalis` takes jobs that are pending, and those that have failed and have
/// attempts left; it takes no others.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn after(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Done => ("Done", None),
        Outcome::Retry { error, .. } | Outcome::Exhausted { error } => ("Failed", Some(error)),
        Outcome::Permanent { error } => ("Killed", Some(error)),
        Outcome::GivenBack => ("Pending", None),
    }
}

/// The rows of attempts that have ended, as JSON: what is null stays as it is.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn rows(ended: &[Ended]) -> serde_json::Value {
    let row = |ended: &Ended| {
        let (status, error) = after(&ended.outcome);
        let counts = ended.outcome != Outcome::GivenBack;
        let run_at = match ended.outcome {
            Outcome::Retry { after, .. } => Some(seconds_up(SystemTime::now() + after)),
            _ => None,
        };
        serde_json::json!({
            "id": ended.id.to_string(),
            "status": status,
            "attempt": counts.then_some(ended.attempt),
            "result": counts.then(|| result(error)),
            "run_at": run_at,
        })
    };
    serde_json::Value::Array(ended.iter().map(row).collect())
}

/// The time that is so many seconds after 1970.
pub(super) fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// A number of a row that is never negative.
pub(super) fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(if value < 0 { 0 } else { u32::MAX })
}

/// Adds a row of counted jobs, which come sorted by queue.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(super) fn count(
    queues: &mut Vec<QueueStats>,
    name: String,
    state: JobState,
    jobs: i64,
    oldest: i64,
) {
    if queues.last().is_none_or(|last| last.name != name) {
        queues.push(QueueStats::new(name));
    }
    if let Some(queue) = queues.last_mut() {
        queue.add(state, u64::try_from(jobs).unwrap_or(0));
        if state == JobState::Waiting {
            queue.oldest_waiting = Some(time(oldest));
        }
    }
}

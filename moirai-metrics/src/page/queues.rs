//! Queues of durable jobs as JSON.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::record;
use crate::queues::{DeadJob, QueueStats};

/// Returns queues as JSON.
pub(super) fn queues(queues: &[QueueStats]) -> Value {
    let queue = |of: &QueueStats| {
        json!({
            "name": &*of.name,
            "waiting": of.waiting,
            "scheduled": of.scheduled,
            "running": of.running,
            "retrying": of.retrying,
            "done": of.done,
            "dead": of.dead,
            "cancelled": of.cancelled,
            "oldest": of.oldest_waiting.map(record::nanos),
        })
    };
    queues.iter().map(queue).collect()
}

/// Returns dead jobs as JSON. A job is older than the executor, perhaps, so its time is in seconds since 1970; its age spares the
/// browser, whose clock is another, to compute it.
pub(super) fn dead(jobs: &[DeadJob], now: SystemTime) -> Value {
    let job = |of: &DeadJob| {
        json!({
            "id": &*of.id,
            "error": &*of.error,
            "attempts": of.attempts,
            "died": of.died_at.map(unix_seconds),
            "age": of.died_at.map(|at| record::nanos(now.duration_since(at).unwrap_or_default())),
        })
    };
    jobs.iter().map(job).collect()
}

fn unix_seconds(at: SystemTime) -> f64 {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let before = |error: std::time::SystemTimeError| -seconds(error.duration());
    at.duration_since(SystemTime::UNIX_EPOCH).map_or_else(before, seconds)
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_in_the_future_are_told() {
        let at = |seconds: i64| {
            let distance = Duration::from_secs(seconds.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            if seconds < 0 { epoch - distance } else { epoch + distance }
        };
        let job = |died_at| DeadJob { died_at, ..DeadJob::new("7", "on fire") };
        let jobs = [job(None), job(Some(at(-5))), job(Some(at(90))), job(Some(at(110)))];
        let json = dead(&jobs, at(100));
        let of = |field: &str| {
            json.as_array().unwrap().iter().map(|job| job[field].as_f64()).collect::<Vec<_>>()
        };
        assert_eq!(of("died"), [None, Some(-5.0), Some(90.0), Some(110.0)]);
        assert_eq!(of("age"), [None, Some(105e9), Some(10e9), Some(0.0)]);
    }
}

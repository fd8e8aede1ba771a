//! What the tool prints.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::SystemTime;

use moirai_jobs::{JobRecord, JobState, QueueStats};
use serde_json::{Value, json};

/// Writes a line. Who reads may have gone, which is no failure of ours.
fn line(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

pub(crate) fn queues(queues: &[QueueStats], as_json: bool) {
    if as_json {
        let rows: Vec<_> = queues
            .iter()
            .map(|queue| {
                let mut row = json!({ "queue": queue.name, "oldest_waiting": queue.oldest_waiting.map(time) });
                for state in JobState::ALL {
                    row[state.name()] = queue.count(state).into();
                }
                row
            })
            .collect();
        return line(Value::Array(rows));
    }
    let width = queues.iter().map(|queue| queue.name.chars().count()).max().unwrap_or(0).max(5);
    let head: Vec<_> = JobState::ALL.iter().map(|state| format!("{:>9}", state.name())).collect();
    line(format_args!("{:<width$} {}  oldest waiting", "queue", head.join(" ")));
    for queue in queues {
        let counts: Vec<_> =
            JobState::ALL.iter().map(|state| format!("{:>9}", queue.count(*state))).collect();
        let oldest = queue.oldest_waiting.map_or_else(|| "-".to_owned(), time);
        line(format_args!("{:<width$} {}  {oldest}", plain(&queue.name), counts.join(" ")));
    }
}

pub(crate) fn list(jobs: &[JobRecord], as_json: bool) {
    if as_json {
        return line(Value::Array(jobs.iter().map(json).collect()));
    }
    line(format_args!(
        "{:<26} {:<9} {:>8} {:<20} {:<20} error",
        "id", "state", "attempts", "pushed", "queue"
    ));
    for job in jobs {
        let attempts = format!("{}/{}", job.attempts, job.max_attempts);
        let error = job.error.as_deref().unwrap_or_default();
        line(format_args!(
            "{} {:<9} {attempts:>8} {:<20} {:<20} {}",
            job.id,
            job.state,
            time(job.id.pushed_at()),
            plain(&job.queue),
            plain(error)
        ));
    }
}

pub(crate) fn job(job: &JobRecord, as_json: bool) {
    if as_json {
        return line(json(job));
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rows = [
        ("id", job.id.to_string()),
        ("queue", plain(&job.queue)),
        ("state", job.state.to_string()),
        ("attempts", format!("{} of {}", job.attempts, job.max_attempts)),
        ("priority", job.priority.to_string()),
        ("pushed", time(job.id.pushed_at())),
        ("to run at", time(job.run_at)),
        ("taken", or_none(job.taken_at.map(time))),
        ("consumer", or_none(job.consumer.as_deref().map(plain))),
        ("ended", or_none(job.ended_at.map(time))),
        ("key", or_none(job.key.as_deref().map(plain))),
        ("error", or_none(job.error.as_deref().map(plain))),
        ("payload", plain(&String::from_utf8_lossy(&job.payload))),
    ];
    for (name, value) in rows {
        line(format_args!("{name:<9} {value}"));
    }
}

fn json(job: &JobRecord) -> Value {
    let payload = serde_json::from_slice::<Value>(&job.payload)
        .unwrap_or_else(|_| String::from_utf8_lossy(&job.payload).into());
    json!({
        "id": job.id.to_string(),
        "queue": job.queue,
        "state": job.state.name(),
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "priority": job.priority,
        "pushed_at": time(job.id.pushed_at()),
        "run_at": time(job.run_at),
        "taken_at": job.taken_at.map(time),
        "consumer": job.consumer,
        "ended_at": job.ended_at.map(time),
        "key": job.key,
        "error": job.error,
        "payload": payload,
    })
}

/// A time in UTC, to the second.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The text without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

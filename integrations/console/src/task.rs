//! A task in the form in which tokio-console gets it.

use std::time::{Duration, SystemTime};

use console_api::PollStats;
use console_api::tasks::task::Kind;
use console_api::tasks::{Stats, Task};
use moirai::{Priority, TaskKind, TaskStats, TaskStatus, Timestamp};

use crate::metadata::{self, KIND, NAME, TASK_ID, field};
use crate::phase::Phase;

/// Returns what is told of a task once: its id, name, kind and place, and how it has ended if it has.
pub(crate) fn description(task: &TaskStats) -> Task {
    let is_async = task.kind == TaskKind::Async;
    // Of tasks of the kind "blocking" nobody expects that they yield, and that is true of all closures.
    let kind = if is_async { "task" } else { "blocking" };
    let mut fields = vec![field(TASK_ID, task.id.get()), field(KIND, kind)];
    if let Some(name) = &task.name {
        fields.push(field(NAME, &**name));
    }
    if !is_async {
        fields.push(field("closure", &*task.kind.to_string()));
    }
    if task.priority != Priority::Normal {
        fields.push(field("priority", &*task.priority.to_string()));
    }
    if let Some(parent) = task.parent {
        fields.push(field("parent", parent.get()));
    }
    fields.extend(task.tags.iter().map(|(key, value)| field(&format!("tag.{key}"), value)));
    if has_bad_end(task) {
        fields.push(field("status", &*task.status.to_string()));
    }
    if let Some(cause) = task.cancelled_by {
        fields.push(field("cancelled_by", &*cause.to_string()));
    }
    if let Some(error) = &task.error {
        fields.push(field("error", &**error));
    }
    Task {
        id: Some(task.id.get().into()),
        metadata: Some(metadata::id()),
        kind: if is_async { Kind::Spawn } else { Kind::Blocking }.into(),
        fields,
        parents: Vec::new(),
        location: Some(task.location.into()),
    }
}

/// Returns whether the task was cancelled or has failed, which its description tells.
pub(crate) fn has_bad_end(task: &TaskStats) -> bool {
    matches!(task.status, TaskStatus::Cancelled | TaskStatus::Failed)
}

/// Returns the times and counts of a task.
///
/// tokio-console takes a task for *completed* if it was dropped, for *running* if its last poll began after the last one ended, for
/// *scheduled* if it was woken after its last poll began, and for *idle* otherwise. To the busy time of a running task it adds the
/// time since the poll began, and to the scheduled time of a scheduled one the time since it was woken.
pub(crate) fn stats(task: &TaskStats, phase: Phase) -> Stats {
    let spawned = task.spawned_at.to_system_time();
    let started = task.started_at.map(Timestamp::to_system_time);
    let finished = task.finished_at.map(Timestamp::to_system_time);
    let (poll_started, poll_ended) = match phase {
        Phase::Queued => (None, None),
        Phase::Running(since) => (Some(since), None),
        // Exact after one poll. After more, the last poll ended no earlier than this, and it has ended, which is what counts.
        Phase::Waiting | Phase::Woken(_) => {
            (started, started.and_then(|started| started.checked_add(task.busy)))
        }
        Phase::Ended => (started, started.and(finished)),
    };
    let queued = match task.finished_at {
        // It was queued until it was cancelled.
        Some(finished) if task.started_at.is_none() => finished.saturating_since(task.spawned_at),
        _ => task.queue_time().unwrap_or_default(),
    };
    let polls = u64::from(task.polls) + u64::from(matches!(phase, Phase::Running(_)));
    Stats {
        created_at: Some(spawned.into()),
        dropped_at: finished.map(Into::into),
        // Each poll but the first followed a wake. Other wakes are not on record, nor are clones and drops of wakers. A task without
        // a waker that waits would be taken for one that nobody can wake any more, so an active task is given one.
        wakes: polls.saturating_sub(1),
        waker_clones: 1,
        waker_drops: u64::from(phase == Phase::Ended),
        self_wakes: 0,
        last_wake: match phase {
            Phase::Queued => Some(spawned.into()),
            Phase::Woken(since) => Some(since.into()),
            _ => None,
        },
        poll_stats: Some(PollStats {
            polls,
            first_poll: started.map(Into::into),
            last_poll_started: poll_started.map(Into::into),
            last_poll_ended: poll_ended.map(Into::into),
            busy_time: Some(duration(task.busy)),
        }),
        scheduled_time: Some(duration(queued)),
    }
}

/// Changes the times and counts of an active task into those of one that ended no later than at `now`.
pub(crate) fn end(stats: &mut Stats, now: SystemTime) {
    stats.dropped_at = Some(now.into());
    stats.waker_drops = stats.waker_clones;
    stats.last_wake = None;
}

fn duration(duration: Duration) -> prost_types::Duration {
    // One that does not fit is longer than the age of the universe.
    prost_types::Duration::try_from(duration).unwrap_or_default()
}

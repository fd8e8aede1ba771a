//! What the flight recorder knows of one task, as JSON.

use std::time::Duration;

use moirai_core::{FlightEvent, FlightEventKind, FlightThread, PollOutcome, TaskId};
use serde_json::{Value, json};

use super::record::seconds;
use crate::observable::Observer;

/// The largest number of events in one story: the latest.
const EVENTS: usize = 1_000;

/// Returns the latest events of a task, in the order of time: each with its start and its end, in seconds since the executor's start,
/// what happened, and the thread. `None` if the executor is gone.
pub(super) fn events(observer: &dyn Observer, id: TaskId) -> Option<Vec<Value>> {
    let flight = observer.flight()?;
    let story = flight.story(id);
    let latest = story.len().saturating_sub(EVENTS);
    Some(story[latest..].iter().map(|(thread, event)| self::event(thread, event)).collect())
}

fn event(thread: &FlightThread, event: &FlightEvent) -> Value {
    let (what, by, late) = match event.kind {
        FlightEventKind::Poll { outcome, .. } => (poll(outcome), None, None),
        FlightEventKind::Cancelled { .. } => ("cancelled", None, None),
        FlightEventKind::Spawned { by, .. } => ("spawned", by, None),
        FlightEventKind::Woken { by, .. } => ("woken", by, None),
        FlightEventKind::TimerFired { late, .. } => ("timer", None, Some(late)),
        FlightEventKind::Job { .. } => ("job", None, None),
        FlightEventKind::StallBegan { .. } => ("stall", None, None),
        FlightEventKind::StallEnded { .. } => ("stall-over", None, None),
        _ => ("other", None, None),
    };
    json!({
        "what": what,
        "from": seconds(event.start),
        "to": seconds(event.end),
        "thread": thread.name,
        "by": by.map(|id: TaskId| id.to_string()),
        "late": late.map(|late: Duration| super::record::nanos(late)),
    })
}

/// Returns how a poll ended, as a word.
fn poll(outcome: PollOutcome) -> &'static str {
    match outcome {
        PollOutcome::Pending => "poll",
        PollOutcome::Completed => "completed",
        PollOutcome::Failed => "failed",
        PollOutcome::Running => "polling",
        _ => "other",
    }
}

//! A flight: what was read from the rings of all threads.

use std::fmt;

use super::event::{FlightEvent, FlightEventKind, PollOutcome};
use crate::{TaskId, TaskStats, ThreadKind, Timestamp};

/// What the threads of an executor did lately.
///
/// It is empty if the flight recorder is off. The events of a thread are in the order of their starts; a poll within another one,
/// or within a wait of fork-join work, stands after it. What a thread outside of the executor spawns and wakes is not recorded, and
/// nor are polls on it; the records of the tasks tell when they were spawned.
///
/// `Display` prints a summary of a few lines for each thread.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Flight {
    /// When it was read.
    pub taken_at: Timestamp,
    /// The threads of the executor, in the order in which they were started. Of those that have ended, some are left.
    pub threads: Vec<FlightThread>,
    /// The records of the tasks that the events are about, as they were when the flight was read, as far as they were retained; at
    /// most [`MAX_TASKS`](Self::MAX_TASKS), in the order of their ids.
    pub tasks: Vec<TaskStats>,
}

/// What one thread did.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FlightThread {
    /// The thread's name.
    pub name: String,
    /// What the thread is for; `None` for one that runs no tasks, such as the watchdog's.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_kind"))]
    pub kind: Option<ThreadKind>,
    /// The worker that the thread was when the flight was read, if it was one.
    pub worker: Option<usize>,
    /// Whether the thread had ended.
    pub ended: bool,
    /// What the thread did.
    pub events: Vec<FlightEvent>,
    /// The number of earlier events of the thread, which newer ones have overwritten.
    pub overwritten: u64,
}

#[cfg(feature = "serde")]
fn serialize_kind<S: serde::Serializer>(
    kind: &Option<ThreadKind>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&kind.map(ThreadKind::as_str), serializer)
}

impl Flight {
    /// The largest number of records in a flight.
    pub const MAX_TASKS: usize = 10_000;

    /// Creates a flight.
    #[must_use]
    pub const fn new(
        taken_at: Timestamp,
        threads: Vec<FlightThread>,
        tasks: Vec<TaskStats>,
    ) -> Self {
        Self { taken_at, threads, tasks }
    }

    /// Returns the record of a task, if it is among [`tasks`](Self::tasks).
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskStats> {
        let index = self.tasks.binary_search_by_key(&id, |stats| stats.id).ok()?;
        self.tasks.get(index)
    }

    /// Returns the name of a task for people to read: its name, or the place where it was spawned, or its id.
    #[must_use]
    pub fn label(&self, id: TaskId) -> String {
        match self.task(id) {
            Some(TaskStats { name: Some(name), .. }) => name.to_string(),
            Some(stats) => stats.location.to_string(),
            None => format!("task {id}"),
        }
    }

    /// Returns what happened to one task, with the thread on which each event happened, in the order of time.
    #[must_use]
    pub fn story(&self, id: TaskId) -> Vec<(&FlightThread, &FlightEvent)> {
        let all =
            self.threads.iter().flat_map(|thread| thread.events.iter().map(move |e| (thread, e)));
        let mut story: Vec<_> = all.filter(|(_, event)| event.task() == Some(id)).collect();
        story.sort_by_key(|(_, event)| event.start);
        story
    }

    /// Returns the polls that took longest, or were still going on, longest first, at most `count`, with their threads.
    #[must_use]
    pub fn longest_polls(&self, count: usize) -> Vec<(&FlightThread, &FlightEvent)> {
        let all =
            self.threads.iter().flat_map(|thread| thread.events.iter().map(move |e| (thread, e)));
        let mut polls: Vec<_> =
            all.filter(|(_, event)| matches!(event.kind, FlightEventKind::Poll { .. })).collect();
        polls.sort_by_key(|(_, event)| std::cmp::Reverse(event.duration()));
        polls.truncate(count);
        polls
    }
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The number of polls that are listed.
        const LISTED: usize = 5;
        writeln!(f, "flight at {}: {} threads", self.taken_at, self.threads.len())?;
        for thread in &self.threads {
            let polls = |event: &&FlightEvent| matches!(event.kind, FlightEventKind::Poll { .. });
            write!(f, "  {}{}: ", thread.name, if thread.ended { " (ended)" } else { "" })?;
            let Some(first) = thread.events.first() else {
                writeln!(f, "no events")?;
                continue;
            };
            writeln!(
                f,
                "{} events in the last {:.1?}, {} of them polls",
                thread.events.len(),
                self.taken_at.saturating_since(first.start),
                thread.events.iter().filter(polls).count(),
            )?;
        }
        for (thread, event) in self.longest_polls(LISTED) {
            let FlightEventKind::Poll { task, outcome } = event.kind else { continue };
            let goes_on = if outcome == PollOutcome::Running { ", and goes on" } else { "" };
            let (took, label) = (event.duration(), self.label(task));
            writeln!(
                f,
                "  {took:.1?} poll of task {task} ({label:?}) on {} at {}{goes_on}",
                thread.name, event.start
            )?;
        }
        Ok(())
    }
}

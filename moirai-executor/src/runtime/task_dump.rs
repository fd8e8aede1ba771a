//! Finding out what every active task is doing, for a dump.

use std::collections::HashMap;

use moirai_core::{
    Dump, FlightEventKind, FlightThread, PollOutcome, TaskDump, TaskId, TaskKind, TaskState,
    TaskStats, Timestamp,
};

use crate::runtime::flight_reader;
use crate::runtime::shared::Shared;

/// Returns every active task, with what it is doing.
pub(crate) fn dump(shared: &Shared) -> Dump {
    let (threads, taken_at) = flight_reader::threads(shared);
    let seen = Seen::in_flight(shared, &threads);
    let mut tasks = Vec::new();
    let mut left_out = 0;
    shared.registry.each_active(|id| {
        if tasks.len() < Dump::MAX_TASKS {
            tasks.extend(dump_of(shared, &seen, id));
        } else {
            left_out += 1;
        }
        true
    });
    Dump::new(taken_at, shared.config.thread_name_prefix.clone(), tasks, left_out)
}

/// What the flight recorder and the watchdog know of tasks.
#[derive(Default)]
struct Seen<'a> {
    /// The polls that were going on, with the names of their threads.
    polled: HashMap<TaskId, (Option<&'a str>, Option<Timestamp>)>,
    /// When tasks were last spawned, woken, or at the end of a poll.
    last: HashMap<TaskId, Timestamp>,
}

impl<'a> Seen<'a> {
    fn in_flight(shared: &Shared, threads: &'a [FlightThread]) -> Self {
        let mut seen = Self::default();
        // Without a flight recorder, or a beginning that it remembers, the watchdog still knows who polls what.
        let activities = &shared.watchdog.activities;
        for index in 0..activities.len() {
            let task = activities.activity(index).snapshot().task();
            seen.polled.extend(task.map(|task| (task, (None, None))));
        }
        for thread in threads {
            for event in &thread.events {
                match event.kind {
                    FlightEventKind::Poll { task, outcome: PollOutcome::Running } => {
                        seen.polled.insert(task, (Some(&thread.name), Some(event.start)));
                    }
                    FlightEventKind::Poll { task, .. }
                    | FlightEventKind::Spawned { task, .. }
                    | FlightEventKind::Woken { task, .. } => {
                        let last = seen.last.entry(task).or_insert(event.end);
                        *last = event.end.max(*last);
                    }
                    _ => {}
                }
            }
        }
        seen
    }
}

/// Returns the entry of a task; `None` if it has ended meanwhile.
fn dump_of(shared: &Shared, seen: &Seen<'_>, id: TaskId) -> Option<TaskDump> {
    let stats = shared.registry.stats(id).filter(|stats| stats.status.is_active())?;
    let task = shared.task_ref(id)?;
    let (is_scheduled, future) = (task.is_scheduled(), inside_of_ours(task.type_name()));
    let state = state_of(&stats, seen, is_scheduled);
    Some(TaskDump::new(stats, state, future))
}

/// Returns the name of what a user has spawned, given that of the type that was made of it.
fn inside_of_ours(mut name: &'static str) -> &'static str {
    /// The types around it that a spawn adds.
    const OURS: [&str; 4] = [
        "moirai_executor::spawn::cancel_on::Cancellable<",
        "moirai_executor::spawn::check::Fallible<",
        "moirai_executor::task::work::Closure<",
        "tracing::instrument::Instrumented<",
    ];
    while let Some(inner) = OURS.iter().find_map(|ours| name.strip_prefix(ours)?.strip_suffix('>'))
    {
        name = inner;
    }
    name
}

fn state_of(stats: &TaskStats, seen: &Seen<'_>, is_scheduled: bool) -> TaskState {
    let last = seen.last.get(&stats.id).copied();
    match seen.polled.get(&stats.id) {
        // It is scheduled while it is polled. If it is not any more, the poll is over.
        Some((thread, since)) if is_scheduled => {
            TaskState::Polled { thread: thread.map(str::to_owned), since: *since }
        }
        // A closure that has begun runs until it ends, although no worker may be known that runs it.
        _ if stats.kind != TaskKind::Async && stats.started_at.is_some() => {
            TaskState::Polled { thread: None, since: stats.started_at }
        }
        _ if is_scheduled => {
            let unpolled = stats.started_at.is_none().then_some(stats.spawned_at);
            TaskState::Queued { since: unpolled.or(last) }
        }
        _ => TaskState::Waiting { since: last },
    }
}

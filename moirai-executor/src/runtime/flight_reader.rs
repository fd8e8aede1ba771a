//! Reading what the flight recorder has: flights, when somebody asks, and incidents, when something goes wrong.

use std::collections::HashSet;
use std::sync::Arc;

use moirai_core::flight::raw::{Now, RawKind, RawThread, Times, Words};
use moirai_core::{Flight, FlightThread, Incident, IncidentCause, TaskId, TaskStats, Timestamp};

use crate::flight::tracks::{Track, Tracks};
use crate::runtime::shared::Shared;
use crate::watchdog::activity::Activities;

/// Returns what the threads of the executor did lately.
pub(crate) fn flight(shared: &Shared) -> Flight {
    let Some(tracks) = &shared.tracks else {
        return Flight::new(shared.clock.now(), Vec::new(), Vec::new());
    };
    let threads = read_all(shared, tracks);
    let times = Times::now(&shared.clock);
    let tasks = records_of(shared, &threads);
    let since = Timestamp::new(0, 0);
    let decoded = threads.iter().map(|thread| thread.decode(&times, since)).collect();
    Flight::new(times.taken_at(), decoded, tasks)
}

/// Returns what the threads of the executor did lately, without the records of tasks, and when that was read.
pub(crate) fn threads(shared: &Shared) -> (Vec<FlightThread>, Timestamp) {
    let threads = shared.tracks.as_ref().map(|tracks| read_all(shared, tracks)).unwrap_or_default();
    let times = Times::now(&shared.clock);
    let since = Timestamp::new(0, 0);
    let decoded = threads.iter().map(|thread| thread.decode(&times, since)).collect();
    (decoded, times.taken_at())
}

/// Keeps what the threads of the executor did lately, because something has gone wrong, unless that is not due; see
/// [`IncidentLog::is_due`](crate::flight::incident_log::IncidentLog::is_due).
#[cold]
#[inline(never)]
pub(crate) fn record_incident(shared: &Shared, cause: IncidentCause) -> Option<Arc<Incident>> {
    let tracks = shared.tracks.as_ref()?;
    let window = shared.config.flight_recorder.incident_window;
    let window_ticks = shared.clock.rough_ticks(window);
    let unrecorded = shared.incident_log.is_due(cause, shared.clock.ticks(), window_ticks)?;
    let mut threads = read_all(shared, tracks);
    let times = Times::now(&shared.clock);
    let since_ticks = times.ticks_before(window);
    for thread in &mut threads {
        let skipped = times.skip_before(&thread.events, since_ticks);
        thread.events = thread.events.split_off(skipped);
    }
    let tasks = records_of(shared, &threads);
    let since = times.taken_at().minus(window);
    let incident = Incident::new(cause, unrecorded, times, since, threads, tasks);
    shared.incident_log.keep(Arc::clone(&incident));
    Some(incident)
}

/// Reads the rings of all threads.
fn read_all(shared: &Shared, tracks: &Tracks) -> Vec<RawThread> {
    let activities = shared.mode.has_threads().then_some(&shared.watchdog.activities);
    let mut tracks = tracks.all();
    // Those that have ended stand first.
    let ended = tracks.iter().filter(|track| track.ended).count();
    tracks.rotate_left(ended);
    tracks.iter().map(|track| read(activities, track)).collect()
}

fn read(activities: Option<&Activities>, track: &Track) -> RawThread {
    let activity = track.ring.activity();
    // In a simulation nobody watches.
    let watched = activities.zip(activity).filter(|(all, index)| *index < all.len());
    let seen = || watched.map(|(all, index)| all.activity(index).snapshot());
    let before = seen();
    let copied = track.ring.read(track.from);
    // If the thread has gone on meanwhile, what it is in now did not begin where its events end.
    let now = match before.filter(|before| Some(*before) == seen()) {
        Some(snapshot) if !snapshot.is_busy() => Now::Idle,
        Some(snapshot) if snapshot.is_in_stolen_job() => Now::RunsJob,
        Some(snapshot) => snapshot.task().map_or(Now::Unknown, Now::Polls),
        None => Now::Unknown,
    };
    RawThread {
        name: track.name.clone(),
        kind: track.kind,
        ended: track.ended,
        overwritten: copied.first - track.from,
        events: copied.events,
        now,
        worker: activity.filter(|&index| activities.is_none_or(|all| index < all.workers())),
    }
}

/// Returns the records of the tasks that the newest events of each thread are about, in the order of their ids.
fn records_of(shared: &Shared, threads: &[RawThread]) -> Vec<TaskStats> {
    let quota = Flight::MAX_TASKS / threads.len().max(1);
    let mut ids = HashSet::new();
    for RawThread { events, now, .. } in threads {
        let present = if let Now::Polls(task) = now { Some(*task) } else { None };
        let newest = events.iter().rev().filter_map(|&words: &Words| RawKind::task_of(words));
        let most = ids.len() + quota;
        for id in present.into_iter().chain(newest) {
            if ids.len() == most {
                break;
            }
            ids.insert(id);
        }
    }
    let mut ids: Vec<TaskId> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| shared.registry.stats(id)).collect()
}

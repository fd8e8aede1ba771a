//! The watchdog thread: it finds workers that are stuck, and has their queued work run elsewhere.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moirai_core::Scheduler;

use crate::flight::ring::RingWriter;
use crate::flight::tracks::Tracks;
use crate::panics::{self, log};
use crate::runtime::compensation_thread::request_compensation;
use crate::runtime::hook_host::HookHost;
use crate::runtime::shared::Shared;
use crate::runtime::stall_report::{report_if_hook_stalls, report_if_stalled, stall_over};
use crate::runtime::task_host::queue_from_outside;
use crate::runtime::worker;
use crate::watchdog::Watchdog;
use crate::watchdog::activity::Snapshot;
use crate::watchdog::cpu_clock::CpuTime;
use crate::watchdog::stall_budgets::Reported;

/// The time between two ticks. Queued work waits for two of them at most.
const TICK: Duration = Duration::from_millis(8);

/// The largest number of tasks of one stuck worker that are moved in one tick.
const MAX_RECLAIMED: usize = 256;

/// A thread counts as blocked if it was on a processor for less than this fraction of the time: one in `BLOCKED_SHARE`.
const BLOCKED_SHARE: u32 = 8;

/// Notes on drop that the watchdog thread has ended.
struct ThreadEnded<'a>(&'a Watchdog);

impl Drop for ThreadEnded<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.changed.notify_all();
    }
}

/// What the watchdog thread saw at its last tick.
struct Seen {
    activities: Vec<Observed>,
    compensated: usize,
    /// The number of ticks in a row at which no thread was busy.
    idle: usize,
}

/// What the watchdog thread saw of one activity.
#[derive(Clone, Copy)]
struct Observed {
    snapshot: Snapshot,
    /// The tick at which the snapshot was first the same.
    since: Instant,
    /// The processor time at the last tick, and when that was; set once the snapshot was the same twice.
    cpu: Option<(CpuTime, Instant)>,
    reported: Reported,
}

/// The findings of one tick.
#[derive(Default)]
struct Findings {
    /// The number of workers that have gone on since the last tick.
    moved: usize,
    /// The number of threads that are stuck and not on a processor.
    blocked: usize,
}

/// Starts the watchdog thread.
pub(crate) fn start_watchdog(shared: &Shared, name: String) -> io::Result<()> {
    if !shared.watchdog.on {
        return Ok(());
    }
    shared.watchdog.state.lock().running = true;
    let started = shared.start_thread(name, |shared| {
        let _ended = ThreadEnded(&shared.watchdog);
        let name = std::thread::current();
        let start = |tracks: &Tracks| tracks.start(name.name().unwrap_or_default(), None);
        let flight = shared.tracks.as_ref().map(start);
        // As for workers: what users bring is contained where it is called.
        while let Some(message) = panics::contain(|| watch(&shared, flight.as_ref())) {
            log!(error, panic = &*message, "the watchdog thread panicked, and goes on");
        }
        if let (Some(tracks), Some(writer)) = (&shared.tracks, flight) {
            tracks.end(writer);
        }
    });
    if started.is_err() {
        shared.watchdog.state.lock().running = false;
    }
    started
}

/// The body of the watchdog thread.
fn watch(shared: &Shared, flight: Option<&RingWriter>) {
    let watchdog = &shared.watchdog;
    let unseen = Observed {
        snapshot: Snapshot::default(),
        since: Instant::now(),
        cpu: None,
        reported: Reported::NotYet,
    };
    let mut seen =
        Seen { activities: vec![unseen; watchdog.activities.len()], compensated: 0, idle: 0 };
    let mut state = watchdog.state.lock();
    while !state.stop {
        if state.armed {
            let _ = watchdog.changed.wait_for(&mut state, TICK);
            if !state.stop {
                drop(state);
                tick(shared, &mut seen, flight);
                state = watchdog.state.lock();
                if seen.idle >= 2 {
                    state.armed = !watchdog.arming.disarm(|| all_are_idle(shared));
                    seen.idle = 0;
                }
            }
        } else {
            watchdog.changed.wait(&mut state);
        }
    }
}

/// Returns whether there is a park hook that no thread drives.
fn is_undriven(shared: &Shared) -> bool {
    shared.park_hook.as_ref().is_some_and(HookHost::is_undriven)
}

fn all_are_idle(shared: &Shared) -> bool {
    let activities = &shared.watchdog.activities;
    shared.sleepers.idle() == activities.workers()
        && activities.compensation_is_idle()
        && !shared.blocking.is_thread_missing()
        && !is_undriven(shared)
}

/// Checks all threads once.
fn tick(shared: &Shared, seen: &mut Seen, flight: Option<&RingWriter>) {
    let watchdog = &shared.watchdog;
    shared.blocking.start_missing(|number| worker::start_blocking(shared, number));
    let found = check_activities(shared, seen, flight);
    // Ordering: Relaxed: the count is only compared with an earlier one.
    let compensated = watchdog.compensated.load(Ordering::Relaxed);
    let compensating = std::mem::replace(&mut seen.compensated, compensated) != compensated;
    if all_are_idle(shared) {
        seen.idle += 1;
        watchdog.compensation.report(false, 0);
        return;
    }
    seen.idle = 0;
    let jobs = found.blocked > 0 && shared.shared_jobs.has_jobs();
    // A worker that is idle, and does not drive the hook, waits for a job of its own. If it is notified, another thread takes its core.
    let waits = jobs || shared.scheduler.len() > 0 || is_undriven(shared);
    if shared.sleepers.idle() > 0 {
        watchdog.compensation.report(false, 0);
        if waits {
            shared.sleepers.notify();
        }
        return;
    }
    let stuck = watchdog.compensates && (found.moved == 0 || found.blocked > 0);
    watchdog.compensation.report(stuck, found.blocked);
    let helped = if found.moved == 0 {
        compensating
    } else {
        watchdog.compensation.awake() >= found.blocked
    };
    if stuck && waits && !helped {
        request_compensation(shared);
    }
}

/// Checks every activity, moves the queued tasks of those that are stuck, and reports stalls.
fn check_activities(shared: &Shared, seen: &mut Seen, flight: Option<&RingWriter>) -> Findings {
    let activities = &shared.watchdog.activities;
    let now = Instant::now();
    let mut found = Findings::default();
    for (index, seen) in seen.activities.iter_mut().enumerate() {
        let activity = activities.activity(index);
        let snapshot = activity.snapshot();
        if snapshot != seen.snapshot {
            found.moved += usize::from(index < activities.workers());
            *seen = Observed { snapshot, since: now, cpu: None, reported: Reported::NotYet };
            stall_over(shared, flight, index);
            continue;
        }
        if !snapshot.is_busy() {
            continue;
        }
        if index < activities.workers() {
            reclaim(shared, index);
            if let Some(hook) = shared.park_hook.as_ref().filter(|_| snapshot.is_in_hook()) {
                // The hook may always have something to run, so that the worker would never look for tasks.
                hook.unpark(index);
                if seen.reported == Reported::NotYet {
                    seen.reported = report_if_hook_stalls(shared, index, seen.since);
                }
            }
        }
        let cpu = activity.cpu_time();
        let computes = seen.cpu.zip(cpu).map(|((before, then), cpu)| {
            let least = now.saturating_duration_since(then) / BLOCKED_SHARE;
            cpu.saturating_sub(before) >= least || !activity.sleeps()
        });
        seen.cpu = cpu.map(|cpu| (cpu, now));
        found.blocked += usize::from(computes == Some(false));
        if seen.reported == Reported::NotYet
            && let Some(task) = snapshot.task()
            && shared
                .watchdog
                .stall_detector
                .may_be_stall(now.saturating_duration_since(seen.since))
        {
            seen.reported = report_if_stalled(shared, flight, index, task, seen.since, computes);
        }
    }
    let mut observed = shared.watchdog.observed.lock();
    observed.clear();
    observed.extend(seen.activities.iter().map(|seen| (seen.snapshot, seen.since)));
    found
}

/// Moves the tasks that are queued at a stuck worker to where all workers look.
fn reclaim(shared: &Shared, worker: usize) {
    for _ in 0..MAX_RECLAIMED {
        let Some(task) = shared.scheduler.reclaim(worker) else {
            return;
        };
        let priority = task.priority();
        queue_from_outside(shared, task, priority);
    }
}

//! The watchdog thread.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moirai_core::Scheduler;

use crate::panics;
use crate::runtime::compensation::request_compensation;
use crate::runtime::schedule::queue_from_outside;
use crate::runtime::shared::Shared;
use crate::runtime::stall_report::{report_if_stalled, stall_over};
use crate::watchdog::Watchdog;
use crate::watchdog::activity::Snapshot;
use crate::watchdog::cpu_clock::CpuTime;
use crate::watchdog::stalls::Reported;

/// How often the thread looks. Work waits for at most two of them.
const TICK: Duration = Duration::from_millis(8);

/// How many tasks of one stuck worker are put elsewhere at one look.
const RECLAIM: usize = 256;

/// A thread was blocked if it was on a processor for less than this part of the time.
const BLOCKED: u32 = 8;

/// Says that the watchdog thread has ended, however it does.
struct ThreadEnded<'a>(&'a Watchdog);

impl Drop for ThreadEnded<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.changed.notify_all();
    }
}

/// What the watchdog thread has seen up to its last look.
struct Seen {
    activities: Vec<Observed>,
    compensated: usize,
    /// Looks in a row at which nobody was in anything.
    idle: usize,
}

/// What it has seen of one activity.
#[derive(Clone, Copy)]
struct Observed {
    snapshot: Snapshot,
    /// The first look at which it was so.
    since: Instant,
    /// At the last look, once it was the same twice.
    cpu: Option<(CpuTime, Instant)>,
    reported: Reported,
}

/// What a look has found.
#[derive(Default)]
struct Findings {
    /// Workers that have gone on.
    moved: usize,
    /// Threads that are stuck, and not on a processor.
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
        // What may panic is the code of a scheduler, or of a `tracing` subscriber.
        while let Some(message) = panics::contain(|| watch(&shared)) {
            tracing::error!(target: "moirai", panic = &*message, "the watchdog thread panicked, and goes on");
        }
    });
    if started.is_err() {
        shared.watchdog.state.lock().running = false;
    }
    started
}

/// The body of the watchdog thread.
fn watch(shared: &Shared) {
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
                look(shared, &mut seen);
                state = watchdog.state.lock();
                if seen.idle >= 2 {
                    state.armed = !watchdog.arming.disarm(|| nobody_is_busy(shared));
                    seen.idle = 0;
                }
            }
        } else {
            watchdog.changed.wait(&mut state);
        }
    }
}

fn nobody_is_busy(shared: &Shared) -> bool {
    let activities = &shared.watchdog.activities;
    shared.sleepers.idle() == activities.workers() && activities.compensation_is_idle()
}

/// One look.
fn look(shared: &Shared, seen: &mut Seen) {
    let watchdog = &shared.watchdog;
    let found = look_at_activities(shared, seen);
    // Ordering: Relaxed: only compared.
    let compensated = watchdog.compensated.load(Ordering::Relaxed);
    let compensating = std::mem::replace(&mut seen.compensated, compensated) != compensated;
    if nobody_is_busy(shared) {
        seen.idle += 1;
        watchdog.compensation.report(false, 0);
        return;
    }
    seen.idle = 0;
    let pieces = found.blocked > 0 && shared.shared_jobs.has_jobs();
    let waits = pieces || shared.scheduler.len() > 0;
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

/// Looks at every activity, and does for each what its being stuck asks for.
fn look_at_activities(shared: &Shared, seen: &mut Seen) -> Findings {
    let activities = &shared.watchdog.activities;
    let now = Instant::now();
    let mut found = Findings::default();
    for (index, seen) in seen.activities.iter_mut().enumerate() {
        let activity = activities.activity(index);
        let snapshot = activity.snapshot();
        if snapshot != seen.snapshot {
            found.moved += usize::from(index < activities.workers());
            *seen = Observed { snapshot, since: now, cpu: None, reported: Reported::NotYet };
            stall_over(shared, index);
            continue;
        }
        if !snapshot.is_busy() {
            continue;
        }
        if index < activities.workers() {
            reclaim(shared, index);
        }
        let cpu = activity.cpu_time();
        let computes = seen.cpu.zip(cpu).map(|((before, then), cpu)| {
            let least = now.saturating_duration_since(then) / BLOCKED;
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
            seen.reported = report_if_stalled(shared, index, task, seen.since, computes);
        }
    }
    found
}

/// Puts what is queued at a stuck worker where all look.
fn reclaim(shared: &Shared, worker: usize) {
    for _ in 0..RECLAIM {
        let Some(task) = shared.scheduler.reclaim(worker) else {
            return;
        };
        let priority = task.priority();
        queue_from_outside(shared, task, priority);
    }
}

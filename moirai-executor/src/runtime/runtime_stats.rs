//! Reading what the executor is doing now.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moirai_core::{RuntimePhase, RuntimeStats, ThreadPoolStats, WorkerState, WorkerStats};

use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::Shared;
use crate::watchdog::activity::Snapshot;

/// Returns what the executor is doing now. No two of the locks that it takes are held at once.
pub(crate) fn runtime_stats(shared: &Shared) -> RuntimeStats {
    let registry = &shared.registry;
    let watchdog = &shared.watchdog;
    let mut stats = RuntimeStats::new(shared.clock.converter().now());
    stats.phase = phase(shared);
    stats.active = registry.active_by_kind();
    stats.queued = shared.queued();
    stats.cleanup = registry.cleanup_stats();
    stats.retained = registry.retained_by_class();
    stats.cancelled = registry.cancelled_by_cause();
    let totals = registry.totals();
    stats.spawned = totals.spawned;
    stats.completed = totals.completed;
    stats.failed = totals.failed;
    stats.refused = shared.admission.refused();
    stats.blocking = shared.blocking.stats();
    stats.spare = spare_threads(shared);
    stats.compensation = watchdog.compensation.stats();
    // Ordering: Relaxed, both: counts.
    stats.compensation.ran = watchdog.compensated.load(Ordering::Relaxed);
    stats.stalls = watchdog.stall_detector.reported.load(Ordering::Relaxed);
    stats.stalled = watchdog.stall_detector.stalls.lock().iter().flatten().count();
    stats.workers = worker_stats(shared, stats.phase);
    stats.timers = shared.time.pending();
    stats
}

/// Returns whether the executor runs.
pub(crate) fn phase(shared: &Shared) -> RuntimePhase {
    match shared.lifecycle.phase() {
        Phase::Open => RuntimePhase::Running,
        Phase::Draining | Phase::Closed | Phase::Cancelling => RuntimePhase::ShuttingDown,
        Phase::Stopped => RuntimePhase::Stopped,
    }
}

/// Returns the threads beyond one for each worker. All of them hold the workers' cores in turn, so there is no telling them apart.
fn spare_threads(shared: &Shared) -> ThreadPoolStats {
    let ThreadPoolStats { threads, idle, queued, limit, .. } = shared.cores.stats();
    let workers = shared.config.worker_threads;
    ThreadPoolStats::new(
        threads.saturating_sub(workers),
        idle,
        queued,
        limit.saturating_sub(workers),
    )
}

/// Returns what each worker is in.
fn worker_stats(shared: &Shared, phase: RuntimePhase) -> Vec<WorkerStats> {
    let mut parked = vec![false; shared.config.worker_threads];
    let mut threadless = parked.clone();
    // What they are in first: a worker that goes to sleep meanwhile is shown as asleep, and not as busy.
    let snapshots: Vec<Snapshot> = (0..parked.len())
        .map(|worker| shared.watchdog.activities.activity(worker).snapshot())
        .collect();
    let ages = ages(shared, &snapshots);
    for worker in shared.sleepers.asleep() {
        parked[worker] = true;
    }
    shared.cores.each_queued(|core| threadless[core.index] = true);
    let state = |worker: usize, snapshot: Snapshot| match snapshot {
        _ if threadless[worker] || !snapshot.has_begun() => WorkerState::NoThread,
        _ if !snapshot.is_busy() && phase == RuntimePhase::Stopped => WorkerState::NoThread,
        _ if parked[worker] => WorkerState::Parked,
        _ if snapshot.is_in_stolen_job() => WorkerState::ForkJoin,
        _ if snapshot.is_in_hook() => WorkerState::ParkHook,
        _ => snapshot.task().map_or(WorkerState::Idle, WorkerState::Polling),
    };
    let workers = snapshots.into_iter().zip(ages).enumerate();
    let workers = workers.map(|(worker, (snapshot, age))| {
        let state = state(worker, snapshot);
        WorkerStats::new(worker, state, age.filter(|_| state.is_busy()))
    });
    workers.collect()
}

/// Returns for how long the watchdog thread has seen each activity in what it is in; `None` if there is no such thread.
fn ages(shared: &Shared, snapshots: &[Snapshot]) -> Vec<Option<Duration>> {
    let watchdog = &shared.watchdog;
    if !watchdog.on {
        return vec![None; snapshots.len()];
    }
    let now = Instant::now();
    let observed = watchdog.observed.lock();
    let ages = snapshots.iter().enumerate().map(|(index, snapshot)| {
        let same = observed.get(index).filter(|(seen, _)| seen == snapshot);
        Some(same.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(*since)))
    });
    ages.collect()
}

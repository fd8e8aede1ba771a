//! Reporting tasks whose polls exceed their budget: to the log, to plugins, and to callers that ask.

use std::sync::atomic::Ordering;
use std::time::Instant;

use moirai_core::flight::raw::RawKind;
use moirai_core::{IncidentCause, Stall, TaskId, TaskKind};

use crate::flight::ring::RingWriter;
use crate::panics::log;
use crate::runtime::flight_reader::record_incident;
use crate::runtime::shared::Shared;
use crate::watchdog::stall_budgets::{OngoingStall, Reported};

/// Returns the stalls that are going on now.
pub(crate) fn stalled(shared: &Shared) -> Vec<Stall> {
    let stalls = shared.watchdog.stall_detector.stalls.lock();
    stalls.iter().flatten().map(OngoingStall::now).collect()
}

/// Reports a poll that may be a stall, if its task's budget is exceeded.
pub(super) fn report_if_stalled(
    shared: &Shared,
    flight: Option<&RingWriter>,
    activity: usize,
    task: TaskId,
    since: Instant,
    computes: Option<bool>,
) -> Reported {
    let detector = &shared.watchdog.stall_detector;
    let Some(stats) = shared.registry.stats(task) else {
        return Reported::NotYet;
    };
    let Some(budget) = detector.budget(stats.kind) else {
        return Reported::Done;
    };
    if since.elapsed() < budget {
        return Reported::NotYet;
    }
    let worker = Some(activity).filter(|activity| *activity < shared.watchdog.activities.workers());
    let mut stall = Stall::new(task, stats.kind, stats.location, worker);
    stall.name = stats.name;
    stall.computes = computes;
    if let Some(writer) = flight {
        writer.write([task.get(), RawKind::StallBegan.with(shared.clock.ticks())]);
    }
    stall.incident = record_incident(shared, IncidentCause::Stall { task });
    let watched = OngoingStall { stall, since };
    let now = watched.now();
    detector.stalls.lock()[activity] = Some(watched);
    // Ordering: Relaxed: a count.
    detector.reported.fetch_add(1, Ordering::Relaxed);
    log(
        shared,
        &now,
        "a task keeps its worker from others; it should give way, or be a blocking task",
    );
    shared.plugins.call("on_stall", |plugin| plugin.on_stall(&now));
    Reported::Done
}

/// Logs that a worker stays in code that the park hook runs, if that takes as long as a stall of an async task. There is no task to
/// name.
pub(super) fn report_if_hook_stalls(shared: &Shared, worker: usize, since: Instant) -> Reported {
    let detector = &shared.watchdog.stall_detector;
    let age = since.elapsed();
    match detector.budget(TaskKind::Async) {
        None => return Reported::Done,
        Some(budget) if age < budget => return Reported::NotYet,
        Some(_) => {}
    }
    if let Some(left_out) = detector.lines.lock().allow(Instant::now()) {
        log!(
            warn,
            worker,
            age = ?age,
            left_out,
            "code in the park hook keeps a worker, and the hook from being driven; it should be a task of its own",
        );
    }
    Reported::Done
}

/// Reports the end of an activity's stall, if it had one.
pub(super) fn stall_over(shared: &Shared, flight: Option<&RingWriter>, activity: usize) {
    let Some(watched) = shared.watchdog.stall_detector.stalls.lock()[activity].take() else {
        return;
    };
    let stall = watched.now();
    if let Some(writer) = flight {
        writer.write([stall.id.get(), RawKind::StallEnded.with(shared.clock.ticks())]);
    }
    log(shared, &stall, "a task that kept its worker has gone on");
    shared.plugins.call("on_stall_over", |plugin| plugin.on_stall_over(&stall));
}

fn log(shared: &Shared, stall: &Stall, message: &str) {
    let Some(left_out) = shared.watchdog.stall_detector.lines.lock().allow(Instant::now()) else {
        return;
    };
    log!(
        warn,
        id = stall.id.get(),
        name = stall.name.as_deref(),
        kind = %stall.kind,
        location = %stall.location,
        worker = stall.worker,
        age = ?stall.age,
        computes = stall.computes,
        left_out,
        "{message}",
    );
}

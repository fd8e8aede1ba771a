//! Reporting tasks whose polls go on past their budget: to the log, to plugins, and to whoever asks.

use std::time::Instant;

use moirai_core::{Stall, TaskId};

use crate::runtime::shared::Shared;
use crate::watchdog::stalls::{Judged, Watched};

/// The stalls that go on now.
pub(crate) fn stalled(shared: &Shared) -> Vec<Stall> {
    let stalls = shared.progress.watchdog.stalls.lock();
    stalls.iter().flatten().map(Watched::now).collect()
}

/// Judges a poll that may be a stall, and reports it.
pub(super) fn judge(
    shared: &Shared,
    lane: usize,
    task: TaskId,
    since: Instant,
    computes: Option<bool>,
) -> Judged {
    let watchdog = &shared.progress.watchdog;
    let Some(stats) = shared.registry.stats(task) else {
        return Judged::NotYet;
    };
    let Some(budget) = watchdog.budget(stats.kind) else {
        return Judged::Done;
    };
    if since.elapsed() < budget {
        return Judged::NotYet;
    }
    let worker = Some(lane).filter(|lane| *lane < shared.progress.lanes.workers());
    let mut stall = Stall::new(task, stats.kind, stats.location, worker);
    stall.name = stats.name;
    stall.computes = computes;
    let watched = Watched { stall, since };
    let now = watched.now();
    watchdog.stalls.lock()[lane] = Some(watched);
    log(
        shared,
        &now,
        "a task keeps its worker from others; it should give way, or be a blocking task",
    );
    shared.plugins.call("on_stall", |plugin| plugin.on_stall(&now));
    Judged::Done
}

/// The lane has gone on: its stall is over, if there was one.
pub(super) fn stall_over(shared: &Shared, lane: usize) {
    let Some(watched) = shared.progress.watchdog.stalls.lock()[lane].take() else {
        return;
    };
    let stall = watched.now();
    log(shared, &stall, "a task that kept its worker has gone on");
    shared.plugins.call("on_stall_over", |plugin| plugin.on_stall_over(&stall));
}

fn log(shared: &Shared, stall: &Stall, message: &str) {
    let Some(left_out) = shared.progress.watchdog.lines.lock().allow(Instant::now()) else {
        return;
    };
    tracing::warn!(
        target: "moirai",
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

//! What an executor is doing now.

use std::fmt::{self, Write};

use moirai_core::{RecordClass, RuntimePhase, RuntimeStats, WorkerState};

use super::exposition::{Exposition, Kind};

pub(super) fn write<W: Write>(page: &mut Exposition<'_, W>, stats: &RuntimeStats) -> fmt::Result {
    tasks(page, stats)?;
    records(page, stats)?;
    threads(page, stats)?;
    let uptime = stats.observed_at.as_nanos() as f64 / 1e9;
    one(page, "moirai_uptime_seconds", Kind::Gauge, "Time since the executor's start.", uptime)?;
    let down = u8::from(stats.phase != RuntimePhase::Running);
    let help = "1 from the moment on at which a shutdown has begun.";
    one(page, "moirai_shutting_down", Kind::Gauge, help, down)
}

/// Writes a family of one number.
fn one<W: Write>(
    page: &mut Exposition<'_, W>,
    name: &'static str,
    kind: Kind,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    page.family(name, kind, help)?.number(&[], value)
}

fn tasks<W: Write>(page: &mut Exposition<'_, W>, stats: &RuntimeStats) -> fmt::Result {
    let help = "Tasks that have not ended, by kind, and by whether they have begun to run.";
    let mut family = page.family("moirai_active_tasks", Kind::Gauge, help)?;
    for of in &stats.active {
        family.number(&[("kind", &of.kind), ("status", &"queued")], of.queued)?;
        family.number(&[("kind", &of.kind), ("status", &"running")], of.running)?;
    }
    let help = "Tasks that are ready to run and wait for a worker.";
    one(page, "moirai_queued_tasks", Kind::Gauge, help, stats.queued)?;
    let help = "Tasks that were accepted.";
    one(page, "moirai_spawned_tasks_total", Kind::Counter, help, stats.spawned)?;
    let help = "Spawns that were refused, because of a limit or a shutdown.";
    one(page, "moirai_refused_tasks_total", Kind::Counter, help, stats.refused)?;
    let help = "Tasks that were cancelled, by what has cancelled them.";
    let mut family = page.family("moirai_cancelled_tasks_total", Kind::Counter, help)?;
    for of in &stats.cancelled {
        family.number(&[("cause", &of.cause)], of.tasks)?;
    }
    let help = "Polls that exceed their budget now.";
    one(page, "moirai_stalled_polls", Kind::Gauge, help, stats.stalled)?;
    let help = "Polls that have exceeded their budget.";
    one(page, "moirai_stalls_total", Kind::Counter, help, stats.stalls)?;
    let help = "Timers that have not fired, of the whole process.";
    one(page, "moirai_pending_timers", Kind::Gauge, help, stats.timers)
}

fn records<W: Write>(page: &mut Exposition<'_, W>, stats: &RuntimeStats) -> fmt::Result {
    let help = "Records of tasks that have ended, by the limits that apply to them.";
    let mut family = page.family("moirai_retained_records", Kind::Gauge, help)?;
    for of in &stats.retained {
        let (limits, class) = match &of.class {
            RecordClass::Failures => ("failures", ""),
            RecordClass::Named(name) => ("class", &**name),
            _ => ("default", ""),
        };
        // A class may have any name, also that of the default limits.
        family.number(&[("limits", &limits), ("class", &class)], of.records)?;
    }
    let help = "Records that were evicted, by cause.";
    let mut family = page.family("moirai_evicted_records_total", Kind::Counter, help)?;
    let evicted = &stats.cleanup;
    for (cause, records) in [
        ("age", evicted.evicted_by_age),
        ("count", evicted.evicted_by_count),
        ("request", evicted.evicted_by_request),
    ] {
        family.number(&[("cause", &cause)], records)?;
    }
    let help = "Memory that the records of tasks take.";
    one(page, "moirai_records_bytes", Kind::Gauge, help, stats.cleanup.memory_bytes)
}

fn threads<W: Write>(page: &mut Exposition<'_, W>, stats: &RuntimeStats) -> fmt::Result {
    let help = "Workers, by what they are in.";
    let mut family = page.family("moirai_workers", Kind::Gauge, help)?;
    for state in WorkerState::NAMES {
        family.number(&[("state", &state)], stats.workers_in(state))?;
    }
    let help = "Threads beside those of the workers, by what for, and by whether they have something to do.";
    let mut family = page.family("moirai_threads", Kind::Gauge, help)?;
    for (pool, threads, idle) in [
        ("blocking", stats.blocking.threads, stats.blocking.idle),
        ("spare", stats.spare.threads, stats.spare.idle),
        ("compensation", stats.compensation.threads, stats.compensation.idle),
    ] {
        family.number(&[("pool", &pool), ("state", &"busy")], threads.saturating_sub(idle))?;
        family.number(&[("pool", &pool), ("state", &"idle")], idle)?;
    }
    let help = "The largest number of these threads.";
    let mut family = page.family("moirai_threads_limit", Kind::Gauge, help)?;
    family.number(&[("pool", &"blocking")], stats.blocking.limit)?;
    family.number(&[("pool", &"spare")], stats.spare.limit)?;
    family.number(&[("pool", &"compensation")], stats.compensation.limit)?;
    let help = "Blocking tasks that wait for a thread.";
    one(page, "moirai_blocking_queued_tasks", Kind::Gauge, help, stats.blocking.queued)?;
    let help = "Tasks and fork-join jobs that ran on a compensation thread, because the workers were stuck.";
    one(page, "moirai_compensated_total", Kind::Counter, help, stats.compensation.ran)
}

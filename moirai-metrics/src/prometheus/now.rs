//! What an executor is doing now.

use moirai_core::{RecordClass, RuntimePhase, RuntimeStats, WorkerState};

use super::family::{Family, FamilyKind, Value};

pub(super) fn families(stats: &RuntimeStats) -> Vec<Family> {
    let mut families = tasks(stats);
    families.extend(records(stats));
    families.extend(threads(stats));
    let uptime = stats.observed_at.as_nanos() as f64 / 1e9;
    families.push(gauge("moirai_uptime_seconds", "Time since the executor's start.", uptime));
    let down = u64::from(stats.phase != RuntimePhase::Running);
    let help = "1 from the moment on at which a shutdown has begun.";
    families.push(gauge("moirai_shutting_down", help, down));
    families
}

/// Returns a gauge of one number.
fn gauge(name: &'static str, help: &'static str, value: impl Into<Value>) -> Family {
    Family::new(FamilyKind::Gauge, name, help).with(&[], value)
}

/// Returns a counter of one number.
fn counter(name: &'static str, help: &'static str, value: impl Into<Value>) -> Family {
    Family::new(FamilyKind::Counter, name, help).with(&[], value)
}

fn tasks(stats: &RuntimeStats) -> Vec<Family> {
    let help = "Tasks that have not ended, by kind, and by whether they have begun to run.";
    let mut active = Family::new(FamilyKind::Gauge, "moirai_active_tasks", help);
    for of in &stats.active {
        active = active
            .with(&[("kind", &of.kind), ("status", &"queued")], of.queued)
            .with(&[("kind", &of.kind), ("status", &"running")], of.running);
    }
    let help = "Tasks that were cancelled, by what has cancelled them.";
    let mut cancelled = Family::new(FamilyKind::Counter, "moirai_cancelled_tasks_total", help);
    for of in &stats.cancelled {
        cancelled = cancelled.with(&[("cause", &of.cause)], of.tasks);
    }
    vec![
        active,
        gauge(
            "moirai_queued_tasks",
            "Tasks that are ready to run and wait for a worker.",
            stats.queued,
        ),
        counter("moirai_spawned_tasks_total", "Tasks that were accepted.", stats.spawned),
        counter(
            "moirai_refused_tasks_total",
            "Spawns that were refused, because of a limit or a shutdown.",
            stats.refused,
        ),
        cancelled,
        gauge("moirai_stalled_polls", "Polls that exceed their budget now.", stats.stalled),
        counter("moirai_stalls_total", "Polls that have exceeded their budget.", stats.stalls),
        gauge(
            "moirai_pending_timers",
            "Timers that have not fired, of the whole process.",
            stats.timers,
        ),
    ]
}

fn records(stats: &RuntimeStats) -> Vec<Family> {
    let help = "Records of tasks that have ended, by the limits that apply to them.";
    let mut retained = Family::new(FamilyKind::Gauge, "moirai_retained_records", help);
    for of in &stats.retained {
        let (limits, class) = match &of.class {
            RecordClass::Failures => ("failures", ""),
            RecordClass::Named(name) => ("class", &**name),
            _ => ("default", ""),
        };
        // A class may have any name, also that of the default limits.
        retained = retained.with(&[("limits", &limits), ("class", &class)], of.records);
    }
    let (help, evicted) = ("Records that were evicted, by cause.", &stats.cleanup);
    vec![
        retained,
        Family::new(FamilyKind::Counter, "moirai_evicted_records_total", help)
            .with(&[("cause", &"age")], evicted.evicted_by_age)
            .with(&[("cause", &"count")], evicted.evicted_by_count)
            .with(&[("cause", &"request")], evicted.evicted_by_request),
        gauge(
            "moirai_records_bytes",
            "Memory that the records of tasks take.",
            stats.cleanup.memory_bytes,
        ),
    ]
}

fn threads(stats: &RuntimeStats) -> Vec<Family> {
    let help = "Workers, by what they are in.";
    let mut workers = Family::new(FamilyKind::Gauge, "moirai_workers", help);
    for state in WorkerState::NAMES {
        workers = workers.with(&[("state", &state)], stats.workers_in(state));
    }
    let help = "Threads beside those of the workers, by what for, and by whether they have something to do.";
    let mut threads = Family::new(FamilyKind::Gauge, "moirai_threads", help);
    let help = "The largest number of these threads.";
    let mut limits = Family::new(FamilyKind::Gauge, "moirai_threads_limit", help);
    let (blocking, spare, compensation) = (stats.blocking, stats.spare, stats.compensation);
    for (pool, all, idle, limit) in [
        ("blocking", blocking.threads, blocking.idle, blocking.limit),
        ("spare", spare.threads, spare.idle, spare.limit),
        ("compensation", compensation.threads, compensation.idle, compensation.limit),
    ] {
        threads = threads
            .with(&[("pool", &pool), ("state", &"busy")], all.saturating_sub(idle))
            .with(&[("pool", &pool), ("state", &"idle")], idle);
        limits = limits.with(&[("pool", &pool)], limit);
    }
    vec![
        workers,
        threads,
        limits,
        gauge(
            "moirai_blocking_queued_tasks",
            "Blocking tasks that wait for a thread.",
            stats.blocking.queued,
        ),
        counter(
            "moirai_compensated_total",
            "Tasks and fork-join jobs that ran on a compensation thread, because the workers were stuck.",
            stats.compensation.ran,
        ),
    ]
}

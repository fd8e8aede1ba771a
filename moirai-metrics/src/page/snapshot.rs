//! What an event says: everything that the page draws.

use std::time::Instant;

use moirai_core::{RecordClass, RuntimeStats, ThreadPoolStats, WorkerStats};
use serde_json::{Value, json};

use super::filter::Filter;
use super::limits::QUEUES_PAUSE;
use super::list;
use super::queues;
use super::record;
use super::sort::Sort;
use crate::distribution::HistogramSnapshot;
use crate::observable::Observer;
use crate::queues::ContainedSource;
use crate::snapshot::MetricsSnapshot;

/// The number of failures that are shown.
const FAILURES: usize = 20;

/// The number of workers that are shown one by one.
const WORKERS: usize = 64;

/// Makes one snapshot after the other, with what has happened in between.
#[derive(Default)]
pub(super) struct Snapshots {
    before: MetricsSnapshot,
    /// The number of failures at the last look, and those that were found then.
    failures: Option<(u64, Vec<Value>)>,
    /// When the source of the queues is asked again, if it has panicked.
    queues_again: Option<Instant>,
}

impl Snapshots {
    /// Returns a snapshot as an event. `None` if the executor is gone.
    pub(super) fn next(
        &mut self,
        observer: &dyn Observer,
        queues: Option<&ContainedSource>,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let stats = observer.runtime_stats()?;
        let metrics = observer.metrics()?;
        let stalled: Vec<Value> = observer.stalled()?.iter().map(record::stall).collect();
        let failures = self.failures(observer, &stats)?;
        let queues = self.queues(queues, now);
        let cancelled: u64 = stats.cancelled.iter().map(|of| of.tasks).sum();
        let causes: serde_json::Map<_, _> =
            stats.cancelled.iter().map(|of| (of.cause.to_string(), of.tasks.into())).collect();
        let snapshot = json!({
            "t": record::seconds(stats.observed_at),
            "phase": stats.phase.name(),
            "spawned": stats.spawned,
            "completed": stats.completed,
            "failed": stats.failed,
            "cancelled": cancelled,
            "refused": stats.refused,
            "active": active(&stats),
            "queued": stats.queued,
            "retained": retained(&stats),
            "bytes": stats.cleanup.memory_bytes,
            "evicted": {
                "age": stats.cleanup.evicted_by_age,
                "count": stats.cleanup.evicted_by_count,
                "request": stats.cleanup.evicted_by_request,
            },
            "causes": causes,
            "threads": {
                "blocking": pool(stats.blocking),
                "spare": pool(stats.spare),
                "compensation": {
                    "threads": stats.compensation.threads,
                    "idle": stats.compensation.idle,
                    "limit": stats.compensation.limit,
                },
            },
            "workers": stats.workers.len(),
            "states": states(&stats),
            "worker": stats.workers.iter().take(WORKERS).map(|of| worker(observer, of)).collect::<Vec<_>>(),
            "stalled": stalled,
            "stalls": stats.stalls,
            "timers": stats.timers,
            "failures": failures,
            "queues": queues,
            "queue": times(&metrics.queue_time.since(&self.before.queue_time)),
            "run": times(&metrics.execution_time.since(&self.before.execution_time)),
        });
        self.before = metrics;
        Some(format!("data: {snapshot}\n\n").into_bytes())
    }

    /// Returns the queues; null if their source has panicked, now or a short time ago.
    fn queues(&mut self, queues: Option<&ContainedSource>, now: Instant) -> Value {
        let Some(queues) = queues else { return Value::Array(Vec::new()) };
        if self.queues_again.is_some_and(|again| now < again) {
            return Value::Null;
        }
        let stats = queues.stats();
        self.queues_again = stats.is_none().then(|| now + QUEUES_PAUSE);
        stats.map_or(Value::Null, |stats| queues::queues(&stats))
    }

    /// Returns the latest failures. It looks for them only if there are others than before.
    fn failures(&mut self, observer: &dyn Observer, stats: &RuntimeStats) -> Option<Vec<Value>> {
        if let Some((count, failures)) = &self.failures
            && *count == stats.failed
        {
            return Some(failures.clone());
        }
        let filter = Filter::parse("status:failed");
        let (_, _, found) = list::first(observer, &filter, Sort::parse("-ended"), FAILURES)?;
        let found: Vec<Value> = found.iter().map(record::failure).collect();
        self.failures = Some((stats.failed, found.clone()));
        Some(found)
    }
}

fn active(stats: &RuntimeStats) -> Value {
    let kinds = stats
        .active
        .iter()
        .map(|of| (of.kind.to_string(), json!({ "queued": of.queued, "running": of.running })));
    Value::Object(kinds.collect())
}

fn retained(stats: &RuntimeStats) -> Vec<Value> {
    let classes = stats.retained.iter().map(|of| {
        let (limits, class) = match &of.class {
            RecordClass::Failures => ("failures", None),
            RecordClass::Named(name) => ("class", Some(&**name)),
            _ => ("default", None),
        };
        let most = of.limits.max_records;
        // JavaScript has no integer for "as many as you like".
        let most = (most < usize::MAX).then_some(most);
        json!({ "limits": limits, "class": class, "records": of.records, "most": most })
    });
    classes.collect()
}

fn pool(stats: ThreadPoolStats) -> Value {
    json!({
        "threads": stats.threads,
        "idle": stats.idle,
        "queued": stats.queued,
        "limit": stats.limit,
    })
}

fn states(stats: &RuntimeStats) -> Value {
    let names = moirai_core::WorkerState::NAMES;
    let counts = names.map(|name| (name.to_owned(), stats.workers_in(name).into()));
    Value::Object(counts.into_iter().collect())
}

fn worker(observer: &dyn Observer, of: &WorkerStats) -> Value {
    let task = of.state.task();
    let found = task.and_then(|id| observer.lookup(id)).and_then(moirai_core::Lookup::found);
    json!({
        "worker": of.worker,
        "state": of.state.name(),
        "since": of.since.map(record::nanos),
        "task": task.map(|id| id.to_string()),
        "name": found.as_ref().and_then(|task| task.name.as_deref()),
        "location": found.as_ref().map(|task| task.location.to_string()),
    })
}

/// Returns some quantiles; null if there is nothing to tell of.
fn times(times: &HistogramSnapshot) -> Value {
    let Some((p50, max)) = times.p50().zip(times.max()) else { return Value::Null };
    let at = |share: f64| times.quantile(share).map(record::nanos);
    json!({
        "count": times.count(),
        "p50": record::nanos(p50),
        "p90": at(0.9),
        "p99": at(0.99),
        "max": record::nanos(max),
    })
}

//! What an executor has recorded: counters for each worker, and histograms.

use std::time::Duration;

use super::family::{Family, FamilyKind, Value};
use crate::distribution::HistogramSnapshot;
use crate::snapshot::{KindMetrics, MetricsSnapshot, WorkerMetrics};

/// The exponents of the bounds: each bucket on the page ends one nanosecond short of two to the power of one of these, from 1 µs to
/// 69 s, each four times the one before. Buckets of [`Histogram`](crate::Histogram) end there, too, so no count is split.
const BOUNDS: [u32; 14] = [10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36];

pub(super) fn families(metrics: &MetricsSnapshot) -> Vec<Family> {
    let help = "Tasks that have ended, by outcome.";
    let mut tasks = Family::new(FamilyKind::Counter, "moirai_tasks_total", help);
    for (worker, metrics) in by_worker(metrics) {
        for (status, ended) in [
            ("completed", metrics.completed),
            ("failed", metrics.failed),
            ("cancelled", metrics.cancelled),
        ] {
            tasks = tasks.with(&[("worker", &worker), ("status", &status)], ended);
        }
    }
    vec![
        tasks,
        counter(metrics, "moirai_polls_total", "Polls of tasks that have ended.", |worker| {
            worker.polls.into()
        }),
        counter(metrics, "moirai_parks_total", "Times that a worker went to sleep.", |worker| {
            worker.parks.into()
        }),
        counter(
            metrics,
            "moirai_cores_handed_off_total",
            "Times that a worker's core was handed off to another thread, because its own was about to block.",
            |worker| worker.cores_handed_off.into(),
        ),
        counter(
            metrics,
            "moirai_busy_seconds_total",
            "Time that tasks that have ended were running.",
            |worker| worker.busy.as_secs_f64().into(),
        ),
        histogram(
            metrics,
            "moirai_queue_time_seconds",
            "Time that tasks waited for their first run.",
            |kind| &kind.queue_time,
        ),
        histogram(
            metrics,
            "moirai_execution_time_seconds",
            "Time that tasks were running, over all their polls.",
            |kind| &kind.execution_time,
        ),
    ]
}

/// Returns the metrics of each worker and of the other threads, with the value of the label `worker`.
fn by_worker(metrics: &MetricsSnapshot) -> impl Iterator<Item = (String, &WorkerMetrics)> {
    let workers = metrics.workers.iter().enumerate();
    let workers = workers.map(|(index, worker)| (index.to_string(), worker));
    workers.chain([("none".to_owned(), &metrics.foreign)])
}

fn counter(
    metrics: &MetricsSnapshot,
    name: &'static str,
    help: &'static str,
    value: impl Fn(&WorkerMetrics) -> Value,
) -> Family {
    by_worker(metrics).fold(Family::new(FamilyKind::Counter, name, help), |family, (worker, of)| {
        family.with(&[("worker", &worker)], value(of))
    })
}

fn histogram(
    metrics: &MetricsSnapshot,
    name: &'static str,
    help: &'static str,
    times: impl Fn(&KindMetrics) -> &HistogramSnapshot,
) -> Family {
    let family = Family::new(FamilyKind::Histogram, name, help);
    metrics.kinds.iter().fold(family, |family, of| {
        let times = times(of);
        let buckets = BOUNDS.map(|power| {
            let nanos = (1u64 << power) - 1;
            (Duration::from_nanos(nanos).as_secs_f64(), times.count_up_to(nanos))
        });
        let (sum, count) = (times.sum().as_secs_f64(), times.count());
        family.with(&[("kind", &of.kind)], Value::Histogram { buckets: buckets.into(), sum, count })
    })
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use moirai_core::{Recorder, TaskKind, TaskSample, TaskStatus};

    use super::*;
    use crate::MetricsRecorder;

    fn page() -> String {
        let recorder = MetricsRecorder::new();
        recorder.start(1);
        for nanos in [1_023, 1_024, 5_000, u64::MAX] {
            let (queued, busy) = (Duration::from_nanos(nanos), Duration::from_millis(500));
            let sample = TaskSample::new(TaskKind::Async, TaskStatus::Completed, queued, busy, 2);
            recorder.task_finished(Some(0), &sample);
        }
        recorder.worker_parked(0);
        let mut page = String::new();
        recorder.snapshot().to_prometheus(&mut page).unwrap();
        page
    }

    #[test]
    fn every_number_is_on_the_page() {
        let page = page();
        for line in [
            r#"moirai_tasks_total{worker="0",status="completed"} 4"#,
            r#"moirai_tasks_total{worker="none",status="failed"} 0"#,
            r#"moirai_polls_total{worker="0"} 8"#,
            r#"moirai_parks_total{worker="0"} 1"#,
            r#"moirai_cores_handed_off_total{worker="0"} 0"#,
            r#"moirai_busy_seconds_total{worker="0"} 2"#,
            r#"moirai_queue_time_seconds_bucket{kind="async",le="0.000001023"} 1"#,
            r#"moirai_queue_time_seconds_bucket{kind="async",le="0.000004095"} 2"#,
            r#"moirai_queue_time_seconds_bucket{kind="async",le="68.719476735"} 3"#,
            r#"moirai_queue_time_seconds_bucket{kind="async",le="+Inf"} 4"#,
            r#"moirai_queue_time_seconds_count{kind="async"} 4"#,
            r#"moirai_execution_time_seconds_sum{kind="async"} 2"#,
        ] {
            assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
        }
    }

    #[test]
    fn every_line_is_a_comment_or_a_name_with_labels_and_a_number() {
        let page = page();
        assert!(page.ends_with('\n'));
        for line in page.lines() {
            if line.starts_with("# HELP moirai_") || line.starts_with("# TYPE moirai_") {
                continue;
            }
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("moirai_") && name.ends_with('}'), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }

    #[test]
    fn each_family_is_described_once_and_ahead_of_its_numbers() {
        let page = page();
        let mut described = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let family = rest.split(' ').next().unwrap();
                assert!(!described.contains(&family), "{family}");
                described.push(family);
            } else if !line.starts_with('#') {
                let family = *described.last().unwrap();
                assert!(line.starts_with(family), "{line}");
            }
        }
        assert_eq!(described.len(), 7);
    }
}

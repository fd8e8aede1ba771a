//! Tests of what the metrics count.

mod common;

use std::time::Duration;

use common::{Gate, block_only_worker, wait_until, watchdog};
use moirai::metrics::MetricsSnapshot;
use moirai::prelude::*;

/// Runs a known set of tasks: 30 complete, 10 of each kind, 3 fail, and 2 are cancelled after a poll.
fn run_some(executor: &Moirai) {
    for _ in 0..10 {
        executor.spawn_async(async { yield_now().await }).join().unwrap();
        executor.spawn_parallel(|| ()).join().unwrap();
        executor.spawn_blocking(|| ()).join().unwrap();
    }
    for _ in 0..3 {
        let failed: TaskHandle<()> =
            executor.spawn_parallel(|| std::panic::resume_unwind(Box::new(common::ON_PURPOSE)));
        assert!(failed.join().is_err());
    }
    for _ in 0..2 {
        let waiting = executor.spawn_async(std::future::pending::<()>());
        wait_until("it waits", || executor.task_stats(waiting.id()).unwrap().polls > 0);
        waiting.cancel();
        assert!(waiting.join().is_err());
    }
}

#[test]
fn every_task_is_counted_once() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(2).build().unwrap();
    assert_eq!(executor.metrics().total().tasks(), 0);
    run_some(&executor);
    let metrics = executor.metrics();
    let total = metrics.total();
    assert_eq!((total.completed, total.failed, total.cancelled), (30, 3, 2));
    assert_eq!(total.tasks(), 35);
    // Each async task that completed was polled twice, and each of the others once.
    assert_eq!(total.polls, 20 + 10 + 10 + 3 + 2);
    assert_eq!(metrics.workers.len(), 2);
    let on_workers: u64 = metrics.workers.iter().map(|worker| worker.completed).sum();
    assert_eq!(
        (on_workers, metrics.foreign.completed),
        (20, 10),
        "blocking tasks do not run on workers"
    );
    assert_eq!(metrics.queue_time.count(), 35);
    assert_eq!(metrics.execution_time.count(), 35);
    for (kind, tasks) in [(TaskKind::Async, 12), (TaskKind::Parallel, 13), (TaskKind::Blocking, 10)]
    {
        let kind = metrics.kind(kind).unwrap();
        assert_eq!((kind.queue_time.count(), kind.execution_time.count()), (tasks, tasks));
    }
    assert!(metrics.execution_time.sum() <= total.busy + Duration::from_millis(1));
}

#[test]
fn queue_times_and_execution_times_are_measured() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder());
    let queued = blocked.executor.spawn_parallel(|| ());
    let id = queued.id();
    // The blocker runs for at least this long, and the queued task waits for as long.
    let least = Duration::from_millis(20);
    std::thread::sleep(least);
    blocked.gate.open();
    queued.join().unwrap();
    blocked.blocker.join().unwrap();
    let metrics = blocked.executor.metrics();
    // The histograms' buckets and their rough clock are exact to a few per cent.
    let nearly = least.mul_f64(0.9);
    assert!(metrics.queue_time.max().unwrap() >= nearly, "{metrics}");
    assert!(metrics.execution_time.max().unwrap() >= nearly, "{metrics}");
    let stats = blocked.executor.task_stats(id).unwrap();
    assert!(stats.queue_time().unwrap() >= least.mul_f64(0.99));
}

#[test]
fn a_task_that_never_ran_has_no_times() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder());
    let queued = blocked.executor.spawn_parallel(|| ());
    queued.cancel();
    blocked.gate.open();
    assert!(queued.join().unwrap_err().is_cancelled());
    blocked.blocker.join().unwrap();
    let metrics = blocked.executor.metrics();
    assert_eq!(metrics.total().cancelled, 1);
    assert_eq!((metrics.queue_time.count(), metrics.execution_time.count()), (1, 1));
}

#[test]
fn parks_and_handed_off_cores_are_counted() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    wait_until("the idle worker sleeps", || executor.metrics().workers[0].parks > 0);
    assert_eq!(executor.metrics().workers[0].cores_handed_off, 0);
    let (gate, inner) = (Gate::new(), executor.clone());
    let opener = gate.clone();
    let handle = executor.spawn_parallel(move || {
        let opens = inner.spawn_async(async move { opener.open() });
        block_in_place(|| gate.wait());
        opens.join().unwrap();
    });
    handle.join().unwrap();
    assert!(executor.metrics().workers[0].cores_handed_off > 0);
}

#[test]
fn recording_can_be_turned_off() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(2).record_metrics(false).build().unwrap();
    run_some(&executor);
    assert_eq!(executor.metrics(), MetricsSnapshot::default());
    // Tasks have records all the same.
    assert_eq!(executor.cleanup_stats().completed_tasks, 30);
}

#[test]
fn metrics_can_be_read_after_the_shutdown_and_from_clones() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let clone = executor.clone();
    run_some(&executor);
    let report = executor.shutdown();
    let total = clone.metrics().total();
    assert_eq!((total.completed, total.failed), (report.completed, report.failed));
    assert_eq!(total.cancelled, report.cancelled);
    assert!(!clone.metrics().to_string().is_empty());
}

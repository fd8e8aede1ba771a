use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use TaskKind::{Async, Blocking, Parallel};
use TaskStatus::{Cancelled, Completed, Failed, Queued, Running};

fn sample(kind: TaskKind, status: TaskStatus, queue: u64, busy: u64, polls: u32) -> TaskSample {
    TaskSample::new(kind, status, Duration::from_nanos(queue), Duration::from_nanos(busy), polls)
}

#[test]
fn each_worker_has_its_own_counts() {
    let recorder = MetricsRecorder::new();
    recorder.start(2);
    recorder.task_finished(Some(0), &sample(Async, Completed, 10, 100, 3));
    recorder.task_finished(Some(0), &sample(Parallel, Failed, 20, 200, 1));
    recorder.task_finished(Some(1), &sample(Async, Cancelled, 30, 300, 2));
    recorder.task_finished(None, &sample(Blocking, Completed, 40, 400, 1));
    recorder.worker_parked(1);
    recorder.worker_parked(1);
    recorder.core_handed_off(0);

    let snapshot = recorder.snapshot();
    let expected = [
        WorkerMetrics {
            completed: 1,
            failed: 1,
            polls: 4,
            busy: Duration::from_nanos(300),
            cores_handed_off: 1,
            ..WorkerMetrics::default()
        },
        WorkerMetrics {
            cancelled: 1,
            polls: 2,
            busy: Duration::from_nanos(300),
            parks: 2,
            ..WorkerMetrics::default()
        },
    ];
    assert_eq!(snapshot.workers, expected);
    let foreign = WorkerMetrics {
        completed: 1,
        polls: 1,
        busy: Duration::from_nanos(400),
        ..WorkerMetrics::default()
    };
    assert_eq!(snapshot.foreign, foreign);

    let total = snapshot.total();
    assert_eq!((total.completed, total.failed, total.cancelled), (2, 1, 1));
    assert_eq!((total.tasks(), total.polls, total.parks, total.cores_handed_off), (4, 7, 2, 1));
    assert_eq!(total.busy, Duration::from_nanos(1000));
}

#[test]
fn times_are_kept_by_kind_and_together() {
    let recorder = MetricsRecorder::new();
    recorder.start(2);
    for worker in [Some(0), Some(1), None] {
        recorder.task_finished(worker, &sample(Async, Completed, 10, 100, 1));
    }
    recorder.task_finished(None, &sample(Blocking, Completed, 50, 500, 1));

    let snapshot = recorder.snapshot();
    let times = |kind| {
        let times: &KindMetrics = snapshot.kind(kind)?;
        Some((times.queue_time.count(), times.queue_time.max(), times.execution_time.max()))
    };
    let nanos = |nanos| Some(Duration::from_nanos(nanos));
    assert_eq!(times(Async), Some((3, nanos(10), nanos(100))));
    assert_eq!(times(Blocking), Some((1, nanos(50), nanos(500))));
    assert_eq!(times(Parallel), None);
    assert_eq!(snapshot.queue_time.count(), 4);
    assert_eq!(snapshot.queue_time.sum(), Duration::from_nanos(80));
    assert_eq!(snapshot.execution_time.sum(), Duration::from_nanos(800));
}

#[test]
fn a_task_that_never_ran_is_counted_and_has_no_times() {
    let recorder = MetricsRecorder::new();
    recorder.start(1);
    recorder.task_finished(Some(0), &sample(Async, Cancelled, 0, 0, 0));
    let snapshot = recorder.snapshot();
    assert_eq!(snapshot.workers[0].cancelled, 1);
    assert!(snapshot.queue_time.is_empty() && snapshot.kinds.is_empty());
}

#[test]
fn a_task_that_has_not_finished_is_not_counted() {
    let recorder = MetricsRecorder::new();
    recorder.start(1);
    for status in [Queued, Running] {
        recorder.task_finished(Some(0), &sample(Async, status, 1, 1, 1));
    }
    assert_eq!(recorder.snapshot().total(), WorkerMetrics::default());
}

#[test]
fn a_worker_that_was_not_announced_counts_as_foreign() {
    let recorder = MetricsRecorder::new();
    recorder.task_finished(Some(0), &sample(Async, Completed, 1, 1, 1));
    recorder.start(1);
    recorder.task_finished(Some(1), &sample(Async, Completed, 1, 1, 1));
    recorder.worker_parked(1);
    recorder.core_handed_off(usize::MAX);
    // A second call of `start` changes nothing.
    recorder.start(5);
    let snapshot = recorder.snapshot();
    assert_eq!(snapshot.workers, [WorkerMetrics::default()]);
    let foreign = &snapshot.foreign;
    assert_eq!((foreign.completed, foreign.parks, foreign.cores_handed_off), (2, 1, 1));
}

#[test]
fn a_recorder_that_forwards_the_old_name_is_counted() {
    let recorder = MetricsRecorder::new();
    recorder.start(1);
    #[allow(deprecated)]
    recorder.seat_handed_on(0);
    assert_eq!(recorder.snapshot().workers[0].cores_handed_off, 1);
}

#[test]
fn no_count_is_lost_when_workers_and_foreign_threads_report_at_once() {
    // Enough that the threads without a worker are sure to run at the same time, even on a single processor.
    const EACH: u64 = 400_000;
    let recorder = MetricsRecorder::new();
    recorder.start(2);
    let done = AtomicBool::new(false);
    let ready = Barrier::new(4);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let tasks = recorder.snapshot().total().tasks();
                assert!(tasks >= seen, "a count went back");
                seen = tasks;
            }
        });
        let writers = [Some(0), Some(1), None, None].map(|worker| {
            let (recorder, ready) = (&recorder, &ready);
            scope.spawn(move || {
                ready.wait();
                for i in 0..EACH {
                    recorder.task_finished(worker, &sample(Async, Completed, i, 2 * i, 1));
                }
            })
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    let snapshot = recorder.snapshot();
    assert_eq!(snapshot.workers[0].completed, EACH);
    assert_eq!(snapshot.workers[1].completed, EACH);
    assert_eq!(snapshot.foreign.completed, 2 * EACH);
    assert_eq!(snapshot.queue_time.count(), 4 * EACH);
    assert_eq!(snapshot.queue_time.sum(), Duration::from_nanos(4 * (EACH * (EACH - 1) / 2)));
    assert_eq!(snapshot.total().busy, Duration::from_nanos(8 * (EACH * (EACH - 1) / 2)));
}

#[test]
fn a_worker_takes_the_memory_that_is_promised() {
    assert!(size_of::<CachePadded<Counters>>() <= 256);
    assert!(size_of::<CachePadded<Times>>() <= 8 * 1024, "{}", size_of::<CachePadded<Times>>());
    // No two workers' counters share a cache line.
    assert!(align_of::<CachePadded<Counters>>() >= 64);
}

//! Tests of the retained records: they stay within their limits, and no record is evicted that should be kept.
//!
//! They hold the promises P4 to P8, P10, and the part of P12 that concerns the cleanup worker, of `docs/src/guarantees.md`.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Gate, HOUR, named, retain_at_most, threads, wait_until, watchdog, workers};
use moirai::prelude::*;
use moirai::{Clock, ManualClock};

/// Returns an executor on a manual clock, and what moves the clock.
fn on_manual_clock(workers: usize, cleanup: CleanupConfig) -> (Moirai, Arc<ManualClock>) {
    let (clock, controller) = Clock::manual();
    let builder = Moirai::builder().worker_threads(workers).cleanup_config(cleanup).clock(clock);
    (builder.build().unwrap(), controller)
}

/// Runs tasks one after the other, and returns their ids in the order in which they ended.
fn run_one_by_one(executor: &Moirai, tasks: usize) -> Vec<TaskId> {
    let run = |i: usize| {
        let handle = match i % 2 {
            0 => executor.spawn_parallel(|| ()),
            _ => executor.spawn_async(async {}),
        };
        let id = handle.id();
        handle.join().unwrap();
        id
    };
    (0..tasks).map(run).collect()
}

fn retained(stats: &CleanupStats) -> usize {
    stats.completed_tasks + stats.cancelled_tasks + stats.failed_tasks
}

fn is_retained(executor: &Moirai, id: TaskId) -> bool {
    executor.task_status(id).is_some()
}

#[test]
fn test_cleanup_mechanism() {
    let _watchdog = watchdog();
    let (executor, controller) = on_manual_clock(
        2,
        CleanupConfig {
            task_retention_duration: Duration::from_millis(100),
            cleanup_interval: Duration::from_millis(50),
            ..CleanupConfig::default()
        },
    );
    let handles: Vec<_> = (0..10).map(|i| executor.spawn_async(async move { i })).collect();
    let ids: Vec<_> = handles.iter().map(TaskHandle::id).collect();
    for (i, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), i);
    }
    for id in &ids {
        assert_eq!(executor.task_status(*id), Some(TaskStatus::Completed));
    }
    let stats = executor.cleanup_stats();
    assert_eq!(stats.completed_tasks, 10);
    assert_eq!(stats.total_tasks, 10);
    assert_eq!(stats.active_tasks, 0);

    // After 60 of the 100 ms no record is too old.
    controller.advance(Duration::from_millis(60));
    assert_eq!(executor.cleanup_stats().oldest_completed_task_age, Some(Duration::from_millis(60)));
    assert_eq!(executor.cleanup_stats().total_tasks, 10);

    controller.advance(Duration::from_millis(60));
    wait_until("a sweep has removed all ten", || {
        let gone = executor.cleanup_stats().total_tasks == 0;
        // The next sweep comes an interval after the last one, whenever that was.
        controller.advance(Duration::from_millis(50));
        gone
    });
    let stats = executor.cleanup_stats();
    assert_eq!(stats.completed_tasks, 0);
    assert_eq!(stats.evicted_by_age, 10);
    assert_eq!(stats.evicted_by_count + stats.evicted_by_request, 0);
    assert_eq!(stats.oldest_completed_task_age, None);
    wait_until("the sweep is over", || executor.cleanup_stats().last_sweep.is_some());
    for id in ids {
        assert_eq!(executor.task_status(id), None);
    }
    assert!(executor.tasks().is_empty());
}

#[test]
fn by_the_system_clock_no_record_is_evicted_before_its_retention_has_passed() {
    let _watchdog = watchdog();
    let retention = Duration::from_millis(100);
    let executor = named("cln-real", 2)
        .cleanup_config(CleanupConfig {
            task_retention_duration: retention,
            cleanup_interval: Duration::from_millis(20),
            ..CleanupConfig::default()
        })
        .build()
        .unwrap();
    // If this thread did not run for the length of the retention, the records may be gone before it looks; then it tries again.
    wait_until("ten tasks have ended and been counted within the retention", || {
        let start = Instant::now();
        run_one_by_one(&executor, 10);
        let completed = executor.cleanup_stats().completed_tasks;
        let in_time = start.elapsed() < retention;
        if in_time {
            assert_eq!(completed, 10);
        }
        wait_until("the sweep has removed them", || executor.cleanup_stats().total_tasks == 0);
        assert!(start.elapsed() >= retention, "too soon: {:?}", start.elapsed());
        in_time
    });
}

#[test]
fn test_manual_cleanup() {
    let _watchdog = watchdog();
    let (executor, controller) = on_manual_clock(
        2,
        CleanupConfig {
            task_retention_duration: Duration::from_millis(100),
            cleanup_interval: Duration::from_millis(10),
            enable_automatic_cleanup: false,
            max_retained_tasks: 3,
        },
    );
    run_one_by_one(&executor, 10);
    assert_eq!(executor.cleanup_stats().completed_tasks, 10, "over the limit, before any request");
    controller.advance(HOUR);
    run_one_by_one(&executor, 1);
    assert_eq!(executor.cleanup_stats().completed_tasks, 11, "too old, before any request");
    controller.advance(Duration::from_millis(101));
    assert_eq!(executor.cleanup_completed_tasks(), 11);
    let stats = executor.cleanup_stats();
    assert_eq!(stats.total_tasks, 0);
    assert_eq!(stats.evicted_by_request, 11);
    assert_eq!(stats.evicted_by_age + stats.evicted_by_count, 0);
    assert_eq!(executor.cleanup_completed_tasks(), 0);
}

#[test]
fn a_manual_cleanup_applies_both_limits_to_tasks_that_ended_on_any_thread() {
    let _watchdog = watchdog();
    let (executor, controller) = on_manual_clock(
        2,
        CleanupConfig {
            task_retention_duration: Duration::from_secs(10),
            enable_automatic_cleanup: false,
            max_retained_tasks: 4,
            ..CleanupConfig::default()
        },
    );
    run_one_by_one(&executor, 6);
    executor.spawn_blocking(|| ()).join().unwrap();
    let cancelled = executor.spawn_async(std::future::pending::<()>());
    cancelled.cancel();
    assert!(cancelled.join().unwrap_err().is_cancelled());
    assert_eq!(executor.cleanup_completed_tasks(), 4, "eight are four more than the limit");
    assert_eq!(retained(&executor.cleanup_stats()), 4);
    controller.advance(Duration::from_secs(9));
    let newest = run_one_by_one(&executor, 2);
    controller.advance(Duration::from_secs(2));
    assert_eq!(executor.cleanup_completed_tasks(), 4, "those that ended eleven seconds ago");
    assert_eq!(retained(&executor.cleanup_stats()), 2);
    assert!(newest.iter().all(|id| is_retained(&executor, *id)));
    assert_eq!(executor.cleanup_stats().evicted_by_request, 8);
}

#[test]
fn test_cleanup_max_retained_tasks() {
    let _watchdog = watchdog();
    for workers in 1..=2 {
        let executor = Moirai::builder()
            .worker_threads(workers)
            .cleanup_config(retain_at_most(3, HOUR))
            .build()
            .unwrap();
        let ids = run_one_by_one(&executor, 8);
        // The records are evicted at once: the first sweep would come in half a minute.
        let stats = executor.cleanup_stats();
        assert_eq!(stats.total_tasks, 3);
        assert_eq!(stats.completed_tasks, 3);
        assert_eq!(stats.evicted_by_count, 5);
        let kept: Vec<_> = ids.iter().map(|id| is_retained(&executor, *id)).collect();
        assert_eq!(kept, [false, false, false, false, false, true, true, true]);
        let mut listed: Vec<_> = executor.tasks().iter().map(|task| task.id).collect();
        listed.sort();
        let mut newest = ids[5..].to_vec();
        newest.sort();
        assert_eq!(listed, newest);
    }
}

#[test]
fn the_newest_records_are_kept_and_older_ones_go_in_order() {
    let _watchdog = watchdog();
    let (limit, slack) = (1_000, 64);
    let executor = Moirai::builder()
        .worker_threads(1)
        .cleanup_config(retain_at_most(limit, HOUR))
        .build()
        .unwrap();
    let ids = run_one_by_one(&executor, 3_000);
    let kept: Vec<_> = ids.iter().map(|id| is_retained(&executor, *id)).collect();
    let oldest_kept = kept.iter().position(|kept| *kept).unwrap();
    assert!(
        kept[oldest_kept..].iter().all(|kept| *kept),
        "a record was evicted before an older one"
    );
    let count = ids.len() - oldest_kept;
    assert!((limit..=limit + slack).contains(&count), "{count} kept");
    assert_eq!(executor.tasks().len(), count);
    assert_eq!(executor.cleanup_stats().completed_tasks, count);
    // A request evicts also what exceeds the limit within the slack.
    executor.cleanup_completed_tasks();
    assert_eq!(executor.cleanup_stats().completed_tasks, limit);
    assert!(ids[ids.len() - limit..].iter().all(|id| is_retained(&executor, *id)));
}

#[test]
fn a_million_tasks_never_exceed_the_limit_by_more_than_the_slack() {
    const TASKS: usize = 1_000_000;
    const LIMIT: usize = 10_000;
    const WORKERS: usize = 2;
    const SPAWNERS: usize = 2;
    // The slack of P4: an eighth of the limit, and never more than 64 for each worker.
    let bound = LIMIT + (LIMIT / 8).min(64 * WORKERS);

    let watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(WORKERS)
        .cleanup_config(CleanupConfig {
            cleanup_interval: Duration::from_millis(10),
            ..retain_at_most(LIMIT, HOUR)
        })
        .build()
        .unwrap();
    let spawn = |i: usize| match i % 16 {
        0 => drop(executor.spawn_async(async {
            std::panic::resume_unwind(Box::new(common::ON_PURPOSE));
        })),
        1 => executor.spawn_async(std::future::pending::<()>()).cancel(),
        2..=8 => drop(executor.spawn_async(yield_now())),
        _ => drop(executor.spawn_parallel(|| ())),
    };
    let mut samples = 0;
    let mut most = 0;
    std::thread::scope(|scope| {
        let spawners: Vec<_> = (0..SPAWNERS)
            .map(|_| {
                scope.spawn(|| {
                    for i in 0..TASKS / SPAWNERS {
                        spawn(i);
                        // Stays close to the workers, because this test is about records of ended tasks.
                        if i % 1_024 == 0 {
                            wait_until("few are active", || {
                                executor.cleanup_stats().active_tasks < 4_096
                            });
                        }
                    }
                })
            })
            .collect();
        while !spawners.iter().all(|spawner| spawner.is_finished())
            || executor.cleanup_stats().active_tasks > 0
        {
            let stats = executor.cleanup_stats();
            let now = retained(&stats);
            assert!(now <= bound, "{now} records where {bound} are allowed: {stats:?}");
            assert_eq!(stats.total_tasks, stats.active_tasks + now);
            samples += 1;
            most = most.max(now);
            watchdog.feed(format!("{stats:?}"));
            std::thread::yield_now();
        }
    });
    let stats = executor.cleanup_stats();
    println!("{samples} samples, at most {most} records; {stats:?}");
    assert!(samples > 10 && most > LIMIT / 2, "too few samples or records: {samples}, {most}");
    assert!((LIMIT..=bound).contains(&retained(&stats)), "{stats:?}");
    // The records of the last tasks may not be complete yet; after a shutdown they are.
    assert_eq!(executor.shutdown().spawned as usize, TASKS);
    executor.cleanup_completed_tasks();
    let stats = executor.cleanup_stats();
    assert_eq!(stats.total_tasks, LIMIT);
    assert_eq!(executor.tasks().len(), LIMIT);
    assert_eq!(stats.evicted_by_age, 0);
    assert_eq!((stats.evicted_by_count + stats.evicted_by_request) as usize, TASKS - LIMIT);
}

#[test]
fn active_tasks_are_never_evicted_and_evicted_ids_stay_unknown() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(2)
        .cleanup_config(retain_at_most(10, HOUR))
        .build()
        .unwrap();
    let gate = Gate::new();
    let waiting: Vec<_> = (0..100)
        .map(|i| {
            let gate = gate.clone();
            let name = format!("waits {i}");
            executor.task().name(name).spawn_async(async move { gate.passed().await })
        })
        .collect();
    let early = run_one_by_one(&executor, 2_000);
    let late = run_one_by_one(&executor, 10_000);
    let slots: std::collections::HashSet<_> = late.iter().map(|id| id.slot()).collect();
    assert!(slots.len() < late.len() / 2, "slots are not reused: {}", slots.len());
    assert_eq!(early.iter().filter(|id| is_retained(&executor, **id)).count(), 0);
    let kept: Vec<_> = late.iter().filter(|id| is_retained(&executor, **id)).collect();
    assert_eq!(kept, late[late.len() - 10..].iter().collect::<Vec<_>>());
    for id in early.iter().chain(&late) {
        assert!(executor.task_stats(*id).is_none_or(|stats| stats.id == *id));
    }
    executor.cleanup_completed_tasks();
    for (i, handle) in waiting.iter().enumerate() {
        let stats = executor.task_stats(handle.id()).expect("active tasks have records");
        assert_eq!(stats.id, handle.id());
        assert_eq!(stats.name.as_deref(), Some(&*format!("waits {i}")));
        assert!(stats.status.is_active());
    }
    assert_eq!(executor.cleanup_stats().active_tasks, 100);
    gate.open();
    for handle in waiting {
        handle.join().unwrap();
    }
    assert_eq!(executor.cleanup_stats().total_tasks, 10);
}

#[test]
fn the_list_and_the_counts_agree() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let gate = Gate::new();
    let handles: Vec<_> = (0..200)
        .map(|i| {
            let gate = gate.clone();
            let handle = executor.spawn_async(async move {
                if i % 4 == 0 {
                    gate.passed().await;
                } else if i % 4 == 1 {
                    std::panic::resume_unwind(Box::new(common::ON_PURPOSE));
                } else if i % 4 == 2 {
                    std::future::pending::<()>().await;
                }
            });
            if i % 4 == 2 {
                handle.cancel();
            }
            handle
        })
        .collect();
    wait_until("all but fifty have ended", || executor.cleanup_stats().active_tasks == 50);
    let (stats, tasks) = (executor.cleanup_stats(), executor.tasks());
    let with = |status: TaskStatus| tasks.iter().filter(|task| task.status == status).count();
    assert_eq!(with(TaskStatus::Completed), 50);
    assert_eq!(with(TaskStatus::Failed), 50);
    assert_eq!(with(TaskStatus::Cancelled), 50);
    assert_eq!((stats.completed_tasks, stats.failed_tasks, stats.cancelled_tasks), (50, 50, 50));
    assert_eq!((stats.total_tasks, tasks.len()), (200, 200));
    for handle in &handles {
        assert_eq!(tasks.iter().filter(|task| task.id == handle.id()).count(), 1);
    }
    gate.open();
}

#[test]
fn every_limit_means_what_it_says() {
    let _watchdog = watchdog();
    let run = |cleanup: CleanupConfig, tasks: usize| {
        let executor = Moirai::builder().worker_threads(2).cleanup_config(cleanup).build().unwrap();
        run_one_by_one(&executor, tasks);
        executor
    };
    // A retention without end, and one that is longer than the process has existed.
    for retention in [Duration::MAX, HOUR * 24 * 365 * 1_000] {
        let interval = Duration::from_millis(1);
        let executor =
            run(CleanupConfig { cleanup_interval: interval, ..retain_at_most(10, retention) }, 5);
        assert_eq!(executor.cleanup_completed_tasks(), 0);
        assert_eq!(executor.cleanup_stats().completed_tasks, 5);
    }
    // A retention of zero: the records are evicted by the next sweep, or on request.
    let interval = Duration::from_millis(1);
    let zero = retain_at_most(10, Duration::ZERO);
    let executor = run(CleanupConfig { cleanup_interval: interval, ..zero.clone() }, 5);
    wait_until("a sweep has removed all", || executor.cleanup_stats().total_tasks == 0);
    let executor = run(CleanupConfig { cleanup_interval: Duration::MAX, ..zero }, 5);
    assert_eq!(executor.cleanup_completed_tasks(), 5);
    // A limit that no number of records exceeds.
    let executor = run(retain_at_most(usize::MAX, HOUR), 500);
    assert_eq!(executor.cleanup_completed_tasks(), 0);
    assert_eq!(executor.cleanup_stats().completed_tasks, 500);
    // A limit of zero. The handle has the result all the same.
    let executor = run(retain_at_most(0, HOUR), 50);
    assert_eq!(executor.cleanup_stats().total_tasks, 0);
    let handle = executor.spawn_parallel(|| 7);
    let id = handle.id();
    assert_eq!(handle.join().unwrap(), 7);
    assert_eq!(executor.task_status(id), None);
    // A limit of one.
    let executor = run(retain_at_most(1, HOUR), 50);
    assert_eq!(executor.cleanup_stats().total_tasks, 1);
}

#[test]
fn memory_comes_back_after_a_burst() {
    let _watchdog = watchdog();
    let (executor, controller) =
        on_manual_clock(2, retain_at_most(usize::MAX, Duration::from_secs(60)));
    run_one_by_one(&executor, 1);
    let before = executor.cleanup_stats().memory_bytes;
    let burst: Vec<_> = (0..50_000).map(|_| executor.spawn_parallel(|| ())).collect();
    for handle in burst {
        handle.join().unwrap();
    }
    let peak = executor.cleanup_stats().memory_bytes;
    assert!(peak >= before + 50_000 * 64, "records take 64 bytes at least: {before}, {peak}");
    controller.advance(HOUR);
    wait_until("a sweep has removed all records and released their memory", || {
        controller.advance(Duration::from_secs(30));
        let stats = executor.cleanup_stats();
        stats.total_tasks == 0 && stats.memory_bytes < peak / 4
    });
    common::assert_runs(&executor);
}

#[test]
#[cfg(target_os = "linux")]
fn an_idle_executor_with_nothing_retained_never_wakes() {
    let _watchdog = watchdog();
    let (prefix, window) = ("cln-idle", Duration::from_millis(200));
    let executor = named(prefix, 2)
        .cleanup_config(CleanupConfig {
            cleanup_interval: Duration::from_millis(5),
            ..retain_at_most(100, Duration::from_millis(5))
        })
        .build()
        .unwrap();
    common::assert_runs(&executor);
    wait_until("nothing is retained", || executor.cleanup_stats().total_tasks == 0);
    // It is promised that from some moment on no thread wakes, but not how soon that is.
    wait_until("no thread has woken for a while", || {
        let before = threads::sleeps(prefix);
        std::thread::sleep(window);
        before == threads::sleeps(prefix)
    });
    // The records of later tasks are swept all the same.
    run_one_by_one(&executor, 3);
    wait_until("nothing is retained again", || executor.cleanup_stats().total_tasks == 0);
}

#[test]
#[cfg(target_os = "linux")]
fn the_cleanup_worker_exists_only_with_automatic_cleanup_and_ends_with_the_executor() {
    let _watchdog = watchdog();
    let off = named("cln-off", 1)
        .cleanup_config(CleanupConfig {
            enable_automatic_cleanup: false,
            ..retain_at_most(10, HOUR)
        })
        .build()
        .unwrap();
    let on = named("cln-on", 1)
        .cleanup_config(CleanupConfig {
            cleanup_interval: Duration::MAX,
            ..retain_at_most(10, HOUR)
        })
        .build()
        .unwrap();
    common::assert_runs(&on);
    common::assert_runs(&off);
    wait_until("the cleanup worker has its name", || threads::count("cln-on-cleanup") == 1);
    assert_eq!(threads::count("cln-off-cleanup"), 0);
    run_one_by_one(&on, 3);
    drop(on);
    wait_until("all its threads have ended", || threads::count("cln-on") == 0);
    drop(off);
}

//! Tests of what an executor says that it is doing now.

mod common;

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Gate, HOUR, ON_PURPOSE, named, silence_expected_panics, wait_until, watchdog};
use moirai::prelude::*;
use moirai::sync::CancellationToken;
use moirai::{CancelCause, RecordClass, RuntimePhase, WorkerState};

#[test]
fn active_tasks_are_counted_by_kind_and_ready_ones_apart() {
    let _watchdog = watchdog();
    let executor = named("rs-kinds", 1).max_blocking_threads(1).build().unwrap();
    let fresh = executor.runtime_stats();
    assert_eq!(fresh.phase, RuntimePhase::Running);
    assert!(fresh.active.iter().all(|active| active.queued + active.running == 0));
    assert_eq!((fresh.active.len(), fresh.cancelled.len(), fresh.workers.len()), (3, 8, 1));

    let gate = Gate::new();
    let waiting: Vec<_> = (0..3).map(|_| executor.spawn_async(pending::<()>())).collect();
    wait_until("they wait", || executor.runtime_stats().active[0].running == 3);
    // The only worker, and the only blocking thread.
    let closed = gate.clone();
    let blocker = executor.spawn_parallel(move || closed.wait());
    let closed = gate.clone();
    let blocking = executor.spawn_blocking(move || closed.wait());
    let others: Vec<_> = (0..2).map(|_| executor.spawn_blocking(|| ())).collect();
    let running = |stats: &moirai::RuntimeStats, kind: usize| stats.active[kind].running == 1;
    wait_until("both are blocked", || {
        let stats = executor.runtime_stats();
        running(&stats, 1) && running(&stats, 2)
    });
    let queued: Vec<_> = (0..2).map(|_| executor.spawn_parallel(|| ())).collect();
    let stats = executor.runtime_stats();
    let numbers: Vec<_> = stats.active.iter().map(|of| (of.kind, of.queued, of.running)).collect();
    assert_eq!(
        numbers,
        [(TaskKind::Async, 0, 3), (TaskKind::Parallel, 2, 1), (TaskKind::Blocking, 2, 1)]
    );
    assert_eq!((stats.queued, stats.spawned), (2, 9));
    let pool = stats.blocking;
    assert_eq!((pool.threads, pool.idle, pool.queued, pool.limit), (1, 0, 2, 1));
    assert_eq!(stats.cleanup.active_tasks, 9);

    gate.open();
    for task in queued.into_iter().chain([blocker]).chain([blocking]).chain(others) {
        task.join().unwrap();
    }
    drop(waiting);
    wait_until("the thread has nothing to do", || executor.runtime_stats().blocking.idle == 1);
    let report = executor.shutdown_timeout(Duration::ZERO);
    assert_eq!(report.cancelled, 3);
    let stats = executor.runtime_stats();
    assert_eq!(stats.cancelled_by(CancelCause::Shutdown), 3);
    assert_eq!((stats.phase, stats.cleanup.active_tasks), (RuntimePhase::Stopped, 0));
}

#[test]
fn what_each_worker_is_in_is_known() {
    let _watchdog = watchdog();
    let executor = named("rs-workers", 2).build().unwrap();
    wait_until("both sleep", || executor.runtime_stats().workers_in("parked") == 2);

    let gate = Gate::new();
    let closed = gate.clone();
    let task = executor.spawn_parallel(move || closed.wait());
    let id = task.id();
    wait_until("one has been in it for a while", || {
        executor.runtime_stats().workers.iter().any(|worker| {
            worker.state == WorkerState::Polling(id)
                && worker.since.is_some_and(|since| since > Duration::from_millis(20))
        })
    });
    wait_until("the other sleeps", || executor.runtime_stats().workers_in("parked") == 1);
    gate.open();
    task.join().unwrap();
    wait_until("both sleep again", || executor.runtime_stats().workers_in("parked") == 2);

    // The calling thread runs the first closure, and a worker the second.
    let begun = Gate::new();
    let seen = AtomicUsize::new(0);
    let gate = Gate::new();
    executor.join(
        || {
            begun.wait();
            seen.store(executor.runtime_stats().workers_in("fork_join"), Ordering::Relaxed);
            gate.open();
        },
        || {
            begun.open();
            gate.wait();
        },
    );
    assert_eq!(seen.into_inner(), 1);
}

#[test]
fn a_worker_that_no_thread_runs_is_shown_as_such() {
    let _watchdog = watchdog();
    let (sender, threads) = mpsc::channel();
    let executor = named("rs-none", 1)
        .build_with(move |thread| {
            sender.send(thread).map_err(|_| std::io::Error::other("nobody takes it"))
        })
        .unwrap();
    let stats = executor.runtime_stats();
    assert_eq!(stats.workers[0].state, WorkerState::NoThread);
    assert_eq!(stats.workers[0].since, None);
    let thread = threads.recv().unwrap();
    std::thread::spawn(move || thread.run());
    wait_until("it sleeps", || executor.runtime_stats().workers_in("parked") == 1);
    executor.shutdown();
    wait_until("it has ended", || executor.runtime_stats().workers_in("no_thread") == 1);
}

#[test]
fn a_worker_whose_thread_blocks_has_a_spare_thread() {
    let _watchdog = watchdog();
    let executor = named("rs-spare", 1).spare_threads(2).build().unwrap();
    assert_eq!(executor.runtime_stats().spare.threads, 0);
    let gate = Gate::new();
    let closed = gate.clone();
    let task = executor.spawn_parallel(move || block_in_place(|| closed.wait()));
    wait_until("a spare thread is the worker", || {
        let stats = executor.runtime_stats();
        stats.spare.threads == 1 && stats.workers_in("parked") == 1
    });
    assert_eq!(executor.runtime_stats().spare.limit, 2);
    gate.open();
    task.join().unwrap();
}

#[test]
fn every_cause_of_cancellation_is_counted() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = named("rs-causes", 1).build().unwrap();
    let forever = || executor.task().spawn_async(pending::<()>());

    let by_handle = forever();
    by_handle.cancel();
    assert!(by_handle.join().is_err());

    let by_id = forever();
    assert!(executor.cancel_task(by_id.id()));
    assert!(by_id.join().is_err());

    let token = CancellationToken::new();
    let by_token = executor.task().cancel_token(token.clone()).spawn_async(pending::<()>());
    token.cancel();
    assert!(by_token.join().is_err());

    let timeout = Duration::from_millis(1);
    let by_timeout = executor.task().timeout(timeout).spawn_async(pending::<()>());
    assert!(by_timeout.join().is_err());

    let group = executor.group::<()>();
    let member = group.spawn_async(pending());
    group.cancel_all();
    let ended = executor.block_on(executor.wait_for_task(member, None));
    assert_eq!(ended, Some(TaskStatus::Cancelled));

    let (told, tells) = mpsc::channel();
    let parent = executor.spawn_async(async move {
        let executor = Moirai::current().unwrap();
        told.send(executor.task().child_of_current().spawn_async(pending::<()>()).id()).unwrap();
        pending::<()>().await;
    });
    let child = tells.recv().unwrap();
    parent.cancel();
    let ended = executor.block_on(executor.wait_for_task(child, None));
    assert_eq!(ended, Some(TaskStatus::Cancelled));

    let by_shutdown = forever();
    executor.shutdown_timeout(Duration::ZERO);
    assert!(by_shutdown.join().is_err());

    let stats = executor.runtime_stats();
    for cause in CancelCause::ALL {
        let tasks = match cause {
            CancelCause::Handle => 2,
            CancelCause::Scheduler => 0,
            _ => 1,
        };
        assert_eq!(stats.cancelled_by(cause), tasks, "{cause}");
    }
    let all: u64 = stats.cancelled.iter().map(|of| of.tasks).sum();
    assert_eq!(all, executor.shutdown().cancelled);
}

#[test]
fn records_are_counted_by_class() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let limits = Retention { max_records: 3, max_age: HOUR };
    let executor = named("rs-classes", 1)
        .retention("jobs", limits)
        .retention("default", limits)
        .retain_failures(limits)
        .build()
        .unwrap();
    for _ in 0..5 {
        executor.task().retention("jobs").spawn_parallel(|| ()).join().unwrap();
        executor.spawn_parallel(|| ()).join().unwrap();
    }
    assert!(executor.spawn_parallel(|| panic!("{ON_PURPOSE}")).join().is_err());
    let stats = executor.runtime_stats();
    let classes: Vec<_> = stats.retained.iter().map(|of| (of.class.clone(), of.records)).collect();
    let named = |name: &str| RecordClass::Named(name.to_owned());
    assert_eq!(
        classes,
        [
            (RecordClass::Default, 5),
            (named("jobs"), 3),
            (named("default"), 0),
            (RecordClass::Failures, 1)
        ]
    );
    assert_eq!(stats.retained[1].limits, limits);
    assert!(stats.cleanup.memory_bytes > 0);
}

#[test]
fn stalls_are_counted_while_they_last_and_for_good() {
    let _watchdog = watchdog();
    let executor = named("rs-stalls", 2).stall_budget(Duration::from_millis(20)).build().unwrap();
    assert_eq!((executor.runtime_stats().stalled, executor.runtime_stats().stalls), (0, 0));
    let gate = Gate::new();
    let closed = gate.clone();
    let stuck = executor.spawn_async(async move { closed.wait() });
    wait_until("it is noticed", || executor.runtime_stats().stalled == 1);
    assert_eq!(executor.runtime_stats().stalls, 1);
    gate.open();
    stuck.join().unwrap();
    wait_until("it is over", || executor.runtime_stats().stalled == 0);
    assert_eq!(executor.runtime_stats().stalls, 1);
}

#[test]
fn refused_spawns_and_timers_are_counted() {
    let _watchdog = watchdog();
    let executor = named("rs-timers", 1).max_active_tasks(3).build().unwrap();
    let clock = executor.pause_time();
    let sleepers: Vec<_> = (1..=3)
        .map(|n| {
            executor.spawn_async(async move { moirai::time::sleep(Duration::from_secs(n)).await })
        })
        .collect();
    assert!(executor.spawn_async(async {}).join().unwrap_err().is_at_capacity());
    assert_eq!(executor.runtime_stats().refused, 1);
    wait_until("all wait", || executor.runtime_stats().timers == 3);
    clock.advance(Duration::from_secs(2));
    assert_eq!(executor.runtime_stats().timers, 1);
    clock.advance(Duration::from_secs(2));
    for sleeper in sleepers {
        sleeper.join().unwrap();
    }
}

#[test]
fn it_can_be_read_while_everything_changes() {
    let _watchdog = watchdog();
    let executor = named("rs-busy", 2).max_blocking_threads(2).build().unwrap();
    let until = Instant::now() + Duration::from_millis(300);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while Instant::now() < until {
                let tasks = (0..50).map(|n| match n % 3 {
                    0 => executor.spawn_async(yield_now()),
                    1 => executor.spawn_parallel(|| ()),
                    _ => executor.spawn_blocking(|| ()),
                });
                let tasks: Vec<_> = tasks.collect();
                executor.join(|| (), || ());
                for (n, task) in tasks.into_iter().enumerate() {
                    if n % 7 == 0 {
                        task.cancel();
                    } else {
                        task.join().unwrap();
                    }
                }
            }
        });
        let mut spawned = 0;
        while Instant::now() < until {
            let stats = executor.runtime_stats();
            assert!(stats.spawned >= spawned);
            spawned = stats.spawned;
            assert!(stats.workers.len() == 2 && stats.blocking.idle <= stats.blocking.threads);
        }
    });
}

#[test]
fn a_weak_reference_keeps_nothing() {
    let _watchdog = watchdog();
    let executor = named("rs-weak", 1).build().unwrap();
    let weak = executor.downgrade();
    executor.spawn_async(async {}).join().unwrap();
    assert!(weak.upgrade().is_some_and(|same| same.runtime_stats().spawned == 1));
    drop(executor);
    wait_until("it is gone", || !weak.is_alive());
    assert!(weak.upgrade().is_none());
}

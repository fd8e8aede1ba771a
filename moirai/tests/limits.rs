//! Tests of the limits on the number of active tasks and of queued blocking tasks.
//!
//! They hold a part of promise P19 (limits hold) of `docs/src/guarantees.md`.

mod common;

use std::future::pending;
use std::sync::Arc;

use common::{Counter, Gate, retain_at_most, wait_until, watchdog};
use moirai::prelude::*;
use moirai::{MoiraiBuilder, yield_now};

fn limited(tasks: usize) -> MoiraiBuilder {
    Moirai::builder().worker_threads(2).max_active_tasks(tasks)
}

#[test]
fn at_the_limit_a_spawn_is_refused_with_an_error_and_leaves_no_record() {
    let _watchdog = watchdog();
    let executor = limited(2).build().unwrap();
    let dropped = Counter::default();
    let active = [(); 2].map(|()| executor.spawn_async(pending::<()>()));
    let guard = dropped.on_drop();
    let refused = executor.spawn_async(async move { drop(guard) });
    let id = refused.id();
    assert!(refused.is_finished());
    assert!(refused.join().unwrap_err().is_at_capacity());
    assert_eq!(dropped.get(), 1);
    assert_eq!(executor.task_status(id), None);
    assert!(executor.spawn_parallel(|| ()).join().unwrap_err().is_at_capacity());
    assert!(executor.spawn_blocking(|| ()).join().unwrap_err().is_at_capacity());
    active[0].cancel();
    wait_until("there is room", || executor.task().try_spawn_async(async {}).is_ok());
    let report = executor.shutdown_timeout(std::time::Duration::ZERO);
    assert!(report.refused >= 3);
    assert_eq!((report.spawned, report.still_active), (3, 0));
}

#[test]
fn a_refused_closure_is_given_back_and_can_be_spawned_when_there_is_room() {
    let _watchdog = watchdog();
    let executor = limited(1).build().unwrap();
    let active = executor.spawn_async(pending::<()>());
    let refused = executor.task().try_spawn_parallel(|| 7).unwrap_err();
    assert!(refused.is_at_capacity() && !refused.is_shut_down());
    assert!(refused.to_string().contains("limit"), "{refused}");
    let waiting = executor.task().spawn_parallel_when_free(refused.into_inner());
    active.cancel();
    assert_eq!(executor.block_on(waiting).join().unwrap(), 7);
    executor.shutdown();
    let refused = executor.task().try_spawn_async(async { 7 }).unwrap_err();
    assert!(refused.is_shut_down());
}

#[test]
fn callers_that_wait_for_room_are_served_in_order_and_refused_at_shutdown() {
    let _watchdog = watchdog();
    let executor = Arc::new(limited(1).build().unwrap());
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let active = executor.spawn_async(pending::<()>());
    executor.block_on(async {
        let spawn = |i: u32| {
            let order = Arc::clone(&order);
            Box::pin(
                executor.task().spawn_async_when_free(async move { order.lock().unwrap().push(i) }),
            )
        };
        let mut waiting: Vec<_> = (0..5).map(spawn).collect();
        for wait in &mut waiting {
            assert!(futures_lite::future::poll_once(wait).await.is_none());
        }
        // A caller that gives up is passed over.
        drop(waiting.remove(2));
        active.cancel();
        for wait in waiting {
            wait.await.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), [0, 1, 3, 4]);
    let stuck = executor.spawn_async(pending::<()>());
    let mut late = Box::pin(executor.task().spawn_async_when_free(async {}));
    executor
        .block_on(async { assert!(futures_lite::future::poll_once(&mut late).await.is_none()) });
    let report = executor.shutdown_timeout(std::time::Duration::ZERO);
    assert_eq!(report.still_active, 0);
    assert!(stuck.join().unwrap_err().is_shut_down());
    assert!(executor.block_on(late).join().unwrap_err().is_shut_down());
}

#[test]
fn a_full_blocking_queue_gives_the_closure_back_and_a_task_can_wait_for_room() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(1)
        .max_blocking_threads(1)
        .blocking_queue_limit(1)
        .build()
        .unwrap();
    let gate = Gate::new();
    let block = || {
        let gate = gate.clone();
        move || gate.wait()
    };
    let running = executor.task().try_spawn_blocking(block()).unwrap();
    let queued = executor.task().try_spawn_blocking(block()).unwrap();
    let refused = executor.task().try_spawn_blocking(|| 7).unwrap_err();
    assert!(refused.is_at_capacity());
    let mut waiting = Box::pin(executor.task().spawn_blocking_when_free(refused.into_inner()));
    executor.block_on(async {
        assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
        gate.open();
        assert_eq!(waiting.await.await.unwrap(), 7);
    });
    running.join().unwrap();
    queued.join().unwrap();
}

#[test]
fn a_flood_of_a_million_tasks_stays_within_every_limit_and_each_refusal_is_reported() {
    const TASKS: u64 = 1_000_000;
    const LIMIT: usize = 2_000;
    let watchdog = watchdog();
    let executor = limited(LIMIT)
        .max_blocking_threads(2)
        .blocking_queue_limit(100)
        .cleanup_config(retain_at_most(1_000, common::HOUR))
        .build()
        .unwrap();
    let ran = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (mut refused, mut worst) = (0, 0);
    for i in 0..TASKS {
        let ran = Arc::clone(&ran);
        let work = move || _ = ran.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let admitted = match i % 8 {
            0..=3 => executor.task().try_spawn_parallel(work).map(drop).is_ok(),
            4..=6 => executor.task().try_spawn_async(async move { work() }).map(drop).is_ok(),
            _ => executor.task().try_spawn_blocking(work).map(drop).is_ok(),
        };
        refused += u64::from(!admitted);
        if i % 10_000 == 0 {
            watchdog.feed(format!("task {i}"));
            let stats = executor.cleanup_stats();
            assert!(stats.active_tasks <= LIMIT, "{stats:?}");
            worst = worst.max(stats.memory_bytes);
        }
    }
    let report = executor.shutdown();
    assert_eq!(report.refused, refused);
    assert_eq!((report.spawned, report.completed), (TASKS - refused, TASKS - refused));
    assert_eq!(ran.load(std::sync::atomic::Ordering::Relaxed), TASKS - refused);
    // There are slots for the active and the retained tasks, for the slack of the limit, and free ones in blocks that are in use.
    // Each takes some hundred bytes.
    assert!(worst < 1 << 20, "the registry held {worst} bytes");
}

#[test]
fn without_a_limit_nothing_is_refused_and_a_limit_of_zero_is_an_error() {
    let _watchdog = watchdog();
    let error = limited(0).build().unwrap_err();
    assert_eq!(error.field(), Some("max_active_tasks"));
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let handles: Vec<_> = (0..10_000).map(|_| executor.spawn_async(yield_now())).collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    assert_eq!(executor.shutdown().refused, 0);
}

#[test]
fn blocking_tasks_that_wait_for_blocking_tasks_go_on_in_a_full_pool() {
    let watchdog = watchdog();
    let builder = || Moirai::builder().worker_threads(1).max_blocking_threads(1);
    let executor = builder().build().unwrap();
    let inner = |executor: &Moirai| executor.spawn_blocking(|| 1);
    watchdog.feed("join");
    let inside = executor.clone();
    assert_eq!(executor.spawn_blocking(move || inner(&inside).join().unwrap()).join().unwrap(), 1);
    watchdog.feed("block_on");
    let inside = executor.clone();
    let waits = move || inside.block_on(inner(&inside)).unwrap();
    assert_eq!(executor.spawn_blocking(waits).join().unwrap(), 1);
    watchdog.feed("by way of an async task");
    let inside = executor.clone();
    let waits = move || {
        let executor = inside.clone();
        inside.spawn_async(async move { inner(&executor).await.unwrap() }).join().unwrap()
    };
    assert_eq!(executor.spawn_blocking(waits).join().unwrap(), 1);
}

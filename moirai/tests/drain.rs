//! Tests of drains: what is told, what is admitted, and what is left at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai::sim;

const LONG: Duration = Duration::from_secs(60);

fn executor(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).build().unwrap()
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LONG);
        std::thread::yield_now();
    }
}

#[test]
fn active_tasks_may_spawn_and_others_may_not() {
    let executor = executor(2);
    let (go, wait) = mpsc::channel::<()>();
    let parent = executor.spawn_async(async move {
        moirai::shutting_down().await;
        // Each kind, and from each kind of thread.
        let from_async = moirai::spawn_async(async { 1 }).await.unwrap();
        let from_closure = moirai::spawn_parallel(|| moirai::spawn_parallel(|| 10).join().unwrap());
        let from_blocking = moirai::spawn_blocking(move || {
            wait.recv().unwrap();
            let here = Moirai::current().unwrap();
            let tried = here.task().try_spawn_async(async { 100 }).unwrap();
            let waited = here.block_on(here.task().spawn_blocking_when_free(|| 1_000));
            tried.join().unwrap() + waited.join().unwrap()
        });
        let mut group = Moirai::current().unwrap().group().keep_results();
        group.spawn_async(async { 10_000 });
        let grouped = group.join_all().await.pop().unwrap().1.unwrap();
        from_async + from_closure.await.unwrap() + from_blocking.await.unwrap() + grouped
    });
    let draining = std::thread::spawn({
        let executor = executor.clone();
        move || executor.drain(LONG)
    });
    wait_until(|| executor.is_shutting_down());
    assert!(executor.spawn_async(async {}).join().unwrap_err().is_shut_down());
    assert!(executor.spawn_blocking(|| ()).join().unwrap_err().is_shut_down());
    assert!(executor.task().try_spawn_parallel(|| ()).unwrap_err().is_shut_down());
    let inside = executor.block_on(async { moirai::spawn_async(async {}).await });
    assert!(inside.unwrap_err().is_shut_down(), "`block_on` is no task, and nobody waits for it");
    go.send(()).unwrap();
    assert_eq!(parent.join().unwrap(), 11_111);
    let report = draining.join().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.refused, 4);
    assert!(report.elapsed < LONG);
}

#[test]
fn a_tree_of_tasks_is_waited_for_to_its_last_leaf() {
    fn grow(depth: u32, leaves: Arc<AtomicUsize>) {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for _ in 0..2 {
            let leaves = Arc::clone(&leaves);
            // No task waits for its children.
            moirai::spawn_detached(async move {
                moirai::yield_now().await;
                grow(depth - 1, leaves);
            });
        }
    }
    for _ in 0..50 {
        let executor = executor(2);
        let leaves = Arc::new(AtomicUsize::new(0));
        executor.spawn_detached({
            let leaves = Arc::clone(&leaves);
            async move { grow(8, leaves) }
        });
        let report = executor.drain(LONG);
        assert!(report.is_clean(), "{report}");
        assert_eq!(leaves.load(Ordering::Relaxed), 256);
        assert_eq!((report.spawned, report.completed), (511, 511));
    }
}

#[test]
fn what_is_left_at_the_deadline_is_cancelled_and_its_children_are_refused() {
    let executor = executor(1);
    let (began, has_begun) = mpsc::channel();
    let stubborn = executor.task().name("stubborn").spawn_async(async move {
        began.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    has_begun.recv().unwrap();
    let started = Instant::now();
    let report = executor.drain(Duration::from_millis(20));
    assert!(started.elapsed() >= Duration::from_millis(20));
    assert!(!report.is_clean());
    assert_eq!(report.cancelled_tasks[0].name.as_deref(), Some("stubborn"));
    assert!(stubborn.join().unwrap_err().is_shut_down());
}

#[test]
fn a_drain_from_inside_a_task_goes_on_in_the_background() {
    let executor = executor(1);
    let child = executor.spawn_async(async {
        let here = Moirai::current().unwrap();
        let _ = here.drain(LONG);
        assert!(here.is_shutting_down());
        moirai::spawn_async(async { 7 }).await
    });
    assert_eq!(child.join().unwrap().unwrap(), 7);
    assert!(executor.shutdown().is_clean());
}

#[test]
fn a_drain_from_inside_a_task_does_not_wait_for_callbacks() {
    let executor = executor(1);
    let (release, released) = mpsc::channel::<()>();
    let _blocks = executor.shutdown_token().on_cancel(move || _ = released.recv());
    let draining = executor.spawn_async(async move {
        let _ = Moirai::current().unwrap().drain(LONG);
        // Only now the callback may end.
        drop(release);
    });
    draining.join().unwrap();
}

#[test]
fn a_spawn_that_a_drain_refuses_does_not_wait_for_room() {
    let executor = Moirai::builder()
        .worker_threads(1)
        .max_blocking_threads(1)
        .blocking_queue_limit(1)
        .build()
        .unwrap();
    let (release, released) = mpsc::channel::<()>();
    let runs = executor.spawn_blocking(move || released.recv().is_err());
    let queued = executor.spawn_blocking(|| 1);
    let draining = std::thread::spawn({
        let executor = executor.clone();
        move || executor.drain(LONG)
    });
    wait_until(|| executor.is_shutting_down());
    assert!(executor.spawn_blocking(|| 2).join().unwrap_err().is_shut_down());
    let waiting = executor.task().spawn_blocking_when_free(|| 3);
    assert!(executor.block_on(waiting).join().unwrap_err().is_shut_down());
    drop(release);
    assert!(runs.join().unwrap());
    assert_eq!(queued.join().unwrap(), 1);
    assert!(draining.join().unwrap().is_clean());
}

#[test]
fn every_kind_of_shutdown_tells_tasks() {
    let ends: [fn(Moirai); 4] = [
        |executor| drop(executor.shutdown()),
        |executor| drop(executor.shutdown_timeout(LONG)),
        |executor| drop(executor.drain(LONG)),
        drop,
    ];
    for end in ends {
        let executor = executor(1);
        let token = executor.shutdown_token();
        let waiting = executor.shutting_down();
        let called = Arc::new(AtomicBool::new(false));
        let _registration = token.on_cancel({
            let called = Arc::clone(&called);
            move || called.store(true, Ordering::Relaxed)
        });
        assert!(!token.is_cancelled());
        end(executor);
        wait_until(|| token.is_cancelled() && called.load(Ordering::Relaxed));
        futures_lite::future::block_on(waiting);
    }
}

#[test]
fn the_token_is_the_executors_to_cancel() {
    let executor = executor(1);
    executor.shutdown_token().cancel();
    assert!(!executor.is_shutting_down());
    assert!(!executor.shutdown_token().is_cancelled());
    executor.shutdown();
    assert!(executor.shutdown_token().is_cancelled());
}

#[test]
fn a_callback_that_blocks_or_panics_does_not_hold_up_the_deadline() {
    let executor = executor(1);
    let (release, released) = mpsc::channel::<()>();
    let token = executor.shutdown_token();
    let _blocks = token.on_cancel(move || _ = released.recv());
    let _panics = token.on_cancel(|| panic!("the callback of a test"));
    let started = Instant::now();
    let report = executor.drain(Duration::from_millis(10));
    assert!(report.is_clean(), "{report}");
    assert!(started.elapsed() < LONG);
    drop(release);
}

#[test]
fn drains_are_the_same_in_simulations() {
    let scenario = |executor: Moirai| async move {
        let parent = executor.spawn_async(async {
            moirai::shutting_down().await;
            moirai::time::sleep(Duration::from_secs(1)).await;
            moirai::spawn_async(async { 7 }).await.unwrap()
        });
        let _ = executor.drain(Duration::from_secs(10));
        assert_eq!(parent.await.unwrap(), 7);
    };
    sim::explore(0..200, scenario).expect_no_failure();
}

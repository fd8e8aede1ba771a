//! Tests of a shutdown that is begun in the executor's own work, which it does not wait for, and of what tasks do meanwhile.
//!
//! They hold a part of promise P16 (shutdown is on time, and its numbers add up) of `docs/src/guarantees.md`.

mod common;

use std::future::pending;
use std::time::Duration;

use common::{Counter, Gate, OnDrop, assert_adds_up, watchdog, workers};
use moirai::prelude::*;

#[test]
fn a_shutdown_inside_a_task_returns_at_once_and_goes_on_in_the_background() {
    let _watchdog = watchdog();
    type Call = fn(&Moirai) -> ShutdownReport;
    let wait: Call = |executor| executor.shutdown();
    let limited: Call = |executor| executor.shutdown_timeout(common::HOUR);
    for call in [wait, limited] {
        for kind in 0..4 {
            let executor = workers(1);
            let gate = Gate::new();
            let (passed, inner) = (gate.clone(), executor.clone());
            let other = executor.spawn_async(async move { passed.passed().await });
            let stop = move || (call(&inner), inner.is_shutting_down());
            let handle = match kind {
                0 => executor.spawn_async(async move { stop() }),
                1 => executor.spawn_parallel(stop),
                2 => executor.spawn_blocking(stop),
                _ => executor.spawn_parallel(|| moirai::block_on(async move { stop() })),
            };
            let (report, closed) = handle.join().unwrap();
            assert!(closed);
            assert_adds_up(&report);
            assert_eq!(report.spawned, 2);
            assert!(report.still_active >= 1, "itself, at least: {report}");
            // The shutdown waits for the other task, as it would outside.
            assert!(!other.is_finished());
            assert!(executor.spawn_parallel(|| ()).join().unwrap_err().is_shut_down());
            gate.open();
            other.join().unwrap();
            let report = executor.shutdown();
            assert_eq!((report.completed, report.still_active), (2, 0), "{report}");
        }
    }
    // With a timeout of zero it cancels the other task.
    let executor = workers(1);
    let (other, inner) = (executor.spawn_async(pending::<()>()), executor.clone());
    executor.spawn_async(async move { inner.shutdown_timeout(Duration::ZERO) }).join().unwrap();
    assert!(other.join().unwrap_err().is_shut_down());
    assert_adds_up(&executor.shutdown());
}

#[test]
fn a_shutdown_inside_block_on_does_not_wait_for_itself() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let done = executor.spawn_async(yield_now());
    let report = executor.block_on(async {
        let report = executor.shutdown();
        done.await.unwrap();
        report
    });
    assert_adds_up(&report);
    assert_eq!(report.completed, 1);
    // A shutdown also ends the tasks for which other threads wait in `block_on`.
    let executor = workers(1);
    let waiting = executor.spawn_async(pending::<()>());
    let other = executor.clone();
    let thread = std::thread::spawn(move || other.block_on(waiting));
    executor.shutdown_timeout(Duration::ZERO);
    assert!(thread.join().unwrap().unwrap_err().is_shut_down());
}

#[test]
fn a_task_may_spawn_and_wait_while_it_is_shut_down() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let refused = Counter::default();
    for _ in 0..10 {
        let (inner, refused) = (executor.clone(), refused.clone());
        // The destructor uses the executor in the middle of the shutdown.
        let owned = OnDrop::new(move || {
            let handle = inner.spawn_async(async {});
            if handle.join().is_err_and(|error| error.is_shut_down()) {
                refused.add();
            }
            inner.shutdown_timeout(Duration::ZERO);
        });
        executor.spawn_async(async move {
            let _owned = owned;
            pending::<()>().await;
        });
    }
    executor.shutdown_timeout(Duration::ZERO);
    let report = executor.shutdown();
    assert_adds_up(&report);
    assert_eq!((report.spawned, report.cancelled), (10, 10));
    assert_eq!(refused.get(), 10);
}

#[test]
fn a_shutdown_inside_of_a_stolen_half_returns_at_once() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let inside = executor.clone();
    let ran_elsewhere = executor.spawn_parallel(move || {
        let stolen = Gate::new();
        let opens = stolen.clone();
        let owner = std::thread::current().id();
        // The only worker blocks here, so a compensation thread runs the other half.
        let ((), thief) = inside.join(
            || stolen.wait(),
            || {
                assert_eq!(inside.shutdown().still_active, 1, "the task that called is active");
                opens.open();
                std::thread::current().id()
            },
        );
        owner != thief
    });
    assert!(ran_elsewhere.join().unwrap());
    assert_eq!(executor.shutdown().still_active, 0);
}

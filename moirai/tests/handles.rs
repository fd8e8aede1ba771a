//! Tests of task handles: each gives the result once, however its owner waits for it.

mod common;

use std::time::Duration;

use common::{Counter, Gate, wait_until, watchdog, workers};
use moirai::prelude::*;

#[test]
fn a_handle_gives_the_result_once() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let gate = Gate::new();
    let waiting = gate.clone();
    let mut handle = executor.spawn_async(async move {
        waiting.passed().await;
        String::from("result")
    });
    assert!(!handle.is_finished());
    assert!(handle.try_join().is_none());
    assert!(handle.join_timeout(Duration::ZERO).is_none());
    assert!(handle.join_timeout(Duration::from_millis(5)).is_none());
    assert!(executor.task_status(handle.id()).unwrap().is_active());
    gate.open();
    assert_eq!(handle.join_timeout(Duration::MAX).unwrap().unwrap(), "result");
    assert!(handle.is_finished());
    assert!(handle.try_join().unwrap().unwrap_err().is_result_taken());
    assert!(handle.join_timeout(Duration::ZERO).unwrap().unwrap_err().is_result_taken());
    assert!(executor.block_on(&mut handle).unwrap_err().is_result_taken());
    assert!(handle.join().unwrap_err().is_result_taken());

    let mut handle = executor.spawn_parallel(|| 8);
    wait_until("it has ended", || handle.is_finished());
    assert_eq!(handle.try_join().unwrap().unwrap(), 8);
    assert!(handle.join().unwrap_err().is_result_taken());
}

#[test]
fn a_handle_can_be_awaited_on_any_executor() {
    let _watchdog = watchdog();
    let (one, other) = (workers(1), workers(1));
    let handle = one.spawn_async(async { 1 });
    let next = other.spawn_async(async move { handle.await.unwrap() + 1 });
    assert_eq!(futures_lite::future::block_on(next).unwrap(), 2);
    let handle = one.spawn_blocking(|| 3);
    assert_eq!(other.block_on(handle).unwrap(), 3);
}

#[test]
fn dropping_a_handle_detaches_the_task() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let (gate, ran) = (Gate::new(), Counter::default());
    let (waiting, count) = (gate.clone(), ran.clone());
    let handle = executor.spawn_async(async move {
        waiting.passed().await;
        count.add();
    });
    let id = handle.id();
    drop(handle);
    gate.open();
    wait_until("it has ended", || executor.task_status(id) == Some(TaskStatus::Completed));
    assert_eq!(ran.get(), 1);
}

#[test]
fn the_output_of_a_detached_task_is_dropped() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let (gate, drops) = (Gate::new(), Counter::default());
    let (waiting, output) = (gate.clone(), drops.on_drop());
    drop(executor.spawn_async(async move {
        waiting.passed().await;
        output
    }));
    gate.open();
    wait_until("the output is dropped", || drops.get() == 1);
    // The same for a task that ended before its handle was dropped.
    let output = drops.on_drop();
    let handle = executor.spawn_parallel(move || output);
    wait_until("it has ended", || handle.is_finished());
    assert_eq!(drops.get(), 1);
    drop(handle);
    wait_until("the output is dropped", || drops.get() == 2);
}

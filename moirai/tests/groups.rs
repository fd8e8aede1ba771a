//! Tasks that belong together.

mod common;

use std::future::pending;

use common::{Counter, Gate, PURPOSE, hush, wait_until, watchdog, workers};
use moirai::TaskGroup;
use moirai::prelude::*;

#[test]
fn results_that_are_asked_for_come_in_the_order_of_the_ends() {
    let _watchdog = watchdog();
    let moirai = workers(2);
    let mut group = moirai.group().keep_results();
    let gate = Gate::new();
    let late = group.spawn_blocking({
        let gate = gate.clone();
        move || {
            gate.wait();
            1
        }
    });
    let early = group.spawn_parallel(|| 2);
    moirai.block_on(async {
        let (id, result) = group.next().await.unwrap();
        assert_eq!((id, result.unwrap()), (early, 2));
        assert_eq!(group.len(), 1);
        gate.open();
        let (id, result) = group.next().await.unwrap();
        assert_eq!((id, result.unwrap()), (late, 1));
        assert!(group.next().await.is_none());
        assert_eq!(moirai.task_status(late), Some(TaskStatus::Completed));
    });
    assert_eq!(group.counts().completed, 2);
}

#[test]
fn nothing_is_held_of_what_ended_unless_asked_for() {
    let _watchdog = watchdog();
    let moirai = workers(2);
    let dropped = Counter::default();
    let mut group = moirai.group();
    for _ in 0..1_000 {
        let guard = dropped.on_drop();
        group.spawn_async(async move { guard });
    }
    moirai.block_on(async { assert!(group.next().await.is_none()) });
    assert_eq!(dropped.get(), 1_000, "who is told of the end finds nothing left");
    assert_eq!((group.len(), group.counts().completed), (0, 1_000));
}

#[test]
fn ends_of_every_kind_are_counted() {
    let _watchdog = watchdog();
    hush();
    let moirai = workers(2);
    let mut group = moirai.group().keep_results();
    group.spawn_async(async {});
    group.spawn_parallel(|| panic!("{PURPOSE}"));
    let cancelled = group.spawn_async(pending());
    moirai.cancel_task(cancelled);
    let results = moirai.block_on(group.join_all());
    assert_eq!(results.len(), 3);
    let counts = group.counts();
    assert_eq!((counts.completed, counts.failed, counts.cancelled), (1, 1, 1));
}

#[test]
fn a_limit_bounds_the_members_and_what_is_kept_of_them() {
    let _watchdog = watchdog();
    let moirai = workers(2);
    let mut group = moirai.group().keep_results().max_tasks(2);
    group.spawn_parallel(|| 1);
    group.try_spawn_parallel(|| 2).unwrap();
    wait_until("both have ended", || group.is_empty());
    // Their results are not taken yet.
    assert!(group.try_spawn_async(async { 3 }).unwrap_err().is_at_capacity());
    group.spawn_async(async { 3 });
    assert_eq!(group.counts().refused, 1);
    moirai.block_on(async {
        assert!(group.next().await.is_some());
        group.spawn_async_when_free(async { 4 }).await;
        assert!(group.try_spawn_blocking(|| 5).is_err());
        assert_eq!(group.join_all().await.len(), 2);
    });
    assert_eq!(group.counts().completed, 3);
}

#[test]
fn bounded_concurrency_runs_everything_and_never_more_at_once() {
    let _watchdog = watchdog();
    let moirai = workers(2);
    let (active, most) = (Counter::default(), Counter::default());
    let ended = Counter::default();
    let mut group = moirai.group().max_tasks(3);
    moirai.block_on(async {
        for _ in 0..300 {
            let (active, most, ended) = (active.clone(), most.clone(), ended.clone());
            group
                .spawn_async_when_free(async move {
                    if active.add() > most.get() + ended.get() + 3 {
                        most.add();
                    }
                    moirai::yield_now().await;
                    ended.add();
                })
                .await;
            assert!(group.len() <= 3);
        }
        assert!(group.next().await.is_none());
    });
    assert_eq!((ended.get(), most.get()), (300, 0));
    // Who is told of the end finds every place free.
    for _ in 0..3 {
        group.try_spawn_async(pending()).unwrap();
    }
}

#[test]
fn dropping_a_group_cancels_its_members_and_detaching_does_not() {
    let _watchdog = watchdog();
    let moirai = workers(1);
    let gate = Gate::new();
    let ids = [false, true].map(|detach| {
        let group: TaskGroup<()> = moirai.group();
        let gate = gate.clone();
        let id = group.spawn_async(async move {
            while !gate.is_open() {
                moirai::yield_now().await;
            }
        });
        if detach {
            group.detach();
        }
        id
    });
    wait_until("the first is cancelled", || {
        moirai.task_status(ids[0]) == Some(TaskStatus::Cancelled)
    });
    gate.open();
    wait_until("the second completes", || {
        moirai.task_status(ids[1]) == Some(TaskStatus::Completed)
    });
}

#[test]
fn cancelling_all_leaves_the_group_usable() {
    let _watchdog = watchdog();
    let moirai = workers(1);
    let mut group = moirai.group().keep_results();
    for _ in 0..10 {
        group.spawn_async(pending());
    }
    group.cancel_all();
    let results = moirai.block_on(group.join_all());
    assert!(results.iter().all(|(_, result)| result.as_ref().is_err_and(TaskError::is_cancelled)));
    group.spawn_async(async { 7 });
    assert_eq!(moirai.block_on(group.join_all()).len(), 1);
}

#[test]
fn a_group_outlives_its_executor_and_its_members_may_use_it() {
    let _watchdog = watchdog();
    let moirai = workers(1);
    let mut group = moirai.group().keep_results();
    group.spawn_async(pending::<()>());
    drop(moirai);
    let other = workers(1);
    other.block_on(async {
        let (_, result) = group.next().await.unwrap();
        assert!(result.unwrap_err().is_shut_down());
        group.spawn_async(async {});
        let (_, result) = group.next().await.unwrap();
        assert!(result.unwrap_err().is_shut_down());
        assert!(group.next().await.is_none());
    });
    assert_eq!(group.counts().refused, 1);
}

#[test]
fn a_result_that_panics_as_it_is_dropped_hurts_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("{PURPOSE}");
        }
    }
    let _watchdog = watchdog();
    hush();
    let moirai = workers(1);
    let mut group = moirai.group();
    group.spawn_parallel(|| Bomb);
    moirai.block_on(async { assert!(group.next().await.is_none()) });
    common::assert_runs(&moirai);
}

//! Tests of task groups: results, limits, and cancellation of tasks that belong together.
//!
//! They hold the part of promise P19 (limits hold) of `docs/src/guarantees.md` that concerns groups.

mod common;

use std::future::{Future, pending};

use common::{Counter, Gate, ON_PURPOSE, silence_expected_panics, wait_until, watchdog, workers};
use moirai::TaskGroup;
use moirai::prelude::*;

#[test]
fn kept_results_come_in_the_order_in_which_the_tasks_ended() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let mut group = executor.group().keep_results();
    let gate = Gate::new();
    let late = group.spawn_blocking({
        let gate = gate.clone();
        move || {
            gate.wait();
            1
        }
    });
    let early = group.spawn_parallel(|| 2);
    executor.block_on(async {
        let (id, result) = group.next().await.unwrap();
        assert_eq!((id, result.unwrap()), (early, 2));
        assert_eq!(group.len(), 1);
        gate.open();
        let (id, result) = group.next().await.unwrap();
        assert_eq!((id, result.unwrap()), (late, 1));
        assert!(group.next().await.is_none());
        assert_eq!(executor.task_status(late), Some(TaskStatus::Completed));
    });
    assert_eq!(group.counts().completed, 2);
}

#[test]
fn results_are_dropped_unless_the_group_keeps_them() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let dropped = Counter::default();
    let mut group = executor.group();
    for _ in 0..1_000 {
        let guard = dropped.on_drop();
        group.spawn_async(async move { guard });
    }
    executor.block_on(async { assert!(group.next().await.is_none()) });
    assert_eq!(dropped.get(), 1_000, "all results are dropped before the last end is reported");
    assert_eq!((group.len(), group.counts().completed), (0, 1_000));
}

#[test]
fn outcomes_of_every_kind_are_counted() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = workers(2);
    let mut group = executor.group().keep_results();
    group.spawn_async(async {});
    group.spawn_parallel(|| panic!("{ON_PURPOSE}"));
    let cancelled = group.spawn_async(pending());
    executor.cancel_task(cancelled);
    let results = executor.block_on(group.join_all());
    assert_eq!(results.len(), 3);
    let counts = group.counts();
    assert_eq!((counts.completed, counts.failed, counts.cancelled), (1, 1, 1));
}

#[test]
fn a_limit_bounds_the_members_and_their_kept_results_together() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let mut group = executor.group().keep_results().max_tasks(2);
    group.spawn_parallel(|| 1);
    group.task().try_spawn_parallel(|| 2).unwrap();
    wait_until("both have ended", || group.is_empty());
    // Their results are not taken yet.
    assert!(group.task().try_spawn_async(async { 3 }).unwrap_err().is_at_capacity());
    group.spawn_async(async { 3 });
    assert_eq!(group.counts().refused, 1);
    executor.block_on(async {
        assert!(group.next().await.is_some());
        group.task().spawn_async_when_free(async { 4 }).await;
        assert!(group.task().try_spawn_blocking(|| 5).is_err());
        assert_eq!(group.join_all().await.len(), 2);
    });
    assert_eq!(group.counts().completed, 3);
}

#[test]
fn a_group_with_a_limit_runs_all_tasks_and_never_more_than_the_limit_at_once() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let (started, ended) = (Counter::default(), Counter::default());
    let violations = Counter::default();
    let mut group = executor.group().max_tasks(3);
    executor.block_on(async {
        for _ in 0..300 {
            let (started, violations, ended) = (started.clone(), violations.clone(), ended.clone());
            group
                .task()
                .spawn_async_when_free(async move {
                    if started.add() > violations.get() + ended.get() + 3 {
                        violations.add();
                    }
                    moirai::yield_now().await;
                    ended.add();
                })
                .await;
            assert!(group.len() <= 3);
        }
        assert!(group.next().await.is_none());
    });
    assert_eq!((ended.get(), violations.get()), (300, 0));
    // When the last end has been reported, there is room for as many members as the limit allows.
    for _ in 0..3 {
        group.task().try_spawn_async(pending()).unwrap();
    }
}

#[test]
fn dropping_a_group_cancels_its_members_and_detaching_does_not() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let gate = Gate::new();
    let ids = [false, true].map(|detach| {
        let group: TaskGroup<()> = executor.group();
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
        executor.task_status(ids[0]) == Some(TaskStatus::Cancelled)
    });
    gate.open();
    wait_until("the second completes", || {
        executor.task_status(ids[1]) == Some(TaskStatus::Completed)
    });
}

#[test]
fn cancelling_all_leaves_the_group_usable() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let mut group = executor.group().keep_results();
    for _ in 0..10 {
        group.spawn_async(pending());
    }
    group.cancel_all();
    let results = executor.block_on(group.join_all());
    assert!(results.iter().all(|(_, result)| result.as_ref().is_err_and(TaskError::is_cancelled)));
    group.spawn_async(async { 7 });
    assert_eq!(executor.block_on(group.join_all()).len(), 1);
}

#[test]
fn a_group_can_be_used_after_its_executor_is_gone() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let mut group = executor.group().keep_results();
    group.spawn_async(pending::<()>());
    drop(executor);
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
fn a_result_that_panics_when_it_is_dropped_does_no_harm() {
    struct PanicOnDrop;
    impl Drop for PanicOnDrop {
        fn drop(&mut self) {
            panic!("{ON_PURPOSE}");
        }
    }
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = workers(1);
    let mut group = executor.group();
    group.spawn_parallel(|| PanicOnDrop);
    executor.block_on(async { assert!(group.next().await.is_none()) });
    common::assert_runs(&executor);
}

#[test]
fn a_member_can_have_every_option_of_a_task_outside_a_group() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let mut group = executor.group().keep_results();
    let token = moirai::sync::CancellationToken::new();
    let named = executor.task().name("named").priority(Priority::High).in_group(&group);
    let named = named.spawn_async(async { 1 });
    let late = executor.task().in_group(&group).timeout(std::time::Duration::from_millis(1));
    let late = late.spawn_async(pending());
    let stopped = group.task().name("stopped").cancel_token(token.child_token());
    let stopped = stopped.spawn_async(pending());
    token.cancel();
    let results = executor.block_on(group.join_all());
    let result = |id| &results.iter().find(|(other, _)| *other == id).unwrap().1;
    assert_eq!(*result(named).as_ref().unwrap(), 1);
    assert!(result(late).as_ref().unwrap_err().is_timed_out());
    assert!(result(stopped).as_ref().unwrap_err().is_cancelled());
    let stats = executor.task_stats(named).unwrap();
    assert_eq!((stats.name.as_deref(), stats.priority), (Some("named"), Priority::High));
    assert!(stats.location.file().ends_with("groups.rs"));
    let counts = group.counts();
    assert_eq!((counts.completed, counts.cancelled, counts.refused), (1, 2, 0));
}

#[test]
fn a_member_can_run_on_another_executor_than_the_one_that_made_its_group() {
    let _watchdog = watchdog();
    let (home, elsewhere) = (workers(1), workers(1));
    let mut group = home.group().keep_results().max_tasks(1);
    let id = elsewhere.task().in_group(&group).spawn_parallel(|| 7);
    assert_eq!(home.block_on(group.next()).unwrap().1.unwrap(), 7);
    assert_eq!(elsewhere.task_status(id), Some(TaskStatus::Completed));
    // The place is free again.
    group.task().try_spawn_parallel(|| 8).unwrap();
    assert_eq!(home.block_on(group.join_all()).len(), 1);
}

#[test]
fn a_wait_for_room_that_is_dropped_keeps_no_place_in_the_group() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).max_active_tasks(1).build().unwrap();
    let group = executor.group().max_tasks(1);
    let active = executor.spawn_async(pending::<()>());
    // It has a place in the group, and waits for room in the executor.
    let mut waiting = Box::pin(group.task().spawn_async_when_free(async {}));
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(cx).is_pending());
    drop(waiting);
    active.cancel();
    wait_until("there is room", || group.task().try_spawn_async(async {}).is_ok());
}

/// Panics when it is dropped, also while the thread is unwinding, which would abort the process.
struct PanicsAlways(Counter);

impl Drop for PanicsAlways {
    fn drop(&mut self) {
        self.0.add();
        std::panic::resume_unwind(Box::new(ON_PURPOSE));
    }
}

#[test]
fn kept_results_that_all_panic_on_drop_are_dropped_one_by_one() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = workers(2);
    let dropped = Counter::default();
    let group = executor.group::<PanicsAlways>().keep_results();
    for _ in 0..3 {
        let counter = dropped.clone();
        group.spawn_parallel(move || PanicsAlways(counter));
    }
    wait_until("all have ended", || group.is_empty());
    drop(group);
    assert_eq!(dropped.get(), 3);
}

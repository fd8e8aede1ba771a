//! Tests of the hooks of plugins: they are called in order and once each, and before callers that wait see the end of a task.

mod common;

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{block_only_worker, named, threads, wait_until, watchdog};
use moirai::prelude::*;

/// One call of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hook {
    WorkerStart(usize),
    WorkerStop(usize),
    BeforeSpawn(TaskId),
    AfterSpawn(TaskId),
    BeforeExecute(TaskId),
    AfterComplete(TaskId, TaskStatus),
    Shutdown,
}

/// Records every call, and the name of the thread that made it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Hook, String)>>>);

impl Log {
    fn add(&self, hook: Hook) {
        self.0.lock().unwrap().push((hook, threads::own_name()));
    }

    fn all(&self) -> Vec<Hook> {
        self.0.lock().unwrap().iter().map(|(hook, _)| *hook).collect()
    }

    fn count(&self, hook: Hook) -> usize {
        self.all().iter().filter(|other| **other == hook).count()
    }

    /// Returns the calls for one task.
    fn of(&self, task: TaskId) -> Vec<Hook> {
        let is_its = |hook: &Hook| match hook {
            Hook::BeforeSpawn(id) | Hook::AfterSpawn(id) | Hook::BeforeExecute(id) => *id == task,
            Hook::AfterComplete(id, _) => *id == task,
            _ => false,
        };
        self.all().into_iter().filter(is_its).collect()
    }

    /// Returns the names of the threads on which a hook was called.
    fn threads(&self, hook: Hook) -> Vec<String> {
        let calls = self.0.lock().unwrap();
        calls.iter().filter(|(other, _)| *other == hook).map(|(_, thread)| thread.clone()).collect()
    }
}

impl ExecutorPlugin for Log {
    fn on_worker_start(&self, worker: usize) {
        self.add(Hook::WorkerStart(worker));
    }
    fn on_worker_stop(&self, worker: usize) {
        self.add(Hook::WorkerStop(worker));
    }
    fn before_spawn(&self, id: TaskId) {
        self.add(Hook::BeforeSpawn(id));
    }
    fn after_spawn(&self, id: TaskId) {
        self.add(Hook::AfterSpawn(id));
    }
    fn before_execute(&self, id: TaskId) {
        self.add(Hook::BeforeExecute(id));
    }
    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        self.add(Hook::AfterComplete(id, outcome));
    }
    fn on_shutdown(&self) {
        self.add(Hook::Shutdown);
    }
}

/// Asserts that a task's hooks were called once each and in order. `after_spawn` may be called after the task has run.
#[track_caller]
fn assert_order(log: &Log, id: TaskId, ran: bool, outcome: TaskStatus) {
    wait_until("the spawn is through", || log.count(Hook::AfterSpawn(id)) == 1);
    let calls = log.of(id);
    assert_eq!(calls[0], Hook::BeforeSpawn(id));
    let rest: Vec<_> =
        calls[1..].iter().copied().filter(|hook| *hook != Hook::AfterSpawn(id)).collect();
    let ended = Hook::AfterComplete(id, outcome);
    if ran {
        assert_eq!(rest, [Hook::BeforeExecute(id), ended]);
    } else {
        assert_eq!(rest, [ended]);
    }
}

#[test]
fn the_hooks_of_each_task_are_called_once_and_in_order() {
    let _watchdog = watchdog();
    let log = Log::default();
    let executor = Moirai::builder().worker_threads(2).plugin(log.clone()).build().unwrap();
    for i in 0..300 {
        let handle = match i % 5 {
            0 => executor.spawn_async(async {
                for _ in 0..3 {
                    yield_now().await;
                }
            }),
            1 => executor.spawn_parallel(|| ()),
            2 => executor.spawn_blocking(|| ()),
            3 => executor.spawn_with_priority(|| (), Priority::High),
            _ => executor.task().name("named").spawn_async(async {}),
        };
        let id = handle.id();
        handle.join().unwrap();
        // The join returns only after the last hook.
        assert_eq!(log.count(Hook::AfterComplete(id, TaskStatus::Completed)), 1);
        assert_order(&log, id, true, TaskStatus::Completed);
    }
    let failed: TaskHandle<()> =
        executor.spawn_async(async { std::panic::resume_unwind(Box::new(common::ON_PURPOSE)) });
    let id = failed.id();
    assert!(failed.join().is_err());
    assert_order(&log, id, true, TaskStatus::Failed);
    let waiting = executor.spawn_async(pending::<()>());
    let id = waiting.id();
    wait_until("it waits", || executor.task_stats(id).unwrap().polls > 0);
    waiting.cancel();
    assert!(waiting.join().is_err());
    assert_order(&log, id, true, TaskStatus::Cancelled);
}

#[test]
fn before_execute_is_not_called_for_a_task_that_never_ran() {
    let _watchdog = watchdog();
    let log = Log::default();
    let blocked = block_only_worker(Moirai::builder().plugin(log.clone()));
    let handles = [
        blocked.executor.spawn_parallel(|| ()),
        blocked.executor.spawn_async(async {}),
        blocked.executor.spawn_with_priority(|| (), Priority::Low),
    ];
    let ids = handles.each_ref().map(TaskHandle::id);
    for handle in &handles {
        handle.cancel();
    }
    blocked.gate.open();
    for handle in handles {
        assert!(handle.join().unwrap_err().is_cancelled());
    }
    for id in ids {
        assert_order(&log, id, false, TaskStatus::Cancelled);
    }
}

#[test]
fn the_hooks_of_workers_and_of_the_shutdown_are_called_once() {
    let _watchdog = watchdog();
    const WORKERS: usize = 3;
    let log = Log::default();
    let executor = named("plg-wrk", WORKERS).plugin(log.clone()).build().unwrap();
    for worker in 0..WORKERS {
        wait_until("it has started", || log.count(Hook::WorkerStart(worker)) == 1);
        assert_eq!(log.count(Hook::WorkerStop(worker)), 0);
        for thread in log.threads(Hook::WorkerStart(worker)) {
            assert!(thread.starts_with("plg-wrk"), "{thread}");
        }
    }
    // A core that is handed off to another thread is still the same worker.
    for _ in 0..20 {
        let inner = executor.clone();
        executor
            .spawn_parallel(move || inner.spawn_parallel(|| ()).join().unwrap())
            .join()
            .unwrap();
    }
    let waiting = executor.spawn_async(pending::<()>());
    assert_eq!(log.count(Hook::Shutdown), 0);
    executor.shutdown_timeout(Duration::ZERO);
    executor.shutdown();
    // A shutdown that has no time does not wait for the hook.
    wait_until("the hook of the shutdown has run", || log.count(Hook::Shutdown) > 0);
    assert!(waiting.join().unwrap_err().is_shut_down());
    drop(executor);
    for worker in 0..WORKERS {
        wait_until("it has stopped", || log.count(Hook::WorkerStop(worker)) == 1);
    }
    wait_until("no thread is left", || threads::count("plg-wrk") == 0);
    let mut calls: HashMap<Hook, u32> = HashMap::new();
    for hook in log.all() {
        *calls.entry(hook).or_default() += 1;
    }
    assert!(calls.values().all(|count| *count == 1), "{calls:?}");
    // All hooks of tasks were called before the last worker stopped.
    let all = log.all();
    let last_task = all.iter().rposition(|hook| matches!(hook, Hook::AfterComplete(..))).unwrap();
    let last_stop = all.iter().rposition(|hook| matches!(hook, Hook::WorkerStop(_))).unwrap();
    assert!(last_task < last_stop);
}

#[test]
fn the_drop_of_the_last_handle_calls_the_shutdown_hook_too() {
    let _watchdog = watchdog();
    let log = Log::default();
    let executor = Moirai::builder().worker_threads(1).plugin(log.clone()).build().unwrap();
    let waiting = executor.spawn_async(pending::<()>());
    let id = waiting.id();
    drop(executor);
    assert!(waiting.join().unwrap_err().is_shut_down());
    assert_eq!(log.count(Hook::Shutdown), 1);
    assert_eq!(log.count(Hook::AfterComplete(id, TaskStatus::Cancelled)), 1);
}

#[test]
fn plugins_are_called_in_the_order_in_which_they_were_added() {
    #[derive(Clone)]
    struct Mark(u32, Arc<Mutex<Vec<u32>>>);
    impl ExecutorPlugin for Mark {
        fn before_execute(&self, _: TaskId) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    let _watchdog = watchdog();
    let order = Arc::default();
    let executor = (1..=3)
        .fold(Moirai::builder(), |builder, i| builder.plugin(Mark(i, Arc::clone(&order))))
        .worker_threads(1)
        .build()
        .unwrap();
    executor.spawn_parallel(|| ()).join().unwrap();
    executor.spawn_blocking(|| ()).join().unwrap();
    assert_eq!(*order.lock().unwrap(), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_plugin_may_use_the_executor() {
    /// Looks up the task in its hooks, and spawns a task of its own after the first one.
    struct QueryingPlugin(Arc<Mutex<Vec<Option<TaskStatus>>>>);
    impl ExecutorPlugin for QueryingPlugin {
        fn before_execute(&self, id: TaskId) {
            let executor = Moirai::current().expect("called inside the task's executor");
            self.0.lock().unwrap().push(executor.task_status(id));
        }
        fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
            assert!(outcome.is_terminal());
            let Some(executor) = Moirai::current() else { return };
            if executor.task_stats(id).is_some_and(|stats| stats.name.as_deref() == Some("first")) {
                executor.task().name("second").spawn_parallel(|| ());
            }
        }
    }
    let _watchdog = watchdog();
    let seen = Arc::default();
    let executor = Moirai::builder()
        .worker_threads(1)
        .plugin(QueryingPlugin(Arc::clone(&seen)))
        .build()
        .unwrap();
    executor.task().name("first").spawn_async(async {}).join().unwrap();
    wait_until("the plugin's task has run", || {
        let tasks = executor.tasks();
        tasks.len() == 2 && tasks.iter().all(|task| task.status.is_terminal())
    });
    assert!(seen.lock().unwrap().iter().all(|status| status.is_some_and(TaskStatus::is_active)));
}

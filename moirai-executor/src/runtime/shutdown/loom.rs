//! Models of shutdowns, on the shared part of a real executor.

use moirai_core::shim::sync::Mutex;
use moirai_core::shim::thread;
use moirai_core::{TaskError, ThreadKind};
use moirai_sync::block_on;
use std::future::pending;
use std::sync::Arc;

use super::*;
use crate::handle::TaskHandle;
use crate::runtime::test_executor::{TestExecutor, run_queued, run_queued_in, spawn};
use crate::runtime::worker;
use crate::spawn::TaskBuilder;

fn model(bound: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(f);
}

fn assert_ended(mut task: TaskHandle<()>) {
    let result = task.try_join();
    assert!(matches!(result, Some(Err(TaskError::ShutDown))), "{result:?}");
}

#[test]
fn loom_a_shutdown_reaches_a_task_that_is_spawned_outside_and_waits() {
    model(3, || {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let spawner = thread::spawn({
            let shared = Arc::clone(shared);
            move || {
                let task = spawn(&shared, pending());
                run_queued(&shared);
                task
            }
        });
        // Once is enough: what is spawned later is refused, or finds the phase advanced when it is to be run.
        cancel_all(shared);
        let task = spawner.join().unwrap();
        run_queued(shared);
        assert_ended(task);
        executor.stop();
    });
}

#[test]
fn loom_a_shutdown_reaches_a_task_that_a_worker_spawns_and_that_waits() {
    model(2, || {
        let mut executor = TestExecutor::new();
        let shared = &executor.shared;
        let worker = thread::spawn({
            let (shared, core) = (Arc::clone(shared), executor.core.take());
            move || {
                let context = Context::new(Arc::clone(&shared));
                context.put_core(core.expect("the only core"));
                let task = context.enter(|| {
                    let task = spawn(&shared, pending());
                    run_queued_in(&context);
                    task
                });
                (task, context.take_core())
            }
        });
        close(shared, None);
        shared.lifecycle.advance(Phase::Cancelling);
        assert!(cancel_active(shared, None));
        let (task, core) = worker.join().unwrap();
        // The worker may have read the phase too early, so the shutdown asks again.
        assert!(cancel_active(shared, None));
        run_queued(shared);
        assert_ended(task);
        executor.core = core;
        executor.stop();
    });
}

#[test]
fn loom_a_worker_ends_what_it_spawns_during_a_shutdown() {
    model(2, || {
        let mut executor = TestExecutor::new();
        let shared = &executor.shared;
        let child = Arc::new(Mutex::new(None));
        let parent = spawn(shared, {
            let (shared, child) = (Arc::downgrade(shared), Arc::clone(&child));
            async move {
                let shared = shared.upgrade().expect("a worker is running");
                *child.lock() = Some(spawn(&shared, async {}));
            }
        });
        let worker = thread::spawn({
            let (shared, core) = (Arc::clone(shared), executor.core.take());
            move || worker::run(shared, ThreadKind::Worker, 0, core)
        });
        close(shared, None);
        shared.lifecycle.advance(Phase::Cancelling);
        stop(shared, Instant::now());
        worker.join().unwrap();
        // Whatever the worker had read, its core is closed only when nothing is queued.
        assert!(parent.is_finished());
        assert!(child.lock().take().is_none_or(|child| child.is_finished()));
        drop(parent);
        executor.assert_freed();
    });
}

#[test]
fn loom_a_drain_admits_what_a_task_spawns_and_sees_it() {
    model(2, || {
        let mut executor = TestExecutor::new();
        let shared = &executor.shared;
        let child = Arc::new(Mutex::new(None));
        let mut parent = spawn(shared, {
            let (shared, child) = (Arc::downgrade(shared), Arc::clone(&child));
            async move {
                let shared = shared.upgrade().expect("a worker is running");
                *child.lock() = Some(spawn(&shared, async {}));
            }
        });
        let worker = thread::spawn({
            let (shared, core) = (Arc::clone(shared), executor.core.take());
            move || worker::run(shared, ThreadKind::Worker, 0, core)
        });
        begin(shared, Phase::Draining, None);
        let mut outside = spawn(shared, async {});
        while active(shared) > 0 {
            thread::yield_now();
        }
        close(shared, None);
        // What comes after this look is refused.
        assert_eq!(active(shared), 0);
        stop(shared, Instant::now());
        worker.join().unwrap();
        assert!(outside.take_refusal().is_some());
        assert!(matches!(parent.try_join(), Some(Ok(()))));
        let mut child = child.lock().take().expect("its parent has ended");
        assert!(matches!(child.try_join(), Some(Ok(()))));
        drop((parent, child, outside));
        executor.assert_freed();
    });
}

#[test]
fn loom_a_spawn_that_waits_for_room_is_refused_by_a_shutdown() {
    model(3, || {
        let executor = TestExecutor::with(|config| config.max_active_tasks = Some(1));
        let shared = &executor.shared;
        let active = spawn(shared, pending::<()>());
        let spawner = thread::spawn({
            let shared = Arc::clone(shared);
            move || block_on(TaskBuilder::new(&shared).spawn_async_when_free(async {}))
        });
        close(shared, None);
        // Although no task ends.
        assert_ended(spawner.join().unwrap());
        drop(active);
        executor.stop();
    });
}

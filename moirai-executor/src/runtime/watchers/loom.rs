//! Models of waiting for a task by its id, and of its children, on the shared part of a real executor.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use moirai_core::shim::thread;
use moirai_core::{CancelCause, TaskId, TaskKind, TaskStatus};

use crate::handle::{TaskHandle, WaitForTask};
use crate::runtime::shared::Shared;
use crate::runtime::test_executor::{TestExecutor, Wakes, run_queued, spawn};
use crate::spawn::check::NeverFails;
use crate::spawn::options::SpawnOptions;
use crate::spawn::start::spawn_future;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

const ENDED: Option<TaskStatus> = Some(TaskStatus::Completed);

fn poll(waiting: &mut WaitForTask, wakes: &Arc<Wakes>) -> Poll<Option<TaskStatus>> {
    Pin::new(waiting).poll(&mut Context::from_waker(&Arc::clone(wakes).into()))
}

fn assert_nobody_waits(shared: &Shared) {
    assert!(shared.watchers.0.lock().is_empty(), "a registration is left");
}

#[test]
fn loom_a_waiter_learns_of_an_end_that_comes_while_it_registers() {
    model(|| {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let task = spawn(shared, async {});
        let runner = thread::spawn({
            let shared = Arc::clone(shared);
            move || run_queued(&shared)
        });
        let wakes = Arc::new(Wakes::default());
        let mut waiting = WaitForTask::new(shared, task.id(), None);
        let polled = poll(&mut waiting, &wakes);
        if polled.is_ready() {
            assert_eq!(shared.registry.status(task.id()), ENDED);
        }
        runner.join().unwrap();
        match polled {
            Poll::Ready(status) => assert_eq!(status, ENDED),
            Poll::Pending => {
                assert_eq!(wakes.count(), 1, "the waiter sleeps for ever");
                assert_eq!(poll(&mut waiting, &wakes), Poll::Ready(ENDED));
            }
        }
        drop(waiting);
        drop(task);
        assert_nobody_waits(shared);
        executor.stop();
    });
}

#[test]
fn loom_a_waiter_that_gives_up_takes_only_its_own_registration_along() {
    model(|| {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let task = spawn(shared, async {});
        let wakes = Arc::new(Wakes::default());
        let [given_up, mut kept] = [(); 2].map(|()| WaitForTask::new(shared, task.id(), None));
        assert!(poll(&mut kept, &wakes).is_pending());
        let runner = thread::spawn({
            let shared = Arc::clone(shared);
            move || run_queued(&shared)
        });
        drop(given_up);
        runner.join().unwrap();
        assert_eq!(wakes.count(), 1);
        assert_eq!(poll(&mut kept, &wakes), Poll::Ready(ENDED));
        drop(kept);
        drop(task);
        assert_nobody_waits(shared);
        executor.stop();
    });
}

/// Spawns a child of this task that waits for ever.
fn spawn_child(shared: &Shared, parent: TaskId) -> TaskHandle<()> {
    let mut options = SpawnOptions::new(TaskKind::Async);
    options.rare.get_or_insert_default().cancel.parent = Some(parent);
    spawn_future::<_, NeverFails>(shared, std::future::pending(), options)
}

fn is_asked(shared: &Shared, task: TaskId) -> bool {
    let task = shared.task_ref(task).expect("it has not run since");
    // SAFETY: the reference keeps the cell alive.
    unsafe { task.ptr().is_cancelled() }
}

#[test]
fn loom_a_child_is_asked_with_its_parent_before_the_parent_runs() {
    model(|| {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let parent = spawn(shared, std::future::pending::<()>());
        run_queued(shared);
        let spawner = thread::spawn({
            let (shared, parent) = (Arc::clone(shared), parent.id());
            move || spawn_child(&shared, parent)
        });
        parent.cancel();
        let child = spawner.join().unwrap();
        // Nothing has run meanwhile, so a parent that is a closure and waits for its child goes on.
        assert!(is_asked(shared, child.id()));
        run_queued(shared);
        let by = |task: &TaskHandle<()>| shared.registry.stats(task.id()).unwrap().cancelled_by;
        assert_eq!(by(&parent), Some(CancelCause::Handle));
        assert_eq!(by(&child), Some(CancelCause::Parent));
        drop((parent, child));
        assert_nobody_waits(shared);
        executor.stop();
    });
}

#[test]
fn loom_a_child_of_a_parent_that_ends_cancelled_is_asked() {
    model(|| {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let parent = spawn(shared, std::future::pending::<()>());
        parent.cancel();
        let runner = thread::spawn({
            let shared = Arc::clone(shared);
            move || run_queued(&shared)
        });
        let child = spawn_child(shared, parent.id());
        runner.join().unwrap();
        run_queued(shared);
        assert!(child.is_finished());
        drop((parent, child));
        assert_nobody_waits(shared);
        executor.stop();
    });
}

#[test]
fn loom_a_child_that_ends_meanwhile_leaves_nothing_behind() {
    model(|| {
        let executor = TestExecutor::new();
        let shared = &executor.shared;
        let parent = spawn(shared, std::future::pending::<()>());
        run_queued(shared);
        let child = spawn_child(shared, parent.id());
        child.cancel();
        let runner = thread::spawn({
            let shared = Arc::clone(shared);
            move || run_queued(&shared)
        });
        parent.cancel();
        runner.join().unwrap();
        run_queued(shared);
        assert!(parent.is_finished() && child.is_finished());
        drop((parent, child));
        assert_nobody_waits(shared);
        executor.stop();
    });
}

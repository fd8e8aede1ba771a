//! Models of waiting for a task by its id, on the shared part of a real executor.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use moirai_core::TaskStatus;
use moirai_core::shim::thread;

use crate::handle::WaitForTask;
use crate::runtime::shared::Shared;
use crate::runtime::test_executor::{TestExecutor, Wakes, run_queued, spawn};

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

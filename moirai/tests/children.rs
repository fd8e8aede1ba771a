//! Tests of children, which are cancelled when their parent is cancelled or fails.

mod common;

use std::future::pending;
use std::sync::mpsc;

use common::{wait_until, watchdog};
use moirai::prelude::*;
use moirai::{CancelCause, sim};

fn executor(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).build().unwrap()
}

fn here() -> Moirai {
    Moirai::current().unwrap()
}

/// Waits until a task has ended, and returns what has cancelled it.
fn end_of(executor: &Moirai, id: TaskId) -> Option<CancelCause> {
    executor.block_on(executor.wait_for_task(id, None));
    executor.task_stats(id).unwrap().cancelled_by
}

#[test]
fn a_child_ends_with_a_parent_that_is_cancelled_or_panics() {
    let _watchdog = watchdog();
    let executor = executor(2);
    for cancels in [true, false] {
        let (send, receive) = mpsc::channel();
        let parent = executor.spawn_async(async move {
            let child = here().task().child_of_current().spawn_async(pending::<()>());
            send.send(child.id()).unwrap();
            if !cancels {
                panic!("the parent of a test");
            }
            pending::<()>().await;
        });
        let child = receive.recv().unwrap();
        if cancels {
            parent.cancel();
        }
        assert_eq!(end_of(&executor, child), Some(CancelCause::Parent));
        assert!(parent.join().is_err());
    }
}

#[test]
fn a_child_outlives_a_parent_that_completes() {
    let _watchdog = watchdog();
    let executor = executor(1);
    let (send, receive) = mpsc::channel();
    let parent = executor.spawn_parallel(move || {
        let child = here().task().child_of_current().spawn_async(async {
            moirai::yield_now().await;
            7
        });
        send.send(child).unwrap();
    });
    let id = parent.id();
    parent.join().unwrap();
    assert!(!executor.cancel_task(id));
    assert_eq!(receive.recv().unwrap().join().unwrap(), 7);
}

#[test]
fn a_closure_that_waits_for_its_child_goes_on_when_it_is_cancelled() {
    let _watchdog = watchdog();
    let executor = executor(1);
    let (send, receive) = mpsc::channel();
    let parent = executor.spawn_parallel(move || {
        // In fork-join work, too.
        let (child, _) =
            moirai::join(|| here().task().child_of_current().spawn_async(pending::<()>()), || ());
        send.send(()).unwrap();
        child.join().unwrap_err().is_cancelled()
    });
    receive.recv().unwrap();
    parent.cancel();
    assert!(parent.join().unwrap(), "a closure is not interrupted");
}

#[test]
fn a_deep_tree_is_cancelled_without_a_deep_stack() {
    const DEPTH: usize = 20_000;
    fn descend(depth: usize, bottom: mpsc::Sender<TaskId>) {
        let here = here();
        let next = bottom.clone();
        let task = here.task().child_of_current().spawn_async(async move {
            if depth > 0 {
                descend(depth - 1, next);
            }
            pending::<()>().await;
        });
        if depth == 0 {
            bottom.send(task.id()).unwrap();
        }
    }
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(1)
        .thread_stack_size(256 << 10)
        .cleanup_config(CleanupConfig { max_retained_tasks: 2 * DEPTH, ..Default::default() })
        .build()
        .unwrap();
    let (send, bottom) = mpsc::channel();
    let top = executor.spawn_async(async move {
        descend(DEPTH, send);
        pending::<()>().await;
    });
    let bottom = bottom.recv().unwrap();
    top.cancel();
    assert_eq!(end_of(&executor, bottom), Some(CancelCause::Parent));
    wait_until("all have ended", || executor.cleanup_stats().active_tasks == 0);
    assert_eq!(executor.cleanup_stats().cancelled_tasks, DEPTH + 2);
}

#[test]
fn elsewhere_there_is_no_parent() {
    let _watchdog = watchdog();
    let [executor, other] = [executor(1), executor(1)];
    assert_eq!(executor.task().child_of_current().spawn_async(async { 1 }).join().unwrap(), 1);
    let (send, receive) = mpsc::channel();
    let parent = other.spawn_async({
        let executor = executor.without_owner();
        async move {
            let child = executor.task().child_of_current().spawn_async(async {
                moirai::yield_now().await;
                2
            });
            send.send(child).unwrap();
            pending::<()>().await;
        }
    });
    let child = receive.recv().unwrap();
    parent.cancel();
    assert_eq!(child.join().unwrap(), 2);
}

#[test]
fn no_order_leaves_a_child_behind() {
    let scenario = |executor: Moirai| async move {
        let (send, receive) = mpsc::channel();
        let parent = executor.spawn_async(async move {
            for _ in 0..3 {
                moirai::yield_now().await;
                send.send(here().task().child_of_current().spawn_async(pending::<()>())).unwrap();
            }
            pending::<()>().await;
        });
        let canceller = executor.spawn_async({
            let abort = parent.abort_handle();
            async move {
                moirai::yield_now().await;
                abort.cancel();
            }
        });
        canceller.await.unwrap();
        assert!(parent.await.unwrap_err().is_cancelled());
        for child in receive {
            assert!(child.await.unwrap_err().is_cancelled());
        }
    };
    sim::explore(0..500, scenario).expect_no_failure();
}

#[test]
fn a_shutdown_that_cancels_a_parent_lists_its_children() {
    let _watchdog = watchdog();
    let executor = executor(1);
    let (send, receive) = mpsc::channel();
    let parent = executor.spawn_blocking(move || {
        let child = here().task().child_of_current().spawn_async(pending::<()>());
        send.send(child.id()).unwrap();
        child.join()
    });
    let child = receive.recv().unwrap();
    let report = executor.drain(std::time::Duration::from_millis(10));
    assert!(!report.is_clean(), "{report}");
    assert_eq!(end_of(&executor, child), Some(CancelCause::Shutdown));
    assert!(parent.join().unwrap().unwrap_err().is_shut_down());
}

//! Tasks without a handle.

use std::future::pending;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use moirai::prelude::*;

fn executor() -> Moirai {
    Moirai::builder().worker_threads(2).build().unwrap()
}

fn ended(executor: &Moirai, id: TaskId) -> Option<TaskStatus> {
    executor.block_on(executor.wait_for_task(id, Some(Duration::from_secs(60))))
}

#[test]
fn a_detached_task_runs_and_its_record_names_the_place_that_spawned_it() {
    let executor = executor();
    let (sender, receiver) = channel();
    let (outer, line) =
        (executor.spawn_detached(async move { sender.send(inner()).unwrap() }), line!());
    let (inner, inner_line) = receiver.recv().unwrap();
    for (id, line) in [(outer, line), (inner, inner_line)] {
        assert_eq!(ended(&executor, id), Some(TaskStatus::Completed));
        let stats = executor.task_stats(id).unwrap();
        assert_eq!((stats.location.file(), stats.location.line()), (file!(), line));
        assert_eq!((stats.kind, stats.polls), (TaskKind::Async, 1));
    }
}

/// Spawns a task on the executor that runs the caller.
fn inner() -> (TaskId, u32) {
    (moirai::spawn_detached(async { String::from("nobody wants it") }), line!())
}

#[test]
fn a_detached_task_that_waits_is_cancelled_by_its_id_and_dropped() {
    let executor = executor();
    let held = Arc::new(());
    let id = executor.spawn_detached({
        let held = Arc::clone(&held);
        async move {
            let _held = held;
            pending::<()>().await;
        }
    });
    assert!(executor.cancel_task(id));
    assert_eq!(ended(&executor, id), Some(TaskStatus::Cancelled));
    assert_eq!(Arc::strong_count(&held), 1, "its future is still there");
    assert!(!executor.cancel_task(id));
}

#[test]
fn a_detached_task_that_panics_and_one_whose_output_panics_have_it_in_their_records() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("the output's own");
        }
    }
    let executor = executor();
    let failed = executor.spawn_detached(async { panic!("the task's own") });
    assert_eq!(ended(&executor, failed), Some(TaskStatus::Failed));
    assert_eq!(executor.task_stats(failed).unwrap().error.as_deref(), Some("the task's own"));
    let completed = executor.spawn_detached(async { PanicsInDrop });
    assert_eq!(ended(&executor, completed), Some(TaskStatus::Completed));
    assert_eq!(executor.task_stats(completed).unwrap().error.as_deref(), Some("the output's own"));
}

#[test]
fn a_detached_task_that_is_refused_is_dropped_and_its_id_names_nothing() {
    let limited = Moirai::builder().worker_threads(1).max_active_tasks(1).build().unwrap();
    let first = limited.spawn_detached(pending::<()>());
    let held = Arc::new(());
    let refused = limited.spawn_detached({
        let held = Arc::clone(&held);
        async move { drop(held) }
    });
    assert_eq!((limited.task_status(refused), Arc::strong_count(&held)), (None, 1));
    assert!(limited.cancel_task(first));

    let executor = executor();
    executor.shutdown();
    let late = executor.spawn_detached({
        let held = Arc::clone(&held);
        async move { drop(held) }
    });
    assert_eq!((executor.task_status(late), Arc::strong_count(&held)), (None, 1));
}

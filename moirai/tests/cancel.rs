//! Tests of cancellation by handle, by abort handle and by id, in every state of a task.
//!
//! They hold promise P1 (a task ends once) of `docs/src/guarantees.md`.

mod common;

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use common::{
    Counter, Gate, OnDrop, assert_runs, block_only_worker, named, retain_at_most, threads,
    wait_until, watchdog,
};
use moirai::CancelCause;
use moirai::prelude::*;
use moirai::sync::CancellationToken;

/// The ways to cancel a task.
#[derive(Clone, Copy, Debug)]
enum Route {
    Handle,
    Abort,
    Id,
}

const ROUTES: [Route; 3] = [Route::Handle, Route::Abort, Route::Id];

fn cancel<T>(executor: &Moirai, handle: &TaskHandle<T>, route: Route) {
    match route {
        Route::Handle => handle.cancel(),
        Route::Abort => {
            let abort = handle.abort_handle();
            assert_eq!(abort.id(), handle.id());
            abort.clone().cancel();
        }
        Route::Id => assert!(executor.cancel_task(handle.id())),
    }
}

fn wait_until_polled(executor: &Moirai, id: TaskId) {
    wait_until("it waits", || executor.task_stats(id).is_some_and(|stats| stats.polls > 0));
}

#[test]
fn a_queued_task_that_is_cancelled_never_runs() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let blocked = block_only_worker(Moirai::builder());
        let ran = Counter::default();
        let (a, b, c) = (ran.clone(), ran.clone(), ran.clone());
        let handles = [
            blocked.executor.spawn_parallel(move || {
                a.add();
            }),
            blocked.executor.spawn_async(async move {
                b.add();
            }),
            blocked.executor.spawn_with_priority(
                move || {
                    c.add();
                },
                Priority::Critical,
            ),
        ];
        for handle in &handles {
            cancel(&blocked.executor, handle, route);
        }
        blocked.gate.open();
        for handle in handles {
            let id = handle.id();
            assert!(handle.join().unwrap_err().is_cancelled());
            let stats = blocked.executor.task_stats(id).unwrap();
            assert_eq!(stats.status, TaskStatus::Cancelled);
            assert_eq!((stats.polls, stats.started_at), (0, None));
            assert!(stats.finished_at.is_some());
            assert_eq!(stats.error, None);
        }
        assert_runs(&blocked.executor);
        assert_eq!(ran.get(), 0, "by {route:?}");
        assert_eq!(blocked.executor.load(), 0);
    }
}

#[test]
fn a_queued_blocking_task_that_is_cancelled_never_runs() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let executor = Moirai::builder().worker_threads(1).max_blocking_threads(1).build().unwrap();
        let (gate, started, ran) = (Gate::new(), Gate::new(), Counter::default());
        let (waiting, start) = (gate.clone(), started.clone());
        let blocker = executor.spawn_blocking(move || {
            start.open();
            waiting.wait();
        });
        started.wait();
        let count = ran.clone();
        let handle = executor.spawn_blocking(move || count.add());
        let id = handle.id();
        assert_eq!(executor.task_status(id), Some(TaskStatus::Queued));
        cancel(&executor, &handle, route);
        gate.open();
        assert!(handle.join().unwrap_err().is_cancelled());
        assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
        blocker.join().unwrap();
        assert_runs(&executor);
        assert_eq!(ran.get(), 0, "by {route:?}");
    }
}

#[test]
fn a_waiting_task_that_is_cancelled_is_dropped_at_once_on_a_worker() {
    let _watchdog = watchdog();
    let executor = named("cnc-drop", 2).build().unwrap();
    for route in ROUTES {
        let (sender, dropped) = mpsc::channel();
        let owned = OnDrop::new(move || {
            sender.send((threads::own_name(), Moirai::worker_index())).unwrap();
        });
        let handle = executor.spawn_async(async move {
            let _owned = owned;
            pending::<()>().await;
        });
        let id = handle.id();
        wait_until_polled(&executor, id);
        assert_eq!(executor.task_status(id), Some(TaskStatus::Running));
        cancel(&executor, &handle, route);
        assert!(handle.join().unwrap_err().is_cancelled());
        assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
        let (thread, worker) = dropped.try_recv().expect("dropped before the outcome is reported");
        assert!(thread.starts_with("cnc-drop"), "by {route:?}: dropped on {thread:?}");
        assert!(worker.is_some(), "by {route:?}: dropped on {thread:?}");
    }
}

#[test]
fn a_detached_task_can_be_cancelled_by_id() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    let drops = Counter::default();
    let owned = drops.on_drop();
    let handle = executor.spawn_async(async move {
        let _owned = owned;
        pending::<()>().await;
    });
    let (id, abort) = (handle.id(), handle.abort_handle());
    drop(handle);
    wait_until_polled(&executor, id);
    assert!(executor.cancel_task(id));
    wait_until("it has ended", || executor.task_status(id) == Some(TaskStatus::Cancelled));
    wait_until("it is dropped", || drops.get() == 1);
    abort.cancel();
    assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
}

#[test]
fn a_poll_in_progress_decides_whether_its_task_completes_or_is_cancelled() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    for route in ROUTES {
        for ready in [false, true] {
            let (gate, polled, polls) = (Gate::new(), Gate::new(), Counter::default());
            let (waiting, begun, count) = (gate.clone(), polled.clone(), polls.clone());
            let handle = executor.spawn_async(poll_fn(move |_| {
                count.add();
                begun.open();
                waiting.wait();
                if ready { Poll::Ready(5) } else { Poll::Pending }
            }));
            let id = handle.id();
            polled.wait();
            cancel(&executor, &handle, route);
            cancel(&executor, &handle, Route::Handle);
            assert!(executor.task_status(id).unwrap().is_active());
            gate.open();
            let result = handle.join();
            if ready {
                assert_eq!(result.unwrap(), 5);
                assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
            } else {
                assert!(result.unwrap_err().is_cancelled());
                assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
            }
            assert_eq!(polls.get(), 1);
        }
    }
}

#[test]
fn a_closure_that_runs_is_not_interrupted() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    for route in ROUTES {
        for blocking in [false, true] {
            let (gate, started) = (Gate::new(), Gate::new());
            let (waiting, begun) = (gate.clone(), started.clone());
            let body = move || {
                begun.open();
                waiting.wait();
                6
            };
            let handle = if blocking {
                executor.spawn_blocking(body)
            } else {
                executor.spawn_parallel(body)
            };
            let id = handle.id();
            started.wait();
            cancel(&executor, &handle, route);
            gate.open();
            assert_eq!(handle.join().unwrap(), 6);
            assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
        }
    }
}

#[test]
fn a_task_can_cancel_itself() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    let (sender, receiver) = async_channel::bounded::<moirai::AbortHandle>(1);
    let handle = executor.spawn_async(async move {
        receiver.recv().await.unwrap().cancel();
        // The poll goes on until it returns to the executor.
        let reached = Moirai::current().is_some();
        yield_now().await;
        reached
    });
    sender.send_blocking(handle.abort_handle()).unwrap();
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_runs(&executor);
}

#[test]
fn cancelling_a_task_that_has_ended_changes_nothing() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    let mut done = executor.spawn_parallel(|| 1);
    let failed: TaskHandle<()> =
        executor.spawn_async(async { std::panic::resume_unwind(Box::new(common::ON_PURPOSE)) });
    wait_until("both have ended", || done.is_finished() && failed.is_finished());
    for handle in [done.abort_handle(), failed.abort_handle()] {
        handle.cancel();
        assert!(!executor.cancel_task(handle.id()));
    }
    done.cancel();
    assert_eq!(executor.task_status(done.id()), Some(TaskStatus::Completed));
    assert_eq!(executor.task_status(failed.id()), Some(TaskStatus::Failed));
    assert_eq!(done.try_join().unwrap().unwrap(), 1);
    assert!(failed.join().unwrap_err().is_panicked());
    let cancelled = executor.spawn_async(pending::<()>());
    for _ in 0..3 {
        cancelled.cancel();
    }
    let id = cancelled.id();
    assert!(cancelled.join().unwrap_err().is_cancelled());
    assert!(!executor.cancel_task(id));
    assert_eq!(executor.cleanup_stats().cancelled_tasks, 1);
}

#[test]
fn unknown_and_evicted_ids_lead_to_no_task() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .cleanup_config(retain_at_most(0, common::HOUR))
        .worker_threads(1)
        .build()
        .unwrap();
    let handle = executor.spawn_parallel(|| ());
    let evicted = handle.id();
    handle.join().unwrap();
    let waiting = executor.spawn_async(pending::<()>());
    let live = waiting.id().get();
    let odd = [1, live ^ 1, live ^ (1 << 20), live ^ (1 << 31), live ^ (1 << 32), live ^ (1 << 63)];
    let unknown = odd.iter().chain(&[u64::MAX, 1 << 32, 1 << 63]).map(u64::to_string);
    let unknown = unknown.map(|id| id.parse::<TaskId>().unwrap()).filter(|id| *id != waiting.id());
    for id in unknown.chain([evicted]) {
        assert!(!executor.cancel_task(id), "{id}");
        assert_eq!(executor.task_status(id), None, "{id}");
        assert!(executor.task_stats(id).is_none(), "{id}");
    }
    assert!(executor.task_status(waiting.id()).unwrap().is_active());
}

/// Records the outcomes that are reported of each task.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<HashMap<TaskId, Vec<TaskStatus>>>>);

impl ExecutorPlugin for Outcomes {
    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        self.0.lock().unwrap().entry(id).or_default().push(outcome);
    }
}

#[test]
fn a_task_that_is_cancelled_while_it_finishes_has_one_outcome() {
    const BATCHES: u32 = 150;
    const BATCH: u32 = 40;
    let watchdog = watchdog();
    let outcomes = Outcomes::default();
    let executor = Moirai::builder().worker_threads(2).plugin(outcomes.clone()).build().unwrap();
    let (sender, receiver) = mpsc::channel::<moirai::AbortHandle>();
    let other = std::thread::spawn(move || receiver.into_iter().for_each(|abort| abort.cancel()));
    let drops = Counter::default();
    let (mut completed, mut cancelled, mut failed) = (0, 0, 0);
    for batch in 0..BATCHES {
        watchdog.feed(format!("batch {batch}: {:?}", executor.cleanup_stats()));
        let spawn = |i: u32| {
            let owned = drops.on_drop();
            match i % 8 {
                7 => executor.spawn_blocking(move || drop(owned)),
                6 => executor.spawn_parallel(move || drop(owned)),
                5 => executor.spawn_async(async move {
                    let _owned = owned;
                    yield_now().await;
                    std::panic::resume_unwind(Box::new(common::ON_PURPOSE));
                }),
                yields => executor.spawn_async(async move {
                    let _owned = owned;
                    for _ in 0..yields {
                        yield_now().await;
                    }
                }),
            }
        };
        let handles: Vec<_> = (0..BATCH).map(spawn).collect();
        for handle in &handles {
            sender.send(handle.abort_handle()).unwrap();
        }
        for handle in handles.iter().rev() {
            executor.cancel_task(handle.id());
            handle.cancel();
        }
        for handle in handles {
            let id = handle.id();
            let expected = match handle.join() {
                Ok(()) => TaskStatus::Completed,
                Err(TaskError::Cancelled) => TaskStatus::Cancelled,
                Err(TaskError::Panicked(_)) => TaskStatus::Failed,
                Err(other) => panic!("{other}"),
            };
            match expected {
                TaskStatus::Completed => completed += 1,
                TaskStatus::Cancelled => cancelled += 1,
                _ => failed += 1,
            }
            assert_eq!(executor.task_status(id), Some(expected));
            assert_eq!(outcomes.0.lock().unwrap()[&id], [expected]);
        }
        assert_eq!(drops.get(), ((batch + 1) * BATCH) as usize, "what tasks own is dropped once");
    }
    drop(sender);
    other.join().unwrap();
    println!("{completed} completed, {cancelled} cancelled, {failed} failed");
    let report = executor.shutdown();
    assert_eq!(report.spawned, u64::from(BATCHES * BATCH));
    assert_eq!((report.completed, report.cancelled, report.failed), (completed, cancelled, failed));
    assert!(outcomes.0.lock().unwrap().values().all(|outcomes| outcomes.len() == 1));
}

#[test]
fn the_record_says_what_has_cancelled_the_task() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let waits = || executor.spawn_async(pending::<()>());
    let causes = |id| executor.task_stats(id).unwrap().cancelled_by;
    let by = |task: TaskHandle<()>, cause: CancelCause| {
        let id = task.id();
        assert!(task.join().is_err());
        assert_eq!(causes(id), Some(cause));
    };
    let task = waits();
    assert_eq!(causes(task.id()), None);
    task.cancel();
    executor.cancel_task(task.id());
    by(task, CancelCause::Handle);
    let task = waits();
    task.abort_handle().cancel();
    by(task, CancelCause::Handle);
    let task = waits();
    executor.cancel_task(task.id());
    by(task, CancelCause::Id);
    let task = executor.task().timeout(Duration::ZERO).spawn_async(pending());
    by(task, CancelCause::Timeout);
    let token = CancellationToken::new();
    let task = executor.task().cancel_token(token.clone()).spawn_async(pending());
    token.cancel();
    by(task, CancelCause::Token);

    let ended = |id| {
        let _ = executor.block_on(executor.wait_for_task(id, None));
        causes(id)
    };
    let group = executor.group();
    let member = group.spawn_async(pending::<()>());
    group.cancel_all();
    assert_eq!(ended(member), Some(CancelCause::Group));
    let member = group.spawn_async(pending::<()>());
    drop(group);
    assert_eq!(ended(member), Some(CancelCause::Group));
    let dropped = waits().abort_on_drop();
    let id = dropped.id();
    drop(dropped);
    assert_eq!(ended(id), Some(CancelCause::Handle));

    let completes = executor.spawn_async(async { 7 }).abort_on_drop();
    assert_eq!(executor.block_on(completes).unwrap(), 7);
    let kept = executor.spawn_async(async { 8 }).abort_on_drop().detach();
    let id = kept.id();
    assert_eq!(kept.join().unwrap(), 8);
    assert_eq!(causes(id), None);
    let task = waits();
    let report = executor.shutdown_timeout(Duration::ZERO);
    assert_eq!(report.cancelled_tasks[0].cancelled_by, Some(CancelCause::Shutdown));
    by(task, CancelCause::Shutdown);
}

//! Tests of `wait_for_task`, which waits for a task by its id.
//!
//! They hold a part of promise P3 (a caller that learns of the end finds it in the record) of `docs/src/guarantees.md`.

mod common;

use std::future::{Future, pending};
use std::task::Context;
use std::time::{Duration, Instant};

use common::{
    CountingWaker, Gate, HOUR, block_only_worker, retain_at_most, wait_until, watchdog, workers,
};
use futures_lite::future::{block_on, poll_once};
use moirai::prelude::*;

/// Spawns a task that waits at the gate, and returns its id.
fn waiting(executor: &Moirai, gate: &Gate) -> TaskId {
    let gate = gate.clone();
    executor.spawn_async(async move { gate.passed().await }).id()
}

#[test]
fn the_future_can_be_sent_and_outlives_the_borrow() {
    fn check<F: Future<Output = Option<TaskStatus>> + Send + 'static>(future: F) -> F {
        future
    }
    let _watchdog = watchdog();
    let gate = Gate::new();
    let executor = workers(1);
    let wait = {
        let borrowed = &executor;
        check(borrowed.wait_for_task(waiting(borrowed, &gate), None))
    };
    let thread = std::thread::spawn(move || block_on(wait));
    gate.open();
    assert_eq!(thread.join().unwrap(), Some(TaskStatus::Completed));
}

#[test]
fn the_terminal_status_is_delivered() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for timeout in [None, Some(common::STEP_TIMEOUT), Some(Duration::MAX)] {
        let gate = Gate::new();
        let id = waiting(&executor, &gate);
        let wait = executor.wait_for_task(id, timeout);
        gate.open();
        assert_eq!(block_on(wait), Some(TaskStatus::Completed));
        assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
        // A wait for a task that has ended is ready at once.
        let mut again = Box::pin(executor.wait_for_task(id, timeout));
        assert_eq!(block_on(poll_once(&mut again)), Some(Some(TaskStatus::Completed)));
    }
    let failing: TaskHandle<()> = executor.spawn_blocking(|| {
        std::panic::resume_unwind(Box::new(common::ON_PURPOSE));
    });
    assert_eq!(block_on(executor.wait_for_task(failing.id(), None)), Some(TaskStatus::Failed));
    let cancelled = executor.spawn_async(pending::<()>());
    let wait = executor.wait_for_task(cancelled.id(), None);
    cancelled.cancel();
    assert_eq!(block_on(wait), Some(TaskStatus::Cancelled));
}

#[test]
fn a_wait_for_an_unknown_id_returns_none_at_once() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(1)
        .cleanup_config(retain_at_most(0, HOUR))
        .build()
        .unwrap();
    let handle = executor.spawn_parallel(|| ());
    let evicted = handle.id();
    handle.join().unwrap();
    for id in [evicted, "7".parse().unwrap(), u64::MAX.to_string().parse().unwrap()] {
        for timeout in [None, Some(Duration::ZERO), Some(HOUR)] {
            let mut wait = Box::pin(executor.wait_for_task(id, timeout));
            assert_eq!(block_on(poll_once(&mut wait)), Some(None), "{id}, {timeout:?}");
        }
    }
}

#[test]
fn the_current_status_is_returned_when_the_timeout_has_passed() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let gate = Gate::new();
    let id = waiting(&executor, &gate);
    wait_until("it waits", || executor.task_status(id) == Some(TaskStatus::Running));
    let start = Instant::now();
    let timeout = Duration::from_millis(20);
    assert_eq!(block_on(executor.wait_for_task(id, Some(timeout))), Some(TaskStatus::Running));
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    let mut wait = Box::pin(executor.wait_for_task(id, Some(Duration::ZERO)));
    assert_eq!(block_on(poll_once(&mut wait)), Some(Some(TaskStatus::Running)));
    gate.open();
    // Timeouts of several lengths, and one wait that is dropped.
    let slow = executor.spawn_async(pending::<()>()).id();
    drop(Box::pin(executor.wait_for_task(slow, Some(Duration::from_millis(1)))));
    let waits: Vec<_> = (1..=10)
        .rev()
        .map(|i| (i, executor.wait_for_task(slow, Some(Duration::from_millis(i)))))
        .collect();
    for (i, wait) in waits {
        assert!(executor.block_on(wait).unwrap().is_active(), "after {i} ms");
    }
    let blocked = block_only_worker(Moirai::builder());
    let queued = blocked.executor.spawn_parallel(|| ()).id();
    let wait = blocked.executor.wait_for_task(queued, Some(Duration::from_millis(1)));
    assert_eq!(block_on(wait), Some(TaskStatus::Queued));
    blocked.gate.open();
}

#[test]
fn the_status_is_delivered_though_the_record_is_evicted_at_once() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(2)
        .cleanup_config(retain_at_most(0, HOUR))
        .build()
        .unwrap();
    for i in 0..500 {
        let gate = Gate::new();
        let id = waiting(&executor, &gate);
        let mut wait = Box::pin(executor.wait_for_task(id, None));
        assert!(block_on(poll_once(&mut wait)).is_none());
        gate.open();
        let status = if i % 2 == 0 { block_on(wait) } else { executor.block_on(wait) };
        assert_eq!(status, Some(TaskStatus::Completed));
        assert_eq!(executor.task_status(id), None);
    }
    // The same for a blocking task and for a cancelled one.
    let gate = Gate::new();
    let inner = gate.clone();
    let blocking = executor.spawn_blocking(move || inner.wait()).id();
    let cancelled = executor.spawn_async(pending::<()>()).id();
    let mut waits = [blocking, cancelled].map(|id| Box::pin(executor.wait_for_task(id, None)));
    for wait in &mut waits {
        assert!(block_on(poll_once(wait)).is_none());
    }
    gate.open();
    executor.cancel_task(cancelled);
    let ended = waits.map(block_on);
    assert_eq!(ended, [Some(TaskStatus::Completed), Some(TaskStatus::Cancelled)]);
}

#[test]
fn many_callers_can_wait_for_a_task_and_each_may_give_up() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let gate = Gate::new();
    let id = waiting(&executor, &gate);
    let mut waiters: Vec<_> = (0..300)
        .map(|i| {
            let timeout = [None, Some(HOUR), Some(Duration::MAX)][i % 3];
            (Box::pin(executor.wait_for_task(id, timeout)), CountingWaker::new())
        })
        .collect();
    for (wait, (_, waker)) in &mut waiters {
        assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    // Every second waiter gives up, and the others are polled again.
    let mut keep = false;
    waiters.retain(|_| {
        keep = !keep;
        keep
    });
    for (wait, (_, waker)) in &mut waiters {
        assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    assert!(waiters.iter().all(|(_, (woken, _))| woken.count() == 0));
    gate.open();
    wait_until("all are woken", || waiters.iter().all(|(_, (woken, _))| woken.count() > 0));
    for (wait, _) in waiters {
        assert_eq!(block_on(wait), Some(TaskStatus::Completed));
    }
}

#[test]
fn waiters_on_threads_and_in_tasks_are_all_woken() {
    let _watchdog = watchdog();
    for round in 0..20 {
        let executor = workers(1 + round % 2);
        let gate = Gate::new();
        let id = waiting(&executor, &gate);
        let inside: Vec<_> =
            (0..20).map(|_| executor.spawn_async(executor.wait_for_task(id, None))).collect();
        let outside: Vec<_> = (0..4)
            .map(|_| {
                let wait = executor.wait_for_task(id, None);
                std::thread::spawn(move || block_on(wait))
            })
            .collect();
        gate.open();
        for handle in inside {
            assert_eq!(handle.join().unwrap(), Some(TaskStatus::Completed));
        }
        for thread in outside {
            assert_eq!(thread.join().unwrap(), Some(TaskStatus::Completed));
        }
    }
}

#[test]
fn no_wake_up_is_lost_between_the_look_and_the_registration() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(2)
        .cleanup_config(retain_at_most(5, HOUR))
        .build()
        .unwrap();
    for i in 0..3_000 {
        let id = match i % 3 {
            0 => executor.spawn_async(yield_now()).id(),
            1 => executor.spawn_parallel(|| ()).id(),
            _ => executor.spawn_async(async {}).id(),
        };
        // No other task ends meanwhile, so the record cannot be evicted before the wait begins.
        assert_eq!(block_on(executor.wait_for_task(id, None)), Some(TaskStatus::Completed));
    }
}

#[test]
fn a_wait_ends_with_the_executor() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let id = executor.spawn_async(pending::<()>()).id();
    let (wait, timed) = (executor.wait_for_task(id, None), executor.wait_for_task(id, Some(HOUR)));
    let thread = std::thread::spawn(move || (block_on(wait), block_on(timed)));
    drop(executor);
    assert_eq!(thread.join().unwrap(), (Some(TaskStatus::Cancelled), Some(TaskStatus::Cancelled)));
}

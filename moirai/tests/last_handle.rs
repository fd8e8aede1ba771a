//! Tests of the drop of an executor's last handle, wherever it takes place, and of what may outlive the executor. And of the global
//! executor.

mod common;

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::{Counter, Gate, ON_PURPOSE, OnDrop, named, threads, wait_until, watchdog, workers};
use moirai::prelude::*;

/// A task that waits forever, and what is to be seen of its end when the last handle of its executor is dropped.
struct PendingTask {
    prefix: &'static str,
    waiting: TaskHandle<()>,
    drops: Counter,
    dropped_on: mpsc::Receiver<String>,
}

impl PendingTask {
    /// Returns an executor with a task that waits forever.
    fn new(prefix: &'static str) -> (Moirai, Self) {
        let executor = named(prefix, 1).build().unwrap();
        let drops = Counter::default();
        let (sender, dropped_on) = mpsc::channel();
        let owned = (
            drops.on_drop(),
            OnDrop::new(move || {
                sender.send(threads::own_name()).unwrap();
            }),
        );
        let waiting = executor.spawn_async(async move {
            let _owned = owned;
            pending::<()>().await;
        });
        (executor, Self { prefix, waiting, drops, dropped_on })
    }

    /// Asserts that the task was cancelled and dropped, once and on a thread of its executor, and that the executor's threads end.
    fn assert_ended(self) {
        assert!(self.waiting.join().unwrap_err().is_shut_down());
        assert_eq!(self.drops.get(), 1);
        let thread = self.dropped_on.try_recv().unwrap();
        assert!(thread.starts_with(self.prefix), "dropped on {thread:?}");
        wait_until("no thread is left", || threads::count(self.prefix) == 0);
    }
}

#[test]
fn a_drop_outside_of_the_executor_waits_for_the_end() {
    let _watchdog = watchdog();
    let (executor, pending_task) = PendingTask::new("lst-out");
    let clone = executor.clone();
    drop(executor);
    common::assert_runs(&clone);
    drop(clone);
    assert!(
        pending_task.waiting.is_finished(),
        "the drop of the last handle has waited for the task"
    );
    pending_task.assert_ended();
}

#[test]
fn a_drop_inside_a_task_does_not_wait_for_that_task() {
    let _watchdog = watchdog();
    let (gate, done) = (Gate::new(), Counter::default());
    for (kind, prefix) in ["lst-asy", "lst-par", "lst-blo"].into_iter().enumerate() {
        let (executor, pending_task) = PendingTask::new(prefix);
        let (last, passed, count) = (executor.clone(), gate.clone(), done.clone());
        // The test drops its handle before the task drops the last one.
        let body = move || {
            passed.wait();
            drop(last);
            count.add();
        };
        let handle = match kind {
            0 => executor.spawn_async(async move { body() }),
            1 => executor.spawn_parallel(body),
            _ => executor.spawn_blocking(body),
        };
        drop(executor);
        gate.open();
        // The poll in progress has its own outcome.
        handle.join().unwrap();
        pending_task.assert_ended();
    }
    assert_eq!(done.get(), 3);
}

#[test]
fn the_last_handle_may_be_dropped_with_a_cancelled_task() {
    let _watchdog = watchdog();
    let (executor, pending_task) = PendingTask::new("lst-own");
    let last = executor.clone();
    let owner = executor.spawn_async(async move {
        let _last = last;
        pending::<()>().await;
    });
    drop(executor);
    // The executor keeps itself alive until the task is cancelled.
    owner.cancel();
    assert!(owner.join().is_err());
    pending_task.assert_ended();
}

#[test]
fn a_drop_during_a_panic_does_not_hang() {
    let _watchdog = watchdog();
    let (executor, pending_task) = PendingTask::new("lst-pano");
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _last = executor;
        resume_unwind(Box::new(ON_PURPOSE));
    }));
    assert!(caught.is_err());
    pending_task.assert_ended();

    let (executor, pending_task) = PendingTask::new("lst-pani");
    let (last, gate) = (executor.clone(), Gate::new());
    let passed = gate.clone();
    let handle: TaskHandle<()> = executor.spawn_parallel(move || {
        let _last = last;
        passed.wait();
        resume_unwind(Box::new(ON_PURPOSE));
    });
    drop(executor);
    gate.open();
    assert!(handle.join().unwrap_err().is_panicked());
    pending_task.assert_ended();
}

#[test]
fn a_drop_inside_block_on_does_not_hang() {
    let _watchdog = watchdog();
    let (executor, pending_task) = PendingTask::new("lst-blk");
    let borrowed = executor.block_on(async { Moirai::current().unwrap() });
    borrowed.block_on(async move {
        yield_now().await;
        drop(executor);
        yield_now().await;
    });
    pending_task.assert_ended();
    // The same inside a task of another executor.
    let (executor, pending_task) = PendingTask::new("lst-oth");
    let other = workers(1);
    other
        .spawn_async(async move {
            yield_now().await;
            drop(executor);
        })
        .join()
        .unwrap();
    pending_task.assert_ended();
    common::assert_runs(&other);
}

#[test]
fn a_drop_in_the_destructor_of_a_thread_local_does_not_hang() {
    thread_local! {
        static LAST: RefCell<Option<Moirai>> = const { RefCell::new(None) };
    }
    let _watchdog = watchdog();
    for (first, prefix) in [(false, "lst-tls"), (true, "lst-tlf")] {
        let (executor, pending_task) = PendingTask::new(prefix);
        let thread = std::thread::spawn(move || {
            if first {
                // Then the executor's own thread-locals are initialised before `LAST`, otherwise after it.
                executor.block_on(executor.spawn_async(yield_now())).unwrap();
            }
            LAST.with_borrow_mut(|last| *last = Some(executor));
            LAST.with_borrow(|last| {
                let executor = last.as_ref().unwrap();
                executor.block_on(executor.spawn_async(yield_now())).unwrap();
            });
        });
        thread.join().unwrap();
        pending_task.assert_ended();
    }
}

#[test]
fn a_poll_in_progress_is_not_waited_for_much_longer_than_a_second() {
    let _watchdog = watchdog();
    let (gate, begun) = (Gate::new(), Gate::new());
    let (passed, start) = (gate.clone(), begun.clone());
    let executor = named("lst-poll", 1).build().unwrap();
    let handle = executor.spawn_parallel(move || {
        start.open();
        passed.wait();
        3
    });
    begun.wait();
    let start = Instant::now();
    drop(executor);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(!handle.is_finished());
    gate.open();
    assert_eq!(handle.join().unwrap(), 3);
    wait_until("no thread is left", || threads::count("lst-poll") == 0);
}

#[test]
fn a_clone_of_the_current_handle_keeps_nothing_alive() {
    let _watchdog = watchdog();
    let (executor, pending_task) = PendingTask::new("lst-cur");
    let handle = executor.spawn_parallel(|| Moirai::current().unwrap().clone());
    let borrowed = handle.join().unwrap();
    common::assert_runs(&borrowed);
    let id = pending_task.waiting.id();
    drop(executor);
    pending_task.assert_ended();
    assert!(borrowed.is_shutting_down());
    assert_eq!(borrowed.task_status(id), Some(TaskStatus::Cancelled));
    assert!(borrowed.spawn_parallel(|| ()).join().unwrap_err().is_shut_down());
    let report = borrowed.shutdown();
    assert_eq!((report.cancelled, report.still_active), (1, 0));
}

#[test]
fn queued_tasks_are_dropped_without_being_run() {
    const TASKS: usize = 5_000;
    let _watchdog = watchdog();
    let blocked = common::block_only_worker(named("lst-que", 1));
    let (ran, drops) = (Counter::default(), Counter::default());
    let handles: Vec<_> = (0..TASKS)
        .map(|i| {
            let (ran, owned) = (ran.clone(), drops.on_drop());
            let body = move || {
                let _owned = owned;
                ran.add();
            };
            match i % 3 {
                0 => blocked.executor.spawn_parallel(body),
                1 => blocked.executor.spawn_with_priority(body, Priority::Low),
                _ => blocked.executor.spawn_async(async move { body() }),
            }
        })
        .collect();
    drop(blocked.executor);
    blocked.gate.open();
    blocked.blocker.join().unwrap();
    for handle in handles {
        assert!(handle.join().unwrap_err().is_shut_down());
    }
    wait_until("all are dropped", || drops.get() == TASKS);
    assert_eq!(ran.get(), 0);
    wait_until("no thread is left", || threads::count("lst-que") == 0);
}

#[test]
fn wakers_may_outlive_the_executor() {
    let _watchdog = watchdog();
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let executor = workers(2);
    let drops = Counter::default();
    for _ in 0..100 {
        let (wakers, owned) = (Arc::clone(&wakers), drops.on_drop());
        executor.spawn_async(poll_fn(move |context| {
            let _ = &owned;
            wakers.lock().unwrap().push(context.waker().clone());
            Poll::<()>::Pending
        }));
    }
    wait_until("all wait", || wakers.lock().unwrap().len() == 100);
    // They are woken while the executor ends, and after it is gone.
    let racing = wakers.lock().unwrap().clone();
    let thread = std::thread::spawn(move || {
        for waker in racing.iter().cycle().take(5_000) {
            waker.wake_by_ref();
        }
    });
    drop(executor);
    thread.join().unwrap();
    let wakers = std::mem::take(&mut *wakers.lock().unwrap());
    wait_until("all are dropped", || drops.get() == 100);
    for waker in &wakers {
        waker.wake_by_ref();
        assert!(waker.will_wake(&waker.clone()));
    }
    wakers.into_iter().for_each(Waker::wake);
}

#[test]
fn a_long_chain_of_drops_does_not_overflow_the_stack() {
    const TASKS: usize = 20_000;
    let _watchdog = watchdog();
    for queued in [false, true] {
        let executor = workers(1);
        let drops = Counter::default();
        // Each task owns the channel that wakes the next task, and the handle of the task before.
        let (mut sender, mut receiver) = async_channel::bounded::<()>(1);
        let mut before: Option<TaskHandle<()>> = None;
        let first = sender.clone();
        for _ in 0..TASKS {
            let (next_sender, next_receiver) = async_channel::bounded::<()>(1);
            let owned =
                (std::mem::replace(&mut sender, next_sender), before.take(), drops.on_drop());
            let waits = std::mem::replace(&mut receiver, next_receiver);
            before = Some(executor.spawn_async(async move {
                let _owned = owned;
                let _ = waits.recv().await;
                pending::<()>().await;
            }));
        }
        if !queued {
            wait_until("all wait", || executor.load() == 0);
        }
        drop((before, receiver));
        drop(executor);
        wait_until("all are dropped", || drops.get() == TASKS);
        drop((first, sender));
    }
}

#[test]
fn the_global_executor_is_used_where_no_other_is_current() {
    let _watchdog = watchdog();
    let has = |executor: &Moirai, id: TaskId, kind: TaskKind| {
        // Ids are unique within one executor only, so the location is compared as well.
        executor.task_stats(id).is_some_and(|stats| {
            stats.kind == kind && stats.location.file() == file!() && stats.status.is_terminal()
        })
    };
    let global = moirai::global();
    assert!(std::ptr::eq(global, moirai::global()));
    let (a, b, c) = (
        moirai::spawn_async(async { 1 }),
        moirai::spawn_parallel(|| 2),
        moirai::spawn_blocking(|| 3),
    );
    let ids = [a.id(), b.id(), c.id()];
    assert_eq!(
        moirai::block_on(async { a.await.unwrap() + b.await.unwrap() + c.await.unwrap() }),
        6
    );
    for (id, kind) in ids.into_iter().zip([TaskKind::Async, TaskKind::Parallel, TaskKind::Blocking])
    {
        assert!(has(global, id, kind));
    }
    // Inside another executor that one is used.
    let own = workers(1);
    let id = own.spawn_parallel(|| moirai::spawn_parallel(|| ()).id()).join().unwrap();
    wait_until("it has ended on that executor", || has(&own, id, TaskKind::Parallel));
    let id = own.block_on(async { moirai::spawn_blocking(|| ()).id() });
    wait_until("it has ended on that executor", || has(&own, id, TaskKind::Blocking));
    let inside = moirai::block_on(async { Moirai::current().is_some() });
    assert!(inside && Moirai::current().is_none());
    // The drop of a clone shuts nothing down.
    drop(global.clone());
    assert!(!global.is_shutting_down());
    common::assert_runs(global);
}

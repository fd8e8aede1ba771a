//! Panics, wherever they happen: caught, kept, returned, and never the end of a worker. Each test has one worker, so that a
//! worker lost would be noticed.

mod common;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use common::{
    CountingWaker, Gate, PURPOSE, assert_runs, hold, hush, wait_until, watchdog, workers,
};
use moirai::prelude::*;

/// Panics without a word on the terminal.
fn fail(message: impl Into<String>) -> ! {
    resume_unwind(Box::new(message.into()))
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        // A second panic while unwinding would end the process, as everywhere in Rust.
        if !std::thread::panicking() {
            fail(self.0);
        }
    }
}

/// A future that is ready at once, or never, and panics when it is dropped.
fn explosive(ready: bool, message: &'static str) -> impl Future<Output = i32> + Send {
    let bomb = Bomb(message);
    poll_fn(move |_| {
        let _ = &bomb;
        if ready { Poll::Ready(7) } else { Poll::Pending }
    })
}

fn status(executor: &Moirai, id: TaskId) -> TaskStatus {
    executor.task_status(id).expect("on the books")
}

#[test]
fn the_message_and_the_payload_come_back() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let check = |handle: TaskHandle<()>, message: &str| {
        let id = handle.id();
        let error = handle.join().unwrap_err();
        assert!(error.is_panicked() && error.to_string().contains(message));
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        assert_eq!(panic.message(), message);
        assert_eq!(panic.location(), None);
        assert_eq!(status(&executor, id), TaskStatus::Failed);
        assert_eq!(executor.task_stats(id).unwrap().error.as_deref(), Some(message));
        assert_runs(&executor);
        panic.into_payload()
    };
    let payload = check(executor.spawn_async(async { resume_unwind(Box::new("text")) }), "text");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"text"));
    let payload = check(executor.spawn_parallel(|| fail("owned text")), "owned text");
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "owned text");
    check(executor.spawn_blocking(|| fail("blocking")), "blocking");
    check(executor.spawn(|| fail("")), "");

    let handle = executor.spawn_async(async {
        yield_now().await;
        resume_unwind(Box::new(41_u64))
    });
    let id = handle.id();
    let handle: TaskHandle<()> = handle;
    let TaskError::Panicked(panic) = handle.join().unwrap_err() else { panic!("no panic") };
    assert!(!panic.message().is_empty(), "a payload that is no text is described");
    assert!(executor.task_stats(id).unwrap().error.is_some());
    assert_eq!(panic.into_payload().downcast_ref::<u64>(), Some(&41));
}

#[test]
fn a_long_message_is_cut_at_a_character_and_the_payload_is_whole() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let long = format!("a{}", "é".repeat(50_000));
    let message = long.clone();
    let handle: TaskHandle<()> = executor.spawn_parallel(move || fail(message));
    let id = handle.id();
    let TaskError::Panicked(panic) = handle.join().unwrap_err() else { panic!("no panic") };
    assert_eq!(panic.message().len(), 1_023, "1,024 falls into the middle of a character");
    assert!(long.starts_with(panic.message()));
    assert_eq!(executor.task_stats(id).unwrap().error.as_deref(), Some(panic.message()));
    assert_eq!(*panic.into_payload().downcast::<String>().unwrap(), long);
}

/// Where a task that panicked on purpose did so.
fn location(handle: TaskHandle<()>) -> Option<String> {
    match handle.join().unwrap_err() {
        TaskError::Panicked(panic) => {
            assert!(panic.message().starts_with(PURPOSE));
            panic.location().map(str::to_owned)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn where_a_panic_happened_is_known_when_asked_for() {
    let _watchdog = watchdog();
    // Before the executor's hook, which chains onto it.
    hush();
    let executor =
        Moirai::builder().worker_threads(1).capture_panic_location(true).build().unwrap();
    let line = line!() + 1;
    let here = location(executor.spawn_parallel(|| panic!("{PURPOSE} {}", 1)));
    assert!(here.unwrap().starts_with(&format!("{}:{line}:", file!())));
    let line = line!() + 1;
    let here = location(executor.spawn_blocking(|| panic!("{PURPOSE}")));
    assert!(here.unwrap().starts_with(&format!("{}:{line}:", file!())));
}

#[test]
fn a_place_is_given_to_the_panic_that_happened_there_alone() {
    let _watchdog = watchdog();
    hush();
    let executor =
        Moirai::builder().worker_threads(1).capture_panic_location(true).build().unwrap();
    // One that a task caught is none of the next task's.
    let caught = executor.spawn_parallel(|| catch_unwind(|| panic!("{PURPOSE} caught")).is_err());
    assert!(caught.join().unwrap());
    assert_eq!(location(executor.spawn_parallel(|| fail(PURPOSE))), None);
    // Other executors did not ask.
    let other = workers(1);
    assert_eq!(location(other.spawn_parallel(|| panic!("{PURPOSE}"))), None);
}

#[test]
fn a_destructor_that_panics_changes_nothing_about_the_verdict() {
    let _watchdog = watchdog();
    let executor = workers(1);
    // Completed.
    let handle = executor.spawn_async(explosive(true, "after completion"));
    let id = handle.id();
    assert_eq!(handle.join().unwrap(), 7);
    assert_eq!(status(&executor, id), TaskStatus::Completed);
    assert_eq!(executor.task_stats(id).unwrap().error.as_deref(), Some("after completion"));
    assert_runs(&executor);
    // Completed, with nobody to see it.
    let handle = executor.spawn_async(explosive(true, "detached"));
    let id = handle.id();
    drop(handle);
    wait_until("it has ended", || status(&executor, id) == TaskStatus::Completed);
    assert_runs(&executor);
    // Cancelled.
    let handle = executor.spawn_async(explosive(false, "after cancellation"));
    let id = handle.id();
    wait_until("it waits", || executor.task_stats(id).unwrap().polls > 0);
    handle.cancel();
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(status(&executor, id), TaskStatus::Cancelled);
    assert_eq!(executor.task_stats(id).unwrap().error.as_deref(), Some("after cancellation"));
    assert_runs(&executor);
    // Failed: the first panic is the one that counts.
    let bomb = Bomb("the destructor");
    let handle: TaskHandle<()> = executor.spawn_async(poll_fn(move |_| {
        let _ = &bomb;
        fail("the poll")
    }));
    let id = handle.id();
    let TaskError::Panicked(panic) = handle.join().unwrap_err() else { panic!("no panic") };
    assert_eq!(panic.message(), "the poll");
    assert_eq!(status(&executor, id), TaskStatus::Failed);
    assert!(executor.task_stats(id).unwrap().error.unwrap().starts_with("the poll"));
    assert_runs(&executor);
}

#[test]
fn captures_of_a_closure_that_panic_on_drop_are_survived() {
    let _watchdog = watchdog();
    // At the end of the closure's body: part of the run.
    let executor = workers(1);
    for blocking in [false, true] {
        let bomb = Bomb("in the body");
        let body = move || drop(bomb);
        let handle =
            if blocking { executor.spawn_blocking(body) } else { executor.spawn_parallel(body) };
        let id = handle.id();
        assert!(handle.join().unwrap_err().is_panicked());
        assert_eq!(status(&executor, id), TaskStatus::Failed);
        assert_runs(&executor);
    }
    // Of a closure that never ran.
    let held = hold(Moirai::builder());
    let bomb = Bomb("unrun");
    let handle = held.executor.spawn_parallel(move || drop(bomb));
    let id = handle.id();
    handle.cancel();
    held.gate.open();
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(status(&held.executor, id), TaskStatus::Cancelled);
    assert_runs(&held.executor);
}

#[test]
fn an_output_that_panics_on_drop_is_survived() {
    let _watchdog = watchdog();
    let executor = workers(1);
    // Dropped by the executor, since the handle is gone.
    let gate = Gate::new();
    for blocking in [false, true] {
        let waiting = gate.clone();
        let handle = if blocking {
            executor.spawn_blocking(move || {
                waiting.wait();
                Bomb("output")
            })
        } else {
            executor.spawn_async(async move {
                waiting.passed().await;
                Bomb("output")
            })
        };
        let id = handle.id();
        drop(handle);
        gate.open();
        wait_until("it has ended", || status(&executor, id).is_terminal());
        assert_eq!(status(&executor, id), TaskStatus::Completed);
        assert_runs(&executor);
    }
    // Dropped with a handle that did not take it. Whether this thread hears of it is left open.
    let handle = executor.spawn_parallel(|| Bomb("left in the handle"));
    let id = handle.id();
    wait_until("it has ended", || handle.is_finished());
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
    assert_eq!(status(&executor, id), TaskStatus::Completed);
    assert_runs(&executor);
}

#[test]
fn a_payload_that_panics_on_drop_is_survived() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let gate = Gate::new();
    let waiting = gate.clone();
    let handle: TaskHandle<()> = executor.spawn_async(async move {
        waiting.passed().await;
        resume_unwind(Box::new(Bomb("payload")))
    });
    let id = handle.id();
    drop(handle);
    gate.open();
    wait_until("it has ended", || status(&executor, id) == TaskStatus::Failed);
    assert_runs(&executor);
    let handle: TaskHandle<()> = executor.spawn_blocking(|| resume_unwind(Box::new(Bomb("again"))));
    let error = handle.join().unwrap_err();
    assert!(error.is_panicked());
    let _ = catch_unwind(AssertUnwindSafe(|| drop(error)));
    assert_runs(&executor);
    // That of a destructor's panic, too.
    struct Twice;
    impl Drop for Twice {
        fn drop(&mut self) {
            resume_unwind(Box::new(Bomb("the destructor's payload")));
        }
    }
    let owned = Twice;
    let handle = executor.spawn_async(poll_fn(move |_| {
        let _ = &owned;
        Poll::Ready(8)
    }));
    let id = handle.id();
    assert_eq!(handle.join().unwrap(), 8);
    assert_eq!(status(&executor, id), TaskStatus::Completed);
    assert_runs(&executor);
}

/// Panics when it is woken, and when it is dropped.
struct BadWaker;

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        drop(self);
        fail("the waker")
    }
}

struct BadOnDrop(#[expect(dead_code, reason = "it is there to be dropped")] Bomb);

impl Wake for BadOnDrop {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn wakers_that_panic_are_survived() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let on_wake: fn() -> Waker = || Arc::new(BadWaker).into();
    let on_drop: fn() -> Waker = || Arc::new(BadOnDrop(Bomb("the waker's drop"))).into();
    // The first is also replaced by another. The second is not: its drop would be this thread's.
    for (waker, polls) in [(on_wake, 2), (on_drop, 1)] {
        for blocking in [false, true] {
            let gate = Gate::new();
            let waiting = gate.clone();
            let mut handle = if blocking {
                executor.spawn_blocking(move || waiting.wait())
            } else {
                executor.spawn_async(async move { waiting.passed().await })
            };
            let id = handle.id();
            let mut wait = Box::pin(executor.wait_for_task(id, None));
            let mut bystander = Box::pin(executor.wait_for_task(id, None));
            let (woken, good) = CountingWaker::new();
            for _ in 0..polls {
                // A waker of its own each, that nobody else holds.
                for (which, waker) in [(0, waker()), (1, waker()), (2, good.clone())] {
                    let mut context = Context::from_waker(&waker);
                    let pending = match which {
                        0 => Pin::new(&mut handle).poll(&mut context).is_pending(),
                        1 => wait.as_mut().poll(&mut context).is_pending(),
                        _ => bystander.as_mut().poll(&mut context).is_pending(),
                    };
                    assert!(pending);
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
                }
            }
            gate.open();
            wait_until("the bystander is woken", || woken.count() > 0);
            wait_until("it has ended", || handle.is_finished());
            handle.join().unwrap();
            assert_eq!(status(&executor, id), TaskStatus::Completed);
            assert_eq!(executor.block_on(bystander), Some(TaskStatus::Completed));
            assert_eq!(executor.block_on(wait), Some(TaskStatus::Completed));
            assert_runs(&executor);
        }
    }
}

/// Panics in one of its hooks.
struct BadPlugin(&'static str);

impl BadPlugin {
    fn reached(&self, hook: &str) {
        if hook == self.0 {
            fail(format!("in {hook}"));
        }
    }
}

impl ExecutorPlugin for BadPlugin {
    fn on_worker_start(&self, _: usize) {
        self.reached("on_worker_start");
    }
    fn on_worker_stop(&self, _: usize) {
        self.reached("on_worker_stop");
    }
    fn before_spawn(&self, _: TaskId) {
        self.reached("before_spawn");
    }
    fn after_spawn(&self, _: TaskId) {
        self.reached("after_spawn");
    }
    fn before_execute(&self, _: TaskId) {
        self.reached("before_execute");
    }
    fn after_complete(&self, _: TaskId, _: TaskStatus) {
        self.reached("after_complete");
    }
    fn on_shutdown(&self) {
        self.reached("on_shutdown");
    }
}

#[test]
fn plugins_that_panic_are_survived() {
    let _watchdog = watchdog();
    for hook in [
        "on_worker_start",
        "on_worker_stop",
        "before_spawn",
        "after_spawn",
        "before_execute",
        "after_complete",
        "on_shutdown",
    ] {
        let executor = Moirai::builder().worker_threads(1).plugin(BadPlugin(hook)).build().unwrap();
        assert_runs(&executor);
        let failed: TaskHandle<()> = executor.spawn_async(async { fail("the task") });
        assert!(failed.join().unwrap_err().is_panicked());
        let cancelled = executor.spawn_async(std::future::pending::<()>());
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        let report = executor.shutdown();
        assert_eq!((report.spawned, report.completed), (5, 3), "{hook}: {report}");
        assert_eq!((report.failed, report.cancelled), (1, 1), "{hook}: {report}");
    }
}

#[test]
fn a_panic_in_block_on_or_block_in_place_is_the_callers() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let caught = catch_unwind(AssertUnwindSafe(|| executor.block_on(async { fail("outside") })));
    assert!(caught.is_err());
    assert!(Moirai::current().is_none(), "the thread is inside no executor any more");
    let inside = executor.clone();
    let handle = executor.spawn_parallel(move || {
        let first = catch_unwind(AssertUnwindSafe(|| inside.block_on(async { fail("inside") })));
        let second = catch_unwind(|| block_in_place(|| fail("in place")));
        assert_eq!(inside.spawn_async(async { 4 }).join().unwrap(), 4);
        (first.is_err(), second.is_err())
    });
    assert_eq!(handle.join().unwrap(), (true, true));
    let handle: TaskHandle<()> = executor.spawn_parallel(|| block_in_place(|| fail("in place")));
    assert!(handle.join().unwrap_err().is_panicked());
    assert_runs(&executor);
}

#[test]
fn a_panic_in_a_task_that_try_run_runs_is_the_tasks() {
    let _watchdog = watchdog();
    let held = hold(Moirai::builder());
    let handle: TaskHandle<()> = held.executor.spawn_parallel(|| fail("on a foreign thread"));
    assert!(held.executor.try_run());
    assert!(handle.join().unwrap_err().is_panicked());
    held.gate.open();
}

#[test]
fn a_thousand_panics_take_no_worker_down() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let handles: Vec<TaskHandle<()>> = (0..1_000)
        .map(|i| match i % 3 {
            0 => executor.spawn_async(async { fail("async") }),
            1 => executor.spawn_parallel(|| fail("parallel")),
            _ => executor.spawn_blocking(|| fail("blocking")),
        })
        .collect();
    for handle in handles {
        assert!(handle.join().unwrap_err().is_panicked());
    }
    assert_eq!(executor.cleanup_stats().failed_tasks, 1_000);
    assert_runs(&executor);
}

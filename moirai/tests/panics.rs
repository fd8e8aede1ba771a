//! Tests of panics in every place where user code runs: they are caught, recorded and returned, and no worker ends by them. Each
//! test has one worker, so that the loss of a worker would be noticed.
//!
//! They hold a part of promise P2 (every task that is dropped has its end recorded) of `docs/src/guarantees.md`.

mod common;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use common::{
    CountingWaker, Gate, ON_PURPOSE, assert_runs, block_only_worker, silence_expected_panics,
    wait_until, watchdog, workers,
};
use moirai::prelude::*;

/// Panics without a message on the terminal.
fn fail(message: impl Into<String>) -> ! {
    resume_unwind(Box::new(message.into()))
}

/// Panics when it is dropped.
struct PanicOnDrop(&'static str);

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        // A second panic while unwinding would abort the process, as everywhere in Rust.
        if !std::thread::panicking() {
            fail(self.0);
        }
    }
}

/// Returns a future that is ready at once, or never, and that panics when it is dropped.
fn panics_when_dropped(ready: bool, message: &'static str) -> impl Future<Output = i32> + Send {
    let panics_on_drop = PanicOnDrop(message);
    poll_fn(move |_| {
        let _ = &panics_on_drop;
        if ready { Poll::Ready(7) } else { Poll::Pending }
    })
}

fn status(executor: &Moirai, id: TaskId) -> TaskStatus {
    executor.task_status(id).expect("the task has a record")
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
    assert!(!panic.message().is_empty(), "a payload that is not a text is described");
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

/// Returns the location of the panic of a task that panicked on purpose.
fn location(handle: TaskHandle<()>) -> Option<String> {
    match handle.join().unwrap_err() {
        TaskError::Panicked(panic) => {
            assert!(panic.message().starts_with(ON_PURPOSE));
            panic.location().map(str::to_owned)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_location_of_a_panic_is_captured_if_configured() {
    let _watchdog = watchdog();
    // Must be installed before the executor's panic hook, which calls it.
    silence_expected_panics();
    let executor =
        Moirai::builder().worker_threads(1).capture_panic_location(true).build().unwrap();
    let line = line!() + 1;
    let here = location(executor.spawn_parallel(|| panic!("{ON_PURPOSE} {}", 1)));
    assert!(here.unwrap().starts_with(&format!("{}:{line}:", file!())));
    let line = line!() + 1;
    let here = location(executor.spawn_blocking(|| panic!("{ON_PURPOSE}")));
    assert!(here.unwrap().starts_with(&format!("{}:{line}:", file!())));
}

#[test]
fn a_location_belongs_only_to_the_panic_that_happened_there() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor =
        Moirai::builder().worker_threads(1).capture_panic_location(true).build().unwrap();
    // The location of a panic that a task caught is not given to the next task.
    let caught =
        executor.spawn_parallel(|| catch_unwind(|| panic!("{ON_PURPOSE} caught")).is_err());
    assert!(caught.join().unwrap());
    assert_eq!(location(executor.spawn_parallel(|| fail(ON_PURPOSE))), None);
    // Other executors are not configured to capture it.
    let other = workers(1);
    assert_eq!(location(other.spawn_parallel(|| panic!("{ON_PURPOSE}"))), None);
}

#[test]
fn a_destructor_that_panics_does_not_change_the_outcome() {
    let _watchdog = watchdog();
    let executor = workers(1);
    // A task that completes.
    let handle = executor.spawn_async(panics_when_dropped(true, "after completion"));
    let id = handle.id();
    assert_eq!(handle.join().unwrap(), 7);
    assert_eq!(status(&executor, id), TaskStatus::Completed);
    assert_eq!(executor.task_stats(id).unwrap().error.as_deref(), Some("after completion"));
    assert_runs(&executor);
    // A task that completes and whose handle has been dropped.
    let handle = executor.spawn_async(panics_when_dropped(true, "detached"));
    let id = handle.id();
    drop(handle);
    wait_until("it has ended", || status(&executor, id) == TaskStatus::Completed);
    assert_runs(&executor);
    // A task that is cancelled.
    let handle = executor.spawn_async(panics_when_dropped(false, "after cancellation"));
    let id = handle.id();
    wait_until("it waits", || executor.task_stats(id).unwrap().polls > 0);
    handle.cancel();
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(status(&executor, id), TaskStatus::Cancelled);
    assert_eq!(executor.task_stats(id).unwrap().error.as_deref(), Some("after cancellation"));
    assert_runs(&executor);
    // A task that fails: the first panic is the one that is returned.
    let panics_on_drop = PanicOnDrop("the destructor");
    let handle: TaskHandle<()> = executor.spawn_async(poll_fn(move |_| {
        let _ = &panics_on_drop;
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
    // Captures that are dropped at the end of the closure's body, which is a part of the task's run.
    let executor = workers(1);
    for blocking in [false, true] {
        let panics_on_drop = PanicOnDrop("in the body");
        let body = move || drop(panics_on_drop);
        let handle =
            if blocking { executor.spawn_blocking(body) } else { executor.spawn_parallel(body) };
        let id = handle.id();
        assert!(handle.join().unwrap_err().is_panicked());
        assert_eq!(status(&executor, id), TaskStatus::Failed);
        assert_runs(&executor);
    }
    // Captures of a closure that never ran.
    let blocked = block_only_worker(Moirai::builder());
    let panics_on_drop = PanicOnDrop("unrun");
    let handle = blocked.executor.spawn_parallel(move || drop(panics_on_drop));
    let id = handle.id();
    handle.cancel();
    blocked.gate.open();
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(status(&blocked.executor, id), TaskStatus::Cancelled);
    assert_runs(&blocked.executor);
}

#[test]
fn an_output_that_panics_on_drop_is_survived() {
    let _watchdog = watchdog();
    let executor = workers(1);
    // An output that the executor drops, because the handle has been dropped.
    let gate = Gate::new();
    for blocking in [false, true] {
        let waiting = gate.clone();
        let handle = if blocking {
            executor.spawn_blocking(move || {
                waiting.wait();
                PanicOnDrop("output")
            })
        } else {
            executor.spawn_async(async move {
                waiting.passed().await;
                PanicOnDrop("output")
            })
        };
        let id = handle.id();
        drop(handle);
        gate.open();
        wait_until("it has ended", || status(&executor, id).is_terminal());
        assert_eq!(status(&executor, id), TaskStatus::Completed);
        assert_runs(&executor);
    }
    // An output that is dropped with the handle. Whether the panic reaches this thread is left open.
    let handle = executor.spawn_parallel(|| PanicOnDrop("left in the handle"));
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
        resume_unwind(Box::new(PanicOnDrop("payload")))
    });
    let id = handle.id();
    drop(handle);
    gate.open();
    wait_until("it has ended", || status(&executor, id) == TaskStatus::Failed);
    assert_runs(&executor);
    let handle: TaskHandle<()> =
        executor.spawn_blocking(|| resume_unwind(Box::new(PanicOnDrop("again"))));
    let error = handle.join().unwrap_err();
    assert!(error.is_panicked());
    let _ = catch_unwind(AssertUnwindSafe(|| drop(error)));
    assert_runs(&executor);
    // The same for the payload of a destructor's panic.
    struct Twice;
    impl Drop for Twice {
        fn drop(&mut self) {
            resume_unwind(Box::new(PanicOnDrop("the destructor's payload")));
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

/// A waker that panics when it is woken.
struct PanicOnWake;

impl Wake for PanicOnWake {
    fn wake(self: Arc<Self>) {
        drop(self);
        fail("the waker")
    }
}

/// A waker that panics when it is dropped.
struct WakerThatPanicsOnDrop(
    #[expect(dead_code, reason = "it is kept only to be dropped")] PanicOnDrop,
);

impl Wake for WakerThatPanicsOnDrop {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn wakers_that_panic_are_survived() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let on_wake: fn() -> Waker = || Arc::new(PanicOnWake).into();
    let on_drop: fn() -> Waker =
        || Arc::new(WakerThatPanicsOnDrop(PanicOnDrop("the waker's drop"))).into();
    // The first waker is also replaced by another one. The second is not, because this thread would drop it.
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
            let (woken, counting) = CountingWaker::new();
            for _ in 0..polls {
                // Each has a waker of its own, of which there is no other clone.
                for (which, waker) in [(0, waker()), (1, waker()), (2, counting.clone())] {
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
struct PanickingPlugin(&'static str);

impl PanickingPlugin {
    fn called(&self, hook: &str) {
        if hook == self.0 {
            fail(format!("in {hook}"));
        }
    }
}

impl ExecutorPlugin for PanickingPlugin {
    fn on_worker_start(&self, _: usize) {
        self.called("on_worker_start");
    }
    fn on_worker_stop(&self, _: usize) {
        self.called("on_worker_stop");
    }
    fn before_spawn(&self, _: TaskId) {
        self.called("before_spawn");
    }
    fn after_spawn(&self, _: TaskId) {
        self.called("after_spawn");
    }
    fn before_execute(&self, _: TaskId) {
        self.called("before_execute");
    }
    fn after_complete(&self, _: TaskId, _: TaskStatus) {
        self.called("after_complete");
    }
    fn on_shutdown(&self) {
        self.called("on_shutdown");
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
        let executor =
            Moirai::builder().worker_threads(1).plugin(PanickingPlugin(hook)).build().unwrap();
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
fn a_panic_in_block_on_or_block_in_place_is_passed_to_the_caller() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let caught = catch_unwind(AssertUnwindSafe(|| executor.block_on(async { fail("outside") })));
    assert!(caught.is_err());
    assert!(Moirai::current().is_none(), "the thread is no longer inside an executor");
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
fn a_panic_in_a_task_that_try_run_runs_fails_that_task() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder());
    let handle: TaskHandle<()> = blocked.executor.spawn_parallel(|| fail("on an external thread"));
    assert!(blocked.executor.try_run());
    assert!(handle.join().unwrap_err().is_panicked());
    blocked.gate.open();
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

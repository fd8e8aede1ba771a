//! Tests of endings that are easy to get wrong: chains and circles of handles, joins and wake-ups while the executor stops, and
//! executors that wait for each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{wait_until, watchdog};
use moirai::prelude::*;
use moirai::{AbortHandle, HybridExecutor, Recorder, TaskManager, TaskSample, TaskSpawner};

mod common;

/// A plugin that sends a message when it is dropped, which is when the executor's shared part is freed.
struct DropSignal(mpsc::Sender<()>);

impl ExecutorPlugin for DropSignal {}

impl Drop for DropSignal {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Returns an executor, and the receiver of the message that its shared part has been freed.
fn executor(workers: usize) -> (Moirai, mpsc::Receiver<()>) {
    let (sender, gone) = mpsc::channel();
    let builder = Moirai::builder().worker_threads(workers).plugin(DropSignal(sender));
    (builder.build().unwrap(), gone)
}

/// Returns the future of a task that spawns the next task and awaits it, and so on, `depth` times. The innermost task's abort
/// handle is sent to `last`.
fn chain(
    executor: &Moirai,
    depth: usize,
    last: mpsc::Sender<AbortHandle>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let executor = executor.clone();
    Box::pin(async move {
        if depth == 0 {
            return;
        }
        let next = chain(&executor, depth - 1, last.clone());
        let handle = executor.spawn_async(next);
        if depth == 1 {
            last.send(handle.abort_handle()).unwrap();
        }
        drop(executor);
        let _ = handle.await;
    })
}

#[test]
fn a_chain_of_handles_is_freed_without_recursion() {
    let _watchdog = watchdog();
    let (executor, gone) = executor(2);
    let (sender, last) = mpsc::channel();
    executor.spawn_async(chain(&executor, 50_000, sender)).join().unwrap();
    let last = last.recv().unwrap();
    drop(executor);
    // The stack is small: if each task's cell were freed by the drop of the one before, it would overflow.
    std::thread::Builder::new().stack_size(64 << 10).spawn(|| drop(last)).unwrap().join().unwrap();
    gone.recv().unwrap();
}

#[test]
fn tasks_that_wait_for_each_other_are_freed() {
    let _watchdog = watchdog();
    let (executor, gone) = executor(1);
    let handles: Arc<Mutex<Vec<TaskHandle<()>>>> = Arc::default();
    let (open, gate) = async_channel::bounded::<()>(2);
    for number in 0..2_usize {
        let (others, gate) = (Arc::clone(&handles), gate.clone());
        let task = async move {
            // Stores this task's waker in the other task.
            std::future::poll_fn(|cx| {
                if let Some(other) = others.lock().unwrap().get_mut(1 - number) {
                    let _ = Pin::new(other).poll(cx);
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            drop(others);
            let _ = gate.recv().await;
        };
        let handle = executor.spawn_async(task);
        handles.lock().unwrap().push(handle);
    }
    wait_until("both wait", || executor.load() == 0);
    drop(open);
    wait_until("both have ended", || executor.cleanup_stats().active_tasks == 0);
    drop(handles);
    drop(executor);
    gone.recv().unwrap();
}

#[test]
fn a_task_can_join_after_it_has_dropped_the_last_handle_of_its_executor() {
    let _watchdog = watchdog();
    let (executor, gone) = executor(1);
    let (give, owner) = mpsc::channel::<Moirai>();
    let task = executor.spawn_parallel(move || {
        let owner = owner.recv().unwrap();
        let child = owner.spawn_async(std::future::pending::<()>());
        drop(owner);
        child.join().unwrap_err().is_shut_down()
    });
    give.send(executor).unwrap();
    assert!(task.join().unwrap());
    gone.recv().unwrap();
}

#[test]
fn a_task_can_join_after_a_shutdown_has_given_up_on_it() {
    let _watchdog = watchdog();
    let (executor, gone) = executor(1);
    let (go_on, wait) = mpsc::channel::<()>();
    let inner = executor.clone();
    let (started, has_started) = mpsc::channel();
    let task = executor.spawn_parallel(move || {
        let child = inner.spawn_async(std::future::pending::<()>());
        drop(inner);
        started.send(()).unwrap();
        wait.recv().unwrap();
        child.join().unwrap_err().is_shut_down()
    });
    has_started.recv().unwrap();
    let report = executor.shutdown_timeout(Duration::from_millis(10));
    assert!(report.still_active >= 1, "{report}");
    go_on.send(()).unwrap();
    assert!(task.join().unwrap());
    wait_until("all have ended", || executor.cleanup_stats().active_tasks == 0);
    drop(executor);
    gone.recv().unwrap();
}

#[test]
fn a_worker_that_keeps_its_core_while_it_waits_leaves_its_slot_to_others() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(2)
        .spare_threads(0)
        .compensation_threads(0)
        .build()
        .unwrap();
    for _ in 0..200 {
        let (sender, receiver) = async_channel::bounded::<u32>(1);
        let woken = executor.spawn_async(async move { receiver.recv().await.unwrap() });
        let id = woken.id();
        wait_until("it waits", || executor.task_stats(id).is_some_and(|task| task.polls > 0));
        let joiner = executor.spawn_parallel(move || {
            sender.try_send(7).unwrap();
            woken.join().unwrap()
        });
        assert_eq!(joiner.join().unwrap(), 7);
    }
}

#[test]
fn one_executor_can_be_shut_down_on_a_worker_of_another() {
    let _watchdog = watchdog();
    let (a, _) = executor(1);
    let (b, _) = executor(1);
    let (sender, receiver) = async_channel::bounded::<()>(1);
    let helper = b.spawn_async(async move {
        let _ = receiver.recv().await;
    });
    let waits = a.spawn_async(async move { helper.await.is_ok() });
    let a_inside = a.clone();
    let shuts = b.spawn_parallel(move || a_inside.shutdown().still_active);
    wait_until("the shutdown has begun", || a.is_shutting_down());
    // Wakes a task of `b`, whose only worker is in the middle of the shutdown of `a`.
    sender.try_send(()).unwrap();
    assert_eq!(shuts.join().unwrap(), 0);
    assert!(waits.join().unwrap());
}

#[test]
fn a_recorder_that_panics_takes_no_worker_down() {
    struct PanickingRecorder(AtomicUsize);
    impl Recorder for PanickingRecorder {
        fn task_finished(&self, _: Option<usize>, _: &TaskSample) {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::panic::resume_unwind(Box::new("in a recorder"));
        }
    }
    let _watchdog = watchdog();
    let recorder = Arc::new(PanickingRecorder(AtomicUsize::new(0)));
    let as_dyn: Arc<dyn Recorder> = Arc::clone(&recorder) as _;
    let executor = HybridExecutor::builder().worker_threads(1).recorder(as_dyn).build().unwrap();
    for number in 0..10 {
        let handle = executor.spawn_async(async move { number });
        let id = handle.id();
        assert_eq!(handle.join().unwrap(), number);
        assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
    }
    assert_eq!(recorder.0.load(Ordering::Relaxed), 10);
}

#[test]
fn a_waker_can_be_used_while_its_task_and_its_executor_end() {
    let _watchdog = watchdog();
    for _ in 0..300 {
        let (executor, gone) = executor(1);
        let (sender, waker) = mpsc::channel::<Waker>();
        let mut polled = false;
        let task = std::future::poll_fn(move |cx: &mut Context<'_>| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            sender.send(cx.waker().clone()).unwrap();
            Poll::Pending
        });
        drop(executor.spawn_async(task));
        let waker = waker.recv().unwrap();
        let waking = std::thread::spawn(move || waker.wake());
        drop(executor);
        waking.join().unwrap();
        gone.recv().unwrap();
    }
}

/// An error whose text cannot be told.
struct Untellable;

impl std::fmt::Display for Untellable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("the text of a test")
    }
}

#[test]
fn an_err_is_a_failure_if_it_was_asked_for() {
    let _watchdog = watchdog();
    for executor in [
        Moirai::builder().worker_threads(2).build().unwrap(),
        // One on which no task is plain.
        Moirai::builder().worker_threads(2).max_active_tasks(100).build().unwrap(),
    ] {
        let status = |id| {
            let stats = executor.task_stats(id).unwrap();
            (stats.status, stats.error.as_deref().map(str::to_owned))
        };
        let failed = |text: &str| (TaskStatus::Failed, Some(text.to_owned()));
        let task = executor.task().fails_on_err().spawn_async(async { Err::<(), _>("why") });
        let id = task.id();
        assert_eq!(task.join().unwrap(), Err("why"));
        assert_eq!(status(id), failed("why"));
        let ok = executor.task().name("ok").fails_on_err().spawn_parallel(|| Ok::<_, String>(5));
        let id = ok.id();
        assert_eq!(ok.join().unwrap(), Ok(5));
        assert_eq!(status(id), (TaskStatus::Completed, None));
        let long = executor
            .task()
            .fails_on_err()
            .tag("k", 1)
            .name("long")
            .spawn_blocking(|| Err::<(), _>("x".repeat(5_000)));
        let id = long.id();
        assert_eq!(long.join().unwrap().unwrap_err().len(), 5_000);
        assert_eq!(status(id).1.unwrap().len(), 1_024);
        let unasked = executor.task().name("unasked").spawn_async(async { Err::<(), _>("fine") });
        let id = unasked.id();
        assert!(unasked.join().unwrap().is_err());
        assert_eq!(status(id), (TaskStatus::Completed, None));

        // Without a handle, from a group, with a text that panics, and with a limit on tasks.
        let task = executor.task().fails_on_err().spawn_async(async { Err::<(), _>("unseen") });
        let id = task.id();
        drop(task);
        executor.block_on(executor.wait_for_task(id, None));
        assert_eq!(status(id), failed("unseen"));
        let group = executor.group();
        let id = group.task().fails_on_err().spawn_async(async { Err::<(), _>("in a group") });
        executor.block_on(executor.wait_for_task(id, None));
        assert_eq!(status(id), failed("in a group"));
        let other = executor.task().fails_on_err().in_group(&group);
        let id = other.spawn_async(async { Err::<(), _>("in a group") });
        executor.block_on(executor.wait_for_task(id, None));
        assert_eq!(status(id), failed("in a group"));
        wait_until("both are counted", || group.counts().failed == 2);
        let task = executor.task().fails_on_err().spawn_async(async { Err::<(), _>(Untellable) });
        let id = task.id();
        assert!(task.join().unwrap().is_err());
        assert!(status(id).1.unwrap().contains("cannot be told"));
        let task = executor.task().fails_on_err().try_spawn_async(async { Err::<(), _>("tried") });
        let task = task.unwrap();
        let id = task.id();
        assert!(task.join().unwrap().is_err());
        assert_eq!(status(id), failed("tried"));

        let report = executor.shutdown();
        assert_eq!((report.failed, report.completed), (7, 2));
    }
}

#[test]
fn the_children_of_a_task_that_fails_by_an_err_are_cancelled() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let parent = executor.task().fails_on_err().spawn_async(async {
        let here = Moirai::current().unwrap();
        let child = here.task().child_of_current().spawn_async(std::future::pending::<()>());
        Err::<(), _>(child.id())
    });
    let child = parent.join().unwrap().unwrap_err();
    let ended = executor.block_on(executor.wait_for_task(child, None));
    assert_eq!(ended, Some(TaskStatus::Cancelled));
}

//! Loom models of the cell. They run the cell itself; only the executor is a test double.

use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::shim::thread;
use moirai_core::{CancelCause, TaskError, TaskStatus};

use super::test_executor::{Gate, TestExecutor, Wait};
use super::{JoinHandle, TaskRef, Watched, yield_task};

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// Counts its drops, so that a test notices an output or a future that is dropped twice or not at all.
struct Tracked(Arc<AtomicUsize>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn agree<T>(executor: &TestExecutor, result: &Result<T, TaskError>) {
    let status = executor.status().expect("a result comes after the outcome");
    match result {
        Ok(_) => assert_eq!(status, TaskStatus::Completed),
        Err(TaskError::Cancelled | TaskError::ShutDown) => {
            assert_eq!(status, TaskStatus::Cancelled);
        }
        Err(error) => panic!("{error}"),
    }
}

fn take<T>(handle: &mut JoinHandle<T, TestExecutor>) -> Result<T, TaskError> {
    handle.try_take().expect("the task has ended")
}

#[test]
fn loom_finish_against_cancel_by_handle_against_cancel_by_id() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let tracked = Tracked(Arc::clone(&drops));
        let gate = Arc::new(Gate::default());
        let (executor, mut handle) = TestExecutor::spawn({
            let gate = Arc::clone(&gate);
            async move {
                Wait(gate).await;
                drop(tracked);
            }
        });
        let runner = thread::spawn({
            let (executor, gate) = (Arc::clone(&executor), gate);
            move || {
                executor.run_queued();
                gate.open();
                executor.run_queued();
            }
        });
        let by_id = thread::spawn({
            let executor = Arc::clone(&executor);
            move || {
                if let Some(task) = executor.find() {
                    task.cancel(CancelCause::Shutdown);
                }
            }
        });
        handle.task().cancel(CancelCause::Handle);
        by_id.join().unwrap();
        runner.join().unwrap();
        executor.run_queued();
        agree(&executor, &take(&mut handle));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

/// A value that is written once, and read when a future that was cancelled is dropped.
struct ReadOnDrop(Arc<UnsafeCell<usize>>);

// SAFETY: loom checks each access.
unsafe impl Send for ReadOnDrop {}

impl ReadOnDrop {
    fn write(&self) {
        self.0.with_mut(|value| {
            // SAFETY: loom checks that the access is exclusive.
            unsafe { *value = 1 }
        });
    }
}

impl Drop for ReadOnDrop {
    fn drop(&mut self) {
        self.0.with(|value| {
            // SAFETY: loom checks that no thread writes meanwhile.
            assert_eq!(unsafe { *value }, 1);
        });
    }
}

#[test]
fn loom_a_cancel_during_a_poll_is_not_lost() {
    model(|| {
        let value = ReadOnDrop(Arc::new(UnsafeCell::new(0)));
        let (executor, mut handle) = TestExecutor::spawn({
            let value = ReadOnDrop(Arc::clone(&value.0));
            async move {
                std::future::pending::<()>().await;
                drop(value);
            }
        });
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        value.write();
        handle.task().cancel(CancelCause::Handle);
        // Either thread may end the task, and what the canceller did before is visible to the future's destructor.
        executor.run_queued();
        runner.join().unwrap();
        executor.run_queued();
        assert!(matches!(take(&mut handle), Err(TaskError::Cancelled)));
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_wake_during_a_poll_is_not_lost() {
    model(|| {
        let gate = Arc::new(Gate::default());
        let (executor, mut handle) = TestExecutor::spawn(Wait(Arc::clone(&gate)));
        let opener = thread::spawn({
            let gate = Arc::clone(&gate);
            move || gate.open()
        });
        executor.run_queued();
        opener.join().unwrap();
        executor.run_queued();
        take(&mut handle).unwrap();
        drop(handle);
        drop(gate.take_waker());
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_woken_task_goes_on_on_another_thread() {
    a_woken_task_goes_on(|handle| handle.task().wake());
}

#[test]
fn loom_a_woken_task_goes_on_on_another_thread_that_consumes_its_waker() {
    a_woken_task_goes_on(|handle| handle.task().clone().wake_and_drop());
}

fn a_woken_task_goes_on(wake: fn(&JoinHandle<(), TestExecutor>)) {
    model(move || {
        let mut polled = false;
        let (executor, mut handle) = TestExecutor::spawn(std::future::poll_fn(move |_| {
            if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
        }));
        executor.is_kept.store(true, Ordering::Relaxed);
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        // If the first poll has ended, this thread polls next: the exchanges of the state word alone pass the future on to it.
        wake(&handle);
        executor.run_queued();
        runner.join().unwrap();
        // The first wake may have come before the first poll.
        wake(&handle);
        executor.run_queued();
        take(&mut handle).unwrap();
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_poll_sees_what_came_before_each_wake_that_it_answers() {
    a_poll_sees_what_came_before(|task| task.wake());
}

#[test]
fn loom_a_poll_sees_what_came_before_each_wake_that_consumes_its_waker() {
    a_poll_sees_what_came_before(|task| task.clone().wake_and_drop());
}

fn a_poll_sees_what_came_before(wake: fn(&TaskRef<TestExecutor>)) {
    model(move || {
        let ready = Arc::new(AtomicBool::new(false));
        let (executor, mut handle) = TestExecutor::spawn({
            let ready = Arc::clone(&ready);
            std::future::poll_fn(move |_| {
                if ready.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
            })
        });
        executor.is_kept.store(true, Ordering::Relaxed);
        let task = executor.find().expect("the task has not run");
        // The task was woken already, so the other thread's wake may change nothing of the flags.
        task.wake();
        let waker = thread::spawn(move || {
            ready.store(true, Ordering::Relaxed);
            wake(&task);
        });
        executor.run_queued();
        waker.join().unwrap();
        executor.run_queued();
        take(&mut handle).unwrap();
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_poll_after_a_yield_sees_what_came_before_each_wake_that_it_answers() {
    model(|| {
        let ready = Arc::new(AtomicBool::new(false));
        let (executor, mut handle) = TestExecutor::spawn({
            let ready = Arc::clone(&ready);
            let mut yielded = false;
            std::future::poll_fn(move |cx| {
                if ready.load(Ordering::Relaxed) {
                    return Poll::Ready(());
                }
                if !std::mem::replace(&mut yielded, true) {
                    assert!(yield_task::<TestExecutor>(cx.waker(), |_| true));
                }
                Poll::Pending
            })
        });
        let task = executor.find().expect("the task has not run");
        let waker = thread::spawn(move || {
            ready.store(true, Ordering::Relaxed);
            task.wake();
        });
        executor.run_queued();
        waker.join().unwrap();
        executor.run_queued();
        take(&mut handle).unwrap();
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_two_wakes_make_one_runnable() {
    model(|| {
        let gate = Arc::new(Gate::default());
        let (executor, mut handle) = TestExecutor::spawn(Wait(Arc::clone(&gate)));
        executor.run_queued();
        let waker = gate.take_waker().expect("the task waits");
        let other = thread::spawn({
            let (gate, waker) = (Arc::clone(&gate), waker.clone());
            move || {
                gate.open();
                waker.wake();
            }
        });
        waker.wake();
        executor.run_queued();
        other.join().unwrap();
        executor.run_queued();
        take(&mut handle).unwrap();
        drop(handle);
        drop(gate.take_waker());
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_the_handle_is_woken_or_sees_the_end() {
    model(|| {
        let (executor, mut handle) = TestExecutor::spawn(async { 7 });
        let gate = Arc::new(Gate::default());
        // The waiter is a task of a second executor, which counts the wake-ups: a woken task is queued.
        let (waiter, waiting) = TestExecutor::spawn(Wait(Arc::clone(&gate)));
        waiter.run_queued();
        let waker = gate.take_waker().expect("the waiter waits");
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        let polled = handle.poll(&mut Context::from_waker(&waker));
        // A second waker replaces the first.
        let again = polled.is_pending().then(|| {
            let other = waker.clone();
            handle.poll(&mut Context::from_waker(&other))
        });
        runner.join().unwrap();
        match (polled, again) {
            (Poll::Ready(result), _) | (_, Some(Poll::Ready(result))) => {
                assert_eq!(result.unwrap(), 7);
            }
            _ => {
                assert_eq!(waiter.queued(), 1, "the handle's waker was not woken");
                assert_eq!(take(&mut handle).unwrap(), 7);
            }
        }
        drop(handle);
        drop(waker);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
        waiter.drop_queued();
        drop(waiting);
        gate.open();
        waiter.run_queued();
        drop(gate.take_waker());
        if waiter.status().is_none() {
            waiter.find().expect("still published").cancel(CancelCause::Handle);
            waiter.run_queued();
        }
    });
}

#[test]
fn loom_the_handle_changes_its_waker_while_the_task_ends() {
    model(|| {
        let (executor, mut handle) = TestExecutor::spawn(async { 7 });
        let counts = [Count::default(), Count::default()];
        let wakers = [count_waker(&counts[0]), count_waker(&counts[1])];
        assert!(handle.poll(&mut Context::from_waker(&wakers[0])).is_pending());
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        let second = handle.poll(&mut Context::from_waker(&wakers[1]));
        runner.join().unwrap();
        match second {
            Poll::Ready(result) => assert_eq!(result.unwrap(), 7),
            Poll::Pending => {
                let wakes = |count: &Count| count.wakes.load(Ordering::Relaxed);
                assert_eq!(counts.each_ref().map(wakes), [0, 1]);
                assert_eq!(take(&mut handle).unwrap(), 7);
            }
        }
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
        assert_all_dropped(&counts, wakers);
    });
}

#[test]
fn loom_the_output_is_dropped_once_when_the_handle_goes_while_the_task_ends() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let tracked = Tracked(Arc::clone(&drops));
        let (executor, mut handle) = TestExecutor::spawn(async move { tracked });
        let counts = [Count::default()];
        let wakers = [count_waker(&counts[0])];
        assert!(handle.poll(&mut Context::from_waker(&wakers[0])).is_pending());
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        drop(handle);
        runner.join().unwrap();
        assert_eq!(executor.status(), Some(TaskStatus::Completed));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
        assert_all_dropped(&counts, wakers);
    });
}

#[test]
fn loom_a_handle_without_a_waker_goes_while_the_task_ends() {
    model(|| {
        let (executor, handle) = TestExecutor::spawn(async {});
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        drop(handle);
        runner.join().unwrap();
        assert_eq!(executor.status(), Some(TaskStatus::Completed));
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

/// Watches a task while it ends as cancelled: a status whose number is not that with which a cell begins.
fn watch(has_handle: bool) {
    model(move || {
        let (executor, handle) = TestExecutor::spawn(async {});
        handle.task().cancel(CancelCause::Handle);
        let handle = has_handle.then_some(handle);
        let runner = thread::spawn({
            let executor = Arc::clone(&executor);
            move || executor.run_queued()
        });
        let task = executor.find();
        let seen = task.as_ref().map(TaskRef::watch);
        runner.join().unwrap();
        match seen {
            // The task was not listed any more, so the outcome is published.
            None => assert_eq!(executor.status(), Some(TaskStatus::Cancelled)),
            Some(Watched::Ended(status)) => assert_eq!(status, TaskStatus::Cancelled),
            Some(Watched::Active | Watched::Cancelled) => {
                assert_eq!(*executor.notified.lock(), Some(TaskStatus::Cancelled));
            }
        }
        drop(task);
        drop(handle);
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_watcher_is_told_or_sees_the_end() {
    watch(true);
}

#[test]
fn loom_a_watcher_of_a_task_without_a_handle_is_told_or_sees_the_end() {
    watch(false);
}

#[test]
fn loom_a_waker_that_outlives_the_task_frees_the_cell() {
    model(|| {
        let gate = Arc::new(Gate::default());
        let (executor, handle) = TestExecutor::spawn(Wait(Arc::clone(&gate)));
        executor.run_queued();
        let waker = gate.take_waker().expect("the task waits");
        handle.task().cancel(CancelCause::Handle);
        let other = thread::spawn(move || {
            waker.wake_by_ref();
            drop(waker);
        });
        drop(handle);
        executor.run_queued();
        other.join().unwrap();
        executor.run_queued();
        assert_eq!(executor.status(), Some(TaskStatus::Cancelled));
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    });
}

/// What has happened to a waker and its clones.
struct Count {
    wakes: AtomicUsize,
    /// The number of those that are there.
    wakers: AtomicUsize,
}

impl Default for Count {
    fn default() -> Self {
        Self { wakes: AtomicUsize::new(0), wakers: AtomicUsize::new(0) }
    }
}

/// Returns a waker that counts. The caller keeps the count for longer. Whoever drops a waker twice is noticed by an assertion.
fn count_waker(count: &Count) -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            count_of(data).wakers.fetch_add(1, Ordering::Relaxed);
            RawWaker::new(data, &TABLE)
        },
        |data| {
            count_of(data).wakes.fetch_add(1, Ordering::Relaxed);
            drop_one(data);
        },
        |data| {
            count_of(data).wakes.fetch_add(1, Ordering::Relaxed);
        },
        drop_one,
    );
    fn count_of<'a>(data: *const ()) -> &'a Count {
        // SAFETY: each model keeps its counts until its threads have ended and its wakers are gone.
        unsafe { &*data.cast() }
    }
    fn drop_one(data: *const ()) {
        let before = count_of(data).wakers.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a waker was dropped twice");
    }
    count.wakers.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the functions count, and nothing else, so that they may be called by any thread in any order.
    unsafe { Waker::new((&raw const *count).cast(), &TABLE) }
}

/// Drops the wakers of a model, and asserts that each of their clones was dropped, and once.
fn assert_all_dropped<const N: usize>(counts: &[Count; N], wakers: [Waker; N]) {
    drop(wakers);
    for count in counts {
        assert_eq!(
            count.wakers.load(Ordering::Relaxed),
            0,
            "a waker was dropped too often, or never"
        );
    }
}

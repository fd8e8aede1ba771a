//! An executor for tests and models: it has one queue, and checks that its task has exactly one outcome.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWakerVTable, Waker};

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::{CancelCause, Priority, QueueReason, TaskId, TaskKind, TaskStatus};

use super::state::TaskPtr;
use super::{
    Header, JoinHandle, NewTask, Outcome, PollKey, RawRunnable, Schedule, TaskRef, waker_table,
};

/// The record of the one task of a test. Using it twice does not compile, and a test notices if it is lost.
pub(super) struct TestRecord;

#[derive(Default)]
pub(super) struct TestExecutor {
    queue: Mutex<VecDeque<RawRunnable<TestExecutor>>>,
    /// The listing by which the task is found by id until it ends.
    listing: Mutex<Option<Address>>,
    outcome: Mutex<Option<Outcome>>,
    /// What it says when asked whether the calling thread keeps it alive. Every test does until the cell is freed.
    pub(super) is_kept: AtomicBool,
    pub(super) notified: Mutex<Option<TaskStatus>>,
    pub(super) notes: Mutex<Vec<String>>,
    pub(super) freed: AtomicUsize,
    pub(super) polls: AtomicUsize,
    /// The number of runs that the last poll said it was.
    pub(super) runs: AtomicUsize,
    /// The type of work that the last poll said it was of.
    pub(super) work: AtomicU64,
}

/// Checks that a thread gives up each task that it has begun to run, before the task can be gone.
#[derive(Default)]
pub(super) struct TestContext(Cell<Option<TaskPtr>>);

struct Address(NonNull<Header<TestExecutor>>);

// SAFETY: the pointer is made a reference only under the lock of the listing, while the task is listed and so its cell alive.
unsafe impl Send for Address {}

pub(super) type Spawned<T> = (Arc<TestExecutor>, JoinHandle<T, TestExecutor>);

impl TestExecutor {
    /// Returns an executor with one queued task, and the handle of the task.
    pub(super) fn spawn<F>(future: F) -> Spawned<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let executor = Arc::new(Self::default());
        // SAFETY: every test keeps the executor until the cell is freed, and checks that it was freed.
        let cell = unsafe {
            NewTask::new(NonNull::from(&*executor), TaskKind::Async, Priority::Normal, future)
        };
        let published = cell.publish(|address| {
            *executor.listing.lock() = Some(Address(address));
            Some((TaskId::from_u64(1)?, TestRecord))
        });
        let (task, handle) = published.expect("the task is published");
        executor.queue.lock().push_back(task);
        (executor, handle)
    }

    /// Runs queued tasks until the queue is empty.
    pub(super) fn run_queued(&self) {
        let context = TestContext::default();
        loop {
            let task = self.queue.lock().pop_front();
            match task {
                Some(task) => {
                    task.run(&context);
                    assert!(context.0.get().is_none(), "the thread still names the task");
                }
                None => return,
            }
        }
    }

    fn note(&self, poll: PollKey) {
        // Ordering: Relaxed, both: they are read by the thread that runs the task, or after it.
        self.runs.store(poll.runs.count_ones() as usize, Ordering::Relaxed);
        self.work.store(poll.work, Ordering::Relaxed);
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.lock().len()
    }

    /// Drops the queued tasks unrun.
    pub(super) fn drop_queued(&self) {
        let queued = std::mem::take(&mut *self.queue.lock());
        drop(queued);
    }

    /// Looks the task up, as if by its id.
    pub(super) fn find(&self) -> Option<TaskRef<Self>> {
        let listing = self.listing.lock();
        let address = listing.as_ref()?;
        // SAFETY: the cell is alive during the call: the task's listing is ended under this lock before its own reference is
        // dropped.
        Some(unsafe { TaskRef::acquire(address.0) })
    }

    pub(super) fn status(&self) -> Option<TaskStatus> {
        self.outcome.lock().as_ref().map(|outcome| outcome.status)
    }

    #[cfg(not(moirai_loom))]
    pub(super) fn cancelled_by(&self) -> Option<CancelCause> {
        self.outcome.lock().as_ref().and_then(|outcome| outcome.cancelled_by)
    }

    #[cfg(not(moirai_loom))]
    pub(super) fn error(&self) -> Option<String> {
        self.outcome.lock().as_ref()?.error.as_deref().map(str::to_owned)
    }
}

impl Schedule for TestExecutor {
    type Record = TestRecord;
    type Context = TestContext;

    fn waker_table() -> &'static RawWakerVTable {
        static TABLE: RawWakerVTable = waker_table::<TestExecutor>();
        &TABLE
    }

    fn queue(&self, task: RawRunnable<Self>, _: QueueReason) {
        let mut queue = self.queue.lock();
        assert!(queue.is_empty(), "a second Runnable of the same task");
        queue.push_back(task);
    }

    fn is_kept_by_thread(&self) -> bool {
        // Ordering: Relaxed: it is set before other threads know of the executor.
        self.is_kept.load(Ordering::Relaxed)
    }

    fn is_cancelling(&self) -> bool {
        false
    }

    fn cause_if_dropped(&self) -> CancelCause {
        CancelCause::Shutdown
    }

    fn wants_panic_locations(&self) -> bool {
        false
    }

    fn enter(&self, context: &TestContext, task: TaskPtr) {
        assert!(context.0.replace(Some(task)).is_none(), "entered twice");
    }

    fn drops_work_of(&self, _: &TestContext, _: Option<TaskPtr>) -> Option<TaskPtr> {
        None
    }

    fn leave(&self, context: &TestContext, task: TaskPtr) {
        assert_eq!(context.0.take(), Some(task), "left a task that was not entered");
        // SAFETY: the task is still the caller's, so its cell is alive. If it were not, loom and the sanitizers would say so.
        let _ = unsafe { task.is_cancelled() };
    }

    fn before_poll(&self, _: &TestContext, _: &TestRecord, _: bool) {
        // Ordering: Relaxed: a count.
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    fn after_poll(&self, _: &TestContext, _: &TestRecord, poll: impl FnOnce() -> PollKey) {
        self.note(poll());
    }

    fn finish(
        &self,
        context: Option<&TestContext>,
        _: TestRecord,
        poll: impl FnOnce() -> PollKey,
        outcome: Outcome,
    ) {
        if context.is_some() {
            self.note(poll());
        }
        let before = self.outcome.lock().replace(outcome);
        assert!(before.is_none(), "a second outcome");
        *self.listing.lock() = None;
    }

    fn cancel_children(&self, _: TaskId) {}

    fn notify_watchers(&self, _: TaskId, status: TaskStatus) {
        let before = self.notified.lock().replace(status);
        assert!(before.is_none(), "watchers notified twice");
    }

    fn append_error(&self, _: TaskId, message: std::sync::Arc<str>) {
        self.notes.lock().push((*message).to_owned());
    }

    unsafe fn cell_freed(executor: NonNull<Self>) {
        // SAFETY: tests keep the executor until they have checked the count.
        let executor = unsafe { executor.as_ref() };
        // Ordering: Relaxed: a count.
        executor.freed.fetch_add(1, Ordering::Relaxed);
    }
}

/// An event that happens once, with room for the waker of one waiting task, which stores its waker and then looks again.
#[derive(Default)]
pub(super) struct Gate {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    pub(super) fn open(&self) {
        // Ordering: Release pairs with the Acquire of `poll`.
        self.open.store(true, Ordering::Release);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn take_waker(&self) -> Option<Waker> {
        self.waker.lock().take()
    }
}

/// A future that resolves when the gate is open.
pub(super) struct Wait(pub(super) Arc<Gate>);

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.open.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *self.0.waker.lock() = Some(cx.waker().clone());
        if self.0.open.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

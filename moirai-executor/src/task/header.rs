//! The part of a cell that does not depend on what the task runs.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use moirai_core::{Priority, QueueReason, TaskId, TaskKind, TaskStatus};

use super::state::{CancelReason, State, TaskPtr};
use crate::panics;

/// What a cell needs from its executor.
pub(crate) trait Schedule: Sized + 'static {
    /// The task's record in the books: a permission to write its record.
    type Record: Send;
    /// Where a task runs: the worker, or the thread, and what it knows of the time.
    type Context;

    /// Queues a task that has become ready.
    fn queue(&self, task: RawRunnable<Self>, reason: QueueReason);

    /// Whether whatever is taken up now is to be cancelled.
    fn is_cancelling(&self) -> bool;

    /// Who ends a task whose `Runnable` is dropped unrun.
    fn reason_if_dropped(&self) -> CancelReason;

    /// Whether a panic's place is kept.
    fn wants_panic_locations(&self) -> bool;

    /// The task is about to be run, for the `first` time or again.
    fn before_poll(&self, context: &Self::Context, record: &Self::Record, first: bool);

    /// The task was run and waits, or is queued again.
    fn after_poll(&self, context: &Self::Context, record: &Self::Record);

    /// The task has ended: publishes the outcome. Without `context`, it was dropped unrun.
    fn finish(&self, context: Option<&Self::Context>, record: Self::Record, outcome: Outcome);

    /// Tells those who wait for the id.
    fn notify_watchers(&self, id: TaskId, status: TaskStatus);

    /// A destructor panicked after the outcome.
    fn append_error(&self, id: TaskId, message: Arc<str>);

    /// A cell was freed. The executor may be gone when this returns.
    ///
    /// # Safety
    ///
    /// Called once for each cell that was published, after it was freed.
    unsafe fn cell_freed(executor: NonNull<Self>);
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: TaskStatus,
    /// What the panic said, or the panics of destructors.
    pub(crate) error: Option<Arc<str>>,
    /// Who asked, if it was cancelled.
    pub(crate) reason: CancelReason,
    /// Whether nobody has a handle to see the error.
    pub(crate) detached: bool,
}

/// What can be done with a cell without knowing what it runs.
pub(super) struct VTable<S: Schedule> {
    /// Runs the task. The caller gives up its `Runnable`.
    pub(super) run: unsafe fn(NonNull<Header<S>>, &S::Context),
    /// Ends the task unrun. The caller gives up its `Runnable`.
    pub(super) drop_unrun: unsafe fn(NonNull<Header<S>>),
    /// Moves the output into the `Option<Result<T, TaskError>>` that the pointer names. The caller owns the output.
    pub(super) take_output: unsafe fn(NonNull<Header<S>>, *mut ()),
    /// Drops the output, and says what the destructor said when it panicked. The caller owns the output.
    pub(super) drop_output: unsafe fn(NonNull<Header<S>>) -> Option<Arc<str>>,
    /// Frees the cell. The caller had the last reference.
    pub(super) free: unsafe fn(NonNull<Header<S>>),
}

/// The part of a cell that does not depend on what the task runs.
pub(crate) struct Header<S: Schedule> {
    pub(super) state: State,
    pub(super) vtable: &'static VTable<S>,
    /// The executor. It outlives the cell: `Schedule::cell_freed` is how it knows.
    pub(super) executor: NonNull<S>,
    /// The runner's (rule 1). `None` once the task has ended.
    pub(super) record: UnsafeCell<Option<S::Record>>,
    /// The place of rule 6.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
    /// The task's id; zero until it has one, which is before anybody but its spawner can ask.
    pub(super) id: AtomicU64,
    pub(super) kind: TaskKind,
    pub(super) priority: Priority,
    /// The runner's: whether it was run before.
    pub(super) started: UnsafeCell<bool>,
    /// The status at the end; written before COMPLETE.
    pub(super) final_status: AtomicU8,
}

impl<S: Schedule> Header<S> {
    /// The task's id.
    pub(crate) fn id(&self) -> TaskId {
        // Ordering: Relaxed: written before the `Runnable` and the handle are made, and never again.
        let id = self.id.load(Ordering::Relaxed);
        TaskId::from_u64(id).expect("a task has its id before it is handed out")
    }

    /// The executor.
    pub(crate) fn executor(&self) -> &S {
        // SAFETY: the executor outlives every cell; see the field.
        unsafe { self.executor.as_ref() }
    }

    /// Drops the handle's waker, and says what its destructor said when it panicked.
    ///
    /// # Safety
    ///
    /// The place is the caller's (rule 6).
    pub(super) unsafe fn drop_join_waker(&self) -> Option<Arc<str>> {
        let waker = self.join_waker.with_mut(|place| {
            // SAFETY: the caller has the place.
            unsafe { std::ptr::replace(place, None) }
        });
        panics::contain(|| drop(waker))
    }

    pub(super) fn set_final_status(&self, status: TaskStatus) {
        let number = match status {
            TaskStatus::Failed => 1,
            TaskStatus::Cancelled => 2,
            _ => 0,
        };
        // Ordering: Relaxed: `State::complete` releases it.
        self.final_status.store(number, Ordering::Relaxed);
    }

    /// The status at the end. Only for who has seen COMPLETE.
    pub(super) fn final_status(&self) -> TaskStatus {
        // Ordering: Relaxed: the caller acquired it with COMPLETE.
        match self.final_status.load(Ordering::Relaxed) {
            1 => TaskStatus::Failed,
            2 => TaskStatus::Cancelled,
            _ => TaskStatus::Completed,
        }
    }
}

/// The right to run a task: exactly one exists while the task is queued or polled. Dropping it ends the task.
pub(crate) struct RawRunnable<S: Schedule>(NonNull<Header<S>>);

// SAFETY: the work and its output are `Send`, and the `Runnable` is alone with them (rule 1).
unsafe impl<S: Schedule> Send for RawRunnable<S> {}

impl<S: Schedule> RawRunnable<S> {
    /// # Safety
    ///
    /// The caller has set ACTIVE, or was the runner and has kept it.
    pub(super) unsafe fn from_raw(header: NonNull<Header<S>>) -> Self {
        Self(header)
    }

    fn header(&self) -> &Header<S> {
        // SAFETY: while the `Runnable` exists the task is not complete, and its own reference keeps the cell (rule 2).
        unsafe { self.0.as_ref() }
    }

    /// The task, to be compared.
    pub(crate) fn ptr(&self) -> TaskPtr {
        TaskPtr::of(&self.header().state)
    }

    pub(crate) fn id(&self) -> TaskId {
        self.header().id()
    }

    pub(crate) fn priority(&self) -> Priority {
        self.header().priority
    }

    pub(crate) fn kind(&self) -> TaskKind {
        self.header().kind
    }

    /// The executor.
    pub(crate) fn executor(&self) -> &S {
        self.header().executor()
    }

    /// What the books say of the task.
    pub(crate) fn with_record<R>(&self, f: impl FnOnce(&S::Record) -> R) -> R {
        self.header().record.with(|record| {
            // SAFETY: the record is the runner's (rule 1), which is who has the `Runnable`; it changes only as the task runs, for
            // which the `Runnable` is given up.
            let record = unsafe { &*record };
            f(record.as_ref().expect("a task has its record until it has ended"))
        })
    }

    /// Runs the task until it waits or ends.
    pub(crate) fn run(self, context: &S::Context) {
        let this = ManuallyDrop::new(self);
        let run = this.header().vtable.run;
        // SAFETY: the `Runnable` is given up.
        unsafe { run(this.0, context) };
    }
}

impl<S: Schedule> Drop for RawRunnable<S> {
    fn drop(&mut self) {
        let drop_unrun = self.header().vtable.drop_unrun;
        // SAFETY: the `Runnable` is given up.
        unsafe { drop_unrun(self.0) };
    }
}

impl<S: Schedule> fmt::Debug for RawRunnable<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runnable").field(&self.id()).finish()
    }
}

//! The part of a cell that does not depend on what the task runs.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use moirai_core::{Priority, Ready, TaskId, TaskKind, TaskStatus};

use super::runnable::RawRunnable;
use super::state::{Asker, State, Wake};
use crate::panics;

/// What a cell needs from its executor.
pub(crate) trait Host: Sized + 'static {
    /// The task's entry in the books: a permission to write its record.
    type Entry: Send;
    /// Where a task runs: the worker, or the thread, and what it knows of the time.
    type Env;

    /// Queues a task that has become ready.
    fn queue(&self, task: RawRunnable<Self>, ready: Ready);

    /// Whether whatever is taken up now is to be cancelled.
    fn is_cancelling(&self) -> bool;

    /// Who ends a task whose `Runnable` is dropped unrun.
    fn abandoned_by(&self) -> Asker;

    /// Whether a panic's place is kept.
    fn wants_panic_locations(&self) -> bool;

    /// The task is about to be run, for the `first` time or again.
    fn before_poll(&self, env: &Self::Env, entry: &Self::Entry, first: bool);

    /// The task was run and waits, or is queued again.
    fn after_poll(&self, env: &Self::Env, entry: &Self::Entry);

    /// The task has ended: publishes the verdict. Without `env`, it was dropped unrun.
    fn finish(&self, env: Option<&Self::Env>, entry: Self::Entry, verdict: Verdict);

    /// Tells those who wait for the id.
    fn tell_watchers(&self, id: TaskId, status: TaskStatus);

    /// A destructor panicked after the verdict.
    fn note(&self, id: TaskId, message: Arc<str>);

    /// A cell was freed. The host may be gone when this returns.
    ///
    /// # Safety
    ///
    /// Called once for each cell that was listed, after it was freed.
    unsafe fn cell_freed(host: NonNull<Self>);
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: TaskStatus,
    /// What the panic said, or the panics of destructors.
    pub(crate) error: Option<Arc<str>>,
    /// Who asked, if it was cancelled.
    pub(crate) asker: Asker,
    /// Whether nobody has a handle to see the error.
    pub(crate) detached: bool,
}

/// What can be done with a cell without knowing what it runs.
pub(super) struct VTable<H: Host> {
    /// Runs the task. The caller gives up its `Runnable`.
    pub(super) run: unsafe fn(NonNull<Header<H>>, &H::Env),
    /// Ends the task unrun. The caller gives up its `Runnable`.
    pub(super) abandon: unsafe fn(NonNull<Header<H>>),
    /// Moves the output into the `Option<Result<T, TaskError>>` that the pointer names. The caller owns the output.
    pub(super) take_output: unsafe fn(NonNull<Header<H>>, *mut ()),
    /// Drops the output, and says what the destructor said when it panicked. The caller owns the output.
    pub(super) drop_output: unsafe fn(NonNull<Header<H>>) -> Option<Arc<str>>,
    /// Frees the cell. The caller had the last reference.
    pub(super) free: unsafe fn(NonNull<Header<H>>),
}

/// The part of a cell that does not depend on what the task runs.
pub(crate) struct Header<H: Host> {
    pub(super) state: State,
    pub(super) vtable: &'static VTable<H>,
    /// The executor. It outlives the cell: `Host::cell_freed` is how it knows.
    pub(super) host: NonNull<H>,
    /// The runner's (rule 1). `None` once the task has ended.
    pub(super) entry: UnsafeCell<Option<H::Entry>>,
    /// The place of rule 6.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
    /// The task's id; zero until it has one, which is before anybody but its spawner can ask.
    pub(super) id: AtomicU64,
    pub(super) kind: TaskKind,
    pub(super) priority: Priority,
    /// The runner's: whether it was run before.
    pub(super) started: UnsafeCell<bool>,
    /// The status at the end; written before COMPLETE.
    pub(super) verdict: AtomicU8,
}

impl<H: Host> Header<H> {
    /// Whether the task was asked to stop.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.is_cancelled()
    }

    /// The task's id.
    pub(crate) fn id(&self) -> TaskId {
        // Ordering: Relaxed: written before the `Runnable` and the handle are made, and never again.
        let id = self.id.load(Ordering::Relaxed);
        TaskId::from_u64(id).expect("a task has its id before it is handed out")
    }

    /// The executor.
    pub(crate) fn host(&self) -> &H {
        // SAFETY: the host outlives every cell; see the field.
        unsafe { self.host.as_ref() }
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
        panics::message_of(|| drop(waker))
    }

    pub(super) fn set_verdict(&self, status: TaskStatus) {
        let number = match status {
            TaskStatus::Failed => 1,
            TaskStatus::Cancelled => 2,
            _ => 0,
        };
        // Ordering: Relaxed: `State::complete` releases it.
        self.verdict.store(number, Ordering::Relaxed);
    }

    /// The status at the end. Only for who has seen COMPLETE.
    pub(super) fn verdict(&self) -> TaskStatus {
        // Ordering: Relaxed: the caller acquired it with COMPLETE.
        match self.verdict.load(Ordering::Relaxed) {
            1 => TaskStatus::Failed,
            2 => TaskStatus::Cancelled,
            _ => TaskStatus::Completed,
        }
    }
}

/// One reference to a cell: keeps its memory, and can wake, cancel and watch the task.
pub(crate) struct TaskRef<H: Host>(NonNull<Header<H>>);

// SAFETY: through a reference only the state word, the verdict and what does not change are touched; all are `Sync`. The
// stage, which need not be, belongs to the runner and the handle.
unsafe impl<H: Host> Send for TaskRef<H> {}
// SAFETY: as above.
unsafe impl<H: Host> Sync for TaskRef<H> {}

impl<H: Host> TaskRef<H> {
    /// Adds a reference to a cell.
    ///
    /// # Safety
    ///
    /// The cell is alive, and stays so during the call.
    pub(crate) unsafe fn acquire(header: NonNull<Header<H>>) -> Self {
        // SAFETY: the cell is alive, says the caller.
        unsafe { header.as_ref() }.state.add_reference();
        Self(header)
    }

    /// Takes over a reference that the caller has.
    ///
    /// # Safety
    ///
    /// The caller has a reference, and gives it up.
    pub(super) unsafe fn adopt(header: NonNull<Header<H>>) -> Self {
        Self(header)
    }

    /// The header.
    pub(crate) fn header(&self) -> &Header<H> {
        // SAFETY: this reference keeps the cell alive.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn as_ptr(&self) -> NonNull<Header<H>> {
        self.0
    }

    /// Wakes the task. The reference is kept until the task is queued and the executor has been told: it is what keeps the
    /// executor, because the task may have ended by then.
    pub(super) fn wake(&self) {
        if self.header().state.wake() == Wake::Queue {
            self.queue();
        }
    }

    /// Asks the task to stop.
    pub(crate) fn cancel(&self, asker: Asker) {
        if self.header().state.cancel(asker) == Wake::Queue {
            self.queue();
        }
    }

    /// Asks to be told the end through `Host::tell_watchers`; the status, if the task has ended already.
    pub(crate) fn watch(&self) -> Option<TaskStatus> {
        self.header().state.watch().then(|| self.header().verdict())
    }

    /// Queues the `Runnable` that setting ACTIVE has just made (rule 1).
    fn queue(&self) {
        let host = self.header().host;
        // SAFETY: ACTIVE was set by the caller, so this is the one `Runnable`.
        let task = unsafe { RawRunnable::from_raw(self.0) };
        // SAFETY: the host outlives every cell, and this reference keeps the cell until `queue` has returned.
        unsafe { host.as_ref() }.queue(task, Ready::Woken);
    }
}

impl<H: Host> Clone for TaskRef<H> {
    fn clone(&self) -> Self {
        self.header().state.add_reference();
        Self(self.0)
    }
}

impl<H: Host> Drop for TaskRef<H> {
    fn drop(&mut self) {
        if self.header().state.drop_reference() {
            let free = self.header().vtable.free;
            // SAFETY: this was the last reference.
            unsafe { free(self.0) };
        }
    }
}

impl<H: Host> fmt::Debug for TaskRef<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.header().id.load(Ordering::Relaxed)).finish()
    }
}

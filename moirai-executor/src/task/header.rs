//! The header of a cell: the part that does not depend on the type of its work.

use std::any::TypeId;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{RawWakerVTable, Waker};

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_core::{CancelCause, Priority, QueueReason, TaskId, TaskKind, TaskStatus};

use super::state::{State, TaskPtr};

/// What a cell needs from its executor.
///
/// The methods are called by the runner, unless they say otherwise.
pub(crate) trait Schedule: Sized + 'static {
    /// The exclusive right to write the task's record in the registry.
    type Record: Send;
    /// The place where a task runs: the worker or thread, and its last reading of the clock.
    type Context;

    /// Queues a task that has become ready. Called by the thread that made it so.
    fn queue(&self, task: RawRunnable<Self>, reason: QueueReason);

    /// Returns `true` if the calling thread keeps the executor alive as long as the call that asks goes on, whatever happens to the
    /// cells.
    fn is_kept_by_thread(&self) -> bool;

    /// Returns `true` if tasks that are taken from a queue now must be cancelled instead of polled.
    fn is_cancelling(&self) -> bool;

    /// Returns the reason for which a task is cancelled whose `RawRunnable` is dropped unrun.
    fn cause_if_dropped(&self) -> CancelCause;

    /// Returns `true` if the source locations of panics are recorded.
    fn wants_panic_locations(&self) -> bool;

    /// Called when the thread begins to run the task, and its code: from here until [`leave`](Self::leave) the cell stays alive.
    fn enter(&self, context: &Self::Context, task: TaskPtr);

    /// Called before the thread gives the task up: before the task waits, is queued again or is complete. From here on another
    /// thread may run it to its end, and the cell may be gone.
    fn leave(&self, context: &Self::Context, task: TaskPtr);

    /// Notes that the thread drops the work of `task`, which ends, or does no more. Returns what it has noted before.
    fn drops_work_of(&self, context: &Self::Context, task: Option<TaskPtr>) -> Option<TaskPtr>;

    /// Returns the vtable of the wakers, [`waker_table`](super::waker::waker_table) in a static: wakers are known by its address.
    fn waker_table() -> &'static RawWakerVTable;

    /// Called before each poll; `first` is `true` for the first one.
    fn before_poll(&self, context: &Self::Context, record: &Self::Record, first: bool);

    /// Called after each poll that returned `Pending`, before the task waits or is queued again. `poll` tells which poll it was.
    fn after_poll(
        &self,
        context: &Self::Context,
        record: &Self::Record,
        poll: impl FnOnce() -> PollKey,
    );

    /// Publishes the outcome of a task that has ended. There is no `context` if the task was dropped unrun. `poll` tells which poll
    /// was the last, if there was one.
    fn finish(
        &self,
        context: Option<&Self::Context>,
        record: Self::Record,
        poll: impl FnOnce() -> PollKey,
        outcome: Outcome,
    );

    /// Publishes the outcome of a task that has completed without an error, as [`finish`](Self::finish) does for every other.
    fn complete(
        &self,
        context: &Self::Context,
        record: Self::Record,
        poll: impl FnOnce() -> PollKey,
        detached: bool,
    ) {
        let status = TaskStatus::Completed;
        let outcome =
            Outcome { status, error: None, cancelled_by: None, panicked: false, detached };
        self.finish(Some(context), record, poll, outcome);
    }

    /// Notifies the callers that wait for the id.
    fn notify_watchers(&self, id: TaskId, status: TaskStatus);

    /// Called after a task that somebody watches was asked to stop, for its children.
    fn cancel_children(&self, id: TaskId);

    /// Appends to the record of a task that has ended the message of a destructor that panicked. Called by the runner or the
    /// handle.
    fn append_error(&self, id: TaskId, message: Arc<str>);

    /// Called after a cell was freed, by the thread that freed it. The executor may be gone when this returns.
    ///
    /// # Safety
    ///
    /// Must be called exactly once for each cell that was published, after it was freed: either this or
    /// [`cell_freed_in`](Self::cell_freed_in).
    unsafe fn cell_freed(executor: NonNull<Self>);

    /// Called instead of [`cell_freed`](Self::cell_freed) by the runner, in whose context the task has ended.
    ///
    /// # Safety
    ///
    /// As for [`cell_freed`](Self::cell_freed).
    unsafe fn cell_freed_in(executor: NonNull<Self>, context: &Self::Context) {
        let _ = context;
        // SAFETY: the caller has the same obligations.
        unsafe { Self::cell_freed(executor) };
    }
}

/// What polls have in common that probably take about as long: the type of the work, that is the async block, function or closure
/// in the source, and which poll of the task it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollKey {
    /// A number for the type of the work. Two types have the same one as seldom as two numbers that are drawn at random.
    pub(crate) work: u64,
    /// The number of runs, this one included, as the header counts them.
    pub(crate) runs: u8,
}

/// Returns the number for a type of work.
fn number_of(work: TypeId) -> u64 {
    /// Returns what a `TypeId` hashes as, which is a part of a hash already.
    #[derive(Default)]
    struct AsIs(u64);

    impl Hasher for AsIs {
        fn write_u64(&mut self, number: u64) {
            self.0 ^= number;
        }

        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u64::from(byte);
            }
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    let mut hasher = AsIs::default();
    work.hash(&mut hasher);
    hasher.finish()
}

/// Which poll a [`PollKey`] is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum PollIs {
    /// The one that is being done, or was just done.
    Present,
    /// The one that is to come.
    Next,
}

/// Returns the number of runs after another one; see the header's field.
#[inline]
pub(super) const fn next_run(runs: u8) -> u8 {
    (runs << 1) | 1
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: TaskStatus,
    /// The message of the panic, or of the panics of destructors.
    pub(crate) error: Option<Arc<str>>,
    /// What has cancelled the task, if something has.
    pub(crate) cancelled_by: Option<CancelCause>,
    /// Whether the task has panicked, and not only returned an error that makes it fail.
    pub(crate) panicked: bool,
    /// Whether the handle is gone, so that no caller sees the error.
    pub(crate) detached: bool,
}

/// What can be done with a cell without knowing the type of its work.
pub(super) struct VTable<S: Schedule> {
    /// The type of the work. (The address of the vtable does not tell it: a type has one in each codegen unit that needs it.)
    pub(super) work: TypeId,
    /// Returns the name of that type.
    pub(super) type_name: fn() -> &'static str,
    /// Runs the task. The caller gives up its `RawRunnable`.
    pub(super) run: unsafe fn(NonNull<Header<S>>, &S::Context),
    /// Ends the task unrun. The caller gives up its `RawRunnable`.
    pub(super) drop_unrun: unsafe fn(NonNull<Header<S>>),
    /// Moves the output into the `Option<Result<T, TaskError>>` that the pointer points to. The caller must own the output.
    pub(super) take_output: unsafe fn(NonNull<Header<S>>, *mut ()),
    /// Drops the output, and returns the message of its destructor if that panicked. The caller must own the output.
    pub(super) drop_output: unsafe fn(NonNull<Header<S>>) -> Option<Arc<str>>,
    /// Frees the cell. The caller must have dropped the last reference.
    pub(super) free: unsafe fn(NonNull<Header<S>>),
}

/// The part of a cell that does not depend on the type of its work.
pub(crate) struct Header<S: Schedule> {
    pub(super) state: State,
    pub(super) vtable: &'static VTable<S>,
    /// The executor. It outlives the cell, whose end it learns by [`Schedule::cell_freed`].
    pub(super) executor: NonNull<S>,
    /// The runner's (rule 1). `None` once the task has ended.
    pub(super) record: UnsafeCell<Option<S::Record>>,
    /// The waker of the handle; rule 6 says who may use its place.
    pub(super) join_waker: UnsafeCell<Option<StoredWaker>>,
    pub(super) kind: TaskKind,
    pub(super) priority: Priority,
    /// The runner's (rule 1): how often the task was run, in a unary notation that costs one instruction: 0, 1, 3, 7 and so on, up
    /// to 255, which stands for eight times or more.
    pub(super) runs: UnsafeCell<u8>,
    /// The runner's (rule 1): whether the present poll has asked for another one after those that are queued (rule 10).
    pub(super) yields: UnsafeCell<bool>,
    /// The terminal status, written before COMPLETE is set.
    pub(super) final_status: AtomicU8,
}

impl<S: Schedule> Header<S> {
    /// Returns the task's id.
    pub(crate) fn id(&self) -> TaskId {
        self.state.id().expect("a task has its id before it is handed out")
    }

    pub(crate) fn kind(&self) -> TaskKind {
        self.kind
    }

    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }

    /// Returns the executor.
    pub(crate) fn executor(&self) -> &S {
        // SAFETY: the executor outlives every cell; see the field.
        unsafe { self.executor.as_ref() }
    }

    /// Tells which poll of the task is the next one, or the present one.
    ///
    /// # Safety
    ///
    /// The caller must be the runner (rule 1).
    pub(super) unsafe fn poll_key(&self, at: PollIs) -> PollKey {
        let runs = self.runs.with(|runs| {
            // SAFETY: the field is the runner's, which the caller is.
            unsafe { *runs }
        });
        let runs = match at {
            PollIs::Present => runs,
            PollIs::Next => next_run(runs),
        };
        PollKey { work: number_of(self.vtable.work), runs }
    }

    /// Puts a waker in the handle's place, or none, and returns what was there.
    ///
    /// # Safety
    ///
    /// The place of the waker must be the caller's (rule 6).
    pub(super) unsafe fn replace_join_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        let old = self.join_waker.with_mut(|place| {
            // SAFETY: the place is the caller's, as the caller guarantees, so no other thread uses it.
            unsafe { std::ptr::replace(place, waker.map(StoredWaker::new)) }
        });
        // SAFETY: what is in a place that is the handle's was not taken, and is not in the place any more.
        old.map(|old| unsafe { old.into_waker() })
    }

    pub(super) fn set_final_status(&self, status: TaskStatus) {
        let number = match status {
            TaskStatus::Failed => 1,
            TaskStatus::Cancelled => 2,
            _ => 0,
        };
        // Ordering: Relaxed: `State::complete` releases it afterwards.
        self.final_status.store(number, Ordering::Relaxed);
    }

    /// Returns the terminal status. The caller must have seen COMPLETE.
    pub(super) fn final_status(&self) -> TaskStatus {
        // Ordering: Relaxed: the caller acquired it with COMPLETE.
        match self.final_status.load(Ordering::Relaxed) {
            1 => TaskStatus::Failed,
            2 => TaskStatus::Cancelled,
            _ => TaskStatus::Completed,
        }
    }
}

/// A waker in the form of its parts. They own what the waker owned, but do not drop it. They can be compared with another waker
/// even if this one was taken out by then.
#[derive(Clone, Copy)]
pub(super) struct StoredWaker {
    data: *const (),
    vtable: &'static RawWakerVTable,
}

impl StoredWaker {
    fn new(waker: Waker) -> Self {
        let waker = ManuallyDrop::new(waker);
        Self { data: waker.data(), vtable: waker.vtable() }
    }

    /// Returns whether it is, or was, the same as `waker`, as [`Waker::will_wake`] does.
    pub(super) fn is_like(self, waker: &Waker) -> bool {
        self.data == waker.data() && std::ptr::eq(self.vtable, waker.vtable())
    }

    /// Returns the waker.
    ///
    /// # Safety
    ///
    /// Must be called at most once for all copies.
    pub(super) unsafe fn into_waker(self) -> Waker {
        // SAFETY: these are the parts of a waker that was not dropped, and the caller guarantees that they are used once.
        unsafe { Waker::new(self.data, self.vtable) }
    }
}

/// The right to run a task: exactly one exists while the task is queued or polled (rule 1). Dropping it ends the task (rule 7).
pub(crate) struct RawRunnable<S: Schedule>(NonNull<Header<S>>);

// SAFETY: the work and its output are `Send`, and the owner of the `RawRunnable` has exclusive access to them (rule 1).
unsafe impl<S: Schedule> Send for RawRunnable<S> {}

impl<S: Schedule> RawRunnable<S> {
    /// # Safety
    ///
    /// The caller must have set ACTIVE, or be the runner and have kept it set.
    pub(super) unsafe fn from_raw(header: NonNull<Header<S>>) -> Self {
        Self(header)
    }

    fn header(&self) -> &Header<S> {
        // SAFETY: while the `RawRunnable` exists the task is not complete, and the task's own reference keeps the cell alive (rule
        // 2).
        unsafe { self.0.as_ref() }
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

    /// Returns the executor.
    pub(crate) fn executor(&self) -> &S {
        self.header().executor()
    }

    /// Calls `f` with the task's record.
    pub(crate) fn with_record<R>(&self, f: impl FnOnce(&S::Record) -> R) -> R {
        self.header().record.with(|record| {
            // SAFETY: the record is the runner's (rule 1), which is the owner of the `RawRunnable`. It changes only while the task
            // runs, for which the `RawRunnable` is given up.
            let record = unsafe { &*record };
            f(record.as_ref().expect("a task has its record until it has ended"))
        })
    }

    /// Tells which poll of the task is the next one.
    pub(crate) fn next_poll(&self) -> PollKey {
        // SAFETY: the owner of the `RawRunnable` is the runner (rule 1), and the task does not run, for which this is given up.
        unsafe { self.header().poll_key(PollIs::Next) }
    }

    /// Runs the task until it waits or ends.
    pub(crate) fn run(self, context: &S::Context) {
        let this = ManuallyDrop::new(self);
        let run = this.header().vtable.run;
        // SAFETY: the `RawRunnable` is given up: it is not dropped.
        unsafe { run(this.0, context) };
    }
}

impl<S: Schedule> Drop for RawRunnable<S> {
    fn drop(&mut self) {
        let drop_unrun = self.header().vtable.drop_unrun;
        // SAFETY: the `RawRunnable` is given up: it is being dropped.
        unsafe { drop_unrun(self.0) };
    }
}

impl<S: Schedule> fmt::Debug for RawRunnable<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawRunnable").field(&self.id()).finish()
    }
}

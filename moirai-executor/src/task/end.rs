//! Ending a task: its work is dropped, and its outcome published, in the order of rule 3 of the [parent module](super).

use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::{CancelCause, TaskError, TaskStatus};

use super::cell::{Stage, cell_of, deallocate};
use super::header::{Header, Outcome, PollIs, Schedule};
use super::reference::TaskRef;
use super::state::{Completed, Remaining, TaskPtr};
use super::work::Work;
use crate::panics::{self, log};

/// How a task ends, and the result that its handle gets.
pub(super) struct Ended<T> {
    pub(super) status: TaskStatus,
    pub(super) error: Option<Arc<str>>,
    /// What has cancelled the task, if something has.
    pub(super) cancelled_by: Option<CancelCause>,
    pub(super) output: Result<T, TaskError>,
}

impl<T> Ended<T> {
    pub(super) fn cancelled(cause: CancelCause) -> Self {
        let error = match cause {
            CancelCause::Shutdown => TaskError::ShutDown,
            CancelCause::Timeout => TaskError::TimedOut,
            _ => TaskError::Cancelled,
        };
        let cancelled_by = Some(cause);
        Self { status: TaskStatus::Cancelled, error: None, cancelled_by, output: Err(error) }
    }
}

/// Ends a task unrun (rule 7); see `VTable::drop_unrun`.
///
/// # Safety
///
/// As for [`end`].
pub(super) unsafe fn drop_unrun<W: Work + 'static, S: Schedule>(header: NonNull<Header<S>>) {
    // SAFETY: the cell is alive as long as the right to run the task is held (rule 2), which is given up below.
    let cell = unsafe { cell_of::<W, S>(header) };
    let _ = cell.header.state.cancel(cell.header.executor().cause_if_dropped());
    let ending = Ended::cancelled(cell.header.state.cause());
    // SAFETY: the `RawRunnable` was the caller's, and is given up here.
    unsafe { end::<W, S>(header, None, ending) };
}

/// Ends a task: drops the work, publishes the outcome and notifies those who wait, in the order of rule 3.
///
/// # Safety
///
/// The header must be that of a `Cell<W, S>`. The caller must own the task's `RawRunnable`, and gives it up: it must not use the
/// cell again. (The header is passed as a pointer because a reference that is passed as an argument must be valid until the
/// function returns.)
pub(super) unsafe fn end<W: Work + 'static, S: Schedule>(
    header: NonNull<Header<S>>,
    context: Option<&S::Context>,
    ending: Ended<W::Output>,
) {
    let Ended { status, mut error, cancelled_by, output } = ending;
    // SAFETY: the task's own reference keeps the cell alive until `complete` is called. If that returns `Remaining`, it does so
    // until the end of this function; otherwise the cell is not used again.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor();
    let task = TaskPtr::of(&cell.header.state);
    let dropping = context.map(|context| executor.drops_work_of(context, Some(task)));
    let dropped = panics::contain(|| {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's (rule 1). The work is dropped in the place where it was pinned. The assignment
            // stores the new value even if the destructor unwinds.
            unsafe { *stage = Stage::Empty };
        });
    });
    add(&mut error, dropped);
    let detached = !cell.header.state.has_handle();
    let output = if detached {
        // The output is dropped before the outcome is published, so that a panic of its destructor is part of the record.
        add(&mut error, panics::contain(|| drop(output)));
        None
    } else {
        Some(output)
    };
    let record = cell.header.record.with_mut(|record| {
        // SAFETY: the field is the runner's (rule 1).
        unsafe { &mut *record }.take().expect("a record stays until the end")
    });
    // SAFETY: this is the runner until COMPLETE is set.
    let poll = || unsafe { cell.header.poll_key(PollIs::Present) };
    let panicked = status == TaskStatus::Failed;
    let outcome = Outcome { status, error, cancelled_by, panicked, detached };
    executor.finish(context, record, poll, outcome);
    cell.header.set_final_status(status);
    if let Some(output) = output {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's until COMPLETE is set, and empty.
            unsafe { *stage = Stage::Output(output) };
        });
    }
    if let Some(context) = context {
        executor.drops_work_of(context, dropping.flatten());
        executor.leave(context, task);
    }
    match cell.header.state.complete() {
        Completed::Done => {}
        Completed::Alone => {
            // SAFETY: the runner is alone with the cell (rule 9), and so owns the output, too.
            unsafe { free_alone::<W, S>(header, context) };
        }
        Completed::Remaining(remaining) => {
            // SAFETY: this is the task's own reference (rule 2), which `complete` has left to the runner.
            unsafe { finish_remaining(header, status, remaining) };
        }
    }
}

/// Ends a task whose poll has returned its output, in the same order as [`end`]. Most tasks end like this, without a handle or
/// with one that has set no waker yet.
///
/// # Safety
///
/// As for [`end`].
#[inline]
pub(super) unsafe fn end_completed<W: Work + 'static, S: Schedule>(
    header: NonNull<Header<S>>,
    context: &S::Context,
    output: W::Output,
) {
    // SAFETY: as in `end`.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor();
    let empty = || {
        cell.stage.with_mut(|stage| {
            // SAFETY: as in `end`.
            unsafe { *stage = Stage::Empty };
        });
    };
    let mut error = None;
    // A constant, for which the compiler leaves out the other branch.
    if const { std::mem::needs_drop::<W>() } {
        error = panics::contain(empty);
    } else {
        empty();
    }
    let failure = if const { W::MAY_FAIL } { W::failure(&output) } else { None };
    let detached = !cell.header.state.has_handle();
    let mut output = Some(output);
    if detached {
        // The output is dropped before the outcome is published, so that a panic of its destructor is part of the record.
        let output = output.take();
        if const { std::mem::needs_drop::<W::Output>() } {
            add(&mut error, panics::contain(|| drop(output)));
        }
    }
    let record = cell.header.record.with_mut(|record| {
        // SAFETY: the field is the runner's (rule 1).
        unsafe { &mut *record }.take().expect("a record stays until the end")
    });
    // SAFETY: this is the runner until COMPLETE is set.
    let poll = || unsafe { cell.header.poll_key(PollIs::Present) };
    let mut status = TaskStatus::Completed;
    if const { W::MAY_FAIL } && failure.is_some() {
        status = TaskStatus::Failed;
        let destructors = std::mem::replace(&mut error, failure);
        add(&mut error, destructors);
    }
    if error.is_none() {
        executor.complete(context, record, poll, detached);
    } else {
        let outcome = Outcome { status, error, cancelled_by: None, panicked: false, detached };
        executor.finish(Some(context), record, poll, outcome);
    }
    // The final status of a new cell is `Completed`.
    if const { W::MAY_FAIL } {
        cell.header.set_final_status(status);
    }
    if let Some(output) = output {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's until COMPLETE is set. It is empty, so there is nothing to drop.
            unsafe { stage.write(Stage::Output(Ok(output))) };
        });
    }
    executor.leave(context, TaskPtr::of(&cell.header.state));
    match cell.header.state.complete() {
        Completed::Done => {}
        // SAFETY: as in `end`.
        Completed::Alone => unsafe { free_alone::<W, S>(header, Some(context)) },
        // SAFETY: as in `end`.
        Completed::Remaining(remaining) => unsafe { finish_remaining(header, status, remaining) },
    }
}

/// Frees the cell of a task that has ended, for a runner that is alone with it (rule 9).
///
/// # Safety
///
/// The header must be that of a `Cell<W, S>`, and the caller must have the last reference to it, which it gives up.
#[inline]
unsafe fn free_alone<W: Work, S: Schedule>(
    header: NonNull<Header<S>>,
    context: Option<&S::Context>,
) {
    // SAFETY: the caller's reference keeps the cell alive.
    let cell = unsafe { cell_of::<W, S>(header) };
    let has_output = cell.stage.with(|stage| {
        // SAFETY: no other thread uses the cell.
        matches!(unsafe { &*stage }, Stage::Output(_))
    });
    if has_output {
        // The handle was dropped after the runner had looked for it.
        // SAFETY: the output is the runner's (rule 5).
        unsafe { drop_last_output(header) };
    }
    // SAFETY: the caller has the last reference, and gives it up. The stage is empty, and there was no handle to set a waker, or it
    // has dropped it.
    let executor = unsafe { deallocate::<W, S>(header) };
    match context {
        // SAFETY: the cell was published, and was freed just now.
        Some(context) => unsafe { S::cell_freed_in(executor, context) },
        // SAFETY: as above.
        None => unsafe { S::cell_freed(executor) },
    }
}

/// Drops the output of a task that has ended, and appends the message to its record if that panics.
///
/// # Safety
///
/// The caller must have a reference to the cell, and own the output.
#[cold]
unsafe fn drop_last_output<S: Schedule>(header: NonNull<Header<S>>) {
    // SAFETY: the caller's reference keeps the cell alive.
    let header_ref = unsafe { header.as_ref() };
    // SAFETY: the output is the caller's.
    if let Some(message) = unsafe { (header_ref.vtable.drop_output)(header) } {
        header_ref.executor().append_error(header_ref.id(), message);
    }
}

/// Does what remains after the outcome was published, and drops the task's own reference.
///
/// # Safety
///
/// The caller must have that reference, and gives it up. `remaining` must be what the caller's [`complete`] has returned.
///
/// [`complete`]: super::state::State::complete
#[inline(never)]
unsafe fn finish_remaining<S: Schedule>(
    header: NonNull<Header<S>>,
    status: TaskStatus,
    remaining: Remaining,
) {
    // SAFETY: the caller gives the reference up.
    let task = unsafe { TaskRef::adopt(header) };
    if remaining.wake_handle {
        // SAFETY: the caller has completed the task, and `complete` has found JOIN_WAKER set.
        unsafe { wake_join_waker(task.header()) };
    }
    if remaining.drop_output {
        // SAFETY: the output is the runner's, because `complete` found HANDLE clear (rule 5).
        unsafe { drop_last_output(header) };
    }
    if remaining.notify_watchers {
        task.header().executor().notify_watchers(task.header().id(), status);
    }
}

/// Wakes the handle's waker, and drops it.
///
/// # Safety
///
/// The caller must have completed the task with JOIN_WAKER set, and must call this once.
unsafe fn wake_join_waker<S: Schedule>(header: &Header<S>) {
    let stored = header.join_waker.with(|place| {
        // SAFETY: COMPLETE and JOIN_WAKER are set, so no thread writes to the place any more (rule 6).
        unsafe { *place }
    });
    let Some(stored) = stored else { return };
    // SAFETY: the waker is the caller's (rule 6), which takes it once.
    let waker = unsafe { stored.into_waker() };
    if let Some(message) = panics::contain(|| waker.wake()) {
        let id = header.id().get();
        log!(error, id, panic = &*message, "a waker panicked");
    }
}

/// Appends the message of a destructor that panicked to the error.
fn add(error: &mut Option<Arc<str>>, message: Option<Arc<str>>) {
    if let Some(message) = message {
        *error = Some(panics::joined(error.as_deref(), &message));
    }
}

//! Running a task and ending it: the runner's side of a cell.

use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use moirai_core::{QueueReason, TaskError, TaskKind, TaskStatus};
use moirai_sync::budget;

use super::cell::{Cell, Stage, cell_of};
use super::header::{Header, Outcome, RawRunnable, Schedule};
use super::reference::TaskRef;
use super::state::{AfterPoll, CancelReason, Completed, PollStart};
use super::waker;
use super::work::Work;
use crate::panics::{self, Caught};

/// Runs a task until it waits or ends; see `VTable::run`.
///
/// # Safety
///
/// The header must be that of a `Cell<W, S>`. The caller must own the task's `RawRunnable`, and gives it up.
pub(super) unsafe fn run<W: Work + 'static, S: Schedule>(
    header: NonNull<Header<S>>,
    context: &S::Context,
) {
    // SAFETY: the cell is alive as long as the right to run the task is held (rule 2). Every path below that gives this right up,
    // to a queue or by ending the task or its poll, returns at once.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor();
    let first = cell.header.started.with_mut(|started| {
        // SAFETY: the field is the runner's (rule 1).
        !unsafe { std::ptr::replace(started, true) }
    });
    if cell.header.state.start_poll() == PollStart::Cancelled || executor.is_cancelling() {
        if executor.is_cancelling() {
            // The shutdown is noted as the reason, unless a user's request came first.
            let _ = cell.header.state.cancel(CancelReason::Shutdown);
        }
        let ending = Ended::cancelled(cell.header.state.reason());
        // SAFETY: the `RawRunnable` was the caller's, and is given up here.
        return unsafe { end::<W, S>(header, Some(context), ending) };
    }
    cell.header.record.with(|record| {
        // SAFETY: the field is the runner's (rule 1).
        let record = unsafe { &*record };
        executor.before_poll(
            context,
            record.as_ref().expect("a record stays until the end"),
            first,
        );
    });
    // SAFETY: the waker is used only during the poll, and the cell is alive meanwhile, because the task is not complete (rule 2).
    let waker = unsafe { waker::borrowed(header) };
    let polled = panics::catch(executor.wants_panic_locations(), || {
        let poll = || poll_stage(cell, &mut Context::from_waker(&waker));
        match cell.header.kind {
            TaskKind::Async => budget::grant(poll),
            _ => budget::unlimited(poll),
        }
    });
    let ending = match polled {
        Ok(Poll::Pending) => {
            cell.header.record.with(|record| {
                // SAFETY: the field is the runner's (rule 1).
                let record = unsafe { &*record };
                executor
                    .after_poll(context, record.as_ref().expect("a record stays until the end"));
            });
            match cell.header.state.after_poll() {
                AfterPoll::Waits => return,
                AfterPoll::QueueAgain => {
                    // SAFETY: ACTIVE was kept set, and with it the right to the one `RawRunnable`.
                    let task = unsafe { RawRunnable::from_raw(header) };
                    return executor.queue(task, QueueReason::Yielded);
                }
                AfterPoll::Cancelled => Ended::cancelled(cell.header.state.reason()),
            }
        }
        Ok(Poll::Ready(output)) => Ended {
            status: TaskStatus::Completed,
            error: None,
            reason: CancelReason::User,
            output: Ok(output),
        },
        // Only the fork-join of a task that was asked to stop unwinds like this.
        Err(Caught::Cancelled) => Ended::cancelled(cell.header.state.reason()),
        Err(Caught::Panic(panic)) => Ended {
            status: TaskStatus::Failed,
            error: Some(panic.message().into()),
            reason: CancelReason::User,
            output: Err(TaskError::Panicked(panic)),
        },
    };
    // SAFETY: the `RawRunnable` was the caller's, and is given up here.
    unsafe { end::<W, S>(header, Some(context), ending) };
}

/// Ends a task unrun (rule 7); see `VTable::drop_unrun`.
///
/// # Safety
///
/// As for [`run`].
pub(super) unsafe fn drop_unrun<W: Work + 'static, S: Schedule>(header: NonNull<Header<S>>) {
    // SAFETY: the cell is alive as long as the right to run the task is held (rule 2), which is given up below.
    let cell = unsafe { cell_of::<W, S>(header) };
    let _ = cell.header.state.cancel(cell.header.executor().reason_if_dropped());
    let ending = Ended::cancelled(cell.header.state.reason());
    // SAFETY: the `RawRunnable` was the caller's, and is given up here.
    unsafe { end::<W, S>(header, None, ending) };
}

fn poll_stage<W: Work, S: Schedule>(cell: &Cell<W, S>, cx: &mut Context<'_>) -> Poll<W::Output> {
    cell.stage.with_mut(|stage| {
        // SAFETY: the stage is the runner's (rule 1).
        let Stage::Work(work) = (unsafe { &mut *stage }) else {
            unreachable!("a task that is not complete has its work in place")
        };
        // SAFETY: the work is never moved: it stays in the cell until it is dropped there.
        unsafe { std::pin::Pin::new_unchecked(work) }.poll(cx)
    })
}

/// How a task ends, and the result that its handle gets.
struct Ended<T> {
    status: TaskStatus,
    error: Option<Arc<str>>,
    reason: CancelReason,
    output: Result<T, TaskError>,
}

impl<T> Ended<T> {
    fn cancelled(reason: CancelReason) -> Self {
        let error = match reason {
            CancelReason::User => TaskError::Cancelled,
            CancelReason::Shutdown => TaskError::ShutDown,
            CancelReason::Deadline => TaskError::TimedOut,
        };
        Self { status: TaskStatus::Cancelled, error: None, reason, output: Err(error) }
    }
}

/// Ends a task: drops the work, publishes the outcome and notifies those who wait, in the order of rule 3.
///
/// # Safety
///
/// The header must be that of a `Cell<W, S>`. The caller must own the task's `RawRunnable`, and gives it up: it must not use the
/// cell again. (The header is passed as a pointer because a reference that is passed as an argument must be valid until the
/// function returns.)
unsafe fn end<W: Work + 'static, S: Schedule>(
    header: NonNull<Header<S>>,
    context: Option<&S::Context>,
    ending: Ended<W::Output>,
) {
    let Ended { status, mut error, reason, output } = ending;
    // SAFETY: the task's own reference keeps the cell alive until `complete` is called. If that returns `Remaining`, it does so
    // until the end of this function; otherwise the cell is not used again.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor();
    let id = cell.header.id();
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
    executor.finish(context, record, Outcome { status, error, reason, detached });
    cell.header.set_final_status(status);
    if let Some(output) = output {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's until COMPLETE is set, and empty.
            unsafe { *stage = Stage::Output(output) };
        });
    }
    let Completed::Remaining { drop_output, wake_handle, notify_watchers } =
        cell.header.state.complete()
    else {
        return;
    };
    // SAFETY: this is the task's own reference (rule 2), which `complete` has left to the runner. It is dropped at the end of this
    // function.
    let task = unsafe { TaskRef::adopt(header) };
    if wake_handle {
        wake_join_waker(task.header());
    }
    if drop_output {
        let drop_output = cell.header.vtable.drop_output;
        // SAFETY: the output is the runner's, because `complete` found HANDLE clear (rule 5).
        if let Some(message) = unsafe { drop_output(task.as_ptr()) } {
            executor.append_error(id, message);
        }
    }
    if notify_watchers {
        executor.notify_watchers(id, status);
    }
}

/// Wakes the handle's waker and clears JOIN_WAKER; drops the waker if the handle is gone (rule 6).
fn wake_join_waker<S: Schedule>(header: &Header<S>) {
    let mut panicked = panics::contain(|| {
        header.join_waker.with(|waker| {
            // SAFETY: COMPLETE and JOIN_WAKER are set, so the place is only read until JOIN_WAKER is cleared below.
            if let Some(waker) = unsafe { &*waker } {
                waker.wake_by_ref();
            }
        });
    });
    if header.state.release_join_waker() {
        // SAFETY: the handle was gone before JOIN_WAKER was cleared, so the place is the runner's.
        panicked = panicked.or(unsafe { header.drop_join_waker() });
    }
    if let Some(message) = panicked {
        let id = header.id().get();
        tracing::error!(target: "moirai", id, panic = &*message, "a waker panicked");
    }
}

/// Appends the message of a destructor that panicked to the error.
fn add(error: &mut Option<Arc<str>>, message: Option<Arc<str>>) {
    if let Some(message) = message {
        *error = Some(panics::joined(error.as_deref(), &message));
    }
}

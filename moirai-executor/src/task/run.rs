//! Running a task, and ending it.

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

/// See `VTable::run`.
///
/// # Safety
///
/// The header is that of a `Cell<W, S>`, and the caller gives up its `Runnable`.
pub(super) unsafe fn run<W: Work + 'static, S: Schedule>(
    header: NonNull<Header<S>>,
    context: &S::Context,
) {
    // SAFETY: the cell lives while the `Runnable` does; every return below follows from giving that up.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor();
    let first = cell.header.started.with_mut(|started| {
        // SAFETY: the runner's field.
        !unsafe { std::ptr::replace(started, true) }
    });
    if cell.header.state.start_poll() == PollStart::Cancelled || executor.is_cancelling() {
        if executor.is_cancelling() {
            // Recorded before anything else can be: a user's request that came first stays what it is.
            let _ = cell.header.state.cancel(CancelReason::Shutdown);
        }
        let ending = Ended::cancelled(cell.header.state.reason());
        // SAFETY: the `Runnable` is given up.
        return unsafe { end::<W, S>(header, Some(context), ending) };
    }
    cell.header.record.with(|record| {
        // SAFETY: the runner's field.
        let record = unsafe { &*record };
        executor.before_poll(
            context,
            record.as_ref().expect("an record stays until the end"),
            first,
        );
    });
    // SAFETY: the waker is used during the poll only, and the task lives meanwhile.
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
                // SAFETY: the runner's field.
                let record = unsafe { &*record };
                executor
                    .after_poll(context, record.as_ref().expect("an record stays until the end"));
            });
            match cell.header.state.after_poll() {
                AfterPoll::Waits => return,
                AfterPoll::QueueAgain => {
                    // SAFETY: ACTIVE was kept, and with it the `Runnable`.
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
        // Only a task that was asked to stop is unwound like this.
        Err(Caught::Cancelled) => Ended::cancelled(cell.header.state.reason()),
        Err(Caught::Panic(panic)) => Ended {
            status: TaskStatus::Failed,
            error: Some(panic.message().into()),
            reason: CancelReason::User,
            output: Err(TaskError::Panicked(panic)),
        },
    };
    // SAFETY: the `Runnable` is given up.
    unsafe { end::<W, S>(header, Some(context), ending) };
}

/// See `VTable::drop_unrun`.
///
/// # Safety
///
/// As for [`run`].
pub(super) unsafe fn drop_unrun<W: Work + 'static, S: Schedule>(header: NonNull<Header<S>>) {
    // SAFETY: as in `run`.
    let cell = unsafe { cell_of::<W, S>(header) };
    let _ = cell.header.state.cancel(cell.header.executor().reason_if_dropped());
    let ending = Ended::cancelled(cell.header.state.reason());
    // SAFETY: the `Runnable` is given up.
    unsafe { end::<W, S>(header, None, ending) };
}

fn poll_stage<W: Work, S: Schedule>(cell: &Cell<W, S>, cx: &mut Context<'_>) -> Poll<W::Output> {
    cell.stage.with_mut(|stage| {
        // SAFETY: the stage is the runner's.
        let Stage::Work(work) = (unsafe { &mut *stage }) else {
            unreachable!("a task that is not complete has its work in place")
        };
        // SAFETY: the work stays where it is until it is dropped there.
        unsafe { std::pin::Pin::new_unchecked(work) }.poll(cx)
    })
}

/// How a task ends, and what its handle gets.
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

/// Ends a task, in the order of rule 3.
///
/// # Safety
///
/// The header is that of a `Cell<W, S>`, and the caller gives up its `Runnable`: it must not use the cell again. (It is
/// handed over as a pointer because a reference as an argument would have to be good until the return.)
unsafe fn end<W: Work + 'static, S: Schedule>(
    header: NonNull<Header<S>>,
    context: Option<&S::Context>,
    ending: Ended<W::Output>,
) {
    let Ended { status, mut error, reason, output } = ending;
    // SAFETY: the task's own reference keeps the cell until COMPLETE is set; from then on what `complete` says.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor();
    let id = cell.header.id();
    let dropped = panics::contain(|| {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's. The work is dropped where it was pinned; the assignment stores the new
            // value even if the destructor unwinds.
            unsafe { *stage = Stage::Empty };
        });
    });
    add(&mut error, dropped);
    let detached = !cell.header.state.has_handle();
    let output = if detached {
        // Dropped before the outcome is published, so that what its destructor says is in the record.
        add(&mut error, panics::contain(|| drop(output)));
        None
    } else {
        Some(output)
    };
    let record = cell.header.record.with_mut(|record| {
        // SAFETY: the runner's field.
        unsafe { &mut *record }.take().expect("an record stays until the end")
    });
    executor.finish(context, record, Outcome { status, error, reason, detached });
    cell.header.set_final_status(status);
    if let Some(output) = output {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's, and empty.
            unsafe { *stage = Stage::Output(output) };
        });
    }
    let Completed::Remaining { drop_output, wake_handle, notify_watchers } =
        cell.header.state.complete()
    else {
        return;
    };
    // SAFETY: the task's own reference (rule 2), which goes at the end of this function.
    let task = unsafe { TaskRef::adopt(header) };
    if wake_handle {
        wake_join_waker(task.header());
    }
    if drop_output {
        let drop_output = cell.header.vtable.drop_output;
        // SAFETY: the output is the runner's (rule 5).
        if let Some(message) = unsafe { drop_output(task.as_ptr()) } {
            executor.append_error(id, message);
        }
    }
    if notify_watchers {
        executor.notify_watchers(id, status);
    }
}

/// Wakes the handle's waker, and gives its place back (rule 6).
fn wake_join_waker<S: Schedule>(header: &Header<S>) {
    let mut panicked = panics::contain(|| {
        header.join_waker.with(|waker| {
            // SAFETY: COMPLETE and JOIN_WAKER are set: the place is only read until JOIN_WAKER is cleared, below.
            if let Some(waker) = unsafe { &*waker } {
                waker.wake_by_ref();
            }
        });
    });
    if header.state.release_join_waker() {
        // SAFETY: the handle was gone before the bit was cleared, so it left the place to the runner.
        panicked = panicked.or(unsafe { header.drop_join_waker() });
    }
    if let Some(message) = panicked {
        let id = header.id().get();
        tracing::error!(target: "moirai", id, panic = &*message, "a waker panicked");
    }
}

/// Adds what a destructor said to what is known.
fn add(error: &mut Option<Arc<str>>, message: Option<Arc<str>>) {
    if let Some(message) = message {
        *error = Some(panics::joined(error.as_deref(), &message));
    }
}

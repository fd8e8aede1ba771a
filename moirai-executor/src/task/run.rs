//! Running a task: the runner's side of a cell.

use std::ptr::NonNull;
use std::task::{Context, Poll};

use moirai_core::{CancelCause, QueueReason, TaskError, TaskKind, TaskStatus};
use moirai_sync::budget;

use super::cell::{Cell, Stage, cell_of};
use super::end::{Ended, end, end_completed};
use super::header::{Header, PollIs, RawRunnable, Schedule, next_run};
use super::state::{AfterPoll, PollStart, TaskPtr};
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
    executor.enter(context, TaskPtr::of(&cell.header.state));
    let first = cell.header.runs.with_mut(|runs| {
        // SAFETY: the field is the runner's (rule 1).
        let before = unsafe { *runs };
        // SAFETY: as above.
        unsafe { *runs = next_run(before) };
        before == 0
    });
    if cell.header.state.start_poll() == PollStart::Cancelled || executor.is_cancelling() {
        if executor.is_cancelling() {
            // The shutdown is noted as the cause, unless a user's request came first.
            let _ = cell.header.state.cancel(CancelCause::Shutdown);
        }
        let ending = Ended::cancelled(cell.header.state.cause());
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
                let record = record.as_ref().expect("a record stays until the end");
                // SAFETY: this is the runner.
                executor.after_poll(context, record, || unsafe {
                    cell.header.poll_key(PollIs::Present)
                });
            });
            let ptr = TaskPtr::of(&cell.header.state);
            executor.leave(context, ptr);
            let yields = cell.header.yields.with_mut(|yields| {
                // SAFETY: the field is the runner's (rule 1).
                unsafe { std::ptr::replace(yields, false) }
            });
            let state = &cell.header.state;
            match if yields { state.after_yield() } else { state.after_poll() } {
                AfterPoll::Waits => return,
                AfterPoll::QueueAgain => {
                    // SAFETY: ACTIVE was kept set, and with it the right to the one `RawRunnable`.
                    let task = unsafe { RawRunnable::from_raw(header) };
                    return executor.queue(task, QueueReason::Yielded);
                }
                AfterPoll::Cancelled => {
                    executor.enter(context, ptr);
                    Ended::cancelled(cell.header.state.cause())
                }
            }
        }
        Ok(Poll::Ready(output)) => {
            // SAFETY: the `RawRunnable` was the caller's, and is given up here.
            return unsafe { end_completed::<W, S>(header, context, output) };
        }
        // Only the fork-join of a task that was asked to stop unwinds like this.
        Err(Caught::Cancelled) => Ended::cancelled(cell.header.state.cause()),
        Err(Caught::Panic(panic)) => Ended {
            status: TaskStatus::Failed,
            error: Some(panic.message().into()),
            cancelled_by: None,
            output: Err(TaskError::Panicked(panic)),
        },
    };
    // SAFETY: the `RawRunnable` was the caller's, and is given up here.
    unsafe { end::<W, S>(header, Some(context), ending) };
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

//! Running a task, and ending it.

use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use moirai_core::{Ready, TaskError, TaskStatus};

use super::cell::{Cell, Stage, cell_of};
use super::header::{Header, Host, TaskRef, Verdict};
use super::runnable::RawRunnable;
use super::state::{AfterPoll, Asker, Completed, TakenUp};
use super::waker;
use super::work::Work;
use crate::panics;

/// See `VTable::run`.
///
/// # Safety
///
/// The header is that of a `Cell<W, H>`, and the caller gives up its `Runnable`.
pub(super) unsafe fn run<W: Work + 'static, H: Host>(header: NonNull<Header<H>>, env: &H::Env) {
    // SAFETY: the cell lives while the `Runnable` does; every return below follows from giving that up.
    let cell = unsafe { cell_of::<W, H>(header) };
    let host = cell.header.host();
    let first = cell.header.started.with_mut(|started| {
        // SAFETY: the runner's field.
        !unsafe { std::ptr::replace(started, true) }
    });
    if cell.header.state.take_up() == TakenUp::Cancelled || host.is_cancelling() {
        if host.is_cancelling() {
            // Recorded before anything else can be: a user's request that came first stays what it is.
            let _ = cell.header.state.cancel(Asker::Shutdown);
        }
        return end_cancelled(cell, header, Some(env));
    }
    cell.header.entry.with(|entry| {
        // SAFETY: the runner's field.
        let entry = unsafe { &*entry };
        host.before_poll(env, entry.as_ref().expect("an entry stays until the end"), first);
    });
    // SAFETY: the waker is used during the poll only, and the task lives meanwhile.
    let waker = unsafe { waker::borrowed(header) };
    let polled = panics::catch(host.wants_panic_locations(), || {
        poll_stage(cell, &mut Context::from_waker(&waker))
    });
    match polled {
        Ok(Poll::Pending) => {
            cell.header.entry.with(|entry| {
                // SAFETY: the runner's field.
                let entry = unsafe { &*entry };
                host.after_poll(env, entry.as_ref().expect("an entry stays until the end"));
            });
            match cell.header.state.after_poll() {
                AfterPoll::Waits => {}
                AfterPoll::QueueAgain => {
                    // SAFETY: ACTIVE was kept, and with it the `Runnable`.
                    let task = unsafe { RawRunnable::from_raw(header) };
                    host.queue(task, Ready::Yielded);
                }
                AfterPoll::Cancelled => end_cancelled(cell, header, Some(env)),
            }
        }
        Ok(Poll::Ready(output)) => {
            end(cell, header, Some(env), TaskStatus::Completed, None, Asker::User, Ok(output));
        }
        Err(panic) => {
            let message: Arc<str> = panic.message().into();
            let output = Err(TaskError::Panicked(panic));
            end(cell, header, Some(env), TaskStatus::Failed, Some(message), Asker::User, output);
        }
    }
}

/// See `VTable::abandon`.
///
/// # Safety
///
/// As for [`run`].
pub(super) unsafe fn abandon<W: Work + 'static, H: Host>(header: NonNull<Header<H>>) {
    // SAFETY: as in `run`.
    let cell = unsafe { cell_of::<W, H>(header) };
    let _ = cell.header.state.cancel(Asker::Shutdown);
    end_cancelled(cell, header, None);
}

fn poll_stage<W: Work, H: Host>(cell: &Cell<W, H>, cx: &mut Context<'_>) -> Poll<W::Output> {
    cell.stage.with_mut(|stage| {
        // SAFETY: the stage is the runner's.
        let Stage::Work(work) = (unsafe { &mut *stage }) else {
            unreachable!("a task that is not complete has its work in place")
        };
        // SAFETY: the work stays where it is until it is dropped there.
        unsafe { std::pin::Pin::new_unchecked(work) }.poll(cx)
    })
}

fn end_cancelled<W: Work + 'static, H: Host>(
    cell: &Cell<W, H>,
    header: NonNull<Header<H>>,
    env: Option<&H::Env>,
) {
    let asker = cell.header.state.asker();
    let error = match asker {
        Asker::User => TaskError::Cancelled,
        Asker::Shutdown => TaskError::ShutDown,
    };
    end(cell, header, env, TaskStatus::Cancelled, None, asker, Err(error));
}

/// Ends a task, in the order of rule 3.
fn end<W: Work + 'static, H: Host>(
    cell: &Cell<W, H>,
    header: NonNull<Header<H>>,
    env: Option<&H::Env>,
    status: TaskStatus,
    mut error: Option<Arc<str>>,
    asker: Asker,
    output: Result<W::Output, TaskError>,
) {
    let host = cell.header.host();
    let id = cell.header.id();
    let dropped = panics::message_of(|| {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's. The work is dropped where it was pinned; the assignment stores the new
            // value even if the destructor unwinds.
            unsafe { *stage = Stage::Empty };
        });
    });
    add(&mut error, dropped);
    let detached = !cell.header.state.has_handle();
    let output = if detached {
        // Dropped before the verdict is published, so that what its destructor says is in the record.
        add(&mut error, panics::message_of(|| drop(output)));
        None
    } else {
        Some(output)
    };
    let entry = cell.header.entry.with_mut(|entry| {
        // SAFETY: the runner's field.
        unsafe { &mut *entry }.take().expect("an entry stays until the end")
    });
    host.finish(env, entry, Verdict { status, error, asker, detached });
    cell.header.set_verdict(status);
    if let Some(output) = output {
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the runner's, and empty.
            unsafe { *stage = Stage::Output(output) };
        });
    }
    let Completed::Owing { drop_output, wake_handle, tell_watchers } = cell.header.state.complete()
    else {
        return;
    };
    // SAFETY: the task's own reference (rule 2), which goes at the end of this function.
    let task = unsafe { TaskRef::adopt(header) };
    if wake_handle {
        let panicked = panics::message_of(|| {
            cell.header.join_waker.with(|waker| {
                // SAFETY: COMPLETE and JOIN_WAKER are set: the place is only read until the cell is freed (rule 6).
                if let Some(waker) = unsafe { &*waker } {
                    waker.wake_by_ref();
                }
            });
        });
        if let Some(message) = panicked {
            tracing::error!(target: "moirai", id = id.get(), panic = &*message, "a waker panicked");
        }
    }
    if drop_output {
        let drop_output = cell.header.vtable.drop_output;
        // SAFETY: the output is the runner's (rule 5).
        if let Some(message) = unsafe { drop_output(task.as_ptr()) } {
            host.note(id, message);
        }
    }
    if tell_watchers {
        host.tell_watchers(id, status);
    }
}

/// Adds what a destructor said to what is known.
fn add(error: &mut Option<Arc<str>>, message: Option<Arc<str>>) {
    if let Some(message) = message {
        *error = Some(panics::joined(error.as_deref(), &message));
    }
}

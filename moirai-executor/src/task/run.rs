//! Running a task, and ending it.

use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use moirai_core::{Ready, TaskError, TaskKind, TaskStatus};
use moirai_sync::budget;

use super::cell::{Cell, Stage, cell_of};
use super::header::{Header, Host, RawRunnable, Verdict};
use super::reference::TaskRef;
use super::state::{AfterPoll, Asker, Completed, TakenUp};
use super::waker;
use super::work::Work;
use crate::panics::{self, Caught};

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
        let ending = Ending::cancelled(cell.header.state.asker());
        // SAFETY: the `Runnable` is given up.
        return unsafe { end::<W, H>(header, Some(env), ending) };
    }
    cell.header.entry.with(|entry| {
        // SAFETY: the runner's field.
        let entry = unsafe { &*entry };
        host.before_poll(env, entry.as_ref().expect("an entry stays until the end"), first);
    });
    // SAFETY: the waker is used during the poll only, and the task lives meanwhile.
    let waker = unsafe { waker::borrowed(header) };
    let polled = panics::catch(host.wants_panic_locations(), || {
        let poll = || poll_stage(cell, &mut Context::from_waker(&waker));
        match cell.header.kind {
            TaskKind::Async => budget::grant(poll),
            _ => budget::unlimited(poll),
        }
    });
    let ending = match polled {
        Ok(Poll::Pending) => {
            cell.header.entry.with(|entry| {
                // SAFETY: the runner's field.
                let entry = unsafe { &*entry };
                host.after_poll(env, entry.as_ref().expect("an entry stays until the end"));
            });
            match cell.header.state.after_poll() {
                AfterPoll::Waits => return,
                AfterPoll::QueueAgain => {
                    // SAFETY: ACTIVE was kept, and with it the `Runnable`.
                    let task = unsafe { RawRunnable::from_raw(header) };
                    return host.queue(task, Ready::Yielded);
                }
                AfterPoll::Cancelled => Ending::cancelled(cell.header.state.asker()),
            }
        }
        Ok(Poll::Ready(output)) => Ending {
            status: TaskStatus::Completed,
            error: None,
            asker: Asker::User,
            output: Ok(output),
        },
        // Only a task that was asked to stop is unwound like this.
        Err(Caught::Cancelled) => Ending::cancelled(cell.header.state.asker()),
        Err(Caught::Panic(panic)) => Ending {
            status: TaskStatus::Failed,
            error: Some(panic.message().into()),
            asker: Asker::User,
            output: Err(TaskError::Panicked(panic)),
        },
    };
    // SAFETY: the `Runnable` is given up.
    unsafe { end::<W, H>(header, Some(env), ending) };
}

/// See `VTable::abandon`.
///
/// # Safety
///
/// As for [`run`].
pub(super) unsafe fn abandon<W: Work + 'static, H: Host>(header: NonNull<Header<H>>) {
    // SAFETY: as in `run`.
    let cell = unsafe { cell_of::<W, H>(header) };
    let _ = cell.header.state.cancel(cell.header.host().abandoned_by());
    let ending = Ending::cancelled(cell.header.state.asker());
    // SAFETY: the `Runnable` is given up.
    unsafe { end::<W, H>(header, None, ending) };
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

/// How a task ends, and what its handle gets.
struct Ending<T> {
    status: TaskStatus,
    error: Option<Arc<str>>,
    asker: Asker,
    output: Result<T, TaskError>,
}

impl<T> Ending<T> {
    fn cancelled(asker: Asker) -> Self {
        let error = match asker {
            Asker::User => TaskError::Cancelled,
            Asker::Shutdown => TaskError::ShutDown,
            Asker::Deadline => TaskError::TimedOut,
        };
        Self { status: TaskStatus::Cancelled, error: None, asker, output: Err(error) }
    }
}

/// Ends a task, in the order of rule 3.
///
/// # Safety
///
/// The header is that of a `Cell<W, H>`, and the caller gives up its `Runnable`: it must not use the cell again. (It is
/// handed over as a pointer because a reference as an argument would have to be good until the return.)
unsafe fn end<W: Work + 'static, H: Host>(
    header: NonNull<Header<H>>,
    env: Option<&H::Env>,
    ending: Ending<W::Output>,
) {
    let Ending { status, mut error, asker, output } = ending;
    // SAFETY: the task's own reference keeps the cell until COMPLETE is set; from then on what `complete` says.
    let cell = unsafe { cell_of::<W, H>(header) };
    let host = cell.header.host();
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
        // Dropped before the verdict is published, so that what its destructor says is in the record.
        add(&mut error, panics::contain(|| drop(output)));
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
        wake_the_handle(task.header());
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

/// Wakes the handle's waker, and gives its place back (rule 6).
fn wake_the_handle<H: Host>(header: &Header<H>) {
    let mut panicked = panics::contain(|| {
        header.join_waker.with(|waker| {
            // SAFETY: COMPLETE and JOIN_WAKER are set: the place is only read until JOIN_WAKER is cleared, below.
            if let Some(waker) = unsafe { &*waker } {
                waker.wake_by_ref();
            }
        });
    });
    if header.state.give_back_waker() {
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

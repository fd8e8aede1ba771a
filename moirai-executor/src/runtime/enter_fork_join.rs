//! How a thread enters fork-join work.

use std::sync::Arc;
use std::thread;

use crate::fork_join::frame::{Frame, WaitingFrame};
use crate::fork_join::local_jobs::LocalJobs;
use crate::runtime::context::Context;
use crate::runtime::shared::Shared;

/// Calls `f` inside of fork-join work of this context's executor.
#[inline]
pub(crate) fn forking<R>(context: &Context, f: impl FnOnce(&LocalJobs, &Shared) -> R) -> R {
    let local_jobs = context.local_jobs();
    if local_jobs.frame().is_some() {
        f(local_jobs, context.shared())
    } else {
        forking_at_root(context, f)
    }
}

#[cold]
#[inline(never)]
fn forking_at_root<R>(context: &Context, f: impl FnOnce(&LocalJobs, &Shared) -> R) -> R {
    let frame = root_frame(context);
    let (local_jobs, shared) = (context.local_jobs(), context.shared());
    begin(context);
    if context.worker().is_none() {
        return local_jobs.enter_external(&**shared, &frame, || f(local_jobs, shared));
    }
    local_jobs.frame().within(&frame, || f(local_jobs, shared))
}

/// Prepares the thread for fork-join work, which it is not inside of.
#[inline]
fn begin(context: &Context) {
    context.local_jobs().begin(context.ticks.get(), context.shared().injector_ticks);
    let worker = context.worker();
    if worker.is_some() {
        context.claim_slot(worker);
    }
}

/// Calls `f` as a part of what another thread waits for, in a frame below that thread's.
pub(crate) fn as_part_of(waiting: WaitingFrame, context: &Context, f: impl FnOnce()) {
    let current = context.local_jobs().frame();
    if !current.is_some() {
        begin(context);
    }
    waiting.within_as_part(current, context.innermost_task(), f);
}

/// Returns the frame of a call from outside of this executor's fork-join work. The caller outlives it.
#[inline]
pub(crate) fn root_frame(context: &Context) -> Frame {
    let task = context.innermost_task();
    if thread::panicking() || context.is_dropping_work() {
        Frame::of_destructor(task)
    } else if task.is_none() && !context.is_outermost() {
        frame_in_outer_work()
    } else {
        Frame::root(task)
    }
}

/// Returns the frame of a call inside of what the calling thread does for another executor, if it does anything.
#[cold]
#[inline(never)]
fn frame_in_outer_work() -> Frame {
    let outer = Context::find(|outer| {
        if outer.local_jobs().frame().is_some() {
            // SAFETY: the thread's frame belongs to a caller further up on its stack, who outlives this call.
            let waiting = unsafe { WaitingFrame::new(outer.local_jobs().frame().get()) };
            return Some(Frame::part_of(waiting));
        }
        outer.innermost_task().map(|task| match outer.is_dropping_work() {
            true => Frame::of_destructor(None),
            false => Frame::inside(task),
        })
    });
    outer.unwrap_or_else(|| Frame::root(None))
}

/// Calls `f` inside of fork-join work of `shared`.
#[inline]
pub(crate) fn on<R>(shared: &Shared, f: impl FnOnce(&LocalJobs, &Shared) -> R) -> R {
    Context::with(|context| match context {
        Some(context) if std::ptr::eq(&**context.shared(), shared) => forking(context, f),
        _ => as_external_thread(shared, f),
    })
}

/// Calls `f` with the calling thread's local jobs for `shared`, whether or not it is inside of fork-join work.
pub(crate) fn on_any_thread<R>(shared: &Shared, f: impl FnOnce(&LocalJobs) -> R) -> R {
    Context::with(|context| match context {
        Some(context) if std::ptr::eq(&**context.shared(), shared) => f(context.local_jobs()),
        _ => with_new_context(shared, |context| f(context.local_jobs())),
    })
}

/// Calls `f` inside of fork-join work, on a thread that does not work for the executor.
#[cold]
#[inline(never)]
pub(crate) fn as_external_thread<R>(
    shared: &Shared,
    f: impl FnOnce(&LocalJobs, &Shared) -> R,
) -> R {
    with_new_context(shared, |context| forking(context, f))
}

fn with_new_context<R>(shared: &Shared, f: impl FnOnce(&Context) -> R) -> R {
    let shared: Arc<Shared> = shared.arc().expect("the caller keeps the executor alive");
    let context = Context::new(shared);
    context.enter(|| f(&context))
}

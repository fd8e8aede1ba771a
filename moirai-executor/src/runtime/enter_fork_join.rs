//! How a thread enters fork-join work.

use std::sync::Arc;

use crate::fork_join::frame::Frame;
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
    let frame = Frame::root(context.innermost_task());
    let worker = context.worker();
    let is_external = worker.is_none();
    let (local_jobs, shared) = (context.local_jobs(), context.shared());
    if worker.is_some() {
        context.claim_slot(worker);
    }
    local_jobs.begin(context.ticks.get(), shared.injector_ticks);
    local_jobs.enter_root(&**shared, &frame, is_external, || f(local_jobs, shared))
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

//! How a thread comes to its fork-join work.

use std::sync::Arc;

use crate::fork_join::frame::Frame;
use crate::fork_join::local_jobs::Hand;
use crate::runtime::context::Context;
use crate::runtime::shared::Shared;

/// Calls `f` inside of fork-join work of this context's executor.
#[inline]
pub(crate) fn forking<R>(context: &Context, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
    let hand = context.hand();
    if hand.frame().is_some() { f(hand, context.shared()) } else { forking_at_root(context, f) }
}

#[cold]
#[inline(never)]
fn forking_at_root<R>(context: &Context, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
    let frame = Frame::root(context.innermost_task());
    let guest = context.worker().is_none();
    let (hand, shared) = (context.hand(), context.shared());
    hand.at_root(&shared.board, &frame, guest, || f(hand, shared))
}

/// Calls `f` inside of fork-join work of `shared`.
#[inline]
pub(crate) fn on<R>(shared: &Shared, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
    Context::with(|context| match context {
        Some(context) if std::ptr::eq(&**context.shared(), shared) => forking(context, f),
        _ => as_guest(shared, f),
    })
}

/// Calls `f` with the calling thread's hand, inside of fork-join work or not.
pub(crate) fn on_any_hand<R>(shared: &Shared, f: impl FnOnce(&Hand) -> R) -> R {
    Context::with(|context| match context {
        Some(context) if std::ptr::eq(&**context.shared(), shared) => f(context.hand()),
        _ => with_new_context(shared, |context| f(context.hand())),
    })
}

/// On a thread that does not work for the executor.
#[cold]
#[inline(never)]
pub(crate) fn as_guest<R>(shared: &Shared, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
    with_new_context(shared, |context| forking(context, f))
}

fn with_new_context<R>(shared: &Shared, f: impl FnOnce(&Context) -> R) -> R {
    let shared: Arc<Shared> = shared.arc().expect("who calls keeps the executor");
    let context = Context::new(shared);
    context.enter(|| f(&context))
}

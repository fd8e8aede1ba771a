//! How fork-join work is called.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::executor::HybridExecutor;
use crate::fork_join::frame::Frame;
use crate::fork_join::local_jobs::Hand;
use crate::fork_join::scope_core::{self, Scope};
use crate::runtime::context::Context;
use crate::runtime::shared::Shared;

impl Context {
    /// Calls `f` inside of fork-join work of this context's executor.
    #[inline]
    fn forking<R>(&self, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
        let hand = self.hand();
        if hand.is_busy() { f(hand, self.shared()) } else { self.forking_at_root(f) }
    }

    #[cold]
    #[inline(never)]
    fn forking_at_root<R>(&self, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
        let frame = Frame::root(self.innermost_task());
        let guest = self.worker().is_none();
        let (hand, shared) = (self.hand(), self.shared());
        hand.at_root(&shared.board, &frame, guest, || f(hand, shared))
    }
}

/// Calls `f` inside of fork-join work of `shared`.
#[inline]
fn on<R>(shared: &Shared, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
    Context::with(|context| match context {
        Some(context) if std::ptr::eq(&**context.shared(), shared) => context.forking(f),
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
fn as_guest<R>(shared: &Shared, f: impl FnOnce(&Hand, &Shared) -> R) -> R {
    with_new_context(shared, |context| context.forking(f))
}

fn with_new_context<R>(shared: &Shared, f: impl FnOnce(&Context) -> R) -> R {
    let shared: Arc<Shared> = shared.arc().expect("who calls keeps the executor");
    let context = Context::new(shared);
    context.enter(|| f(&context))
}

#[inline]
pub(crate) fn join_on<A, B, RA, RB>(shared: &Shared, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    on(shared, |hand, shared| hand.join(shared, a, b))
}

#[inline]
pub(crate) fn scope_on<'env, F, R>(shared: &Shared, f: F) -> R
where
    F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
{
    on(shared, |hand, shared| scope_core::scope(hand, shared, f))
}

/// [`HybridExecutor::join`] of the executor that runs the caller, or of `elsewhere` if there is none.
#[inline]
pub fn join_or<A, B, RA, RB>(
    elsewhere: impl FnOnce() -> &'static HybridExecutor,
    a: A,
    b: B,
) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    Context::with(|context| match context {
        Some(context) => context.forking(|hand, shared| hand.join(shared, a, b)),
        None => as_guest(elsewhere().shared(), |hand, shared| hand.join(shared, a, b)),
    })
}

/// [`HybridExecutor::scope`] of the executor that runs the caller, or of `elsewhere` if there is none.
pub fn scope_or<'env, F, R>(elsewhere: impl FnOnce() -> &'static HybridExecutor, f: F) -> R
where
    F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
{
    Context::with(|context| match context {
        Some(context) => context.forking(|hand, shared| scope_core::scope(hand, shared, f)),
        None => as_guest(elsewhere().shared(), |hand, shared| scope_core::scope(hand, shared, f)),
    })
}

impl HybridExecutor {
    /// Calls both closures, in parallel if a worker is free for the second, and returns what they return.
    ///
    /// The first runs on the calling thread, and so does the second if nobody has taken it by then; both may borrow from the caller.
    /// Within a recursion a call costs a few nanoseconds if nobody takes the second. Worth knowing:
    ///
    /// - While it waits for a second closure that runs elsewhere, the thread runs pieces of that very work, or sleeps; it runs
    ///   nothing else. So a lock may be held across the call.
    /// - A thread that is no worker takes part, and counts as one of the workers meanwhile.
    /// - Inside a task that was cancelled it unwinds, and the task ends as cancelled.
    ///
    /// # Panics
    ///
    /// If a closure does, when both have ended: with what the first one's panic carried, if both have.
    #[inline]
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        join_on(self.shared(), a, b)
    }

    /// Sorts a slice in parallel; equal elements stay in their order. Takes as much memory again as the slice.
    ///
    /// # Panics
    ///
    /// If `compare` does; the elements are all there then, in some order. May panic if `compare` is no total order.
    pub fn sort_by<T: Send>(&self, slice: &mut [T], compare: impl Fn(&T, &T) -> Ordering + Sync) {
        crate::parallel::merge::sort(self, slice, &compare);
    }

    /// Sorts a slice in parallel and in place; equal elements may change their order.
    ///
    /// # Panics
    ///
    /// As [`sort_by`](Self::sort_by).
    pub fn sort_unstable_by<T: Send>(
        &self,
        slice: &mut [T],
        compare: impl Fn(&T, &T) -> Ordering + Sync,
    ) {
        crate::parallel::quick::sort_unstable(self, slice, &compare);
    }

    /// What `f` makes of each element of a slice, in their order; `f` is called in parallel.
    ///
    /// # Panics
    ///
    /// If `f` does, when all calls have ended that had begun. What it returned before is dropped.
    pub fn map<T: Sync, R: Send>(&self, slice: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        crate::parallel::map::map(self, slice, &f)
    }

    /// Calls `f` with each chunk of a slice and the chunk's index, in parallel. All chunks but the last have `size` elements.
    ///
    /// # Panics
    ///
    /// If `f` does, when all calls have ended that had begun; and if `size` is zero.
    pub fn for_each_chunk_mut<T: Send>(
        &self,
        slice: &mut [T],
        size: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        assert_ne!(size, 0, "the size of a chunk must not be zero");
        crate::parallel::chunks::for_each_chunk(self, slice, size, &f);
    }

    /// Calls `f` with a scope, in which closures can be spawned that borrow from the caller, and returns when all of them have ended.
    ///
    /// `f` runs on the calling thread and need not be `Send`. What is said of [`join`](Self::join) about waiting, about threads that
    /// are no workers, and about cancelled tasks, holds here too.
    ///
    /// # Panics
    ///
    /// If `f` or one of the closures does, when all have ended: with what the panic of `f` carried, or else one of theirs.
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
    {
        scope_on(self.shared(), f)
    }
}

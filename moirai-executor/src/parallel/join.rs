//! Two closures, in parallel if a worker is free for the second.

use crate::executor::HybridExecutor;
use crate::runtime::context::Context;
use crate::runtime::enter::{as_external_thread, forking, on};
use crate::runtime::shared::Shared;

#[inline]
pub(super) fn join_on<A, B, RA, RB>(shared: &Shared, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    on(shared, |local_jobs, shared| local_jobs.join(shared, a, b))
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
        Some(context) => forking(context, |local_jobs, shared| local_jobs.join(shared, a, b)),
        None => as_external_thread(elsewhere().shared(), |local_jobs, shared| {
            local_jobs.join(shared, a, b)
        }),
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
}

//! `join`: two closures, in parallel if a worker is free for the second.

use crate::executor::HybridExecutor;
use crate::fork_join::join;
use crate::runtime::context::Context;
use crate::runtime::enter_fork_join::{as_external_thread, forking, on};
use crate::runtime::shared::Shared;

#[inline]
pub(super) fn join_on<A, B, RA, RB>(shared: &Shared, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    on(shared, |local_jobs, shared| join::join(local_jobs, shared, a, b))
}

/// Calls [`HybridExecutor::join`] on the executor that runs the calling thread, or on `elsewhere` if there is none.
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
        Some(context) => {
            forking(context, |local_jobs, shared| join::join(local_jobs, shared, a, b))
        }
        None => as_external_thread(elsewhere().shared(), |local_jobs, shared| {
            join::join(local_jobs, shared, a, b)
        }),
    })
}

impl HybridExecutor {
    /// Calls both closures, in parallel if a worker is free for the second, and returns both results.
    ///
    /// The first closure runs on the calling thread. The second does too if no other thread has taken it by then. Both may borrow
    /// from the caller. Within a recursion a call costs a few nanoseconds if no thread takes the second closure.
    ///
    /// - While the calling thread waits for a second closure that runs elsewhere, it runs parts of that same work, or sleeps. It
    ///   runs nothing else, so the caller may hold a lock across the call.
    /// - A thread that is not a worker takes part in the work, and counts as one of the workers meanwhile.
    /// - Inside of a task that was cancelled the call unwinds, and the task ends as cancelled.
    /// - With [`inherit_spans`](moirai_core::ExecutorConfig::inherit_spans), the second closure runs inside of the `tracing` span
    ///   that is current here, also on another thread.
    ///
    /// # Panics
    ///
    /// If a closure panics, once both have ended. If both panic, with the payload of the first.
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

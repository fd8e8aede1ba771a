//! A scheduler with one queue for all workers.
//!
//! # When to use it
//!
//! When tasks must begin in the order in which they were pushed, as with a queue in front of a pool of threads; and as the simplest
//! scheduler there is, with which to compare others. It is at its best with tasks that take some microseconds or more, and with few
//! workers, because all of them contend for the two ends of one queue.
//!
//! # Guarantees
//!
//! - **Strict order**: the task that has waited longest is handed out next, whichever thread pushed it and whatever its priority.
//!   No task is ever passed over. (Tasks *begin* in this order; on several workers they run in parallel.)
//! - The executor makes one exception: a worker that waits in a `join` or a scope finds out whether there is work by taking a task
//!   and putting it back, at the end of the queue.
//! - Priorities are disregarded.
//! - A task that was woken does not run next on the worker that woke it, as it would with [`WorkStealing`](crate::WorkStealing):
//!   tasks that communicate wait for everything else that is queued, each time.
//!
//! The queue is crossbeam's injector: a list of blocks, lock-free at both ends.

use std::fmt;

use moirai_core::shim::sync::Arc;
use moirai_core::{
    Guarantees, Hints, LocalQueue, Order, Priority, QueueReason, Scheduler, Visibility,
};

use crate::queue::Injector;

/// A scheduler with one queue, in strict order. See the [module](self).
///
/// ```
/// use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler};
/// use moirai_scheduler::GlobalFifo;
///
/// let scheduler = GlobalFifo::new();
/// let mut workers = scheduler.start(2);
/// let _ = scheduler.push("first", Priority::Low);
/// let _ = workers[0].push("second", Priority::Critical, QueueReason::Woken);
/// assert_eq!(workers[0].pop(), Some("first"));
/// assert_eq!(workers[1].pop(), Some("second"));
/// ```
pub struct GlobalFifo<T>(Arc<Injector<T>>);

/// The local queue of one worker of a [`GlobalFifo`] scheduler.
pub struct GlobalFifoLocal<T>(Arc<Injector<T>>);

impl<T> GlobalFifo<T> {
    /// Creates a scheduler without tasks or workers.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Injector::new()))
    }
}

impl<T> Default for GlobalFifo<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> Scheduler<T> for GlobalFifo<T> {
    type Local = GlobalFifoLocal<T>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        (0..workers).map(|_| GlobalFifoLocal(Arc::clone(&self.0))).collect()
    }

    fn push(&self, task: T, _: Priority) -> Visibility {
        self.0.push(task);
        Visibility::Shared
    }

    fn take(&self) -> Option<T> {
        self.0.steal()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn claims(&self) -> Guarantees {
        self.guarantees()
    }

    fn hints(&self) -> Hints {
        Hints::none()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::none().order(Order::ByKey(|_, _| 0)).fairness(0)
    }
}

impl<T: Send + 'static> LocalQueue<T> for GlobalFifoLocal<T> {
    #[inline]
    fn push(&mut self, task: T, _: Priority, _: QueueReason) -> Visibility {
        self.0.push(task);
        Visibility::Shared
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.steal()
    }

    fn has_work(&mut self) -> Option<bool> {
        Some(!self.0.is_empty())
    }
}

impl<T> fmt::Debug for GlobalFifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalFifo").field("len", &self.0.len()).finish()
    }
}

impl<T> fmt::Debug for GlobalFifoLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalFifoLocal").finish_non_exhaustive()
    }
}

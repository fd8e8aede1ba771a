//! A scheduler that runs the task with the earliest deadline first.
//!
//! # When to use it
//!
//! When requests must be answered within times of their own. Of all orders on one worker, this one meets every deadline if any
//! order does (Liu and Layland, 1973; Dertouzos, 1974, for tasks that arrive at any time). When there is more work than can be done
//! it is a poor choice, because it keeps working on what is already late: limit what is admitted, or give tasks a `timeout`, which
//! is a deadline that cancels.
//!
//! # Guarantees
//!
//! - No task is handed out while one with an earlier deadline waits. Tasks with the same deadline are handed out in the order in
//!   which they were pushed, and so are those without one, which come last.
//! - A task stays as urgent as it was when it was spawned, however often it waits in between.
//! - Priorities are disregarded. Tasks without a deadline can wait forever.
//! - **Missed deadlines are counted**: tasks that a worker took for the first time after their deadline had passed; see [`Misses`].
//!
//! The tasks are in a binary heap under a lock. So a push or a pop costs the logarithm of the number of waiting tasks, and the
//! workers contend for the lock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use moirai_core::shim::sync::atomic::{AtomicU64, Ordering};
use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::{
    Guarantees, Hints, LocalQueue, Order, Priority, QueueReason, Schedulable, Scheduler, Visibility,
};

use crate::ranked::Ranked;

/// A scheduler that goes by deadlines. See the [module](self).
///
/// ```
/// # #[derive(Debug, PartialEq)] struct Token(u64, Option<u64>);
/// # impl moirai_core::Schedulable for Token {
/// #     fn number(&self) -> u64 { self.0 }
/// #     fn deadline(&self) -> Option<u64> { self.1 }
/// # }
/// use moirai_core::{LocalQueue, Priority, Scheduler};
/// use moirai_scheduler::EarliestDeadline;
///
/// let scheduler = EarliestDeadline::new();
/// let mut worker = scheduler.start(1).remove(0);
/// for token in [Token(1, None), Token(2, Some(200)), Token(3, Some(100))] {
///     let _ = scheduler.push(token, Priority::Normal);
/// }
/// assert_eq!(worker.pop(), Some(Token(3, Some(100))));
/// assert_eq!(worker.pop(), Some(Token(2, Some(200))));
/// assert_eq!(worker.pop(), Some(Token(1, None)));
/// ```
pub struct EarliestDeadline<T>(Arc<SharedHeap<T>>);

/// The local queue of one worker of an [`EarliestDeadline`] scheduler.
pub struct EarliestDeadlineLocal<T>(Arc<SharedHeap<T>>);

/// A handle that reads the count of missed deadlines, also after the scheduler was given to an executor. See
/// [`EarliestDeadline::misses`].
#[derive(Clone, Debug)]
pub struct Misses(Arc<AtomicU64>);

struct SharedHeap<T> {
    queue: Mutex<Heap<T>>,
    misses: Arc<AtomicU64>,
}

struct Heap<T> {
    /// Ordered by deadline, then by arrival.
    heap: BinaryHeap<Reverse<Ranked<(u64, u64), T>>>,
    pushed: u64,
}

impl<T: Schedulable> EarliestDeadline<T> {
    /// Creates a scheduler without tasks or workers.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(SharedHeap {
            queue: Mutex::new(Heap { heap: BinaryHeap::new(), pushed: 0 }),
            misses: Arc::new(AtomicU64::new(0)),
        }))
    }

    /// Returns a handle to the count of missed deadlines. Get it before the scheduler is given to an executor.
    #[must_use]
    pub fn misses(&self) -> Misses {
        Misses(Arc::clone(&self.0.misses))
    }
}

impl Misses {
    /// Returns the number of tasks that a worker took for the first time after their deadline.
    #[must_use]
    pub fn get(&self) -> u64 {
        // Ordering: Relaxed, because it is only a count.
        self.0.load(Ordering::Relaxed)
    }
}

impl<T: Schedulable> Default for EarliestDeadline<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Schedulable> SharedHeap<T> {
    fn push(&self, task: T) -> Visibility {
        let deadline = task.deadline().unwrap_or(u64::MAX);
        let mut queue = self.queue.lock();
        queue.pushed += 1;
        let rank = (deadline, queue.pushed);
        queue.heap.push(Reverse(Ranked { rank, task }));
        Visibility::Shared
    }

    fn pop(&self) -> Option<T> {
        let Reverse(waiting) = self.queue.lock().heap.pop()?;
        let task = waiting.task;
        if task.home().is_none() && task.is_late() {
            // Ordering: Relaxed, because it is only a count.
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        Some(task)
    }
}

impl<T: Schedulable> Scheduler<T> for EarliestDeadline<T> {
    type Local = EarliestDeadlineLocal<T>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        (0..workers).map(|_| EarliestDeadlineLocal(Arc::clone(&self.0))).collect()
    }

    fn push(&self, task: T, _: Priority) -> Visibility {
        self.0.push(task)
    }

    fn take(&self) -> Option<T> {
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.queue.lock().heap.len()
    }

    fn claims(&self) -> Guarantees {
        self.guarantees()
    }

    fn hints(&self) -> Hints {
        Hints::none().deadlines()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::none().order(Order::ByKey(|task, _| task.deadline().unwrap_or(u64::MAX)))
    }
}

impl<T: Schedulable> LocalQueue<T> for EarliestDeadlineLocal<T> {
    fn push(&mut self, task: T, _: Priority, _: QueueReason) -> Visibility {
        self.0.push(task)
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn has_work(&mut self) -> Option<bool> {
        Some(!self.0.queue.lock().heap.is_empty())
    }
}

impl<T> fmt::Debug for EarliestDeadline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ordering: Relaxed, because it is only a count.
        let misses = self.0.misses.load(Ordering::Relaxed);
        f.debug_struct("EarliestDeadline").field("misses", &misses).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for EarliestDeadlineLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarliestDeadlineLocal").finish_non_exhaustive()
    }
}

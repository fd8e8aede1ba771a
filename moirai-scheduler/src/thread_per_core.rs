//! A scheduler in which each worker has its own tasks, and none steals.
//!
//! # When to use it
//!
//! When the data are divided among the workers, and a task that runs on the wrong worker pays for it: with sharded caches and
//! stores, or with connections that keep their state. Where work is uneven, some workers idle while others are overloaded;
//! [`WorkStealing`](crate::WorkStealing) is for that.
//!
//! There are two ways to decide to which worker a task belongs:
//!
//! | | by |
//! | --- | --- |
//! | [`hashed`](ThreadPerCore::hashed) | its [affinity](Schedulable::affinity): `task().affinity(shard)`. Tasks without a specified affinity are spread over the workers |
//! | [`sticky`](ThreadPerCore::sticky) | the worker that ran it first; a new task goes to the worker that spawns it, or from other threads to each worker in turn |
//!
//! # Guarantees
//!
//! - A task always runs on its worker, with two exceptions. If that worker makes no progress for many milliseconds, for instance in
//!   a blocking call, the executor's watchdog [reclaims](Scheduler::reclaim) the tasks that wait for it, and any worker may run
//!   them. And a thread that is not a worker may ask for a task, by `try_run`.
//! - The tasks of one worker that were pushed by the same thread are handed out in the order of their pushes. Those that the worker
//!   itself has pushed and those that other threads have pushed wait in two queues; of these, each is looked at first at least once
//!   in [`INBOX_EVERY`] times.
//! - Priorities are disregarded.
//!
//! A push to the worker's own queue, and a pop from it, touch no memory that another worker writes.

use std::fmt;
use std::sync::OnceLock;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::{
    Guarantees, Hints, LocalQueue, Order, Priority, QueueReason, Schedulable, Scheduler, Visibility,
};

use crate::queue::{Injector, Stealer, Worker};

/// Once in this many times that it looks for a task, a worker looks first at what other threads have pushed.
pub const INBOX_EVERY: u32 = 61;

/// A scheduler that places tasks on workers. See the [module](self).
///
/// ```
/// # #[derive(Debug, PartialEq)] struct Token(u64);
/// # impl moirai_core::Schedulable for Token {
/// #     fn number(&self) -> u64 { self.0 }
/// #     fn affinity(&self) -> u64 { 7 }
/// # }
/// use moirai_core::{LocalQueue, Priority, Scheduler, Visibility};
/// use moirai_scheduler::ThreadPerCore;
///
/// let scheduler = ThreadPerCore::hashed();
/// let mut workers = scheduler.start(4);
/// let Visibility::Worker(place) = scheduler.push(Token(1), Priority::Normal) else { unreachable!() };
/// // The same affinity means the same worker, and only that one finds the tasks.
/// assert_eq!(scheduler.push(Token(2), Priority::Normal), Visibility::Worker(place));
/// assert_eq!(workers[(place + 1) % 4].pop(), None);
/// assert_eq!(workers[place].pop(), Some(Token(1)));
/// ```
pub struct ThreadPerCore<T>(Arc<SharedInboxes<T>>);

/// The local queue of one worker of a [`ThreadPerCore`] scheduler.
pub struct ThreadPerCoreLocal<T> {
    shared: Arc<SharedInboxes<T>>,
    index: usize,
    queue: Worker<T>,
    /// Counts down to the next time that the worker looks first at what others have pushed.
    until_inbox: u32,
    /// Whether the last `look_around` began with the worker's inbox.
    inbox_first: bool,
}

struct SharedInboxes<T> {
    placement: Placement,
    /// The tasks that any worker may run: pushed before the start, or for a worker that makes no progress.
    anywhere: Injector<T>,
    /// Chooses the worker of the next task that belongs to none.
    next: CachePadded<AtomicUsize>,
    /// Written once, by `start`.
    worker_queues: OnceLock<Box<[CachePadded<WorkerQueue<T>>]>>,
}

struct WorkerQueue<T> {
    /// What other threads have pushed.
    inbox: Injector<T>,
    stealer: Stealer<T>,
    /// Set while the worker makes no progress: what is pushed for it goes to `anywhere`, until it pops again. Written only then, so
    /// reading it at every push from another thread and at every pop disturbs no other worker.
    stuck: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Placement {
    Hashed,
    Sticky,
}

impl<T: Schedulable> ThreadPerCore<T> {
    /// Creates a scheduler in which tasks of the same affinity run on the same worker.
    #[must_use]
    pub fn hashed() -> Self {
        Self::with(Placement::Hashed)
    }

    /// Creates a scheduler in which tasks stay on the worker that ran them first.
    #[must_use]
    pub fn sticky() -> Self {
        Self::with(Placement::Sticky)
    }

    fn with(placement: Placement) -> Self {
        Self(Arc::new(SharedInboxes {
            placement,
            anywhere: Injector::new(),
            next: CachePadded::new(AtomicUsize::new(0)),
            worker_queues: OnceLock::new(),
        }))
    }
}

impl<T: Schedulable> SharedInboxes<T> {
    /// Returns the queues of all workers; empty before the start.
    fn worker_queues(&self) -> &[CachePadded<WorkerQueue<T>>] {
        self.worker_queues.get().map_or(&[], |worker_queues| worker_queues)
    }

    /// Returns the worker of a task, among `workers`. `here` is the worker that pushes it, if it is pushed by one.
    fn place(&self, task: &T, here: Option<usize>, workers: usize) -> usize {
        match self.placement {
            Placement::Hashed => spread(task.affinity(), workers),
            Placement::Sticky => {
                let home = task.home().filter(|home| *home < workers);
                // Ordering: Relaxed, because the number serves only to spread tasks.
                home.or(here).unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed) % workers)
            }
        }
    }

    /// Queues a task for a worker, on behalf of another worker or a thread that is none.
    fn push_to(&self, worker: usize, task: T) -> Visibility {
        let worker_queue = &self.worker_queues()[worker];
        // Ordering: Relaxed, because a thread that sees it late pushes to the inbox, which is reclaimed the next time that the
        // watchdog looks.
        if worker_queue.stuck.load(Ordering::Relaxed) {
            self.anywhere.push(task);
            return Visibility::Shared;
        }
        worker_queue.inbox.push(task);
        Visibility::Worker(worker)
    }
}

/// Returns one of `places` for a number, neighbours far from each other (Fibonacci hashing).
fn spread(number: u64, places: usize) -> usize {
    let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let place = (u128::from(hash) * places as u128) >> 64;
    // The result is below `places`, so it fits.
    usize::try_from(place).unwrap_or(0)
}

impl<T: Schedulable> Scheduler<T> for ThreadPerCore<T> {
    type Local = ThreadPerCoreLocal<T>;

    /// # Panics
    ///
    /// If it is called a second time.
    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let (worker_queues, queues): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let queue = Worker::new();
                let worker_queue = WorkerQueue {
                    inbox: Injector::new(),
                    stealer: queue.stealer(),
                    stuck: AtomicBool::new(false),
                };
                (CachePadded::new(worker_queue), queue)
            })
            .unzip();
        assert!(
            self.0.worker_queues.set(worker_queues.into_boxed_slice()).is_ok(),
            "a scheduler is started once"
        );
        let local = |(index, queue)| ThreadPerCoreLocal {
            shared: Arc::clone(&self.0),
            index,
            queue,
            until_inbox: INBOX_EVERY,
            inbox_first: false,
        };
        queues.into_iter().enumerate().map(local).collect()
    }

    fn push(&self, task: T, _: Priority) -> Visibility {
        let workers = self.0.worker_queues().len();
        if workers == 0 {
            self.0.anywhere.push(task);
            return Visibility::Shared;
        }
        let worker = self.0.place(&task, None, workers);
        self.0.push_to(worker, task)
    }

    fn take(&self) -> Option<T> {
        self.0.anywhere.steal().or_else(|| {
            let mut worker_queues = self.0.worker_queues().iter();
            worker_queues.find_map(|worker_queue| {
                worker_queue.inbox.steal().or_else(|| worker_queue.stealer.steal())
            })
        })
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        let worker_queue = self.0.worker_queues().get(worker)?;
        // Ordering: Relaxed, see `push_to`.
        worker_queue.stuck.store(true, Ordering::Relaxed);
        worker_queue.inbox.steal().or_else(|| worker_queue.stealer.steal())
    }

    fn len(&self) -> usize {
        let worker_queues = self.0.worker_queues().iter();
        self.0.anywhere.len()
            + worker_queues
                .map(|worker_queue| worker_queue.inbox.len() + worker_queue.stealer.len())
                .sum::<usize>()
    }

    fn claims(&self) -> Guarantees {
        self.guarantees()
    }

    fn hints(&self) -> Hints {
        Hints::none().affinities()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::none().order(Order::ByKey(|_, _| 0)).fairness(2 * INBOX_EVERY)
    }
}

impl<T: Schedulable> LocalQueue<T> for ThreadPerCoreLocal<T> {
    #[inline]
    fn push(&mut self, task: T, _: Priority, _: QueueReason) -> Visibility {
        let workers = self.shared.worker_queues().len();
        let worker = self.shared.place(&task, Some(self.index), workers);
        if worker == self.index {
            self.queue.push(task);
            return Visibility::Worker(worker);
        }
        self.shared.push_to(worker, task)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let worker_queue = &self.shared.worker_queues()[self.index];
        // Ordering: Relaxed, both, see `push_to`.
        if worker_queue.stuck.load(Ordering::Relaxed) {
            worker_queue.stuck.store(false, Ordering::Relaxed);
        }
        self.until_inbox = self.until_inbox.saturating_sub(1);
        if self.until_inbox == 0 {
            self.until_inbox = INBOX_EVERY;
            if let Some(task) = self.look_around() {
                return Some(task);
            }
        }
        self.queue.pop().or_else(|| self.look_around())
    }

    fn has_work(&mut self) -> Option<bool> {
        let WorkerQueue { inbox, stealer, .. } = &*self.shared.worker_queues()[self.index];
        Some(!stealer.is_empty() || !inbox.is_empty() || !self.shared.anywhere.is_empty())
    }

    fn look_outside(&mut self) {
        self.prefer_injector();
    }

    fn prefer_injector(&mut self) {
        self.until_inbox = 1;
    }
}

impl<T: Schedulable> ThreadPerCoreLocal<T> {
    /// Takes a task that others have pushed for this worker, or for any.
    fn look_around(&mut self) -> Option<T> {
        let inbox = &self.shared.worker_queues()[self.index].inbox;
        let anywhere = &self.shared.anywhere;
        // Usually `anywhere` is empty. When it is not, the two take turns.
        if anywhere.is_empty() {
            return inbox.steal();
        }
        self.inbox_first = !self.inbox_first;
        if self.inbox_first {
            inbox.steal().or_else(|| anywhere.steal())
        } else {
            anywhere.steal().or_else(|| inbox.steal())
        }
    }
}

impl<T> fmt::Debug for ThreadPerCore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPerCore")
            .field("placement", &self.0.placement)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ThreadPerCoreLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPerCoreLocal").field("worker", &self.index).finish_non_exhaustive()
    }
}

//! Each worker has its own tasks, and nobody steals.
//!
//! # When to use it
//!
//! When the data are divided among the workers, and a task that runs on the wrong one pays for it: caches and stores that are cut into
//! shards, connections that keep their state. Where work is uneven, workers idle beside others that are overloaded;
//! [`WorkStealing`](crate::WorkStealing) is for that.
//!
//! Which worker is a task's:
//!
//! | | by |
//! | --- | --- |
//! | [`hashed`](ThreadPerCore::hashed) | its [affinity](Schedulable::affinity): `task().affinity(shard)`. Tasks of which none was said are spread out |
//! | [`sticky`](ThreadPerCore::sticky) | where it ran first; a new one goes to the worker that spawns it, from other threads to each worker in turn |
//!
//! # Guarantees
//!
//! - A task runs on its worker, always, unless that worker does not go on for many milliseconds, in a blocking call, say: then the
//!   executor's watchdog [reclaims](Scheduler::reclaim) what waits there, and any worker may run it. (And unless a thread that is no
//!   worker asks for a task, by `try_run`.)
//! - The tasks of one worker are handed out in the order in which they were pushed by any one thread. Those pushed by the worker
//!   itself and those pushed by others wait in two queues; each is looked at first at least every [`INBOX_EVERY`]th time.
//! - Priorities are disregarded.
//!
//! A push to the worker's own queue, and a pop from there, touch nothing that another worker writes.

use std::fmt;
use std::sync::OnceLock;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::{
    Guarantees, LocalQueue, Order, Priority, QueueReason, Schedulable, Scheduler, Visibility,
};

use crate::queue::{Injector, Stealer, Worker};

/// Of every so many looks, a worker makes one first for what other threads have pushed.
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
/// // Of the same affinity, so for the same worker, which alone finds them.
/// assert_eq!(scheduler.push(Token(2), Priority::Normal), Visibility::Worker(place));
/// assert_eq!(workers[(place + 1) % 4].pop(), None);
/// assert_eq!(workers[place].pop(), Some(Token(1)));
/// ```
pub struct ThreadPerCore<T>(Arc<SharedInboxes<T>>);

/// One worker's part of [`ThreadPerCore`].
pub struct ThreadPerCoreLocal<T> {
    shared: Arc<SharedInboxes<T>>,
    index: usize,
    queue: Worker<T>,
    /// Looks until the next one that starts with what others have pushed.
    until_inbox: u32,
    /// Whether the last look around began with the worker's inbox.
    inbox_first: bool,
}

struct SharedInboxes<T> {
    placement: Placement,
    /// What any worker may run: pushed before the start, or for a worker that does not go on.
    anywhere: Injector<T>,
    /// Where the next task goes that belongs nowhere.
    next: CachePadded<AtomicUsize>,
    /// Written once, by `start`.
    worker_queues: OnceLock<Box<[CachePadded<WorkerQueue<T>>]>>,
}

struct WorkerQueue<T> {
    /// What others have pushed.
    inbox: Injector<T>,
    stealer: Stealer<T>,
    /// The worker does not go on: what is for it goes anywhere, until it pops again. Written only then, so that reading it
    /// at every push from elsewhere and at every pop disturbs nobody.
    stuck: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Placement {
    Hashed,
    Sticky,
}

impl<T: Schedulable> ThreadPerCore<T> {
    /// Tasks of the same affinity run on the same worker.
    #[must_use]
    pub fn hashed() -> Self {
        Self::with(Placement::Hashed)
    }

    /// Tasks stay where they ran first.
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
    /// The worker_queues; none before the start.
    fn worker_queues(&self) -> &[CachePadded<WorkerQueue<T>>] {
        self.worker_queues.get().map_or(&[], |worker_queues| worker_queues)
    }

    /// The worker of a task, among `workers`. `here` is who pushes it, if that is a worker.
    fn place(&self, task: &T, here: Option<usize>, workers: usize) -> usize {
        match self.placement {
            Placement::Hashed => spread(task.affinity(), workers),
            Placement::Sticky => {
                let home = task.home().filter(|home| *home < workers);
                // Ordering: Relaxed: only to be spread.
                home.or(here).unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed) % workers)
            }
        }
    }

    /// Queues a task for another worker than the caller, or from a thread that is none.
    fn push_to(&self, worker: usize, task: T) -> Visibility {
        let worker_queue = &self.worker_queues()[worker];
        // Ordering: Relaxed: whoever sees it late pushes to the inbox, which is reclaimed at the next look.
        if worker_queue.stuck.load(Ordering::Relaxed) {
            self.anywhere.push(task);
            return Visibility::Shared;
        }
        worker_queue.inbox.push(task);
        Visibility::Worker(worker)
    }
}

/// One of `places` by a number, neighbours far from each other (Fibonacci hashing).
fn spread(number: u64, places: usize) -> usize {
    let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let place = (u128::from(hash) * places as u128) >> 64;
    // Below `places`.
    usize::try_from(place).unwrap_or(0)
}

impl<T: Schedulable> Scheduler<T> for ThreadPerCore<T> {
    type Local = ThreadPerCoreLocal<T>;

    /// # Panics
    ///
    /// When called a second time.
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
        // Ordering: Relaxed: see `push_to`.
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
        // Ordering: Relaxed, both: see `push_to`.
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

    fn prefer_injector(&mut self) {
        self.until_inbox = 1;
    }
}

impl<T: Schedulable> ThreadPerCoreLocal<T> {
    /// What others have pushed for this worker, or for any.
    fn look_around(&mut self) -> Option<T> {
        let inbox = &self.shared.worker_queues()[self.index].inbox;
        let anywhere = &self.shared.anywhere;
        // As a rule it is empty. When it is not, the two take turns.
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

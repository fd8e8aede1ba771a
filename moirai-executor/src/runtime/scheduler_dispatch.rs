//! The executor's scheduler: the default one, called directly, or any other one, called through a vtable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_utils::CachePadded;
use moirai_core::{Hints, LocalQueue, Priority, QueueReason, Scheduler, Visibility};
use moirai_scheduler::WorkStealing;

use crate::panics::{self, log};

/// The default scheduler, or the one that was given to the builder.
pub(crate) enum AnyScheduler<T: Send + 'static> {
    Default(WorkStealing<T>),
    Other(Box<dyn Scheduler<T, Local = Box<dyn LocalQueue<T>>>>, Hints),
}

/// The local queue of one worker.
pub(crate) enum AnyLocal<T: Send + 'static> {
    Default(<WorkStealing<T> as Scheduler<T>>::Local),
    Other(Box<dyn LocalQueue<T>>),
}

impl<T: Send + 'static> AnyScheduler<T> {
    pub(crate) fn other(scheduler: impl Scheduler<T>) -> Self {
        let erased = Erased { scheduler: Some(scheduler), panics: Panics::default() };
        let hints = erased.hints();
        Self::Other(Box::new(erased), hints)
    }
}

impl<T: Send + 'static> Scheduler<T> for AnyScheduler<T> {
    type Local = AnyLocal<T>;

    fn start(&self, workers: usize) -> Vec<AnyLocal<T>> {
        match self {
            Self::Default(it) => it.start(workers).into_iter().map(AnyLocal::Default).collect(),
            Self::Other(it, _) => it.start(workers).into_iter().map(AnyLocal::Other).collect(),
        }
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        match self {
            Self::Default(it) => it.push(task, priority),
            Self::Other(it, _) => it.push(task, priority),
        }
    }

    fn take(&self) -> Option<T> {
        match self {
            Self::Default(it) => it.take(),
            Self::Other(it, _) => it.take(),
        }
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        match self {
            Self::Default(it) => it.reclaim(worker),
            Self::Other(it, _) => it.reclaim(worker),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Default(it) => it.len(),
            Self::Other(it, _) => it.len(),
        }
    }

    #[inline]
    fn hints(&self) -> Hints {
        match self {
            Self::Default(_) => Hints::none(),
            Self::Other(_, hints) => *hints,
        }
    }
}

impl<T: Send + 'static> AnyLocal<T> {
    /// Returns the worker from which the last [`pop`](LocalQueue::pop) has taken tasks, if one is known. A scheduler behind a vtable
    /// is asked only if the worker `was_idle`, because the call costs more than it tells.
    #[inline]
    pub(crate) fn take_victim(&mut self, was_idle: bool) -> Option<usize> {
        match self {
            Self::Default(it) => it.take_victim(),
            Self::Other(it) if was_idle => it.take_victim(),
            Self::Other(_) => None,
        }
    }
}

impl<T: Send + 'static> LocalQueue<T> for AnyLocal<T> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        match self {
            Self::Default(it) => it.push(task, priority, reason),
            Self::Other(it) => it.push(task, priority, reason),
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        match self {
            Self::Default(it) => it.pop(),
            Self::Other(it) => it.pop(),
        }
    }

    fn has_work(&mut self) -> Option<bool> {
        match self {
            Self::Default(it) => it.has_work(),
            Self::Other(it) => it.has_work(),
        }
    }

    #[inline]
    fn prefer_injector(&mut self) {
        match self {
            Self::Default(it) => it.prefer_injector(),
            Self::Other(it) => it.prefer_injector(),
        }
    }
}

/// A scheduler whose local queues are behind a vtable, and whose panics are contained: it is called where a task is made ready, and
/// where a thread waits for fork-join work, and neither may unwind.
struct Erased<S> {
    /// `None` from the drop on.
    scheduler: Option<S>,
    panics: Panics,
}

impl<S> Erased<S> {
    fn scheduler(&self) -> &S {
        self.scheduler.as_ref().expect("it is there until the drop")
    }
}

impl<S> Drop for Erased<S> {
    fn drop(&mut self) {
        let scheduler = self.scheduler.take();
        let _ = self.panics.contain("drop", || drop(scheduler));
    }
}

/// The panics of one scheduler and its local queues.
#[derive(Clone, Default)]
struct Panics {
    /// Whether one was reported. Only the first is, so that a scheduler that panics for each task does not flood the log.
    reported: Arc<AtomicBool>,
}

impl Panics {
    /// How often in a row a queue is asked for a task if it panics instead of answering. It may hold tasks after a panic, so a worker
    /// must not conclude that there are none; and it may go on panicking, so a worker must not ask for ever.
    const ATTEMPTS: usize = 4;

    /// Calls the scheduler, and returns `None` if it panics.
    fn contain<R>(&self, call: &str, f: impl FnOnce() -> R) -> Option<R> {
        let mut returned = None;
        if let Some(message) = panics::contain(|| returned = Some(f()))
            // Ordering: Relaxed: the flag protects nothing.
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            log!(
                error,
                call,
                panic = &*message,
                "the scheduler panicked; its further panics are not logged"
            );
        }
        returned
    }

    /// Asks the scheduler for a task.
    fn find<T>(&self, call: &str, mut f: impl FnMut() -> Option<T>) -> Option<T> {
        (0..Self::ATTEMPTS).find_map(|_| self.contain(call, &mut f)).flatten()
    }
}

impl<T: Send + 'static, S: Scheduler<T>> Scheduler<T> for Erased<S> {
    type Local = Box<dyn LocalQueue<T>>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let local = |queue| {
            let queue = CachePadded::new(queue);
            Box::new(Contained { queue, panics: self.panics.clone() }) as Self::Local
        };
        self.scheduler().start(workers).into_iter().map(local).collect()
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        // If it has kept the task, then any worker may have to look for it; if it has dropped it, the task has ended as cancelled.
        self.panics
            .contain("push", || self.scheduler().push(task, priority))
            .unwrap_or(Visibility::Shared)
    }

    fn take(&self) -> Option<T> {
        self.panics.find("take", || self.scheduler().take())
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        self.panics.find("reclaim", || self.scheduler().reclaim(worker))
    }

    fn len(&self) -> usize {
        self.panics.contain("len", || self.scheduler().len()).unwrap_or(0)
    }

    fn hints(&self) -> Hints {
        self.panics.contain("hints", || self.scheduler().hints()).unwrap_or_else(Hints::all)
    }
}

/// A boxed local queue whose panics are contained. It is on cache lines of its own, because its worker writes to it at every pop.
struct Contained<L> {
    queue: CachePadded<L>,
    panics: Panics,
}

impl<T: Send + 'static, L: LocalQueue<T>> LocalQueue<T> for Contained<L> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        let queue = &mut self.queue;
        // As in the scheduler's own `push`.
        self.panics
            .contain("push", || queue.push(task, priority, reason))
            .unwrap_or(Visibility::Shared)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let queue = &mut self.queue;
        self.panics.find("pop", || queue.pop())
    }

    fn take_victim(&mut self) -> Option<usize> {
        let queue = &mut self.queue;
        self.panics.contain("take_victim", || queue.take_victim()).flatten()
    }

    fn has_work(&mut self) -> Option<bool> {
        let queue = &mut self.queue;
        // After a panic nothing is known, so the caller pops.
        self.panics.contain("has_work", || queue.has_work()).flatten()
    }

    #[inline]
    fn prefer_injector(&mut self) {
        let queue = &mut self.queue;
        let _ = self.panics.contain("prefer_injector", || queue.prefer_injector());
    }
}

impl<T: Send + 'static> fmt::Debug for AnyScheduler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyScheduler").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> fmt::Debug for AnyLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyLocal").finish_non_exhaustive()
    }
}

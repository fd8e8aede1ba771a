//! The executor's scheduler: the default one, called directly, or any other one, called through a vtable.

use std::fmt;

use crossbeam_utils::CachePadded;
use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};
use moirai_scheduler::WorkStealing;

/// The default scheduler, or the one that was given to the builder.
pub(crate) enum AnyScheduler<T: Send + 'static> {
    Default(WorkStealing<T>),
    Other(Box<dyn Scheduler<T, Local = Box<dyn LocalQueue<T>>>>),
}

/// The local queue of one worker.
pub(crate) enum AnyLocal<T: Send + 'static> {
    Default(<WorkStealing<T> as Scheduler<T>>::Local),
    Other(Box<dyn LocalQueue<T>>),
}

impl<T: Send + 'static> AnyScheduler<T> {
    pub(crate) fn other(scheduler: impl Scheduler<T>) -> Self {
        Self::Other(Box::new(Erased(scheduler)))
    }

    /// Returns whether the scheduler may ask tasks for their hints.
    pub(crate) const fn reads_hints(&self) -> bool {
        matches!(self, Self::Other(_))
    }
}

impl<T: Send + 'static> Scheduler<T> for AnyScheduler<T> {
    type Local = AnyLocal<T>;

    fn start(&self, workers: usize) -> Vec<AnyLocal<T>> {
        match self {
            Self::Default(it) => it.start(workers).into_iter().map(AnyLocal::Default).collect(),
            Self::Other(it) => it.start(workers).into_iter().map(AnyLocal::Other).collect(),
        }
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        match self {
            Self::Default(it) => it.push(task, priority),
            Self::Other(it) => it.push(task, priority),
        }
    }

    fn take(&self) -> Option<T> {
        match self {
            Self::Default(it) => it.take(),
            Self::Other(it) => it.take(),
        }
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        match self {
            Self::Default(it) => it.reclaim(worker),
            Self::Other(it) => it.reclaim(worker),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Default(it) => it.len(),
            Self::Other(it) => it.len(),
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

    #[inline]
    fn prefer_injector(&mut self) {
        match self {
            Self::Default(it) => it.prefer_injector(),
            Self::Other(it) => it.prefer_injector(),
        }
    }
}

/// A scheduler whose local queues are behind a vtable.
struct Erased<S>(S);

impl<T: Send + 'static, S: Scheduler<T>> Scheduler<T> for Erased<S> {
    type Local = Box<dyn LocalQueue<T>>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let padded = self.0.start(workers).into_iter().map(|local| Padded(CachePadded::new(local)));
        padded.map(|local| Box::new(local) as Self::Local).collect()
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        self.0.push(task, priority)
    }

    fn take(&self) -> Option<T> {
        self.0.take()
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        self.0.reclaim(worker)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// A boxed local queue on cache lines of its own, because its worker writes to it at every pop.
struct Padded<L>(CachePadded<L>);

impl<T: Send + 'static, L: LocalQueue<T>> LocalQueue<T> for Padded<L> {
    #[inline]
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        self.0.push(task, priority, reason)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    #[inline]
    fn prefer_injector(&mut self) {
        self.0.prefer_injector();
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

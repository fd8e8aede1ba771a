//! The scheduler that was chosen: the default one, called directly, or any other, called through a vtable.

use std::fmt;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::{
    LocalQueue, Priority, Ready, Schedulable, Scheduler, TaskId, TaskKind, Visibility,
};

use crate::builder::DefaultScheduler;
use crate::registry::{Entry, Hints};
use crate::runtime::shared::Shared;
use crate::task::RawRunnable;

/// What schedulers schedule: the right to run one task.
///
/// A scheduler moves it from queue to queue and hands it out; it need not know more. One that is dropped ends its task as
/// cancelled.
#[derive(Debug)]
pub struct Runnable(RawRunnable<Shared>);

impl Runnable {
    pub(crate) const fn new(task: RawRunnable<Shared>) -> Self {
        Self(task)
    }

    pub(crate) fn into_raw(self) -> RawRunnable<Shared> {
        self.0
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.0.id()
    }

    /// What sort of work it is.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.0.kind()
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.priority()
    }

    fn hints(&self) -> Hints {
        self.0.with_entry(Entry::hints)
    }
}

impl Schedulable for Runnable {
    fn number(&self) -> u64 {
        self.id().get()
    }

    fn affinity(&self) -> u64 {
        self.hints().affinity.unwrap_or_else(|| self.id().get())
    }

    fn deadline(&self) -> Option<u64> {
        self.hints().deadline
    }

    fn is_late(&self) -> bool {
        self.deadline().is_some_and(|deadline| self.0.host().clock.ticks() >= deadline)
    }

    fn expected_duration(&self) -> Option<Duration> {
        self.hints().expected_duration
    }

    fn home(&self) -> Option<usize> {
        self.0.with_entry(Entry::worker)
    }
}

/// A local queue on cache lines of its own: its worker writes to it at every pop, and an allocator puts alike things side by side.
struct Own<L>(CachePadded<L>);

impl<L: LocalQueue<Runnable>> LocalQueue<Runnable> for Own<L> {
    #[inline]
    fn push(&mut self, task: Runnable, priority: Priority, ready: Ready) -> Visibility {
        self.0.push(task, priority, ready)
    }

    #[inline]
    fn pop(&mut self) -> Option<Runnable> {
        self.0.pop()
    }

    #[inline]
    fn look_outside(&mut self) {
        self.0.look_outside();
    }
}

/// [`Scheduler`] with its local queues behind a vtable, so that it can be one itself.
trait Boxed: Send + Sync {
    fn boxed_start(&self, workers: usize) -> Vec<Box<dyn LocalQueue<Runnable>>>;
    fn boxed_push(&self, task: Runnable, priority: Priority) -> Visibility;
    fn boxed_take(&self) -> Option<Runnable>;
    fn boxed_reclaim(&self, worker: usize) -> Option<Runnable>;
    fn boxed_len(&self) -> usize;
}

impl<S: Scheduler<Runnable>> Boxed for S {
    fn boxed_start(&self, workers: usize) -> Vec<Box<dyn LocalQueue<Runnable>>> {
        let locals = Scheduler::start(self, workers).into_iter().map(CachePadded::new).map(Own);
        locals.map(|local| Box::new(local) as Box<dyn LocalQueue<Runnable>>).collect()
    }

    fn boxed_push(&self, task: Runnable, priority: Priority) -> Visibility {
        Scheduler::push(self, task, priority)
    }

    fn boxed_take(&self) -> Option<Runnable> {
        Scheduler::take(self)
    }

    fn boxed_reclaim(&self, worker: usize) -> Option<Runnable> {
        Scheduler::reclaim(self, worker)
    }

    fn boxed_len(&self) -> usize {
        Scheduler::len(self)
    }
}

/// The scheduler that was chosen.
pub(crate) enum AnyScheduler {
    Default(DefaultScheduler),
    Other(OtherScheduler),
}

/// A scheduler of somebody else's.
pub(crate) struct OtherScheduler(Box<dyn Boxed>);

/// The local queue of one worker.
pub(crate) enum AnyLocal {
    Default(<DefaultScheduler as Scheduler<Runnable>>::Local),
    Other(Box<dyn LocalQueue<Runnable>>),
}

impl AnyScheduler {
    pub(crate) fn other(scheduler: impl Scheduler<Runnable>) -> Self {
        Self::Other(OtherScheduler(Box::new(scheduler)))
    }

    /// Whether it may ask tasks what was said of them.
    pub(crate) const fn reads_hints(&self) -> bool {
        matches!(self, Self::Other(_))
    }

    pub(crate) fn start(&self, workers: usize) -> Vec<AnyLocal> {
        match self {
            Self::Default(scheduler) => {
                scheduler.start(workers).into_iter().map(AnyLocal::Default).collect()
            }
            Self::Other(other) => {
                other.0.boxed_start(workers).into_iter().map(AnyLocal::Other).collect()
            }
        }
    }

    pub(crate) fn push(&self, task: Runnable, priority: Priority) -> Visibility {
        match self {
            Self::Default(scheduler) => scheduler.push(task, priority),
            Self::Other(other) => other.0.boxed_push(task, priority),
        }
    }

    pub(crate) fn take(&self) -> Option<Runnable> {
        match self {
            Self::Default(scheduler) => scheduler.take(),
            Self::Other(other) => other.0.boxed_take(),
        }
    }

    pub(crate) fn reclaim(&self, worker: usize) -> Option<Runnable> {
        match self {
            Self::Default(scheduler) => scheduler.reclaim(worker),
            Self::Other(other) => other.0.boxed_reclaim(worker),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Default(scheduler) => scheduler.len(),
            Self::Other(other) => other.0.boxed_len(),
        }
    }
}

impl AnyLocal {
    #[inline]
    pub(crate) fn push(&mut self, task: Runnable, priority: Priority, ready: Ready) -> Visibility {
        match self {
            Self::Default(local) => local.push(task, priority, ready),
            Self::Other(local) => local.push(task, priority, ready),
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Runnable> {
        match self {
            Self::Default(local) => local.pop(),
            Self::Other(local) => local.pop(),
        }
    }

    #[inline]
    pub(crate) fn look_outside(&mut self) {
        match self {
            Self::Default(local) => local.look_outside(),
            Self::Other(local) => local.look_outside(),
        }
    }
}

impl fmt::Debug for AnyScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyScheduler").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnyLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyLocal").finish_non_exhaustive()
    }
}

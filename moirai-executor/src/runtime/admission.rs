//! Limits on the number of tasks, and what happens to tasks beyond them.
//!
//! There are two semaphores: one for all active tasks, if `max_active_tasks` is set, and one for blocking tasks, with one permit
//! for each thread that may run them and for each place in their queue. A task holds its permits from before its record is begun
//! until its outcome has been recorded.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use moirai_core::{ExecutorConfig, TaskError, TaskKind};
use moirai_sync::{Permit, Semaphore, SemaphoreClosed};

/// Why a task was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefuseReason {
    ShutDown,
    AtCapacity,
    /// The system has started no thread for a blocking task.
    NoThread,
}

impl RefuseReason {
    /// The error that the task's handle returns.
    pub(crate) fn error(self) -> TaskError {
        match self {
            Self::ShutDown => TaskError::ShutDown,
            Self::AtCapacity => TaskError::AtCapacity,
            Self::NoThread => TaskError::NoThread,
        }
    }
}

/// A way to wait for a permit.
type WaitForRoom = for<'a> fn(&'a Semaphore) -> Result<Permit<'a>, SemaphoreClosed>;

/// The limits on the number of tasks; see the [module](self).
#[derive(Debug)]
pub(crate) struct Admission {
    pub(super) active: Option<Semaphore>,
    /// Both on cache lines of their own: blocking tasks and refused ones write them, and others read whether there is a limit.
    pub(super) blocking: CachePadded<Semaphore>,
    pub(super) refused: CachePadded<AtomicU64>,
}

impl Admission {
    pub(crate) fn new(config: &ExecutorConfig) -> Self {
        let blocking = config.max_blocking_threads.saturating_add(config.blocking_queue_limit);
        Self {
            active: config.max_active_tasks.map(Semaphore::new),
            blocking: CachePadded::new(Semaphore::new(blocking)),
            refused: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// Admits a task. It is refused at the limit on active tasks. While the queue for blocking tasks is full, `wait` waits for a
    /// permit, as blocking callers do.
    #[inline]
    pub(crate) fn enter(&self, kind: TaskKind, wait: WaitForRoom) -> Result<(), RefuseReason> {
        if self.active.is_none() && kind != TaskKind::Blocking {
            return Ok(());
        }
        self.enter_counted(kind, Some(wait))
    }

    /// Admits a task if it can do so without waiting.
    pub(crate) fn try_enter(&self, kind: TaskKind) -> Result<(), RefuseReason> {
        self.enter_counted(kind, None)
    }

    #[inline(never)]
    fn enter_counted(&self, kind: TaskKind, wait: Option<WaitForRoom>) -> Result<(), RefuseReason> {
        let active = match &self.active {
            None => None,
            Some(active) => Some(active.try_acquire().ok_or(RefuseReason::AtCapacity)?),
        };
        if kind == TaskKind::Blocking {
            let room = match self.blocking.try_acquire() {
                Some(room) => room,
                None => match wait {
                    Some(wait) => wait(&self.blocking).map_err(|_| RefuseReason::ShutDown)?,
                    None => return Err(RefuseReason::AtCapacity),
                },
            };
            room.forget();
        }
        if let Some(active) = active {
            active.forget();
        }
        Ok(())
    }

    /// Waits until a task can be admitted, and admits it.
    pub(crate) async fn wait(&self, kind: TaskKind) -> Result<(), RefuseReason> {
        let room = match kind {
            TaskKind::Blocking => {
                Some(self.blocking.acquire().await.map_err(|_| RefuseReason::ShutDown)?)
            }
            _ => None,
        };
        if let Some(active) = &self.active {
            active.acquire().await.map_err(|_| RefuseReason::ShutDown)?.forget();
        }
        if let Some(room) = room {
            room.forget();
        }
        Ok(())
    }

    /// Returns the permits of a task that has ended, or was not spawned after all.
    #[inline]
    pub(crate) fn leave(&self, kind: TaskKind) {
        if kind == TaskKind::Blocking {
            self.blocking.release();
        }
        if let Some(active) = &self.active {
            active.release();
        }
    }

    /// Admits no further task: callers that wait are refused.
    pub(crate) fn close(&self) {
        self.blocking.close();
        if let Some(active) = &self.active {
            active.close();
        }
    }

    /// Counts a refused task.
    pub(crate) fn count_refused(&self) {
        // Ordering: Relaxed: a count.
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of tasks that were refused.
    pub(crate) fn refused(&self) -> u64 {
        // Ordering: Relaxed: a count.
        self.refused.load(Ordering::Relaxed)
    }
}

/// The error of a task that was not spawned. It holds what the task was to run.
pub struct TrySpawnError<F> {
    reason: RefuseReason,
    work: F,
}

impl<F> TrySpawnError<F> {
    pub(crate) const fn new(reason: RefuseReason, work: F) -> Self {
        Self { reason, work }
    }

    /// Returns what the task was to run.
    pub fn into_inner(self) -> F {
        self.work
    }

    /// Returns whether a limit was reached: `max_active_tasks`, that of the task's group, or the number of blocking threads and the
    /// length of their queue.
    #[must_use]
    pub fn is_at_capacity(&self) -> bool {
        self.reason == RefuseReason::AtCapacity
    }

    /// Returns whether the system has started no thread for a blocking task.
    #[must_use]
    pub fn is_no_thread(&self) -> bool {
        self.reason == RefuseReason::NoThread
    }

    /// Returns whether the executor is shutting down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.reason == RefuseReason::ShutDown
    }
}

impl<F> TrySpawnError<Box<F>> {
    pub(crate) fn unboxed(self) -> TrySpawnError<F> {
        TrySpawnError { reason: self.reason, work: *self.work }
    }
}

impl<F> fmt::Display for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason.error(), f)
    }
}

impl<F> fmt::Debug for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySpawnError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<F> std::error::Error for TrySpawnError<F> {}

//! How tasks become members of a group.

use std::future::Future;
use std::sync::atomic::Ordering;

use moirai_core::{TaskId, TaskKind};

use super::TaskGroup;
use crate::handle::TaskHandle;
use crate::runtime::admission::{Refusal, TrySpawnError};
use crate::runtime::shared::Shared;
use crate::spawn::Description;

impl<T: Send + 'static> TaskGroup<T> {
    /// Spawns a future as a member. At a limit it is dropped, and counted as refused; with results kept its result is the error.
    #[track_caller]
    pub fn spawn_async<F>(&self, future: F) -> TaskId
    where
        F: Future<Output = T> + Send + 'static,
    {
        let about = Description::new(TaskKind::Async);
        self.spawn(future, about, Shared::spawn_future)
    }

    /// Spawns a closure that computes as a member; see [`spawn_async`](Self::spawn_async).
    #[track_caller]
    pub fn spawn_parallel<F>(&self, f: F) -> TaskId
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn(f, Description::new(TaskKind::Parallel), Shared::spawn_closure)
    }

    /// Spawns a closure that may block as a member; see [`spawn_async`](Self::spawn_async).
    #[track_caller]
    pub fn spawn_blocking<F>(&self, f: F) -> TaskId
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn(f, Description::new(TaskKind::Blocking), Shared::spawn_closure)
    }

    fn spawn<W>(
        &self,
        work: W,
        about: Description,
        spawn: impl FnOnce(&Shared, W, Description) -> TaskHandle<T>,
    ) -> TaskId {
        let core = &self.core;
        if !core.enter() {
            let mut handle: TaskHandle<T> = core.shared.refuse(work, Refusal::AtCapacity);
            // Ordering: Relaxed: a count.
            core.counts.refused.fetch_add(1, Ordering::Relaxed);
            // Not kept: what is refused by the limit on what is kept must not add to it.
            drop(handle.take_refusal());
            return handle.id();
        }
        core.adopt(spawn(&core.shared, work, about))
    }

    /// As [`spawn_async`](Self::spawn_async), but gives the future back if it is refused.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError`] at the group's limit, at the executor's, and when the executor is shutting down.
    #[track_caller]
    pub fn try_spawn_async<F>(&self, future: F) -> Result<TaskId, TrySpawnError<F>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.try_spawn(future, Description::new(TaskKind::Async), Shared::start_future)
    }

    /// As [`spawn_parallel`](Self::spawn_parallel), but gives the closure back if it is refused.
    ///
    /// # Errors
    ///
    /// As for [`try_spawn_async`](Self::try_spawn_async).
    #[track_caller]
    pub fn try_spawn_parallel<F>(&self, f: F) -> Result<TaskId, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.try_spawn(f, Description::new(TaskKind::Parallel), Shared::start_closure)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but never waits: gives the closure back if it is refused.
    ///
    /// # Errors
    ///
    /// As for [`try_spawn_async`](Self::try_spawn_async), and when all threads for blocking tasks are taken and their queue is full.
    #[track_caller]
    pub fn try_spawn_blocking<F>(&self, f: F) -> Result<TaskId, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.try_spawn(f, Description::new(TaskKind::Blocking), Shared::start_closure)
    }

    fn try_spawn<W>(
        &self,
        work: W,
        about: Description,
        start: impl FnOnce(&Shared, W, Description) -> TaskHandle<T>,
    ) -> Result<TaskId, TrySpawnError<W>> {
        let core = &self.core;
        if !core.enter() {
            return Err(TrySpawnError::new(Refusal::AtCapacity, work));
        }
        match core.shared.try_enter(about.kind, work) {
            Ok(work) => Ok(core.adopt(start(&core.shared, work, about))),
            Err(refused) => {
                core.leave();
                Err(refused)
            }
        }
    }

    /// Spawns a future as a member once the group's limit and the executor's allow it. Dropped before, it spawns nothing.
    #[track_caller]
    pub fn spawn_async_when_free<F>(
        &self,
        future: F,
    ) -> impl Future<Output = TaskId> + Send + use<'_, T, F>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let about = Description::new(TaskKind::Async);
        self.spawn_when_free(future, about, Shared::start_future)
    }

    /// Spawns a closure that computes as a member once the group's limit and the executor's allow it.
    #[track_caller]
    pub fn spawn_parallel_when_free<F>(
        &self,
        f: F,
    ) -> impl Future<Output = TaskId> + Send + use<'_, T, F>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let about = Description::new(TaskKind::Parallel);
        self.spawn_when_free(f, about, Shared::start_closure)
    }

    /// Spawns a closure that may block as a member once the group's limit and the executor's allow it.
    #[track_caller]
    pub fn spawn_blocking_when_free<F>(
        &self,
        f: F,
    ) -> impl Future<Output = TaskId> + Send + use<'_, T, F>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let about = Description::new(TaskKind::Blocking);
        self.spawn_when_free(f, about, Shared::start_closure)
    }

    async fn spawn_when_free<W: Send + 'static>(
        &self,
        work: W,
        about: Description,
        start: impl FnOnce(&Shared, W, Description) -> TaskHandle<T> + Send,
    ) -> TaskId {
        let core = &self.core;
        let place = match &core.limit {
            // A group's semaphore is never closed.
            Some(limit) => limit.acquire().await.ok(),
            None => None,
        };
        let admitted = core.shared.admission.wait(about.kind).await;
        if let Some(place) = place {
            place.forget();
        }
        core.adopt(match admitted {
            Ok(()) => start(&core.shared, work, about),
            Err(why) => core.shared.refuse(work, why),
        })
    }
}

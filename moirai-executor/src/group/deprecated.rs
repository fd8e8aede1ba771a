//! Old names of groups. Each only calls what took its place, and will be removed in the next version.

use std::future::Future;

use moirai_core::TaskId;

use super::task_group::TaskGroup;
use crate::runtime::admission::TrySpawnError;

impl<T: Send + 'static> TaskGroup<T> {
    /// Moved to [`TaskBuilder::try_spawn_async`](crate::TaskBuilder::try_spawn_async).
    ///
    /// # Errors
    ///
    /// See there.
    #[deprecated(since = "0.1.0", note = "use `task().try_spawn_async(…)`")]
    #[track_caller]
    pub fn try_spawn_async<F>(&self, future: F) -> Result<TaskId, TrySpawnError<F>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.task().try_spawn_async(future)
    }

    /// Moved to [`TaskBuilder::try_spawn_parallel`](crate::TaskBuilder::try_spawn_parallel).
    ///
    /// # Errors
    ///
    /// See there.
    #[deprecated(since = "0.1.0", note = "use `task().try_spawn_parallel(…)`")]
    #[track_caller]
    pub fn try_spawn_parallel<F>(&self, f: F) -> Result<TaskId, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.task().try_spawn_parallel(f)
    }

    /// Moved to [`TaskBuilder::try_spawn_blocking`](crate::TaskBuilder::try_spawn_blocking).
    ///
    /// # Errors
    ///
    /// See there.
    #[deprecated(since = "0.1.0", note = "use `task().try_spawn_blocking(…)`")]
    #[track_caller]
    pub fn try_spawn_blocking<F>(&self, f: F) -> Result<TaskId, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.task().try_spawn_blocking(f)
    }

    /// Moved to [`TaskBuilder::spawn_async_when_free`](crate::TaskBuilder::spawn_async_when_free).
    #[deprecated(since = "0.1.0", note = "use `task().spawn_async_when_free(…)`")]
    #[track_caller]
    pub fn spawn_async_when_free<F>(
        &self,
        future: F,
    ) -> impl Future<Output = TaskId> + Send + use<'_, T, F>
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.task().spawn_async_when_free(future)
    }

    /// Moved to [`TaskBuilder::spawn_parallel_when_free`](crate::TaskBuilder::spawn_parallel_when_free).
    #[deprecated(since = "0.1.0", note = "use `task().spawn_parallel_when_free(…)`")]
    #[track_caller]
    pub fn spawn_parallel_when_free<F>(
        &self,
        f: F,
    ) -> impl Future<Output = TaskId> + Send + use<'_, T, F>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.task().spawn_parallel_when_free(f)
    }

    /// Moved to [`TaskBuilder::spawn_blocking_when_free`](crate::TaskBuilder::spawn_blocking_when_free).
    #[deprecated(since = "0.1.0", note = "use `task().spawn_blocking_when_free(…)`")]
    #[track_caller]
    pub fn spawn_blocking_when_free<F>(
        &self,
        f: F,
    ) -> impl Future<Output = TaskId> + Send + use<'_, T, F>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.task().spawn_blocking_when_free(f)
    }
}

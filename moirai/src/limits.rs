//! Spawning at a limit.

use std::future::Future;

use moirai_executor::{TaskHandle, TrySpawnError};

use crate::Moirai;

impl Moirai {
    /// As [`spawn_async`](Self::spawn_async), but gives the future back if it is refused.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// let moirai = Moirai::builder().worker_threads(1).max_active_tasks(1).build()?;
    /// let first = moirai.try_spawn_async(std::future::pending::<()>()).unwrap();
    /// let refused = moirai.try_spawn_async(async { 7 }).unwrap_err();
    /// assert!(refused.is_at_capacity());
    /// first.cancel();
    /// let second = moirai.block_on(moirai.spawn_async_when_free(refused.into_inner()));
    /// assert_eq!(second.join().unwrap(), 7);
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrySpawnError`] at the limit on active tasks, and when the executor is shutting down.
    #[track_caller]
    pub fn try_spawn_async<F>(&self, future: F) -> Result<TaskHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task().try_spawn_async(future)
    }

    /// As [`spawn_parallel`](Self::spawn_parallel), but gives the closure back if it is refused.
    ///
    /// # Errors
    ///
    /// As for [`try_spawn_async`](Self::try_spawn_async).
    #[track_caller]
    pub fn try_spawn_parallel<F, R>(&self, f: F) -> Result<TaskHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.task().try_spawn_parallel(f)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but never waits: gives the closure back if it is refused.
    ///
    /// # Errors
    ///
    /// As for [`try_spawn_async`](Self::try_spawn_async), and when all threads for blocking tasks are taken and their queue is full.
    #[track_caller]
    pub fn try_spawn_blocking<F, R>(&self, f: F) -> Result<TaskHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.task().try_spawn_blocking(f)
    }

    /// As [`spawn_async`](Self::spawn_async), once the limit on active tasks allows it; see
    /// [`TaskBuilder::spawn_async_when_free`](crate::TaskBuilder::spawn_async_when_free).
    #[track_caller]
    pub fn spawn_async_when_free<F>(
        &self,
        future: F,
    ) -> impl Future<Output = TaskHandle<F::Output>> + Send + use<F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.task().spawn_async_when_free(future)
    }

    /// As [`spawn_parallel`](Self::spawn_parallel), once the limit on active tasks allows it; see
    /// [`TaskBuilder::spawn_async_when_free`](crate::TaskBuilder::spawn_async_when_free).
    #[track_caller]
    pub fn spawn_parallel_when_free<F, R>(
        &self,
        f: F,
    ) -> impl Future<Output = TaskHandle<R>> + Send + use<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.task().spawn_parallel_when_free(f)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), once there is room in the queue and the limit on active tasks allows it; see
    /// [`TaskBuilder::spawn_async_when_free`](crate::TaskBuilder::spawn_async_when_free). It does not block the caller.
    #[track_caller]
    pub fn spawn_blocking_when_free<F, R>(
        &self,
        f: F,
    ) -> impl Future<Output = TaskHandle<R>> + Send + use<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.task().spawn_blocking_when_free(f)
    }
}

//! Spawning tasks into a group.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use moirai_core::{NotAFuture, TaskId};

use super::state::GroupState;
use super::task_group::TaskGroup;
use crate::box_if_large;
use crate::handle::TaskHandle;
use crate::spawn::check::NeverFails;
use crate::spawn::destination::Regroup;
use crate::spawn::destination::sealed::Sealed;
use crate::spawn::{Destination, TaskBuilder};

/// The [`Destination`] of tasks that are members of a [`TaskGroup`]. A spawn returns the task's id, because the group has its
/// handle.
///
/// [`TaskBuilder::in_group`] chooses it.
pub struct InGroup<'g, T: Send + 'static>(&'g Arc<GroupState<T>>);

impl<'a, D: Regroup> TaskBuilder<'a, D> {
    /// Makes the task a member of a group.
    ///
    /// A spawn then returns the task's id instead of a handle, and counts against the group's [`max_tasks`](TaskGroup::max_tasks)
    /// as well as against the limits of the executor. The task runs on this builder's executor, also if another one created the
    /// group.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let mut group = executor.group().keep_results();
    /// let id = executor.task().name("answer").in_group(&group).spawn_async(async { 42 });
    /// let (finished, result) = executor.block_on(group.next()).unwrap();
    /// assert_eq!((finished, result.unwrap()), (id, 42));
    /// assert_eq!(executor.task_stats(id).unwrap().name.as_deref(), Some("answer"));
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// The builder borrows the group, as does a spawn that waits, so no task is spawned into a group that is gone:
    ///
    /// ```compile_fail,E0505
    /// # use moirai::prelude::*;
    /// # let executor = Moirai::builder().worker_threads(1).build().unwrap();
    /// let group = executor.group();
    /// let waiting = group.task().spawn_async_when_free(async {});
    /// drop(group);
    /// executor.block_on(waiting);
    /// ```
    pub fn in_group<'g, T: Send + 'static>(
        self,
        group: &'g TaskGroup<T>,
    ) -> TaskBuilder<'a, D::In<InGroup<'g, T>>> {
        self.map_destination(|destination| destination.regroup(InGroup(&group.state)))
    }
}

impl<T: Send + 'static> TaskGroup<T> {
    /// Returns a builder for a task that becomes a member of this group, as with [`TaskBuilder::in_group`].
    pub fn task(&self) -> TaskBuilder<'_, InGroup<'_, T>> {
        TaskBuilder::new(&self.state.shared).in_group(self)
    }

    /// Spawns a future as a member, and returns its id.
    ///
    /// At a limit the future is dropped and counted as refused. If the limit is the executor's and the group keeps results, the
    /// error is among them.
    ///
    /// This is short for [`task()`](Self::task)`.spawn_async(future)`. The builder also has `try_spawn_async`, which gives the
    /// future back, and `spawn_async_when_free`, which waits.
    #[inline]
    #[track_caller]
    pub fn spawn_async<F>(&self, future: F) -> TaskId
    where
        F: Future<Output = T> + Send + 'static,
    {
        let task = self.task();
        box_if_large!(future: F = Box::pin(future), task.spawn_async(future))
    }

    /// Spawns a closure that computes as a member; see [`spawn_async`](Self::spawn_async).
    #[inline]
    #[track_caller]
    pub fn spawn_parallel<F, ReturnsNoFuture>(&self, f: F) -> TaskId
    where
        F: FnOnce() -> T + Send + 'static,
        T: NotAFuture<ReturnsNoFuture>,
    {
        let task = self.task();
        box_if_large!(f: F = Box::new(f), task.spawn_parallel(f))
    }

    /// Spawns a closure that may block as a member; see [`spawn_async`](Self::spawn_async).
    #[inline]
    #[track_caller]
    pub fn spawn_blocking<F, ReturnsNoFuture>(&self, f: F) -> TaskId
    where
        F: FnOnce() -> T + Send + 'static,
        T: NotAFuture<ReturnsNoFuture>,
    {
        let task = self.task();
        box_if_large!(f: F = Box::new(f), task.spawn_blocking(f))
    }
}

impl<T: Send + 'static> Sealed for InGroup<'_, T> {}

impl<T: Send + 'static> Regroup for InGroup<'_, T> {
    type In<N> = N;

    fn regroup<N>(self, group: N) -> N {
        group
    }
}

impl<T: Send + 'static> Destination<T> for InGroup<'_, T> {
    type Spawned = TaskId;
    type Check = NeverFails;

    fn try_take_place(&self) -> bool {
        self.0.enter()
    }

    async fn take_place(&self) {
        if let Some(limit) = &self.0.limit {
            // A group's semaphore is never closed, so this does not fail.
            if let Ok(place) = limit.acquire().await {
                place.forget();
            }
        }
    }

    fn give_place_back(&self) {
        self.0.leave();
    }

    fn accept(&self, handle: TaskHandle<T>) -> TaskId {
        self.0.add_member(handle)
    }

    fn refuse(&self, mut handle: TaskHandle<T>) -> TaskId {
        // Ordering: Relaxed: a count.
        self.0.counts.refused.fetch_add(1, Ordering::Relaxed);
        // It is not kept as a result: a task that the limit on kept results refuses must not add to them.
        drop(handle.take_refusal());
        handle.id()
    }
}

impl<T: Send + 'static> std::fmt::Debug for InGroup<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InGroup").field("members", &self.0.members.len()).finish_non_exhaustive()
    }
}

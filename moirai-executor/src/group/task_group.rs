//! Groups of tasks.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use moirai_core::{CancelCause, TaskError, TaskId};
use moirai_sync::{Semaphore, budget};

use crate::handle::AbortHandle;
use crate::runtime::shared::Shared;

use super::members::{Members, Polled};
use super::state::{GroupCounters, GroupState, MemberResult, drop_each};

/// A group of tasks that are waited for together, limited in number, and cancelled together. `group()` creates one.
///
/// Dropping the group cancels the tasks that have not ended; [`detach`](Self::detach) lets them go on.
///
/// A group keeps only counts of the tasks that have ended, so that it can live as long as a server does. Their results are dropped,
/// unless [`keep_results`](Self::keep_results) asks for them; then [`next`](Self::next) and [`join_all`](Self::join_all) take them.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(1).build()?;
/// let mut group = executor.group().keep_results();
/// for i in 0..3_u64 {
///     group.spawn_async(async move { i * i });
/// }
/// let sum = executor.block_on(async {
///     let mut sum = 0;
///     while let Some((_id, result)) = group.next().await {
///         sum += result.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, 5);
/// # Ok::<(), BuildError>(())
/// ```
///
/// # Borrowing
///
/// The tasks of a group own what they use, as all tasks do. A group can be leaked, and then its tasks would go on with what they
/// had borrowed. Closures that borrow can be spawned in a [`scope`](crate::Scope), which does not return before they have ended.
pub struct TaskGroup<T: Send + 'static> {
    pub(super) state: Arc<GroupState<T>>,
}

/// How many tasks of a group have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupCounts {
    /// Tasks that returned a value.
    pub completed: u64,
    /// Tasks that have failed: that panicked, or returned an `Err` and were to fail if they did.
    pub failed: u64,
    /// Tasks that were cancelled, by whatever means.
    pub cancelled: u64,
    /// Tasks that were dropped at a spawn, because of the group's limit or the executor's. Work that `try_spawn_*` gives back does not
    /// count.
    pub refused: u64,
}

impl<T: Send + 'static> TaskGroup<T> {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            state: Arc::new(GroupState {
                shared,
                members: Members::new(),
                keep: false,
                limit: None,
                counts: GroupCounters::default(),
            }),
        }
    }

    fn changed(mut self, change: impl FnOnce(&mut GroupState<T>)) -> Self {
        // No other reference exists before the first spawn. After it, a change could lose tasks.
        if let Some(state) = Arc::get_mut(&mut self.state)
            && state.members.len() == 0
        {
            change(state);
        }
        self
    }

    /// Keeps what the tasks return until [`next`](Self::next) or [`join_all`](Self::join_all) takes it.
    ///
    /// Must be called before the first spawn; later it has no effect.
    #[must_use]
    pub fn keep_results(self) -> Self {
        self.changed(|state| state.keep = true)
    }

    /// Limits the number of members to `tasks`, but to no less than one.
    ///
    /// If results are kept, those that have not been taken count too. At the limit a plain spawn is refused, `try_spawn_*` gives
    /// the work back, and `spawn_*_when_free` waits. Must be called before the first spawn; later it has no effect.
    #[must_use]
    pub fn max_tasks(self, tasks: usize) -> Self {
        self.changed(|state| state.limit = Some(Semaphore::new(tasks.max(1))))
    }

    /// Returns the number of members that have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.members.len()
    }

    /// Returns whether all members have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many of the tasks have ended so far, and how.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        let counts = &self.state.counts;
        // Ordering: Relaxed: counts.
        GroupCounts {
            completed: counts.completed.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            cancelled: counts.cancelled.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        }
    }

    /// Waits for the next result, in the order in which tasks end. Returns `None` when all tasks have ended and no result is left.
    ///
    /// Without [`keep_results`](Self::keep_results) it waits for all tasks to end.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time. No result is lost.
    pub async fn next(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        poll_fn(|cx| budget::poll(cx, |cx| self.poll_next(cx))).await
    }

    fn poll_next(&self, cx: &TaskContext<'_>) -> Poll<Option<MemberResult<T>>> {
        match self.state.members.poll(cx.waker()) {
            Polled::MemberResult(outcome) => {
                self.state.leave();
                Poll::Ready(Some(outcome))
            }
            Polled::Empty => Poll::Ready(None),
            Polled::Wait => Poll::Pending,
        }
    }

    /// Waits for all tasks to end, and returns the results that were kept.
    pub async fn join_all(&mut self) -> Vec<(TaskId, Result<T, TaskError>)> {
        let mut results = Vec::new();
        while let Some(result) = self.next().await {
            results.push(result);
        }
        results
    }

    /// Asks all members to stop, as `cancel` of their handles does. The group can still be used.
    pub fn cancel_all(&self) {
        let mut members: Vec<AbortHandle> = Vec::new();
        self.state.members.for_each(|handle| members.push(handle.abort_handle()));
        members.iter().for_each(|member| member.cancel_by(CancelCause::Group));
    }

    /// Lets the members go on without the group.
    pub fn detach(self) {
        let (members, outcomes) = self.state.members.close();
        drop_each(members);
        drop_each(outcomes);
    }
}

impl<T: Send + 'static> Drop for TaskGroup<T> {
    fn drop(&mut self) {
        let (members, outcomes) = self.state.members.close();
        for (_, handle) in &members {
            handle.cancel_by(CancelCause::Group);
        }
        drop_each(members);
        drop_each(outcomes);
    }
}

impl<T: Send + 'static> fmt::Debug for TaskGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("members", &self.len())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

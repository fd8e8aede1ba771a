//! Tasks that belong together.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use moirai_core::{TaskError, TaskId};
use moirai_sync::{Semaphore, budget};

use crate::handle::AbortHandle;
use crate::runtime::shared::Shared;

use super::members::{Members, Polled};
use super::state::{GroupCounters, GroupState, MemberResult, drop_quietly};

/// Tasks that belong together: waited for together, limited in number, cancelled together. Made by `group()`.
///
/// Dropping the group cancels the tasks that have not member_finished; [`detach`](Self::detach) lets them go on.
///
/// A group holds nothing of tasks that have member_finished, only counts, so that it can live as long as a server does: what they return is
/// dropped. Ask for it with [`keep_results`](Self::keep_results), and take it with [`next`](Self::next) or
/// [`join_all`](Self::join_all).
///
/// ```
/// # use moirai_core::ExecutorControl;
/// # let executor = moirai_executor::HybridExecutor::builder().worker_threads(1).build()?;
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
/// # Ok::<(), moirai_core::BuildError>(())
/// ```
///
/// # Borrowing
///
/// The tasks of a group own what they use, as all tasks do: a group can be leaked, and its tasks would go on with what they had
/// borrowed. For closures that borrow there is [`scope`](crate::Scope), which cannot be left before they have member_finished.
pub struct TaskGroup<T: Send + 'static> {
    pub(super) state: Arc<GroupState<T>>,
}

/// How the tasks of a group have member_finished so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupCounts {
    /// Tasks that returned a value.
    pub completed: u64,
    /// Tasks that panicked.
    pub failed: u64,
    /// Tasks that were cancelled, by whatever means.
    pub cancelled: u64,
    /// Tasks that were not let in, by the group's limit or the executor's.
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
        // Nobody else has it: tasks are not there yet, or the group could not be changed without losing them.
        if let Some(core) = Arc::get_mut(&mut self.state)
            && core.members.len() == 0
        {
            change(core);
        }
        self
    }

    /// Keeps what the tasks return, for [`next`](Self::next) and [`join_all`](Self::join_all), until it is taken. To be called before
    /// the first spawn; after it nothing changes.
    #[must_use]
    pub fn keep_results(self) -> Self {
        self.changed(|core| core.keep = true)
    }

    /// At most so many tasks at once, at least one; with results kept, those that were not taken count too. To be called before the
    /// first spawn; after it nothing changes. At the limit a plain spawn is refused, `try_spawn_*` gives the work back, and
    /// `spawn_*_when_free` waits.
    #[must_use]
    pub fn max_tasks(self, tasks: usize) -> Self {
        self.changed(|core| core.limit = Some(Semaphore::new(tasks.max(1))))
    }

    /// How many members have not member_finished.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.members.len()
    }

    /// Whether all members have member_finished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the tasks have member_finished so far.
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

    /// The next result that was kept, in the order in which tasks member_finished; `None` when all tasks have member_finished and nothing is left to take.
    /// Without [`keep_results`](Self::keep_results) it waits for all tasks to end. May be dropped at any time: no result is lost.
    pub async fn next(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        poll_fn(|cx| budget::poll(cx, |cx| self.poll_next(cx))).await
    }

    fn poll_next(&self, cx: &TaskContext<'_>) -> Poll<Option<MemberResult<T>>> {
        match self.state.members.look(cx.waker()) {
            Polled::MemberResult(outcome) => {
                self.state.leave();
                Poll::Ready(Some(outcome))
            }
            Polled::Empty => Poll::Ready(None),
            Polled::Wait => Poll::Pending,
        }
    }

    /// Waits for all tasks to end, and gives the results that were kept.
    pub async fn join_all(&mut self) -> Vec<(TaskId, Result<T, TaskError>)> {
        let mut results = Vec::new();
        while let Some(result) = self.next().await {
            results.push(result);
        }
        results
    }

    /// Asks all members to stop, as their handles' `cancel` would. The group stays usable.
    pub fn cancel_all(&self) {
        let mut members = Vec::new();
        self.state.members.each(|handle| members.push(handle.abort_handle()));
        members.iter().for_each(AbortHandle::cancel);
    }

    /// Lets the members go on without the group.
    pub fn detach(self) {
        drop_quietly(self.state.members.close());
    }
}

impl<T: Send + 'static> Drop for TaskGroup<T> {
    fn drop(&mut self) {
        let (members, outcomes) = self.state.members.close();
        for (_, handle) in &members {
            handle.cancel();
        }
        drop_quietly((members, outcomes));
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

//! Tasks that belong together.

mod members;

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use moirai_core::{TaskError, TaskId, TaskKind};
use moirai_sync::{Semaphore, budget};

use crate::admission::{Refusal, TrySpawnError};
use crate::executor::HybridExecutor;
use crate::handle::TaskHandle;
use crate::panics;
use crate::shared::Shared;
use crate::spawn::Description;

use members::{Look, Members};

/// Tasks that belong together: waited for together, limited in number, cancelled together. Made by `group()`.
///
/// Dropping the group cancels the tasks that have not ended; [`detach`](Self::detach) lets them go on.
///
/// A group holds nothing of tasks that have ended, only counts, so that it can live as long as a server does: what they return is
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
/// borrowed. For closures that borrow there is [`scope`](crate::Scope), which cannot be left before they have ended.
pub struct TaskGroup<T: Send + 'static> {
    core: Arc<Core<T>>,
}

/// How the tasks of a group have ended so far.
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

struct Core<T: Send + 'static> {
    /// Does not keep the executor running.
    shared: Arc<Shared>,
    members: Members<TaskHandle<T>, Outcome<T>>,
    keep: bool,
    limit: Option<Semaphore>,
    counts: Counts,
}

type Outcome<T> = (TaskId, Result<T, TaskError>);

#[derive(Default)]
struct Counts {
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn count<T>(&self, result: &Result<T, TaskError>) {
        let counter = match result {
            Ok(_) => &self.completed,
            Err(TaskError::Panicked(_)) => &self.failed,
            Err(_) => &self.cancelled,
        };
        // Ordering: Relaxed: a count; `note` in `members` releases it to whoever waits for the end.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Told when a member has ended.
struct Member<T: Send + 'static> {
    core: Weak<Core<T>>,
    key: usize,
}

impl<T: Send + 'static> Wake for Member<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(core) = self.core.upgrade() {
            core.ended(self.key);
        }
    }
}

impl<T: Send + 'static> Core<T> {
    /// Takes a task in.
    fn adopt(self: &Arc<Self>, mut handle: TaskHandle<T>) -> TaskId {
        let id = handle.id();
        if let Some(result) = handle.take_refusal() {
            self.not_let_in(id, result);
            return id;
        }
        let ended = self.members.join(handle, |handle, key| {
            let member = Member { core: Arc::downgrade(self), key };
            let waker = Waker::from(Arc::new(member));
            handle.lend(&waker)
        });
        if let Some(mut handle) = ended {
            // It has ended before the waker was lent: nobody else will say so.
            let outcome = handle.try_join().map(|result| (id, result));
            self.note(outcome);
        }
        id
    }

    /// A member has ended.
    fn ended(&self, key: usize) {
        let mut unkept = None;
        let member = self.members.end(key, |handle| {
            let result = handle.try_join()?;
            self.counts.count(&result);
            let outcome = (handle.id(), result);
            if self.keep {
                return Some(outcome);
            }
            unkept = Some(outcome);
            None
        });
        if member.is_some() && !self.keep {
            self.leave();
        }
        drop_quietly(unkept);
        drop_quietly(member);
    }

    /// A task ended, or was refused, that was never a member.
    fn note(&self, outcome: Option<Outcome<T>>) {
        let Some(outcome) = outcome else { return };
        self.counts.count(&outcome.1);
        if self.keep {
            self.members.add_outcome(outcome);
        } else {
            self.leave();
            drop_quietly(outcome);
        }
    }

    fn not_let_in(&self, id: TaskId, result: Result<T, TaskError>) {
        // Ordering: Relaxed: a count.
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        if self.keep {
            self.members.add_outcome((id, result));
        } else {
            self.leave();
        }
    }

    /// Gives a place under the group's limit back.
    fn leave(&self) {
        if let Some(limit) = &self.limit {
            limit.release();
        }
    }

    /// Takes a place under the group's limit.
    fn enter(&self) -> bool {
        self.limit.as_ref().is_none_or(|limit| match limit.try_acquire() {
            Some(permit) => {
                permit.forget();
                true
            }
            None => false,
        })
    }
}

impl<T: Send + 'static> TaskGroup<T> {
    pub(crate) fn new(executor: &HybridExecutor) -> Self {
        Self {
            core: Arc::new(Core {
                shared: executor.counted(),
                members: Members::new(),
                keep: false,
                limit: None,
                counts: Counts::default(),
            }),
        }
    }

    fn changed(mut self, change: impl FnOnce(&mut Core<T>)) -> Self {
        // Nobody else has it: tasks are not there yet, or the group could not be changed without losing them.
        if let Some(core) = Arc::get_mut(&mut self.core)
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

    /// How many members have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.members.len()
    }

    /// Whether all members have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the tasks have ended so far.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        let counts = &self.core.counts;
        // Ordering: Relaxed: counts.
        GroupCounts {
            completed: counts.completed.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            cancelled: counts.cancelled.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        }
    }

    /// The next result that was kept, in the order in which tasks ended; `None` when all tasks have ended and nothing is left to take.
    /// Without [`keep_results`](Self::keep_results) it waits for all tasks to end. May be dropped at any time: no result is lost.
    pub async fn next(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        poll_fn(|cx| budget::poll(cx, |cx| self.poll_next(cx))).await
    }

    fn poll_next(&self, cx: &TaskContext<'_>) -> Poll<Option<Outcome<T>>> {
        match self.core.members.look(cx.waker()) {
            Look::Outcome(outcome) => {
                self.core.leave();
                Poll::Ready(Some(outcome))
            }
            Look::Empty => Poll::Ready(None),
            Look::Wait => Poll::Pending,
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
        self.core.members.each(|handle| members.push(handle.abort_handle()));
        members.iter().for_each(crate::handle::AbortHandle::cancel);
    }

    /// Lets the members go on without the group.
    pub fn detach(self) {
        drop_quietly(self.core.members.close());
    }
}

impl<T: Send + 'static> Drop for TaskGroup<T> {
    fn drop(&mut self) {
        let (members, outcomes) = self.core.members.close();
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

/// Drops what may have a destructor that panics: results are dropped on workers, and in destructors.
fn drop_quietly<D>(dropped: D) {
    if let Some(message) = panics::message_of(|| drop(dropped)) {
        tracing::error!(target: "moirai", panic = &*message, "the destructor of a group's result panicked");
    }
}

//! The state that a group shares with its members.
//!
//! 1. A task takes a place of the group's limit before it is spawned. The place is given back exactly once: when the task ends or is
//!    refused, or, if results are kept, when the caller takes the result.
//! 2. Each end is counted exactly once: by the waker of the member's handle, or by [`GroupState::add_member`] if the task had ended
//!    before the waker was set. The waker takes the lock under which the task becomes a member, so it finds the member.
//! 3. A waiter that learns that all members have ended finds their results dropped, unless they are kept, and their places given
//!    back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use moirai_core::{TaskError, TaskId};
use moirai_sync::Semaphore;

use super::members::Members;
use crate::handle::TaskHandle;
use crate::panics::{self, log};
use crate::runtime::shared::Shared;
use crate::runtime::task_host::{log_unseen_error, log_unseen_panic};

#[cfg(all(test, moirai_loom))]
mod loom;

pub(super) struct GroupState<T: Send + 'static> {
    /// A reference that does not keep the executor running.
    pub(super) shared: Arc<Shared>,
    pub(super) members: Members<TaskHandle<T>, MemberResult<T>>,
    pub(super) keep: bool,
    pub(super) limit: Option<Semaphore>,
    pub(super) counts: GroupCounters,
}

pub(super) type MemberResult<T> = (TaskId, Result<T, TaskError>);

#[derive(Default)]
pub(super) struct GroupCounters {
    pub(super) completed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl GroupCounters {
    fn count<T>(&self, result: &Result<T, TaskError>, has_failed: bool) {
        let counter = match result {
            _ if has_failed => &self.failed,
            Ok(_) => &self.completed,
            Err(_) => &self.cancelled,
        };
        // Ordering: Relaxed: a count; the lock in `members` makes it visible to a thread that waits for the end.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The waker of one member's handle: it is woken when the member has ended.
struct Member<T: Send + 'static> {
    group: Weak<GroupState<T>>,
    key: usize,
}

impl<T: Send + 'static> Wake for Member<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(group) = self.group.upgrade() {
            group.member_finished(self.key);
        }
    }
}

impl<T: Send + 'static> GroupState<T> {
    /// Adds the task of a handle to the group.
    pub(super) fn add_member(self: &Arc<Self>, mut handle: TaskHandle<T>) -> TaskId {
        let id = handle.id();
        if let Some(result) = handle.take_refusal() {
            self.member_refused(id, result);
            return id;
        }
        let finished = self.members.join(handle, |handle, key| {
            let member = Member { group: Arc::downgrade(self), key };
            let waker = Waker::from(Arc::new(member));
            handle.set_join_waker(&waker)
        });
        if let Some(mut handle) = finished {
            // The task ended before the waker was registered, so the waker is not woken for it.
            let outcome = handle.try_join().map(|result| (id, result));
            self.note(outcome, handle.has_failed());
        }
        id
    }

    /// Removes a member that has ended.
    fn member_finished(&self, key: usize) {
        let mut unkept = None;
        let mut has_failed = false;
        let member = self.members.end(key, |handle| {
            let result = handle.try_join()?;
            has_failed = handle.has_failed();
            self.counts.count(&result, has_failed);
            let outcome = (handle.id(), result);
            if self.keep {
                return Some(outcome);
            }
            unkept = Some(outcome);
            None
        });
        if member.is_none() {
            return;
        }
        self.log_unkept(unkept.as_ref(), has_failed);
        drop_quietly(unkept);
        drop_quietly(member);
        if !self.keep {
            self.leave();
        }
        // A waiter that learns that all members have ended finds their results dropped and their permits returned.
        self.members.finish_removal();
    }

    /// Counts the end of a task that never was a member, and keeps its outcome if results are kept.
    fn note(&self, outcome: Option<MemberResult<T>>, has_failed: bool) {
        let Some(outcome) = outcome else { return };
        self.counts.count(&outcome.1, has_failed);
        if self.keep {
            self.members.add_outcome(outcome);
        } else {
            self.leave();
            self.log_unkept(Some(&outcome), has_failed);
            drop_quietly(outcome);
        }
    }

    /// Logs the panic or the error of a member whose result is not kept: it reaches no caller.
    fn log_unkept(&self, outcome: Option<&MemberResult<T>>, has_failed: bool) {
        if let Some((id, Ok(_))) = outcome
            && has_failed
            && let Some(stats) = self.shared.registry.stats(*id)
        {
            log_unseen_error(&stats);
        }
        let Some((id, Err(TaskError::Panicked(panic)))) = outcome else { return };
        match self.shared.registry.stats(*id) {
            Some(stats) => log_unseen_panic(&stats),
            // Its record has been evicted.
            None => {
                log!(
                    warn,
                    id = id.get(),
                    panic = panic.message(),
                    "a task panicked whose handle is gone"
                )
            }
        }
    }

    fn member_refused(&self, id: TaskId, result: Result<T, TaskError>) {
        // Ordering: Relaxed: a count.
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        if self.keep {
            self.members.add_outcome((id, result));
        } else {
            self.leave();
        }
    }

    /// Returns a permit of the group's limit.
    pub(super) fn leave(&self) {
        if let Some(limit) = &self.limit {
            limit.release();
        }
    }

    /// Takes a permit of the group's limit, if there is one. Returns whether it did.
    pub(super) fn enter(&self) -> bool {
        self.limit.as_ref().is_none_or(|limit| match limit.try_acquire() {
            Some(permit) => {
                permit.forget();
                true
            }
            None => false,
        })
    }
}

/// Drops a value whose destructor may panic. Results are dropped on workers and inside of other destructors.
pub(super) fn drop_quietly<D>(dropped: D) {
    if let Some(message) = panics::contain(|| drop(dropped)) {
        log!(error, panic = &*message, "the destructor of a group's result panicked");
    }
}

/// Drops values whose destructors may panic, each by itself: two panics at once would abort the process.
pub(super) fn drop_each<D>(values: impl IntoIterator<Item = D>) {
    values.into_iter().for_each(drop_quietly);
}

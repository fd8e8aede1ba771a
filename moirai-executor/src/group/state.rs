//! What a group and its members share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use moirai_core::{TaskError, TaskId};
use moirai_sync::Semaphore;

use super::members::Members;
use crate::handle::TaskHandle;
use crate::panics;
use crate::runtime::shared::Shared;

pub(super) struct GroupState<T: Send + 'static> {
    /// Does not keep the executor running.
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

/// Told when a member has member_finished.
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
    /// Takes a task in.
    pub(super) fn add_member(self: &Arc<Self>, mut handle: TaskHandle<T>) -> TaskId {
        let id = handle.id();
        if let Some(result) = handle.take_refusal() {
            self.member_refused(id, result);
            return id;
        }
        let member_finished = self.members.join(handle, |handle, key| {
            let member = Member { group: Arc::downgrade(self), key };
            let waker = Waker::from(Arc::new(member));
            handle.set_join_waker(&waker)
        });
        if let Some(mut handle) = member_finished {
            // It has member_finished before the waker was lent: nobody else will say so.
            let outcome = handle.try_join().map(|result| (id, result));
            self.note(outcome);
        }
        id
    }

    /// A member has member_finished.
    fn member_finished(&self, key: usize) {
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
        if member.is_none() {
            return;
        }
        drop_quietly(unkept);
        drop_quietly(member);
        if !self.keep {
            self.leave();
        }
        // Who is told that all have member_finished finds their results dropped and their places free.
        self.members.settle();
    }

    /// A task member_finished, or was refused, that was never a member.
    fn note(&self, outcome: Option<MemberResult<T>>) {
        let Some(outcome) = outcome else { return };
        self.counts.count(&outcome.1);
        if self.keep {
            self.members.add_outcome(outcome);
        } else {
            self.leave();
            drop_quietly(outcome);
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

    /// Gives a place under the group's limit back.
    pub(super) fn leave(&self) {
        if let Some(limit) = &self.limit {
            limit.release();
        }
    }

    /// Takes a place under the group's limit.
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

/// Drops what may have a destructor that panics: results are dropped on workers, and in destructors.
pub(super) fn drop_quietly<D>(dropped: D) {
    if let Some(message) = panics::contain(|| drop(dropped)) {
        tracing::error!(target: "moirai", panic = &*message, "the destructor of a group's result panicked");
    }
}

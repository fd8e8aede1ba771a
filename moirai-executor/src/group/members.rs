//! The members of a group, and the outcomes of those that have ended.
//!
//! 1. A member is in the slab from when it joins until it is *removed* under the lock: by its end, or by the closing of the group,
//!    whichever comes first. The thread that removes it owns it.
//! 2. An end is noted under the same lock, with the outcome if outcomes are kept. So a thread that looks finds either the member or
//!    its end.
//! 3. A task that waits stores its waker under the lock, after it has found nothing there. Every end takes that waker under the
//!    same lock, and wakes it once the lock is released. An end counts as finished only when
//!    [`finish_removal`](Members::finish_removal) has been called for it: until then no waiter is told that all members have ended.
//! 4. No lock is held while a member, an outcome or a waker is dropped, or a waker is woken.

use std::collections::VecDeque;
use std::task::Waker;

use moirai_core::shim::sync::Mutex;
use slab::Slab;

use crate::panics::{self, log};

#[cfg(all(test, moirai_loom))]
mod loom;

/// The members of a group; see the [module](self). `M` is a member, and `O` the outcome of one that has ended.
#[derive(Debug)]
pub(super) struct Members<M, O> {
    state: Mutex<MembersState<M, O>>,
}

#[derive(Debug)]
struct MembersState<M, O> {
    members: Slab<M>,
    outcomes: VecDeque<O>,
    /// The number of members that were removed by their ends, and whose removal is not finished.
    ending: usize,
    /// The waker of the task that waits for an end.
    waiting: Option<Waker>,
    closed: bool,
}

/// The result of looking for an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Polled<O> {
    MemberResult(O),
    /// No member and no outcome is left.
    Empty,
    /// The waker was stored.
    Wait,
}

impl<M, O> Members<M, O> {
    pub(super) fn new() -> Self {
        let (members, outcomes) = (Slab::new(), VecDeque::new());
        let state = MembersState { members, outcomes, ending: 0, waiting: None, closed: false };
        Self { state: Mutex::new(state) }
    }

    /// Adds a member (rule 1). `begin` is called under the lock with the member and its key. If it returns `false` the member has
    /// ended already, and is returned.
    pub(super) fn join(&self, member: M, begin: impl FnOnce(&mut M, usize) -> bool) -> Option<M> {
        let mut state = self.state.lock();
        if state.closed {
            return Some(member);
        }
        let key = state.members.insert(member);
        if begin(&mut state.members[key], key) {
            return None;
        }
        Some(state.members.remove(key))
    }

    /// Removes a member that has ended (rules 1 and 2). `outcome` returns the outcome to keep; it must not run user code.
    ///
    /// Returns the member, which the caller must drop before it calls [`finish_removal`](Self::finish_removal). Returns `None` if
    /// the group was closed before.
    #[must_use]
    pub(super) fn end(&self, key: usize, outcome: impl FnOnce(&mut M) -> Option<O>) -> Option<M> {
        let mut state = self.state.lock();
        let mut member = state.members.try_remove(key)?;
        state.outcomes.extend(outcome(&mut member));
        state.ending += 1;
        Some(member)
    }

    /// Marks the removal of a member as finished, and wakes the task that waits (rule 3).
    ///
    /// Must be called exactly once after each [`end`](Self::end) that returned a member.
    pub(super) fn finish_removal(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.ending -= 1;
            state.waiting.take()
        };
        wake(waiting);
    }

    /// Keeps the outcome of a task that never was a member.
    pub(super) fn add_outcome(&self, outcome: O) {
        let (refused, waiting) = {
            let mut state = self.state.lock();
            if state.closed {
                (Some(outcome), None)
            } else {
                state.outcomes.push_back(outcome);
                (None, state.waiting.take())
            }
        };
        drop(refused);
        wake(waiting);
    }

    /// Takes an outcome, or stores the waker if there is none but there are members (rule 3).
    pub(super) fn poll(&self, waker: &Waker) -> Polled<O> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        if let Some(outcome) = state.outcomes.pop_front() {
            return Polled::MemberResult(outcome);
        }
        if state.members.is_empty() && state.ending == 0 {
            return Polled::Empty;
        }
        let old = state.waiting.replace(waker);
        drop(state);
        drop(old);
        Polled::Wait
    }

    /// Returns the number of members.
    pub(super) fn len(&self) -> usize {
        self.state.lock().members.len()
    }

    /// Calls `f` with each member, under the lock. `f` must not call back.
    pub(super) fn for_each(&self, mut f: impl FnMut(&M)) {
        let state = self.state.lock();
        state.members.iter().for_each(|(_, member)| f(member));
    }

    /// Closes the group and removes all members (rule 1), for the caller to drop. No member can join any more.
    pub(super) fn close(&self) -> (Slab<M>, VecDeque<O>) {
        let mut state = self.state.lock();
        state.closed = true;
        (std::mem::take(&mut state.members), std::mem::take(&mut state.outcomes))
    }
}

/// Wakes the task that waits. Its waker is user code, whose panic must not skip what the caller does next.
fn wake(waiting: Option<Waker>) {
    if let Some(waker) = waiting
        && let Some(message) = panics::contain(|| waker.wake())
    {
        log!(error, panic = &*message, "a waker panicked");
    }
}

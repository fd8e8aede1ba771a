//! Who belongs to a group, and what is left of those who have member_finished.
//!
//! 1. A member is in the slab from when it joins until it is *taken out*, under the lock: by its end, or by the shutdown_progress of the
//!    group, whichever comes first. Who takes it out owns it.
//! 2. An end is noted under the same lock, with the outcome if outcomes are kept; so who looks finds either the member or its end.
//! 3. Whoever waits leaves a waker under the lock, after it has looked. Every end takes the waker, under the lock, and wakes it after.
//!    An end is over only when its taker has [settled](Members::settle) what it owes: until then nobody is told that all have member_finished.
//! 4. No lock is held while a member, an outcome or a waker is dropped, or a waker woken.

use std::collections::VecDeque;
use std::task::Waker;

use moirai_core::shim::sync::Mutex;
use slab::Slab;

use crate::panics;

#[cfg(all(test, moirai_loom))]
mod loom;

/// See the [module](self). `M` is a member, `O` what is kept of one that has member_finished.
#[derive(Debug)]
pub(super) struct Members<M, O> {
    state: Mutex<MembersState<M, O>>,
}

#[derive(Debug)]
struct MembersState<M, O> {
    members: Slab<M>,
    outcomes: VecDeque<O>,
    /// Members that were taken out by their ends, which are not settled yet.
    ending: usize,
    /// Who waits for an end.
    waiting: Option<Waker>,
    closed: bool,
}

/// What somebody finds who looks for an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Polled<O> {
    MemberResult(O),
    /// Nobody is left, and no outcome.
    Empty,
    /// The waker was left.
    Wait,
}

impl<M, O> Members<M, O> {
    pub(super) fn new() -> Self {
        let (members, outcomes) = (Slab::new(), VecDeque::new());
        let state = MembersState { members, outcomes, ending: 0, waiting: None, closed: false };
        Self { state: Mutex::new(state) }
    }

    /// Rule 1: adds a member. `begin` gets it and its key, under the lock; false if it has member_finished already: then it comes back.
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

    /// Rules 1 and 2: a member has member_finished, and `outcome` says what is kept of it; it must not run anybody's code. The member, for
    /// the caller to drop, and then to settle; nothing if the group was closed before.
    #[must_use]
    pub(super) fn end(&self, key: usize, outcome: impl FnOnce(&mut M) -> Option<O>) -> Option<M> {
        let mut state = self.state.lock();
        let mut member = state.members.try_remove(key)?;
        state.outcomes.extend(outcome(&mut member));
        state.ending += 1;
        Some(member)
    }

    /// Rule 3: whoever took a member out owes nothing any more.
    pub(super) fn settle(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.ending -= 1;
            state.waiting.take()
        };
        wake(waiting);
    }

    /// Keeps the outcome of one that never was a member.
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

    /// Rule 3.
    pub(super) fn look(&self, waker: &Waker) -> Polled<O> {
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

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.state.lock().members.len()
    }

    /// Calls `f` with each member. It must not come back here.
    pub(super) fn each(&self, mut f: impl FnMut(&M)) {
        let state = self.state.lock();
        state.members.iter().for_each(|(_, member)| f(member));
    }

    /// Rule 1: takes all out, for the caller to drop, and lets nobody in any more.
    pub(super) fn close(&self) -> (Slab<M>, VecDeque<O>) {
        let mut state = self.state.lock();
        state.closed = true;
        (std::mem::take(&mut state.members), std::mem::take(&mut state.outcomes))
    }
}

/// Wakes who waits. It is user code, and called where a panic would skip what is owed to others.
fn wake(waiting: Option<Waker>) {
    if let Some(waker) = waiting
        && let Some(message) = panics::contain(|| waker.wake())
    {
        tracing::error!(target: "moirai", panic = &*message, "a waker panicked");
    }
}

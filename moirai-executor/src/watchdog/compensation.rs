//! How many rescuers there are, and whether they are needed: their protocol with the watchdog thread.
//!
//! Everything is under one lock.
//!
//! 1. The watchdog thread *asks*: it notes that the workers are stuck, and if a rescuer rests it is told; otherwise a thread is started,
//!    up to the limit.
//! 2. A rescuer that finds nothing to do while the workers are stuck looks again every so often. When they are not, it
//!    *rests*: it waits to be told, and retires when it was not for a while.
//! 3. One that is about to retire looks once more whether the workers are stuck, under the lock. So whoever asks finds it resting
//!    and keeps it, or finds it gone and starts another.
//! 4. A parallel closure, or a piece of fork-join work, is run only while fewer rescuers run such than threads are blocked.

use std::time::Duration;

use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

#[cfg(all(test, moirai_loom))]
mod loom;

/// See the [module](self).
pub(crate) struct Compensation {
    state: Mutex<CompensationState>,
    /// They are needed, or they are to stop.
    needed: Condvar,
    /// How many there may be.
    limit: usize,
}

#[derive(Debug, Default)]
struct CompensationState {
    stop: bool,
    /// Whether no worker goes on, or one that goes on is short of another that is blocked.
    stuck: bool,
    /// How many threads were blocked at the last look.
    blocked: usize,
    /// How many rescuers run what computes.
    computing: usize,
    rescuers: usize,
    resting: usize,
    /// Numbers them, for their names.
    started: usize,
    /// Activities that are free.
    activities: Vec<usize>,
}

/// A rescuer that is to be started.
#[derive(Debug)]
#[must_use]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) activity: usize,
}

/// What a rescuer does that found nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    LookAgain,
    Retire,
}

/// The right to run what computes; rule 4.
pub(crate) struct Computing<'a>(&'a Compensation);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().computing -= 1;
    }
}

impl Compensation {
    /// Up to `limit` rescuers, whose activities begin at `first_lane`.
    pub(crate) fn new(limit: usize, first_lane: usize) -> Self {
        let activities = (first_lane..first_lane + limit).rev().collect();
        Self {
            state: Mutex::new(CompensationState { activities, ..CompensationState::default() }),
            needed: Condvar::new(),
            limit,
        }
    }

    /// What the last look has found.
    pub(crate) fn report(&self, stuck: bool, blocked: usize) {
        let mut state = self.state.lock();
        state.stuck = stuck;
        state.blocked = blocked;
    }

    /// Rule 1: one more is needed.
    pub(crate) fn ask(&self) -> Option<Request> {
        let mut state = self.state.lock();
        state.stuck = true;
        if state.resting > 0 {
            self.needed.notify_one();
            return None;
        }
        if state.stop || state.rescuers == self.limit {
            return None;
        }
        let activity = state.activities.pop()?;
        state.rescuers += 1;
        state.started += 1;
        Some(Request { number: state.started, activity })
    }

    /// A rescuer has ended without retiring, or was not started.
    pub(crate) fn ended(&self, activity: usize) {
        self.state.lock().end(activity);
    }

    /// How many are awake.
    pub(crate) fn awake(&self) -> usize {
        let state = self.state.lock();
        state.rescuers - state.resting
    }

    pub(crate) fn is_stuck(&self) -> bool {
        let state = self.state.lock();
        state.stuck && !state.stop
    }

    /// Rule 4.
    pub(crate) fn may_compute(&self) -> Option<Computing<'_>> {
        let mut state = self.state.lock();
        (state.computing < state.blocked).then(|| {
            state.computing += 1;
            Computing(self)
        })
    }

    /// Rules 2 and 3, for the rescuer in `activity`: waits, for as long as `look` while the workers are stuck, else for `keep_alive`.
    pub(crate) fn idle(&self, activity: usize, look: Duration, keep_alive: Duration) -> Idle {
        self.idle_by(activity, |mut state| {
            let limit = if state.stuck { look } else { keep_alive };
            let timed_out = self.needed.wait_for(&mut state, limit).timed_out();
            (state, timed_out)
        })
    }

    /// Rules 2 and 3. `wait` waits, and says whether the time was up.
    fn idle_by<'a>(
        &'a self,
        activity: usize,
        wait: impl FnOnce(
            MutexGuard<'a, CompensationState>,
        ) -> (MutexGuard<'a, CompensationState>, bool),
    ) -> Idle {
        let mut state = self.state.lock();
        let mut timed_out = false;
        if !state.stop {
            let rests = !state.stuck;
            state.resting += usize::from(rests);
            (state, timed_out) = wait(state);
            state.resting -= usize::from(rests);
        }
        if state.stop || (timed_out && !state.stuck) {
            state.end(activity);
            return Idle::Retire;
        }
        Idle::LookAgain
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.needed.notify_all();
    }
}

impl CompensationState {
    fn end(&mut self, activity: usize) {
        self.rescuers -= 1;
        self.activities.push(activity);
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn as_many_compute_as_are_blocked() {
        let compensation = Compensation::new(4, 2);
        assert!(compensation.may_compute().is_none());
        compensation.report(true, 1);
        let first = compensation.may_compute();
        assert!(first.is_some() && compensation.may_compute().is_none());
        drop(first);
        assert!(compensation.may_compute().is_some());
    }

    #[test]
    fn lanes_come_back_and_the_limit_holds() {
        let compensation = Compensation::new(2, 5);
        let first = compensation.ask().unwrap();
        let second = compensation.ask().unwrap();
        assert_eq!((first.activity, second.activity), (5, 6));
        assert!(compensation.ask().is_none());
        compensation.ended(first.activity);
        assert_eq!(compensation.ask().map(|start| (start.activity, start.number)), Some((5, 3)));
    }
}

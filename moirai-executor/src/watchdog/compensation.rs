//! The number of compensation threads, and whether they are needed: their protocol with the watchdog thread.
//!
//! All of the state is behind one lock.
//!
//! 1. The watchdog thread *asks* for a compensation thread: it notes that the workers are stuck, and notifies a compensation thread
//!    that rests. If none rests, a thread is started, up to the limit.
//! 2. A compensation thread that finds nothing to do while the workers are stuck looks again at intervals. When they are not stuck,
//!    it *rests*: it waits to be notified, and retires if that has not happened for a while.
//! 3. A compensation thread that is about to retire checks once more, under the lock, whether the workers are stuck. So a thread
//!    that asks either finds it resting, and keeps it, or finds it gone, and starts another.
//! 4. A compensation thread runs a parallel closure or a stolen job only while fewer compensation threads do so than threads are
//!    blocked.

use std::time::Duration;

use moirai_core::CompensationStats;
use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

#[cfg(all(test, moirai_loom))]
mod loom;

/// The state of the compensation threads; see the [module](self).
pub(crate) struct Compensation {
    state: Mutex<CompensationState>,
    /// Notified when compensation threads are needed, or must stop.
    needed: Condvar,
    /// The largest number of compensation threads.
    limit: usize,
}

#[derive(Debug, Default)]
struct CompensationState {
    stop: bool,
    /// Whether compensation threads are needed: no worker goes on, or some thread is blocked, whose place another may take.
    stuck: bool,
    /// The number of threads that were blocked at the last tick.
    blocked: usize,
    /// The number of compensation threads that run a parallel closure or a stolen job.
    computing: usize,
    threads: usize,
    resting: usize,
    /// The number of compensation threads requested so far, by which they are named.
    started: usize,
    /// The indices of activities that no compensation thread has.
    activities: Vec<usize>,
}

/// A compensation thread that the caller must start.
#[derive(Debug)]
#[must_use]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) activity: usize,
}

/// What a compensation thread that has found nothing to do must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    LookAgain,
    Retire,
}

/// The right to run a parallel closure or a stolen job (rule 4).
pub(crate) struct Computing<'a>(&'a Compensation);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().computing -= 1;
    }
}

impl Compensation {
    /// Creates the state for up to `limit` compensation threads, whose activities begin at the index `first_activity`.
    pub(crate) fn new(limit: usize, first_activity: usize) -> Self {
        let activities = (first_activity..first_activity + limit).rev().collect();
        Self {
            state: Mutex::new(CompensationState { activities, ..CompensationState::default() }),
            needed: Condvar::new(),
            limit,
        }
    }

    /// Notes what the watchdog thread has found in a tick.
    pub(crate) fn report(&self, stuck: bool, blocked: usize) {
        let mut state = self.state.lock();
        state.stuck = stuck;
        state.blocked = blocked;
    }

    /// Asks for one more compensation thread (rule 1). If a request is returned, the caller must start the thread, or call
    /// [`ended`](Self::ended).
    pub(crate) fn ask(&self) -> Option<Request> {
        let mut state = self.state.lock();
        state.stuck = true;
        if state.resting > 0 {
            self.needed.notify_one();
            return None;
        }
        if state.stop || state.threads == self.limit {
            return None;
        }
        let activity = state.activities.pop()?;
        state.threads += 1;
        state.started += 1;
        Some(Request { number: state.started, activity })
    }

    /// Notes that a compensation thread has ended without retiring, or could not be started.
    pub(crate) fn ended(&self, activity: usize) {
        self.state.lock().end(activity);
    }

    /// Returns what the threads are doing, except for what they have run.
    pub(crate) fn stats(&self) -> CompensationStats {
        let state = self.state.lock();
        CompensationStats::new(state.threads, state.resting, self.limit, 0)
    }

    /// Returns the number of compensation threads that are not resting.
    pub(crate) fn awake(&self) -> usize {
        let state = self.state.lock();
        state.threads - state.resting
    }

    /// Returns `true` if compensation threads are needed.
    pub(crate) fn is_stuck(&self) -> bool {
        let state = self.state.lock();
        state.stuck && !state.stop
    }

    /// Returns the right to run a parallel closure or a stolen job, if rule 4 allows one more.
    pub(crate) fn may_compute(&self) -> Option<Computing<'_>> {
        let mut state = self.state.lock();
        (state.computing < state.blocked).then(|| {
            state.computing += 1;
            Computing(self)
        })
    }

    /// Waits until the compensation thread with this `activity` is notified (rules 2 and 3): for at most `look` while the workers
    /// are stuck, and for at most `keep_alive` otherwise.
    pub(crate) fn idle(&self, activity: usize, look: Duration, keep_alive: Duration) -> Idle {
        self.idle_by(activity, |mut state| {
            let limit = if state.stuck { look } else { keep_alive };
            let timed_out = self.needed.wait_for(&mut state, limit).timed_out();
            (state, timed_out)
        })
    }

    /// Applies rules 2 and 3. `wait` releases the lock and waits, and returns `true` if the wait timed out.
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
        self.threads -= 1;
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
    fn activities_are_reused_and_the_limit_holds() {
        let compensation = Compensation::new(2, 5);
        let first = compensation.ask().unwrap();
        let second = compensation.ask().unwrap();
        assert_eq!((first.activity, second.activity), (5, 6));
        assert!(compensation.ask().is_none());
        compensation.ended(first.activity);
        assert_eq!(compensation.ask().map(|start| (start.activity, start.number)), Some((5, 3)));
    }
}

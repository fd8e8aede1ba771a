//! The signal that wakes the cleanup thread, which evicts records that are too old.
//!
//! The thread sweeps once an interval, and waits on a condition variable in between, so that a stop ends it at once. With nothing
//! retained it does not wake at all. For that, a thread that completes a task reads one flag:
//!
//! 1. After a sweep that leaves nothing retained, the cleanup thread sets `wants_signal`, and waits for one more interval.
//! 2. If there is still nothing retained, it waits without limit.
//! 3. A thread that completes a task publishes the completion and then loads `wants_signal`; if it is set, the thread takes the
//!    lock, clears it, and notifies the cleanup thread.
//!
//! There is no fence between publishing and loading, and none is needed. A thread that finds the flag still clear has loaded it
//! before the store that sets it had reached that thread's processor, and had published its completion before. A store reaches
//! every processor within microseconds, and the second check for retained records comes at least [`SETTLE`](super::sweeper) after
//! the flag was set, however short the interval is: it finds the record. A thread that loads the flag later finds it set.
//!
//! A timer that always runs would wake an idle process every interval. A notification at each completion would take a lock. A flag
//! without the second check would need a fence in the path of every task.

use moirai_core::shim::sync::atomic::{AtomicBool, Ordering};
use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

/// The signal that wakes the cleanup thread; see the [module](self).
#[derive(Debug, Default)]
pub(crate) struct SweepSignal {
    /// Set while the cleanup thread wants to be signalled when the next task completes; clear while it sweeps once an interval
    /// anyway.
    wants_signal: AtomicBool,
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct SignalState {
    stop: bool,
    /// Whether a task has completed since the cleanup thread asked to be signalled.
    signalled: bool,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    Stop,
    Signalled,
    TimeUp,
}

impl SweepSignal {
    /// Signals the cleanup thread if it has asked for that (rule 3). Called after every completion.
    #[inline]
    pub(crate) fn completed(&self) {
        // Ordering: Relaxed: the delay until the second check makes up for it; see the module.
        if self.wants_signal.load(Ordering::Relaxed) {
            self.signal();
        }
    }

    #[cold]
    fn signal(&self) {
        let mut state = self.state.lock();
        // Ordering: Relaxed: the lock orders it; a load without the lock may see either value.
        self.wants_signal.store(false, Ordering::Relaxed);
        state.signalled = true;
        self.changed.notify_all();
    }

    /// Ends every wait, from now on.
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// Makes the cleanup thread read the clock again, because a manual clock has moved.
    pub(crate) fn recheck(&self) {
        // Under the lock, so that this cannot come between the cleanup thread's reading of the clock and its wait.
        let _state = self.state.lock();
        self.changed.notify_all();
    }

    /// Asks to be signalled when the next task completes (rule 1).
    pub(crate) fn request_signal(&self) {
        let mut state = self.state.lock();
        state.signalled = false;
        // Ordering: Relaxed: the delay until the second check makes up for it; see the module.
        self.wants_signal.store(true, Ordering::Relaxed);
    }

    /// Waits without limit (rule 2). Returns `true` once signalled, and `false` on a stop.
    pub(crate) fn sleep_until_signalled(&self) -> bool {
        let without_limit = |changed: &Condvar, state: &mut MutexGuard<'_, SignalState>| {
            changed.wait(state);
            false
        };
        self.wait(true, without_limit) == Woken::Signalled
    }

    /// Waits until a stop, until a signal if `until_signalled` is set, or until `wait`, which waits on the condition variable once,
    /// returns `true` because the time is up.
    pub(crate) fn wait(
        &self,
        until_signalled: bool,
        mut wait: impl FnMut(&Condvar, &mut MutexGuard<'_, SignalState>) -> bool,
    ) -> Woken {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return Woken::Stop;
            }
            if until_signalled && state.signalled {
                return Woken::Signalled;
            }
            if wait(&self.changed, &mut state) {
                return if state.stop { Woken::Stop } else { Woken::TimeUp };
            }
        }
    }
}

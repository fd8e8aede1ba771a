//! What wakes the thread that drops records when they are too old.
//!
//! It sweeps once an interval, and waits on a condition variable in between, so that a stop ends it at once. With nothing
//! retained it does not wake at all. For that, whoever completes a task looks at one flag:
//!
//! 1. After a sweep that leaves nothing, the worker sets `wants_signal`, and waits one more interval.
//! 2. If there is still nothing, it waits without limit.
//! 3. Who completes a task publishes it, and then looks at `wants_signal`; if it is set he takes the lock, clears it, and notifies.
//!
//! There is no fence between publishing and looking, and none is needed. One who saw the flag still clear looked before its
//! setting had reached him, and had published before he looked; a store reaches every processor within microseconds, and the
//! second recheck comes at least [`SETTLE`](crate::cleanup) later, however short the interval is: it finds his record. One who looks after that
//! sees the flag set.

use moirai_core::shim::sync::atomic::{AtomicBool, Ordering};
use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

/// What wakes the cleanup worker.
#[derive(Debug, Default)]
pub(crate) struct SweepSignal {
    /// Set: the worker looks by itself. Clear: it wants to be signalled of the next completion.
    wants_signal: AtomicBool,
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct SignalState {
    stop: bool,
    /// Something was retained since the worker asked to be signalled.
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
    /// Rule 3. Called after every completion.
    #[inline]
    pub(crate) fn completed(&self) {
        // Ordering: Relaxed: see the module.
        if self.wants_signal.load(Ordering::Relaxed) {
            self.signal();
        }
    }

    #[cold]
    fn signal(&self) {
        let mut state = self.state.lock();
        // Ordering: Relaxed: under the lock.
        self.wants_signal.store(false, Ordering::Relaxed);
        state.signalled = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// The manual clock has moved.
    pub(crate) fn recheck(&self) {
        // Under the lock, so that it does not fall between the worker's recheck at the clock and its wait.
        let _state = self.state.lock();
        self.changed.notify_all();
    }

    /// Asks to be signalled of the next completion.
    pub(crate) fn request_signal(&self) {
        let mut state = self.state.lock();
        state.signalled = false;
        // Ordering: Relaxed: see the module.
        self.wants_signal.store(true, Ordering::Relaxed);
    }

    /// Rule 2: waits without limit. False: until a stop.
    pub(crate) fn sleep_until_signalled(&self) -> bool {
        let without_limit = |changed: &Condvar, state: &mut MutexGuard<'_, SignalState>| {
            changed.wait(state);
            false
        };
        self.wait(true, without_limit) == Woken::Signalled
    }

    /// Waits until a stop, until signalled if `until_signalled`, or until `wait` says that the time is up.
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

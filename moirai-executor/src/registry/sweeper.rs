//! The thread that drops records when they are too old.
//!
//! It sweeps once an interval, and waits on a condition variable in between, so that a stop ends it at once. With nothing
//! retained it does not wake at all. For that, whoever completes a task looks at one flag:
//!
//! 1. After a sweep that leaves nothing, the worker sets `disarmed`, and waits one more interval.
//! 2. If there is still nothing, it waits without limit.
//! 3. Who completes a task publishes it, and then looks at `disarmed`; if it is set he takes the lock, clears it, and notifies.
//!
//! There is no fence between publishing and looking, and none is needed. One who saw the flag still clear looked before its
//! setting had reached him, and had published before he looked; a store reaches every processor within microseconds, and the
//! second look comes at least [`SETTLE`] later, however short the interval is: it finds his record. One who looks after that
//! sees the flag set.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use moirai_core::clock::{ListenerKey, ManualClock};
use moirai_core::shim::sync::atomic::{AtomicBool, Ordering};
use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

use crate::panics;
use crate::registry::{Registry, SweepReport};
use crate::runtime::shared::Shared;

/// The least time between asking to be told and the second look.
const SETTLE: Duration = Duration::from_millis(1);

/// What wakes the cleanup worker.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// Set: the worker looks by itself. Clear: it wants to be told of the next completion.
    disarmed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    /// Something was retained since the worker asked to be told.
    told: bool,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Stop,
    Told,
    Time,
}

impl Alarm {
    /// Rule 3. Called after every completion.
    #[inline]
    pub(crate) fn something_retained(&self) {
        // Ordering: Relaxed: see the module.
        if self.disarmed.load(Ordering::Relaxed) {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        let mut state = self.state.lock();
        // Ordering: Relaxed: under the lock.
        self.disarmed.store(false, Ordering::Relaxed);
        state.told = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// The manual clock has moved.
    pub(crate) fn look(&self) {
        // Under the lock, so that it does not fall between the worker's look at the clock and its wait.
        let _state = self.state.lock();
        self.changed.notify_all();
    }

    /// Asks to be told of the next completion.
    pub(crate) fn disarm(&self) {
        let mut state = self.state.lock();
        state.told = false;
        // Ordering: Relaxed: see the module.
        self.disarmed.store(true, Ordering::Relaxed);
    }

    /// Rule 2: waits without limit. False: until a stop.
    pub(crate) fn wait_to_be_told(&self) -> bool {
        let without_limit = |changed: &Condvar, state: &mut MutexGuard<'_, State>| {
            changed.wait(state);
            false
        };
        self.wait(true, without_limit) == Woken::Told
    }

    /// Waits until a stop, until told if `until_told`, or until `wait` says that the time is up.
    fn wait(
        &self,
        until_told: bool,
        mut wait: impl FnMut(&Condvar, &mut MutexGuard<'_, State>) -> bool,
    ) -> Woken {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return Woken::Stop;
            }
            if until_told && state.told {
                return Woken::Told;
            }
            if wait(&self.changed, &mut state) {
                return if state.stop { Woken::Stop } else { Woken::Time };
            }
        }
    }
}

/// The running worker.
#[derive(Debug)]
pub(crate) struct CleanupWorker {
    shared: Weak<Shared>,
    /// The listener on a manual clock.
    listener: Option<(Arc<ManualClock>, ListenerKey)>,
}

impl CleanupWorker {
    /// Starts the thread.
    pub(crate) fn start(shared: &Arc<Shared>, name: String) -> io::Result<Self> {
        let listener = shared.clock.as_manual().map(|hand| {
            let listening = Arc::downgrade(shared);
            let key = hand.listen(move || {
                if let Some(shared) = listening.upgrade() {
                    shared.registry.alarm().look();
                }
            });
            (Arc::clone(hand), key)
        });
        let worker = Self { shared: Arc::downgrade(shared), listener };
        // If this fails, dropping the worker takes the listener back.
        shared.start_thread(name, |shared| run(&shared.registry))?;
        Ok(worker)
    }

    /// Ends the thread, at once if it waits, after the sweep if it sweeps.
    pub(crate) fn stop(self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.registry.alarm().stop();
        }
    }
}

impl Drop for CleanupWorker {
    fn drop(&mut self) {
        if let Some((hand, key)) = self.listener.take() {
            hand.ignore(key);
        }
    }
}

/// The body of the thread.
pub(crate) fn run(registry: &Registry) {
    let alarm = registry.alarm();
    loop {
        if alarm.wait(false, interval(registry, Duration::ZERO)) == Woken::Stop {
            return;
        }
        sweep(registry);
        if registry.retained() > 0 {
            continue;
        }
        alarm.disarm();
        let woken = match alarm.wait(true, interval(registry, SETTLE)) {
            Woken::Time => {
                // The second look. Pages may have become free since the first, though nothing is retained.
                sweep(registry);
                if registry.retained() > 0 || alarm.wait_to_be_told() {
                    continue;
                }
                return;
            }
            woken => woken,
        };
        if woken == Woken::Stop {
            return;
        }
    }
}

/// Waits for one interval, from now, on the registry's clock, and, unless that is a manual one, for `least`; to be called
/// again until it says that the time is up.
fn interval(
    registry: &Registry,
    least: Duration,
) -> impl FnMut(&Condvar, &mut MutexGuard<'_, State>) -> bool {
    let length = registry.config().cleanup_interval;
    let manual = registry.clock().as_manual().map(|hand| {
        // Zero is refused, and what the clock cannot express is never reached.
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        (Arc::clone(hand), hand.nanos().saturating_add(nanos))
    });
    let deadline = Instant::now().checked_add(length.max(least));
    move |changed, state| {
        if let Some((hand, due)) = &manual {
            if hand.nanos() >= *due {
                return true;
            }
            changed.wait(state);
            return hand.nanos() >= *due;
        }
        let Some(deadline) = deadline else {
            changed.wait(state);
            return false;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        let _ = changed.wait_for(state, left);
        false
    }
}

/// Sweeps, and tells of it if anything went. Whatever panics in between does not end the thread.
fn sweep(registry: &Registry) {
    if let Some(message) = panics::message_of(|| tell(&registry.sweep())) {
        tracing::error!(target: "moirai", panic = &*message, "a sweep panicked");
    }
}

fn tell(report: &SweepReport) {
    let SweepReport { by_age, by_count, pages, took, bytes, .. } = *report;
    if by_age + by_count + pages > 0 {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(target: "moirai", by_age, by_count, pages, micros, bytes, "swept the registry");
    }
}

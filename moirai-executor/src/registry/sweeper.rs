//! The cleanup thread, which evicts records when they are too old. [`sweep_signal`](super::sweep_signal) wakes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moirai_core::clock::{ListenerKey, ManualClock};
use moirai_core::shim::sync::{Condvar, MutexGuard};

use super::sweep::SweepReport;
use super::sweep_signal::{SignalState, Woken};
use super::task_registry::Registry;
use crate::panics::{self, log};
use crate::task;

/// The least time between the request to be signalled and the second check for retained records.
const SETTLE: Duration = Duration::from_millis(1);

/// A listener on a manual clock, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct ClockListener(Arc<ManualClock>, Option<ListenerKey>);

impl ClockListener {
    pub(crate) fn new(clock: &Arc<ManualClock>, moved: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::clone(clock), Some(clock.listen(moved)))
    }
}

impl Drop for ClockListener {
    fn drop(&mut self) {
        if let Some(key) = self.1.take() {
            self.0.ignore(key);
        }
    }
}

/// Sweeps once an interval while there are retained records, until a stop: the body of the cleanup thread.
pub(crate) fn sweep_when_due(registry: &Registry) {
    let sweep_signal = registry.sweep_signal();
    loop {
        if sweep_signal.wait(false, interval(registry, Duration::ZERO)) == Woken::Stop {
            return;
        }
        sweep(registry);
        if registry.retained() > 0 {
            continue;
        }
        sweep_signal.request_signal();
        let woken = match sweep_signal.wait(true, interval(registry, SETTLE)) {
            Woken::TimeUp => {
                // The second check. Pages may have become free since the first, though nothing is retained.
                sweep(registry);
                if registry.retained() > 0 || sweep_signal.sleep_until_signalled() {
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

/// Returns a function that waits for one interval from now by the registry's clock, and, unless that is a manual one, for at least
/// `least`. It is to be called until it returns `true`, which means that the time is up.
fn interval(
    registry: &Registry,
    least: Duration,
) -> impl FnMut(&Condvar, &mut MutexGuard<'_, SignalState>) -> bool {
    let length = registry.config().cleanup_interval;
    let manual = registry.clock().as_manual().map(|manual| {
        // The executor refuses an interval of zero. One that the clock cannot express is never reached.
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        (Arc::clone(manual), manual.nanos().saturating_add(nanos))
    });
    let deadline = Instant::now().checked_add(length.max(least));
    move |changed, state| {
        if let Some((manual, due)) = &manual {
            if manual.nanos() >= *due {
                return true;
            }
            changed.wait(state);
            return manual.nanos() >= *due;
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

/// Sweeps, and logs what was done, if anything was. A panic, in the sweep or in a subscriber, is logged and does not end the
/// thread.
fn sweep(registry: &Registry) {
    if let Some(message) = panics::contain(|| log_report(&registry.sweep())) {
        log!(error, panic = &*message, "a sweep panicked");
    }
    // What is no longer needed for cells, whosever they were.
    task::trim_memory();
}

fn log_report(report: &SweepReport) {
    let SweepReport { by_age, by_count, pages, took, bytes, .. } = *report;
    if by_age + by_count + pages > 0 {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        log!(debug, by_age, by_count, pages, micros, bytes, "swept the registry");
    }
}

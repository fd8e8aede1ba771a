//! The time of an executor.

use std::sync::{Arc, OnceLock};

use moirai_core::{Clock, ManualClock};

use super::driver::{Driver, TimeSource};

/// The time of an executor: the system's until it is paused, then that of a manual clock.
#[derive(Debug, Default)]
pub(crate) struct ExecutorTime(OnceLock<Arc<Driver>>);

impl ExecutorTime {
    /// Returns the time of an executor with this clock: paused from the start if the clock is a manual one.
    pub(crate) fn of(clock: &Clock) -> Self {
        let source = Self::default();
        if let Some(controller) = clock.as_manual() {
            source.0.get_or_init(|| Driver::manual(Arc::clone(controller)));
        }
        source
    }

    #[inline]
    pub(crate) fn source(&self) -> TimeSource {
        self.0.get().map_or(TimeSource::System, |driver| TimeSource::Manual(Arc::clone(driver)))
    }

    /// Returns the number of timers that have not fired: those of the manual clock, or all of the process.
    pub(crate) fn pending(&self) -> usize {
        self.0.get().map_or_else(Driver::system_pending, |driver| driver.pending())
    }

    /// Returns the earliest tick of a manual clock, in nanoseconds, at which a timer may be due. `None` if there is none, or if the
    /// time is the system's.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.0.get()?.next_due()
    }

    /// Stops the time if it is not stopped yet, and returns the clock that moves it.
    pub(crate) fn pause(&self) -> Arc<ManualClock> {
        let driver = self.0.get_or_init(|| {
            let (_, controller) = Clock::manual();
            Driver::manual(controller)
        });
        Arc::clone(driver.controller().expect("the driver of a paused time has a controller"))
    }
}

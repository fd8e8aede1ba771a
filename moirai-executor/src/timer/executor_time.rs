//! Which time an executor has.

use std::sync::{Arc, OnceLock};

use moirai_core::{Clock, ManualClock};

use super::driver::{Driver, TimeSource};

/// An executor's time: the system's, until it is paused.
#[derive(Debug, Default)]
pub(crate) struct ExecutorTime(OnceLock<Arc<Driver>>);

impl ExecutorTime {
    /// That of a clock.
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

    /// The next moment for which somebody waits, in nanoseconds of a clock that was stopped.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.0.get()?.next_due()
    }

    /// Stops the time, if it runs, and gives the controller that moves it.
    pub(crate) fn pause(&self) -> Arc<ManualClock> {
        let driver = self.0.get_or_init(|| {
            let (_, controller) = Clock::manual();
            Driver::manual(controller)
        });
        Arc::clone(driver.controller().expect("the driver of a paused time has a controller"))
    }
}

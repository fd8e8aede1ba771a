//! Which time an executor has.

use std::sync::{Arc, OnceLock};

use moirai_core::{Clock, ManualClock};

use super::driver::{Domain, Driver};

/// An executor's time: the system's, until it is paused.
#[derive(Debug, Default)]
pub(crate) struct TimeSource(OnceLock<Arc<Driver>>);

impl TimeSource {
    /// That of a clock.
    pub(crate) fn of(clock: &Clock) -> Self {
        let source = Self::default();
        if let Some(hand) = clock.as_manual() {
            source.0.get_or_init(|| Driver::manual(Arc::clone(hand)));
        }
        source
    }

    #[inline]
    pub(crate) fn domain(&self) -> Domain {
        self.0.get().map_or(Domain::System, |driver| Domain::Manual(Arc::clone(driver)))
    }

    /// The next moment for which somebody waits, in nanoseconds of a clock that was stopped.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.0.get()?.next_due()
    }

    /// Stops the time, if it runs, and gives the hand that moves it.
    pub(crate) fn pause(&self) -> Arc<ManualClock> {
        let driver = self.0.get_or_init(|| {
            let (_, hand) = Clock::manual();
            Driver::manual(hand)
        });
        Arc::clone(driver.hand().expect("the driver of a paused time has a hand"))
    }
}

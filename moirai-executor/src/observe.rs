//! What the executor's threads did lately: the side of the flight recorder that callers see.

use std::sync::Arc;

use moirai_core::{Flight, Incident};

use crate::executor::HybridExecutor;
use crate::runtime::flight_reader;

impl HybridExecutor {
    /// Returns what the executor's threads did lately: which tasks they polled and when, what these spawned and woke, and when the
    /// threads had nothing to do.
    ///
    /// The caller pays for it, and the threads go on meanwhile: it takes about a millisecond for each thread whose ring is full. It is
    /// empty if the [flight recorder](moirai_core::ExecutorConfig::flight_recorder) is off.
    #[must_use]
    pub fn flight(&self) -> Flight {
        flight_reader::flight(self.shared())
    }

    /// Returns what the executor's threads had done when something went wrong: a poll exceeded its budget, a task panicked, or a
    /// shutdown missed its deadline. The oldest stands first.
    ///
    /// As many are kept as [`max_incidents`](moirai_core::FlightRecorderConfig::max_incidents) says.
    #[must_use]
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        self.shared().incident_log.all()
    }

    /// Returns the [`incident_log`](Self::incidents), and keeps them no longer.
    pub fn take_incidents(&self) -> Vec<Arc<Incident>> {
        self.shared().incident_log.take()
    }
}

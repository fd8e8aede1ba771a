//! What the executor's threads did lately: the side of the flight recorder that callers see.

use std::sync::Arc;

use moirai_core::{Dump, Flight, Incident};

use crate::executor::HybridExecutor;
use crate::runtime::{executors, flight_reader, task_dump};

impl HybridExecutor {
    /// Returns what the executor's threads did lately: which tasks they polled and when, what these spawned and woke, and when the
    /// threads had nothing to do.
    ///
    /// The caller pays for it, and the threads go on meanwhile: it takes about two milliseconds for each thread whose ring is full. It is
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

    /// Returns every active task, with what it is doing: whether it is being polled, is queued or waits, and since when.
    ///
    /// The caller pays for it, and the threads go on meanwhile; what is told of tasks that run may be over already.
    #[must_use]
    pub fn dump(&self) -> Dump {
        task_dump::dump(self.shared())
    }

    /// Returns the [`incidents`](Self::incidents), and keeps them no longer.
    pub fn take_incidents(&self) -> Vec<Arc<Incident>> {
        self.shared().incident_log.take()
    }
}

/// Returns the dumps of all executors of the process, in the order in which these were started. Simulated ones are not among them.
#[must_use]
pub fn dump_all() -> Vec<Dump> {
    executors::all().iter().map(|shared| task_dump::dump(shared)).collect()
}

//! What the executor's threads did lately.

use std::sync::Arc;

use moirai_core::{Dump, Flight, Incident};

use crate::Moirai;

impl Moirai {
    /// Returns what the executor's threads did lately: which tasks they polled and when, what these spawned and woke, and when the
    /// threads had nothing to do.
    ///
    /// The caller pays for it, and the threads go on meanwhile: it takes about a millisecond for each thread whose ring is full. It is
    /// empty if the [flight recorder](crate::ExecutorConfig::flight_recorder) is off.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let id = executor.task().name("greeter").spawn_async(async { yield_now().await }).id();
    /// executor.block_on(executor.wait_for_task(id, None));
    ///
    /// let flight = executor.flight();
    /// let polls = flight.story(id).into_iter().filter(|(_, event)| !event.duration().is_zero());
    /// for (thread, event) in polls {
    ///     println!("{} polled {:?} for {:?}", thread.name, flight.label(id), event.duration());
    /// }
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn flight(&self) -> Flight {
        self.executor().flight()
    }

    /// Returns what the executor's threads had done when something went wrong: a poll exceeded its budget, a task panicked, or a
    /// shutdown missed its deadline. The oldest stands first.
    ///
    /// As many are kept as [`max_incidents`](crate::FlightRecorderConfig::max_incidents) says.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let failed = executor.task().name("careless").spawn_async(async { panic!("no") });
    /// assert!(failed.join().is_err());
    /// let incidents = executor.incidents();
    /// println!("{}", incidents[0]);
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        self.executor().incidents()
    }

    /// Returns every active task, with what it is doing: whether it is being polled, is queued or waits, and since when. It is for
    /// people to read; see [`dump`](crate::dump) for one on stderr.
    ///
    /// The caller pays for it, and the threads go on meanwhile; what is told of tasks that run may be over already.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// executor.task().name("waits").spawn_async(std::future::pending::<()>());
    /// println!("{}", executor.dump());
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn dump(&self) -> Dump {
        self.executor().dump()
    }

    /// Returns the [`incidents`](Self::incidents), and keeps them no longer.
    pub fn take_incidents(&self) -> Vec<Arc<Incident>> {
        self.executor().take_incidents()
    }
}

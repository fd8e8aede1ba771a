//! Looking at an executor: what it is doing now, what its threads did lately, and its tasks one by one.

use std::ops::ControlFlow;
use std::sync::Arc;

use moirai_core::{Dump, Flight, Incident, RuntimePhase, RuntimeStats, TaskStats};

use crate::Moirai;

impl Moirai {
    /// Returns whether the executor runs, shuts down or has stopped.
    #[must_use]
    pub fn phase(&self) -> RuntimePhase {
        self.executor().phase()
    }

    /// Returns what the executor is doing now: its active tasks by kind, the records that it retains, its threads, and what each worker
    /// is in.
    ///
    /// It is meant to be called a few times a second at most: it looks at each record, and takes each of some locks for a moment.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// use moirai::WorkerState;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let (begun, begins) = std::sync::mpsc::channel();
    /// let (end, ends) = std::sync::mpsc::channel::<()>();
    /// let task = executor.spawn_parallel(move || {
    ///     begun.send(()).unwrap();
    ///     let _ = ends.recv();
    /// });
    /// begins.recv().unwrap();
    /// let stats = executor.runtime_stats();
    /// assert_eq!(stats.active_of(TaskKind::Parallel), 1);
    /// assert_eq!(stats.workers[0].state, WorkerState::Polling(task.id()));
    /// drop(end);
    /// task.join().unwrap();
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn runtime_stats(&self) -> RuntimeStats {
        self.executor().runtime_stats()
    }

    /// Calls `f` with a copy of the record of each task, active and retained, until it breaks.
    ///
    /// Unlike [`tasks`](Self::tasks) it does not hold the copies of all records at once. `f` may call any method of the executor.
    ///
    /// ```
    /// # use moirai::prelude::*;
    /// use std::ops::ControlFlow;
    ///
    /// let executor = Moirai::new()?;
    /// executor.task().name("sum").spawn_parallel(|| 1 + 1).join().unwrap();
    /// let mut found = None;
    /// let _ = executor.each_task(|task| {
    ///     if task.name.as_deref() == Some("sum") {
    ///         found = Some(task.id);
    ///         return ControlFlow::Break(());
    ///     }
    ///     ControlFlow::Continue(())
    /// });
    /// assert!(found.is_some());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn each_task(&self, f: impl FnMut(TaskStats) -> ControlFlow<()>) -> ControlFlow<()> {
        self.executor().each_task(f)
    }

    /// Returns what the executor's threads did lately: which tasks they polled and when, what these spawned and woke, and when the
    /// threads had nothing to do.
    ///
    /// The caller pays for it, and the threads go on meanwhile: it takes about two milliseconds for each thread whose ring is full. It is
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

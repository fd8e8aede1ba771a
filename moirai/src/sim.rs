//! Simulation: a whole executor on the caller's thread, with its order drawn from a seed and a time of its own.
//!
//! [`run`] runs a scenario. The same seed gives the same interleaving, the same simulated moments and the same books, in every run and on
//! every machine. [`explore`] hunts for a seed with which a scenario fails, and says how to run it again:
//!
//! ```
//! use moirai::sim;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::sync::Arc;
//!
//! // Two tasks add one each, but not in one step.
//! let found = sim::explore(0..1_000, |m| async move {
//!     let count = Arc::new(AtomicU32::new(0));
//!     let add = || {
//!         let count = Arc::clone(&count);
//!         m.spawn_async(async move {
//!             let before = count.load(Ordering::SeqCst);
//!             moirai::yield_now().await;
//!             count.store(before + 1, Ordering::SeqCst);
//!         })
//!     };
//!     let (a, b) = (add(), add());
//!     a.await.unwrap();
//!     b.await.unwrap();
//!     assert_eq!(count.load(Ordering::SeqCst), 2, "an addition was lost");
//! });
//! let failure = found.failure.expect("it is not always lost, but often");
//! println!("{failure}");
//! ```
//!
//! What is simulated, and what is not, is said in [`moirai_executor::sim`]. The guide's chapter "Find the race" shows how to use it.

use std::future::Future;

use moirai_core::ExecutorConfig;
use moirai_executor::HybridExecutor;
use moirai_executor::sim as inner;

pub use moirai_executor::sim::{Cause, Exploration, Failure, Run};
pub use moirai_scheduler::Strategy;

use crate::Moirai;

/// Runs a scenario with two workers, in an order that is drawn from `seed`, and returns what it returns.
///
/// ```
/// use std::time::Duration;
///
/// let hours = moirai::sim::run(1, |m| async move {
///     let start = moirai::time::Instant::now();
///     m.spawn_async(moirai::time::sleep(Duration::from_secs(7200))).await.unwrap();
///     start.elapsed().as_secs() / 3600
/// });
/// assert_eq!(hours, 2);
/// ```
///
/// # Panics
///
/// If the simulation [fails](Failure): the scenario panics, a task panics whose handle was dropped, nothing can go on, or ten million steps
/// are not enough. The message says why, and how to run it again.
#[track_caller]
pub fn run<F, Fut>(seed: u64, scenario: F) -> Fut::Output
where
    F: FnOnce(Moirai) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    match Simulation::new(seed).run(scenario) {
        Ok(run) => run.output,
        Err(failure) => panic!("{failure}"),
    }
}

/// Runs a scenario once for each seed, in order, until one fails; see [`Simulation::explore`].
#[track_caller]
pub fn explore<F, Fut>(seeds: impl IntoIterator<Item = u64>, scenario: F) -> Exploration
where
    F: Fn(Moirai) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    Simulation::new(0).explore(seeds, scenario)
}

/// A scenario's surroundings: the seed, and what kind of executor it runs on.
///
/// ```
/// use moirai::sim::Simulation;
///
/// let run = |seed| {
///     Simulation::new(seed).workers(4).run(|m| async move {
///         let tasks: Vec<_> = (0..10).map(|_| m.spawn_async(moirai::yield_now())).collect();
///         for task in tasks {
///             task.await.unwrap();
///         }
///     })
/// };
/// let (first, second) = (run(3).unwrap(), run(3).unwrap());
/// assert_eq!(first.fingerprint, second.fingerprint);
/// assert_eq!(format!("{:?}", first.tasks), format!("{:?}", second.tasks));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation(inner::Simulation);

impl Simulation {
    /// A simulation with two workers, whose order is drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(inner::Simulation::new(seed))
    }

    /// How many workers there are; two if nothing is said. At least one.
    pub fn workers(self, workers: usize) -> Self {
        Self(self.0.workers(workers))
    }

    /// How the order is drawn. If nothing is said that is drawn from the seed, too: see [`Strategy::of_seed`].
    pub fn strategy(self, strategy: Strategy) -> Self {
        Self(self.0.strategy(strategy))
    }

    /// How many steps the run may take before it fails; ten million if nothing is said.
    pub fn max_steps(self, steps: u64) -> Self {
        Self(self.0.max_steps(steps))
    }

    /// The executor's configuration: limits, retention of records. Names and sizes of threads, the watchdog and the blocking
    /// queue's limit have no meaning here; and how many workers there are is said by [`workers`](Self::workers), because the default
    /// depends on the machine.
    pub fn config(self, config: ExecutorConfig) -> Self {
        Self(self.0.config(config))
    }

    /// Runs a scenario to its end.
    ///
    /// The handle that it gets does not outlive the run: what is spawned later is refused.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the scenario panics, if a task panics whose handle was dropped, if nothing can go on, or if the run takes too many
    /// steps. It says how to run it again.
    #[track_caller]
    pub fn run<F, Fut>(&self, scenario: F) -> Result<Run<Fut::Output>, Box<Failure>>
    where
        F: FnOnce(Moirai) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        self.0.run(|executor| scenario(Moirai::from_executor(executor)))
    }

    /// Runs the scenario once for each seed, in order, until one fails.
    ///
    /// When it takes longer than a second it tells of its progress, once a second, on the standard error; so it does of the failure.
    /// With `MOIRAI_SIM_SEED` in the environment it runs that seed alone.
    #[track_caller]
    pub fn explore<F, Fut>(&self, seeds: impl IntoIterator<Item = u64>, scenario: F) -> Exploration
    where
        F: Fn(Moirai) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        self.0.explore(seeds, |executor: HybridExecutor| scenario(Moirai::from_executor(executor)))
    }
}

//! Simulation: a whole executor on the calling thread, with an order drawn from a seed and a simulated time.
//!
//! [`run`] runs a scenario. The same seed gives the same interleaving, the same simulated times and the same records, in every run
//! and on every machine. [`explore`] searches for a seed with which a scenario fails, and its report says how to run that seed
//! again:
//!
//! ```
//! use moirai::sim;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::sync::Arc;
//!
//! // Two tasks add one each, but not in one step.
//! let found = sim::explore(0..1_000, |executor| async move {
//!     let count = Arc::new(AtomicU32::new(0));
//!     let add = || {
//!         let count = Arc::clone(&count);
//!         executor.spawn_async(async move {
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
//! let failure = found.failure.expect("with many of these seeds an addition is lost");
//! println!("{failure}");
//! ```
//!
//! [`moirai_executor::sim`] says what is simulated and what is not. The guide's chapter "Find the race" shows how to use it.

use std::future::Future;

pub use moirai_executor::sim::{Cause, Exploration, Failure, Run};
pub use moirai_scheduler::Strategy;

use crate::Moirai;

/// A simulation: a seed, and the configuration of the executor that the scenario runs on.
///
/// ```
/// use moirai::sim::Simulation;
///
/// let run = |seed| {
///     Simulation::new(seed).workers(4).run(|executor| async move {
///         let tasks: Vec<_> = (0..10).map(|_| executor.spawn_async(moirai::yield_now())).collect();
///         for task in tasks {
///             task.await.unwrap();
///         }
///     })
/// };
/// let (first, second) = (run(3).unwrap(), run(3).unwrap());
/// assert_eq!(first.fingerprint, second.fingerprint);
/// assert_eq!(format!("{:?}", first.tasks), format!("{:?}", second.tasks));
/// ```
pub type Simulation = moirai_executor::sim::Simulation<Moirai>;

/// Runs a scenario on an executor with two workers, in an order that is drawn from `seed`, and returns the scenario's output.
///
/// ```
/// use std::time::Duration;
///
/// let hours = moirai::sim::run(1, |executor| async move {
///     let start = moirai::time::Instant::now();
///     executor.spawn_async(moirai::time::sleep(Duration::from_secs(7200))).await.unwrap();
///     start.elapsed().as_secs() / 3600
/// });
/// assert_eq!(hours, 2);
/// ```
///
/// # Panics
///
/// If the simulation [fails](Failure): the scenario panics, a task panics whose handle was dropped, no task can go on, or ten
/// million steps are not enough. The message says why, and how to run the simulation again.
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

/// Runs a scenario once for each seed, in order, until one fails; see [`Simulation::explore`]. The executor has two workers.
#[track_caller]
pub fn explore<F, Fut>(seeds: impl IntoIterator<Item = u64>, scenario: F) -> Exploration
where
    F: Fn(Moirai) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    Simulation::new(0).explore(seeds, scenario)
}

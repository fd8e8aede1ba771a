//! Searching for a seed that fails.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::simulation::Simulation;
use crate::executor::HybridExecutor;

/// How often progress is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The result of a search.
#[derive(Debug)]
#[must_use = "look whether a failure was found"]
#[non_exhaustive]
pub struct Exploration {
    /// The number of seeds that were run.
    pub runs: u64,
    /// The number of steps that they took together.
    pub steps: u64,
    /// How long the search took.
    pub elapsed: Duration,
    /// The first failure, or `None` if no seed failed.
    pub failure: Option<Box<Failure>>,
}

impl Exploration {
    /// Ends a test in which no seed may fail.
    ///
    /// # Panics
    ///
    /// If a seed has failed, with the failure as the message.
    #[track_caller]
    pub fn expect_no_failure(self) {
        if let Some(failure) = self.failure {
            panic!("{failure}");
        }
    }
}

impl<E: From<HybridExecutor>> Simulation<E> {
    /// Runs the scenario once for each seed, in order, until one fails.
    ///
    /// A search that takes longer than a second reports its progress once a second on standard error, and also a failure. If the
    /// environment variable `MOIRAI_SIM_SEED` is set, only that seed is run.
    #[track_caller]
    pub fn explore<F, Fut>(&self, seeds: impl IntoIterator<Item = u64>, scenario: F) -> Exploration
    where
        F: Fn(E) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        let place = Location::caller();
        let start = Instant::now();
        let mut shown = start;
        let mut found = Exploration { runs: 0, steps: 0, elapsed: Duration::ZERO, failure: None };
        let mut run = |seed| {
            found.runs += 1;
            match self.with_seed(seed).run_at(place, &scenario) {
                Ok(run) => found.steps += run.steps,
                Err(failure) => found.failure = Some(failure),
            }
            if shown.elapsed() >= REPORT_INTERVAL {
                shown = Instant::now();
                let Exploration { runs, steps, .. } = found;
                let second = start.elapsed().as_secs_f64();
                eprintln!(
                    "moirai: explored {runs} seeds in {second:.0} s, {:.0} seeds and {:.0} steps a second",
                    runs as f64 / second,
                    steps as f64 / second,
                );
            }
            found.failure.is_none()
        };
        match only_seed() {
            Some(seed) => _ = run(seed),
            None => _ = seeds.into_iter().all(run),
        }
        found.elapsed = start.elapsed();
        if let Some(failure) = &found.failure {
            let (runs, seconds) = (found.runs, found.elapsed.as_secs_f64());
            eprintln!("moirai: after {runs} seeds and {seconds:.1} s, {failure}");
        }
        found
    }
}

/// Returns the seed in the environment variable, if it is set.
fn only_seed() -> Option<u64> {
    let text = std::env::var("MOIRAI_SIM_SEED").ok()?;
    let seed = text.trim().parse();
    if seed.is_err() {
        eprintln!("moirai: MOIRAI_SIM_SEED is {text:?}, which is no number; all seeds are run");
    }
    seed.ok()
}

//! Hunting for a seed that fails.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::simulation::Simulation;
use crate::executor::HybridExecutor;

/// How often watchdog is shown.
const SHOWN: Duration = Duration::from_secs(1);

/// What a hunt has found.
#[derive(Debug)]
#[must_use = "look whether a failure was found"]
#[non_exhaustive]
pub struct Exploration {
    /// How many seeds were run.
    pub runs: u64,
    /// How many steps they took together.
    pub steps: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The first failure; `None` if every seed went well.
    pub failure: Option<Box<Failure>>,
}

impl Exploration {
    /// The end of a test in which no seed may fail.
    ///
    /// # Panics
    ///
    /// With the failure, if there is one.
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
    /// When it takes longer than a second it tells of its watchdog, once a second, on the standard error; so it does of the failure.
    /// With `MOIRAI_SIM_SEED` in the environment it runs that seed alone.
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
            if shown.elapsed() >= SHOWN {
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

/// The seed that the environment asks for.
fn only_seed() -> Option<u64> {
    let text = std::env::var("MOIRAI_SIM_SEED").ok()?;
    let seed = text.trim().parse();
    if seed.is_err() {
        eprintln!("moirai: MOIRAI_SIM_SEED is {text:?}, which is no number; all seeds are run");
    }
    seed.ok()
}

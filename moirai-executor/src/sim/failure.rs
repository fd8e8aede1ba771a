//! How a simulation fails.

use std::fmt;
use std::panic::Location;

use moirai_core::{BuildError, TaskError, TaskStats};
use moirai_scheduler::Strategy;

/// The largest number of tasks that the message lists.
const MAX_LISTED: usize = 50;

/// The failure of a simulation, which says how to run it again.
#[derive(Debug)]
pub struct Failure {
    seed: u64,
    strategy: Option<Strategy>,
    place: &'static Location<'static>,
    cause: Cause,
}

/// Why a simulation failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The scenario itself panicked, or was cancelled.
    Failed(TaskError),
    /// A task panicked whose handle had been dropped.
    Unseen(Box<TaskStats>),
    /// No task can go on, and no timer is pending. These tasks wait for each other, or for nothing.
    Deadlock(Vec<TaskStats>),
    /// The run took as many steps as are allowed. Perhaps it never ends.
    TooManySteps(u64),
    /// This many threads wait in the middle of a step, and no more are allowed.
    TooManyThreads(usize),
    /// The configuration is invalid.
    Refused(BuildError),
}

impl Failure {
    pub(super) const fn new(
        seed: u64,
        strategy: Option<Strategy>,
        place: &'static Location<'static>,
        cause: Cause,
    ) -> Self {
        Self { seed, strategy, place, cause }
    }

    /// Returns the seed, with which the simulation fails every time.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns why the simulation failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, strategy, place, cause } = self;
        writeln!(f, "the simulation at {place} fails with seed {seed}: {cause}")?;
        write!(f, "run it again with `sim::run({seed}, …)`")?;
        if let Some(strategy) = strategy {
            write!(f, ", or rather `Simulation::new({seed}).strategy(Strategy::{strategy:?})`")?;
        }
        write!(f, ", or let `explore` run it alone: MOIRAI_SIM_SEED={seed}")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(TaskError::Panicked(panic)) => {
                write!(f, "the scenario panicked: {}", panic.message())
            }
            Self::Failed(error) => write!(f, "the scenario has no result: {error}"),
            Self::Unseen(stats) => {
                let message = stats.error.as_deref().unwrap_or_default();
                write!(f, "a task panicked whose handle was dropped: {message}")?;
                list(f, std::slice::from_ref(&**stats))
            }
            Self::Deadlock(tasks) => {
                write!(f, "deadlock: no task can go on, and no timer is pending. These wait:")?;
                list(f, tasks)
            }
            Self::TooManySteps(steps) => {
                write!(f, "it has not ended after {steps} steps (see `max_steps`)")
            }
            Self::TooManyThreads(threads) => write!(
                f,
                "{threads} threads wait in the middle of a step, and there can be no more (see `max_blocking_threads`)"
            ),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, tasks: &[TaskStats]) -> fmt::Result {
    for task in tasks.iter().take(MAX_LISTED) {
        let name = task.name.as_deref().unwrap_or("a task");
        let (id, kind, location) = (task.id, task.kind, task.location);
        write!(f, "\n  {name} (id {id}, {kind}, {} polls), spawned at {location}", task.polls)?;
    }
    match tasks.len().saturating_sub(MAX_LISTED) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more"),
    }
}

impl std::error::Error for Failure {}

//! Simulations, and running a scenario in one.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moirai_core::{Clock, ExecutorConfig, Scheduler, TaskKind, TaskStats, ThreadKind};
use moirai_scheduler::{Deterministic, Strategy};

use crate::executor::HybridExecutor;
use crate::registry::Writer;
use crate::runtime::context::Context;
use crate::runtime::last_core;
use crate::runtime::plugins::Plugins;
use crate::runtime::scheduler_dispatch::{AnyLocal, AnyScheduler};
use crate::runtime::shared::{BuilderParts, Runnable, Shared, SharedTurns, WorkerCore};
use crate::runtime::shutdown::stop;
use crate::runtime::thread_names::ThreadNames;
use crate::spawn::check::NeverFails;
use crate::spawn::options::SpawnOptions;
use crate::spawn::start::spawn_future;

use super::driver;
use super::failure::{Cause, Failure};
use crate::runtime::extensions::Extensions;
use crate::runtime::mode::Mode;
use crate::runtime::sim_turns::{Ending, Turns};

/// The largest number of steps of a run, by default.
const MAX_STEPS: u64 = 10_000_000;

/// A simulation: a seed, and the configuration of the executor that the scenario runs on.
///
/// `E` is what the scenario receives: a [`HybridExecutor`], or a type that wraps one, such as `moirai::Moirai`.
///
/// ```
/// use moirai::sim::Simulation;
/// use moirai::time;
/// use std::time::Duration;
///
/// let run = Simulation::new(7)
///     .run(|executor| async move {
///         let slow = executor.spawn_async(async {
///             time::sleep(Duration::from_secs(3600)).await;
///             "after an hour"
///         });
///         slow.await.unwrap()
///     })
///     .unwrap();
/// assert_eq!(run.output, "after an hour");
/// assert_eq!(run.elapsed, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation<E = HybridExecutor> {
    pub(super) seed: u64,
    pub(super) strategy: Option<Strategy>,
    pub(super) config: ExecutorConfig,
    pub(super) max_steps: u64,
    given: PhantomData<fn() -> E>,
}

/// The result of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run<T> {
    /// What the scenario returned.
    pub output: T,
    /// The number of steps.
    pub steps: u64,
    /// The simulated time that has passed.
    pub elapsed: Duration,
    /// The records when the scenario ended, in the order of the tasks' ids. The scenario itself is the first task.
    pub tasks: Vec<TaskStats>,
    /// A hash of the whole interleaving: which task each step ran, on which worker, and when. Two runs with the same fingerprint
    /// took the same course.
    pub fingerprint: u64,
}

impl<E> Simulation<E> {
    /// Creates a simulation with two workers, whose order is drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        let config = ExecutorConfig { worker_threads: 2, ..ExecutorConfig::default() };
        Self { seed, strategy: None, config, max_steps: MAX_STEPS, given: PhantomData }
    }

    /// Returns the same simulation with another seed.
    pub(super) fn with_seed(&self, seed: u64) -> Self {
        Self {
            seed,
            strategy: self.strategy,
            config: self.config.clone(),
            max_steps: self.max_steps,
            given: PhantomData,
        }
    }

    /// Sets the number of workers. The default is two, and the least is one.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.worker_threads = workers.max(1);
        self
    }

    /// Sets how the order is drawn. By default the strategy is drawn from the seed, too: see [`Strategy::of_seed`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets the number of steps after which the run fails. The default is ten million.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// Sets the executor's configuration: limits, and how long records are kept.
    ///
    /// Names and stack sizes of threads, the watchdog and the limit of the blocking queue have no effect in a simulation. The
    /// number of workers is set by [`workers`](Self::workers) alone, because the configuration's default depends on the machine.
    pub fn config(mut self, config: ExecutorConfig) -> Self {
        self.config = ExecutorConfig { worker_threads: self.config.worker_threads, ..config };
        self
    }

    /// Runs a scenario to its end.
    ///
    /// The handle that the scenario receives does not outlive the run: what is spawned later is refused.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the scenario panics, if a task panics whose handle was dropped, if nothing can go on, or if the run takes too
    /// many steps. It says how to run the simulation again.
    #[track_caller]
    pub fn run<F, Fut>(&self, scenario: F) -> Result<Run<Fut::Output>, Box<Failure>>
    where
        E: From<HybridExecutor>,
        F: FnOnce(E) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        self.run_at(Location::caller(), scenario)
    }

    pub(super) fn run_at<F, Fut>(
        &self,
        place: &'static Location<'static>,
        scenario: F,
    ) -> Result<Run<Fut::Output>, Box<Failure>>
    where
        E: From<HybridExecutor>,
        F: FnOnce(E) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        let failed = |cause| Box::new(Failure::new(self.seed, self.strategy, place, cause));
        let simulated = self.simulated().map_err(|error| failed(Cause::Refused(error)))?;
        let (shared, turns) = (&simulated.shared, simulated.turns());
        let executor = HybridExecutor::of_simulation(Arc::clone(shared));
        let context = Context::recorded(Arc::clone(shared), ThreadKind::Worker);
        let mut handle = context.enter(|| {
            let over = MarkOver(Arc::clone(&turns.over));
            let scenario = scenario(E::from(executor));
            let mut options = SpawnOptions::at(TaskKind::Async, place);
            options.name = Some("scenario".into());
            spawn_future::<_, NeverFails>(
                shared,
                async move {
                    let _over = over;
                    scenario.await
                },
                options,
            )
        });
        let report = driver::drive(turns, shared, &context);
        match report.ending {
            Ending::Deadlock(tasks) => return Err(failed(Cause::Deadlock(tasks))),
            Ending::TooManySteps => return Err(failed(Cause::TooManySteps(self.max_steps))),
            Ending::TooManyThreads(threads) => return Err(failed(Cause::TooManyThreads(threads))),
            Ending::Over => {}
        }
        let output = match handle.try_join() {
            Some(Ok(output)) => output,
            Some(Err(error)) => return Err(failed(Cause::Failed(error))),
            None => unreachable!("the simulation goes on until the scenario has ended"),
        };
        if let Some(stats) = report.unseen {
            return Err(failed(Cause::Unseen(Box::new(stats))));
        }
        let elapsed = Duration::from_nanos(report.nanos);
        let (steps, fingerprint) = (report.steps, report.fingerprint);
        Ok(Run { output, steps, elapsed, tasks: report.tasks, fingerprint })
    }

    fn simulated(&self) -> Result<SimulatedExecutor, moirai_core::BuildError> {
        let mut config = self.config.clone();
        config.blocking_queue_limit = usize::MAX >> 8;
        config.capture_panic_location = false;
        config.validate()?;
        let strategy = self.strategy.unwrap_or_else(|| Strategy::of_seed(self.seed));
        let order = Deterministic::with_strategy(self.seed, strategy);
        let (clock, manual) = Clock::manual();
        let workers = config.worker_threads;
        let scheduler = AnyScheduler::other(order.clone());
        let queues = scheduler.start(workers);
        let turns = Turns::new(order, manual, self.max_steps, &config, driver::thread_body);
        let shared = Shared::new(BuilderParts {
            config,
            clock,
            scheduler,
            plugins: Plugins::default(),
            park_hook: None,
            recorder: None,
            mode: Mode::Turns(Box::new(turns)),
            extensions: Extensions::default(),
            thread_names: ThreadNames::default(),
        });
        let writer = std::iter::repeat_with(|| shared.registry.writer());
        let cores = queues.into_iter().zip(writer).enumerate();
        let cores: Vec<_> =
            cores.map(|(index, (queue, writer))| core(index, queue, writer)).collect();
        let simulated = SimulatedExecutor { shared };
        simulated.turns().add_cores(cores);
        Ok(simulated)
    }
}

fn core(index: usize, queue: AnyLocal<Runnable>, writer: Writer) -> Box<WorkerCore> {
    Box::new(WorkerCore { opened: true, ..WorkerCore::new(index, queue, writer) })
}

/// The executor of one run.
struct SimulatedExecutor {
    shared: Arc<Shared>,
}

impl SimulatedExecutor {
    fn turns(&self) -> &SharedTurns {
        self.shared.mode.turns().expect("a simulated executor")
    }
}

impl Drop for SimulatedExecutor {
    /// Closes the cores, which is the last step of a shutdown.
    fn drop(&mut self) {
        stop(&self.shared, Instant::now());
        for core in self.turns().take_cores() {
            last_core::core_closed(&self.shared, core);
        }
    }
}

/// Marks the scenario as ended when it is dropped, so however the scenario ends.
struct MarkOver(Arc<AtomicBool>);

impl Drop for MarkOver {
    fn drop(&mut self) {
        // Ordering: Relaxed: only the thread with the turn reads it, and turns are handed over under the lock.
        self.0.store(true, Ordering::Relaxed);
    }
}

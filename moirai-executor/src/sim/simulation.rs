//! A whole executor on one thread, with its order drawn from a seed and a time of its own.
//!
//! [`Simulation::run`] makes an executor without threads and polls its tasks on the caller's, one at a time, in an order that the
//! [`Deterministic`] scheduler draws. Time stands still while anything can go on, and then
//! jumps to the next moment for which somebody waits. So the same seed gives the same interleaving, the same moments and the same
//! books, in every run and on every machine, and an hour of timeouts takes a moment.
//!
//! # What is simulated
//!
//! - **Tasks**: a step is a poll. Each step is made by one of the simulated workers, drawn as well.
//! - **Closures**, parallel and blocking, are one step each, unless they wait for a task.
//! - **Waiting for a task** in the middle of a step, by `join` of a handle, `block_on`, or a channel's future in it: others go on meanwhile,
//!   and the wait ends when what it waits for has happened and it is drawn.
//! - **`join`, `scope` and what is built on them**: which closure goes first is drawn; each runs to its end.
//! - **Time**: [`time`](crate::time), deadlines of tasks, timeouts of waits, and the ages of records.
//!
//! What is *not*: threads that the program starts, the operating system's clock, files, sockets, the iteration order of a `HashMap`: a
//! program whose course depends on those is not deterministic. And a wait for something that is no task, by a channel of `std` or a blocking
//! wait of `moirai-sync`, stops the simulation itself: for ever, if another task was to end it.
//!
//! # The protocol
//!
//! 1. **One thread has the turn**, and only it touches what is simulated. At first it is the caller's.
//! 2. The thread with the turn is *between steps*: it makes the next step, or gives the turn to a thread that can go on.
//! 3. A thread that has to wait *in the middle of a step* is entered in the list of those that wait, with what wakes it, and gives the turn
//!    to a thread between steps; if there is none, it starts one. When it gets the turn back it goes on, and is between steps when the
//!    step is done.
//! 4. A turn is given under the lock and taken under the lock, so all that is simulated happens in one order.
//! 5. **The end** comes when the scenario has, or when nothing can go on. From then on threads that wait in the middle of a step unwind when
//!    they get the turn, as cancelled tasks do; what is queued or waiting is cancelled; then the other threads end, and last the
//!    caller's returns.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moirai_core::{Clock, ExecutorConfig, TaskKind, TaskStats, TaskStatus};
use moirai_scheduler::{Deterministic, Strategy};

use crate::executor::HybridExecutor;
use crate::registry::Books;
use crate::runtime::context::Context;
use crate::runtime::plugins::Plugins;
use crate::runtime::scheduler::AnyScheduler;
use crate::runtime::seat::Seat;
use crate::runtime::shared::{Parts, Shared};
use crate::spawn::Description;

use super::driver::{Ending, Sim};
use super::failure::{Cause, Failure};

/// How many steps a run may take, if nothing else is said.
const MAX_STEPS: u64 = 10_000_000;

/// A scenario's surroundings: the seed, and what kind of executor it runs on.
///
/// ```
/// use moirai_core::TaskSpawner;
/// use moirai_executor::sim::Simulation;
/// use moirai_executor::time;
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
pub struct Simulation {
    pub(super) seed: u64,
    pub(super) strategy: Option<Strategy>,
    pub(super) config: ExecutorConfig,
    pub(super) max_steps: u64,
}

/// What a run gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run<T> {
    /// What the scenario returned.
    pub output: T,
    /// How many steps were made.
    pub steps: u64,
    /// How much time has passed in it.
    pub elapsed: Duration,
    /// The books when the scenario ended, in the order of the tasks' ids. The scenario itself is the first task.
    pub tasks: Vec<TaskStats>,
    /// Stands for the whole interleaving: which task each step ran, on which worker, and when. Two runs with the same number went
    /// the same way.
    pub fingerprint: u64,
}

impl Simulation {
    /// A simulation with two workers, whose order is drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        let config = ExecutorConfig { worker_threads: 2, ..ExecutorConfig::default() };
        Self { seed, strategy: None, config, max_steps: MAX_STEPS }
    }

    /// How many workers there are; two if nothing is said. At least one.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.worker_threads = workers.max(1);
        self
    }

    /// How the order is drawn. If nothing is said that is drawn from the seed, too: see [`Strategy::of_seed`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// How many steps the run may take before it fails; ten million if nothing is said.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// The executor's configuration: limits, retention of records. Names and sizes of threads, the watchdog and the blocking
    /// queue's limit have no meaning here; and how many workers there are is said by [`workers`](Self::workers), because the default
    /// depends on the machine.
    pub fn config(mut self, config: ExecutorConfig) -> Self {
        self.config = ExecutorConfig { worker_threads: self.config.worker_threads, ..config };
        self
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
        F: FnOnce(HybridExecutor) -> Fut,
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
        F: FnOnce(HybridExecutor) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        let failed = |cause| Box::new(Failure::new(self.seed, self.strategy, place, cause));
        let world = self.world().map_err(|error| failed(Cause::Refused(error)))?;
        let (shared, sim) = (&world.shared, world.sim());
        let executor = HybridExecutor::of_simulation(Arc::clone(shared));
        let context = Context::new(Arc::clone(shared));
        let mut handle = context.enter(|| {
            let over = Over(Arc::clone(&sim.over));
            let scenario = scenario(executor);
            let mut about = Description::at(TaskKind::Async, place);
            about.name = Some("scenario".into());
            shared.spawn_future(
                async move {
                    let _over = over;
                    scenario.await
                },
                about,
            )
        });
        let report = sim.drive(shared, &context);
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

    fn world(&self) -> Result<World, moirai_core::BuildError> {
        let mut config = self.config.clone();
        config.blocking_queue_limit = usize::MAX >> 8;
        config.capture_panic_location = false;
        config.validate()?;
        let strategy = self.strategy.unwrap_or_else(|| Strategy::of_seed(self.seed));
        let order = Deterministic::with_strategy(self.seed, strategy);
        let (clock, hand) = Clock::manual();
        let workers = config.worker_threads;
        let scheduler = AnyScheduler::other(order.clone());
        let queues = scheduler.start(workers);
        let sim = Sim::new(order, hand, self.max_steps, &config);
        let shared = Shared::new(Parts {
            config,
            clock,
            scheduler,
            plugins: Plugins::default(),
            recorder: None,
            sim: Some(Box::new(sim)),
        });
        let books = std::iter::repeat_with(|| shared.registry.books());
        let seats = queues.into_iter().zip(books).enumerate();
        let seats: Vec<_> =
            seats.map(|(index, (queue, books))| seat(index, queue, books)).collect();
        let world = World { shared };
        world.sim().seat_all(seats);
        Ok(world)
    }
}

fn seat(index: usize, queue: crate::runtime::scheduler::AnyLocal, books: Books) -> Box<Seat> {
    Box::new(Seat { index, queue, books, freed: 0, opened: true })
}

/// The executor of one run.
struct World {
    shared: Arc<Shared>,
}

impl World {
    fn sim(&self) -> &Sim {
        self.shared.sim.as_deref().expect("a simulated executor")
    }
}

impl Drop for World {
    /// Closes the seats: the last step of a shutdown.
    fn drop(&mut self) {
        self.shared.stop(Instant::now());
        for seat in self.sim().take_seats() {
            self.shared.seat_closed(seat);
        }
    }
}

/// Says that the scenario has ended, however it does.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        // Ordering: Relaxed: read by whoever has the turn.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The tasks that have not ended, in the order of their ids.
pub(super) fn active(shared: &Shared) -> Vec<TaskStats> {
    let mut tasks: Vec<_> = shared
        .registry
        .snapshot()
        .into_iter()
        .filter(|stats| matches!(stats.status, TaskStatus::Queued | TaskStatus::Running))
        .collect();
    tasks.sort_by_key(|stats| (stats.spawned_at, stats.id));
    tasks
}

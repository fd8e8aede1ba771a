//! Setting up an executor.

use std::any::Any;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use moirai_core::FlightRecorderConfig;
use moirai_core::{
    BuildError, CleanupConfig, Clock, ExecutorConfig, ExecutorPlugin, Recorder, Retention,
    RetentionClass, Scheduler, ThreadKind,
};
use moirai_scheduler::WorkStealing;

use crate::executor::HybridExecutor;
use crate::runtime::extensions::Extensions;
use crate::runtime::mode::Mode;
use crate::runtime::plugins::Plugins;
use crate::runtime::scheduler_dispatch::AnyScheduler;
use crate::runtime::shared::{BuilderParts, Runnable};
use crate::runtime::thread_names::ThreadNames;
use crate::runtime::worker_thread::WorkerThread;

/// Sets up an executor. [`HybridExecutor::builder`] creates one.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(2).thread_name_prefix("io").build()?;
/// # Ok::<(), BuildError>(())
/// ```
///
/// `E` is what [`build`](Self::build) returns: a [`HybridExecutor`], or a type that wraps one, such as `moirai::Moirai`.
#[must_use = "a builder does nothing until `build` is called"]
pub struct HybridExecutorBuilder<E = HybridExecutor> {
    chosen: Chosen,
    built: PhantomData<fn() -> E>,
}

/// What was chosen so far.
#[derive(Default)]
struct Chosen {
    config: ExecutorConfig,
    scheduler: Option<AnyScheduler<Runnable>>,
    plugins: Plugins,
    recorder: Option<Arc<dyn Recorder>>,
    clock: Option<Clock>,
    extensions: Extensions,
    thread_names: ThreadNames,
}

impl HybridExecutor {
    /// Starts an executor.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the setting that was invalid, or the thread that could not be started. Nothing is left behind.
    pub fn new(config: ExecutorConfig) -> Result<Self, BuildError> {
        Self::builder().config(config).build()
    }

    /// Returns a builder with the default configuration.
    pub fn builder() -> HybridExecutorBuilder {
        HybridExecutorBuilder::default()
    }
}

impl Default for HybridExecutorBuilder {
    fn default() -> Self {
        Self { chosen: Chosen::default(), built: PhantomData }
    }
}

impl<E> HybridExecutorBuilder<E> {
    /// Returns the same builder for a type `E2` that wraps a [`HybridExecutor`].
    pub fn wrapped_in<E2: From<HybridExecutor>>(self) -> HybridExecutorBuilder<E2> {
        HybridExecutorBuilder { chosen: self.chosen, built: PhantomData }
    }

    /// Replaces the whole configuration.
    pub fn config(mut self, config: ExecutorConfig) -> Self {
        self.chosen.config = config;
        self
    }

    /// Sets the number of workers, which run async tasks and parallel closures; see [`ExecutorConfig::worker_threads`].
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.chosen.config.worker_threads = workers;
        self
    }

    /// Sets what the names of the executor's threads begin with; see [`ExecutorConfig::thread_name_prefix`].
    pub fn thread_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.chosen.config.thread_name_prefix = prefix.into();
        self
    }

    /// Sets the names of the threads that run tasks: `name` is called with the kind of each thread and its number. The other threads, of
    /// which there is one each, are named by the [prefix](Self::thread_name_prefix), and so are all if `name` panics.
    ///
    /// Linux shows 15 bytes of a name. NULs are left out, and of a long name only the first 256 bytes are kept.
    ///
    /// ```
    /// use moirai::ThreadKind;
    /// use moirai::prelude::*;
    ///
    /// let name = |kind: ThreadKind, number| format!("{kind} number {number}");
    /// let executor = Moirai::builder().worker_threads(1).thread_names(name).build()?;
    /// let name = executor.spawn_parallel(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(name.join().unwrap().as_deref(), Some("worker number 0"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn thread_names(
        mut self,
        name: impl Fn(ThreadKind, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        self.chosen.thread_names = ThreadNames::by(name);
        self
    }

    /// Hangs a value on the executor, where code that runs on the executor finds it by its type: [`HybridExecutor::extension`]. It
    /// replaces an earlier one of the same type, and is dropped with the executor.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// struct Tenant(&'static str);
    ///
    /// let executor = Moirai::builder().extension(Tenant("blue")).build()?;
    /// let tenant = executor.spawn_async(async {
    ///     Moirai::current().and_then(|executor| Some(executor.extension::<Tenant>()?.0))
    /// });
    /// assert_eq!(tenant.join().unwrap(), Some("blue"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn extension<T: Any + Send + Sync>(mut self, value: T) -> Self {
        drop(self.chosen.extensions.insert(value));
        self
    }

    /// Sets how much the flight recorder keeps, or turns it off; see [`ExecutorConfig::flight_recorder`].
    pub fn flight_recorder(mut self, config: FlightRecorderConfig) -> Self {
        self.chosen.config.flight_recorder = config;
        self
    }

    /// Sets whether threads go on as the workers that they were when they have waited; see
    /// [`ExecutorConfig::stable_worker_index`].
    pub fn stable_worker_index(mut self, stable: bool) -> Self {
        self.chosen.config.stable_worker_index = stable;
        self
    }

    /// Sets the stack size of the executor's threads, in bytes; see [`ExecutorConfig::thread_stack_size`].
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.chosen.config.thread_stack_size = Some(bytes);
        self
    }

    /// Sets how long, and how many, records of ended tasks are kept.
    pub fn cleanup_config(mut self, cleanup: CleanupConfig) -> Self {
        self.chosen.config.cleanup = cleanup;
        self
    }

    /// Adds a retention class: the records of tasks that ask for it, with
    /// [`task().retention(name)`](crate::TaskBuilder::retention), are kept by `limits`, and not by those of
    /// [`cleanup_config`](Self::cleanup_config), so that no flood of other tasks evicts them.
    ///
    /// The limit on the number of records is never exceeded. Tasks of one class end under one lock. If automatic cleanup is off,
    /// the records of classes, too, are evicted only by `cleanup_completed_tasks`.
    ///
    /// [`build`](Self::build) refuses an empty name, one that is set twice, and more than
    /// [`MAX_CLASSES`](RetentionClass::MAX_CLASSES) classes.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use std::time::Duration;
    ///
    /// let day = Duration::from_secs(24 * 3600);
    /// let executor = Moirai::builder()
    ///     .retention("jobs", Retention { max_records: 5_000, max_age: day })
    ///     .retain_failures(Retention { max_records: 1_000, max_age: 7 * day })
    ///     .build()?;
    /// let job = executor.task().retention("jobs").name("report").spawn_async(async { "done" });
    /// assert_eq!(job.join().unwrap(), "done");
    ///
    /// let error = Moirai::builder().retention("", Retention { max_records: 1, max_age: day }).build().unwrap_err();
    /// assert_eq!(error.field(), Some("retention"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn retention(mut self, name: impl Into<String>, limits: Retention) -> Self {
        self.chosen.config.retention.push(RetentionClass::new(name, limits));
        self
    }

    /// Sets limits for the records of tasks that panicked: those whose status is [`Failed`](moirai_core::TaskStatus::Failed), and
    /// that ask for no class of their own. Then no flood of tasks that succeed evicts them. The default is to keep them as those of
    /// other tasks.
    ///
    /// A task that was cancelled, by its timeout for example, is no failure; nor is one that returns an `Err`, which is a value as
    /// any other to the executor.
    pub fn retain_failures(mut self, limits: Retention) -> Self {
        self.chosen.config.retain_failures = Some(limits);
        self
    }

    /// Sets how many threads may run blocking tasks at once; see [`ExecutorConfig::max_blocking_threads`].
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.chosen.config.max_blocking_threads = threads;
        self
    }

    /// Sets how long an idle blocking thread or spare thread is kept; see [`ExecutorConfig::blocking_keep_alive`].
    pub fn blocking_keep_alive(mut self, keep_alive: Duration) -> Self {
        self.chosen.config.blocking_keep_alive = keep_alive;
        self
    }

    /// Sets how many blocking tasks may wait for a thread; see [`ExecutorConfig::blocking_queue_limit`].
    pub fn blocking_queue_limit(mut self, tasks: usize) -> Self {
        self.chosen.config.blocking_queue_limit = tasks;
        self
    }

    /// Sets how many tasks may be active at once; see [`ExecutorConfig::max_active_tasks`].
    pub fn max_active_tasks(mut self, tasks: usize) -> Self {
        self.chosen.config.max_active_tasks = Some(tasks);
        self
    }

    /// Sets how many spare threads may take over the cores of workers that block; see [`ExecutorConfig::spare_threads`].
    pub fn spare_threads(mut self, threads: usize) -> Self {
        self.chosen.config.spare_threads = threads;
        self
    }

    /// Sets how many compensation threads may run queued work while workers are stuck; see
    /// [`ExecutorConfig::compensation_threads`].
    pub fn compensation_threads(mut self, threads: usize) -> Self {
        self.chosen.config.compensation_threads = Some(threads);
        self
    }

    /// Sets both [`spare_threads`](Self::spare_threads) and [`compensation_threads`](Self::compensation_threads), whose old name
    /// this is.
    #[deprecated(since = "0.1.0", note = "use `spare_threads` and `compensation_threads`")]
    pub fn reserve_workers(mut self, threads: usize) -> Self {
        #[expect(deprecated, reason = "the setting of this name")]
        let both = &mut self.chosen.config.reserve_workers;
        *both = Some(threads);
        self
    }

    /// Sets how long a poll of an async task may take before it is reported as a stall; see [`ExecutorConfig::stall_budget`].
    pub fn stall_budget(mut self, budget: impl Into<Option<Duration>>) -> Self {
        self.chosen.config.stall_budget = budget.into();
        self
    }

    /// Sets how long a parallel closure may take before it is reported as a stall; see [`ExecutorConfig::parallel_stall_budget`].
    pub fn parallel_stall_budget(mut self, budget: impl Into<Option<Duration>>) -> Self {
        self.chosen.config.parallel_stall_budget = budget.into();
        self
    }

    /// Sets whether locations of panics are captured, by chaining onto the process's panic hook; see
    /// [`ExecutorConfig::capture_panic_location`].
    pub fn capture_panic_location(mut self, capture: bool) -> Self {
        self.chosen.config.capture_panic_location = capture;
        self
    }

    /// Sets whether tasks and fork-join work run inside of the `tracing` span that was current where they were spawned; see
    /// [`ExecutorConfig::inherit_spans`].
    pub fn inherit_spans(mut self, inherit: bool) -> Self {
        self.chosen.config.inherit_spans = inherit;
        self
    }

    /// Sets whether each task runs inside of a `tracing` span of its own; see [`ExecutorConfig::task_spans`].
    pub fn task_spans(mut self, spans: bool) -> Self {
        self.chosen.config.task_spans = spans;
        self
    }

    /// Sets whether queue and execution times of all tasks are recorded, for `Moirai::metrics`; see
    /// [`ExecutorConfig::record_metrics`].
    pub fn record_metrics(mut self, record: bool) -> Self {
        self.chosen.config.record_metrics = record;
        self
    }

    /// Sets the scheduler. The default is work stealing.
    pub fn scheduler(mut self, scheduler: impl Scheduler<Runnable>) -> Self {
        self.chosen.scheduler = Some(AnyScheduler::other(scheduler));
        self
    }

    /// Adds a plugin. Hooks are called in the order in which the plugins were added.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// #[derive(Default)]
    /// struct Failures(AtomicU64);
    ///
    /// impl ExecutorPlugin for Failures {
    ///     fn after_complete(&self, _: TaskId, outcome: TaskStatus) {
    ///         if outcome == TaskStatus::Failed {
    ///             self.0.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     }
    /// }
    ///
    /// let failures = Arc::new(Failures::default());
    /// let executor = Moirai::builder().plugin(Arc::clone(&failures)).build()?;
    /// let task = executor.spawn_parallel(|| std::panic::resume_unwind(Box::new("quietly")));
    /// assert!(task.join().is_err());
    /// assert_eq!(failures.0.load(Ordering::Relaxed), 1);
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn plugin(mut self, plugin: impl ExecutorPlugin) -> Self {
        self.chosen.plugins.add(plugin);
        self
    }

    /// Sets the recorder, which is called for what tasks and workers do.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.chosen.recorder = Some(recorder);
        self
    }

    /// Sets the clock. In tests it may be a manual one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.chosen.clock = Some(clock);
        self
    }

    /// Starts the executor.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the setting that was invalid, or the thread that could not be started. Nothing is left behind.
    pub fn build(self) -> Result<E, BuildError>
    where
        E: From<HybridExecutor>,
    {
        self.build_with(WorkerThread::spawn)
    }

    /// Starts the executor, with its workers on threads that `spawn` starts: for threads that are pinned to processors, that have a
    /// priority of their own, or that may borrow from the caller.
    ///
    /// `spawn` is called once for each worker, on the calling thread, and lets the thread that is to be the worker call
    /// [`WorkerThread::run`]. The executor's other threads are started as usual: spare ones, which take over from workers that block,
    /// too. [`spare_threads(0)`](Self::spare_threads) turns those off.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let greeting = String::from("hello");
    /// std::thread::scope(|threads| {
    ///     let executor: Moirai = Moirai::builder().worker_threads(2).spare_threads(0).build_with(|worker| {
    ///         let greeting = &greeting;
    ///         threads.spawn(move || {
    ///             println!("{greeting} from worker {}", worker.index());
    ///             worker.run();
    ///         });
    ///         Ok(())
    ///     })?;
    ///     assert_eq!(executor.spawn_parallel(|| 6 * 7).join().unwrap(), 42);
    ///     executor.shutdown();
    ///     Ok::<(), BuildError>(())
    /// })?;
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); an error of `spawn` is one of a thread that could not be started. The threads that were started have
    /// ended by then, or soon will have: the error does not wait for them if the calling thread [has entered](WorkerThread::enter) as a
    /// worker, which leaves as usual, nor longer than 10 s.
    ///
    /// # Panics
    ///
    /// If `spawn` panics. Then the workers that it has started stop.
    pub fn build_with(
        self,
        mut spawn: impl FnMut(WorkerThread) -> io::Result<()>,
    ) -> Result<E, BuildError>
    where
        E: From<HybridExecutor>,
    {
        let Chosen { config, scheduler, plugins, recorder, clock, extensions, thread_names } =
            self.chosen;
        config.validate()?;
        let scheduler = scheduler.unwrap_or_else(|| AnyScheduler::Default(WorkStealing::new()));
        let recorder = recorder.filter(|_| config.record_metrics);
        let clock = clock.unwrap_or_else(Clock::system);
        let park_hook = plugins.park_hook()?;
        park_hook.iter().for_each(|hook| hook.start(config.worker_threads));
        let mode = Mode::Threads;
        let parts = BuilderParts {
            config,
            clock,
            scheduler,
            plugins,
            park_hook,
            recorder,
            mode,
            extensions,
            thread_names,
        };
        HybridExecutor::start(parts, &mut spawn).map(E::from)
    }
}

impl<E> fmt::Debug for HybridExecutorBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridExecutorBuilder")
            .field("config", &self.chosen.config)
            .finish_non_exhaustive()
    }
}

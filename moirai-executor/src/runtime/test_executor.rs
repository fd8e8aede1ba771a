//! An executor for models: the shared part of a real one, and what runs its tasks on the model's own threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use moirai_core::{CleanupConfig, Clock, ExecutorConfig, Scheduler, TaskKind};
use moirai_scheduler::GlobalFifo;

use crate::handle::TaskHandle;
use crate::runtime::context::Context;
use crate::runtime::extensions::Extensions;
use crate::runtime::last_core;
use crate::runtime::lifecycle::Phase;
use crate::runtime::mode::Mode;
use crate::runtime::plugins::Plugins;
use crate::runtime::scheduler_dispatch::AnyScheduler;
use crate::runtime::shared::{BuilderParts, Runnable, Shared, WorkerCore};
use crate::runtime::thread_names::ThreadNames;
use crate::spawn::check::NeverFails;
use crate::spawn::options::SpawnOptions;
use crate::spawn::start::spawn_future;

/// An executor with one core and no threads.
pub(crate) struct TestExecutor {
    pub(crate) shared: Arc<Shared>,
    /// The core of the only worker, until a model takes it or [`stop`](Self::stop) closes it.
    pub(crate) core: Option<Box<WorkerCore>>,
}

impl TestExecutor {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Creates an executor whose configuration was changed by `change`.
    pub(crate) fn with(change: impl FnOnce(&mut ExecutorConfig)) -> Self {
        let mut config = ExecutorConfig::default();
        config.worker_threads = 1;
        config.compensation_threads = Some(0);
        config.spare_threads = 0;
        config.stall_budget = None;
        config.parallel_stall_budget = None;
        // No record is evicted, which is modelled elsewhere.
        config.cleanup = CleanupConfig { enable_automatic_cleanup: false, ..Default::default() };
        change(&mut config);
        let scheduler = AnyScheduler::other(GlobalFifo::<Runnable>::new());
        let queue = scheduler.start(1).pop().expect("a queue for the worker");
        let shared = Shared::new(BuilderParts {
            config,
            clock: Clock::manual().0,
            scheduler,
            plugins: Plugins::default(),
            park_hook: None,
            recorder: None,
            mode: Mode::Threads,
            extensions: Extensions::default(),
            thread_names: ThreadNames::default(),
        });
        let writer = shared.registry.writer();
        let core = WorkerCore { opened: true, ..WorkerCore::new(0, queue, writer) };
        Self { shared, core: Some(Box::new(core)) }
    }

    /// Stops the executor as its only worker does: closes the core, which ends all tasks that are queued.
    pub(crate) fn stop(mut self) {
        let _ = self.shared.lifecycle.advance(Phase::Stopped);
        last_core::core_closed(&self.shared, self.core.take().expect("no worker has closed it"));
        self.assert_freed();
    }

    /// Checks, once the core is closed and all handles are dropped, that no task is left which keeps the executor alive.
    pub(crate) fn assert_freed(self) {
        assert_eq!(Arc::strong_count(&self.shared), 1, "a cell or a thread is left");
    }
}

/// Spawns a future.
pub(crate) fn spawn<F>(shared: &Shared, future: F) -> TaskHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    spawn_future::<_, NeverFails>(shared, future, SpawnOptions::new(TaskKind::Async))
}

/// Runs tasks until none is queued, on a thread that has no core.
pub(crate) fn run_queued(shared: &Arc<Shared>) {
    let context = Context::new(Arc::clone(shared));
    context.enter(|| run_queued_in(&context));
}

/// Runs tasks until none is queued, in a context of the calling thread.
pub(crate) fn run_queued_in(context: &Context) {
    while let Some(task) = context.shared().scheduler.take() {
        context.run(task);
    }
}

/// A waker that counts how often it was woken. The count is invisible to loom, so it orders nothing.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

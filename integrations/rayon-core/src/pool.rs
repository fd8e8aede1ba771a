//! Pools: executors, as rayon's programs see them.

use std::error::Error;
use std::sync::{Arc, Once};
use std::{fmt, io};

use moirai::{ExecutorControl, Moirai};
use moirai_executor::{HybridExecutor, WorkerThread, worker_count_or};

use crate::builder::threads_from_environment;
use crate::erase::Erased;
use crate::error::ThreadPoolBuildError;
use crate::settings::Settings;

/// A reference to an executor on which rayon's jobs run: a [`ThreadPool`], or any other.
#[derive(Clone)]
pub(crate) struct Pool(HybridExecutor);

impl Pool {
    pub(crate) fn of(executor: &HybridExecutor) -> Self {
        Self(executor.without_owner())
    }

    /// The executor that runs the calling thread, if the thread is one of its workers.
    pub(crate) fn of_worker() -> Option<Self> {
        HybridExecutor::worker_index()?;
        HybridExecutor::current().map(Self)
    }

    /// The executor that runs the calling thread, or else the global one.
    pub(crate) fn current() -> Self {
        HybridExecutor::current().map_or_else(|| Self::of(global()), Self)
    }

    pub(crate) const fn executor(&self) -> &HybridExecutor {
        &self.0
    }

    /// What the executor has that was built as a pool.
    pub(crate) fn settings(&self) -> Option<&Settings> {
        self.0.extension::<Arc<Settings>>().map(|settings| &**settings)
    }

    pub(crate) fn id(&self) -> usize {
        self.settings().map_or(0, |settings| settings.id)
    }

    pub(crate) fn workers(&self) -> usize {
        self.0.worker_count()
    }

    /// The index of the calling thread, if it is a worker of this executor. From here on it keeps the index until its job has ended.
    pub(crate) fn worker_index(&self) -> Option<usize> {
        self.runs_caller().then(HybridExecutor::lasting_worker_index).flatten()
    }

    /// Returns whether the calling thread is a worker of this executor.
    pub(crate) fn runs_caller(&self) -> bool {
        Self::of_worker().is_some_and(|caller| caller.0.is_same(&self.0))
    }

    /// Calls what nobody waits for, by the rules of the pool; on another executor a panic fails the task, which is on record.
    pub(crate) fn contain(&self, f: impl FnOnce()) {
        match self.settings() {
            Some(settings) => settings.contain(f),
            None => f(),
        }
    }

    /// Runs a job as a task, the newest first if the executor is a pool. A worker of a pool that waits for what the caller is a part of
    /// runs it.
    #[track_caller]
    pub(crate) fn run_later(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn_for_waiting(job);
    }

    /// Runs a job on a given worker.
    #[track_caller]
    pub(crate) fn run_on(&self, worker: usize, job: Erased) {
        drop(self.0.spawn_on_worker(worker, job));
    }
}

/// Calls a closure on a worker of the executor that runs the calling thread, or else of the global one. It is told whether it was moved
/// to another thread for that.
#[inline]
pub(crate) fn in_worker<R: Send>(f: impl FnOnce(bool) -> R + Send) -> R {
    if HybridExecutor::worker_index().is_some() { f(false) } else { in_other_thread(f) }
}

#[cold]
#[inline(never)]
fn in_other_thread<R: Send>(f: impl FnOnce(bool) -> R + Send) -> R {
    Pool::current().executor().install(|| f(true))
}

/// The global executor. If this is its first use, it gets as many workers as the environment says to rayon.
pub(crate) fn global() -> &'static HybridExecutor {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Some(workers) = threads_from_environment() {
            // It may have been started before, with another number.
            let _ = moirai::init_global(Moirai::builder().worker_threads(workers));
        }
    });
    moirai::global().executor()
}

/// An executor of its own, for rayon's jobs.
///
/// When it is dropped, jobs that were spawned, and what they spawn, still run; then its threads end.
pub struct ThreadPool {
    /// `None` from the drop on.
    executor: Option<HybridExecutor>,
    pool: Pool,
}

impl ThreadPool {
    pub(crate) fn from_executor(executor: HybridExecutor) -> Self {
        Self { pool: Pool::of(&executor), executor: Some(executor) }
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Builds a pool.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    #[deprecated(note = "Use `ThreadPoolBuilder::build`")]
    #[allow(deprecated, reason = "the original has it still")]
    pub fn new(configuration: crate::Configuration) -> Result<Self, Box<dyn Error>> {
        configuration.build()
    }

    /// Calls `op` on a worker of this pool, and returns its result. Inside of `op`, what is spawned belongs to this pool.
    ///
    /// On a worker of this pool, `op` is called at once. A worker of another pool that waits runs what `op` installs there, and nothing
    /// else.
    ///
    /// # Panics
    ///
    /// If `op` does.
    pub fn install<OP, R>(&self, op: OP) -> R
    where
        OP: FnOnce() -> R + Send,
        R: Send,
    {
        self.pool.executor().install(op)
    }

    /// The number of workers.
    pub fn current_num_threads(&self) -> usize {
        self.pool.workers()
    }

    /// The index of the calling thread, if it is a worker of this pool.
    pub fn current_thread_index(&self) -> Option<usize> {
        self.pool.worker_index()
    }

    /// Whether jobs wait in this pool, if the calling thread is a worker of it.
    pub fn current_thread_has_pending_tasks(&self) -> Option<bool> {
        self.pool.runs_caller().then(|| self.pool.executor().load() > 0)
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if let Some(executor) = self.executor.take() {
            executor.drain_in_background();
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("num_threads", &self.current_num_threads())
            .field("id", &self.pool.id())
            .finish()
    }
}

/// The greatest number of threads that a pool can have.
pub fn max_num_threads() -> usize {
    moirai::ExecutorConfig::MAX_WORKER_THREADS
}

/// The number of workers of the executor that runs the calling thread, or else of the global one.
pub fn current_num_threads() -> usize {
    worker_count_or(global)
}

/// The index of the calling thread, if it is a worker. It stays the same until the job that the thread runs has ended.
#[inline]
pub fn current_thread_index() -> Option<usize> {
    HybridExecutor::lasting_worker_index()
}

/// Whether jobs wait in the executor that runs the calling thread, if the thread is a worker.
pub fn current_thread_has_pending_tasks() -> Option<bool> {
    Pool::of_worker().map(|pool| pool.executor().load() > 0)
}

/// Builds the pool of the whole process, with its workers on threads that `start` starts.
pub(crate) fn build_global(
    builder: moirai::MoiraiBuilder,
    start: impl FnMut(WorkerThread) -> io::Result<()>,
) -> Result<(), ThreadPoolBuildError> {
    match moirai::init_global_with(builder, start) {
        Ok(_) => Ok(()),
        Err(moirai::InitGlobalError::Build(error)) => Err(error.into()),
        Err(_) => Err(ThreadPoolBuildError::GLOBAL),
    }
}

//! Setting up a pool.

use std::cell::RefCell;
use std::sync::Arc;
use std::{env, fmt, io, thread};

use moirai::{ExecutorConfig, Moirai};
use moirai_executor::{EnteredWorker, HybridExecutor, HybridExecutorBuilder, WorkerThread};

use crate::ThreadPool;
use crate::erase::Payload;
use crate::error::ThreadPoolBuildError;
use crate::names::{NameWorker, Names};
use crate::pool::build_global;
use crate::settings::{Handlers, PanicHandler, Settings, WorkerHandler};
use crate::threads::{CustomSpawn, DefaultSpawn, ThreadBuilder, ThreadSpawn, spawn_scoped};

/// The smallest stack that the executor accepts, in bytes.
const MIN_STACK: usize = 64 * 1024;

thread_local! {
    /// The pool that the thread is a worker of, by `use_current_thread`.
    static ENTERED: RefCell<Option<EnteredWorker>> = const { RefCell::new(None) };
}

/// Sets up a [`ThreadPool`], or the pool of the whole process.
pub struct ThreadPoolBuilder<S = DefaultSpawn> {
    options: Options,
    spawn: S,
}

/// What is set apart from how threads are started.
#[derive(Default)]
struct Options {
    num_threads: usize,
    use_current_thread: bool,
    stack_size: Option<usize>,
    thread_name: Option<Box<NameWorker>>,
    panic_handler: Option<Box<PanicHandler>>,
    start_handler: Option<Box<WorkerHandler>>,
    exit_handler: Option<Box<WorkerHandler>>,
}

impl Default for ThreadPoolBuilder {
    fn default() -> Self {
        Self { options: Options::default(), spawn: DefaultSpawn }
    }
}

impl ThreadPoolBuilder {
    /// Returns a builder with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds a pool whose threads may borrow from the caller, and calls `with_pool` with it. Each thread is one on which `wrapper` is
    /// called, which must run the worker that it is given.
    ///
    /// Returns when the threads have ended. No other threads take the place of workers that wait, as they do in other pools.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn build_scoped<W, F, R>(self, wrapper: W, with_pool: F) -> Result<R, ThreadPoolBuildError>
    where
        W: Fn(ThreadBuilder) + Sync,
        F: FnOnce(&ThreadPool) -> R,
    {
        thread::scope(|scope| {
            let wrapper = &wrapper;
            let pool = self.spawn_handler(|worker| spawn_scoped(scope, worker, wrapper)).build()?;
            Ok(with_pool(&pool))
        })
    }
}

#[allow(private_bounds, reason = "as in the original, the trait is sealed")]
impl<S: ThreadSpawn> ThreadPoolBuilder<S> {
    /// Builds the pool.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started, and with [`use_current_thread`](Self::use_current_thread) if the thread belongs to a pool.
    pub fn build(self) -> Result<ThreadPool, ThreadPoolBuildError> {
        let entering = Entering::begin(&self.options)?;
        let (builder, start) = self.executor::<HybridExecutor>();
        let builder = builder
            .scheduler(moirai::scheduler::WorkStealing::newest_first())
            // They are no workers, and have no index.
            .compensation_threads(0)
            .stable_worker_index(true)
            .stall_budget(None);
        let executor = builder.build_with(start)?;
        entering.succeed();
        Ok(ThreadPool::from_executor(executor))
    }

    /// Starts the global executor of Moirai with these settings; it is the pool of all that runs in no other.
    ///
    /// With a [`spawn_handler`](ThreadPoolBuilder::spawn_handler), all its workers are threads of that handler. No other threads take
    /// their places while they wait or block, so an async task that blocks keeps a worker from the others.
    ///
    /// # Errors
    ///
    /// If the global executor is running already, if a thread cannot be started, and with
    /// [`use_current_thread`](Self::use_current_thread) if the thread belongs to a pool.
    pub fn build_global(self) -> Result<(), ThreadPoolBuildError> {
        let entering = Entering::begin(&self.options)?;
        let (builder, start) = self.executor::<Moirai>();
        let builder = if S::HAS_SPARE { builder } else { builder.compensation_threads(0) };
        build_global(builder, start)?;
        entering.succeed();
        Ok(())
    }

    /// Returns the builder of the executor, and what starts its workers.
    fn executor<E: From<HybridExecutor>>(
        self,
    ) -> (HybridExecutorBuilder<E>, impl FnMut(WorkerThread) -> io::Result<()>) {
        let Self { options, mut spawn } = self;
        let Options { num_threads, use_current_thread, stack_size, thread_name, .. } = options;
        let Options { panic_handler, start_handler, exit_handler, .. } = options;
        let workers = match num_threads {
            0 => threads_from_environment().unwrap_or_else(available_threads),
            set => set,
        };
        let workers = workers.min(ExecutorConfig::MAX_WORKER_THREADS);
        let settings = Arc::new(Settings::new(workers, panic_handler));
        let mut builder = HybridExecutor::builder()
            .wrapped_in::<E>()
            .worker_threads(workers)
            .spare_threads(if S::HAS_SPARE { ExecutorConfig::default().spare_threads } else { 0 })
            .extension(Arc::clone(&settings));
        if let Some(size) = stack_size {
            builder = builder.thread_stack_size(size.max(MIN_STACK));
        }
        let mut names = Names::new(thread_name);
        if names.are_given() {
            let given = names.given();
            builder = builder.thread_names(move |kind, number| given.of(kind, number));
        }
        if start_handler.is_some() || exit_handler.is_some() {
            builder =
                builder.plugin(Handlers { start: start_handler, exit: exit_handler, settings });
        }
        let start = move |worker: WorkerThread| {
            if use_current_thread && worker.index() == 0 {
                let entered = worker.enter().map_err(|_| io::Error::other("it is in a pool"))?;
                ENTERED.with_borrow_mut(|current| *current = Some(entered));
                return Ok(());
            }
            let name = names.name(worker.index());
            spawn.spawn(ThreadBuilder::new(worker, name))
        };
        (builder, start)
    }
}

impl<S> ThreadPoolBuilder<S> {
    /// Sets the function that starts the threads of the pool. It is called for each worker, on the calling thread, and must let a
    /// thread call [`ThreadBuilder::run`].
    pub fn spawn_handler<F>(self, spawn: F) -> ThreadPoolBuilder<CustomSpawn<F>>
    where
        F: FnMut(ThreadBuilder) -> io::Result<()>,
    {
        ThreadPoolBuilder { options: self.options, spawn: CustomSpawn(spawn) }
    }

    /// Sets what names the threads.
    pub fn thread_name<F>(mut self, closure: F) -> Self
    where
        F: FnMut(usize) -> String + 'static,
    {
        self.options.thread_name = Some(Box::new(closure));
        self
    }

    /// Sets the number of workers. With zero, which is the default, the environment variable `RAYON_NUM_THREADS` says how many, or
    /// there is one for each processor.
    pub fn num_threads(mut self, num_threads: usize) -> Self {
        self.options.num_threads = num_threads;
        self
    }

    /// Makes the calling thread one of the workers, that with index zero, until the thread ends. Then another thread takes its place; with
    /// a [`spawn_handler`](Self::spawn_handler) there is none, and the pool ends with the thread.
    pub fn use_current_thread(mut self) -> Self {
        self.options.use_current_thread = true;
        self
    }

    /// Sets what is called with the payloads of panics in jobs that nobody waits for. Without it they end the process, and so does a
    /// panic of the handler.
    pub fn panic_handler<H>(mut self, panic_handler: H) -> Self
    where
        H: Fn(Payload) + Send + Sync + 'static,
    {
        self.options.panic_handler = Some(Box::new(panic_handler));
        self
    }

    /// Sets the stack size of the threads, in bytes.
    pub fn stack_size(mut self, stack_size: usize) -> Self {
        self.options.stack_size = Some(stack_size);
        self
    }

    /// Does nothing.
    #[deprecated(note = "use `scope_fifo` and `spawn_fifo` for similar effect")]
    pub fn breadth_first(self) -> Self {
        self
    }

    /// Sets what is called with the index of each worker when it starts.
    pub fn start_handler<H>(mut self, start_handler: H) -> Self
    where
        H: Fn(usize) + Send + Sync + 'static,
    {
        self.options.start_handler = Some(Box::new(start_handler));
        self
    }

    /// Sets what is called with the index of each worker when it ends.
    pub fn exit_handler<H>(mut self, exit_handler: H) -> Self
    where
        H: Fn(usize) + Send + Sync + 'static,
    {
        self.options.exit_handler = Some(Box::new(exit_handler));
        self
    }
}

/// The calling thread, if it is to be a worker. If the pool cannot be built, it is none.
struct Entering {
    leave: bool,
}

impl Entering {
    fn begin(options: &Options) -> Result<Self, ThreadPoolBuildError> {
        if options.use_current_thread && HybridExecutor::current().is_some() {
            return Err(ThreadPoolBuildError::IN_POOL);
        }
        Ok(Self { leave: options.use_current_thread })
    }

    fn succeed(mut self) {
        self.leave = false;
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if self.leave {
            drop(ENTERED.take());
        }
    }
}

impl<S> fmt::Debug for ThreadPoolBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder")
            .field("num_threads", &self.options.num_threads)
            .field("use_current_thread", &self.options.use_current_thread)
            .field("stack_size", &self.options.stack_size)
            .finish_non_exhaustive()
    }
}

/// The number of workers that the environment asks for: `RAYON_NUM_THREADS`, or its old name.
pub(crate) fn threads_from_environment() -> Option<usize> {
    let number = |variable| env::var(variable).ok()?.parse::<usize>().ok();
    match number("RAYON_NUM_THREADS") {
        Some(0) => None,
        Some(set) => Some(set.min(ExecutorConfig::MAX_WORKER_THREADS)),
        None => number("RAYON_RS_NUM_CPUS").filter(|&set| set > 0),
    }
}

fn available_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

//! The thread of a worker, before it runs.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::ThreadKind;

use crate::panics::log;
use crate::runtime::context::Context;
use crate::runtime::handoff::hand_off_core;
use crate::runtime::last_core;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::{Shared, WorkerCore};
use crate::runtime::threads::{name_for_system, thread_name};
use crate::runtime::worker;

/// A worker that waits for a thread to run it; see [`build_with`](crate::HybridExecutorBuilder::build_with).
///
/// It can be sent to the thread that is to be the worker, which calls [`run`](Self::run). If it is dropped instead, the executor
/// stops.
pub struct WorkerThread {
    index: usize,
    name: String,
    stack_size: Option<usize>,
    start: Option<Start>,
}

/// What the thread needs to run as a worker.
struct Start {
    shared: Arc<Shared>,
    core: Box<WorkerCore>,
}

impl WorkerThread {
    /// Creates the thread of a core, and counts it.
    pub(crate) fn new(shared: Arc<Shared>, core: Box<WorkerCore>) -> Self {
        shared.cores.add_thread();
        Self {
            index: core.index,
            name: thread_name(&shared, ThreadKind::Worker, core.index),
            stack_size: shared.config.thread_stack_size,
            start: Some(Start { shared, core }),
        }
    }

    /// The index of the worker, from zero.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The name that the thread should have.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stack size that the thread should have, in bytes, if the configuration says one.
    #[must_use]
    pub const fn stack_size(&self) -> Option<usize> {
        self.stack_size
    }

    /// Runs the worker on the calling thread. Returns when the executor has stopped.
    pub fn run(mut self) {
        if let Some(Start { shared, core }) = self.start.take() {
            name_for_system(&shared.config.thread_name_prefix);
            worker::run(shared, ThreadKind::Worker, self.index, Some(core));
        }
    }

    /// Makes the calling thread the worker, and returns at once: the thread goes on with what it does, as one that the executor has
    /// called. What it spawns, other workers take; it runs parts of fork-join work itself while it waits for them, and queued tasks
    /// if it calls `try_run`. While it announces that it blocks, another thread is the worker.
    ///
    /// When the returned value is dropped, another thread becomes the worker; if none can be had, the executor stops. A shutdown that
    /// another thread has called waits for the drop. Inside of work for the executor, such as a `join`, a task or a block, and in what an
    /// executor calls, such as a scheduler, a plugin or a recorder, the drop does nothing but log an error, and the thread stays the
    /// worker.
    ///
    /// # Errors
    ///
    /// Gives the worker back if the calling thread works for an executor already.
    pub fn enter(mut self) -> Result<EnteredWorker, Self> {
        let Some(Start { shared, core }) = self.start.take() else { return Err(self) };
        let context = Box::new(Context::recorded(Arc::clone(&shared), ThreadKind::Worker));
        match context.enter_for_good() {
            Ok(context) => Ok(EnteredWorker::begin(context, core)),
            Err(context) => {
                drop(context);
                self.start = Some(Start { shared, core });
                Err(self)
            }
        }
    }

    /// Starts a thread of its own for the worker, as [`build`](crate::HybridExecutorBuilder::build) does.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn spawn(self) -> io::Result<()> {
        let mut thread = std::thread::Builder::new().name(self.name.clone());
        if let Some(size) = self.stack_size {
            thread = thread.stack_size(size);
        }
        thread.spawn(|| self.run()).map(drop)
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        let Some(Start { shared, core }) = self.start.take() else { return };
        shared.cores.remove_thread();
        stop_without(&shared, core);
    }
}

/// Stops an executor because there is no thread for a core, and closes that core.
fn stop_without(shared: &Shared, core: Box<WorkerCore>) {
    // The lifecycle must be closed before the first core closes.
    if shared.lifecycle.advance(Phase::Stopped) {
        shared.sleepers.wake_all();
    }
    last_core::core_closed(shared, core);
}

/// The calling thread as a worker, until this is dropped; see [`WorkerThread::enter`].
#[derive(Debug)]
pub struct EnteredWorker {
    /// The thread's outermost context. A pointer is not `Send`, and the context is this thread's.
    context: NonNull<Context>,
    index: usize,
}

impl EnteredWorker {
    fn begin(context: NonNull<Context>, mut core: Box<WorkerCore>) -> Self {
        let index = core.index;
        let entered = Self { context, index };
        core.opened = true;
        entered.with(|context| {
            context.put_core(core);
            let plugins = &context.shared().plugins;
            plugins.call("on_thread_start", |it| it.on_thread_start(ThreadKind::Worker, index));
            plugins.call("on_worker_start", |it| it.on_worker_start(index));
        });
        entered
    }

    /// The index of the worker.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    fn with<R>(&self, f: impl FnOnce(&Context) -> R) -> R {
        // SAFETY: the context is there until the drop, and this is its thread, because this type is not `Send`.
        f(unsafe { self.context.as_ref() })
    }
}

impl Drop for EnteredWorker {
    fn drop(&mut self) {
        // SAFETY: `enter` has got the context from `enter_for_good`, on this thread, and this is the only call.
        let Some(context) = (unsafe { Context::leave(self.context) }) else {
            log!(
                error,
                "a thread leaves its executor in the middle of work for it, and stays its worker"
            );
            return;
        };
        let shared = Arc::clone(context.shared());
        let index = self.index;
        shared.plugins.call("on_thread_stop", |it| it.on_thread_stop(ThreadKind::Worker, index));
        // It may be another thread's, since the caller has blocked.
        let core = context.take_core();
        drop(context);
        if let Some(core) = core
            && let Err(core) = hand_off_core(&shared, core)
        {
            stop_without(&shared, core);
        }
        shared.cores.remove_thread();
    }
}

impl fmt::Debug for WorkerThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerThread")
            .field("index", &self.index)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

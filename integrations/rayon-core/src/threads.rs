//! How the threads of a pool are started.

use std::{fmt, io, thread};

use moirai_executor::WorkerThread;

/// A worker that waits for a thread to run it. Dropping it stops the pool.
pub struct ThreadBuilder {
    worker: WorkerThread,
    name: Option<String>,
}

impl ThreadBuilder {
    pub(crate) const fn new(worker: WorkerThread, name: Option<String>) -> Self {
        Self { worker, name }
    }

    /// The index of the worker.
    pub fn index(&self) -> usize {
        self.worker.index()
    }

    /// The name that the thread should have, if the pool was given names.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The stack size that the thread should have, in bytes.
    pub fn stack_size(&self) -> Option<usize> {
        self.worker.stack_size()
    }

    /// Runs the worker on the calling thread. Returns when the pool has ended.
    pub fn run(self) {
        self.worker.run();
    }
}

impl fmt::Debug for ThreadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadBuilder")
            .field("index", &self.index())
            .field("name", &self.name())
            .field("stack_size", &self.stack_size())
            .finish()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Starts the threads of a pool. The trait is sealed.
pub trait ThreadSpawn: sealed::Sealed {
    /// Whether other threads may take the place of those that wait.
    #[doc(hidden)]
    const HAS_SPARE: bool;

    #[doc(hidden)]
    fn spawn(&mut self, thread: ThreadBuilder) -> io::Result<()>;
}

/// Starts threads as Moirai does.
#[derive(Debug, Default)]
pub struct DefaultSpawn;

impl sealed::Sealed for DefaultSpawn {}

impl ThreadSpawn for DefaultSpawn {
    const HAS_SPARE: bool = true;

    fn spawn(&mut self, thread: ThreadBuilder) -> io::Result<()> {
        // Without a name of the program's, the thread has that which the executor gives it.
        if thread.name.is_none() {
            return thread.worker.spawn();
        }
        named(&thread).spawn(|| thread.run()).map(drop)
    }
}

/// Starts threads by a function.
#[derive(Debug)]
pub struct CustomSpawn<F>(pub(crate) F);

impl<F> sealed::Sealed for CustomSpawn<F> {}

impl<F> ThreadSpawn for CustomSpawn<F>
where
    F: FnMut(ThreadBuilder) -> io::Result<()>,
{
    // Those would not be threads of the function.
    const HAS_SPARE: bool = false;

    fn spawn(&mut self, thread: ThreadBuilder) -> io::Result<()> {
        (self.0)(thread)
    }
}

/// Starts a thread that borrows from the scope that it belongs to.
pub(crate) fn spawn_scoped<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    worker: ThreadBuilder,
    run: impl FnOnce(ThreadBuilder) + Send + 'scope,
) -> io::Result<()> {
    named(&worker).spawn_scoped(scope, || run(worker)).map(drop)
}

/// Returns what starts a thread with the name and the stack size of a worker.
fn named(worker: &ThreadBuilder) -> thread::Builder {
    let mut thread = thread::Builder::new();
    if let Some(name) = worker.name() {
        thread = thread.name(name.to_owned());
    }
    if let Some(size) = worker.stack_size() {
        thread = thread.stack_size(size);
    }
    thread
}

//! How the threads of a pool are started.

use std::{fmt, io, thread};

use moirai_executor::WorkerThread;

/// A worker that waits for a thread to run it. Dropping it stops the pool.
pub struct ThreadBuilder {
    worker: WorkerThread,
    /// Whether the program names its threads.
    is_named: bool,
}

impl ThreadBuilder {
    pub(crate) const fn new(worker: WorkerThread, is_named: bool) -> Self {
        Self { worker, is_named }
    }

    /// The index of the worker.
    pub fn index(&self) -> usize {
        self.worker.index()
    }

    /// The name that the thread should have, if the pool was given names.
    pub fn name(&self) -> Option<&str> {
        self.is_named.then(|| self.worker.name())
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
        thread.worker.spawn()
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
    thread: ThreadBuilder,
    run: impl FnOnce(ThreadBuilder) + Send + 'scope,
) -> io::Result<()> {
    let mut starting = thread::Builder::new();
    if let Some(name) = thread.name() {
        starting = starting.name(name.to_owned());
    }
    if let Some(size) = thread.stack_size() {
        starting = starting.stack_size(size);
    }
    starting.spawn_scoped(scope, || run(thread)).map(drop)
}

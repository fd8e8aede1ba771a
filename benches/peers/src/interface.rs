//! What every peer must be able to do.

use std::future::Future;
use std::sync::OnceLock;

/// The number of workers that every peer has if no other number is chosen.
pub const DEFAULT_WORKERS: usize = 2;

/// The largest number of workers. A machine that cannot start so many threads for each peer is rare.
pub const MOST_WORKERS: usize = 256;

static CHOSEN: OnceLock<usize> = OnceLock::new();

/// Returns the number of threads that run tasks, in every peer: [`DEFAULT_WORKERS`], unless [`set_workers`] was called before.
#[must_use]
pub fn workers() -> usize {
    *CHOSEN.get_or_init(|| DEFAULT_WORKERS)
}

/// Sets the number of threads that run tasks. To be called before any peer is started.
///
/// # Panics
///
/// If the number has been used already.
pub fn set_workers(workers: usize) {
    CHOSEN.set(workers).expect("the number of workers is set first");
}

/// An executor of async tasks.
///
/// All functions are associated ones: a peer is a process-wide executor, as most programs have it. Tasks refer to it by its type,
/// so that no workload pays for reference counts that its peer does not need.
pub trait Peer: Copy + Send + Sync + 'static {
    /// The name of the peer in tables.
    const NAME: &'static str;

    /// The handle of a task.
    type Handle<T: Send + 'static>: Send + 'static;

    /// Starts the executor, if it has not been started yet.
    fn start();

    /// Spawns a task from any thread, in the way that a thread must which is not a worker.
    fn spawn<F>(future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns a task from inside of another one, in the cheapest way that the peer has.
    fn spawn_inside<F>(future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Drops the handle, and lets the task go on.
    fn detach<T: Send + 'static>(handle: Self::Handle<T>);

    /// Waits for a task inside of another one.
    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> impl Future<Output = T> + Send;

    /// Waits for a task on a thread that is not a worker.
    fn join_outside<T: Send + 'static>(handle: Self::Handle<T>) -> T {
        Self::block_on(Self::join(handle))
    }

    /// Runs a future on the calling thread.
    fn block_on<F: Future + Send>(future: F) -> F::Output
    where
        F::Output: Send;

    /// Lets other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;
}

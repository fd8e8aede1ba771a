//! What every peer can be made to do.

use std::future::Future;

/// Threads that run tasks, in every peer.
pub const WORKERS: usize = 2;

/// An executor of async tasks.
///
/// All functions are associated ones: a peer is a process-wide executor, as most programs have it. Tasks refer to it by its
/// type, so no workload pays for reference counts that its peer does not ask for.
pub trait Peer: Copy + Send + Sync + 'static {
    /// What it is called in tables.
    const NAME: &'static str;

    /// A task that was spawned.
    type Handle<T: Send + 'static>: Send + 'static;

    /// Starts it, if it has not been started yet.
    fn start();

    /// Spawns a task from any thread, as a thread would that is no worker.
    fn spawn<F>(future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns a task from inside another one, in the shortest way that the peer has.
    fn spawn_inside<F>(future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Lets a task go on without its handle.
    fn detach<T: Send + 'static>(handle: Self::Handle<T>);

    /// Waits for a task inside another.
    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> impl Future<Output = T> + Send;

    /// Waits for a task on a thread that is no worker.
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

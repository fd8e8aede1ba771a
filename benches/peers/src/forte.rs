//! Forte's thread pool.

use std::future::Future;
use std::sync::Once;

use forte::{Task, ThreadPool};
use futures_lite::future;

use super::interface::{Peer, workers};

static POOL: ThreadPool = ThreadPool::new();

/// Forte, of which this is a beta.
#[derive(Clone, Copy, Debug)]
pub struct Forte;

impl Forte {
    /// Returns the pool.
    pub fn pool() -> &'static ThreadPool {
        &POOL
    }
}

impl Peer for Forte {
    const NAME: &'static str = "forte";
    type Handle<T: Send + 'static> = Task<T>;

    fn start() {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            POOL.resize_to(workers());
        });
    }

    fn spawn<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        POOL.spawn(future)
    }

    fn spawn_inside<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        POOL.spawn(future)
    }

    fn detach<T: Send + 'static>(handle: Task<T>) {
        handle.detach();
    }

    fn join<T: Send + 'static>(handle: Task<T>) -> impl Future<Output = T> + Send {
        handle
    }

    /// Makes the caller a member of the pool, which may then run the task itself. This is how Forte is meant to be used.
    fn join_outside<T: Send + 'static>(handle: Task<T>) -> T {
        POOL.with_worker(|worker| worker.block_on(handle))
    }

    fn block_on<F: Future + Send>(future: F) -> F::Output
    where
        F::Output: Send,
    {
        POOL.with_worker(|worker| worker.block_on(future))
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }
}

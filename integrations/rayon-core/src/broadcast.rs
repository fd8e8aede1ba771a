//! One job for each worker.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::ThreadPool;
use crate::pool::Pool;

/// What a job of a broadcast is told.
pub struct BroadcastContext<'a> {
    index: usize,
    num_threads: usize,
    pool: usize,
    /// As in the original, so that later versions may borrow from the broadcast.
    marker: PhantomData<&'a mut dyn Fn()>,
}

impl BroadcastContext<'_> {
    pub(crate) fn of(pool: &Pool, index: usize) -> Self {
        Self { index, num_threads: pool.workers(), pool: pool.id(), marker: PhantomData }
    }

    /// The index of the worker, less than [`num_threads`](Self::num_threads).
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of workers that the job runs on.
    #[inline]
    pub fn num_threads(&self) -> usize {
        self.num_threads
    }
}

impl fmt::Debug for BroadcastContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastContext")
            .field("index", &self.index)
            .field("num_threads", &self.num_threads)
            .field("pool_id", &self.pool)
            .finish()
    }
}

/// Calls `op` on each worker of the executor that runs the calling thread, or else of the global one, and returns all results, in the
/// order of the workers.
///
/// # Panics
///
/// If `op` does, once it has ended everywhere.
pub fn broadcast<OP, R>(op: OP) -> Vec<R>
where
    OP: Fn(BroadcastContext<'_>) -> R + Sync,
    R: Send,
{
    broadcast_in(&Pool::current(), op)
}

/// Spawns a job for each worker of the executor that runs the calling thread, or else of the global one.
pub fn spawn_broadcast<OP>(op: OP)
where
    OP: Fn(BroadcastContext<'_>) + Send + Sync + 'static,
{
    spawn_broadcast_in(&Pool::current(), op);
}

fn broadcast_in<OP, R>(pool: &Pool, op: OP) -> Vec<R>
where
    OP: Fn(BroadcastContext<'_>) -> R + Sync,
    R: Send,
{
    pool.executor().broadcast(|worker| op(BroadcastContext::of(pool, worker)))
}

fn spawn_broadcast_in<OP>(pool: &Pool, op: OP)
where
    OP: Fn(BroadcastContext<'_>) + Send + Sync + 'static,
{
    let op = Arc::new(op);
    for worker in 0..pool.workers() {
        let (op, inside) = (Arc::clone(&op), pool.clone());
        let job = move || inside.contain(|| op(BroadcastContext::of(&inside, worker)));
        pool.run_on(worker, Box::new(job));
    }
}

impl ThreadPool {
    /// Calls [`broadcast`] in this pool.
    ///
    /// # Panics
    ///
    /// As [`broadcast`].
    pub fn broadcast<OP, R>(&self, op: OP) -> Vec<R>
    where
        OP: Fn(BroadcastContext<'_>) -> R + Sync,
        R: Send,
    {
        broadcast_in(self.pool(), op)
    }

    /// Calls [`spawn_broadcast`] in this pool.
    pub fn spawn_broadcast<OP>(&self, op: OP)
    where
        OP: Fn(BroadcastContext<'_>) + Send + Sync + 'static,
    {
        spawn_broadcast_in(self.pool(), op);
    }
}

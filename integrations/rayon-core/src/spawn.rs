//! Jobs that nobody waits for.

use std::sync::Arc;

use crate::ThreadPool;
use crate::pool::Pool;
use crate::settings::Settings;

/// Spawns a job. In a [`ThreadPool`], a worker runs the newest of its own jobs first.
///
/// A panic of the job goes to the panic handler of the pool; without one it ends the process. On another executor it fails the task, and
/// is logged.
#[track_caller]
pub fn spawn<F>(func: F)
where
    F: FnOnce() + Send + 'static,
{
    spawn_in(&Pool::current(), func);
}

/// Like [`spawn`], but jobs that one thread spawns with this function are begun in the order in which it has spawned them.
#[track_caller]
pub fn spawn_fifo<F>(func: F)
where
    F: FnOnce() + Send + 'static,
{
    spawn_fifo_in(&Pool::current(), func);
}

#[track_caller]
fn spawn_in(pool: &Pool, f: impl FnOnce() + Send + 'static) {
    let inside = pool.clone();
    pool.run_later(move || inside.contain(f));
}

#[track_caller]
fn spawn_fifo_in(pool: &Pool, f: impl FnOnce() + Send + 'static) {
    let settings = pool.executor().extension::<Arc<Settings>>();
    match (settings, pool.worker_index()) {
        (Some(settings), Some(worker)) => {
            settings.fifos.of(worker).push(Box::new(f));
            let settings = Arc::clone(settings);
            pool.run_later(move || settings.contain(|| settings.fifos.of(worker).run_oldest()));
        }
        // Without a pool, and from outside, jobs are begun in that order anyway.
        _ => spawn_in(pool, f),
    }
}

impl ThreadPool {
    /// Calls [`spawn`] in this pool.
    #[track_caller]
    pub fn spawn<OP>(&self, op: OP)
    where
        OP: FnOnce() + Send + 'static,
    {
        spawn_in(self.pool(), op);
    }

    /// Calls [`spawn_fifo`] in this pool.
    #[track_caller]
    pub fn spawn_fifo<OP>(&self, op: OP)
    where
        OP: FnOnce() + Send + 'static,
    {
        spawn_fifo_in(self.pool(), op);
    }
}

//! Running a job of the queue from inside of another.

use moirai::ExecutorControl;

use crate::ThreadPool;
use crate::pool::Pool;

/// What [`yield_now`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yield {
    /// A job was run.
    Executed,
    /// There was none.
    Idle,
}

impl Pool {
    fn yield_once(&self) -> Yield {
        if self.executor().try_run() { Yield::Executed } else { Yield::Idle }
    }
}

/// Runs a queued job of the executor that runs the calling thread, on top of the caller's own. `None` if the thread is no worker.
pub fn yield_now() -> Option<Yield> {
    Some(Pool::of_worker()?.yield_once())
}

/// Like [`yield_now`]. The original looks at the queue of the calling thread only.
pub fn yield_local() -> Option<Yield> {
    yield_now()
}

impl ThreadPool {
    /// Calls [`yield_now`], if the calling thread is a worker of this pool.
    pub fn yield_now(&self) -> Option<Yield> {
        self.pool().runs_caller().then(|| self.pool().yield_once())
    }

    /// Calls [`yield_local`], if the calling thread is a worker of this pool.
    pub fn yield_local(&self) -> Option<Yield> {
        self.yield_now()
    }
}

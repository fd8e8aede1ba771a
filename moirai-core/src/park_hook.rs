//! What an idle worker may do instead of sleeping.

/// A place where idle workers sleep, in the stead of the executor's own: in the driver of an I/O library, for example, so that it
/// is driven without a thread of its own.
///
/// A plugin brings it: [`ExecutorPlugin::park_hook`](crate::ExecutorPlugin::park_hook). Only workers that have nothing to do sleep
/// there; threads that wait for something else, and workers that wait for their own fork-join work, do not.
///
/// While a thread is inside of [`park`](Self::park), it may wake tasks. It may also run code of its own, such as the tasks of that
/// I/O library, after it has said that the worker is not idle any more; before it blocks again, it must say that the worker is
/// idle. The facade has functions for both, `moirai::idle::suspend` and `moirai::idle::resume`. Code that runs in `park` is treated
/// as on a thread that is not a worker, so that it may wait for tasks; code in [`poll`](Self::poll) may run on a worker. A shutdown
/// that is begun in either is not waited for, as inside of a task.
///
/// If a method panics, workers sleep as without a hook from then on. A simulated executor has no threads, and does not use the
/// hook.
pub trait ParkHook: Send + Sync + 'static {
    /// Called once, before all other methods, with the number of workers. Their indices begin at zero.
    fn start(&self, workers: usize) {
        let _ = workers;
    }

    /// Blocks the calling thread, on which worker `worker` is idle, until [`unpark`](Self::unpark) is called for this worker.
    /// Returns at once if that has been called since the last return. May return at any other time, too.
    fn park(&self, worker: usize);

    /// Makes [`park`](Self::park) return for worker `worker`: the present call or, if there is none, the next. Called by any
    /// thread, also inside of `park`, and often without need. Must not block.
    fn unpark(&self, worker: usize);

    /// Does what there is to do now, and returns without waiting. Called by a worker that is about to be idle, by one that has not
    /// been idle for a while, between two tasks, and while all workers are stuck in tasks by another thread of the executor. Not
    /// called if [`is_driven`](Self::is_driven) returns `true`, but it may run at the same time as the others.
    fn poll(&self);

    /// Returns whether a thread is inside of [`park`](Self::park) or [`poll`](Self::poll) now, so that nobody else has to be.
    fn is_driven(&self) -> bool;
}

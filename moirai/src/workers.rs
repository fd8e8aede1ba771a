//! What concerns single workers, and the executor as a whole.

use std::any::Any;

use moirai_executor::TaskHandle;

use crate::Moirai;

impl Moirai {
    /// Spawns a parallel closure that the worker with this index runs, and no other: to look after data that each worker has for
    /// itself, for example. Returns `None` if there is no such worker.
    ///
    /// The worker runs it between two tasks, within a fraction of a millisecond if its tasks are short. What it computes for long
    /// delays its worker's other work only. While the worker waits, another thread takes its place, and runs the closure.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(2).build()?;
    /// for worker in 0..executor.worker_count() {
    ///     let index = executor.spawn_on_worker(worker, Moirai::worker_index).expect("there is this worker");
    ///     assert_eq!(index.join().unwrap(), Some(worker));
    /// }
    /// assert!(executor.spawn_on_worker(2, || ()).is_none());
    /// # Ok::<(), BuildError>(())
    /// ```
    #[track_caller]
    pub fn spawn_on_worker<F, R>(&self, worker: usize, f: F) -> Option<TaskHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.executor().spawn_on_worker(worker, f)
    }

    /// Returns the value of a type that was added to the executor with [`extension`](crate::MoiraiBuilder::extension).
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.executor().extension()
    }

    /// Lets the executor go. Its active tasks go on, and may spawn others, which may do so too; all other spawns are refused. When no
    /// task is active, the executor stops. Nobody waits for that: it is a [`drain`](Self::drain) without a deadline, on a thread of
    /// its own.
    ///
    /// A task that never ends keeps the executor running for ever. On a handle that does not own the executor this does nothing.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use std::sync::mpsc;
    ///
    /// let executor = Moirai::builder().worker_threads(1).build()?;
    /// let (send, receive) = mpsc::channel();
    /// executor.spawn_parallel(move || {
    ///     let child = Moirai::current().map(|executor| executor.spawn_parallel(move || send.send("done")));
    ///     assert!(child.is_some());
    /// });
    /// executor.drain_in_background();
    /// assert_eq!(receive.recv(), Ok("done"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn drain_in_background(self) {
        self.into_executor().drain_in_background();
    }
}

//! What concerns single workers, and the executor as a whole.

use std::any::Any;

use moirai_executor::TaskHandle;

use crate::Moirai;

impl Moirai {
    /// Spawns a parallel closure that the worker with this index runs, and no other: to look after data that each worker has for
    /// itself, for example. Returns `None` if there is no such worker.
    ///
    /// The worker runs it between two tasks, within a fraction of a millisecond if its tasks are short. What it computes for long
    /// delays its worker's other work only. While the worker waits, another thread takes its place, and runs the closure; with
    /// [`stable_worker_index`](crate::ExecutorConfig::stable_worker_index), a worker that waits in a `join` or a scope runs it afterwards, so
    /// a part of that work must not wait for it. It may use [`broadcast`](Self::broadcast).
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

    /// Calls `f` on every worker, with the worker's index, and returns all results in the order of the workers. `f` may borrow from the
    /// caller, which waits. If the caller is a worker, it calls `f` for itself.
    ///
    /// A thread that waits runs only parts of what it waits for, as in [`join`](Self::join), with one exception: if the executor has
    /// [`stable_worker_index`](crate::ExecutorConfig::stable_worker_index), a worker that waits runs its shares of broadcasts, because
    /// no other thread can. So then `f` must not take a lock that a worker holds across a `join`, a scope or a broadcast.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(3).build()?;
    /// let squares = executor.broadcast(|worker| worker * worker);
    /// assert_eq!(squares, [0, 1, 4]);
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` panics, once it has ended everywhere. If the executor has shut down.
    #[track_caller]
    pub fn broadcast<F, R>(&self, f: F) -> Vec<R>
    where
        F: Fn(usize) -> R + Sync,
        R: Send,
    {
        self.executor().broadcast(f)
    }

    /// Calls `f` on a worker of this executor, and returns its result. `f` may borrow from the caller, which waits.
    ///
    /// It is for code that must run on a worker, or on this executor and no other: on one of its workers, `f` is called at once. A worker of
    /// another executor that waits hands its place over to another thread meanwhile; if its executor has
    /// [`stable_worker_index`](crate::ExecutorConfig::stable_worker_index), it keeps its place, and runs what `f` installs there.
    ///
    /// If the task that calls is cancelled, the next [`join`](Self::join) or scope in `f` unwinds, as in the task itself.
    ///
    /// ```
    /// use moirai::prelude::*;
    ///
    /// let executor = Moirai::builder().worker_threads(2).build()?;
    /// let text = String::from("borrowed");
    /// let (length, worker) = executor.install(|| (text.len(), Moirai::worker_index()));
    /// assert_eq!((length, worker.is_some()), (8, true));
    /// # Ok::<(), BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` does. If the executor has shut down.
    #[track_caller]
    pub fn install<F, R>(&self, f: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        self.executor().install(f)
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

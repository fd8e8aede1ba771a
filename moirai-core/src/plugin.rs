//! Hooks into the life of an executor and its tasks.

use std::sync::Arc;

use crate::{Stall, TaskId, TaskStatus};

/// Hooks into the life of an executor and of its tasks. Every method has an empty default.
///
/// Hooks run on the thread where the thing happens, inside the executor: keep them short. A hook that panics is caught
/// and reported once through `tracing`; the task and the worker go on. Without a plugin, hooks cost nothing. A hook must not
/// wait for the task that it is told of, nor for a shutdown of its executor: neither would end before the hook does.
///
/// An `Arc` of a plugin is a plugin, for those who want to look at its state later.
pub trait ExecutorPlugin: Send + Sync + 'static {
    /// A worker is about to run its first task. Called once per worker, on the thread that opens it.
    fn on_worker_start(&self, worker: usize) {
        let _ = worker;
    }

    /// A worker has run its last task. Called once per worker that started, on the thread that closes it.
    fn on_worker_stop(&self, worker: usize) {
        let _ = worker;
    }

    /// A task has got its id and is about to be queued.
    fn before_spawn(&self, id: TaskId) {
        let _ = id;
    }

    /// A task has been queued; it may have run already.
    fn after_spawn(&self, id: TaskId) {
        let _ = id;
    }

    /// A task is about to be run for the first time. Once per task, and not at all for one that is cancelled before.
    fn before_execute(&self, id: TaskId) {
        let _ = id;
    }

    /// A task has ended. Once per task; whoever waits for the task is told only after this has returned.
    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        let _ = (id, outcome);
    }

    /// A task's poll has gone on past its budget. Once per stall. Called on a thread that watches over all workers: who is slow
    /// here is slow to see the next stall.
    fn on_stall(&self, stall: &Stall) {
        let _ = stall;
    }

    /// A stall is over; its age is how long it took. Once per stall that was told, unless the executor ends before.
    fn on_stall_over(&self, stall: &Stall) {
        let _ = stall;
    }

    /// The executor has begun to shut down. Once.
    fn on_shutdown(&self) {}
}

impl<P: ExecutorPlugin + ?Sized> ExecutorPlugin for Arc<P> {
    fn on_worker_start(&self, worker: usize) {
        (**self).on_worker_start(worker);
    }

    fn on_worker_stop(&self, worker: usize) {
        (**self).on_worker_stop(worker);
    }

    fn before_spawn(&self, id: TaskId) {
        (**self).before_spawn(id);
    }

    fn after_spawn(&self, id: TaskId) {
        (**self).after_spawn(id);
    }

    fn before_execute(&self, id: TaskId) {
        (**self).before_execute(id);
    }

    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        (**self).after_complete(id, outcome);
    }

    fn on_stall(&self, stall: &Stall) {
        (**self).on_stall(stall);
    }

    fn on_stall_over(&self, stall: &Stall) {
        (**self).on_stall_over(stall);
    }

    fn on_shutdown(&self) {
        (**self).on_shutdown();
    }
}

//! Hooks that an executor calls.

use std::sync::Arc;

use crate::{Stall, TaskId, TaskStatus};

/// Hooks that an executor calls in the course of its own life and of its tasks' lives. Each method does nothing by default.
///
/// A hook runs inside of the executor, on the thread on which the event happens, so it should be short. If it panics, the panic is
/// contained, and the first one of each plugin is logged through `tracing`; the task and the worker go on. An executor without
/// plugins does not pay for hooks.
///
/// A hook must not wait for the task that it is called for, nor for a shutdown of its executor: neither ends before the hook
/// returns.
///
/// An `Arc` of a plugin is a plugin, too, so the caller can keep a reference to it.
///
/// ```
/// use moirai_core::{ExecutorPlugin, TaskId, TaskStatus};
///
/// struct PrintFailures;
///
/// impl ExecutorPlugin for PrintFailures {
///     fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
///         if outcome == TaskStatus::Failed {
///             eprintln!("task {id} panicked");
///         }
///     }
/// }
/// ```
pub trait ExecutorPlugin: Send + Sync + 'static {
    /// Called once for each worker, before it runs its first task, on the thread that opens it.
    fn on_worker_start(&self, worker: usize) {
        let _ = worker;
    }

    /// Called once for each worker that has started, after it has run its last task, on the thread that closes it.
    fn on_worker_stop(&self, worker: usize) {
        let _ = worker;
    }

    /// Called when a task has its id and is about to be queued.
    fn before_spawn(&self, id: TaskId) {
        let _ = id;
    }

    /// Called when a task has been queued. It may have run already.
    fn after_spawn(&self, id: TaskId) {
        let _ = id;
    }

    /// Called once for each task, before it runs for the first time; not called for a task that is cancelled before that.
    fn before_execute(&self, id: TaskId) {
        let _ = id;
    }

    /// Called once for each task, when it has ended with the status `outcome`. Callers that wait for the task see its end only
    /// after the hook has returned.
    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        let _ = (id, outcome);
    }

    /// Called once for each stall, when a poll has exceeded its budget. It is called on the watchdog thread, which watches all
    /// workers: while this hook runs, no further stall is noticed.
    fn on_stall(&self, stall: &Stall) {
        let _ = stall;
    }

    /// Called when a stall that was reported is over, unless the executor ends before. [`Stall::age`] is then how long the poll
    /// took.
    fn on_stall_over(&self, stall: &Stall) {
        let _ = stall;
    }

    /// Called once, when the executor begins to shut down. If the shutdown has a deadline it is called on a thread of its own, and the
    /// shutdown waits for it until the deadline at most.
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

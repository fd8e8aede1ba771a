//! Hooks that an executor calls.

use std::sync::Arc;

use crate::{ParkHook, Stall, TaskId, TaskStatus, ThreadKind};

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
    /// Called once on each thread that runs tasks, whatever kind of thread it is, before its first task. `number` tells threads of
    /// one kind apart; it is the last part of the thread's name. A worker's number is its index.
    ///
    /// What this hook sets up in thread-locals is there wherever a task of the executor is polled or dropped, except by a thread
    /// that is not the executor's: one that drops a task because it was refused or is woken after the end, or that calls `try_run`.
    /// A simulated executor has no threads, and does not call it.
    fn on_thread_start(&self, kind: ThreadKind, number: usize) {
        let _ = (kind, number);
    }

    /// Called once on each thread for which [`on_thread_start`](Self::on_thread_start) was called, after its last task. A shutdown
    /// waits for this hook on workers, spare threads and blocking threads, up to its deadline.
    fn on_thread_stop(&self, kind: ThreadKind, number: usize) {
        let _ = (kind, number);
    }

    /// Called once for each worker, before it runs its first task, on the thread that opens it. A worker can move from thread to
    /// thread; for what belongs to a thread there is [`on_thread_start`](Self::on_thread_start).
    fn on_worker_start(&self, worker: usize) {
        let _ = worker;
    }

    /// Called once for each worker that has started, after it has run its last task, on the thread that closes it.
    fn on_worker_stop(&self, worker: usize) {
        let _ = worker;
    }

    /// Returns where idle workers are to sleep, if the plugin wants to have a say in it. Asked once, when the executor is built. At
    /// most one plugin of an executor may return a hook.
    fn park_hook(&self) -> Option<Arc<dyn ParkHook>> {
        None
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

    /// Returns whether [`before_poll`](Self::before_poll) and [`after_poll`](Self::after_poll) are to be called. Asked once, when
    /// the executor is built; `false` by default, so that a plugin without these hooks does not pay for them.
    fn wants_poll_hooks(&self) -> bool {
        false
    }

    /// Called before a thread polls a task, runs its closure, or drops it because it was cancelled, if
    /// [`wants_poll_hooks`](Self::wants_poll_hooks) returns `true`. Polls can be nested, because a poll may call `try_run`. The
    /// jobs of `join` and of scopes that other threads steal are not polls.
    fn before_poll(&self, id: TaskId) {
        let _ = id;
    }

    /// Called once for each call of [`before_poll`](Self::before_poll), on the same thread, also if the poll panicked. If it was
    /// the last one of the task, then the task has ended and is dropped already, and callers that wait for it may go on before
    /// this.
    fn after_poll(&self, id: TaskId) {
        let _ = id;
    }

    /// Called once for each task, when it has ended with the status `outcome`. Callers that wait for the task see its end only
    /// after the hook has returned.
    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        let _ = (id, outcome);
    }

    /// Called once for each stall, when a poll has exceeded its budget. It is called on the watchdog thread, which watches all
    /// workers: while this hook runs, no further stall is noticed. [`Stall::incident`] tells what all threads did before it.
    fn on_stall(&self, stall: &Stall) {
        let _ = stall;
    }

    /// Called when a stall that was reported is over, unless the executor ends before. [`Stall::age`] is then how long the poll
    /// took.
    fn on_stall_over(&self, stall: &Stall) {
        let _ = stall;
    }

    /// Called once, when the executor begins to shut down. If the shutdown has a deadline it is called on a thread of its own, and
    /// the shutdown waits for it until the deadline at most.
    fn on_shutdown(&self) {}
}

impl<P: ExecutorPlugin + ?Sized> ExecutorPlugin for Arc<P> {
    fn on_thread_start(&self, kind: ThreadKind, number: usize) {
        (**self).on_thread_start(kind, number);
    }

    fn on_thread_stop(&self, kind: ThreadKind, number: usize) {
        (**self).on_thread_stop(kind, number);
    }

    fn on_worker_start(&self, worker: usize) {
        (**self).on_worker_start(worker);
    }

    fn on_worker_stop(&self, worker: usize) {
        (**self).on_worker_stop(worker);
    }

    fn park_hook(&self) -> Option<Arc<dyn ParkHook>> {
        (**self).park_hook()
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

    fn wants_poll_hooks(&self) -> bool {
        (**self).wants_poll_hooks()
    }

    fn before_poll(&self, id: TaskId) {
        (**self).before_poll(id);
    }

    fn after_poll(&self, id: TaskId) {
        (**self).after_poll(id);
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

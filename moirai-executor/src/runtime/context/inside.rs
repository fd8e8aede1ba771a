//! What the calling thread is inside of: tasks, their fork-join work, and work for an executor.

use std::ptr;

use moirai_core::TaskId;

use super::Context;
use crate::runtime::shared::Shared;
use crate::task::TaskPtr;

impl Context {
    /// Returns whether the calling thread is inside of a poll of `task`.
    pub(crate) fn is_polling(task: TaskPtr) -> bool {
        Self::find(|context| {
            let inside = context.task.get() == Some(task)
                || context.outer_tasks.borrow().contains(&task)
                || context.local_jobs.frame().is_of(task);
            inside.then_some(())
        })
        .is_some()
    }

    /// Returns whether the task that the calling thread is running was asked to stop.
    pub(crate) fn is_cancelled() -> bool {
        Self::find(|context| {
            if context.local_jobs.frame().is_some() {
                return Some(context.local_jobs.frame().is_cancelled());
            }
            // SAFETY: the innermost task has been entered and not left, so its cell is alive.
            context.innermost_task().map(|task| unsafe { task.is_cancelled() })
        })
        .unwrap_or(false)
    }

    /// Returns whether what the calling thread does goes on although its task was asked to stop, because it is a destructor's.
    pub(crate) fn goes_on() -> bool {
        Self::find(|context| {
            let frame = context.local_jobs().frame();
            if frame.is_some() {
                return Some(frame.goes_on());
            }
            context.innermost_task().map(|_| context.is_dropping_work())
        })
        .unwrap_or(false)
    }

    /// Calls `f` with the innermost task that the calling thread is inside of, also by fork-join work of that task, and with the context
    /// in which it is.
    pub(crate) fn with_task<R>(f: impl FnOnce(&Self, TaskId) -> R) -> Option<R> {
        let mut f = Some(f);
        Self::find(|context| {
            let task = context.local_jobs.frame().task().or_else(|| context.innermost_task())?;
            // SAFETY: the task has been entered and not left, on this thread or on the one that waits for the fork-join work, so
            // its cell is alive.
            let id = unsafe { task.id() };
            f.take().map(|f| f(context, id))
        })
    }

    /// Returns the task that the calling thread is inside of, as [`with_task`](Self::with_task) finds it, if it is one of `shared`.
    pub(crate) fn current_task_of(shared: &Shared) -> Option<TaskId> {
        Self::with_task(|context, id| ptr::eq(&*context.shared, shared).then_some(id)).flatten()
    }

    /// Returns the number of tasks, of all executors, that the calling thread is running inside of each other.
    pub(crate) fn nested_tasks() -> usize {
        let mut nested = 0;
        let _: Option<()> = Self::find(|context| {
            nested += context.outer_tasks.borrow().len();
            nested += usize::from(context.task.get().is_some());
            None
        });
        nested
    }

    /// Returns whether the thread is inside of a task, or of its fork-join work, or of what a park hook runs, or is a worker, or another
    /// thread of the executor.
    fn is_working(&self) -> bool {
        // What a park hook runs on a thread of the executor may have blocked, so that the thread has no core any more.
        self.is_own
            || self.innermost_task().is_some()
            || self.local_jobs.frame().is_of_any_task()
            || self.worker().is_some()
            || !self.sleep.get().is_null()
            || self.drives_hook.get()
    }

    /// Returns whether the calling thread is inside of a task of `shared`, or is one of its workers.
    pub(crate) fn is_inside(shared: &Shared) -> bool {
        Self::find(|context| {
            (ptr::eq(&*context.shared, shared) && context.is_working()).then_some(())
        })
        .is_some()
    }

    /// Returns whether the calling thread is inside of a task, or is a worker, of any executor.
    pub(crate) fn is_inside_any() -> bool {
        Self::find(|context| context.is_working().then_some(())).is_some()
    }
}

//! Starting tasks.

use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::{Priority, Task, TaskKind, Visibility, text};
use tracing::Instrument;

use crate::any_scheduler::Runnable;
use crate::context::Context;
use crate::handle::TaskHandle;
use crate::registry::{Entry, NewTask};
use crate::shared::{Shared, newly_ready};
use crate::task::{Closure, Header, Listed, Unlisted, Work};

/// What is said of a task when it is spawned.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) kind: TaskKind,
    pub(crate) priority: Priority,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
}

impl Description {
    #[track_caller]
    pub(crate) const fn new(kind: TaskKind) -> Self {
        Self { kind, priority: Priority::Normal, name: None, location: Location::caller() }
    }
}

impl Shared {
    /// Spawns a future.
    pub(crate) fn spawn_future<F>(&self, future: F, about: Description) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.config.inherit_spans {
            self.spawn_work(future.instrument(tracing::Span::current()), about)
        } else {
            self.spawn_work(future, about)
        }
    }

    /// Spawns a closure.
    pub(crate) fn spawn_closure<F, R>(&self, f: F, about: Description) -> TaskHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        if self.config.inherit_spans {
            let span = tracing::Span::current();
            self.spawn_work(Closure::new(move || span.in_scope(f)), about)
        } else {
            self.spawn_work(Closure::new(f), about)
        }
    }

    /// Spawns a [`Task`].
    pub(crate) fn spawn_task<T: Task>(&self, task: T, about: Description) -> TaskHandle<T::Output> {
        self.spawn_closure(move || task.run(), about)
    }

    fn spawn_work<W: Work + 'static>(&self, work: W, about: Description) -> TaskHandle<W::Output> {
        let Description { kind, priority, name, location } = about;
        let name = name.map(|name| Arc::from(text::cut(&name, text::MAX_NAME_BYTES)));
        // SAFETY: the cells together own a reference to the shared part, which goes after the last of them: see `live`.
        let cell = unsafe { Unlisted::new(NonNull::from(self), kind, priority, work) };
        let new = |task: NonNull<Header<Self>>| NewTask {
            kind,
            priority,
            location,
            name,
            task: task.cast(),
        };
        let ticks = self.clock.ticks();
        if kind != TaskKind::Blocking && self.plugins.is_empty() {
            self.spawn_here(cell, new, ticks, kind)
        } else {
            self.spawn_step_by_step(cell, new, ticks, kind)
        }
    }

    /// The short way: no hooks, so the books and the queue are taken in one go if the caller is a worker.
    #[inline]
    fn spawn_here<W: Work + 'static>(
        &self,
        cell: Unlisted<W, Self>,
        new: impl FnOnce(NonNull<Header<Self>>) -> NewTask,
        ticks: u64,
        kind: TaskKind,
    ) -> TaskHandle<W::Output> {
        Context::with(|context| {
            let Some(mut seat) = context.and_then(|context| context.seat_of(self)) else {
                return match self.list_from_outside(cell, new, ticks) {
                    Some((task, handle)) => {
                        self.queue_new(task);
                        TaskHandle::new(handle.task().header().id(), handle)
                    }
                    None => TaskHandle::refused(self.registry.refused_id()),
                };
            };
            if self.door.is_shut() {
                // The destructor of what is refused is user code.
                drop(seat);
                cell.refuse();
                return TaskHandle::refused(self.registry.refused_id());
            }
            let listed = cell.list(|address| {
                // SAFETY: the registry is in the shared part, which outlives the cell and so the entry.
                let entry = unsafe { self.registry.register(&mut seat.books, new(address), ticks) };
                Some((entry.id(), entry))
            });
            let Some((task, handle)) = listed else { unreachable!("every task gets an entry") };
            let priority = task.priority();
            let visibility = seat.queue.push(Runnable::new(task), priority, newly_ready(kind));
            drop(seat);
            if visibility == Visibility::Shared {
                self.sleepers.notify();
            }
            TaskHandle::new(handle.task().header().id(), handle)
        })
    }

    /// The long way: books, hooks, queue.
    fn spawn_step_by_step<W: Work + 'static>(
        &self,
        cell: Unlisted<W, Self>,
        new: impl FnOnce(NonNull<Header<Self>>) -> NewTask,
        ticks: u64,
        kind: TaskKind,
    ) -> TaskHandle<W::Output> {
        let Some((task, handle)) = self.list_from_outside(cell, new, ticks) else {
            return TaskHandle::refused(self.registry.refused_id());
        };
        let id = task.id();
        self.plugins.call("before_spawn", |plugin| plugin.before_spawn(id));
        if kind == TaskKind::Blocking {
            self.queue_blocking(Runnable::new(task));
        } else {
            self.queue_new(task);
        }
        self.plugins.call("after_spawn", |plugin| plugin.after_spawn(id));
        TaskHandle::new(id, handle)
    }

    /// Enters a task into the guests' books, unless the door is shut.
    fn list_from_outside<W: Work + 'static>(
        &self,
        cell: Unlisted<W, Self>,
        new: impl FnOnce(NonNull<Header<Self>>) -> NewTask,
        ticks: u64,
    ) -> Option<Listed<W::Output, Self>> {
        cell.list(|address| {
            let entry: Option<Entry> = self.registry.with_guest(|books| {
                // Under the guest lock, so that a shutdown that has passed the lock is seen, and one that has not sees the task.
                if self.door.is_shut() {
                    return None;
                }
                // SAFETY: the registry is in the shared part, which outlives the cell and so the entry.
                Some(unsafe { self.registry.register(books, new(address), ticks) })
            });
            entry.map(|entry| (entry.id(), entry))
        })
    }
}

//! Starting tasks.

use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::{LocalQueue, Priority, Task, TaskKind, text};
use tracing::Instrument;

use crate::handle::TaskHandle;
use crate::panics;
use crate::registry::{ActiveRecord, Hints, NewRecord};
use crate::runtime::admission::{RefuseReason, TrySpawnError};
use crate::runtime::context::Context;
use crate::runtime::handoff::blocking;
use crate::runtime::schedule::{new_task_reason, queue_blocking, queue_new, wake_for};
use crate::runtime::shared::{Runnable, Shared};
use crate::spawn::cancel_on::{Knot, Wishes};
use crate::task::{Closure, Header, NewTask, Spawned, Work};

/// What is said of a task when it is spawned.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) kind: TaskKind,
    pub(crate) priority: Priority,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
    /// What is to end it from outside, and what its scheduler is to know. Rare, and so boxed.
    pub(crate) wishes: Option<Box<Wishes>>,
    /// What its scheduler is to know, from the moment of its spawn on.
    pub(crate) hints: Option<Box<Hints>>,
}

impl Description {
    #[track_caller]
    pub(crate) const fn new(kind: TaskKind) -> Self {
        let location = Location::caller();
        Self::at(kind, location)
    }

    pub(crate) const fn at(kind: TaskKind, location: &'static Location<'static>) -> Self {
        Self { kind, priority: Priority::Normal, name: None, location, wishes: None, hints: None }
    }
}

/// What ties a task, and how.
type Tie = (Knot, Wishes);

/// Spawns a future.
#[inline]
pub(crate) fn spawn_future<F>(
    shared: &Shared,
    future: F,
    about: Description,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match shared.admission.enter(about.kind, |room| blocking(|| room.acquire_blocking())) {
        Ok(()) => start_future(shared, future, about),
        Err(reason) => refuse(shared, future, reason),
    }
}

/// Spawns a closure.
#[inline]
pub(crate) fn spawn_closure<F, R>(shared: &Shared, f: F, about: Description) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    match shared.admission.enter(about.kind, |room| blocking(|| room.acquire_blocking())) {
        Ok(()) => start_closure(shared, f, about),
        Err(reason) => refuse(shared, f, reason),
    }
}

/// Spawns a [`Task`].
pub(crate) fn spawn_task<T: Task>(
    shared: &Shared,
    task: T,
    about: Description,
) -> TaskHandle<T::Output> {
    spawn_closure(shared, move || task.run(), about)
}

/// Lets a task in without waiting.
pub(crate) fn try_enter<W>(
    shared: &Shared,
    kind: TaskKind,
    work: W,
) -> Result<W, TrySpawnError<W>> {
    let entered = if shared.lifecycle.is_closed() {
        Err(RefuseReason::ShutDown)
    } else {
        shared.admission.try_enter(kind)
    };
    match entered {
        Ok(()) => Ok(work),
        Err(reason) => {
            shared.admission.count_refused();
            Err(TrySpawnError::new(reason, work))
        }
    }
}

/// Drops what is not let in.
#[cold]
pub(crate) fn refuse<W, T>(shared: &Shared, work: W, reason: RefuseReason) -> TaskHandle<T> {
    if let Some(message) = panics::contain(|| drop(work)) {
        tracing::error!(target: "moirai", panic = &*message, "the destructor of a refused task panicked");
    }
    refused(shared, reason)
}

fn refused<T>(shared: &Shared, reason: RefuseReason) -> TaskHandle<T> {
    shared.admission.count_refused();
    TaskHandle::refused(shared.registry.refused_id(), reason)
}

/// Spawns a future that was let in.
#[inline]
pub(crate) fn start_future<F>(
    shared: &Shared,
    future: F,
    mut about: Description,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let wishes = about.wishes.take();
    if shared.scheduler.reads_hints() {
        let hints = wishes.as_ref().and_then(|wishes| wishes.hints(&shared.clock));
        about.hints = hints.map(Box::new);
    }
    if let Some(wishes) = wishes.filter(|wishes| wishes.tie()) {
        let knot = Knot::default();
        let tied = knot.around(future);
        start_in_span(shared, tied, about, Some((knot, *wishes)))
    } else {
        start_in_span(shared, future, about, None)
    }
}

#[inline]
fn start_in_span<F>(
    shared: &Shared,
    future: F,
    about: Description,
    tie: Option<Tie>,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if shared.config.inherit_spans {
        start_work(shared, future.instrument(tracing::Span::current()), about, tie)
    } else {
        start_work(shared, future, about, tie)
    }
}

/// Spawns a closure that was let in.
#[inline]
pub(crate) fn start_closure<F, R>(shared: &Shared, f: F, about: Description) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    start_future(shared, Closure::new(f), about)
}

#[inline]
fn start_work<W: Work + 'static>(
    shared: &Shared,
    work: W,
    about: Description,
    tie: Option<Tie>,
) -> TaskHandle<W::Output> {
    let Description { kind, priority, name, location, wishes: _, hints } = about;
    let name = name.map(|name| Arc::from(text::cut(&name, text::MAX_NAME_BYTES)));
    // SAFETY: the cells together own a reference to the shared part, which goes after the last of them: see `live`.
    let cell = unsafe { NewTask::new(NonNull::from(shared), kind, priority, work) };
    let new = |task: NonNull<Header<Shared>>| NewRecord {
        kind,
        priority,
        location,
        name,
        hints,
        task: task.cast(),
    };
    let ticks = shared.clock.ticks();
    if kind != TaskKind::Blocking && shared.plugins.is_empty() && tie.is_none() {
        start_here(shared, cell, new, ticks, kind)
    } else {
        start_step_by_step(shared, cell, new, ticks, kind, tie)
    }
}

/// The short way: no hooks, so the writer and the queue are taken in one go if the caller is a worker.
#[inline]
fn start_here<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    ticks: u64,
    kind: TaskKind,
) -> TaskHandle<W::Output> {
    Context::with(|context| {
        let Some(mut core) = context.and_then(|context| context.core_of(shared)) else {
            return match list_from_outside(shared, cell, new, ticks) {
                Some((task, handle)) => {
                    queue_new(shared, task);
                    TaskHandle::new(handle.task().header().id(), handle)
                }
                None => shut_out(shared, kind),
            };
        };
        if shared.lifecycle.is_closed() {
            // The destructor of what is refused is user code.
            drop(core);
            cell.refuse();
            return shut_out(shared, kind);
        }
        let spawned = cell.publish(|address| {
            // SAFETY: the registry is in the shared part, which outlives the cell and so the entry.
            let entry = unsafe { shared.registry.register(&mut core.writer, new(address), ticks) };
            Some((entry.id(), entry))
        });
        let Some((task, handle)) = spawned else { unreachable!("every task gets an entry") };
        let priority = task.priority();
        let visibility = core.queue.push(Runnable::new(task), priority, new_task_reason(kind));
        let worker = core.index;
        drop(core);
        wake_for(shared, visibility, worker);
        TaskHandle::new(handle.task().header().id(), handle)
    })
}

/// A task that was let in found the lifecycle shut.
#[cold]
fn shut_out<T>(shared: &Shared, kind: TaskKind) -> TaskHandle<T> {
    shared.admission.leave(kind);
    refused(shared, RefuseReason::ShutDown)
}

/// The long way: writer, ties, hooks, queue.
fn start_step_by_step<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    ticks: u64,
    kind: TaskKind,
    tie: Option<Tie>,
) -> TaskHandle<W::Output> {
    let Some((task, handle)) = list_from_outside(shared, cell, new, ticks) else {
        return shut_out(shared, kind);
    };
    if let Some((knot, wishes)) = tie {
        knot.tie(handle.task(), wishes);
    }
    let id = task.id();
    shared.plugins.call("before_spawn", |plugin| plugin.before_spawn(id));
    if kind == TaskKind::Blocking {
        queue_blocking(shared, Runnable::new(task));
    } else {
        queue_new(shared, task);
    }
    shared.plugins.call("after_spawn", |plugin| plugin.after_spawn(id));
    TaskHandle::new(id, handle)
}

/// Enters a task into the guests' writer, unless the lifecycle is shut.
fn list_from_outside<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    ticks: u64,
) -> Option<Spawned<W::Output, Shared>> {
    cell.publish(|address| {
        let entry: Option<ActiveRecord> = shared.registry.with_shared_writer(|writer| {
            // Under the guest lock, so that a shutdown that has passed the lock is seen, and one that has not sees the task.
            if shared.lifecycle.is_closed() {
                return None;
            }
            // SAFETY: the registry is in the shared part, which outlives the cell and so the entry.
            Some(unsafe { shared.registry.register(writer, new(address), ticks) })
        });
        entry.map(|entry| (entry.id(), entry))
    })
}

//! Starting tasks.

use std::future::Future;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use moirai_core::{LocalQueue, Scheduler, Task, TaskKind, text};
use tracing::Instrument;

use crate::handle::TaskHandle;
use crate::panics::{self, log, spans};
use crate::registry::{ActiveRecord, NewRecord, TaskHints};
use crate::runtime::admission::{RefuseReason, TrySpawnError};
use crate::runtime::context::Context;
use crate::runtime::handoff::blocking;
use crate::runtime::shared::{Runnable, Shared};
use crate::runtime::task_host::{
    give_up_place, new_task_reason, queue_blocking, queue_new, reserve_thread, wake_for,
};
use crate::spawn::cancel_on::{CancelOptions, Registrar};
use crate::spawn::options::{RareOptions, SpawnOptions};
use crate::task::{Closure, Header, NewTask, Spawned, Work};

/// What cancels a task from outside, and the registrar for its registrations.
type Cancellation = (Registrar, CancelOptions);

/// Spawns a future.
#[inline]
pub(crate) fn spawn_future<F>(
    shared: &Shared,
    future: F,
    options: SpawnOptions,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match shared.admission.enter(options.kind, |room| blocking(|| room.acquire_blocking())) {
        Ok(()) => spawn_admitted(shared, future, options),
        Err(reason) => refuse(shared, future, reason),
    }
}

/// Spawns a closure.
#[inline]
pub(crate) fn spawn_closure<F, R>(shared: &Shared, f: F, options: SpawnOptions) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let admitted =
        shared.admission.enter(options.kind, |room| blocking(|| room.acquire_blocking()));
    match admitted.and_then(|()| reserve_thread(shared, options.kind)) {
        Ok(()) => spawn_admitted_closure(shared, f, options),
        Err(reason) => refuse(shared, f, reason),
    }
}

/// Spawns a [`Task`].
pub(crate) fn spawn_task<T: Task>(
    shared: &Shared,
    task: T,
    options: SpawnOptions,
) -> TaskHandle<T::Output> {
    spawn_closure(shared, move || task.run(), options)
}

/// Admits a task without waiting.
pub(crate) fn try_enter<W>(
    shared: &Shared,
    kind: TaskKind,
    work: W,
) -> Result<W, TrySpawnError<W>> {
    let entered = if shared.lifecycle.is_closed() {
        Err(RefuseReason::ShutDown)
    } else {
        shared.admission.try_enter(kind).and_then(|()| reserve_thread(shared, kind))
    };
    match entered {
        Ok(()) => Ok(work),
        Err(reason) => {
            shared.admission.count_refused();
            Err(TrySpawnError::new(reason, work))
        }
    }
}

/// Drops work that was not admitted.
#[cold]
pub(crate) fn refuse<W, T>(shared: &Shared, work: W, reason: RefuseReason) -> TaskHandle<T> {
    if let Some(message) = panics::contain(|| drop(work)) {
        log!(error, panic = &*message, "the destructor of a refused task panicked");
    }
    refused(shared, reason)
}

fn refused<T>(shared: &Shared, reason: RefuseReason) -> TaskHandle<T> {
    shared.admission.count_refused();
    TaskHandle::refused(shared.registry.refused_id(), reason)
}

/// Spawns a future that was admitted.
#[inline]
pub(crate) fn spawn_admitted<F>(
    shared: &Shared,
    future: F,
    mut options: SpawnOptions,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let rare = options.rare.take();
    if let Some(rare) = &rare {
        options.hints = hints_of(shared, rare);
    }
    if let Some(rare) = rare.filter(|rare| rare.cancel.is_any()) {
        let registrar = Registrar::default();
        let cancellable = registrar.wrap(future);
        instrumented(shared, cancellable, options, Some((registrar, rare.cancel)))
    } else {
        instrumented(shared, future, options, None)
    }
}

/// Returns the hints that the scheduler reads, and warns of those that it does not.
#[inline(never)]
fn hints_of(shared: &Shared, rare: &RareOptions) -> Option<Box<TaskHints>> {
    let read = shared.scheduler.hints();
    let unread = rare.kinds_of_hints().without(read);
    // Ordering: Relaxed: the flag protects nothing. (A `Once` would be held while the subscriber runs, which may spawn a task.)
    if !unread.is_empty() && !shared.warned_of_hints.swap(true, Ordering::Relaxed) {
        log!(
            warn,
            hints = %unread,
            "a task has hints that the scheduler does not read, and which have no effect",
        );
    }
    rare.hints(&shared.clock, read).map(Box::new)
}

#[inline]
fn instrumented<F>(
    shared: &Shared,
    future: F,
    options: SpawnOptions,
    cancellation: Option<Cancellation>,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if shared.config.inherit_spans {
        allocate(shared, future.instrument(spans::current()), options, cancellation)
    } else {
        allocate(shared, future, options, cancellation)
    }
}

/// Spawns a closure that was admitted.
#[inline]
pub(crate) fn spawn_admitted_closure<F, R>(
    shared: &Shared,
    f: F,
    options: SpawnOptions,
) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    spawn_admitted(shared, Closure::new(f), options)
}

#[inline]
fn allocate<W: Work + 'static>(
    shared: &Shared,
    work: W,
    options: SpawnOptions,
    cancellation: Option<Cancellation>,
) -> TaskHandle<W::Output> {
    let SpawnOptions { kind, priority, name, location, rare: _, hints } = options;
    let name = name.map(|name| Arc::from(text::cut(&name, text::MAX_NAME_BYTES)));
    // SAFETY: all cells together own a reference to the shared part, which is given up after the last of them: see `cell_count`.
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
    if kind != TaskKind::Blocking && shared.plugins.is_empty() && cancellation.is_none() {
        spawn_fast(shared, cell, new, ticks, kind)
    } else {
        spawn_slow(shared, cell, new, ticks, kind, cancellation)
    }
}

/// The fast path. There are no hooks to call, so a worker takes its writer and its queue in one borrow.
#[inline]
fn spawn_fast<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    ticks: u64,
    kind: TaskKind,
) -> TaskHandle<W::Output> {
    Context::with(|context| {
        let Some(mut core) = context.and_then(|context| context.core_of(shared)) else {
            return match register_from_outside(shared, cell, new, ticks) {
                Some((task, handle)) => {
                    queue_new(shared, task);
                    TaskHandle::new(handle.task().header().id(), handle)
                }
                None => refuse_closed(shared, kind),
            };
        };
        if shared.lifecycle.is_closed() {
            // The destructor of refused work is user code, so the core must not be borrowed.
            drop(core);
            cell.refuse();
            return refuse_closed(shared, kind);
        }
        let spawned = cell.publish(|address| {
            // SAFETY: the writer is one of this registry. The record is in the cell, whose runner finishes it with this registry.
            // The registry is in the shared part, which outlives the cell. The address is that of the cell's header, and the cell's
            // own reference keeps the cell alive until the record is finished.
            let record = unsafe { shared.registry.register(&mut core.writer, new(address), ticks) };
            Some((record.id(), record))
        });
        let Some((task, handle)) = spawned else { unreachable!("every task gets a record") };
        let priority = task.priority();
        let visibility = core.queue.push(Runnable::new(task), priority, new_task_reason(kind));
        let worker = core.index;
        drop(core);
        wake_for(shared, visibility, worker);
        TaskHandle::new(handle.task().header().id(), handle)
    })
}

/// Refuses a task that was admitted but found the lifecycle closed.
#[cold]
fn refuse_closed<T>(shared: &Shared, kind: TaskKind) -> TaskHandle<T> {
    give_up_place(shared, kind);
    refused(shared, RefuseReason::ShutDown)
}

/// The slow path: begins the record, registers what may cancel the task, calls hooks, and queues the task.
fn spawn_slow<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    ticks: u64,
    kind: TaskKind,
    cancellation: Option<Cancellation>,
) -> TaskHandle<W::Output> {
    let Some((task, handle)) = register_from_outside(shared, cell, new, ticks) else {
        return refuse_closed(shared, kind);
    };
    if let Some((registrar, cancel)) = cancellation {
        registrar.register(handle.task(), cancel);
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

/// Begins a task's record with a shared writer of the registry, unless the lifecycle is closed.
fn register_from_outside<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    ticks: u64,
) -> Option<Spawned<W::Output, Shared>> {
    cell.publish(|address| {
        let record: Option<ActiveRecord> = shared.registry.with_shared_writer(|writer| {
            // The lock of the shared writer is held: either a shutdown has passed it and the closed lifecycle is seen here, or the
            // shutdown will see the task.
            if shared.lifecycle.is_closed() {
                return None;
            }
            // SAFETY: the writer is one of this registry. The record is in the cell, whose runner finishes it with this registry.
            // The registry is in the shared part, which outlives the cell. The address is that of the cell's header, and the cell's
            // own reference keeps the cell alive until the record is finished.
            Some(unsafe { shared.registry.register(writer, new(address), ticks) })
        });
        record.map(|record| (record.id(), record))
    })
}

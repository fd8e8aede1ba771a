//! Launching: a new task that needs nothing but a record and a place in a queue gets both.
//!
//! Nothing here depends on the type of the task's work, so this code exists once, and each spawn in a program only allocates a cell
//! and calls it.

use std::panic::Location;
use std::ptr::NonNull;

use moirai_core::flight::raw::RawKind;
use moirai_core::{LocalQueue, Priority, TaskId, TaskKind};

use crate::handle::TaskHandle;
use crate::registry::{ActiveRecord, ClassId, NewRecord};
use crate::runtime::context::Context;
use crate::runtime::shared::{Runnable, Shared};
use crate::runtime::task_host::{new_task_reason, queue_from_outside, wake_for};
use crate::spawn::refuse::refuse_cell;
use crate::task::{Header, NewTask, Work, published};

/// Spawns work of which nothing is said but its kind, its priority and its location. It must be admitted, and must not be blocking
/// work.
///
/// It is inlined into the functions that users call, so that the work is moved once: from where the caller has built it into its
/// cell.
#[inline(always)]
pub(crate) fn spawn_plain<W: Work + 'static>(
    shared: &Shared,
    work: W,
    kind: TaskKind,
    priority: Priority,
    location: &'static Location<'static>,
) -> TaskHandle<W::Output> {
    // SAFETY: all cells together own a reference to the shared part, which is given up after the last of them: see `cell_count`.
    let cell = unsafe { NewTask::new(NonNull::from(shared), kind, priority, work) };
    match launch_plain(shared, cell.header(), location) {
        // SAFETY: the cell was launched.
        Some(id) => TaskHandle::new(id, unsafe { cell.into_handle() }),
        None => refuse_cell(shared, cell, kind),
    }
}

/// [`spawn_plain`] of a task that has no handle. Returns its id.
#[inline(always)]
pub(crate) fn spawn_plain_detached<W: Work + 'static>(
    shared: &Shared,
    work: W,
    kind: TaskKind,
    priority: Priority,
    location: &'static Location<'static>,
) -> TaskId {
    // SAFETY: as in `spawn_plain`. No handle is made.
    let cell = unsafe { NewTask::detached(NonNull::from(shared), kind, priority, work) };
    match launch_plain(shared, cell.header(), location) {
        Some(id) => id,
        None => refuse_cell(shared, cell, kind).id(),
    }
}

#[inline(never)]
fn launch_plain(
    shared: &Shared,
    task: NonNull<Header<Shared>>,
    location: &'static Location<'static>,
) -> Option<TaskId> {
    // SAFETY: the cell is new, and alive.
    let header = unsafe { task.as_ref() };
    let (kind, priority) = (header.kind(), header.priority());
    let new = || NewRecord { kind, priority, location, name: None, hints: None, task: task.cast() };
    // SAFETY: the cell is new, and its header is `task`.
    unsafe { launch(shared, task, new) }
}

/// [`launch`], for a task whose record may have annotations.
///
/// # Safety
///
/// As for [`launch`].
#[inline(never)]
pub(crate) unsafe fn launch_annotated(
    shared: &Shared,
    task: NonNull<Header<Shared>>,
    new: NewRecord,
) -> Option<TaskId> {
    // SAFETY: the caller has the same obligations.
    unsafe { launch(shared, task, move || new) }
}

/// Begins the record of a new task and queues the task, unless the lifecycle is closed: then it returns `None`, and the cell is
/// still the caller's.
///
/// It is compiled twice, for `new` that leaves the annotations out and for one that may not.
///
/// # Safety
///
/// `task` must be the header of a new cell of this executor, and the address in `new`. The caller must not publish it again.
#[inline(always)]
unsafe fn launch(
    shared: &Shared,
    task: NonNull<Header<Shared>>,
    new: impl FnOnce() -> NewRecord,
) -> Option<TaskId> {
    let ticks = shared.clock.ticks();
    Context::with(|context| {
        let Some((context, mut core)) =
            context.and_then(|context| Some((context, context.core_of(shared)?)))
        else {
            // SAFETY: the caller has the same obligations.
            let id = unsafe { launch_from_outside(shared, task, new(), ticks) }?;
            if let Some(context) =
                context.filter(|context| std::ptr::eq(&**context.shared(), shared))
            {
                context.record(id.get(), RawKind::Spawned, ticks);
            }
            return Some(id);
        };
        if shared.lifecycle.is_closed() {
            return None;
        }
        let core_ref = &mut *core;
        let new = new();
        let (kind, priority) = (new.kind, new.priority);
        // SAFETY: the writer is one of this registry. The record is in the cell, whose runner finishes it with this registry. The
        // registry is in the shared part, which outlives the cell. The address is that of the cell's header, and the cell's own
        // reference keeps the cell alive until the record is finished.
        let record = unsafe { shared.registry.register(&mut core_ref.writer, new, ticks) };
        let id = record.id();
        context.record(id.get(), RawKind::Spawned, ticks);
        // SAFETY: the cell is new, and this is the only call for it.
        let runnable = Runnable::new(unsafe { published(task, id, record) });
        let visibility = core_ref.queue.push(runnable, priority, new_task_reason(kind));
        let worker = core_ref.index;
        drop(core);
        wake_for(shared, visibility, worker);
        Some(id)
    })
}

/// [`launch`], for a thread that is not a worker.
///
/// # Safety
///
/// As for [`launch`].
#[inline(never)]
unsafe fn launch_from_outside(
    shared: &Shared,
    task: NonNull<Header<Shared>>,
    new: NewRecord,
    ticks: u64,
) -> Option<TaskId> {
    let priority = new.priority;
    // SAFETY: as in `launch`.
    let record = unsafe { register_from_outside(shared, new, ticks) }?;
    let id = record.id();
    // SAFETY: the cell is new, and this is the only call for it.
    let runnable = Runnable::new(unsafe { published(task, id, record) });
    queue_from_outside(shared, runnable, priority);
    Some(id)
}

/// Begins a task's record with a shared writer of the registry, unless the lifecycle is closed.
///
/// # Safety
///
/// The address in `new` must be that of the header of a new cell of this executor.
#[inline]
unsafe fn register_from_outside(
    shared: &Shared,
    new: NewRecord,
    ticks: u64,
) -> Option<ActiveRecord> {
    shared.registry.with_shared_writer(|writer| {
        // The lock of the shared writer is held: either a shutdown has passed it and the closed lifecycle is seen here, or the
        // shutdown will see the task.
        if refuses_caller(shared) {
            return None;
        }
        // SAFETY: as in `launch`.
        Some(unsafe { shared.registry.register(writer, new, ticks) })
    })
}

/// Returns whether a task of the calling thread, which holds no core, is refused because of a shutdown.
#[inline]
pub(crate) fn refuses_caller(shared: &Shared) -> bool {
    shared.lifecycle.is_shutting_down() && refuses_caller_now(shared)
}

/// [`refuses_caller`] in a shutdown.
#[cold]
#[inline(never)]
fn refuses_caller_now(shared: &Shared) -> bool {
    shared.lifecycle.is_closed() || !Context::is_inside(shared)
}

/// [`register_from_outside`], for a task that may be of a retention class, on any thread.
///
/// # Safety
///
/// As for [`register_from_outside`].
pub(crate) unsafe fn register_in_class(
    shared: &Shared,
    class: ClassId,
    new: NewRecord,
    ticks: u64,
) -> Option<ActiveRecord> {
    shared.registry.with_shared_writer(|writer| {
        // As in `register_from_outside`.
        if refuses_caller(shared) {
            return None;
        }
        // SAFETY: as in `launch`.
        Some(unsafe { shared.registry.register_in(class, writer, new, ticks) })
    })
}

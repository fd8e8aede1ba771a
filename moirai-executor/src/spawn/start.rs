//! Starting tasks.

use std::future::Future;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use moirai_core::flight::raw::RawKind;
use moirai_core::{Priority, Scheduler, Task, TaskId, TaskKind, text};
use tracing::{Instrument, Span};

use crate::handle::TaskHandle;
use crate::panics::{log, spans};
use crate::registry::{ClassId, NewRecord, TaskDetails, TaskHints};
use crate::runtime::admission::{RefuseReason, TrySpawnError};
use crate::runtime::context::Context;
use crate::runtime::handoff::blocking;
use crate::runtime::shared::{Post, Runnable, Shared};
use crate::runtime::task_host::{post_to_worker, queue_blocking, queue_new, reserve_thread};
use crate::spawn::cancel_on::{CancelOptions, Registrar};
use crate::spawn::check::{Check, NeverFails};
use crate::spawn::launch::{
    launch_annotated, refuses_caller, register_in_class, spawn_plain, spawn_plain_detached,
};
use crate::spawn::options::{OnWorker, RareOptions, SpawnOptions};
use crate::spawn::refuse::{refuse, refuse_cell, refuse_closed};
use crate::task::{Closure, Header, NewTask, Work};

/// What cancels a task from outside, and the registrar for its registrations.
type Cancellation = (Registrar, CancelOptions);

/// Spawns a future that has no options. The options of an executor's usual task are not even made.
#[inline(always)]
pub(crate) fn spawn_future_at<F>(
    shared: &Shared,
    future: F,
    location: &'static Location<'static>,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let kind = TaskKind::Async;
    if shared.is_plain {
        return spawn_plain(shared, future, kind, Priority::Normal, location);
    }
    spawn_special::<F, NeverFails>(shared, future, SpawnOptions::at(kind, location))
}

/// Spawns a future that has no options and whose result nobody wants. Returns the task's id.
#[inline(always)]
pub(crate) fn spawn_detached_at<F>(
    shared: &Shared,
    future: F,
    location: &'static Location<'static>,
) -> TaskId
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let kind = TaskKind::Async;
    if shared.is_plain {
        return spawn_plain_detached(shared, future, kind, Priority::Normal, location);
    }
    spawn_special::<F, NeverFails>(shared, future, SpawnOptions::at(kind, location)).id()
}

/// Spawns a closure that computes and has no options.
#[inline(always)]
pub(crate) fn spawn_closure_at<F, R>(
    shared: &Shared,
    f: F,
    location: &'static Location<'static>,
) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let kind = TaskKind::Parallel;
    if shared.is_plain {
        return spawn_plain(shared, Closure::new(f), kind, Priority::Normal, location);
    }
    spawn_special_closure::<F, R, NeverFails>(shared, f, SpawnOptions::at(kind, location))
}

/// Spawns a future.
#[inline]
pub(crate) fn spawn_future<F, C>(
    shared: &Shared,
    future: F,
    options: SpawnOptions,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: Check<F::Output>,
{
    if shared.is_plain && options.are_plain() {
        let SpawnOptions { kind, priority, location, .. } = options;
        return spawn_plain(shared, C::check(future), kind, priority, location);
    }
    spawn_special::<F, C>(shared, future, options)
}

#[inline(never)]
fn spawn_special<F, C>(shared: &Shared, future: F, options: SpawnOptions) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: Check<F::Output>,
{
    if refuses_caller(shared) {
        return refuse(shared, future, RefuseReason::ShutDown);
    }
    match shared.admission.enter(options.kind, |room| blocking(|| room.acquire_blocking())) {
        Ok(()) => spawn_admitted::<F, C>(shared, future, options),
        Err(reason) => refuse(shared, future, reason),
    }
}

/// Spawns a closure.
#[inline]
pub(crate) fn spawn_closure<F, R, C>(shared: &Shared, f: F, options: SpawnOptions) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    C: Check<R>,
{
    if shared.is_plain && options.are_plain() {
        let SpawnOptions { kind, priority, location, .. } = options;
        return spawn_plain(shared, C::check(Closure::new(f)), kind, priority, location);
    }
    spawn_special_closure::<F, R, C>(shared, f, options)
}

#[inline(never)]
fn spawn_special_closure<F, R, C>(shared: &Shared, f: F, options: SpawnOptions) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    C: Check<R>,
{
    if refuses_caller(shared) {
        return refuse(shared, f, RefuseReason::ShutDown);
    }
    let admitted =
        shared.admission.enter(options.kind, |room| blocking(|| room.acquire_blocking()));
    match admitted.and_then(|()| reserve_thread(shared, options.kind)) {
        Ok(()) => spawn_admitted_closure::<F, R, C>(shared, f, options),
        Err(reason) => refuse(shared, f, reason),
    }
}

/// Spawns a [`Task`].
pub(crate) fn spawn_task<T: Task>(
    shared: &Shared,
    task: T,
    options: SpawnOptions,
) -> TaskHandle<T::Output> {
    spawn_closure::<_, _, NeverFails>(shared, move || task.run(), options)
}

/// Admits a task without waiting.
pub(crate) fn try_enter<W>(
    shared: &Shared,
    kind: TaskKind,
    work: W,
) -> Result<W, TrySpawnError<W>> {
    let entered = if refuses_caller(shared) {
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

/// Spawns a future that was admitted.
#[inline]
pub(crate) fn spawn_admitted<F, C>(
    shared: &Shared,
    future: F,
    mut options: SpawnOptions,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: Check<F::Output>,
{
    let rare = options.rare.take();
    if let Some(rare) = &rare {
        options.hints = hints_of(shared, rare);
        options.details = rare.details();
        options.worker = rare.worker;
    }
    if let Some(rare) = rare.filter(|rare| rare.cancel.is_any()) {
        let registrar = Registrar::default();
        let cancellable = registrar.wrap(future);
        instrumented::<_, C>(shared, cancellable, options, Some((registrar, rare.cancel)))
    } else {
        instrumented::<F, C>(shared, future, options, None)
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
fn instrumented<F, C>(
    shared: &Shared,
    future: F,
    options: SpawnOptions,
    cancellation: Option<Cancellation>,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: Check<F::Output>,
{
    if shared.config.task_spans {
        let span = task_span(shared, &options);
        let future = future.instrument(spans::copy(&span));
        allocate::<_, C>(shared, future, options, cancellation, Some(span))
    } else if shared.config.inherit_spans {
        allocate::<_, C>(shared, future.instrument(spans::current()), options, cancellation, None)
    } else {
        allocate::<F, C>(shared, future, options, cancellation, None)
    }
}

/// Returns the span of a new task, whose id is not known yet.
#[inline(never)]
fn task_span(shared: &Shared, options: &SpawnOptions) -> Span {
    let SpawnOptions { kind, name, location, .. } = options;
    // A parent that is no span makes the new one a root.
    let parent = if shared.config.inherit_spans { spans::current() } else { Span::none() };
    let span = spans::create(|| {
        tracing::info_span!(
            target: "moirai::task",
            parent: &parent,
            "task",
            id = tracing::field::Empty,
            name = name.as_deref(),
            %kind,
            %location,
        )
    });
    spans::close(parent);
    span
}

/// Spawns a closure that was admitted.
#[inline]
pub(crate) fn spawn_admitted_closure<F, R, C>(
    shared: &Shared,
    f: F,
    options: SpawnOptions,
) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    C: Check<R>,
{
    spawn_admitted::<_, C>(shared, Closure::new(f), options)
}

#[inline]
fn allocate<W: Work + 'static, C: Check<W::Output>>(
    shared: &Shared,
    work: W,
    options: SpawnOptions,
    cancellation: Option<Cancellation>,
    span: Option<Span>,
) -> TaskHandle<W::Output> {
    let SpawnOptions { kind, priority, name, location, rare: _, hints, worker, details, class } =
        options;
    let name = name.map(|name| Arc::from(text::cut(&name, text::MAX_NAME_BYTES)));
    // SAFETY: all cells together own a reference to the shared part, which is given up after the last of them: see `cell_count`.
    let cell = unsafe { NewTask::new(NonNull::from(shared), kind, priority, C::check(work)) };
    let new = |task: NonNull<Header<Shared>>| NewRecord {
        kind,
        priority,
        location,
        name,
        hints,
        task: task.cast(),
    };
    let extras = Extras { class, details, cancellation, worker, span };
    if kind != TaskKind::Blocking && extras.are_none() && shared.plugins.is_empty() {
        let task = cell.header();
        // SAFETY: the cell is new, and `task` is its header.
        return match unsafe { launch_annotated(shared, task, new(task)) } {
            // SAFETY: the cell was launched.
            Some(id) => TaskHandle::new(id, unsafe { cell.into_handle() }),
            None => refuse_cell(shared, cell, kind),
        };
    }
    spawn_slow(shared, cell, new, kind, extras)
}

/// What few tasks have, and what needs the record.
struct Extras {
    class: ClassId,
    details: Option<Arc<TaskDetails>>,
    cancellation: Option<Cancellation>,
    worker: Option<OnWorker>,
    span: Option<Span>,
}

impl Extras {
    fn are_none(&self) -> bool {
        self.class.is_default()
            && self.details.is_none()
            && self.cancellation.is_none()
            && self.worker.is_none()
            && self.span.is_none()
    }
}

/// The slow path: begins the record, adds what few tasks have, registers what may cancel the task, calls hooks, and queues the task.
fn spawn_slow<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    new: impl FnOnce(NonNull<Header<Shared>>) -> NewRecord,
    kind: TaskKind,
    Extras { class, details, cancellation, worker, span }: Extras,
) -> TaskHandle<W::Output> {
    let ticks = shared.clock.ticks();
    let spawned = cell.publish(|task| {
        // SAFETY: the cell is new, and `task` is its header.
        let record = unsafe { register_in_class(shared, class, new(task), ticks) }?;
        if let Some(details) = details {
            shared.registry.add_details(&record, details);
        }
        Some((record.id(), record))
    });
    let Some((task, handle)) = spawned else {
        span.into_iter().for_each(spans::close);
        return refuse_closed(shared, kind);
    };
    if let Some(span) = span {
        spans::record(&span, "id", task.id().get());
        spans::close(span);
    }
    if let Some((registrar, cancel)) = cancellation {
        registrar.register(handle.task(), cancel);
    }
    let id = task.id();
    Context::with(|context| {
        if let Some(context) = context.filter(|context| ptr::eq(&**context.shared(), shared)) {
            context.record(id.get(), RawKind::Spawned, ticks);
        }
    });
    shared.plugins.call("before_spawn", |plugin| plugin.before_spawn(id));
    if kind == TaskKind::Blocking {
        queue_blocking(shared, Runnable::new(task));
    } else if let Some(OnWorker { worker, waited }) = worker
        && shared.mode.has_threads()
    {
        post_to_worker(shared, worker, Post { task: Runnable::new(task), waited });
    } else {
        queue_new(shared, task);
    }
    shared.plugins.call("after_spawn", |plugin| plugin.after_spawn(id));
    TaskHandle::new(id, handle)
}

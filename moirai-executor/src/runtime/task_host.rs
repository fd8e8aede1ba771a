//! The executor as the host of task cells: it queues tasks that have become ready, and records and reports how they end.

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::RawWakerVTable;

use moirai_core::flight::raw::RawKind;
use moirai_core::{
    CancelCause, IncidentCause, LocalQueue, Priority, QueueReason, Scheduler, TaskId, TaskKind,
    TaskSample, TaskStats, TaskStatus, Visibility,
};

use crate::panics::{self, log};
use crate::registry::{ActiveRecord, FinishedTask, RecordEnd};
use crate::runtime::admission::RefuseReason;
use crate::runtime::cell_count::Last;
use crate::runtime::context::Context;
use crate::runtime::flight_reader::record_incident;
use crate::runtime::last_core;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::{Post, Runnable, Shared};
use crate::runtime::thread_pool::Refused;
use crate::runtime::worker;
use crate::task::{Outcome, PollKey, RawRunnable, Schedule, TaskPtr, waker_table};

/// Reserves a place for a task that was admitted, and a thread if it needs one of its own. If there is none, the task is not
/// admitted any more.
#[inline]
pub(crate) fn reserve_thread(shared: &Shared, kind: TaskKind) -> Result<(), RefuseReason> {
    if kind == TaskKind::Blocking && shared.mode.has_threads() {
        return reserve_blocking_thread(shared);
    }
    Ok(())
}

#[inline(never)]
fn reserve_blocking_thread(shared: &Shared) -> Result<(), RefuseReason> {
    let start = |number| worker::start_blocking(shared, number);
    let reason = match shared.blocking.reserve(start) {
        Ok(is_thread_missing) => {
            if is_thread_missing {
                // The watchdog thread tries again, at every tick.
                shared.watchdog.busy();
            }
            return Ok(());
        }
        Err(Refused::Full(())) => RefuseReason::AtCapacity,
        Err(Refused::Closed(())) => RefuseReason::ShutDown,
        Err(Refused::NoThread(())) => RefuseReason::NoThread,
    };
    shared.admission.leave(TaskKind::Blocking);
    Err(reason)
}

/// Gives up the place of a task that was admitted and is not spawned after all.
pub(crate) fn give_up_place(shared: &Shared, kind: TaskKind) {
    if kind == TaskKind::Blocking && shared.mode.has_threads() {
        shared.blocking.give_up_reservation();
    }
    shared.admission.leave(kind);
}

/// Queues a blocking task that has a place.
pub(crate) fn queue_blocking(shared: &Shared, task: Runnable) {
    if !shared.mode.has_threads() {
        let priority = task.priority();
        return queue_from_outside(shared, task, priority);
    }
    // A task that comes back, because the executor is shutting down, is ended by its drop.
    drop(shared.blocking.submit_reserved(task));
}

/// Queues a new task.
pub(crate) fn queue_new(shared: &Shared, task: RawRunnable<Shared>) {
    let reason = new_task_reason(task.kind());
    queue_ready(shared, task, reason);
}

fn queue_ready(shared: &Shared, task: RawRunnable<Shared>, reason: QueueReason) {
    let priority = task.priority();
    let task = Runnable::new(task);
    Context::with(|context| {
        match context.and_then(|context| Some((context, context.core_of(shared)?))) {
            Some((context, mut core)) => {
                if reason == QueueReason::Woken {
                    context.record_woken(task.id());
                }
                let visibility = core.queue.push(task, priority, reason);
                let worker = core.index;
                drop(core);
                wake_for(shared, visibility, worker);
            }
            None => queue_coreless(shared, context, task, reason),
        }
    });
}

/// Queues a task on a thread that holds no core, or that sleeps in a hook.
#[inline(never)]
fn queue_coreless(shared: &Shared, context: Option<&Context>, task: Runnable, reason: QueueReason) {
    let priority = task.priority();
    let Some(context) = context.filter(|context| std::ptr::eq(&**context.shared(), shared)) else {
        return queue_from_outside(shared, task, priority);
    };
    if reason == QueueReason::Woken {
        context.record_woken(task.id());
    }
    // A worker whose sleep is suspended may be busy for long, and is not stuck yet: what it has in its slot would wait.
    if context.with_sleep(|sleep| sleep.is_suspended()) == Some(true) {
        return queue_from_outside(shared, task, priority);
    }
    let mut task = Some(task);
    let pushed = context.with_sleeping_core(|core| {
        let task = task.take()?;
        Some((core.queue.push(task, priority, reason), core.index))
    });
    match (task, pushed.flatten()) {
        (Some(task), _) => queue_from_outside(shared, task, priority),
        (None, Some((visibility, worker))) => wake_for_in_sleep(context, visibility, worker),
        (None, None) => {}
    }
}

/// Wakes the worker that should run what worker `pusher`, the caller, has pushed in its sleep in a hook.
fn wake_for_in_sleep(context: &Context, visibility: Visibility, pusher: usize) {
    let own = !matches!(visibility, Visibility::Worker(worker) if worker != pusher);
    // What a pusher looks for itself it is not told of, because it is awake. This one sleeps (rule 10 of the sleepers).
    if !(own && context.with_sleep(|sleep| sleep.notify_own()) == Some(true)) {
        wake_for(context.shared(), visibility, pusher);
    }
}

/// Wakes the worker that should run what worker `pusher`, the caller, has pushed.
#[inline]
pub(crate) fn wake_for(shared: &Shared, visibility: Visibility, pusher: usize) {
    match visibility {
        Visibility::Shared => shared.sleepers.notify(),
        Visibility::Slot => {}
        Visibility::Worker(worker) if worker == pusher => {}
        Visibility::Worker(worker) => shared.sleepers.notify_worker(worker),
    }
}

/// Queues a task where any worker finds it, from a thread that is not a worker.
pub(crate) fn queue_from_outside(shared: &Shared, task: Runnable, priority: Priority) {
    // The fence in either notification is the one that the lifecycle asks for.
    match shared.scheduler.push(task, priority) {
        Visibility::Worker(worker) => shared.sleepers.notify_worker(worker),
        Visibility::Shared | Visibility::Slot => shared.sleepers.notify(),
    }
    shared.lifecycle.queued_behind_a_fence(|| last_core::end_queued(shared));
}

/// Queues a task that the given worker must run.
pub(crate) fn post_to_worker(shared: &Shared, worker: usize, post: Post) {
    shared.mailboxes.post(worker, post);
    // The fence in the notification is the one that the lifecycle asks for.
    shared.sleepers.notify_worker(worker);
    shared.lifecycle.queued_behind_a_fence(|| last_core::end_queued(shared));
}

/// Returns the reason for which a new task is queued.
pub(crate) fn new_task_reason(kind: TaskKind) -> QueueReason {
    if kind == TaskKind::Async { QueueReason::Spawned } else { QueueReason::Offered }
}

impl Schedule for Shared {
    type Record = ActiveRecord;
    type Context = Context;

    #[inline]
    fn waker_table() -> &'static RawWakerVTable {
        static TABLE: RawWakerVTable = waker_table::<Shared>();
        &TABLE
    }

    fn queue(&self, task: RawRunnable<Self>, reason: QueueReason) {
        queue_ready(self, task, reason);
    }

    #[inline]
    fn is_kept_by_thread(&self) -> bool {
        // A thread of the executor is in its context, which has a reference to the executor, for as long as the thread runs.
        Context::with(|context| {
            context.is_some_and(|context| context.is_own() && ptr::eq(&**context.shared(), self))
        })
    }

    #[inline]
    fn is_cancelling(&self) -> bool {
        self.lifecycle.phase() >= Phase::Cancelling
    }

    fn cause_if_dropped(&self) -> CancelCause {
        // A scheduler may drop a task at any time.
        if self.lifecycle.is_shutting_down() {
            CancelCause::Shutdown
        } else {
            CancelCause::Scheduler
        }
    }

    fn wants_panic_locations(&self) -> bool {
        self.config.capture_panic_location
    }

    #[inline]
    fn enter(&self, context: &Context, task: TaskPtr) {
        context.enter_task(task);
    }

    #[inline]
    fn leave(&self, context: &Context, task: TaskPtr) {
        context.leave_task(task);
    }

    fn drops_work_of(&self, context: &Context, task: Option<TaskPtr>) -> Option<TaskPtr> {
        context.drops_work_of(task)
    }

    // Inlined in any case, so that the later polls of a task do not even call.
    #[inline(always)]
    fn before_poll(&self, context: &Context, record: &ActiveRecord, first: bool) {
        if first {
            self.before_first_poll(context, record);
        }
    }

    #[inline]
    fn after_poll(&self, context: &Context, record: &ActiveRecord, poll: impl FnOnce() -> PollKey) {
        let now = self.clock.ticks();
        let busy = now.saturating_sub(context.ticks.replace(now));
        record.polled(busy);
        context.record(record.id().get(), RawKind::Pending, now);
        self.note_poll(context, poll, busy);
    }

    fn finish(
        &self,
        context: Option<&Context>,
        record: ActiveRecord,
        poll: impl FnOnce() -> PollKey,
        outcome: Outcome,
    ) {
        let id = record.id();
        let status = outcome.status;
        let now = self.clock.ticks();
        if let Some(context) = context {
            let before = context.ticks.replace(now);
            let kind = match status {
                TaskStatus::Cancelled => RawKind::Cancelled,
                TaskStatus::Failed => RawKind::Failed,
                _ => RawKind::Completed,
            };
            context.record(id.get(), kind, now);
            // A cancelled task ends between two polls, so there is no poll to count.
            if status != TaskStatus::Cancelled {
                let busy = now.saturating_sub(before);
                record.polled(busy);
                self.note_poll(context, poll, busy);
            }
        }
        before_outcome(self, &record, &outcome, now);
        let Outcome { error, cancelled_by, panicked, .. } = outcome;
        let end = RecordEnd { status, ticks: now, error, cancelled_by };
        let (finished, worker) =
            Context::with(|innermost| match innermost.and_then(|context| context.core_of(self)) {
                Some(mut core) => {
                    let core = &mut *core;
                    (self.registry.finish(&mut core.writer, record, end), Some(core.index))
                }
                None => {
                    let finish = |writer: &mut _| self.registry.finish(writer, record, end);
                    (self.registry.with_shared_writer(finish), None)
                }
            });
        if panicked {
            // Now that the record says why.
            record_incident(self, IncidentCause::Panic { task: id });
        }
        self.admission.leave(finished.kind);
        self.record_finished(worker, status, &finished);
        if !self.plugins.is_empty() {
            self.plugins.call("after_complete", |plugin| plugin.after_complete(id, status));
        }
        if self.lifecycle.is_shutting_down() {
            self.shutdown_progress.task_ended();
        }
    }

    #[inline]
    fn complete(
        &self,
        context: &Context,
        record: ActiveRecord,
        poll: impl FnOnce() -> PollKey,
        detached: bool,
    ) {
        let status = TaskStatus::Completed;
        if !self.is_plain {
            let outcome =
                Outcome { status, error: None, cancelled_by: None, panicked: false, detached };
            return self.finish(Some(context), record, poll, outcome);
        }
        let now = self.clock.ticks();
        let busy = now.saturating_sub(context.ticks.replace(now));
        context.record(record.id().get(), RawKind::Completed, now);
        self.note_poll(context, poll, busy);
        let (finished, worker) = match context.core_of(self) {
            Some(mut core) => {
                let core = &mut *core;
                (self.registry.complete(&mut core.writer, record, now, busy), Some(core.index))
            }
            None => (self.complete_outside(record, now, busy), None),
        };
        if finished.kind == TaskKind::Blocking {
            self.admission.leave(finished.kind);
        }
        self.record_finished(worker, status, &finished);
        if self.lifecycle.is_shutting_down() {
            self.shutdown_progress.task_ended();
        }
    }

    fn notify_watchers(&self, id: TaskId, status: TaskStatus) {
        let children = self.watchers.notify(id, status);
        if status != TaskStatus::Completed {
            for child in &children {
                child.cancel(self.cause_for_children());
            }
        }
    }

    fn cancel_children(&self, id: TaskId) {
        // A loop, because the tree may be deeper than the stack. (A scheduler that drops what is pushed ends tasks in here, and so makes
        // this recursive.)
        let mut parents = vec![id];
        while let Some(parent) = parents.pop() {
            for child in self.watchers.children(parent) {
                parents.extend(child.cancel_alone(self.cause_for_children()));
            }
        }
    }

    fn append_error(&self, id: TaskId, message: Arc<str>) {
        self.registry.append_error(id, message);
    }

    #[inline]
    unsafe fn cell_freed_in(host: NonNull<Self>, context: &Context) {
        // The context is one of the cell's executor, which keeps its shared part alive.
        if context.with_core(|core| core.freed += 1).is_none() {
            // SAFETY: the caller has the same obligations.
            unsafe { Self::cell_freed(host) };
        }
    }

    unsafe fn cell_freed(host: NonNull<Self>) {
        let last = {
            // SAFETY: the cell that was freed counted as alive until now, so the cells' reference is still there.
            let shared = unsafe { host.as_ref() };
            match Context::with_core_of(shared, |core| core.freed += 1) {
                Some(()) => return,
                None if shared.cell_count.freed() == Last::Yes => {
                    last_core::release_cells_ref(shared)
                }
                None => return,
            }
        };
        // The shared part may be dropped here, and with it plugins, the scheduler and the recorder. A panic of their destructors
        // must not reach the thread that dropped the last handle or waker. Nothing refers to the shared part any more.
        if let Some(message) = panics::contain(|| drop(last)) {
            log!(error, panic = &*message, "a destructor panicked at the end of an executor");
        }
    }
}

impl Shared {
    #[inline(never)]
    fn before_first_poll(&self, context: &Context, record: &ActiveRecord) {
        if !self.plugins.is_empty() {
            self.plugins.call("before_execute", |plugin| plugin.before_execute(record.id()));
        }
        record.start(context.worker(), context.ticks.get());
    }

    /// Notes how long a poll took, if the scheduler wants to know how long polls will take.
    #[inline]
    fn note_poll(&self, context: &Context, poll: impl FnOnce() -> PollKey, busy: u64) {
        if let Some(estimates) = &self.poll_estimates {
            estimates.note(&context.poll_sampler, poll, busy);
        }
    }

    /// Finishes the record of a task that has completed on a thread that holds no core.
    #[inline(never)]
    fn complete_outside(&self, record: ActiveRecord, now: u64, busy: u64) -> FinishedTask {
        self.registry.with_shared_writer(|writer| self.registry.complete(writer, record, now, busy))
    }

    /// Gives the recorder, if there is one, the sample of a task that has ended.
    #[inline]
    fn record_finished(&self, worker: Option<usize>, status: TaskStatus, finished: &FinishedTask) {
        if self.recorder.is_none() {
            return;
        }
        let sample = TaskSample::new(
            finished.kind,
            status,
            self.clock.rough_duration(finished.queue_ticks),
            self.clock.rough_duration(finished.busy_ticks),
            finished.polls,
        );
        self.notify_recorder("task_finished", |recorder| recorder.task_finished(worker, &sample));
    }
}

impl Shared {
    /// Returns what cancels the children of a task that was cancelled or has failed: the shutdown, once it asks all tasks to stop.
    pub(crate) fn cause_for_children(&self) -> CancelCause {
        if self.lifecycle.phase() >= Phase::Cancelling {
            CancelCause::Shutdown
        } else {
            CancelCause::Parent
        }
    }
}

/// Logs the panic of a task whose error no caller gets.
pub(crate) fn log_unseen_panic(stats: &TaskStats) {
    log!(
        warn,
        id = stats.id.get(),
        name = stats.name.as_deref(),
        kind = %stats.kind,
        location = %stats.location,
        panic = stats.error.as_deref(),
        "a task panicked whose handle is gone",
    );
}

/// Logs the error of a task that fails on errors and whose handle is gone.
pub(crate) fn log_unseen_error(stats: &TaskStats) {
    log!(
        warn,
        id = stats.id.get(),
        name = stats.name.as_deref(),
        kind = %stats.kind,
        location = %stats.location,
        error = stats.error.as_deref(),
        "a task failed whose handle is gone",
    );
}

/// Reports and records what must be known of a task before its outcome is published.
fn before_outcome(shared: &Shared, record: &ActiveRecord, outcome: &Outcome, ticks: u64) {
    let by_shutdown = outcome.cancelled_by == Some(CancelCause::Shutdown);
    let unseen_failure = outcome.status == TaskStatus::Failed && outcome.detached;
    if !(by_shutdown || unseen_failure) {
        return;
    }
    let Some(mut stats) = shared.registry.stats(record.id()) else {
        return;
    };
    if unseen_failure {
        stats.error.clone_from(&outcome.error);
        if outcome.panicked {
            log_unseen_panic(&stats);
            shared.mode.unseen_panic(&stats);
        } else {
            log_unseen_error(&stats);
        }
    }
    if by_shutdown {
        stats.status = outcome.status;
        stats.cancelled_by = outcome.cancelled_by;
        stats.finished_at = Some(shared.clock.converter().timestamp(ticks));
        shared.shutdown_progress.record(stats);
    }
}

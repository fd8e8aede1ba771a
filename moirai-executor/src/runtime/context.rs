//! What a thread knows of the executors that it works for.
//!
//! A thread that runs tasks, or is inside of `block_on`, has a [`Context`] on its stack. Contexts form a list, innermost first,
//! because a task of one executor can call `block_on` of another. The head of the list is in a thread-local without a destructor,
//! so it can be read at any time, also while the thread is being torn down.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use moirai_core::flight::raw::RawKind;
use moirai_core::{TaskId, ThreadKind};
use moirai_scheduler::HookedSleep;

use crate::flight::ring::RingWriter;
use crate::flight::tracks::Tracks;
use crate::fork_join::LocalJobs;
use crate::panics::{self, log};
use crate::runtime::poll_estimates::Sampler;
use crate::runtime::shared::{Runnable, Shared, WorkerCore};
use crate::task::{RawRunnable, TaskPtr};

mod inside;

#[cfg(not(moirai_loom))]
thread_local! {
    static INNERMOST: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

// All threads of a model are one thread of the system.
#[cfg(moirai_loom)]
loom::thread_local! {
    static INNERMOST: Cell<*const Context> = Cell::new(ptr::null());
}

/// One executor that this thread works for.
pub(crate) struct Context {
    shared: Arc<Shared>,
    /// The core, if the thread holds one. It is borrowed only for short stretches that run no user code but the scheduler's.
    core: RefCell<Option<Box<WorkerCore>>>,
    /// The core, while the thread sleeps in a hook. Code that runs there is treated as on a thread that is not a worker: it may
    /// wait, and another thread must not take the core meanwhile, which is announced as idle.
    sleeping_core: RefCell<Option<Box<WorkerCore>>>,
    /// That sleep.
    sleep: Cell<*const HookedSleep<'static>>,
    /// Whether the thread, which is no worker, drives the park hook.
    pub(crate) drives_hook: Cell<bool>,
    /// The index of the core, if there is one that the thread does not sleep with.
    worker: Cell<Option<usize>>,
    /// The task that the thread runs, from [`Schedule::enter`](crate::task::Schedule::enter) to
    /// [`Schedule::leave`](crate::task::Schedule::leave), so that its cell is alive.
    task: Cell<Option<TaskPtr>>,
    /// The task whose work the thread drops, because it ends.
    dropping: Cell<Option<TaskPtr>>,
    /// How many blocks further up the stack will take back what they have given up here.
    pub(crate) blocks: Cell<usize>,
    /// The tasks further up the stack, whose polls called `try_run`. They have been entered and not left, too.
    outer_tasks: RefCell<Vec<TaskPtr>>,
    /// The thread's fork-join work.
    local_jobs: LocalJobs,
    /// When the thread last read the clock: the end of one poll is the start of the next.
    pub(crate) ticks: Cell<u64>,
    /// Draws the polls that are noted for the scheduler.
    pub(crate) poll_sampler: Sampler,
    /// Where the flight recorder notes what the thread does; `None` if it is off, or the thread is not the executor's.
    flight: Option<RingWriter>,
    /// Whether the thread is one of the executor's, and runs nothing but what the executor calls.
    is_own: bool,
    /// Whether the thread ends the tasks that are left in the queues.
    ending: bool,
    /// Whether plugins are called before and after each poll.
    hooks_polls: bool,
    /// Whether the thread counts against the limit of the blocking pool.
    pub(crate) in_blocking_pool: Cell<bool>,
    /// The next outer context.
    outer: Cell<*const Context>,
}

impl Drop for Context {
    fn drop(&mut self) {
        self.local_jobs.release_slot(&self.shared.shared_jobs);
        if let (Some(tracks), Some(writer)) = (&self.shared.tracks, self.flight.take()) {
            tracks.end(writer);
        }
    }
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let ticks = Cell::new(shared.clock.ticks());
        Self {
            hooks_polls: shared.plugins.wants_polls(),
            shared,
            core: RefCell::new(None),
            sleeping_core: RefCell::new(None),
            sleep: Cell::new(ptr::null()),
            drives_hook: Cell::new(false),
            worker: Cell::new(None),
            task: Cell::new(None),
            dropping: Cell::new(None),
            blocks: Cell::new(0),
            outer_tasks: RefCell::new(Vec::new()),
            local_jobs: LocalJobs::new(),
            poll_sampler: Sampler::new(ticks.get()),
            ticks,
            flight: None,
            is_own: false,
            ending: false,
            in_blocking_pool: Cell::new(false),
            outer: Cell::new(ptr::null()),
        }
    }

    /// Creates the context of the calling thread, which is one of the executor's.
    pub(crate) fn for_thread(shared: Arc<Shared>, kind: ThreadKind) -> Self {
        let mut context = Self::recorded(shared, kind);
        context.in_blocking_pool.set(kind == ThreadKind::Blocking);
        context.is_own = true;
        context
    }

    /// Creates the context of a thread whose events the flight recorder keeps.
    pub(crate) fn recorded(shared: Arc<Shared>, kind: ThreadKind) -> Self {
        let mut context = Self::new(shared);
        let name = std::thread::current();
        let start = |tracks: &Tracks| tracks.start(name.name().unwrap_or_default(), Some(kind));
        context.flight = context.shared.tracks.as_ref().map(start);
        context
    }

    /// Creates the context of a thread that ends the tasks that are left in the queues, after the last core has closed.
    pub(crate) fn for_ending(shared: Arc<Shared>) -> Self {
        let mut context = Self::new(shared);
        context.ending = true;
        context
    }

    /// Returns whether the calling thread is ending the tasks that are left in the queues of `shared`.
    pub(crate) fn is_ending(shared: &Shared) -> bool {
        let is_it = |context: &Self| context.ending && ptr::eq(&*context.shared, shared);
        Self::find(|context| is_it(context).then_some(())).is_some()
    }

    /// Makes this the innermost context while `f` runs.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        struct LeaveContext(*const Context);
        impl Drop for LeaveContext {
            fn drop(&mut self) {
                INNERMOST.with(|innermost| innermost.set(self.0));
            }
        }
        debug_assert!(!self.is_entered(), "a context is entered once at a time");
        self.local_jobs.pin_in_place();
        let outer = INNERMOST.with(|innermost| innermost.replace(self));
        self.outer.set(outer);
        let _leave = LeaveContext(outer);
        f()
    }

    /// Makes this the calling thread's outermost context until [`leave`](Self::leave) is called. It comes back if the thread has one.
    pub(crate) fn enter_for_good(self: Box<Self>) -> Result<NonNull<Self>, Box<Self>> {
        if !INNERMOST.with(Cell::get).is_null() {
            return Err(self);
        }
        self.local_jobs.pin_in_place();
        let context = NonNull::from(Box::leak(self));
        INNERMOST.with(|innermost| innermost.set(context.as_ptr()));
        Ok(context)
    }

    /// Ends what [`enter_for_good`](Self::enter_for_good) has begun. `None` if the thread is inside of another context, or of anything that
    /// uses this one: fork-join work, a task, a block, or what the executor calls besides, such as a scheduler or a recorder.
    ///
    /// # Safety
    ///
    /// The calling thread got `context` from `enter_for_good`, and has not left it.
    pub(crate) unsafe fn leave(context: NonNull<Self>) -> Option<Box<Self>> {
        if !ptr::eq(INNERMOST.with(Cell::get), context.as_ptr()) {
            return None;
        }
        // SAFETY: the caller has not left it.
        let inside = unsafe { context.as_ref() };
        let is_used = inside.local_jobs.frame().is_some()
            || inside.blocks.get() > 0
            || inside.innermost_task().is_some()
            || panics::is_contained();
        if is_used {
            return None;
        }
        INNERMOST.with(|innermost| innermost.set(ptr::null()));
        // SAFETY: the pointer is one of a leaked box, and is given up here. Nothing borrows the context: what runs user code while it does
        // is one of the four above. The last one is all user code but the work of tasks and jobs, and what runs in a block.
        Some(unsafe { Box::from_raw(context.as_ptr()) })
    }

    /// Returns whether this is in the list of the calling thread's contexts.
    pub(crate) fn is_entered(&self) -> bool {
        Self::find(|context| ptr::eq(context, self).then_some(())).is_some()
    }

    /// Calls `f` with the innermost context, if there is one.
    #[inline(always)]
    pub(crate) fn with<R>(f: impl FnOnce(Option<&Context>) -> R) -> R {
        let innermost = INNERMOST.with(Cell::get);
        // SAFETY: `enter` keeps its context borrowed while the pointer to it is in the list, and removes it before it returns, also
        // when it unwinds. The list belongs to this thread alone.
        f(unsafe { innermost.as_ref() })
    }

    /// Calls `f` with every context, innermost first, until it returns `Some`.
    pub(crate) fn find<R>(mut f: impl FnMut(&Context) -> Option<R>) -> Option<R> {
        let mut next = INNERMOST.with(Cell::get);
        // SAFETY: as in `with`; an outer context stays entered for at least as long as the inner ones.
        while let Some(context) = unsafe { next.as_ref() } {
            if let Some(found) = f(context) {
                return Some(found);
            }
            next = context.outer.get();
        }
        None
    }

    /// The executor that this context belongs to.
    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Writes an event for the flight recorder. What `first` and `value` are is said at [`RawKind`].
    #[inline]
    pub(crate) fn record(&self, first: u64, kind: RawKind, value: u64) {
        if let Some(writer) = &self.flight {
            writer.write([first, kind.with(value)]);
        }
    }

    /// Notes that the thread goes on at `ticks`, after what is no event for the flight recorder.
    pub(crate) fn go_on_at(&self, ticks: u64) {
        self.ticks.set(ticks);
        self.record(0, RawKind::Mark, ticks);
    }

    /// Notes that a task was woken, for the flight recorder.
    #[inline]
    pub(crate) fn record_woken(&self, task: TaskId) {
        let in_poll = self.task.get().is_some();
        self.record(task.get(), RawKind::Woken, u64::from(in_poll));
    }

    /// Notes that a wait of the task that the calling thread polls is over, so long after its deadline, for the flight recorder.
    pub(crate) fn record_timer(late: Duration) {
        Self::with(|context| {
            if let Some(context) = context.filter(|context| context.task.get().is_some()) {
                let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
                context.record(0, RawKind::TimerFired, nanos);
            }
        });
    }

    /// Tells the flight recorder which activity the thread has.
    pub(crate) fn set_activity(&self, activity: Option<usize>) {
        if let Some(writer) = &self.flight {
            writer.set_activity(activity);
        }
    }

    /// The thread's fork-join work for this executor.
    #[inline]
    pub(crate) const fn local_jobs(&self) -> &LocalJobs {
        &self.local_jobs
    }

    /// Claims the slot of the worker whose core the thread holds, or another that is free, if the thread has none (rule 13 of
    /// [fork-join](crate::fork_join)).
    #[inline]
    pub(crate) fn claim_slot(&self, worker: Option<usize>) {
        if !self.local_jobs.has_slot() && self.shared.mode.has_threads() {
            self.local_jobs.claim_slot(worker, &self.shared.shared_jobs);
        }
    }

    /// The address of the local jobs, for comparison.
    #[inline]
    pub(crate) const fn local_jobs_address(&self) -> *const LocalJobs {
        &raw const self.local_jobs
    }

    /// Returns whether the thread has entered no other context before this one.
    #[inline]
    pub(crate) const fn is_outermost(&self) -> bool {
        self.outer.get().is_null()
    }

    /// The task that is being polled, if there is one.
    pub(crate) fn innermost_task(&self) -> Option<TaskPtr> {
        self.task.get().or_else(|| self.outer_tasks.borrow().last().copied())
    }

    /// Returns whether the calling thread polls this task, and not another one inside of that poll.
    #[inline]
    pub(crate) fn polls(task: TaskPtr) -> bool {
        Self::with(|context| context.is_some_and(|context| context.task.get() == Some(task)))
    }

    /// The executor that runs the calling thread, if there is one.
    pub(crate) fn current() -> Option<Arc<Shared>> {
        Self::with(|context| Some(Arc::clone(&context?.shared)))
    }

    /// Calls `f` with the core of `shared` that the innermost context holds, if it holds one. `f` must not run user code but the
    /// scheduler's.
    #[inline]
    pub(crate) fn with_core_of<R>(
        shared: &Shared,
        f: impl FnOnce(&mut WorkerCore) -> R,
    ) -> Option<R> {
        Self::with(|context| {
            let context = context?;
            if !ptr::eq(&*context.shared, shared) {
                return None;
            }
            context.with_core(f)
        })
    }

    /// Returns the core, if this is a context of `shared` and holds one. No user code but the scheduler's may run while it is
    /// borrowed.
    #[inline]
    pub(crate) fn core_of(&self, shared: &Shared) -> Option<RefMut<'_, WorkerCore>> {
        if !ptr::eq(&*self.shared, shared) {
            return None;
        }
        RefMut::filter_map(self.core.try_borrow_mut().ok()?, Option::as_deref_mut).ok()
    }

    /// Calls `f` with the core, if the thread holds one. `f` must not run user code but the scheduler's.
    #[inline]
    pub(crate) fn with_core<R>(&self, f: impl FnOnce(&mut WorkerCore) -> R) -> Option<R> {
        // What a scheduler does while it is borrowed is treated as on an external thread.
        self.core.try_borrow_mut().ok()?.as_deref_mut().map(f)
    }

    /// Makes the calling thread the holder of `core`.
    pub(crate) fn put_core(&self, core: Box<WorkerCore>) {
        self.worker.set(Some(core.index));
        self.set_activity(Some(core.index));
        // It is not borrowed, because the context held no core.
        *self.core.borrow_mut() = Some(core);
    }

    /// Takes the core away from the calling thread.
    pub(crate) fn take_core(&self) -> Option<Box<WorkerCore>> {
        let core = self.core.try_borrow_mut().ok()?.take();
        self.worker.set(None);
        self.set_activity(None);
        core
    }

    /// Calls `f`, which blocks in a hook. The core is not the thread's meanwhile, but can be reached by
    /// [`with_sleeping_core`](Self::with_sleeping_core).
    pub(crate) fn sleep_in_hook(&self, sleep: &HookedSleep<'_>, f: impl FnOnce()) {
        struct SleepOver<'a>(&'a Context);
        impl Drop for SleepOver<'_> {
            fn drop(&mut self) {
                self.0.sleep.set(ptr::null());
                let core = self.0.sleeping_core.borrow_mut().take();
                core.into_iter().for_each(|core| self.0.put_core(core));
            }
        }
        let core = self.take_core();
        *self.sleeping_core.borrow_mut() = core;
        self.sleep.set(ptr::from_ref(sleep).cast());
        let _over = SleepOver(self);
        f();
    }

    /// Calls `f` with the present sleep in a hook, if there is one.
    pub(crate) fn with_sleep<R>(&self, f: impl FnOnce(&HookedSleep<'_>) -> R) -> Option<R> {
        // SAFETY: `sleep_in_hook` keeps the sleep borrowed while the pointer is set, and clears the pointer before it returns, also when
        // it unwinds. `f` has to accept any lifetime of the sleep's content, so it cannot keep what is in there.
        unsafe { self.sleep.get().as_ref() }.map(f)
    }

    /// Calls `f` with the core with which the thread sleeps in a hook, if it does. `f` must not run user code but the scheduler's.
    pub(crate) fn with_sleeping_core<R>(&self, f: impl FnOnce(&mut WorkerCore) -> R) -> Option<R> {
        // As in `with_core`, it is never borrowed twice.
        self.sleeping_core.try_borrow_mut().ok()?.as_deref_mut().map(f)
    }

    /// Whether the thread is one of the executor's, and is in this context as long as it runs.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// The index of the core, if the thread holds one.
    #[inline]
    pub(crate) fn worker(&self) -> Option<usize> {
        self.worker.get()
    }

    /// The index of the core that the calling thread holds, if it holds one.
    pub(crate) fn worker_index() -> Option<usize> {
        Self::with(|context| context?.worker())
    }

    /// Runs a task on the calling thread.
    #[inline]
    pub(crate) fn run(&self, task: Runnable) {
        let task = task.into_raw();
        let usual = self.task.get().is_none()
            && ptr::eq(task.executor(), &*self.shared)
            && !self.hooks_polls;
        if !usual {
            return self.run_unusual(task);
        }
        // Nothing in a run is meant to unwind. If something does, the task must not stay entered.
        let guard = LeaveOnUnwind(self);
        task.run(self);
        std::mem::forget(guard);
    }

    /// Runs a task inside of a poll, which has called `try_run`, or one of another executor, or one whose polls plugins are told of.
    #[cold]
    #[inline(never)]
    fn run_unusual(&self, task: RawRunnable<Shared>) {
        let outer = self.task.take();
        self.outer_tasks.borrow_mut().extend(outer);
        let _return_to_outer = ReturnToOuter(self, outer);
        // A scheduler can hand out a task of another executor, if it shares one queue with that executor's scheduler.
        if ptr::eq(task.executor(), &*self.shared) {
            self.run_hooked(task);
        } else {
            run_elsewhere(task);
        }
    }

    /// Runs a task, and calls the hooks of the plugins that want to be told of polls.
    fn run_hooked(&self, task: RawRunnable<Shared>) {
        if !self.hooks_polls {
            return task.run(self);
        }
        let plugins = &self.shared.plugins;
        let id = task.id();
        plugins.call_around_poll("before_poll", |plugin| plugin.before_poll(id));
        task.run(self);
        plugins.call_around_poll("after_poll", |plugin| plugin.after_poll(id));
    }

    /// Notes that the thread has begun to run `task`.
    #[inline]
    pub(crate) fn enter_task(&self, task: TaskPtr) {
        debug_assert_eq!(self.task.get(), None, "a task is entered inside of another");
        self.task.set(Some(task));
    }

    /// Notes that the thread drops the work of `task`, which ends, and returns what it has noted before.
    pub(crate) fn drops_work_of(&self, task: Option<TaskPtr>) -> Option<TaskPtr> {
        self.dropping.replace(task)
    }

    /// Returns whether the thread drops the work of the task that it runs, and of no task inside of that.
    #[inline]
    pub(crate) fn is_dropping_work(&self) -> bool {
        let dropping = self.dropping.get();
        dropping.is_some() && dropping == self.innermost_task()
    }

    /// Returns whether the thread runs this task in this context, or tasks inside of its poll.
    pub(crate) fn runs(&self, id: TaskId) -> bool {
        // SAFETY: the task has been entered and not left, so its cell is alive.
        self.innermost_task().is_some_and(|task| unsafe { task.id() } == id)
    }

    /// Notes that the thread is about to give up `task`, whose cell may be gone after this.
    #[inline]
    pub(crate) fn leave_task(&self, task: TaskPtr) {
        let left = self.task.take();
        debug_assert_eq!(left, Some(task), "the task that is left is the one that was entered");
        debug_assert!(
            !self.local_jobs.frame().is_of(task),
            "a task is left after its fork-join work"
        );
    }
}

/// Forgets the task that a thread was running, when the run unwinds.
struct LeaveOnUnwind<'a>(&'a Context);

impl Drop for LeaveOnUnwind<'_> {
    #[cold]
    fn drop(&mut self) {
        self.0.task.set(None);
    }
}

/// Makes the task of the poll that has called `try_run`, if there is one, the innermost one again.
struct ReturnToOuter<'a>(&'a Context, Option<TaskPtr>);

impl Drop for ReturnToOuter<'_> {
    fn drop(&mut self) {
        let Self(context, outer) = self;
        context.task.set(*outer);
        if outer.is_some() {
            context.outer_tasks.borrow_mut().pop();
        }
    }
}

/// Runs a task in a context of its own executor. The context keeps that executor alive while the task is run, as the contexts of its
/// own threads do: a task that gives itself up in the run may be its last.
#[cold]
#[inline(never)]
fn run_elsewhere(task: RawRunnable<Shared>) {
    // The executor is alive while it has a cell, so there is one. If there were none, dropping the task would end it.
    if let Some(shared) = task.executor().arc() {
        let context = Context::new(shared);
        context.enter(|| context.run_hooked(task));
        // What is left of the executor may end here.
        if let Some(message) = panics::contain(|| drop(context)) {
            log!(error, panic = &*message, "a destructor panicked at the end of an executor");
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("worker", &self.worker()).finish_non_exhaustive()
    }
}

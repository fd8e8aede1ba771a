//! The bodies of the executor's threads.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use moirai_core::flight::raw::RawKind;
use moirai_core::{LocalQueue, Scheduler, ThreadKind};
use moirai_scheduler::{HookedSleep, Look};

use crate::fork_join::{Only, StolenJob};
use crate::panics::{self, log};
use crate::runtime::context::Context;
use crate::runtime::external::wake_another;
use crate::runtime::hook_host::HookHost;
use crate::runtime::last_core;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::{Runnable, Shared, WorkerCore};
use crate::runtime::threads::{ThreadHooks, thread_name};
use crate::timer::Driver;

/// The body of a worker's or spare thread: runs tasks with its first core, and then with every core that is handed off to it.
pub(crate) fn run(
    shared: Arc<Shared>,
    kind: ThreadKind,
    number: usize,
    first: Option<Box<WorkerCore>>,
) {
    let context = Context::for_thread(shared, kind);
    context.enter(|| {
        let shared = context.shared();
        let thread = ThreadHooks::start(shared, kind, number);
        let mut next = first.or_else(|| shared.cores.next());
        while let Some(core) = next {
            // What users bring is contained where it is called. A panic that was overlooked there must not lose the core.
            let panicked = panics::contain(|| work(&context, core));
            context.local_jobs().release_slot(&shared.shared_jobs);
            if let Some(message) = &panicked {
                log!(error, panic = &**message, "a worker panicked, and goes on");
            }
            next = context.take_core().or_else(|| shared.cores.next());
        }
        drop(thread);
        shared.cores.ended();
    });
}

/// Runs tasks with a core until the core is handed off or closed.
fn work(context: &Context, mut core: Box<WorkerCore>) {
    let shared = context.shared();
    let index = core.index;
    let opened = std::mem::replace(&mut core.opened, true);
    let mut looked_at = core.looked_at;
    context.put_core(core);
    if !opened {
        shared.plugins.call("on_worker_start", |plugin| plugin.on_worker_start(index));
    }
    context.go_on_at(shared.clock.ticks());
    // Found once, and not for each task.
    let activity = shared.watchdog.activities.activity(index);
    activity.enter();
    shared.watchdog.busy();
    loop {
        // Also between two short tasks: the next one may wait for what a claimant holds.
        if shared.claims.has_any() && (context.worker().is_none() || give_back_core(context, index))
        {
            return;
        }
        // If the core was handed off during the last task, it belongs to another thread now.
        let now = context.ticks.get();
        let long_ago = now.saturating_sub(looked_at) >= shared.injector_ticks;
        if long_ago {
            // Whoever has the core next goes on from here: each of its tasks may block.
            looked_at = now;
            context.with_core(|core| core.looked_at = now);
            // What is woken here is not the last task's work.
            context.record(0, RawKind::Mark, now);
            Driver::fire_due();
            if let Some(hook) = &shared.park_hook {
                drive(context, index, hook);
            }
            // No more often, because the owners of most public jobs take them back soon, and would have to wait for a thief instead.
            if let Some((first, _)) = context.with_core(|core| core.slot_search.start_full_look())
                && let Some(stolen) = shared.shared_jobs.take_from_slot(Only::Any, first)
            {
                run_stolen_job(context, index, stolen);
            }
            if context.worker().is_some()
                && let Some(stolen) = shared.shared_jobs.take_listed(shared.sleepers.idle())
            {
                run_stolen_job(context, index, stolen);
            }
            if context.worker().is_some()
                && let Some(post) = shared.mailboxes.take(index)
            {
                activity.in_task(post.task.id());
                context.run(post.task);
            }
        }
        let Some((popped, victim)) = context.with_core(|core| {
            if long_ago {
                core.queue.prefer_injector();
            }
            (core.queue.pop(), core.queue.take_victim(false))
        }) else {
            return;
        };
        activity.step();
        if let Some(victim) = victim {
            context.record(victim as u64, RawKind::Stole, 0);
        }
        if let Some(task) = popped {
            activity.in_task(task.id());
            context.run(task);
            continue;
        }
        match next_when_idle(context, index) {
            Some(NextWork::Task(task)) => {
                activity.in_task(task.id());
                context.run(task);
            }
            Some(NextWork::StolenJob(stolen)) => run_stolen_job(context, index, stolen),
            Some(NextWork::GiveBack) => {
                if give_back_core(context, index) {
                    return;
                }
            }
            None => break,
        }
    }
    if let Some(core) = context.take_core() {
        shared.plugins.call("on_worker_stop", |plugin| plugin.on_worker_stop(index));
        last_core::core_closed(shared, core);
    }
}

/// Waits for what a worker that has no task left runs next. Returns `None` if it has to stop, or has no core any more.
#[inline(never)]
fn next_when_idle(context: &Context, index: usize) -> Option<NextWork> {
    let shared = context.shared();
    shared.watchdog.in_nothing(index);
    context.with_core(|core| {
        shared.registry.flush(&mut core.writer);
        core.slot_search.start();
    });
    if shared.park_hook.is_some() {
        // Nor is what the hook wakes.
        context.record(0, RawKind::Mark, context.ticks.get());
    }
    let look = |look: Look| {
        if shared.claims.is_claimed(index) {
            return Some(NextWork::GiveBack);
        }
        let task = context.with_core(|core| core.queue.pop()).flatten();
        task.or_else(|| shared.mailboxes.take(index).map(|post| post.task))
            .map(NextWork::Task)
            .or_else(|| {
                let idle = shared.sleepers.idle();
                let take = |core: &mut WorkerCore| {
                    shared.shared_jobs.take(look, &mut core.slot_search, idle)
                };
                context.with_core(take).flatten().map(NextWork::StolenJob)
            })
    };
    let stop = || shared.lifecycle.phase() == Phase::Stopped && !shared.claims.is_lent(index);
    let slept = Cell::new(false);
    let parked = || {
        slept.set(true);
        shared.notify_recorder("worker_parked", |recorder| recorder.worker_parked(index));
    };
    let next = match &shared.park_hook {
        None => {
            let has_job =
                |core: &mut WorkerCore| shared.shared_jobs.has_lasting_job(&mut core.slot_search);
            let invited = || context.with_core(has_job).unwrap_or(false);
            shared.sleepers.next(index, look, invited, stop, parked)
        }
        Some(hook) => {
            drive(context, index, hook);
            // The core may be another thread's now.
            context.worker()?;
            shared.sleepers.next_in_hook(index, look, stop, |sleep| {
                parked();
                sleep_in_hook(context, index, hook, sleep);
            })
        }
    };
    let now = shared.clock.ticks();
    context.ticks.set(now);
    context.record(u64::from(slept.get()), RawKind::Idle, now);
    if let Some(victim) = context.with_core(|core| core.queue.take_victim(true)).flatten() {
        context.record(victim as u64, RawKind::Stole, 0);
    }
    shared.watchdog.busy();
    if let Some(NextWork::Task(_) | NextWork::GiveBack) = &next {
        // A publisher may have left a job to this worker, because it was searching.
        wake_another(shared);
    }
    next
}

/// Lets the park hook do what there is to do, if nobody else does. The hook may run code that blocks, so that the core may be another
/// thread's afterwards.
fn drive(context: &Context, index: usize, hook: &HookHost) {
    let watchdog = &context.shared().watchdog;
    let polled = hook.poll_if_undriven(|| {
        watchdog.step(index);
        watchdog.in_hook(index);
        watchdog.busy();
    });
    if polled && context.worker().is_some() {
        watchdog.in_nothing(index);
        context.go_on_at(context.shared().clock.ticks());
    }
}

/// Sleeps in the park hook, or as without one if it has panicked.
fn sleep_in_hook(context: &Context, index: usize, hook: &HookHost, sleep: &HookedSleep<'_>) {
    let mut parked = true;
    context.sleep_in_hook(sleep, || parked = hook.park(index));
    context.shared().watchdog.in_nothing(index);
    if !parked {
        sleep.park();
    }
}

/// What a worker runs next.
enum NextWork {
    Task(Runnable),
    StolenJob(StolenJob),
    /// Nothing: another thread has claimed the core.
    GiveBack,
}

/// Returns the core to the thread that has claimed it, if one has. Then the calling thread works with it no more.
#[cold]
#[inline(never)]
fn give_back_core(context: &Context, index: usize) -> bool {
    let shared = context.shared();
    if !shared.claims.is_claimed(index) {
        return false;
    }
    let Some(core) = context.take_core() else { return false };
    context.local_jobs().release_slot(&shared.shared_jobs);
    let given_back = shared.claims.give_back(index, core);
    given_back.map_err(|core| context.put_core(core)).is_ok()
}

/// Runs a stolen job of another thread's fork-join work.
#[cold]
#[inline(never)]
fn run_stolen_job(context: &Context, worker: usize, stolen: StolenJob) {
    let shared = context.shared();
    shared.watchdog.in_stolen_job(worker);
    wake_another(shared);
    context.claim_slot(Some(worker));
    context.local_jobs().run(stolen, &**shared);
    context.go_on_at(shared.clock.ticks());
}

/// Starts a blocking thread.
pub(crate) fn start_blocking(shared: &Shared, number: usize) -> io::Result<()> {
    let name = thread_name(shared, ThreadKind::Blocking, number);
    shared.start_thread(name, move |shared| run_blocking(shared, number))
}

/// The body of a blocking thread.
fn run_blocking(shared: Arc<Shared>, number: usize) {
    let context = Context::for_thread(shared, ThreadKind::Blocking);
    context.enter(|| {
        let shared = context.shared();
        let thread = ThreadHooks::start(shared, ThreadKind::Blocking, number);
        while let Some(task) = shared.blocking.next() {
            let now = shared.clock.ticks();
            context.ticks.set(now);
            context.record(1, RawKind::Idle, now);
            context.record(task.id().get(), RawKind::Inside, 0);
            if let Some(message) = panics::contain(|| context.run(task)) {
                log!(error, panic = &*message, "a blocking thread panicked, and goes on");
            }
        }
        drop(thread);
        shared.blocking.ended();
    });
}

/// The number of tasks that a thread may run inside of each other by `try_run`. Each takes the stack of a poll.
const MAX_NESTED: usize = 32;

/// Runs one queued task on the calling thread, whatever thread that is. Returns whether there was one, and the thread is not inside of
/// too many tasks already.
pub(crate) fn try_run(shared: &Arc<Shared>) -> bool {
    if Context::nested_tasks() >= MAX_NESTED {
        return false;
    }
    let popped = Context::with_core_of(shared, |core| {
        core.queue.pop().or_else(|| shared.mailboxes.take(core.index).map(|post| post.task))
    });
    let Some(task) = popped.unwrap_or_else(|| shared.scheduler.take()) else {
        return false;
    };
    Context::with(|context| match context {
        Some(context) if Arc::ptr_eq(context.shared(), shared) => {
            context.local_jobs().frame().suspended(|| run_inside(context, task));
        }
        _ => {
            let context = Context::new(Arc::clone(shared));
            context.enter(|| context.run(task));
        }
    });
    true
}

/// Runs a task on the calling thread, inside of what the thread does in this context.
pub(crate) fn run_inside(context: &Context, task: Runnable) {
    let clock = &context.shared().clock;
    let outer_start = context.ticks.get();
    let start = clock.ticks();
    context.ticks.set(start);
    context.record(0, RawKind::Inner, start);
    context.run(task);
    context.record(0, RawKind::Outer, 0);
    // The time that the inner task took is not the outer one's.
    let took = clock.ticks().saturating_sub(start);
    context.ticks.set(outer_start.saturating_add(took));
}

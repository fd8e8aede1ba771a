//! Compensation threads: threads without a core, which run queued tasks while the workers are stuck.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moirai_core::Scheduler;
use moirai_core::{TaskKind, ThreadKind};
use moirai_scheduler::Look;

use crate::fork_join::SlotSearch;
use crate::panics::{self, log};
use crate::runtime::context::Context;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::Shared;
use crate::runtime::task_host::queue_from_outside;
use crate::runtime::threads::{ThreadHooks, thread_name};
use crate::watchdog::compensation::{Idle, Request};

/// How often a compensation thread looks for tasks for which it was not woken.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// How long a compensation thread that is not needed is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The largest number of parallel closures that a compensation thread passes over in search of an async task.
const MAX_PASSED_OVER: usize = 64;

/// Wakes a compensation thread, or starts one.
pub(super) fn request_compensation(shared: &Shared) {
    let Some(Request { number, activity }) = shared.watchdog.compensation.ask() else {
        return;
    };
    let name = thread_name(shared, ThreadKind::Compensation, number);
    log!(debug, "workers are stuck while tasks wait: a compensation thread is woken");
    let started = shared.start_thread(name, move |shared| {
        if let Some(message) = panics::contain(|| compensate(&shared, number, activity)) {
            shared.watchdog.activities.activity(activity).in_nothing();
            shared.watchdog.compensation.ended(activity);
            log!(error, panic = &*message, "a compensation thread panicked");
        }
    });
    if let Err(error) = started {
        shared.watchdog.compensation.ended(activity);
        log!(warn, %error, "a thread could not be started");
    }
}

/// The body of a compensation thread.
fn compensate(shared: &Arc<Shared>, number: usize, activity: usize) {
    shared.watchdog.activities.activity(activity).enter();
    let context = Context::for_thread(Arc::clone(shared), ThreadKind::Compensation);
    context.set_activity(Some(activity));
    context.enter(|| {
        let _thread = ThreadHooks::start(shared, ThreadKind::Compensation, number);
        let mut search = SlotSearch::default();
        loop {
            while run_one(shared, &context, activity, &mut search) {}
            if shared.watchdog.compensation.idle(activity, POLL_INTERVAL, KEEP_ALIVE)
                == Idle::Retire
            {
                break;
            }
        }
    });
}

/// Runs a queued task or public job, if there is one that it may run. Returns whether it did.
fn run_one(shared: &Shared, context: &Context, activity: usize, search: &mut SlotSearch) -> bool {
    let watchdog = &shared.watchdog;
    if !watchdog.compensation.is_stuck() || shared.lifecycle.phase() == Phase::Stopped {
        return false;
    }
    if let Some(hook) = &shared.park_hook {
        let activity = watchdog.activities.activity(activity);
        let polled = hook.poll_if_undriven(|| {
            activity.step();
            activity.in_hook();
            context.drives_hook.set(true);
        });
        context.drives_hook.set(false);
        if polled {
            activity.in_nothing();
            count_run(shared);
        }
    }
    let mut computing = None;
    let mut passed_over = Vec::new();
    let mut found = None;
    while passed_over.len() < MAX_PASSED_OVER
        && let Some(task) = shared.scheduler.take()
    {
        let polled =
            task.kind() == TaskKind::Async || shared.lifecycle.phase() >= Phase::Cancelling;
        if !polled {
            computing = watchdog.compensation.may_compute();
        }
        if polled || computing.is_some() {
            found = Some(task);
            break;
        }
        passed_over.push(task);
    }
    for task in passed_over {
        let priority = task.priority();
        queue_from_outside(shared, task, priority);
    }
    let activity = watchdog.activities.activity(activity);
    if let Some(task) = found {
        count_run(shared);
        context.go_on_at(shared.clock.ticks());
        activity.step();
        activity.in_task(task.id());
        let panicked = panics::contain(|| context.run(task));
        activity.in_nothing();
        if let Some(message) = panicked {
            log!(error, panic = &*message, "a compensation thread panicked, and goes on");
        }
        return true;
    }
    if shared.shared_jobs.has_jobs()
        && let Some(_computing) = watchdog.compensation.may_compute()
        && let Some(stolen) = shared.shared_jobs.take(Look::Full, search, shared.sleepers.idle())
    {
        count_run(shared);
        activity.step();
        activity.in_stolen_job();
        context.local_jobs().run(stolen, shared);
        activity.in_nothing();
        return true;
    }
    false
}

fn count_run(shared: &Shared) {
    // Ordering: Relaxed: the watchdog only compares the count with an earlier one.
    shared.watchdog.compensated.fetch_add(1, Ordering::Relaxed);
}

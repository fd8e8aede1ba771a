//! Shutting an executor down.
//!
//! The phases are `Open → Draining → Closed → Cancelling → Stopped`, and never go back. Each shutdown cancels the executor's shutdown
//! token as it begins. All but a drain skip the phase *Draining*.
//!
//! 1. **Draining** admits what active tasks spawn, so that they can end their work. It lasts until the registry shows no active task,
//!    or until the deadline. Something may be spawned after that look, by a thread that is inside of the executor without a task; so
//!    the executor is closed next, and the tasks are waited for once more.
//! 2. **Closed** begins when the lifecycle is closed; see [`lifecycle`](crate::runtime::lifecycle). It lasts until the registry shows no
//!    active task, or until the deadline.
//! 3. **Cancelling** asks every active task to stop, and moves queued blocking tasks to the workers, which run none of them: a task
//!    that is taken from a queue in this phase is cancelled instead. So destructors run on workers. The request is repeated while
//!    tasks are active, which reaches those that were spawned by a worker that had read the phase too early.
//! 4. **Stopped**: a worker that finds nothing to do closes its core. The last one ends what may have become ready since then, and
//!    from then on a thread that makes a task ready ends it itself.

use std::time::{Duration, Instant};

use moirai_core::{CancelCause, IncidentCause, ShutdownReport};
use moirai_sync::Parker;

use crate::panics::log;
use crate::runtime::context::Context;
use crate::runtime::flight_reader::record_incident;
use crate::runtime::handoff::blocking;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::Shared;
use crate::runtime::shutdown_state::ShutdownMode;
use crate::runtime::task_host::queue_from_outside;

#[cfg(all(test, moirai_loom))]
mod loom;

/// How long `shutdown_timeout` waits beyond its deadline for the tasks that it has cancelled to end.
const MARGIN: Duration = Duration::from_millis(40);

/// How long dropping the last owner waits for polls that are in progress.
const DROP_GRACE: Duration = Duration::from_secs(1);

/// How often a shutdown looks again, in case it has missed a notification.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Shuts the executor down; see the [module](self).
pub(crate) fn shut_down(shared: &Shared, mode: ShutdownMode) -> ShutdownReport {
    let start = Instant::now();
    if shared.is_forked() {
        // The parent's threads are not here, so nothing would ever end; and the executor is the parent's to shut down.
        log!(
            error,
            "a forked child cannot shut down its parent's executor: fork before you start one, or `exec`"
        );
        return report(shared, start);
    }
    let hooks = match mode {
        // A task does not wait: its worker may be the one that the callbacks need.
        _ if Context::is_inside(shared) => Some(start),
        ShutdownMode::Wait => None,
        ShutdownMode::Timeout(timeout) | ShutdownMode::Drain(timeout) => start.checked_add(timeout),
        ShutdownMode::Drop if Context::is_inside_any() => Some(start),
        ShutdownMode::Drop => Some(start + DROP_GRACE),
    };
    match mode {
        ShutdownMode::Drain(_) => begin(shared, Phase::Draining, hooks),
        _ => close(shared, hooks),
    }
    if mode != ShutdownMode::Drop && Context::is_inside(shared) {
        // The caller's own task is active and would wait for itself, so another thread carries the shutdown out.
        shut_down_elsewhere(shared, mode);
        return report(shared, start);
    }
    if mode == ShutdownMode::Drop && Context::is_inside_any() {
        shared.lifecycle.advance(Phase::Cancelling);
        cancel_active(shared, None);
        stop(shared, start);
        return report(shared, start);
    }
    // The thread may be a worker of another executor.
    blocking(|| shut_down_and_wait(shared, mode, start));
    report(shared, start)
}

fn shut_down_and_wait(shared: &Shared, mode: ShutdownMode, start: Instant) {
    // A deadline beyond what the clock can express never comes.
    let deadline = match mode {
        ShutdownMode::Wait => None,
        ShutdownMode::Timeout(timeout) | ShutdownMode::Drain(timeout) => start.checked_add(timeout),
        ShutdownMode::Drop => Some(start),
    };
    if let ShutdownMode::Drain(_) = mode {
        drain(shared, deadline);
    }
    let grace = if mode == ShutdownMode::Drop { DROP_GRACE } else { MARGIN };
    let mut end = deadline.and_then(|deadline| deadline.checked_add(grace));
    if mode == ShutdownMode::Drop || !wait_idle(shared, deadline, || {}) {
        if mode != ShutdownMode::Drop {
            record_incident(shared, IncidentCause::ShutdownDeadline);
        }
        shared.lifecycle.advance(Phase::Cancelling);
        let now = Instant::now();
        end = Some(now + grace);
        // Dropping the last owner sets no time limit.
        let asked = cancel_active(shared, end.filter(|_| mode != ShutdownMode::Drop));
        if !asked {
            // There are more tasks than can be asked in the time, so another thread asks the rest and stops the executor.
            return shut_down_elsewhere(shared, ShutdownMode::Drop);
        }
        wait_idle(shared, end, || _ = cancel_active(shared, end));
    }
    let end = end.unwrap_or_else(|| Instant::now() + DROP_GRACE);
    stop(shared, end);
    // Threads end as soon as they have nothing to do. One that is stuck is not waited for.
    let _ = shared.cores.wait_ended(Some(end)) && shared.blocking.wait_ended(Some(end));
}

/// Waits until no task is active, or until the deadline, and closes the executor (rule 1).
pub(crate) fn drain(shared: &Shared, deadline: Option<Instant>) {
    wait_idle(shared, deadline, || {});
    close(shared, deadline);
}

/// Closes the lifecycle, so that no task is admitted any more (rule 2). Waits for callbacks until `deadline`.
pub(crate) fn close(shared: &Shared, deadline: Option<Instant>) {
    begin(shared, Phase::Closed, deadline);
    shared.admission.close();
    shared.registry.close_barrier();
}

/// Advances the phase. If that begins the shutdown, tells tasks and plugins, and waits for their callbacks until `deadline`.
fn begin(shared: &Shared, phase: Phase, deadline: Option<Instant>) {
    if shared.lifecycle.begin_shutdown(phase) {
        if shared.mode.announces_shutdown() {
            log!(info, active = active(shared), "shutting down");
        }
        call_back(shared, deadline);
    }
}

/// Cancels the shutdown token, and calls the plugins' `on_shutdown`. If there is a deadline, callbacks are called on another thread, so
/// that it can be kept.
fn call_back(shared: &Shared, deadline: Option<Instant>) {
    let hooked = shared.mode.announces_shutdown() && !shared.plugins.is_empty();
    let call = move |shared: &Shared| {
        shared.shutdown_token.cancel();
        if hooked {
            shared.plugins.call("on_shutdown", |plugin| plugin.on_shutdown());
        }
    };
    // Those that only wait for the token are woken, which takes no time to speak of.
    let calls_users = hooked || shared.shutdown_token.was_given();
    if let Some(deadline) = deadline.filter(|_| calls_users && shared.mode.has_threads()) {
        let parker = Parker::new();
        let called = parker.unparker();
        let name = format!("{}-hooks", shared.config.thread_name_prefix);
        let started = shared.start_thread(name, move |shared| {
            call(&shared);
            called.unpark();
        });
        match started {
            Ok(()) => {
                let _ = parker.park_timeout(deadline.saturating_duration_since(Instant::now()));
                return;
            }
            Err(error) => {
                log!(warn, %error, "no thread for the callbacks of a shutdown: they are called here")
            }
        }
    }
    call(shared);
}

/// Carries the rest of a shutdown out on another thread.
fn shut_down_elsewhere(shared: &Shared, mode: ShutdownMode) {
    if let Some(now) = shared.mode.shut_down(mode) {
        if now {
            cancel_all(shared);
        }
        return;
    }
    let name = format!("{}-shutdown", shared.config.thread_name_prefix);
    let started = shared.start_thread(name, move |shared| drop(shut_down(&shared, mode)));
    if let Err(error) = started {
        log!(warn, %error, "a shutdown from inside a task goes no further: no thread for it");
    }
}

/// Begins a drain that nobody waits for and that has no deadline. Returns `false` if nothing is active, or no thread can be started for
/// it: then the caller must shut the executor down.
pub(crate) fn drain_in_background(shared: &Shared) -> bool {
    if shared.is_forked() || !shared.mode.has_threads() {
        return false;
    }
    begin(shared, Phase::Draining, Some(Instant::now()));
    if active(shared) == 0 {
        return false;
    }
    let name = format!("{}-drain", shared.config.thread_name_prefix);
    let drain = ShutdownMode::Drain(Duration::MAX);
    let started = shared.start_thread(name, move |shared| drop(shut_down(&shared, drain)));
    if let Err(error) = &started {
        log!(warn, %error, "the executor is not drained but shut down: no thread for it");
    }
    started.is_ok()
}

/// Admits no further tasks, and asks all active ones to stop.
pub(crate) fn cancel_all(shared: &Shared) {
    close(shared, None);
    let _ = shared.lifecycle.advance(Phase::Cancelling);
    shared.registry.each_active(|id| {
        if let Some(task) = shared.task_ref(id) {
            // Its children are active as well, and asked for themselves.
            let _ = task.cancel_alone(CancelCause::Shutdown);
        }
        true
    });
}

/// Waits until no task is active, or until the deadline. Returns whether no task is active. Calls `again` each time it looks again.
fn wait_idle(shared: &Shared, deadline: Option<Instant>, again: impl Fn()) -> bool {
    loop {
        if active(shared) == 0 {
            return true;
        }
        let left = deadline.map_or(POLL_INTERVAL, |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(POLL_INTERVAL)
        });
        if left.is_zero() {
            return false;
        }
        let _ = shared
            .shutdown_progress
            .changed
            .wait_for(&mut shared.shutdown_progress.cancelled.lock(), left);
        again();
    }
}

/// Asks every active task to stop (rule 3). Returns whether all were asked before `end`.
fn cancel_active(shared: &Shared, end: Option<Instant>) -> bool {
    for task in shared.blocking.take_all() {
        let priority = task.priority();
        queue_from_outside(shared, task, priority);
    }
    let mut asked = 0_u32;
    shared.registry.each_active(|id| {
        if let Some(task) = shared.task_ref(id) {
            // As above; and children are asked one by one, so that the time is kept.
            let _ = task.cancel_alone(CancelCause::Shutdown);
        }
        asked = asked.wrapping_add(1);
        !asked.is_multiple_of(64) || end.is_none_or(|end| Instant::now() < end)
    })
}

/// Stops the workers (rule 4), and waits for the watchdog thread until `end` at most.
pub(crate) fn stop(shared: &Shared, end: Instant) {
    let first = shared.lifecycle.advance(Phase::Stopped);
    shared.sleepers.wake_all();
    shared.cores.close();
    shared.blocking.close();
    shared.watchdog.stop(end);
    shared.registry.sweep_signal().stop();
    let listener = shared.cleanup.lock().take();
    drop(listener);
    if first && shared.mode.announces_shutdown() {
        log!(info, active = active(shared), "stopped");
    }
}

fn active(shared: &Shared) -> u64 {
    let totals = shared.registry.totals();
    totals.spawned - (totals.completed + totals.failed + totals.cancelled)
}

fn report(shared: &Shared, start: Instant) -> ShutdownReport {
    let totals = shared.registry.totals();
    let mut report = ShutdownReport::default();
    report.spawned = totals.spawned;
    report.completed = totals.completed;
    report.failed = totals.failed;
    report.cancelled = totals.cancelled;
    report.still_active = totals.spawned - (totals.completed + totals.failed + totals.cancelled);
    report.refused = shared.admission.refused();
    report.cancelled_tasks.clone_from(&shared.shutdown_progress.cancelled.lock());
    if report.still_active > 0 {
        shared.registry.each_active(|id| {
            let stats = shared.registry.stats(id).filter(|stats| stats.status.is_active());
            report.unfinished.extend(stats);
            report.unfinished.len() < ShutdownReport::MAX_LISTED
        });
    }
    report.elapsed = start.elapsed();
    report
}

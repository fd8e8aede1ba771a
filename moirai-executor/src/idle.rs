//! What a park hook tells the executor of the code that it runs.

use crate::runtime::context::Context;
use crate::runtime::lifecycle::Phase;
use crate::runtime::task_host::wake_for;

/// Says that the calling thread is about to run code inside of [`ParkHook::park`](moirai_core::ParkHook::park), so that its worker
/// is not idle any more: work that comes meanwhile is left to the others, and a worker that stays in that code counts as stuck.
///
/// Returns `false` if the code must not run now: there is work for the worker, which has to return from the hook at once. Returns
/// `true` on threads that are not inside of [`park`](moirai_core::ParkHook::park), and if it was called before.
#[must_use]
pub fn suspend() -> bool {
    Context::with(|context| {
        let context = context?;
        context.with_sleep(|sleep| {
            let suspended = sleep.suspend();
            if suspended {
                let watchdog = &context.shared().watchdog;
                watchdog.step(sleep.worker());
                watchdog.in_hook(sleep.worker());
                watchdog.busy();
            }
            suspended
        })
    })
    .unwrap_or(true)
}

/// Says that the calling thread has run the code for which it called [`suspend`], and that it is about to block inside of
/// [`ParkHook::park`](moirai_core::ParkHook::park). Returns `false` if it must not: there is work for the worker, which has to
/// return from the hook at once.
///
/// Returns `true` on other threads. On a thread whose worker was idle all the time it returns whether that may go on.
#[must_use]
pub fn resume() -> bool {
    Context::with(|context| {
        let context = context?;
        let shared = context.shared();
        let has_task = || {
            let found = context.with_sleeping_core(|core| (core.has_work(), core.index));
            let ((has_task, pushed), worker) = found?;
            if let Some(visibility) = pushed {
                // While the task was out of the queue, another worker may have looked for it, and gone to sleep.
                wake_for(shared, visibility, worker);
            }
            Some(has_task)
        };
        let has_work = || {
            has_task() == Some(true)
                || shared.shared_jobs.has_jobs()
                || shared.lifecycle.phase() == Phase::Stopped
        };
        context.with_sleep(|sleep| {
            shared.watchdog.in_nothing(sleep.worker());
            sleep.resume(has_work)
        })
    })
    .unwrap_or(true)
}

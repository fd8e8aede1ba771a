//! What a park hook tells the executor of the code that it runs.

use crate::runtime::context::Context;
use crate::runtime::lifecycle::Phase;

/// Says that the calling thread is about to run code inside of [`ParkHook::park`](moirai_core::ParkHook::park), so that its worker is not
/// idle any more: work that comes meanwhile is left to the others, and a worker that stays in that code counts as stuck.
///
/// Does nothing on other threads, and if it was called before. If the worker is to leave the hook anyway, it does nothing either.
pub fn suspend() {
    Context::with(|context| {
        let Some(context) = context else { return };
        let suspended = context.with_sleep(|sleep| sleep.suspend().then_some(sleep.worker()));
        if let Some(worker) = suspended.flatten() {
            let watchdog = &context.shared().watchdog;
            watchdog.step(worker);
            watchdog.in_hook(worker);
            watchdog.busy();
        }
    });
}

/// Says that the calling thread has run the code for which it called [`suspend`], and that it is about to block inside of
/// [`ParkHook::park`](moirai_core::ParkHook::park). Returns `false` if it must not: there is work for the worker, which has to return from
/// the hook at once.
///
/// Returns `true` on other threads. On a thread whose worker was idle all the time it returns whether that may go on.
#[must_use]
pub fn resume() -> bool {
    Context::with(|context| {
        let context = context?;
        let shared = context.shared();
        let has_work = || {
            context.with_sleeping_core(|core| core.has_work().0) == Some(true)
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

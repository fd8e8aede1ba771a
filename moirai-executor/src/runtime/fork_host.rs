//! The executor as the host of fork-join.

use moirai_core::TaskId;
use moirai_core::flight::raw::RawKind;

use crate::fork_join::host::{Host, Invitation};
use crate::fork_join::latch::{Latch, park_until_set};
use crate::fork_join::shared_jobs::SharedJobs;
use crate::fork_join::waking;
use crate::runtime::context::Context;
use crate::runtime::enter_fork_join::on_any_thread;
use crate::runtime::handoff::blocking;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::{Post, Shared, Waited};
use crate::runtime::task_host::wake_for;
use crate::runtime::wait_id::WaitId;
use crate::runtime::worker::run_inside;
use crate::task::TaskPtr;

impl Host for Shared {
    #[inline]
    fn shared_jobs(&self) -> &SharedJobs {
        &self.shared_jobs
    }

    fn idle(&self) -> usize {
        self.mode.idle(&self.sleepers)
    }

    fn invite(&self, invitation: Invitation) {
        waking::invite(&self.shared_jobs, &self.sleepers, invitation);
    }

    fn notify(&self) {
        self.sleepers.notify();
    }

    #[inline]
    fn inherits_spans(&self) -> bool {
        self.carries_spans()
    }

    fn ticks(&self) -> (u64, u64) {
        (self.clock.ticks(), self.injector_ticks)
    }

    fn record_job(&self, task: Option<TaskId>, run: impl FnOnce()) {
        if self.tracks.is_none() {
            return run();
        }
        let record = |first, kind, value| {
            Context::with(|context| {
                let ours = context.filter(|context| std::ptr::eq(&**context.shared(), self));
                ours.map(|context| context.record(first, kind, value))
            })
        };
        // It is run between two tasks, or in a wait inside of one.
        record(0, RawKind::Inner, self.clock.ticks());
        run();
        record(task.map_or(0, TaskId::get), RawKind::Job, self.clock.ticks());
        record(0, RawKind::Outer, 0);
    }

    fn is_simulated(&self) -> bool {
        !self.mode.has_threads()
    }

    fn simulated_choice(&self, bound: usize) -> Option<usize> {
        self.mode.simulated_choice(bound)
    }

    fn park_on_core(&self, latch: &impl Latch) -> bool {
        let Some(worker) = Context::with_core_of(self, |core| core.index) else {
            return false;
        };
        // To announce a sleep that does not happen costs more than to look.
        if has_work_for_core(self) {
            return false;
        }
        latch.set_waker(self.sleepers.unparker(worker));
        let is_set = self.sleepers.rest(worker, || latch.is_set(), || has_work_for_core(self));
        latch.clear_waker();
        // The worker counted as idle.
        self.watchdog.busy();
        is_set
    }

    fn hand_off_and_park(&self, latch: &impl Latch, below: *const ()) {
        let worker = if self.keeps_indices() { worker_of(self) } else { None };
        // A thread that has claimed the core may be the one that this one waits for.
        match worker.filter(|&worker| !self.claims.is_claimed(worker)) {
            Some(worker) => park_with_core(self, worker, latch, below),
            None => blocking(|| park_until_set(latch)),
        }
    }

    fn run_post(&self, below: *const ()) -> bool {
        let Some(worker) = worker_of(self).filter(|_| self.keeps_indices()) else { return false };
        let Some(post) = self.mailboxes.take_fitting(worker, |post| fits(post, below)) else {
            return false;
        };
        Context::with(|context| {
            let Some(context) = context else { return };
            match post.waited {
                // It is a part of the wait.
                Waited::By(_) => run_inside(context, post.task),
                Waited::No | Waited::Broadcast => {
                    context.local_jobs().frame().suspended(|| run_inside(context, post.task));
                }
            }
        });
        true
    }
}

/// The worker of this executor that the calling thread is, if it is one.
fn worker_of(shared: &Shared) -> Option<usize> {
    Context::with_core_of(shared, |core| core.index)
}

/// Returns whether a thread that waits for what is known as `below` is to run a post.
fn fits(post: &Post, below: *const ()) -> bool {
    match post.waited {
        Waited::No => false,
        Waited::Broadcast => true,
        Waited::By(wait) => wait == WaitId::new(below),
    }
}

/// Sleeps with the caller's core until the latch is set, or there is a post that the caller is to run. The worker is not among the
/// sleepers, because it must not run anything else.
fn park_with_core(shared: &Shared, worker: usize, latch: &impl Latch, below: *const ()) {
    // What is in the core's private slot is for other workers to take now.
    let ready = || shared.sleepers.notify();
    let wakes = || {
        shared.mailboxes.has_fitting(worker, |post| fits(post, below))
            || shared.claims.is_claimed(worker)
    };
    shared.mailboxes.park(worker, latch, ready, wakes);
}

/// Runs a public job of a task's fork-join work, if there is one, on a thread that waits for the task.
pub(crate) fn run_job_of(shared: &Shared, task: TaskPtr) -> bool {
    let Some(stolen) = shared.shared_jobs.take_of_task(task, shared.idle()) else {
        return false;
    };
    on_any_thread(shared, |local_jobs| local_jobs.run(stolen, shared));
    true
}

/// Returns whether there is work for the caller's core that the caller itself must not run.
fn has_work_for_core(shared: &Shared) -> bool {
    let has_task = Context::with_core_of(shared, |core| {
        let (has_work, pushed) = core.has_work();
        (has_work, pushed.map(|visibility| (visibility, core.index)))
    });
    if let Some((_, Some((visibility, here)))) = has_task {
        // While the task was out of the queue, another worker may have looked for it, and gone to sleep.
        wake_for(shared, visibility, here);
    }
    has_task.is_some_and(|(has_task, _)| has_task)
        || Context::with_core_of(shared, |core| {
            shared.mailboxes.has_post(core.index) || shared.claims.is_claimed(core.index)
        }) == Some(true)
        || shared.shared_jobs.has_jobs()
        || shared.lifecycle.phase() == Phase::Stopped
}

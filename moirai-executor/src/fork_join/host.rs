//! What fork-join needs of the executor.

use moirai_core::TaskId;

use super::latch::Latch;
use super::shared_jobs::SharedJobs;

/// The executor, as fork-join sees it. No method may panic: they are called while other threads use the caller's stack (rule 4).
pub(crate) trait Host: Sync {
    /// The jobs that any worker may take.
    fn shared_jobs(&self) -> &SharedJobs;

    /// The number of workers that have nothing to do.
    fn idle(&self) -> usize;

    /// Wakes a worker if rules 7 and 8 ask for it: [`waking::invite`](super::waking::invite).
    fn invite(&self, invitation: Invitation);

    /// Notifies a worker of a job to which no owner comes back, as of a task (rule 8).
    fn notify(&self);

    /// Whether the closures of a `join` run inside of the caller's `tracing` span, also on another thread.
    #[inline]
    fn inherits_spans(&self) -> bool {
        false
    }

    /// The time in ticks of the executor's clock, and how many of them are a long time for a thread to run fork-join work (rule 5).
    fn ticks(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Calls `run`, which runs a stolen job of fork-join work of `task`. The flight recorder notes it.
    #[inline]
    fn record_job(&self, task: Option<TaskId>, run: impl FnOnce()) {
        let _ = task;
        run();
    }

    /// Whether this is a simulation, in which no other worker takes jobs.
    fn is_simulated(&self) -> bool {
        false
    }

    /// Draws a number below `bound`, in a simulation. There no other worker takes jobs, so the draw decides what is run first.
    fn simulated_choice(&self, bound: usize) -> Option<usize> {
        let _ = bound;
        None
    }

    /// Sleeps while holding the caller's core, until the latch is set or there may be other work. Returns whether the latch is set.
    ///
    /// Returns `false` at once if the caller holds no core.
    fn park_on_core(&self, latch: &impl Latch) -> bool;

    /// Hands off the cores that the caller holds, and sleeps until the latch is set. If the executor's threads keep their cores in such
    /// waits, it sleeps with the core instead, also until there is a post that [`run_post`](Self::run_post) would run.
    fn hand_off_and_park(&self, latch: &impl Latch, below: *const ());

    /// If the executor's threads keep their cores in waits: runs a closure that nobody but the caller's worker may run, because it is its
    /// share of a broadcast, or was installed by a part of what is waited for as `below`. Returns whether there was one.
    fn run_post(&self, below: *const ()) -> bool {
        let _ = below;
        false
    }
}

/// Whether a worker is invited although external threads use the processors (rules 7 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invitation {
    /// Only if a processor is left for it: the job's owner takes the job back.
    IfFree,
    /// In any case: the owner may be blocked until the job has run.
    Anyway,
}

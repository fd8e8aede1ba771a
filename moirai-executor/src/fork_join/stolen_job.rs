//! What is done with a job that was taken out of the shared jobs.

use moirai_core::TaskId;

use super::frame::CurrentFrame;
use super::shared_jobs::{SharedJobs, Stolen, StolenJob};
use super::stack_job::JobHeader;
use crate::panics::AbortOnUnwind;

impl StolenJob {
    /// Returns the task whose fork-join work the job is a part of, if a task waits for it.
    pub(crate) fn task(&self) -> Option<TaskId> {
        let frame = match &self.0 {
            // SAFETY: the job is not done, so it is alive.
            Stolen::StackJob(job) => unsafe { &**job }.frame(),
            Stolen::HeapJob { scope_ref, .. } => scope_ref.frame(),
        };
        // SAFETY: the job is not done, so the frame in which it was forked is alive.
        let task = unsafe { &*frame }.task()?;
        // SAFETY: the task waits for its fork-join work, so its cell is alive.
        Some(unsafe { task.id() })
    }

    /// Runs the job on the calling thread.
    pub(crate) fn run(self, at: &CurrentFrame, shared_jobs: &SharedJobs, idle: impl Fn() -> usize) {
        // Whoever waits for the job waits until it has finished, so it must (rule 4).
        let guard = AbortOnUnwind;
        match self.0 {
            // SAFETY: a `StolenJob` is made where the job is taken out of the shared jobs, and it is consumed here.
            Stolen::StackJob(job) => unsafe { JobHeader::run(job, at) },
            Stolen::HeapJob { scope, scope_ref, job } => {
                shared_jobs.run_jobs(scope, scope_ref, job, at, idle);
            }
        }
        guard.disarm();
    }
}

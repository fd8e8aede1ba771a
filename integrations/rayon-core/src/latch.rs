//! Waiting until a number of jobs have ended.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Counts jobs that have not ended.
#[derive(Clone, Default)]
pub(crate) struct Latch(Arc<State>);

#[derive(Default)]
struct State {
    jobs: Mutex<usize>,
    ended: Condvar,
}

/// One job. Dropping it ends the job, so it ends also if it panics or is never run.
pub(crate) struct Job(Arc<State>);

impl Latch {
    /// Counts a job.
    pub(crate) fn job(&self) -> Job {
        *self.0.jobs.lock() += 1;
        Job(Arc::clone(&self.0))
    }

    /// Waits until every job has ended. A worker lets another thread take its place meanwhile.
    pub(crate) fn wait(&self) {
        if *self.0.jobs.lock() == 0 {
            return;
        }
        moirai_executor::block_in_place(|| {
            let mut jobs = self.0.jobs.lock();
            self.0.ended.wait_while(&mut jobs, |jobs| *jobs > 0);
        });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut jobs = self.0.jobs.lock();
        *jobs -= 1;
        if *jobs == 0 {
            self.0.ended.notify_all();
        }
    }
}

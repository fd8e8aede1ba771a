//! The latch of jobs that run elsewhere.

use std::sync::Arc;

use moirai_sync::Unparker;
use parking_lot::Mutex;

use crate::fork_join::latch::Latch;

/// The latch that is set when all jobs have ended.
#[derive(Default)]
pub(super) struct JobsEnded(Arc<Mutex<JobsLeft>>);

#[derive(Default)]
struct JobsLeft {
    jobs: usize,
    sleeper: Option<Unparker>,
}

/// A job that has not ended. Dropping it ends the job.
pub(super) struct CountedJob(Arc<Mutex<JobsLeft>>);

impl JobsEnded {
    /// Counts a job.
    pub(super) fn job(&self) -> CountedJob {
        self.0.lock().jobs += 1;
        CountedJob(Arc::clone(&self.0))
    }
}

impl Drop for CountedJob {
    fn drop(&mut self) {
        let mut left = self.0.lock();
        left.jobs -= 1;
        let sleeper = if left.jobs == 0 { left.sleeper.take() } else { None };
        drop(left);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }
}

impl Latch for JobsEnded {
    fn is_set(&self) -> bool {
        self.0.lock().jobs == 0
    }

    fn set_waker(&self, unparker: Unparker) {
        let mut left = self.0.lock();
        if left.jobs > 0 {
            left.sleeper = Some(unparker);
        }
    }

    fn clear_waker(&self) {
        let sleeper = self.0.lock().sleeper.take();
        drop(sleeper);
    }
}

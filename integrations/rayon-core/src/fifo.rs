//! Jobs that a thread spawns to run in the order in which they were spawned, in a pool whose workers run the newest first.
//!
//! Each worker has a queue of such jobs. For each job a task is spawned that takes the oldest of that queue, whichever task it is.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::erase::Erased;

/// A queue of jobs, oldest first.
#[derive(Default)]
pub(crate) struct Fifo(Mutex<VecDeque<Erased>>);

impl Fifo {
    pub(crate) fn push(&self, job: Erased) {
        self.0.lock().push_back(job);
    }

    /// Runs the oldest job. Each push allows for one call.
    pub(crate) fn run_oldest(&self) {
        let job = self.0.lock().pop_front();
        if let Some(job) = job {
            job();
        }
    }
}

/// A queue for each worker.
pub(crate) struct Fifos(Box<[Fifo]>);

impl Fifos {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Fifo::default()).collect())
    }

    pub(crate) fn of(&self, worker: usize) -> &Fifo {
        &self.0[worker]
    }
}

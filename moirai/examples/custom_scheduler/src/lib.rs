//! A scheduler that runs the job first that is expected to take the shortest time.
//!
//! On one worker, no other order makes jobs that are all there at the start wait less on average (Smith, 1956). The price is that
//! long jobs can wait forever while short ones keep coming. A job whose time is not known counts as short.
//!
//! ```
//! use moirai::Moirai;
//! use shortest_job_first::ShortestJobFirst;
//! use std::time::Duration;
//!
//! let executor = Moirai::builder().worker_threads(1).scheduler(ShortestJobFirst::new()).build()?;
//! let report = executor.task().expected_duration(Duration::from_millis(50)).spawn_parallel(|| "long");
//! let lookup = executor.task().expected_duration(Duration::from_micros(10)).spawn_parallel(|| "short");
//! assert_eq!((report.join().unwrap(), lookup.join().unwrap()), ("long", "short"));
//! # Ok::<(), moirai::BuildError>(())
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moirai::Priority;
use moirai::scheduler::{
    Guarantees, LocalQueue, Order, QueueReason, Schedulable, Scheduler, Visibility,
};

/// A scheduler that runs short jobs first.
pub struct ShortestJobFirst<T>(Arc<Mutex<Jobs<T>>>);

/// The local queue of a worker. All workers share one queue.
pub struct Local<T>(Arc<Mutex<Jobs<T>>>);

/// The jobs that wait, by their expected duration, and among equal ones in the order in which they came.
struct Jobs<T> {
    waiting: BTreeMap<(Duration, u64), T>,
    came: u64,
}

impl<T> ShortestJobFirst<T> {
    /// Creates a scheduler without jobs.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Jobs { waiting: BTreeMap::new(), came: 0 })))
    }
}

impl<T> Default for ShortestJobFirst<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn lock<T>(jobs: &Mutex<Jobs<T>>) -> MutexGuard<'_, Jobs<T>> {
    // No code panics while it holds the lock, so a poisoned lock is in order.
    jobs.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Schedulable> Jobs<T> {
    fn push(&mut self, job: T) -> Visibility {
        self.came += 1;
        let expected = job.expected_duration().unwrap_or_default();
        self.waiting.insert((expected, self.came), job);
        Visibility::Shared
    }

    fn pop(&mut self) -> Option<T> {
        self.waiting.pop_first().map(|(_, job)| job)
    }
}

impl<T: Schedulable> Scheduler<T> for ShortestJobFirst<T> {
    type Local = Local<T>;

    fn start(&self, workers: usize) -> Vec<Local<T>> {
        (0..workers).map(|_| Local(Arc::clone(&self.0))).collect()
    }

    fn push(&self, job: T, _: Priority) -> Visibility {
        lock(&self.0).push(job)
    }

    fn take(&self) -> Option<T> {
        lock(&self.0).pop()
    }

    fn len(&self) -> usize {
        lock(&self.0).waiting.len()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::none().order(Order::ByKey(|job, _| {
            let expected = job.expected_duration().unwrap_or_default();
            u64::try_from(expected.as_nanos()).unwrap_or(u64::MAX)
        }))
    }
}

impl<T: Schedulable> LocalQueue<T> for Local<T> {
    fn push(&mut self, job: T, _: Priority, _: QueueReason) -> Visibility {
        lock(&self.0).push(job)
    }

    fn pop(&mut self) -> Option<T> {
        lock(&self.0).pop()
    }
}

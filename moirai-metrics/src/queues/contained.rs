//! What is taken from a source of queues, which is foreign code.

use std::collections::HashSet;
use std::sync::Arc;

use moirai_core::panics::contain;
#[cfg(feature = "page")]
use moirai_core::text::MAX_MESSAGE_BYTES;
use moirai_core::text::{MAX_NAME_BYTES, cut};

#[cfg(feature = "page")]
use super::source::DeadJob;
use super::source::{QueueSource, QueueStats};

/// The largest number of queues.
pub(crate) const QUEUES: usize = 100;

/// The largest number of dead jobs in one list.
#[cfg(feature = "page")]
pub(crate) const DEAD_JOBS: usize = 100;

/// A source of queues whose panics end here, and of which no more is taken than the limits.
pub(crate) struct ContainedSource {
    /// `None` only while this is dropped.
    source: Option<Arc<dyn QueueSource>>,
}

impl ContainedSource {
    pub(crate) fn new(source: Arc<dyn QueueSource>) -> Self {
        Self { source: Some(source) }
    }

    /// Returns the queues, as many as are shown. `None` if the source has panicked.
    pub(crate) fn stats(&self) -> Option<Vec<QueueStats>> {
        let mut queues = self.ask(QueueSource::queues)?;
        queues.truncate(QUEUES);
        let mut names = HashSet::new();
        queues.retain_mut(|queue| {
            shorten(&mut queue.name, MAX_NAME_BYTES);
            names.insert(Arc::clone(&queue.name))
        });
        Some(queues)
    }

    /// Returns the newest dead jobs of a queue. `None` if the source has panicked.
    #[cfg(feature = "page")]
    pub(crate) fn dead(&self, queue: &str, limit: usize) -> Option<Vec<DeadJob>> {
        let limit = limit.min(DEAD_JOBS);
        let mut jobs = self.ask(|source| source.dead_jobs(queue, limit))?;
        jobs.truncate(limit);
        let mut ids = HashSet::new();
        jobs.retain_mut(|job| {
            shorten(&mut job.id, MAX_NAME_BYTES);
            shorten(&mut job.error, MAX_MESSAGE_BYTES);
            ids.insert(Arc::clone(&job.id))
        });
        Some(jobs)
    }

    /// Asks for another round of attempts. Returns whether the source has accepted that, and `None` if it has panicked.
    #[cfg(feature = "page")]
    pub(crate) fn retry(&self, queue: &str, id: &str) -> Option<bool> {
        self.ask(|source| source.retry(queue, id))
    }

    /// Calls the source. `None` if it panics.
    fn ask<T>(&self, question: impl FnOnce(&dyn QueueSource) -> T) -> Option<T> {
        let source = self.source.as_deref()?;
        let mut answer = None;
        contain(|| answer = Some(question(source)));
        answer
    }
}

impl Drop for ContainedSource {
    fn drop(&mut self) {
        // This may be the last reference, and its destructor is foreign code, too.
        contain(|| drop(self.source.take()));
    }
}

fn shorten(text: &mut Arc<str>, limit: usize) {
    if text.len() > limit {
        *text = cut(text, limit).into();
    }
}

#[cfg(all(test, feature = "page", not(moirai_loom)))]
mod tests {
    use super::*;

    /// Returns more than is taken, with texts that are one byte too long, and panics if it is asked to retry something.
    struct Excessive;

    fn long(limit: usize, first: usize) -> String {
        // The limit is in the middle of the last character that would have room.
        format!("{first:06}{}ä", "x".repeat(limit - 7))
    }

    impl QueueSource for Excessive {
        fn queues(&self) -> Vec<QueueStats> {
            (0..3 * QUEUES).map(|n| QueueStats::new(long(MAX_NAME_BYTES, n / 2))).collect()
        }

        fn dead_jobs(&self, _: &str, limit: usize) -> Vec<DeadJob> {
            let job = |n| DeadJob::new(long(MAX_NAME_BYTES, n), long(MAX_MESSAGE_BYTES, n));
            (0..limit + 7).map(job).collect()
        }

        fn retry(&self, _: &str, _: &str) -> bool {
            panic!("expected by the test")
        }
    }

    impl Drop for Excessive {
        fn drop(&mut self) {
            panic!("expected by the test, too")
        }
    }

    #[test]
    fn no_more_is_taken_than_the_limits_and_each_name_once() {
        let queues = ContainedSource::new(Arc::new(Excessive));
        let stats = queues.stats().unwrap();
        assert_eq!(stats.len(), QUEUES / 2, "each was there twice");
        assert!(stats.iter().all(|queue| queue.name.len() == MAX_NAME_BYTES - 1));
        assert!(
            stats.iter().enumerate().all(|(n, queue)| queue.name.starts_with(&format!("{n:06}x")))
        );
        for (limit, taken) in [(3, 3), (0, 0), (usize::MAX - 7, DEAD_JOBS)] {
            let jobs = queues.dead("any", limit).unwrap();
            assert_eq!(jobs.len(), taken);
            assert!(jobs.iter().all(|job| job.id.len() == MAX_NAME_BYTES - 1));
            assert!(jobs.iter().all(|job| job.error.len() == MAX_MESSAGE_BYTES - 1));
        }
    }

    #[test]
    fn panics_of_the_source_and_of_its_destructor_end_here() {
        let queues = ContainedSource::new(Arc::new(Excessive));
        assert_eq!(queues.retry("any", "any"), None);
        assert!(queues.stats().is_some());
        drop(queues);
    }
}

//! Queues of durable jobs: what is taken from their source, which is foreign code, and the same as JSON.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moirai_core::panics::contain;
use moirai_core::text::{MAX_MESSAGE_BYTES, MAX_NAME_BYTES, cut};
use serde_json::{Value, json};

use super::limits::{DEAD_JOBS, QUEUES};
use super::record;
use crate::queues::{DeadJob, QueueSource, QueueStats};

/// A source of queues. Its panics end here.
pub(super) struct Queues {
    /// `None` only while this is dropped.
    source: Option<Arc<dyn QueueSource>>,
}

impl Queues {
    pub(super) fn new(source: Arc<dyn QueueSource>) -> Self {
        Self { source: Some(source) }
    }

    /// Returns the queues, as many as are shown. `None` if the source has panicked.
    pub(super) fn stats(&self) -> Option<Vec<QueueStats>> {
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
    pub(super) fn dead(&self, queue: &str, limit: usize) -> Option<Vec<DeadJob>> {
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
    pub(super) fn retry(&self, queue: &str, id: &str) -> Option<bool> {
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

impl Drop for Queues {
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

/// Returns queues as JSON.
pub(super) fn queues(queues: &[QueueStats]) -> Value {
    let queue = |of: &QueueStats| {
        json!({
            "name": &*of.name,
            "waiting": of.waiting,
            "scheduled": of.scheduled,
            "running": of.running,
            "retrying": of.retrying,
            "done": of.done,
            "dead": of.dead,
            "oldest": of.oldest_waiting.map(record::nanos),
        })
    };
    queues.iter().map(queue).collect()
}

/// Returns dead jobs as JSON. A job is older than the executor, perhaps, so its time is in seconds since 1970; its age spares the
/// browser, whose clock is another, to compute it.
pub(super) fn dead(jobs: &[DeadJob], now: SystemTime) -> Value {
    let job = |of: &DeadJob| {
        json!({
            "id": &*of.id,
            "error": &*of.error,
            "attempts": of.attempts,
            "died": of.died_at.map(unix_seconds),
            "age": of.died_at.map(|at| record::nanos(now.duration_since(at).unwrap_or_default())),
        })
    };
    jobs.iter().map(job).collect()
}

fn unix_seconds(at: SystemTime) -> f64 {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let before = |error: std::time::SystemTimeError| -seconds(error.duration());
    at.duration_since(SystemTime::UNIX_EPOCH).map_or_else(before, seconds)
}

#[cfg(all(test, not(moirai_loom)))]
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
        let queues = Queues::new(Arc::new(Excessive));
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
        let queues = Queues::new(Arc::new(Excessive));
        assert_eq!(queues.retry("any", "any"), None);
        assert!(queues.stats().is_some());
        drop(queues);
    }

    #[test]
    fn times_before_1970_and_in_the_future_are_told() {
        let at = |seconds: i64| {
            let distance = Duration::from_secs(seconds.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            if seconds < 0 { epoch - distance } else { epoch + distance }
        };
        let job = |died_at| DeadJob { died_at, ..DeadJob::new("7", "on fire") };
        let jobs = [job(None), job(Some(at(-5))), job(Some(at(90))), job(Some(at(110)))];
        let json = dead(&jobs, at(100));
        let of = |field: &str| {
            json.as_array().unwrap().iter().map(|job| job[field].as_f64()).collect::<Vec<_>>()
        };
        assert_eq!(of("died"), [None, Some(-5.0), Some(90.0), Some(110.0)]);
        assert_eq!(of("age"), [None, Some(105e9), Some(10e9), Some(0.0)]);
    }
}

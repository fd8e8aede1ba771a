//! Queues of durable jobs for tests of the page, in memory, and with names and errors that somebody may have chosen with bad intent.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use moirai::metrics::{DeadJob, QueueSource, QueueStats};

use super::ON_PURPOSE;

pub(crate) const SCRIPT: &str = "<script>alert(1)</script>";

/// Has quotes, ends of lines of several kinds, and what a label, JSON, HTML and an address give a meaning to.
pub(crate) const HOSTILE: &str =
    "a \"quoted\" \\ name\nof & two=lines?\r\0 \u{2028}%41+#</title>ä}";

/// One queue whose name is hostile, with two dead jobs, and one without jobs. It panics while it is told to.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    retried: Vec<String>,
    is_broken: bool,
}

impl Jobs {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on, every question panics, or none.
    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.0.lock().unwrap().is_broken = is_broken;
    }

    /// Returns the ids of the jobs that were retried.
    pub(crate) fn retried(&self) -> Vec<String> {
        self.0.lock().unwrap().retried.clone()
    }

    fn dead(&self) -> Vec<DeadJob> {
        let retried = self.retried();
        let mut job = DeadJob::new("01J <b>7</b>", format!("{SCRIPT}\n{HOSTILE}"));
        job.attempts = 5;
        job.died_at = Some(SystemTime::now() - Duration::from_secs(90));
        let other = DeadJob::new("01J 8&id=9", "on fire");
        [job, other].into_iter().filter(|job| !retried.iter().any(|id| **id == *job.id)).collect()
    }

    fn look(&self) {
        let is_broken = self.0.lock().unwrap().is_broken;
        assert!(!is_broken, "{ON_PURPOSE}");
    }
}

impl QueueSource for Jobs {
    fn queues(&self) -> Vec<QueueStats> {
        self.look();
        let dead = self.dead().len() as u64;
        let mut hostile = QueueStats::new(HOSTILE);
        hostile.waiting = 1_234;
        hostile.cancelled = 6;
        hostile.scheduled = 2;
        hostile.running = 3;
        hostile.retrying = 4;
        hostile.done = 5;
        hostile.dead = dead;
        hostile.oldest_waiting = Some(Duration::from_millis(1_500));
        vec![hostile, QueueStats::new(SCRIPT)]
    }

    fn dead_jobs(&self, queue: &str, limit: usize) -> Vec<DeadJob> {
        self.look();
        let dead = if queue == HOSTILE { self.dead() } else { Vec::new() };
        dead.into_iter().take(limit).collect()
    }

    fn retry(&self, queue: &str, id: &str) -> bool {
        self.look();
        let is_dead = queue == HOSTILE && self.dead().iter().any(|job| &*job.id == id);
        if is_dead {
            self.0.lock().unwrap().retried.push(id.to_owned());
        }
        is_dead
    }
}

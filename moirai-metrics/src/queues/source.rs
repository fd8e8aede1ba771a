//! What queues of durable jobs let others see, for code that does not know where the jobs are stored.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Queues of durable jobs, which the live page of the feature `page` shows beside an executor's tasks.
///
/// A *job* outlives the process that has accepted it, because it is stored in a database. It is attempted several times if need be; one
/// whose last attempt has failed is *dead*, until somebody asks for further attempts or deletes it.
///
/// # What an implementation must keep to
///
/// The methods are called on the one thread that serves all readers of the page, and `queues` twice a second while there is a reader.
/// So they must not block, and must not query a database: keep a snapshot, refresh it in the background, and return copies of what is in
/// it. Likewise, `retry` hands the request to whoever carries it out.
///
/// A panic is contained. The request that has led to it is answered with status 500; the page says that the queues cannot be read, and
/// asks again five seconds later.
///
/// # What is taken
///
/// The first 100 queues, and of dead jobs at most 100 at a time. Names of queues and ids of jobs are cut to 256 bytes, and errors to
/// 1,024. The names of queues, and the ids in one list, must differ: of several that are the same, also after they were cut, the first
/// is taken.
///
/// ```
/// use moirai_metrics::{DeadJob, QueueSource, QueueStats};
/// use std::sync::Mutex;
///
/// /// What a thread that asks the database has found lately.
/// struct Latest {
///     queues: Vec<QueueStats>,
///     dead: Vec<DeadJob>,
///     to_retry: Vec<String>,
/// }
///
/// struct Mail(Mutex<Latest>);
///
/// impl QueueSource for Mail {
///     fn queues(&self) -> Vec<QueueStats> {
///         self.0.lock().unwrap().queues.clone()
///     }
///
///     fn dead_jobs(&self, queue: &str, limit: usize) -> Vec<DeadJob> {
///         let latest = self.0.lock().unwrap();
///         latest.dead.iter().filter(|_| queue == "mail").take(limit).cloned().collect()
///     }
///
///     fn retry(&self, queue: &str, id: &str) -> bool {
///         let mut latest = self.0.lock().unwrap();
///         let is_dead = queue == "mail" && latest.dead.iter().any(|job| &*job.id == id);
///         if is_dead {
///             latest.to_retry.push(id.to_owned());
///         }
///         is_dead
///     }
/// }
/// ```
pub trait QueueSource: Send + Sync + 'static {
    /// Returns the queues, in the order in which they are to be shown.
    fn queues(&self) -> Vec<QueueStats>;

    /// Returns dead jobs of a queue, at most `limit`, and the one that has died last first. If there is no such queue, it returns none.
    fn dead_jobs(&self, queue: &str, limit: usize) -> Vec<DeadJob>;

    /// Asks for another round of attempts of a dead job. Returns whether that was accepted: `false` if there is no such job, if it is
    /// not dead, or if too many requests wait to be carried out.
    ///
    /// It is called only if the page may retry jobs, and only for a request that has the page's token. Each request has come from a
    /// client, so `queue` and `id` may be any text.
    fn retry(&self, queue: &str, id: &str) -> bool;
}

/// One queue of durable jobs, as it was when the source has looked last. A job is in one of these seven states, or in none if its storage
/// has others, in which a job needs nothing more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// The queue's name, which is any text.
    pub name: Arc<str>,
    /// The number of jobs that are ready for their first attempt.
    pub waiting: u64,
    /// The number of jobs whose first attempt is not due yet.
    pub scheduled: u64,
    /// The number of jobs that a worker attempts now.
    pub running: u64,
    /// The number of jobs whose last attempt has failed, and that wait for the next one.
    pub retrying: u64,
    /// The number of jobs that have succeeded, and are still stored.
    pub done: u64,
    /// The number of jobs that were given up, and are still stored.
    pub dead: u64,
    /// The number of jobs that were cancelled, and are still stored.
    pub cancelled: u64,
    /// How long the oldest of the waiting jobs has been waiting; `None` if none waits, or if that is not known.
    pub oldest_waiting: Option<Duration>,
}

impl QueueStats {
    /// Creates the numbers of a queue without jobs.
    ///
    /// ```
    /// let mut mail = moirai_metrics::QueueStats::new("mail");
    /// mail.waiting = 12;
    /// mail.oldest_waiting = Some(std::time::Duration::from_secs(3));
    /// ```
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A durable job that was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJob {
    /// The job's id, by which [`QueueSource::retry`] finds it.
    pub id: Arc<str>,
    /// Why the last attempt has failed, which is any text.
    pub error: Arc<str>,
    /// The number of attempts.
    pub attempts: u64,
    /// When it was given up; `None` if that is not known.
    pub died_at: Option<SystemTime>,
}

impl DeadJob {
    /// Creates a dead job, with no attempts, and given up at an unknown time.
    ///
    /// ```
    /// let mut job = moirai_metrics::DeadJob::new("01JX5T", "the mailbox is full");
    /// job.attempts = 5;
    /// job.died_at = Some(std::time::SystemTime::now());
    /// ```
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, error: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), error: error.into(), ..Self::default() }
    }
}

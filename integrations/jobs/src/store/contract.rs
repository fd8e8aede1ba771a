//! What a storage does. Each keeps jobs in the tables of `apalis`, so that the tools for those read them.
//!
//! # The protocol
//!
//! A *consumer* is one queue's loop in one process, with a name that no other has. It has a *lease*: as long as it says within the
//! lease's length that it is alive, the jobs that it has taken are its own. When it is silent for longer, any other consumer of the
//! queue takes them over: they wait again, with one attempt more, and those that have no further attempt are dead.
//!
//! Each request that ends a job names the consumer, and does nothing if the job is no longer that consumer's. So a consumer that was
//! silent for too long, and goes on, cannot end what others have taken over, and learns of its loss by the next heartbeat.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::record::{JobRecord, JobState, QueueStats};
use crate::{Error, JobId};

/// The answer of a storage.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The error of an attempt whose consumer was silent for too long.
pub(crate) const SILENT: &str = "its consumer has fallen silent";

/// A job to be pushed.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) id: JobId,
    pub(crate) payload: Vec<u8>,
    /// In seconds since 1970; `None` for now.
    pub(crate) run_at: Option<u64>,
    pub(crate) max_attempts: u32,
    pub(crate) priority: u32,
    pub(crate) key: Option<String>,
}

/// A job that a consumer has taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) id: JobId,
    pub(crate) payload: Vec<u8>,
    /// The number of attempts that have ended.
    pub(crate) attempts: u32,
    pub(crate) max_attempts: u32,
    pub(crate) key: Option<String>,
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: JobId,
    /// The number of this attempt, the first being one.
    pub(crate) attempt: u32,
    pub(crate) outcome: Outcome,
}

/// How an attempt has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Another attempt follows after the delay.
    Retry {
        error: String,
        after: Duration,
    },
    /// This was the last attempt.
    Exhausted {
        error: String,
    },
    /// No attempt could end better.
    Permanent {
        error: String,
    },
    /// The job is to be taken again, as if it had not been taken.
    GivenBack,
}

/// One consumer of a queue.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) queue: String,
    pub(crate) name: String,
    /// How long a consumer may be silent.
    pub(crate) lease: Duration,
}

/// Which jobs are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) queue: Option<String>,
    pub(crate) state: Option<JobState>,
    /// Only jobs that were pushed before this one.
    pub(crate) before: Option<JobId>,
    pub(crate) limit: u32,
}

/// A storage of jobs.
pub(crate) trait Store: Send + Sync + 'static {
    /// Stores jobs. Returns the ids: of a job whose key was there already, the id that has it.
    fn push<'a>(&'a self, queue: &'a str, jobs: &'a [NewJob]) -> Answer<'a, Vec<JobId>>;

    /// Stores how attempts have ended, and takes up to `want` jobs.
    fn exchange<'a>(
        &'a self,
        consumer: &'a Consumer,
        ended: &'a [Ended],
        want: u32,
    ) -> Answer<'a, Vec<Taken>>;

    /// Says that the consumer is alive, takes over the jobs of those that are not, gives back the jobs in `release`, and returns which
    /// jobs are this consumer's.
    fn heartbeat<'a>(
        &'a self,
        consumer: &'a Consumer,
        release: &'a [JobId],
    ) -> Answer<'a, Vec<JobId>>;

    /// Says that the consumer has ended, and gives back what it still has.
    fn leave<'a>(&'a self, consumer: &'a Consumer) -> Answer<'a, ()>;

    /// Tells the consumer of a queue of what other processes push, as long as the future is polled. It ends with an error when the
    /// connection is lost, and never if the storage does not tell.
    fn listen<'a>(&'a self, queue: &'a str, pushed: mpsc::Sender<()>) -> Answer<'a, ()> {
        let _ = (queue, pushed);
        Box::pin(std::future::pending())
    }

    /// Finds a job.
    fn find(&self, id: JobId) -> Answer<'_, Option<JobRecord>>;

    /// Lists jobs, the newest first.
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobRecord>>;

    /// Counts the jobs of each queue.
    fn queues(&self) -> Answer<'_, Vec<QueueStats>>;

    /// Cancels a job that has not ended.
    fn cancel(&self, id: JobId) -> Answer<'_, bool>;

    /// Has a job that is dead or cancelled, or waits for its next attempt, be taken now. Its attempts start anew.
    fn retry(&self, id: JobId) -> Answer<'_, bool>;

    /// Moves up to a thousand dead jobs of a queue, at least, to another one, where they wait with all their attempts before them. Those
    /// whose key is there already stay. Returns how many were moved.
    fn move_dead<'a>(&'a self, from: &'a str, to: &'a str) -> Answer<'a, u64>;

    /// Deletes up to a thousand jobs that have ended in this state, before that time. `queue` limits them to a queue.
    fn purge<'a>(
        &'a self,
        queue: Option<&'a str>,
        state: JobState,
        before: SystemTime,
    ) -> Answer<'a, u64>;
}

/// The seconds since 1970 of a time.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The first second at which this time has come.
pub(crate) fn seconds_up(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() + u64::from(since.subsec_nanos() > 0))
}

//! What the storage says of a job.

use std::fmt;
use std::time::SystemTime;

use moirai::TaskStats;

use crate::JobId;

/// The state of a job in the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// It waits for a free place.
    Waiting,
    /// It waits for its time.
    Scheduled,
    /// A consumer has it.
    Running,
    /// An attempt has failed, and another one follows.
    Retrying,
    /// It has ended well.
    Done,
    /// It was given up: all attempts have failed, or one in a way that no other can mend. Such a job is a *dead letter*.
    Dead,
    /// It was cancelled, by [`Jobs::cancel`](crate::Jobs::cancel).
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Scheduled,
        Self::Running,
        Self::Retrying,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Returns the name: `waiting`, `scheduled`, `running`, `retrying`, `done`, `dead` or `cancelled`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether the job has ended: it is done, dead or cancelled.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the storage says of a job. Times are those of the storage or of the process that wrote them, in whole seconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobRecord {
    /// The id.
    pub id: JobId,
    /// The name of the queue.
    pub queue: String,
    /// The state.
    pub state: JobState,
    /// The number of attempts that have ended, without those that were given back. An attempt whose process has died counts.
    pub attempts: u32,
    /// The largest number of attempts.
    pub max_attempts: u32,
    /// The priority: jobs with a higher one are taken first.
    pub priority: u32,
    /// When the job may be taken, first or again.
    pub run_at: SystemTime,
    /// When the last attempt has ended, or the job was cancelled.
    pub ended_at: Option<SystemTime>,
    /// When the consumer that has the job, or had it last, took it.
    pub taken_at: Option<SystemTime>,
    /// The consumer that has the job, or had it last: the queue, the id of the process, and an id of its own.
    pub consumer: Option<String>,
    /// The error of the last attempt.
    pub error: Option<String>,
    /// The idempotency key.
    pub key: Option<String>,
    /// The payload, as JSON.
    pub payload: Vec<u8>,
}

/// A job, and the tasks that were its attempts in this process; see [`Jobs::status`](crate::Jobs::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobStatus {
    /// What the storage says.
    pub record: JobRecord,
    /// The records of the attempts that run in this process, or ran there not too long ago, the oldest first.
    pub attempts: Vec<TaskStats>,
}

impl JobStatus {
    /// Returns the task that runs the job in this process, with its progress, worker and busy time.
    #[must_use]
    pub fn running(&self) -> Option<&TaskStats> {
        self.attempts.iter().rfind(|task| task.status.is_active())
    }
}

/// The numbers of jobs of a queue, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// The name of the queue.
    pub name: String,
    /// The number of jobs that wait for a free place.
    pub waiting: u64,
    /// The number of jobs that wait for their time.
    pub scheduled: u64,
    /// The number of jobs that a consumer has.
    pub running: u64,
    /// The number of jobs that have failed, and that another attempt follows.
    pub retrying: u64,
    /// The number of jobs that have ended well and were not purged.
    pub done: u64,
    /// The number of jobs that were given up.
    pub dead: u64,
    /// The number of jobs that were cancelled and were not purged.
    pub cancelled: u64,
    /// Since when the oldest waiting job could be taken.
    pub oldest_waiting: Option<SystemTime>,
}

impl QueueStats {
    pub(crate) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Returns the number of jobs in a state.
    #[must_use]
    pub const fn count(&self, state: JobState) -> u64 {
        match state {
            JobState::Waiting => self.waiting,
            JobState::Scheduled => self.scheduled,
            JobState::Running => self.running,
            JobState::Retrying => self.retrying,
            JobState::Done => self.done,
            JobState::Dead => self.dead,
            JobState::Cancelled => self.cancelled,
        }
    }

    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) const fn add(&mut self, state: JobState, jobs: u64) {
        let count = match state {
            JobState::Waiting => &mut self.waiting,
            JobState::Scheduled => &mut self.scheduled,
            JobState::Running => &mut self.running,
            JobState::Retrying => &mut self.retrying,
            JobState::Done => &mut self.done,
            JobState::Dead => &mut self.dead,
            JobState::Cancelled => &mut self.cancelled,
        };
        *count += jobs;
    }
}

//! Durable jobs, run by the tasks of a [Moirai](moirai) executor.
//!
//! A task ends with its process. A *job* is kept in a storage until it has ended: in a file, or in a server that many machines share.
//! Each attempt at it is a task, with all that Moirai keeps of tasks. The tables are those of `apalis`, so that what reads
//! those reads these jobs, too.
//!
//! ```no_run
//! use moirai::prelude::*;
//! use moirai_jobs::{Job, Jobs};
//!
//! # async fn example(moirai: &Moirai) -> Result<(), Box<dyn std::error::Error>> {
//! let jobs = Jobs::sqlite("jobs.db").await?;
//! let greetings = jobs.queue::<String>("greet").concurrency(8);
//! let id = greetings.push(&"Ada".to_owned()).await?;
//! let consumer = greetings.run(moirai, |job: Job<String>| async move {
//!     println!("Good morning, {}.", job.payload);
//!     Ok::<_, std::io::Error>(())
//! })?;
//! println!("{:?}", jobs.status(id).await?);
//! consumer.detach();
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - A job whose push has returned is run **at least once**, whatever process is killed, as long as the storage keeps what it has
//!   committed, a consumer of its queue runs, and its attempts are not used up.
//! - It may be run more than once, even at the same time, if a consumer is killed, or is silent for longer than its
//!   [lease](Queue::lease). What must have its effect once uses the job's [key](Job::idempotency_key).
//! - What ends or gives back a job counts once: a consumer that was silent for too long cannot change what others have taken over.
//! - A drain gives back what has not ended, at once, and no attempt is counted.
//! - No order: jobs of one queue are taken by priority, and then by time, but run side by side.
#![forbid(unsafe_code)]

mod consumer;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/src/guide/durable-jobs.md")]
mod durable_jobs {}
mod error;
mod id;
mod job;
mod jobs;
mod monitor;
mod queue;
mod record;
mod retries;
#[cfg(feature = "cron")]
mod schedule;
mod settings;
mod shared;
mod store;

pub use crate::consumer::{Consumer, Drained};
pub use crate::error::{Error, Permanent};
pub use crate::id::JobId;
pub use crate::job::Job;
pub use crate::jobs::{Jobs, ListJobs};
pub use crate::monitor::Monitor;
pub use crate::queue::{PushJob, Queue};
pub use crate::record::{JobRecord, JobState, JobStatus, QueueStats};
#[cfg(feature = "cron")]
pub use crate::schedule::Schedule;

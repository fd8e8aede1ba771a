//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use moirai_jobs::{JobId, JobState};

/// Looks at durable jobs, and retries, cancels, moves and deletes them.
///
/// Exit codes: 0 done; 1 if a job was not found or the storage failed; 2 for wrong arguments.
#[derive(Debug, Parser)]
#[command(name = "moirai-jobs", version)]
pub(crate) struct Options {
    /// Where the jobs are: the path of a SQLite file, postgres://… or redis://….
    #[arg(long, short, env = "MOIRAI_JOBS", value_name = "ADDRESS", hide_env_values = true)]
    pub(crate) storage: String,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Count the jobs of each queue.
    Queues,
    /// List jobs, the newest first.
    List {
        /// Of this queue.
        #[arg(long, short)]
        queue: Option<String>,
        /// In this state.
        #[arg(long)]
        state: Option<State>,
        /// That were pushed before this job: the last one of the list before.
        #[arg(long, value_name = "ID")]
        before: Option<JobId>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one job, with its payload and error.
    Show {
        /// The job.
        id: JobId,
    },
    /// Have jobs tried again that are dead, cancelled, or waiting for their next attempt.
    #[command(arg_required_else_help = true)]
    Retry {
        /// The jobs.
        ids: Vec<JobId>,
        /// All dead jobs of this queue, too.
        #[arg(long, short)]
        queue: Option<String>,
    },
    /// Cancel jobs that have not ended.
    Cancel {
        /// The jobs.
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Delete jobs that have ended.
    Purge {
        /// In this state.
        #[arg(long)]
        state: Ended,
        /// That have ended so long ago: 7d, 12h, 90s.
        #[arg(long, value_name = "DURATION")]
        older_than: humantime::Duration,
        /// Of this queue only.
        #[arg(long, short)]
        queue: Option<String>,
    },
    /// Move the dead jobs of a queue to another one, where they wait.
    MoveDead {
        /// The queue that has them.
        #[arg(long)]
        from: String,
        /// The queue that gets them.
        #[arg(long)]
        to: String,
    },
}

/// A state of a job.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    Waiting,
    Scheduled,
    Running,
    Retrying,
    Done,
    Dead,
    Cancelled,
}

/// A state of a job that has ended.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Ended {
    Done,
    Dead,
    Cancelled,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Scheduled => Self::Scheduled,
            State::Running => Self::Running,
            State::Retrying => Self::Retrying,
            State::Done => Self::Done,
            State::Dead => Self::Dead,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Ended> for JobState {
    fn from(state: Ended) -> Self {
        match state {
            Ended::Done => Self::Done,
            Ended::Dead => Self::Dead,
            Ended::Cancelled => Self::Cancelled,
        }
    }
}

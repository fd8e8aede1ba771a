//! The requests.

use std::time::SystemTime;

use redis::Script;
use tokio::sync::mpsc;

use super::super::contract::{
    Answer, Consumer, Ended, Filter, NewJob, Outcome, SILENT, Store, Taken, seconds,
};
use super::super::text;
use super::connection::Connection;
use super::row::{self, QueueRow, RecordRow, Row, TakenRow};
use super::scripts::Scripts;
use crate::record::{JobRecord, JobState, QueueStats};
use crate::{Error, JobId};

/// The largest number that the scripts, which compute with floating point, keep exactly.
const MOST: u64 = (1 << 53) - 1;
/// How many jobs a script moves, deletes or lets be taken, at the most. The server does nothing else meanwhile.
const BATCH: u64 = 1_000;

/// A server with jobs.
pub(crate) struct RedisStore {
    connection: Connection,
    scripts: Scripts,
}

impl RedisStore {
    /// Connects. Returns what to call the storage, too, without a password.
    pub(crate) async fn open(url: &str) -> Result<(Self, String), Error> {
        let (connection, storage) = Connection::open(url).await?;
        Ok((Self { connection, scripts: Scripts::new() }, storage))
    }

    async fn is_done(&self, script: &Script, id: JobId, result: &str) -> Result<bool, Error> {
        let mut script = script.prepare_invoke();
        script.arg(id.to_string()).arg(result);
        self.connection.invoke(&script).await
    }
}

/// The outcome as the scripts name it, the result, and after how many milliseconds to try again.
fn told(outcome: &Outcome) -> (&'static str, String, u64) {
    let (name, error, after) = match outcome {
        Outcome::Done => ("done", None, None),
        Outcome::Retry { error, after } => ("retry", Some(&**error), Some(after)),
        Outcome::Exhausted { error } => ("exhausted", Some(&**error), None),
        Outcome::Permanent { error } => ("permanent", Some(&**error), None),
        Outcome::GivenBack => ("given back", None, None),
    };
    // Less than a millisecond is some time, too.
    let after = after.map_or(0, |after| after.as_nanos().div_ceil(1_000_000));
    (name, text::result(error).to_string(), u64::try_from(after).unwrap_or(MOST).min(MOST))
}

impl Store for RedisStore {
    fn push<'a>(&'a self, queue: &'a str, jobs: &'a [NewJob]) -> Answer<'a, Vec<JobId>> {
        Box::pin(async move {
            if jobs.is_empty() {
                return Ok(Vec::new());
            }
            let mut script = self.scripts.push.prepare_invoke();
            script.arg(queue);
            for job in jobs {
                script
                    .arg(job.id.to_string())
                    .arg(&job.payload)
                    .arg(job.run_at.map_or_else(String::new, |at| at.min(MOST).to_string()))
                    .arg(job.max_attempts)
                    .arg(job.priority)
                    .arg(job.key.as_deref().unwrap_or_default());
            }
            let ids: Vec<String> = self.connection.invoke(&script).await?;
            ids.iter().map(|id| id.parse()).collect()
        })
    }

    fn exchange<'a>(
        &'a self,
        consumer: &'a Consumer,
        ended: &'a [Ended],
        want: u32,
    ) -> Answer<'a, Vec<Taken>> {
        Box::pin(async move {
            let mut script = self.scripts.exchange.prepare_invoke();
            script.arg(&consumer.queue).arg(&consumer.name).arg(want);
            for ended in ended {
                let (outcome, result, after) = told(&ended.outcome);
                script.arg(ended.id.to_string()).arg(outcome);
                script.arg(ended.attempt).arg(result).arg(after);
            }
            let rows: Vec<TakenRow> = self.connection.invoke(&script).await?;
            rows.into_iter().map(row::taken).collect()
        })
    }

    fn heartbeat<'a>(
        &'a self,
        consumer: &'a Consumer,
        release: &'a [JobId],
    ) -> Answer<'a, Vec<JobId>> {
        Box::pin(async move {
            let mut script = self.scripts.heartbeat.prepare_invoke();
            script.arg(&consumer.queue).arg(&consumer.name).arg(consumer.lease.as_secs_f64());
            script.arg(text::result(Some(SILENT)).to_string());
            for id in release {
                script.arg(id.to_string());
            }
            let held: Vec<String> = self.connection.invoke(&script).await?;
            held.iter().map(|id| id.parse()).collect()
        })
    }

    fn leave<'a>(&'a self, consumer: &'a Consumer) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut script = self.scripts.leave.prepare_invoke();
            script.arg(&consumer.queue).arg(&consumer.name);
            self.connection.invoke(&script).await
        })
    }

    fn listen<'a>(&'a self, queue: &'a str, pushed: mpsc::Sender<()>) -> Answer<'a, ()> {
        Box::pin(async move {
            let channel = format!("tasks:{queue}:active:available");
            self.connection.listen(&channel, pushed).await
        })
    }

    fn find(&self, id: JobId) -> Answer<'_, Option<JobRecord>> {
        Box::pin(async move {
            let script = self.scripts.find.arg(id.to_string());
            let found: Option<RecordRow> = self.connection.invoke(&script).await?;
            found.map(row::record).transpose()
        })
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobRecord>> {
        Box::pin(async move {
            let queue = filter.queue.as_deref().unwrap_or_default();
            if matches!(filter.state, Some(JobState::Waiting | JobState::Scheduled)) {
                let script = self.scripts.promote.arg(queue);
                while self.connection.invoke::<u64>(&script).await? >= BATCH {}
            }
            let mut script = self.scripts.list.prepare_invoke();
            script
                .arg(queue)
                .arg(filter.state.map_or("", JobState::name))
                .arg(filter.before.map_or_else(String::new, |id| id.to_string()))
                .arg(filter.limit.max(1));
            let rows: Vec<RecordRow> = self.connection.invoke(&script).await?;
            rows.into_iter().map(row::record).collect()
        })
    }

    fn queues(&self) -> Answer<'_, Vec<QueueStats>> {
        Box::pin(async move {
            let script = self.scripts.queues.prepare_invoke();
            let rows: Vec<QueueRow> = self.connection.invoke(&script).await?;
            let mut queues = Vec::new();
            for row in rows {
                row::count(&mut queues, row);
            }
            queues.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(queues)
        })
    }

    fn cancel(&self, id: JobId) -> Answer<'_, bool> {
        Box::pin(async move {
            let result = text::result(Some("cancelled")).to_string();
            self.is_done(&self.scripts.cancel, id, &result).await
        })
    }

    fn retry(&self, id: JobId) -> Answer<'_, bool> {
        Box::pin(async move { self.is_done(&self.scripts.retry, id, "").await })
    }

    /// Moves them in batches, so that others are served in between.
    fn move_dead<'a>(&'a self, from: &'a str, to: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let (mut all, mut after) = (0, String::new());
            loop {
                let mut script = self.scripts.move_dead.prepare_invoke();
                script.arg(from).arg(to).arg(&after);
                let Row((moved, last)): Row<(u64, String)> =
                    self.connection.invoke(&script).await?;
                all += moved;
                if last.is_empty() {
                    return Ok(all);
                }
                after = last;
            }
        })
    }

    fn purge<'a>(
        &'a self,
        queue: Option<&'a str>,
        state: JobState,
        before: SystemTime,
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            let mut script = self.scripts.purge.prepare_invoke();
            script.arg(queue.unwrap_or_default()).arg(state.name()).arg(seconds(before));
            self.connection.invoke(&script).await
        })
    }
}

//! Jobs in a file, by SQLite.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_sqlite::{SqliteStorage, queries};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row, Sqlite};

use super::contract::{Answer, Consumer, Ended, Filter, NewJob, SILENT, Store, Taken, seconds};
use super::held::Held;
use super::text;
use crate::record::{JobRecord, JobState, QueueStats};
use crate::{Error, JobId};

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(30);
/// How long to go on trying to open a file that other processes open for the first time, too.
const OPENING: Duration = Duration::from_secs(30);

/// How long to wait before such a file is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// The name of a job's state, as SQL.
const STATE: &str = r#"CASE status
    WHEN 'Pending' THEN iif(run_at <= unixepoch(), 'waiting', 'scheduled')
    WHEN 'Failed' THEN iif(attempts < max_attempts, 'retrying', 'dead')
    WHEN 'Done' THEN 'done'
    WHEN 'Killed' THEN iif(last_result = '{"Err":"cancelled"}', 'cancelled', 'dead')
    ELSE 'running' END"#;
const COLUMNS: &str = "id, job_type, attempts, max_attempts, priority, run_at, done_at, lock_at, lock_by, last_result, idempotency_key, job";

/// A file with jobs.
pub(crate) struct SqliteStore {
    /// One connection, since SQLite has one writer at a time.
    write: SqlitePool,
    read: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, or creates it.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let fails = |error: sqlx::Error| Error::open(path.display().to_string(), error);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was committed survives the end of the process, and of the system but for the last moments before a loss of power.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY);
        // Connections to a file need no replacement, and so no task that sees to it.
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(BUSY)
        };
        let started = SystemTime::now();
        let may_go_on = || started.elapsed().unwrap_or(OPENING) < OPENING;
        // The first connection gives the file its write-ahead log, and does not wait for one that does so, too.
        let write = loop {
            match pool(1).connect_with(options.clone()).await {
                Err(error) if is_locked(&error) && may_go_on() => {
                    moirai::time::sleep(AGAIN).await;
                }
                connected => break connected.map_err(fails)?,
            }
        };
        // Two processes that migrate at once hinder each other, and the slower one finds all done when it looks again.
        while let Err(error) = SqliteStorage::<()>::migrations().run(&write).await {
            if !is_race(&error) || !may_go_on() {
                return Err(Error::open(path.display().to_string(), error));
            }
            moirai::time::sleep(AGAIN).await;
        }
        let read = pool(2).connect_with(options).await.map_err(fails)?;
        Ok(Self { write, read })
    }

    /// Counts the jobs to take, by an index, and only as far as is needed.
    async fn due(&self, consumer: &Consumer, want: u32) -> Result<Due, Error> {
        if want == 0 {
            return Ok(Due::None);
        }
        let sql = "SELECT (SELECT count(*) FROM (
                 SELECT 1 FROM Jobs WHERE job_type = ?1 AND status = 'Pending' AND run_at <= unixepoch() LIMIT ?2))
             + EXISTS (
                 SELECT 1 FROM Jobs WHERE job_type = ?1 AND status = 'Failed' AND attempts < max_attempts AND run_at <= unixepoch())";
        let due: i64 =
            sqlx::query_scalar(sql).bind(&consumer.queue).bind(want).fetch_one(&self.read).await?;
        Ok(match due {
            0 => Due::None,
            due if due < i64::from(want) => Due::Few,
            _ => Due::Many,
        })
    }

    async fn begin(&self) -> Result<Held<Sqlite>, Error> {
        let mut connection = Held::new(self.write.acquire().await?);
        // A transaction that begins by reading fails when another one writes before it does.
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        Ok(connection)
    }
}

/// Ends a transaction. Without this, its connection is closed, which undoes it.
async fn commit(mut transaction: Held<Sqlite>) -> Result<(), Error> {
    sqlx::raw_sql("COMMIT").execute(&mut *transaction).await?;
    transaction.give_back();
    Ok(())
}

/// Whether another connection has locked the file.
fn is_locked(error: &sqlx::Error) -> bool {
    /// `SQLITE_BUSY`, which is also the lower byte of the codes that say more.
    const BUSY: u32 = 5;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

/// Whether a migration has failed because another process has just done it, or does it now.
fn is_race(error: &sqlx::migrate::MigrateError) -> bool {
    let text = error.to_string();
    ["already exists", "duplicate column", "locked", "UNIQUE constraint", "no such"]
        .iter()
        .any(|part| text.contains(part))
}

/// The lease in seconds, as `apalis` counts.
fn lease(consumer: &Consumer) -> i64 {
    i64::try_from(consumer.lease.as_secs()).unwrap_or(i64::MAX).max(1)
}

async fn end<'e, E>(executor: E, consumer: &Consumer, ended: &[Ended]) -> Result<(), Error>
where
    E: sqlx::Executor<'e, Database = Sqlite>,
{
    let rows = text::rows(ended).to_string();
    // The signs keep SQLite from going through all that the consumer has for each row, instead of finding the job by its id.
    sqlx::query(
        "WITH ended AS (
             SELECT value ->> 'id' AS id, value ->> 'status' AS status, value ->> 'attempt' AS attempt,
                    value ->> 'result' AS result, value ->> 'run_at' AS run_at
             FROM json_each(?1))
         UPDATE Jobs SET
             status = ended.status,
             attempts = coalesce(ended.attempt, attempts),
             last_result = coalesce(ended.result, last_result),
             run_at = coalesce(ended.run_at, Jobs.run_at),
             done_at = iif(ended.status = 'Pending', done_at, unixepoch()),
             lock_by = NULL
         FROM ended
         WHERE Jobs.id = ended.id AND +Jobs.lock_by = ?2 AND +Jobs.status IN ('Queued', 'Running')",
    )
    .bind(rows)
    .bind(&consumer.name)
    .execute(executor)
    .await?;
    Ok(())
}

/// How many jobs of a queue are due, up to a number that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    None,
    /// Fewer than that: an index on their times finds them among those that are scheduled for later.
    Few,
    /// That many at least: the first of an index in the order of priorities and times are due, and the others need no look. With a
    /// hundred thousand jobs waiting, that is 1 ms in the stead of 36.
    Many,
}

/// Takes jobs: which, and in which order, as in `apalis`.
async fn take<'e, E>(
    executor: E,
    consumer: &Consumer,
    want: u32,
    due: Due,
) -> Result<Vec<Taken>, Error>
where
    E: sqlx::Executor<'e, Database = Sqlite>,
{
    // The sign keeps SQLite from the index on times.
    let run_at = if due == Due::Many { "+run_at" } else { "run_at" };
    let sql = format!(
        "UPDATE Jobs SET status = 'Running', lock_by = ?1, lock_at = unixepoch()
         WHERE rowid IN (
             SELECT rowid FROM (
                 SELECT rowid, priority, run_at, id FROM (
                     SELECT rowid, priority, run_at, id FROM Jobs
                     WHERE job_type = ?2 AND status = 'Pending' AND lock_by IS NULL AND {run_at} <= unixepoch()
                     ORDER BY priority DESC, run_at, id LIMIT ?3)
                 UNION ALL
                 SELECT rowid, priority, run_at, id FROM (
                     SELECT rowid, priority, run_at, id FROM Jobs
                     WHERE job_type = ?2 AND status = 'Failed' AND attempts < max_attempts AND {run_at} <= unixepoch()
                     ORDER BY priority DESC, run_at, id LIMIT ?3)
                 ORDER BY 2 DESC, 3, 4 LIMIT ?3))
         RETURNING id, job, attempts, max_attempts, idempotency_key, priority, run_at"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(&consumer.name)
        .bind(&consumer.queue)
        .bind(want)
        .fetch_all(executor)
        .await?;
    let mut taken = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: JobId = row.try_get::<&str, _>("id")?.parse()?;
        let (priority, run_at): (i64, i64) = (row.try_get("priority")?, row.try_get("run_at")?);
        let job = Taken {
            id,
            payload: row.try_get("job")?,
            attempts: text::number(row.try_get("attempts")?),
            max_attempts: text::number(row.try_get("max_attempts")?),
            key: row.try_get("idempotency_key")?,
        };
        taken.push(((-priority, run_at, id), job));
    }
    // An update returns its rows in no order.
    taken.sort_unstable_by_key(|(rank, _)| *rank);
    Ok(taken.into_iter().map(|(_, job)| job).collect())
}

fn record(row: &SqliteRow) -> Result<JobRecord, Error> {
    let result: Option<String> = row.try_get("last_result")?;
    let result = result.and_then(|text| serde_json::from_str(&text).ok());
    let error = result.as_ref().and_then(text::error);
    Ok(JobRecord {
        id: row.try_get::<&str, _>("id")?.parse()?,
        queue: row.try_get("job_type")?,
        state: text::state(row.try_get("state")?)?,
        attempts: text::number(row.try_get("attempts")?),
        max_attempts: text::number(row.try_get("max_attempts")?),
        priority: text::number(row.try_get("priority")?),
        run_at: text::time(row.try_get("run_at")?),
        ended_at: row.try_get::<Option<i64>, _>("done_at")?.map(text::time),
        taken_at: row.try_get::<Option<i64>, _>("lock_at")?.map(text::time),
        consumer: row.try_get("lock_by")?,
        error,
        key: row.try_get("idempotency_key")?,
        payload: row.try_get("job")?,
    })
}

impl Store for SqliteStore {
    fn push<'a>(&'a self, queue: &'a str, jobs: &'a [NewJob]) -> Answer<'a, Vec<JobId>> {
        Box::pin(async move {
            let tasks: Vec<_> = jobs
                .iter()
                .map(|job| {
                    let mut task = TaskBuilder::new(job.payload.clone())
                        .task_id(TaskId::from_ulid(job.id.ulid()))
                        .max_attempts(job.max_attempts as usize)
                        .priority(job.priority as usize);
                    if let Some(at) = job.run_at {
                        task = task.run_at_timestamp(at);
                    }
                    if let Some(key) = &job.key {
                        task = task.idempotency_key(key);
                    }
                    task.build()
                })
                .collect();
            let mut transaction = self.begin().await?;
            queries::push_tasks(&mut *transaction, queue, &tasks).await.map_err(Error::storage)?;
            let mut ids = Vec::with_capacity(jobs.len());
            for job in jobs {
                // A job whose key was there already has not been stored.
                ids.push(match &job.key {
                    None => job.id,
                    Some(key) => sqlx::query_scalar::<_, String>(
                        "SELECT id FROM Jobs WHERE job_type = ?1 AND idempotency_key = ?2",
                    )
                    .bind(queue)
                    .bind(key)
                    .fetch_one(&mut *transaction)
                    .await?
                    .parse()?,
                });
            }
            commit(transaction).await?;
            Ok(ids)
        })
    }

    fn exchange<'a>(
        &'a self,
        consumer: &'a Consumer,
        ended: &'a [Ended],
        want: u32,
    ) -> Answer<'a, Vec<Taken>> {
        Box::pin(async move {
            // An idle consumer only reads, beside those that write.
            let due = self.due(consumer, want).await?;
            match (ended, due) {
                ([], Due::None) => Ok(Vec::new()),
                ([], due) => take(&self.write, consumer, want, due).await,
                (ended, Due::None) => {
                    end(&self.write, consumer, ended).await?;
                    Ok(Vec::new())
                }
                (ended, due) => {
                    let mut transaction = self.begin().await?;
                    end(&mut *transaction, consumer, ended).await?;
                    let taken = take(&mut *transaction, consumer, want, due).await?;
                    commit(transaction).await?;
                    Ok(taken)
                }
            }
        })
    }

    fn heartbeat<'a>(
        &'a self,
        consumer: &'a Consumer,
        release: &'a [JobId],
    ) -> Answer<'a, Vec<JobId>> {
        Box::pin(async move {
            let mut transaction = self.begin().await?;
            sqlx::query(
                "INSERT INTO Workers (id, worker_type, storage_name, layers, last_seen, started_at)
                 VALUES (?1, ?2, 'moirai-jobs', '', unixepoch(), unixepoch())
                 ON CONFLICT (id) DO UPDATE SET last_seen = unixepoch()",
            )
            .bind(&consumer.name)
            .bind(&consumer.queue)
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "UPDATE Jobs SET
                     status = iif(attempts + 1 < max_attempts, 'Pending', 'Failed'),
                     done_at = iif(attempts + 1 < max_attempts, NULL, unixepoch()),
                     attempts = attempts + 1, lock_by = NULL, last_result = ?3
                 WHERE job_type = ?1 AND status IN ('Queued', 'Running') AND lock_by IN (
                     SELECT id FROM Workers WHERE worker_type = ?1 AND unixepoch() - last_seen >= ?2)",
            )
            .bind(&consumer.queue)
            .bind(lease(consumer))
            .bind(text::result(Some(SILENT)).to_string())
            .execute(&mut *transaction)
            .await?;
            // Consumers that have ended long ago, and that no job names any more.
            sqlx::query(
                "DELETE FROM Workers WHERE worker_type = ?1 AND unixepoch() - last_seen > 86400 + ?2
                 AND NOT EXISTS (SELECT 1 FROM Jobs WHERE lock_by = Workers.id)",
            )
            .bind(&consumer.queue)
            .bind(lease(consumer))
            .execute(&mut *transaction)
            .await?;
            if !release.is_empty() {
                let ids: Vec<_> = release.iter().map(ToString::to_string).collect();
                sqlx::query(
                    "UPDATE Jobs SET status = 'Pending', lock_by = NULL
                     WHERE lock_by = ?1 AND id IN (SELECT value FROM json_each(?2))",
                )
                .bind(&consumer.name)
                .bind(serde_json::to_string(&ids).map_err(Error::storage)?)
                .execute(&mut *transaction)
                .await?;
            }
            let held: Vec<String> = sqlx::query_scalar("SELECT id FROM Jobs WHERE lock_by = ?1")
                .bind(&consumer.name)
                .fetch_all(&mut *transaction)
                .await?;
            commit(transaction).await?;
            held.iter().map(|id| id.parse()).collect()
        })
    }

    fn leave<'a>(&'a self, consumer: &'a Consumer) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.begin().await?;
            sqlx::query("UPDATE Jobs SET status = 'Pending', lock_by = NULL WHERE lock_by = ?1")
                .bind(&consumer.name)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("DELETE FROM Workers WHERE id = ?1")
                .bind(&consumer.name)
                .execute(&mut *transaction)
                .await?;
            commit(transaction).await
        })
    }

    fn find(&self, id: JobId) -> Answer<'_, Option<JobRecord>> {
        Box::pin(async move {
            let sql = format!("SELECT {COLUMNS}, {STATE} AS state FROM Jobs WHERE id = ?1");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(id.to_string())
                .fetch_optional(&self.read)
                .await?;
            row.as_ref().map(record).transpose()
        })
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobRecord>> {
        Box::pin(async move {
            let is = filter.state.map_or_else(String::new, |state| {
                format!("AND status IN {} AND {STATE} = '{state}'", text::statuses(state))
            });
            let sql = format!(
                "SELECT {COLUMNS}, {STATE} AS state FROM Jobs
                 WHERE (?1 IS NULL OR job_type = ?1) AND (?2 IS NULL OR id < ?2) {is}
                 ORDER BY id DESC LIMIT ?3"
            );
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(filter.queue.as_deref())
                .bind(filter.before.map(|id| id.to_string()))
                .bind(filter.limit)
                .fetch_all(&self.read)
                .await?;
            rows.iter().map(record).collect()
        })
    }

    fn queues(&self) -> Answer<'_, Vec<QueueStats>> {
        Box::pin(async move {
            // The first part goes through an index alone, in its order: a tenth of what it takes to find out each job's state. The others
            // are about few jobs, which the first part has counted with their status.
            let rows = sqlx::query(
                r#"SELECT job_type, status AS part, count(*) AS jobs, min(run_at) AS oldest FROM Jobs GROUP BY job_type, status
                 UNION ALL SELECT job_type, 'scheduled', count(*), 0 FROM Jobs
                     WHERE status = 'Pending' AND run_at > unixepoch() GROUP BY job_type
                 UNION ALL SELECT job_type, 'retrying', count(*), 0 FROM Jobs
                     WHERE status = 'Failed' AND attempts < max_attempts GROUP BY job_type
                 UNION ALL SELECT job_type, 'cancelled', count(*), 0 FROM Jobs
                     WHERE status = 'Killed' AND last_result = '{"Err":"cancelled"}' GROUP BY job_type"#,
            )
            .fetch_all(&self.read)
            .await?;
            let mut queues: BTreeMap<String, QueueStats> = BTreeMap::new();
            for row in rows {
                let name: String = row.try_get("job_type")?;
                let jobs = u64::try_from(row.try_get::<i64, _>("jobs")?).unwrap_or(0);
                let queue =
                    queues.entry(name).or_insert_with_key(|name| QueueStats::new(name.clone()));
                match row.try_get("part")? {
                    "Pending" => {
                        queue.waiting += jobs;
                        queue.oldest_waiting = Some(text::time(row.try_get("oldest")?));
                    }
                    "scheduled" => {
                        queue.scheduled += jobs;
                        queue.waiting = queue.waiting.saturating_sub(jobs);
                    }
                    "retrying" => {
                        queue.retrying += jobs;
                        queue.dead = queue.dead.saturating_sub(jobs);
                    }
                    "cancelled" => {
                        queue.cancelled += jobs;
                        queue.dead = queue.dead.saturating_sub(jobs);
                    }
                    "Done" => queue.done += jobs,
                    "Failed" | "Killed" => queue.dead += jobs,
                    _ => queue.running += jobs,
                }
            }
            for queue in queues.values_mut() {
                queue.oldest_waiting = queue.oldest_waiting.filter(|_| queue.waiting > 0);
            }
            Ok(queues.into_values().collect())
        })
    }

    fn cancel(&self, id: JobId) -> Answer<'_, bool> {
        Box::pin(async move {
            let answer = sqlx::query(
                "UPDATE Jobs SET status = 'Killed', done_at = unixepoch(), lock_by = NULL, last_result = '{\"Err\":\"cancelled\"}'
                 WHERE id = ?1 AND (status IN ('Pending', 'Queued', 'Running') OR (status = 'Failed' AND attempts < max_attempts))",
            )
            .bind(id.to_string())
            .execute(&self.write)
            .await?;
            Ok(answer.rows_affected() > 0)
        })
    }

    fn retry(&self, id: JobId) -> Answer<'_, bool> {
        Box::pin(async move {
            let answer = sqlx::query(
                "UPDATE Jobs SET status = 'Pending', attempts = 0, run_at = unixepoch(), done_at = NULL, lock_by = NULL
                 WHERE id = ?1 AND status IN ('Failed', 'Killed')",
            )
            .bind(id.to_string())
            .execute(&self.write)
            .await?;
            Ok(answer.rows_affected() > 0)
        })
    }

    fn move_dead<'a>(&'a self, from: &'a str, to: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let dead = text::statuses(JobState::Dead);
            // Of two jobs with one key, the one that is there already stays.
            let sql = format!(
                "UPDATE Jobs SET job_type = ?2, status = 'Pending', attempts = 0, run_at = unixepoch(), done_at = NULL,
                     lock_by = NULL
                 WHERE id IN (
                     SELECT id FROM Jobs AS j WHERE job_type = ?1 AND status IN {dead} AND {STATE} = 'dead' AND NOT EXISTS (
                         SELECT 1 FROM Jobs o WHERE o.job_type = ?2 AND o.idempotency_key = j.idempotency_key) LIMIT 1000)"
            );
            let answer =
                sqlx::query(AssertSqlSafe(sql)).bind(from).bind(to).execute(&self.write).await?;
            Ok(answer.rows_affected())
        })
    }

    fn purge<'a>(
        &'a self,
        queue: Option<&'a str>,
        state: JobState,
        before: SystemTime,
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            let statuses = text::statuses(state);
            let sql = format!(
                "DELETE FROM Jobs WHERE id IN (
                     SELECT id FROM Jobs WHERE status IN {statuses} AND {STATE} = '{state}' AND done_at < ?1
                         AND (?2 IS NULL OR job_type = ?2) LIMIT 1000)"
            );
            let answer = sqlx::query(AssertSqlSafe(sql))
                .bind(i64::try_from(seconds(before)).unwrap_or(i64::MAX))
                .bind(queue)
                .execute(&self.write)
                .await?;
            Ok(answer.rows_affected())
        })
    }
}

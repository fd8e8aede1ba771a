//! Jobs in a PostgreSQL server.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use apalis_postgres::{InsertEvent, PostgresStorage};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Postgres, Row};
use tokio::sync::mpsc;

use super::contract::{Answer, Consumer, Ended, Filter, NewJob, SILENT, Store, Taken, seconds};
use super::held::Held;
use super::text;
use crate::record::{JobRecord, JobState, QueueStats};
use crate::{Error, JobId};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The connections of a process, beside one for each consumer that listens.
const CONNECTIONS: u32 = 4;
/// On which the triggers of `apalis` tell of a push.
const CHANNEL: &str = "apalis::job::insert";

/// The name of a job's state, as SQL.
const STATE: &str = r#"CASE status
    WHEN 'Pending' THEN CASE WHEN run_at < now() THEN 'waiting' ELSE 'scheduled' END
    WHEN 'Failed' THEN CASE WHEN attempts < max_attempts THEN 'retrying' ELSE 'dead' END
    WHEN 'Done' THEN 'done'
    WHEN 'Killed' THEN CASE WHEN last_result = '{"Err":"cancelled"}'::jsonb THEN 'cancelled' ELSE 'dead' END
    ELSE 'running' END"#;
const COLUMNS: &str =
    "id, job_type, attempts, max_attempts, priority, lock_by, last_result, idempotency_key, job,
    extract(epoch FROM run_at)::bigint AS run_at, extract(epoch FROM done_at)::bigint AS done_at,
    extract(epoch FROM lock_at)::bigint AS lock_at";

/// A server with jobs.
pub(crate) struct PostgresStore {
    pool: PgPool,
    options: PgConnectOptions,
}

impl PostgresStore {
    /// Connects, and creates what is missing. Returns what to call the storage, too, without a password.
    pub(crate) async fn open(url: &str) -> Result<(Self, String), Error> {
        // The library's error may repeat the URL, which has the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            let text = "the URL is none such as postgres://user:password@host:5432/database";
            Error::open("PostgreSQL", text)
        })?;
        // A transaction of a process that was cut off must not hold locks for longer.
        let options = options.options([("idle_in_transaction_session_timeout", "10s")]);
        let (host, port) = (options.get_host(), options.get_port());
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let storage = format!("postgres://{host}:{port}/{database}");
        let fails = |error: sqlx::Error| match error {
            sqlx::Error::PoolTimedOut => Error::open(
                storage.clone(),
                format!(
                    "the server has not answered within {CONNECT_TIMEOUT:?}; is it running, and is the address right?"
                ),
            ),
            error => Error::open(storage.clone(), error),
        };
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(fails)?;
        PostgresStorage::<()>::setup(&pool)
            .await
            .map_err(|error| Error::open(storage.clone(), error))?;
        Ok((Self { pool, options }, storage))
    }
}

impl PostgresStore {
    async fn acquire(&self) -> Result<Held<Postgres>, Error> {
        Ok(Held::new(self.pool.acquire().await?))
    }

    async fn begin(&self) -> Result<Held<Postgres>, Error> {
        let mut connection = self.acquire().await?;
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
        Ok(connection)
    }
}

/// Ends a transaction. Without this, its connection is closed, which undoes it.
async fn commit(mut transaction: Held<Postgres>) -> Result<(), Error> {
    sqlx::raw_sql("COMMIT").execute(&mut *transaction).await?;
    transaction.give_back();
    Ok(())
}

/// Waits for the answer to a request, but not for ever: where the network swallows what is sent, the system needs a quarter of an hour to
/// notice.
async fn bounded<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(REQUEST_TIMEOUT, request).await.unwrap_or_else(|_| {
        Err(Error::storage(format!("the server has not answered within {REQUEST_TIMEOUT:?}")))
    })
}

/// The lease in seconds.
fn lease(consumer: &Consumer) -> f64 {
    consumer.lease.as_secs_f64()
}

fn taken(row: &PgRow) -> Result<Taken, Error> {
    Ok(Taken {
        id: row.try_get::<&str, _>("id")?.parse()?,
        payload: row.try_get("job")?,
        attempts: text::number(row.try_get::<i32, _>("attempts")?.into()),
        max_attempts: text::number(row.try_get::<i32, _>("max_attempts")?.into()),
        key: row.try_get("idempotency_key")?,
    })
}

fn record(row: &PgRow) -> Result<JobRecord, Error> {
    let result: Option<serde_json::Value> = row.try_get("last_result")?;
    Ok(JobRecord {
        id: row.try_get::<&str, _>("id")?.parse()?,
        queue: row.try_get("job_type")?,
        state: text::state(row.try_get("state")?)?,
        attempts: text::number(row.try_get::<i32, _>("attempts")?.into()),
        max_attempts: text::number(row.try_get::<i32, _>("max_attempts")?.into()),
        priority: text::number(row.try_get::<i32, _>("priority")?.into()),
        run_at: text::time(row.try_get("run_at")?),
        ended_at: row.try_get::<Option<i64>, _>("done_at")?.map(text::time),
        taken_at: row.try_get::<Option<i64>, _>("lock_at")?.map(text::time),
        consumer: row.try_get("lock_by")?,
        error: result.as_ref().and_then(text::error),
        key: row.try_get("idempotency_key")?,
        payload: row.try_get("job")?,
    })
}

impl Store for PostgresStore {
    fn push<'a>(&'a self, queue: &'a str, jobs: &'a [NewJob]) -> Answer<'a, Vec<JobId>> {
        Box::pin(bounded(async move {
            let keys: Vec<_> = jobs.iter().map(|job| job.key.clone()).collect();
            let run_at: Vec<_> =
                jobs.iter().map(|job| job.run_at.and_then(|at| i64::try_from(at).ok())).collect();
            let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
            let mut transaction = self.begin().await?;
            // The query of `apalis` fails where a key is there already.
            sqlx::query(
                "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, idempotency_key)
                 SELECT id, $2, job, 'Pending', 0, attempts, coalesce(to_timestamp(run_at), date_trunc('second', now())), priority,
                     ''::hstore, key
                 FROM unnest($1::text[], $3::bytea[], $4::int[], $5::bigint[], $6::int[], $7::text[])
                     AS new (id, job, attempts, run_at, priority, key)
                 ON CONFLICT (job_type, idempotency_key) DO NOTHING",
            )
            .bind(jobs.iter().map(|job| job.id.to_string()).collect::<Vec<_>>())
            .bind(queue)
            .bind(jobs.iter().map(|job| job.payload.clone()).collect::<Vec<_>>())
            .bind(jobs.iter().map(|job| number(job.max_attempts)).collect::<Vec<_>>())
            .bind(run_at)
            .bind(jobs.iter().map(|job| number(job.priority)).collect::<Vec<_>>())
            .bind(&keys)
            .execute(&mut *transaction)
            .await?;
            let mut ids = Vec::with_capacity(jobs.len());
            for job in jobs {
                ids.push(match &job.key {
                    None => job.id,
                    Some(key) => sqlx::query_scalar::<_, String>(
                        "SELECT id FROM apalis.jobs WHERE job_type = $1 AND idempotency_key = $2",
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
        }))
    }

    fn exchange<'a>(
        &'a self,
        consumer: &'a Consumer,
        ended: &'a [Ended],
        want: u32,
    ) -> Answer<'a, Vec<Taken>> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            // One statement, and so one round trip, and one transaction. Which jobs to take, and in which order, is as in `apalis`.
            let rows = sqlx::query(
                "WITH ended AS (
                     UPDATE apalis.jobs AS j SET
                         status = e.status,
                         attempts = coalesce(e.attempt, j.attempts),
                         last_result = coalesce(e.result, j.last_result),
                         run_at = coalesce(to_timestamp(e.run_at), j.run_at),
                         done_at = CASE WHEN e.status = 'Pending' THEN j.done_at ELSE now() END,
                         lock_by = NULL
                     FROM jsonb_to_recordset($1) AS e (id text, status text, attempt int, result jsonb, run_at bigint)
                     WHERE j.id = e.id AND j.lock_by = $2 AND j.status IN ('Queued', 'Running')),
                 due AS (
                     SELECT id FROM apalis.jobs
                     WHERE (status = 'Pending' OR (status = 'Failed' AND attempts < max_attempts))
                         AND run_at < now() AND job_type = $3
                     ORDER BY priority DESC, run_at, id LIMIT $4 FOR UPDATE SKIP LOCKED),
                 taken AS (
                     UPDATE apalis.jobs AS j SET status = 'Running', lock_by = $2, lock_at = now()
                     FROM due WHERE j.id = due.id
                     RETURNING j.id, j.job, j.attempts, j.max_attempts, j.idempotency_key, j.priority, j.run_at)
                 SELECT id, job, attempts, max_attempts, idempotency_key FROM taken
                 ORDER BY priority DESC, run_at, id",
            )
            .bind(text::rows(ended))
            .bind(&consumer.name)
            .bind(&consumer.queue)
            .bind(i64::from(want))
            .fetch_all(&mut *connection)
            .await?;
            connection.give_back();
            rows.iter().map(taken).collect()
        }))
    }

    fn heartbeat<'a>(
        &'a self,
        consumer: &'a Consumer,
        release: &'a [JobId],
    ) -> Answer<'a, Vec<JobId>> {
        Box::pin(bounded(async move {
            let mut transaction = self.begin().await?;
            sqlx::query(
                "INSERT INTO apalis.workers (id, worker_type, storage_name, layers, last_seen)
                 VALUES ($1, $2, 'moirai-jobs', '', now())
                 ON CONFLICT (id) DO UPDATE SET last_seen = now()",
            )
            .bind(&consumer.name)
            .bind(&consumer.queue)
            .execute(&mut *transaction)
            .await?;
            // Those that another consumer takes over at this moment are skipped.
            sqlx::query(
                "WITH silent AS (
                     SELECT j.id FROM apalis.jobs j JOIN apalis.workers w ON j.lock_by = w.id
                     WHERE j.job_type = $1 AND j.status IN ('Queued', 'Running') AND w.worker_type = $1
                         AND w.last_seen <= now() - make_interval(secs => $2)
                     FOR UPDATE OF j SKIP LOCKED)
                 UPDATE apalis.jobs SET
                     status = CASE WHEN attempts + 1 < max_attempts THEN 'Pending' ELSE 'Failed' END,
                     done_at = CASE WHEN attempts + 1 < max_attempts THEN NULL ELSE now() END,
                     attempts = attempts + 1, lock_by = NULL, last_result = $3
                 WHERE id IN (SELECT id FROM silent)",
            )
            .bind(&consumer.queue)
            .bind(lease(consumer))
            .bind(text::result(Some(SILENT)))
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "DELETE FROM apalis.workers w WHERE worker_type = $1
                     AND last_seen < now() - make_interval(days => 1, secs => $2)
                     AND NOT EXISTS (SELECT 1 FROM apalis.jobs WHERE lock_by = w.id)",
            )
            .bind(&consumer.queue)
            .bind(lease(consumer))
            .execute(&mut *transaction)
            .await?;
            if !release.is_empty() {
                let ids: Vec<_> = release.iter().map(ToString::to_string).collect();
                sqlx::query(
                    "UPDATE apalis.jobs SET status = 'Pending', lock_by = NULL WHERE lock_by = $1 AND id = ANY($2)",
                )
                .bind(&consumer.name)
                .bind(ids)
                .execute(&mut *transaction)
                .await?;
            }
            let held: Vec<String> =
                sqlx::query_scalar("SELECT id FROM apalis.jobs WHERE lock_by = $1")
                    .bind(&consumer.name)
                    .fetch_all(&mut *transaction)
                    .await?;
            commit(transaction).await?;
            held.iter().map(|id| id.parse()).collect()
        }))
    }

    fn leave<'a>(&'a self, consumer: &'a Consumer) -> Answer<'a, ()> {
        Box::pin(bounded(async move {
            let mut transaction = self.begin().await?;
            sqlx::query(
                "UPDATE apalis.jobs SET status = 'Pending', lock_by = NULL WHERE lock_by = $1",
            )
            .bind(&consumer.name)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("DELETE FROM apalis.workers WHERE id = $1")
                .bind(&consumer.name)
                .execute(&mut *transaction)
                .await?;
            commit(transaction).await
        }))
    }

    fn listen<'a>(&'a self, queue: &'a str, pushed: mpsc::Sender<()>) -> Answer<'a, ()> {
        Box::pin(async move {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(CONNECT_TIMEOUT)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                let notification = listener.recv().await?;
                let event = serde_json::from_str::<InsertEvent>(notification.payload());
                if event.is_ok_and(|event| event.job_type == queue) {
                    // One message is enough.
                    let _ = pushed.try_send(());
                }
            }
        })
    }

    fn find(&self, id: JobId) -> Answer<'_, Option<JobRecord>> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let sql = format!("SELECT {COLUMNS}, {STATE} AS state FROM apalis.jobs WHERE id = $1");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(id.to_string())
                .fetch_optional(&mut *connection)
                .await?;
            connection.give_back();
            row.as_ref().map(record).transpose()
        }))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobRecord>> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let is = filter.state.map_or_else(String::new, |state| {
                format!("AND status IN {} AND {STATE} = '{state}'", text::statuses(state))
            });
            let sql = format!(
                "SELECT {COLUMNS}, {STATE} AS state FROM apalis.jobs
                 WHERE ($1::text IS NULL OR job_type = $1) AND ($2::text IS NULL OR id < $2) {is}
                 ORDER BY id DESC LIMIT $3"
            );
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(filter.queue.as_deref())
                .bind(filter.before.map(|id| id.to_string()))
                .bind(i64::from(filter.limit))
                .fetch_all(&mut *connection)
                .await?;
            connection.give_back();
            rows.iter().map(record).collect()
        }))
    }

    fn queues(&self) -> Answer<'_, Vec<QueueStats>> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let sql = format!(
                "SELECT job_type, {STATE} AS state, count(*) AS jobs,
                     extract(epoch FROM min(run_at))::bigint AS oldest
                 FROM apalis.jobs GROUP BY 1, 2 ORDER BY 1"
            );
            let mut queues: Vec<QueueStats> = Vec::new();
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
            connection.give_back();
            for row in rows {
                let (name, state): (String, _) = (row.try_get("job_type")?, row.try_get("state")?);
                text::count(
                    &mut queues,
                    name,
                    text::state(state)?,
                    row.try_get("jobs")?,
                    row.try_get("oldest")?,
                );
            }
            Ok(queues)
        }))
    }

    fn cancel(&self, id: JobId) -> Answer<'_, bool> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let answer = sqlx::query(
                "UPDATE apalis.jobs SET status = 'Killed', done_at = now(), lock_by = NULL, last_result = '{\"Err\":\"cancelled\"}'
                 WHERE id = $1 AND (status IN ('Pending', 'Queued', 'Running') OR (status = 'Failed' AND attempts < max_attempts))",
            )
            .bind(id.to_string())
            .execute(&mut *connection)
            .await?;
            connection.give_back();
            Ok(answer.rows_affected() > 0)
        }))
    }

    fn retry(&self, id: JobId) -> Answer<'_, bool> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let answer = sqlx::query(
                "UPDATE apalis.jobs SET status = 'Pending', attempts = 0, run_at = date_trunc('second', now()), done_at = NULL,
                     lock_by = NULL
                 WHERE id = $1 AND status IN ('Failed', 'Killed')",
            )
            .bind(id.to_string())
            .execute(&mut *connection)
            .await?;
            connection.give_back();
            Ok(answer.rows_affected() > 0)
        }))
    }

    fn move_dead<'a>(&'a self, from: &'a str, to: &'a str) -> Answer<'a, u64> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let dead = text::statuses(JobState::Dead);
            // Of two jobs with one key, the one that is there already stays.
            let sql = format!(
                "UPDATE apalis.jobs SET job_type = $2, status = 'Pending', attempts = 0, run_at = date_trunc('second', now()),
                     done_at = NULL, lock_by = NULL
                 WHERE id IN (
                     SELECT id FROM apalis.jobs AS j WHERE job_type = $1 AND status IN {dead} AND {STATE} = 'dead' AND NOT EXISTS (
                         SELECT 1 FROM apalis.jobs o WHERE o.job_type = $2 AND o.idempotency_key = j.idempotency_key) LIMIT 1000)"
            );
            let answer = sqlx::query(AssertSqlSafe(sql))
                .bind(from)
                .bind(to)
                .execute(&mut *connection)
                .await?;
            connection.give_back();
            Ok(answer.rows_affected())
        }))
    }

    fn purge<'a>(
        &'a self,
        queue: Option<&'a str>,
        state: JobState,
        before: SystemTime,
    ) -> Answer<'a, u64> {
        Box::pin(bounded(async move {
            let mut connection = self.acquire().await?;
            let statuses = text::statuses(state);
            let sql = format!(
                "DELETE FROM apalis.jobs WHERE id IN (
                     SELECT id FROM apalis.jobs WHERE status IN {statuses} AND {STATE} = '{state}' AND done_at < to_timestamp($1)
                         AND ($2::text IS NULL OR job_type = $2) LIMIT 1000)"
            );
            let answer = sqlx::query(AssertSqlSafe(sql))
                .bind(i64::try_from(seconds(before)).unwrap_or(i64::MAX))
                .bind(queue)
                .execute(&mut *connection)
                .await?;
            connection.give_back();
            Ok(answer.rows_affected())
        }))
    }
}

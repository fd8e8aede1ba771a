//! What jobs do to the world: each adds one to a counter, once, by its idempotency key.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use std::str::FromStr;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the counter is.
#[derive(Clone)]
pub(crate) enum Effects {
    File(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "redis")]
    Redis(redis::aio::ConnectionManager),
}

/// Adds one, unless that was done under this key before.
#[cfg(feature = "redis")]
const ADD: &str =
    "if redis.call('HSETNX', KEYS[1], ARGV[1], 1) == 1 then redis.call('INCR', KEYS[2]) end";

impl Effects {
    /// The counter beside the jobs of this address.
    pub(crate) async fn open(address: &str) -> Result<Self, Failure> {
        #[cfg(feature = "postgres")]
        if address.starts_with("postgres") {
            // Else the transaction of a process that was cut off would have others wait for it.
            let options = sqlx::postgres::PgConnectOptions::from_str(address)?
                .options([("idle_in_transaction_session_timeout", "3s")]);
            let pool = sqlx::postgres::PgPoolOptions::new()
                .max_connections(2)
                .acquire_timeout(Duration::from_secs(30))
                .connect_with(options)
                .await?;
            return Ok(Self::Postgres(pool));
        }
        #[cfg(feature = "redis")]
        if address.starts_with("redis") {
            let client = redis::Client::open(address)?;
            return Ok(Self::Redis(client.get_connection_manager().await?));
        }
        let options = SqliteConnectOptions::from_str(&format!("{address}.effects"))?
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(30));
        Ok(Self::File(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?))
    }

    pub(crate) async fn create(&self) -> Result<(), Failure> {
        let sql = "CREATE TABLE effects (key TEXT PRIMARY KEY); CREATE TABLE counter (n BIGINT NOT NULL); INSERT INTO counter VALUES (0)";
        match self {
            Self::File(pool) => {
                sqlx::raw_sql(sql).execute(pool).await?;
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                sqlx::raw_sql(sql).execute(pool).await?;
            }
            #[cfg(feature = "redis")]
            Self::Redis(_) => {}
        }
        Ok(())
    }

    /// Adds one, unless that was done under this key before.
    pub(crate) async fn add(&self, key: &str) -> Result<(), Failure> {
        let claim = "INSERT INTO effects VALUES ($1) ON CONFLICT DO NOTHING";
        let add = "UPDATE counter SET n = n + 1";
        match self {
            Self::File(pool) => {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                let claimed = sqlx::query(claim).bind(key).execute(&mut *transaction).await?;
                if claimed.rows_affected() > 0 {
                    sqlx::query(add).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                let claimed = sqlx::query(claim).bind(key).execute(&mut *transaction).await?;
                if claimed.rows_affected() > 0 {
                    sqlx::query(add).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
            #[cfg(feature = "redis")]
            Self::Redis(connection) => {
                let script = redis::Script::new(ADD);
                let mut call = script.key("effects");
                let call = call.key("counter").arg(key);
                call.invoke_async::<()>(&mut connection.clone()).await?;
            }
        }
        Ok(())
    }

    /// The counter, and the number of keys.
    pub(crate) async fn count(&self) -> Result<(i64, i64), Failure> {
        let sql = "SELECT n, (SELECT count(*) FROM effects) FROM counter";
        Ok(match self {
            Self::File(pool) => sqlx::query_as(sql).fetch_one(pool).await?,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => sqlx::query_as(sql).fetch_one(pool).await?,
            #[cfg(feature = "redis")]
            Self::Redis(connection) => {
                let mut both = redis::pipe();
                both.get("counter").hlen("effects");
                both.query_async(&mut connection.clone()).await?
            }
        })
    }
}

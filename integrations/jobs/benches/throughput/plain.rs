//! `apalis` on plain tokio: each job is a task of tokio, and a push wakes the worker, by the hook of SQLite or by NOTIFY of PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_postgres::PostgresStorage;
use apalis_redis::RedisStorage;
use apalis_sqlite::SqliteStorage;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Notify;

use crate::{Load, Turn, compute, cpu};

const POLL: Duration = Duration::from_millis(100);

async fn sqlite(address: &str) -> sqlx::SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(address)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(30));
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
    SqliteStorage::<()>::migrations().run(&pool).await.unwrap();
    pool
}

async fn postgres(address: &str) -> sqlx::PgPool {
    let pool = PgPoolOptions::new().max_connections(4).connect(address).await.unwrap();
    PostgresStorage::<()>::setup(&pool).await.unwrap();
    pool
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().build().unwrap()
}

/// Runs jobs until the last one.
macro_rules! work {
    ($storage:expr, $backend:expr, $load:expr) => {{
        let (mut storage, load): (_, Load) = ($storage, $load);
        let jobs: Vec<u32> = (0..load.jobs).collect();
        storage.push_bulk(jobs).await.unwrap();
        let (left, done) = (Arc::new(AtomicU32::new(load.jobs)), Arc::new(Notify::new()));
        let last = Arc::clone(&done);
        let (started, cpu_before) = (Instant::now(), cpu());
        let worker = WorkerBuilder::new("bench")
            .backend($backend)
            .concurrency(load.concurrency)
            .parallelize(tokio::spawn)
            .build(move |_: u32| {
                let (left, last) = (Arc::clone(&left), Arc::clone(&last));
                async move {
                    compute(load.work);
                    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        last.notify_one();
                    }
                    Ok::<_, BoxDynError>(())
                }
            });
        let worker = tokio::spawn(worker.run());
        done.notified().await;
        let turn = Turn { wall: started.elapsed(), cpu: cpu() - cpu_before };
        worker.abort();
        turn
    }};
}

pub(crate) fn run(address: &str, load: Load) -> Turn {
    let batch = load.concurrency;
    runtime(load.threads).block_on(async {
        let turn = if address.starts_with("postgres") {
            let pool = postgres(address).await;
            let config = apalis_postgres::Config::default().queue("bench").batch_size(batch);
            let storage = PostgresStorage::<u32>::new(&pool).with_config(config);
            tokio::spawn(
                async move { work!(storage.clone(), storage.poll_with_interval(POLL), load) },
            )
        } else if address.starts_with("redis") {
            let connection = apalis_redis::connect(address).await.unwrap();
            let config = apalis_redis::Config::default().queue("bench").batch_size(batch);
            let storage = RedisStorage::<u32>::new(connection).with_config(config);
            tokio::spawn(
                async move { work!(storage.clone(), storage.poll_with_interval(POLL), load) },
            )
        } else {
            let pool = sqlite(address).await;
            let config = apalis_sqlite::Config::default().queue("bench").batch_size(batch);
            let storage = SqliteStorage::<u32>::new(&pool).with_config(config);
            tokio::spawn(
                async move { work!(storage.clone(), storage.poll_with_interval(POLL), load) },
            )
        };
        turn.await.unwrap()
    })
}

/// Pushes one job after the other.
macro_rules! push {
    ($storage:expr, $backend:expr, $pushes:expr) => {{
        let (mut storage, pushes): (_, u32) = ($storage, $pushes);
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let worker = WorkerBuilder::new("bench")
            .backend($backend)
            .concurrency(16)
            .parallelize(tokio::spawn)
            .build(move |_: u32| {
                let _ = started.send(Instant::now());
                async { Ok::<_, BoxDynError>(()) }
            });
        let worker = tokio::spawn(worker.run());
        let mut latencies = Vec::new();
        for number in 0..=pushes {
            let pushed = Instant::now();
            storage.push(number).await.unwrap();
            let latency = starts.recv().await.unwrap() - pushed;
            if number > 0 {
                latencies.push(latency);
            }
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
        worker.abort();
        latencies
    }};
}

pub(crate) fn latencies(address: &str, pushes: u32) -> Vec<Duration> {
    runtime(2).block_on(async {
        let latencies = if address.starts_with("postgres") {
            let pool = postgres(address).await;
            let config = apalis_postgres::Config::default().queue("bench").batch_size(16);
            let storage = PostgresStorage::<u32>::new(&pool).with_config(config);
            tokio::spawn(async move { push!(storage.clone(), storage.with_pubsub(), pushes) })
        } else if address.starts_with("redis") {
            let connection = apalis_redis::connect(address).await.unwrap();
            let config = apalis_redis::Config::default().queue("bench").batch_size(16);
            let storage = RedisStorage::<u32>::new(connection).with_config(config);
            // It has nothing that tells of a push.
            tokio::spawn(
                async move { push!(storage.clone(), storage.poll_with_interval(POLL), pushes) },
            )
        } else {
            drop(sqlite(address).await);
            let (pool, callback) = SqliteStorage::connect_with_callback(address).unwrap();
            let config = apalis_sqlite::Config::default().queue("bench").batch_size(16);
            let storage = SqliteStorage::<u32>::new(&pool).with_config(config);
            tokio::spawn(
                async move { push!(storage.clone(), storage.with_callback(callback), pushes) },
            )
        };
        latencies.await.unwrap()
    })
}

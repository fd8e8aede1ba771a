//! Tests of sqlx on SQLite, in tasks of Moirai.

use moirai::prelude::*;
use sqlx::Connection;
use sqlx::sqlite::SqlitePoolOptions;

#[test]
fn queries_run_and_a_pool_is_shared() {
    let driver = moirai_tokio::driver().unwrap();
    let moirai = Moirai::builder().worker_threads(2).plugin(driver).build().unwrap();
    let sum: i64 = moirai
        .spawn_async(async {
            let pool =
                SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
            sqlx::query("CREATE TABLE numbers (n INTEGER NOT NULL)").execute(&pool).await?;
            let mut tasks = Vec::new();
            for n in 0..20_i64 {
                let pool = pool.clone();
                tasks.push(moirai::spawn_async(async move {
                    // Waits for the only connection.
                    let mut transaction = pool.begin().await?;
                    sqlx::query("INSERT INTO numbers VALUES (?)")
                        .bind(n)
                        .execute(&mut *transaction)
                        .await?;
                    if n % 2 == 0 {
                        transaction.commit().await
                    } else {
                        transaction.rollback().await
                    }
                }));
            }
            for task in tasks {
                task.await.expect("it does not panic")?;
            }
            sqlx::query_scalar("SELECT sum(n) FROM numbers").fetch_one(&pool).await
        })
        .join()
        .unwrap()
        .unwrap();
    assert_eq!(sum, (0..20).step_by(2).sum::<i64>());
}

#[test]
fn a_connection_is_dropped_with_the_task_that_is_cancelled() {
    let driver = moirai_tokio::driver().unwrap();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
    let (connected, is_connected) = std::sync::mpsc::channel();
    let task: moirai::TaskHandle<Result<(), sqlx::Error>> = moirai.spawn_async(async move {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await?;
        connection.ping().await?;
        connected.send(()).unwrap();
        std::future::pending().await
    });
    is_connected.recv().unwrap();
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
    moirai.shutdown();
}

//! sqlx on PostgreSQL.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgListener, PgPool, PgPoolOptions};

use crate::executor;
use crate::server::Server;

const LONG: Duration = Duration::from_secs(60);

async fn connect(server_port: u16, connections: u32) -> PgPool {
    let url = format!("postgres://moirai@127.0.0.1:{server_port}/postgres");
    let started = Instant::now();
    loop {
        // It accepts connections before it serves them.
        match PgPoolOptions::new().max_connections(connections).connect(&url).await {
            Ok(pool) => return pool,
            Err(error) => assert!(started.elapsed() < LONG, "{error}"),
        }
        moirai::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn transactions_of_many_tasks_share_a_pool() {
    const ACCOUNTS: i32 = 8;
    let Some(server) = Server::postgres() else { return };
    let moirai = executor("pg-many");
    let port = server.port();
    let (sum, moves): (i64, i64) = moirai
        .spawn_async(async move {
            let pool = connect(port, 4).await;
            sqlx::raw_sql(
                "CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL);
                 CREATE TABLE moves (id BIGSERIAL PRIMARY KEY, amount BIGINT NOT NULL);
                 INSERT INTO accounts SELECT n, 1000 FROM generate_series(0, 7) n;",
            )
            .execute(&pool)
            .await?;
            let tasks: Vec<_> = (0..200)
                .map(|n: i32| {
                    let pool = pool.clone();
                    moirai::spawn_async(async move {
                        // Computes on the same workers as the queries.
                        let (a, b) = moirai::join(|| i64::from(n % 5), || 1);
                        let amount = a + b;
                        // In the order of ids, or two of them could wait for each other.
                        let (from, to) = (n % ACCOUNTS, (n + 3) % ACCOUNTS);
                        let mut accounts = [(from, -amount), (to, amount)];
                        accounts.sort_unstable();
                        let mut transaction = pool.begin().await?;
                        for (id, change) in accounts {
                            sqlx::query("UPDATE accounts SET balance = balance + $1 WHERE id = $2")
                                .bind(change)
                                .bind(id)
                                .execute(&mut *transaction)
                                .await?;
                        }
                        sqlx::query("INSERT INTO moves (amount) VALUES ($1)")
                            .bind(amount)
                            .execute(&mut *transaction)
                            .await?;
                        transaction.commit().await
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("it does not panic")?;
            }
            sqlx::query_as(
                "SELECT (SELECT sum(balance) FROM accounts)::bigint, (SELECT count(*) FROM moves)",
            )
            .fetch_one(&pool)
            .await
        })
        .join()
        .unwrap()
        .unwrap();
    assert_eq!((sum, moves), (8_000, 200));
}

#[test]
fn notifications_arrive_and_long_queries_are_cancelled() {
    let Some(server) = Server::postgres() else { return };
    let moirai = executor("pg-notify");
    let port = server.port();
    let pool = moirai.spawn_async(async move { connect(port, 4).await }).join().unwrap();

    let mut listener = moirai
        .spawn_async({
            let pool = pool.clone();
            async move {
                let mut listener = PgListener::connect_with(&pool).await.unwrap();
                listener.listen("news").await.unwrap();
                listener
            }
        })
        .join()
        .unwrap();
    let news = moirai.spawn_async(async move {
        let mut payloads = Vec::new();
        for _ in 0..10 {
            payloads.push(listener.recv().await.unwrap().payload().to_owned());
        }
        payloads
    });
    let sending = moirai.spawn_async({
        let pool = pool.clone();
        async move {
            for n in 0..10 {
                let notify = sqlx::query("SELECT pg_notify('news', $1)");
                notify.bind(n.to_string()).execute(&pool).await.unwrap();
            }
        }
    });
    sending.join().unwrap();
    assert_eq!(news.join().unwrap(), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());

    let started = Instant::now();
    let url = format!("postgres://moirai@127.0.0.1:{port}/postgres");
    let slow = moirai.task().name("slow query").spawn_async(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query("SELECT pg_sleep(600) AS slow").execute(&mut connection).await
    });
    // It is running once the server says so.
    let running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let count = |pool: PgPool| -> i64 {
        let counting = async move { sqlx::query_scalar(running).fetch_one(&pool).await };
        moirai.spawn_async(counting).join().unwrap().unwrap()
    };
    while count(pool.clone()) != 1 {
        assert!(started.elapsed() < LONG);
    }
    slow.cancel();
    assert!(slow.join().unwrap_err().is_cancelled());
    drop(pool);
    moirai.shutdown();
    assert!(started.elapsed() < LONG, "the end did not wait for the query");
}

#[test]
fn a_server_that_crashes_is_an_error_and_is_found_again() {
    let Some(mut server) = Server::postgres() else { return };
    let moirai = executor("pg-crash");
    let port = server.port();
    let pool = moirai.spawn_async(async move { connect(port, 2).await }).join().unwrap();
    let ask = |pool: PgPool| {
        let answer = async move { sqlx::query_scalar("SELECT 42").fetch_one(&pool).await };
        moirai.spawn_async(answer).join().unwrap()
    };
    assert_eq!(ask(pool.clone()).unwrap(), 42);

    let url = format!("postgres://moirai@127.0.0.1:{port}/postgres");
    let (connected, is_connected) = std::sync::mpsc::channel();
    let interrupted = moirai.spawn_async(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connected.send(()).unwrap();
        sqlx::query("SELECT pg_sleep(600)").execute(&mut connection).await
    });
    is_connected.recv_timeout(LONG).unwrap();
    server.crash_and_restart();
    interrupted.join().unwrap().expect_err("its connection was closed");

    let started = Instant::now();
    while ask(pool.clone()).ok() != Some(42) {
        assert!(started.elapsed() < LONG, "the pool does not find the server again");
    }
}

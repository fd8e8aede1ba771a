//! PostgreSQL.

use sqlx::Connection;

use super::cases;
use super::server::Server;
use crate::harness::{Storage, run};

#[test]
fn postgres() {
    let Some(server) = Server::postgres() else { return };
    let address = |database| format!("postgres://moirai@127.0.0.1:{}/{database}", server.port());
    for (name, case) in cases() {
        println!("{name}");
        create_database(address("postgres"), name);
        run(Storage::Url(address(name)), *case);
    }
    create_database(address("postgres"), "locked");
    run(Storage::Url(address("locked")), |_, storage| {
        Box::pin(a_request_without_an_answer_ends(storage))
    });
}

/// Somebody has locked the table of jobs.
async fn a_request_without_an_answer_ends(storage: Storage) {
    let jobs = storage.open().await;
    let Storage::Url(address) = &storage else { unreachable!() };
    let mut other = sqlx::PgConnection::connect(address).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE apalis.jobs").execute(&mut *lock).await.unwrap();
    // As many as the pool has connections: none is lost.
    let requests: Vec<_> = (0..4)
        .map(|_| {
            let jobs = jobs.clone();
            moirai::spawn_async(async move { jobs.queues().await })
        })
        .collect();
    for request in requests {
        let error = request.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("the server has not answered within 10s"), "{error}");
    }
    lock.rollback().await.unwrap();
    assert!(jobs.queues().await.unwrap().is_empty());
}

fn create_database(address: String, name: &str) {
    let sql = format!("CREATE DATABASE {name}");
    let moirai = crate::harness::executor();
    let created = moirai.spawn_async(async move {
        let started = std::time::Instant::now();
        // The server accepts connections before it serves them.
        let mut connection = loop {
            match sqlx::PgConnection::connect(&address).await {
                Ok(connection) => break connection,
                Err(error) => assert!(started.elapsed() < crate::harness::LONG, "{error}"),
            }
            moirai::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    });
    created.join().unwrap();
}

//! PostgreSQL.

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
}

fn create_database(address: String, name: &str) {
    use sqlx::Connection;
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

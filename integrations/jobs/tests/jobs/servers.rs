//! The same tests with servers. One server serves all tests of its kind, one after the other.

#[path = "../../../tokio/tests/servers/server.rs"]
mod server;

use server::Server;

use crate::harness::{Case, Storage, run};

fn cases() -> impl Iterator<Item = &'static (&'static str, Case)> {
    let all = [
        crate::attempts::CASES,
        crate::monitor::CASES,
        crate::operations::CASES,
        crate::pushes::CASES,
        #[cfg(feature = "cron")]
        crate::schedules::CASES,
        crate::settings::CASES,
        crate::shutdown::CASES,
    ];
    all.into_iter().flatten()
}

#[cfg(feature = "postgres")]
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

#[cfg(feature = "postgres")]
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

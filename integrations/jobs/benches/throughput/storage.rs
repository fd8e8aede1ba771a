//! The storages that the peers use.

use std::cell::Cell;
use std::path::PathBuf;

use crate::server::Server;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    Redis,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Redis];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// A folder, or a server.
pub(crate) struct Storage {
    kind: Kind,
    folder: PathBuf,
    server: Option<Server>,
    count: Cell<u32>,
}

impl Storage {
    pub(crate) fn new(kind: Kind) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("moirai-jobs-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Server::postgres()?),
            Kind::Redis => Some(Server::redis()?),
        };
        Some(Self { kind, folder, server, count: Cell::new(0) })
    }

    /// The address of an empty storage.
    pub(crate) fn empty(&self) -> String {
        self.count.set(self.count.get() + 1);
        let number = self.count.get();
        match &self.server {
            Some(server) if self.kind == Kind::Redis => {
                let address = format!("redis://127.0.0.1:{}/", server.port());
                flush(&address);
                address
            }
            None => self.folder.join(format!("{number}.db")).to_str().unwrap().to_owned(),
            Some(server) => {
                let address = |database: &str| {
                    format!("postgres://moirai@127.0.0.1:{}/{database}", server.port())
                };
                let name = format!("bench{number}");
                create_database(&address("postgres"), &name);
                address(&name)
            }
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn create_database(address: &str, name: &str) {
    use sqlx::Connection;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tries = 0;
        // The server accepts connections before it serves them.
        let mut connection = loop {
            match sqlx::PgConnection::connect(address).await {
                Ok(connection) => break connection,
                Err(error) => assert!(tries < 1_000, "{error}"),
            }
            tries += 1;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let sql = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    });
}

fn flush(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = redis::Client::open(address).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
    });
}

//! Tests of clients against real servers: sqlx with PostgreSQL, redis with redis-server.
//!
//! The tests start the servers of Debian's packages `postgresql` and `redis-server`, each on a free port with a directory of its own.
//! Where a server is not installed its tests are skipped, with a line on the standard error; with `MOIRAI_REQUIRE_SERVERS=1` in the
//! environment they fail.

mod postgres;
mod redis;
mod server;

use moirai::prelude::*;

fn executor(name: &str) -> Moirai {
    let driver = moirai_tokio::driver().unwrap();
    let builder = Moirai::builder().worker_threads(2).thread_name_prefix(name);
    builder.plugin(driver).build().unwrap()
}

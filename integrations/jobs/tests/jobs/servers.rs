//! The same tests with servers. One server serves all tests of its kind, one after the other.

#[path = "../../../tokio/tests/servers/server.rs"]
mod server;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use crate::harness::Case;

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

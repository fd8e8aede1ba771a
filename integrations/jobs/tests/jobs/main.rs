//! Tests of durable jobs in one process: with a file each, and with servers that the tests start.

#[macro_use]
mod harness;

mod attempts;
mod monitor;
mod operations;
mod pushes;
#[cfg(feature = "cron")]
mod schedules;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod servers;
mod settings;
mod shutdown;

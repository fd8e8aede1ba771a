//! Where jobs are kept.

mod contract;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod held;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod text;

pub(crate) use contract::{Consumer, Ended, Filter, NewJob, Outcome, Store, Taken, seconds_up};

#[cfg(test)]
mod tests;

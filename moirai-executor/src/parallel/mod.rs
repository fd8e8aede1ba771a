//! Closures in parallel.

pub(crate) mod chunks;
pub(crate) mod join;
mod map;
mod merge;
mod quick;

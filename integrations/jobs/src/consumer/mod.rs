//! A consumer: what takes jobs, runs them, and says how they ended.
//!
//! It is one task of Moirai, and each attempt is one more. At most one *exchange* with the storage is under way at a time. It says how
//! attempts have ended and takes new jobs, in one transaction, so that under load a transaction serves many jobs. Heartbeats are
//! requests of their own.

mod attempt;
mod awaited;
mod handle;
mod state;

pub(crate) use handle::start;
pub use handle::{Consumer, Drained};

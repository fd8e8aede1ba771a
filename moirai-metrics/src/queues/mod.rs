//! Queues of durable jobs, which are stored elsewhere.

#[cfg(any(feature = "page", feature = "prometheus-client"))]
mod contained;
mod source;

#[cfg(any(feature = "page", feature = "prometheus-client"))]
pub(crate) use contained::ContainedSource;
#[cfg(feature = "page")]
pub(crate) use contained::DEAD_JOBS;
pub use source::{DeadJob, QueueSource, QueueStats};

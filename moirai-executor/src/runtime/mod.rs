//! The running executor: what its threads share, and what they do.

pub(crate) mod admission;
pub(crate) mod cell_count;
pub(crate) mod compensation;
pub(crate) mod context;
pub(crate) mod fork_host;
pub(crate) mod lifecycle;
pub(crate) mod park;
pub(crate) mod plugins;
pub(crate) mod scheduler;
pub(crate) mod seat;
pub(crate) mod shared;
pub(crate) mod shutdown;
pub(crate) mod thread_pool;
pub(crate) mod watchdog_thread;
pub(crate) mod worker;

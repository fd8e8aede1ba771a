//! The running executor: what its threads share, and what they do.

pub(crate) mod admission;
pub(crate) mod cell_count;
pub(crate) mod compensation;
pub(crate) mod context;
pub(crate) mod drain;
pub(crate) mod enter;
pub(crate) mod external;
pub(crate) mod fork_host;
pub(crate) mod handoff;
pub(crate) mod lifecycle;
pub(crate) mod mode;
pub(crate) mod park;
pub(crate) mod plugins;
pub(crate) mod schedule;
pub(crate) mod scheduler;
pub(crate) mod shared;
pub(crate) mod shutdown;
pub(crate) mod shutdown_state;
pub(crate) mod stall_report;
pub(crate) mod thread_pool;
pub(crate) mod turns;
pub(crate) mod wait_turn;
pub(crate) mod watchdog_thread;
pub(crate) mod watchers;
pub(crate) mod worker;

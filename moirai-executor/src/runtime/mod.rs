//! The running executor: what its threads share, and what they do.

pub(crate) mod admission;
pub(crate) mod caller_wait;
pub(crate) mod cell_count;
pub(crate) mod compensation_thread;
pub(crate) mod context;
pub(crate) mod core_claims;
pub(crate) mod enter_fork_join;
pub(crate) mod executors;
pub(crate) mod extensions;
pub(crate) mod external;
pub(crate) mod flight_reader;
pub(crate) mod fork_host;
pub(crate) mod handoff;
pub(crate) mod hook_host;
pub(crate) mod last_core;
pub(crate) mod lifecycle;
pub(crate) mod mailbox;
pub(crate) mod mode;
pub(crate) mod plugins;
pub(crate) mod poll_estimates;
pub(crate) mod runtime_stats;
pub(crate) mod scheduler_dispatch;
pub(crate) mod shared;
pub(crate) mod shutdown;
pub(crate) mod shutdown_state;
pub(crate) mod shutdown_token;
pub(crate) mod sim_turns;
pub(crate) mod sim_wait;
pub(crate) mod stall_report;
pub(crate) mod task_dump;
pub(crate) mod task_host;
pub(crate) mod thread_names;
pub(crate) mod thread_pool;
pub(crate) mod threads;
pub(crate) mod wait_id;
pub(crate) mod watchdog_thread;
pub(crate) mod watchers;
pub(crate) mod worker;
pub(crate) mod worker_thread;

#[cfg(all(test, moirai_loom))]
pub(crate) mod test_executor;

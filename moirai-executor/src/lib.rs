//! The hybrid executor behind the facade crate [moirai]: workers, tasks, the registry, shutdown.
//!
//! [`HybridExecutor`] implements the traits of [`moirai_core`]: `TaskSpawner`, `TaskManager`, `ExecutorControl`. Most
//! users depend on `moirai`, which wraps it; depend on this crate to name the executor's type, or to bring a recorder.
//!
//! ```
//! use moirai_core::{ExecutorControl, TaskManager, TaskSpawner, TaskStatus};
//! use moirai_executor::HybridExecutor;
//!
//! let executor = HybridExecutor::builder().worker_threads(2).build()?;
//! let handle = executor.spawn_async(async { 6 * 7 });
//! let id = handle.id();
//! assert_eq!(executor.block_on(handle).unwrap(), 42);
//! assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
//! # Ok::<(), moirai_core::BuildError>(())
//! ```
//!
//! [moirai]: https://docs.rs/moirai

mod admission;
mod any_scheduler;
mod builder;
mod cleanup;
mod context;
mod door;
mod executor;
mod fork;
mod group;
mod handle;
mod here;
mod live;
mod panics;
mod patience;
mod plugins;
mod pool;
mod progress;
#[doc(hidden)]
pub mod registry;
mod seat;
mod shared;
mod shutdown;
pub mod sim;
mod slice;
mod spawn;
mod task;
mod task_builder;
mod ties;
pub mod time;
mod watch;
mod worker;
mod yield_now;

pub use admission::TrySpawnError;
pub use any_scheduler::Runnable;
pub use builder::HybridExecutorBuilder;
pub use executor::{HybridExecutor, block_in_place, is_cancelled};
pub use fork::{Scope, join_or, scope_or};
pub use group::{GroupCounts, TaskGroup};
pub use handle::{AbortHandle, TaskHandle};
pub use here::{spawn_async, spawn_parallel};
pub use task_builder::TaskBuilder;
pub use yield_now::yield_now;

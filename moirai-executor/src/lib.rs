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

mod builder;
mod executor;
mod fork_join;
mod group;
mod handle;
mod panics;
mod parallel;
#[doc(hidden)]
pub mod registry;
mod runtime;
pub mod sim;
mod spawn;
mod task;
pub mod time;
mod timer;
mod watchdog;
mod yield_now;

pub use builder::HybridExecutorBuilder;
pub use executor::{HybridExecutor, block_in_place, is_cancelled};
pub use group::{GroupCounts, InGroup, TaskGroup};
pub use handle::{AbortHandle, TaskHandle};
pub use parallel::{Scope, join_or, scope_or};
pub use runtime::admission::TrySpawnError;
pub use runtime::shared::Runnable;
pub use spawn::{Destination, Standalone, TaskBuilder, spawn_async, spawn_parallel};
pub use yield_now::yield_now;

//! The hybrid executor behind the facade crate `moirai`: workers, tasks, the registry of their records, and shutdown.
//!
//! [`HybridExecutor`] implements the traits of [`moirai_core`]: `TaskSpawner`, `TaskManager` and `ExecutorControl`. Most programs
//! depend on `moirai`, which wraps it. Depend on this crate to name the executor's type, or to give it a recorder of your own.
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
//! # Layers
//!
//! The modules import each other in one direction only. From the lowest layer to the highest:
//!
//! - `panics` contains what user code throws; `system_memory` gives memory back to the system; `prefetch` asks for it before it is used.
//! - `task` is the cell of a task: its future or closure, its state, its wakers.
//! - [`registry`] holds a record of every task; `fork_join` runs `join` and `scope`; `timer` runs timers; `watchdog` has the state
//!   by which stuck workers are found.
//! - `runtime` is the running executor: what its threads share, and what they do.
//! - [`time`], [`idle`], `handle`, `spawn`, `group`, `executor`, `current`, [`current_task`], `parallel`, [`sim`] and
//!   `executor_builder` are what users hold.

mod current;
pub mod current_task;
mod executor;
mod executor_builder;
mod flight;
mod fork_join;
mod group;
mod handle;
pub mod idle;
mod observe;
mod panics;
mod parallel;
mod prefetch;
pub mod registry;
mod runtime;
pub mod sim;
mod spawn;
mod system_memory;
mod task;
pub mod time;
mod timer;
mod watchdog;
mod yield_now;

#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use current::{spawn_async_or, spawn_detached_or, spawn_parallel_or, worker_count_or};
pub use executor::{HybridExecutor, WeakExecutor, block_in_place, is_cancelled};
pub use executor_builder::HybridExecutorBuilder;
pub use group::{GroupCounts, InGroup, TaskGroup};
pub use handle::{AbortHandle, AbortOnDropHandle, TaskHandle};
pub use observe::dump_all;
pub use parallel::{Scope, join_or, scope_or};
pub use runtime::admission::TrySpawnError;
pub use runtime::shared::Runnable;
pub use runtime::worker_thread::{EnteredWorker, WorkerThread};
#[doc(hidden)]
pub use spawn::Size;
pub use spawn::{Destination, FailsOnErr, Regroup, Standalone, TaskBuilder};
pub use yield_now::yield_now;

#![doc = include_str!("../../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "ctrl-c")]
mod ctrl_c;
mod deprecated;
mod free;
mod global;
mod moirai;
pub mod par;
pub mod sim;

#[cfg(doctest)]
mod guide;

#[cfg(feature = "ctrl-c")]
pub use crate::ctrl_c::{CtrlC, CtrlCError};
pub use crate::free::{block_on, join, scope, spawn_async, spawn_blocking, spawn_parallel};
pub use crate::global::global;
pub use crate::moirai::{Moirai, MoiraiBuilder};

#[allow(deprecated)]
pub use moirai_core::Ready;
pub use moirai_core::{
    BuildError, CleanupConfig, CleanupStats, Clock, Executor, ExecutorConfig, ExecutorControl,
    ExecutorPlugin, LocalQueue, ManualClock, Panic, ParseTaskIdError, Priority, QueueReason,
    Recorder, Scheduler, ShutdownReport, Stall, Task, TaskError, TaskId, TaskKind, TaskManager,
    TaskSample, TaskSpawner, TaskStats, TaskStatus, Timestamp, Visibility,
};
pub use moirai_executor::{
    AbortHandle, Destination, GroupCounts, HybridExecutor, HybridExecutorBuilder, InGroup, Scope,
    Standalone, TaskBuilder, TaskGroup, TaskHandle, TrySpawnError, block_in_place, is_cancelled,
    time, yield_now,
};
pub use moirai_metrics::MetricsSnapshot;
pub use moirai_sync::budget::{budgeted, consume as consume_budget, unconstrained};

/// Synchronization primitives, useful with and without the executor.
pub use moirai_sync as sync;

/// What workers and tasks do, in numbers.
pub use moirai_metrics as metrics;

/// The schedulers that come in the box, and what it takes to write another.
pub mod scheduler {
    pub use moirai_core::scheduler::{
        Guarantees, LocalQueue, Order, QueueReason, Schedulable, Scheduler, Visibility,
    };
    #[allow(deprecated)]
    pub use moirai_core::{Claims, Ready};
    pub use moirai_executor::Runnable;
    pub use moirai_scheduler::*;
}

/// What most programs need: `use moirai::prelude::*;`.
pub mod prelude {
    pub use crate::{
        BuildError, CleanupConfig, CleanupStats, ExecutorConfig, ExecutorPlugin, Moirai, Priority,
        ShutdownReport, Stall, Task, TaskError, TaskHandle, TaskId, TaskKind, TaskStats,
        TaskStatus, block_in_place, yield_now,
    };
}

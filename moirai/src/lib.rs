//! One executor for async tasks, parallel closures, fork-join and blocking work, with a record of every task.
//!
//! ```
//! use moirai::prelude::*;
//!
//! let executor = Moirai::new()?;
//! let greeting = executor.spawn_async(async { "hello" });
//! let sum = executor.spawn_parallel(|| (1..=1_000_u64).sum::<u64>());
//! let (low, high) = executor.join(|| (1..500_u64).sum::<u64>(), || (500..=1_000_u64).sum::<u64>());
//!
//! assert_eq!(executor.block_on(greeting).unwrap(), "hello");
//! let id = sum.id();
//! assert_eq!(sum.join().unwrap(), low + high);
//!
//! // The handle is gone, but the record is there.
//! let stats = executor.task_stats(id).expect("its record is kept for five minutes");
//! assert_eq!(stats.status, TaskStatus::Completed);
//! # Ok::<(), BuildError>(())
//! ```
//!
//! # Where to begin
//!
//! - [`Moirai`] is a handle to an executor. [`Moirai::builder`] sets one up: the number of workers, limits, how long records are
//!   kept, the scheduler, plugins.
//! - Work is spawned as an async task, a parallel closure or a blocking closure. [`Moirai::task`] gives a task a name, a priority,
//!   a timeout, a [cancellation token](sync::CancellationToken) or a [group](TaskGroup).
//! - A [`TaskHandle`] is a future, and can also be joined by a thread, on workers too.
//! - [`Moirai::join`], [`Moirai::scope`] and [`par`] compute in parallel and may borrow from the caller.
//! - [`Moirai::task_stats`], [`Moirai::tasks`] and [`Moirai::wait_for_task`] look tasks up by id. [`CleanupConfig`] says how long
//!   the records of ended tasks are kept, and how many.
//! - [`task`] tells which task the calling thread runs, and has [`task_local!`].
//! - [`time`] has sleeps, timeouts and intervals; [`sync`] has a semaphore, a oneshot channel and more; [`sim`] runs a whole
//!   executor on one thread, in an order drawn from a seed, to find races and replay them.
//! - [`scheduler`] has the schedulers to choose from, and what it takes to write another; [`metrics`] has counters and histograms.
//!
//! The free functions of this crate, such as [`spawn_async`] and [`join`](join()), run on the executor that runs the calling
//! thread, or else on the [`global`](global()) one, which is started at its first use. [`init_global`] configures it before that.
//!
//! # Features
//!
//! - `ctrl-c` (on by default): `Moirai::shutdown_on_ctrl_c`.
//! - `signal` (on by default, on Unix): [`signal`] has futures for signals, and `Moirai::shutdown_on_signals` drains on them.
//! - `local` (on by default): [`local`] runs futures that are not `Send`, on one thread.
//! - `macros` (on by default): the attributes [`#[moirai::main]`](macro@main) and [`#[moirai::test]`](macro@test).
//! - `limits`: `limit` has rate limits, and limits on how many do something for each key.
//! - `retry`: `retry` repeats operations that fail, by the policies of `backon`.
//! - `page`: `moirai::metrics::page` shows an executor in the browser, and serves `/metrics` to Prometheus.
//! - `prometheus-client`: `moirai::metrics::prometheus::Collector`, for registries of the crate of that name.
//! - `par-iter`: parallel iterators in [`par`], those of `orx-parallel` on Moirai's workers.
//! - `serde`: serialization of configuration, statistics, ids and statuses.
#![forbid(unsafe_code)]

#[cfg(feature = "ctrl-c")]
mod ctrl_c;
mod deprecated;
pub mod dump;
#[cfg(feature = "macros")]
mod entry_points;
mod environment;
mod free;
mod global;
#[cfg(feature = "limits")]
pub mod limit;
#[cfg(feature = "local")]
pub mod local;
mod moirai;
mod observe;
mod observed;
pub mod par;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(all(unix, feature = "signal"))]
pub mod signal;
pub mod sim;
mod workers;

#[cfg(doctest)]
mod guide;
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(feature = "ctrl-c")]
pub use crate::ctrl_c::{CtrlC, CtrlCError};
pub use crate::free::{
    block_on, join, scope, shutdown_token, shutting_down, spawn_async, spawn_blocking,
    spawn_detached, spawn_parallel,
};
pub use crate::global::{InitGlobalError, global, init_global, init_global_with};
pub use crate::moirai::{Moirai, MoiraiBuilder, WeakMoirai};

#[allow(deprecated)]
pub use moirai_core::Ready;
pub use moirai_core::{
    ActiveTasks, BuildError, CancelCause, CancelledTasks, CleanupConfig, CleanupStats, Clock,
    CompensationStats, Dump, EvenAFuture, Executor, ExecutorConfig, ExecutorControl,
    ExecutorPlugin, Flight, FlightEvent, FlightEventKind, FlightRecorderConfig, FlightThread,
    Incident, IncidentCause, LocalQueue, Lookup, ManualClock, NotAFuture, Panic, ParkHook,
    ParseTaskIdError, PollOutcome, Priority, Progress, QueueReason, RecordClass, Recorder,
    RetainedRecords, Retention, RetentionClass, RuntimePhase, RuntimeStats, Scheduler,
    ShutdownReport, Stall, Tags, Task, TaskDump, TaskError, TaskId, TaskKind, TaskManager,
    TaskSample, TaskSpawner, TaskState, TaskStats, TaskStatus, ThreadKind, ThreadPoolStats,
    Timestamp, Visibility, WorkerState, WorkerStats,
};
pub use moirai_executor::{
    AbortHandle, AbortOnDropHandle, Destination, EnteredWorker, FailsOnErr, GroupCounts,
    HybridExecutor, HybridExecutorBuilder, InGroup, Regroup, Scope, Standalone, TaskBuilder,
    TaskGroup, TaskHandle, TrySpawnError, WeakExecutor, WorkerThread, block_in_place, idle,
    is_cancelled, time, yield_now,
};
#[cfg(feature = "macros")]
pub use moirai_macros::{main, test};
pub use moirai_metrics::MetricsSnapshot;
pub use moirai_sync::budget::{budgeted, consume as consume_budget, unconstrained};

/// The task that the calling thread runs, what it tells of itself, and values that belong to a task: [`task_local!`]. See
/// [`current_task`](moirai_executor::current_task).
pub mod task {
    pub use moirai_executor::current_task::{current, id, name, set_note, set_progress};
    pub use moirai_sync::local::{AccessError, LocalKey, TaskLocalFuture};
    pub use moirai_sync::task_local;
}

pub use moirai_sync::task_local;

/// Synchronization primitives, which work with and without an executor.
pub use moirai_sync as sync;

/// Counters and histograms of what workers and tasks do.
pub use moirai_metrics as metrics;

/// The schedulers that Moirai has, and what it takes to write another.
pub mod scheduler {
    pub use moirai_core::scheduler::{
        Guarantees, Hints, LocalQueue, Order, QueueReason, Schedulable, Scheduler, Visibility,
    };
    #[allow(deprecated)]
    pub use moirai_core::{Claims, Ready};
    pub use moirai_executor::Runnable;
    pub use moirai_scheduler::*;
}

/// What the attributes of the feature `macros` call. It may change at any time.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::entry_points::{TestOutput, run_main, run_test, simulate_test};
}

/// The names that most programs need: `use moirai::prelude::*;`.
pub mod prelude {
    pub use crate::{
        BuildError, CleanupConfig, CleanupStats, ExecutorConfig, ExecutorPlugin, Lookup, Moirai,
        Priority, Retention, ShutdownReport, Stall, Task, TaskError, TaskHandle, TaskId, TaskKind,
        TaskStats, TaskStatus, block_in_place, yield_now,
    };
}

//! The types and traits that all crates of Moirai share: ids, statuses, configuration, errors, the traits that schedulers,
//! recorders and plugins implement, the clock, and the [`shim`] from which the workspace takes its atomics, locks and threads.
//!
//! Most users depend on the facade crate `moirai`, which re-exports what they need from here. Depend on this crate to write a
//! scheduler, a recorder or a plugin of your own.
#![forbid(unsafe_code)]

pub mod clock;
pub mod details;
pub mod dump;
pub mod error;
pub mod executor;
pub mod flight;
pub mod id;
pub mod lookup;
pub mod output;
pub mod panics;
pub mod park_hook;
pub mod plugin;
pub mod recorder;
pub mod report;
pub mod runtime_stats;
pub mod scheduler;
pub mod shim;
pub mod stall;
pub mod stats;
pub mod status;
pub mod task;
pub mod text;
pub mod thread_kind;
pub mod timestamp;

pub use clock::{Clock, ManualClock};
pub use details::{Progress, Tags};
pub use dump::{Dump, TaskDump, TaskState};
pub use error::{BuildError, Panic, TaskError};
pub use executor::{
    CleanupConfig, CleanupStats, Executor, ExecutorConfig, ExecutorControl, Retention,
    RetentionClass, TaskManager, TaskSpawner,
};
pub use flight::{
    Flight, FlightEvent, FlightEventKind, FlightRecorderConfig, FlightThread, Incident,
    IncidentCause, PollOutcome,
};
pub use id::{ParseTaskIdError, TaskId};
pub use lookup::Lookup;
pub use output::{EvenAFuture, NotAFuture};
pub use park_hook::ParkHook;
pub use plugin::ExecutorPlugin;
pub use recorder::{Recorder, TaskSample};
pub use report::ShutdownReport;
pub use runtime_stats::{
    ActiveTasks, CancelledTasks, CompensationStats, RecordClass, RetainedRecords, RuntimePhase,
    RuntimeStats, ThreadPoolStats, WorkerState, WorkerStats,
};
#[allow(deprecated)]
pub use scheduler::{Claims, Ready};
pub use scheduler::{
    Guarantees, Hints, LocalQueue, Order, QueueReason, Schedulable, Scheduler, Visibility,
};
pub use stall::Stall;
pub use stats::TaskStats;
pub use status::{CancelCause, Priority, TaskKind, TaskStatus};
pub use task::Task;
pub use thread_kind::ThreadKind;
pub use timestamp::Timestamp;

//! Rayon's crates on Moirai's workers.
//!
//! This package has the name and the public API of `rayon-core` 1.13. A program that patches it in
//!
//! ```toml
//! [patch.crates-io]
//! rayon-core = { path = "moirai/integrations/rayon-core" }
//! ```
//!
//! runs rayon, and every crate that is built on rayon, on the workers of Moirai: on the executor that runs the caller, or else on the
//! global one. Each [`ThreadPool`] is an executor of its own. Moirai's guide has a page about it: "rayon's crates".
//!
//! What follows documents what differs from the original; see rayon's own documentation for the rest.
//!
//! - **Waiting.** A thread that waits inside of a [`join`] or a [`scope`] runs parts of that same work, or lets another thread be its
//!   worker meanwhile. It never runs an unrelated job, as the original may do. So a lock that is held across a `join` cannot deadlock
//!   with a job that takes the same lock.
//! - **Threads.** While a thread waits, another one is its worker, so a pool may have more threads than workers. As many run at a time
//!   as there are workers, and the index of a thread stays its own until its job has ended.
//! - **Records.** What is spawned, installed or broadcast is a task, with a record in the executor. A job that panics is on record as
//!   failed. In a pool without a panic handler it also ends the process, as in the original; on an executor that is not a `ThreadPool`
//!   it does not.
//! - **Order.** [`spawn`] runs the newest first in a `ThreadPool`, as in the original. On other executors the order is that of their
//!   scheduler.

mod broadcast;
mod builder;
mod config;
mod erase;
mod error;
mod fifo;
mod join;
mod latch;
mod names;
mod pool;
mod scope;
mod settings;
mod spawn;
mod threads;
mod yields;

pub use broadcast::{BroadcastContext, broadcast, spawn_broadcast};
pub use builder::ThreadPoolBuilder;
#[allow(deprecated, reason = "the original has it still")]
pub use config::{Configuration, initialize};
pub use error::ThreadPoolBuildError;
pub use join::{FnContext, join, join_context};
pub use pool::{
    ThreadPool, current_num_threads, current_thread_has_pending_tasks, current_thread_index,
    max_num_threads,
};
pub use scope::{Scope, ScopeFifo, in_place_scope, in_place_scope_fifo, scope, scope_fifo};
pub use spawn::{spawn, spawn_fifo};
pub use threads::{CustomSpawn, DefaultSpawn, ThreadBuilder, ThreadSpawn};
pub use yields::{Yield, yield_local, yield_now};

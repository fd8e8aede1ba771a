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
//! - **Waiting.** A thread that waits inside of a [`join`], a [`scope`] or [`ThreadPool::install`] runs parts of that same work. It never
//!   runs an unrelated job, as the original may do. So a lock that is held across a `join` cannot deadlock with a job that takes the
//!   same lock. The exception is [`broadcast`]: a thread that waits runs its shares of broadcasts, because no other thread can.
//! - **Threads.** The index of a thread stays its own until its job has ended. In a [`ThreadPool`], a worker that waits for a part of its
//!   work which another thread runs lies idle if there is no other part of it. On another executor, another thread is that worker
//!   meanwhile, until [`current_thread_index`] is called there for the first time.
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

//! Spawning on the executor that runs the calling thread, without counting another reference to it.

use std::future::Future;

use moirai_core::TaskKind;

use crate::handle::TaskHandle;
use crate::runtime::context::Context;
use crate::spawn::options::SpawnOptions;
use crate::spawn::start::{spawn_closure, spawn_future};

/// Spawns a future on the executor that runs the calling thread.
///
/// # Errors
///
/// Returns the future if no executor runs the calling thread.
#[track_caller]
pub fn spawn_async<F>(future: F) -> Result<TaskHandle<F::Output>, F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let options = SpawnOptions::new(TaskKind::Async);
    Context::with(|context| match context {
        Some(context) => Ok(spawn_future(context.shared(), future, options)),
        None => Err(future),
    })
}

/// Spawns a closure that computes on the executor that runs the calling thread.
///
/// # Errors
///
/// Returns the closure if no executor runs the calling thread.
#[track_caller]
pub fn spawn_parallel<F, R>(f: F) -> Result<TaskHandle<R>, F>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let options = SpawnOptions::new(TaskKind::Parallel);
    Context::with(|context| match context {
        Some(context) => Ok(spawn_closure(context.shared(), f, options)),
        None => Err(f),
    })
}

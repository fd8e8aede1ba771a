//! Spawning on the executor that runs the caller, without counting one more reference to it.

use std::future::Future;

use moirai_core::TaskKind;

use crate::handle::TaskHandle;
use crate::runtime::context::Context;
use crate::spawn::options::SpawnOptions;
use crate::spawn::start::{spawn_closure, spawn_future};

/// Runs a future on the workers of the executor that runs the caller.
///
/// # Errors
///
/// The future comes back if no executor runs the caller.
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

/// Runs a closure that computes on the workers of the executor that runs the caller.
///
/// # Errors
///
/// The closure comes back if no executor runs the caller.
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

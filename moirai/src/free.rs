//! Functions for the executor that runs the caller, else the global one.

use std::future::Future;

use moirai_executor::TaskHandle;

use crate::{Moirai, global};

fn here() -> Moirai {
    Moirai::current().unwrap_or_else(|| global().clone())
}

/// Runs a future on the workers of the executor that runs the caller, else of the [`global`] one.
#[track_caller]
pub fn spawn_async<F>(future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // No closures: the caller's place must get through.
    match moirai_executor::spawn_async(future) {
        Ok(handle) => handle,
        Err(future) => global().spawn_async(future),
    }
}

/// Runs a closure that computes on the workers of the executor that runs the caller, else of the [`global`] one.
#[track_caller]
pub fn spawn_parallel<F, R>(f: F) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    match moirai_executor::spawn_parallel(f) {
        Ok(handle) => handle,
        Err(f) => global().spawn_parallel(f),
    }
}

/// Runs a closure that may block on a thread of its own, of the executor that runs the caller, else of the [`global`] one.
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    here().spawn_blocking(f)
}

/// Runs a future on the calling thread until it is done, inside the executor that runs the caller, else the [`global`] one.
pub fn block_on<F: Future>(future: F) -> F::Output {
    here().block_on(future)
}

//! Using the executor that runs the calling thread without counting another reference to it, which all threads would write.

use std::future::Future;
use std::panic::Location;

use moirai_core::TaskId;

use crate::box_if_large;
use crate::executor::HybridExecutor;
use crate::handle::TaskHandle;
use crate::runtime::context::Context;
use crate::runtime::shared::Shared;
use crate::spawn::start::{spawn_closure_at, spawn_detached_at, spawn_future_at};

/// Spawns a future on the executor that runs the calling thread, or on `elsewhere` if there is none.
#[track_caller]
#[inline(always)]
pub fn spawn_async_or<F>(
    elsewhere: impl FnOnce() -> &'static HybridExecutor,
    future: F,
) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let location = Location::caller();
    box_if_large!(
        future: F = Box::pin(future),
        with_current_or(elsewhere, |shared| spawn_future_at(shared, future, location))
    )
}

/// Spawns a future whose result nobody wants on the executor that runs the calling thread, or on `elsewhere` if there is none. See
/// [`HybridExecutor::spawn_detached`].
#[track_caller]
#[inline(always)]
pub fn spawn_detached_or<F>(
    elsewhere: impl FnOnce() -> &'static HybridExecutor,
    future: F,
) -> TaskId
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let location = Location::caller();
    box_if_large!(
        future: F = Box::pin(future),
        with_current_or(elsewhere, |shared| spawn_detached_at(shared, future, location))
    )
}

/// Spawns a closure that computes on the executor that runs the calling thread, or on `elsewhere` if there is none.
#[track_caller]
#[inline(always)]
pub fn spawn_parallel_or<F, R>(
    elsewhere: impl FnOnce() -> &'static HybridExecutor,
    f: F,
) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let location = Location::caller();
    box_if_large!(
        f: F = Box::new(f),
        with_current_or(elsewhere, |shared| spawn_closure_at(shared, f, location))
    )
}

/// Returns the number of workers of the executor that runs the calling thread, or of `elsewhere` if there is none.
#[must_use]
#[inline]
pub fn worker_count_or(elsewhere: impl FnOnce() -> &'static HybridExecutor) -> usize {
    with_current_or(elsewhere, |shared| shared.config.worker_threads)
}

#[inline(always)]
fn with_current_or<R>(
    elsewhere: impl FnOnce() -> &'static HybridExecutor,
    f: impl FnOnce(&Shared) -> R,
) -> R {
    Context::with(|context| {
        f(match context {
            Some(context) => context.shared(),
            None => elsewhere().shared(),
        })
    })
}

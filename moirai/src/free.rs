//! Free functions, which run on the executor that runs the calling thread, or else on the [`global`](crate::global()) one.

use std::future::Future;

use moirai_core::{NotAFuture, TaskId};
use moirai_executor::{
    Scope, TaskHandle, box_if_large, spawn_async_or, spawn_detached_or, spawn_parallel_or,
};
use moirai_sync::CancellationToken;

use crate::global;
use crate::global::current_or_global;

/// Spawns a future on the executor that runs the calling thread, or else on the [`global`](crate::global()) one.
///
/// ```
/// let task = moirai::spawn_async(async {
///     let part = moirai::spawn_async(async { 20 });
///     part.await.unwrap() + 1
/// });
/// assert_eq!(task.join().unwrap(), 21);
/// ```
#[inline(always)]
#[track_caller]
pub fn spawn_async<F>(future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    box_if_large!(future: F = Box::pin(future), spawn_async_or(|| global().executor(), future))
}

/// Spawns a future whose result nobody wants on the executor that runs the calling thread, or else on the
/// [`global`](crate::global()) one, and returns the task's id. See [`Moirai::spawn_detached`](crate::Moirai::spawn_detached).
#[inline(always)]
#[track_caller]
pub fn spawn_detached<F>(future: F) -> TaskId
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    box_if_large!(future: F = Box::pin(future), spawn_detached_or(|| global().executor(), future))
}

/// Spawns a closure that computes on the executor that runs the calling thread, or else on the [`global`](crate::global()) one.
#[inline(always)]
#[track_caller]
pub fn spawn_parallel<F, R, ReturnsNoFuture>(f: F) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: NotAFuture<ReturnsNoFuture> + Send + 'static,
{
    box_if_large!(f: F = Box::new(f), spawn_parallel_or(|| global().executor(), f))
}

/// Spawns a closure that may block, which runs on a thread of its own, on the executor that runs the calling thread, or else on the
/// [`global`](crate::global()) one.
#[inline]
#[track_caller]
pub fn spawn_blocking<F, R, ReturnsNoFuture>(f: F) -> TaskHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: NotAFuture<ReturnsNoFuture> + Send + 'static,
{
    let executor = current_or_global();
    box_if_large!(f: F = Box::new(f), executor.spawn_blocking(f))
}

/// Calls [`Moirai::join`](crate::Moirai::join) on the executor that runs the calling thread, or else on the
/// [`global`](crate::global()) one.
///
/// ```
/// fn fibonacci(n: u32) -> u64 {
///     if n < 2 {
///         return n.into();
///     }
///     let (a, b) = moirai::join(|| fibonacci(n - 1), || fibonacci(n - 2));
///     a + b
/// }
/// assert_eq!(fibonacci(20), 6765);
/// ```
///
/// # Panics
///
/// If a closure panics, once both have ended.
#[inline]
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    moirai_executor::join_or(|| global().executor(), a, b)
}

/// Calls [`Moirai::scope`](crate::Moirai::scope) on the executor that runs the calling thread, or else on the
/// [`global`](crate::global()) one.
///
/// ```
/// let mut squares = [0; 8];
/// moirai::scope(|s| {
///     for (i, square) in squares.iter_mut().enumerate() {
///         s.spawn(move |_| *square = i * i);
///     }
/// });
/// assert_eq!(squares[7], 49);
/// ```
///
/// # Panics
///
/// If `f` or one of the closures panics, once all have ended.
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    moirai_executor::scope_or(|| global().executor(), f)
}

/// Runs a future on the calling thread until it is done, inside of the executor that runs the calling thread, or else of the
/// [`global`](crate::global()) one. What the future spawns with the functions of this crate runs on that executor.
///
/// ```
/// let sum = moirai::block_on(async { moirai::spawn_parallel(|| (1..=100).sum::<u64>()).await });
/// assert_eq!(sum.unwrap(), 5050);
/// ```
#[inline]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let executor = current_or_global();
    box_if_large!(future: F = Box::pin(future), executor.block_on(future))
}

/// Waits until the executor that runs the calling thread, or else the [`global`](crate::global()) one, has begun to shut down. See
/// [`Moirai::shutting_down`](crate::Moirai::shutting_down).
///
/// The executor is that of the thread which calls this function, not of the one that polls the future.
pub fn shutting_down() -> impl Future<Output = ()> + Send + 'static {
    current_or_global().shutting_down()
}

/// Returns a token that is cancelled when the executor that runs the calling thread, or else the [`global`](crate::global()) one, begins
/// to shut down. See [`Moirai::shutdown_token`](crate::Moirai::shutdown_token).
#[must_use]
pub fn shutdown_token() -> CancellationToken {
    current_or_global().shutdown_token()
}

//! Functions for the executor that runs the caller, else the global one.

use std::future::Future;

use moirai_executor::{Scope, TaskHandle};

use crate::global;
use crate::global::current_or_global;

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
    current_or_global().spawn_blocking(f)
}

/// [`Moirai::join`](crate::Moirai::join) on the executor that runs the caller, else on the [`global`] one.
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
/// If a closure does, when both have ended.
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

/// [`Moirai::scope`](crate::Moirai::scope) on the executor that runs the caller, else on the [`global`] one.
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
/// If `f` or one of the closures does, when all have ended.
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
{
    moirai_executor::scope_or(|| global().executor(), f)
}

/// Runs a future on the calling thread until it is done, inside the executor that runs the caller, else the [`global`] one.
pub fn block_on<F: Future>(future: F) -> F::Output {
    current_or_global().block_on(future)
}

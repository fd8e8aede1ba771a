//! What a closure that is spawned may return.

use std::future::Future;

/// A type that is not a future: what a closure may return that is spawned with `spawn_parallel`, `spawn_blocking` and the like.
///
/// A future does nothing unless it is polled, and nobody polls what a closure has returned. So `spawn_blocking(|| async { … })`
/// would never run its `async` block. The compiler refuses it, because both implementations of this trait apply to a future, and it
/// cannot tell which one, `ReturnsNoFuture`, is meant:
///
/// ```compile_fail,E0282
/// use moirai_core::NotAFuture;
///
/// fn run<R, ReturnsNoFuture>(work: impl FnOnce() -> R)
/// where
///     R: NotAFuture<ReturnsNoFuture>,
/// {
///     work();
/// }
///
/// run(|| async { println!("never printed") });
/// ```
///
/// - To run the future, spawn it as a task of its own with `spawn_async(async { … })`, or call `block_on` in the closure.
/// - To return a value that happens to be a future, such as the handle of a task, name [`EvenAFuture`], or return it in a tuple:
///
/// ```
/// use moirai_core::{EvenAFuture, NotAFuture};
///
/// # fn run<R: NotAFuture<ReturnsNoFuture>, ReturnsNoFuture>(work: impl FnOnce() -> R) { work(); }
/// run(|| 5);
/// run::<_, EvenAFuture>(|| std::future::ready(5));
/// run(|| (std::future::ready(5),));
/// ```
///
/// In generic code a type parameter counts as no future, unless it is bound by `Future`. The methods of the trait
/// [`TaskSpawner`](crate::TaskSpawner) do not ask for this trait.
pub trait NotAFuture<ReturnsNoFuture> {}

impl<T> NotAFuture<EvenAFuture> for T {}

impl<T: Future> NotAFuture<NobodyPollsIt> for T {}

/// Says that a closure may return a future, which nobody polls. See [`NotAFuture`].
#[derive(Debug)]
pub enum EvenAFuture {}

/// Makes the bound by [`NotAFuture`] ambiguous for futures.
#[derive(Debug)]
#[doc(hidden)]
pub enum NobodyPollsIt {}

//! Repeating operations that fail.
//!
//! How long to wait before which attempt, how often to try, and with how much jitter, is for the policies of `backon` to say. The waits
//! are sleeps of Moirai, so they end with the task that waits, and tests and [simulations](crate::sim) control their time.

use std::fmt::Display;
use std::future::Future;

#[doc(no_inline)]
pub use backon::{BackoffBuilder, ConstantBuilder, ExponentialBuilder, FibonacciBuilder};

use backon::Retryable;
use moirai_executor::current_task::set_note;
use moirai_executor::time;

/// Calls `operation`, and again as long as it fails and `policy` has another attempt.
///
/// Each failure that is followed by another attempt is noted in the record of the task that runs the calling thread, with the time to
/// that attempt; and so is a success after a failure.
///
/// ```
/// use moirai::prelude::*;
/// use moirai::retry::{ExponentialBuilder, retry};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let executor = Moirai::new()?;
/// let calls = AtomicU32::new(0);
/// let fetched = executor.block_on(retry(ExponentialBuilder::default().with_min_delay(std::time::Duration::from_millis(1)), || async {
///     // Here something is fetched.
///     if calls.fetch_add(1, Ordering::Relaxed) < 2 { Err("not yet") } else { Ok("fetched") }
/// }));
/// assert_eq!((fetched, calls.load(Ordering::Relaxed)), (Ok("fetched"), 3));
/// # Ok::<(), BuildError>(())
/// ```
///
/// # Errors
///
/// The error of the last attempt.
pub async fn retry<T, E, Fut>(
    policy: impl BackoffBuilder,
    operation: impl FnMut() -> Fut,
) -> Result<T, E>
where
    E: Display,
    Fut: Future<Output = Result<T, E>>,
{
    retry_if(policy, |_| true, operation).await
}

/// Calls `operation`, and again as long as it fails, `may_retry` says of the error that another attempt may help, and `policy` has
/// another attempt. It is like [`retry`] otherwise.
///
/// # Errors
///
/// The error of the last attempt.
pub async fn retry_if<T, E, Fut>(
    policy: impl BackoffBuilder,
    may_retry: impl FnMut(&E) -> bool,
    operation: impl FnMut() -> Fut,
) -> Result<T, E>
where
    E: Display,
    Fut: Future<Output = Result<T, E>>,
{
    let mut attempts = 0_u64;
    let result = operation
        .retry(policy)
        .sleep(time::sleep)
        .when(may_retry)
        .notify(|error, wait| {
            attempts += 1;
            let next = format!("the next follows in {wait:.1?}");
            set_note(&format!("attempt {attempts} failed: {error}; {next}"));
        })
        .await;
    if attempts > 0 && result.is_ok() {
        set_note(&format!("attempt {} succeeded", attempts + 1));
    }
    result
}

//! Limits on the time that a future may take.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::current::current;
use super::instant::Instant;
use super::sleep::Deadline;

/// Runs `future` for at most `duration`. If the time is up first, the output is [`Elapsed`]; the future is dropped with the
/// [`Timeout`].
///
/// The future is polled before the clock is looked at, so one that is ready at once is in time even if the duration is zero. A poll
/// in progress is not interrupted.
///
/// ```
/// use moirai::prelude::*;
/// use moirai::time::timeout;
/// use std::time::Duration;
///
/// let executor = Moirai::new()?;
/// executor.block_on(async {
///     assert_eq!(timeout(Duration::from_secs(1), async { 1 }).await, Ok(1));
///     let never = std::future::pending::<()>();
///     assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// });
/// # Ok::<(), BuildError>(())
/// ```
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, deadline: Deadline::after(current(), duration) }
}

/// Runs `future` until `deadline` at the latest; see [`timeout`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    let mut limit = Deadline::after(current(), Duration::ZERO);
    limit.reset(deadline);
    Timeout { future, deadline: limit }
}

pin_project! {
    /// A future that resolves to the output of another, or to [`Elapsed`]. Returned by [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        deadline: Deadline,
    }
}

impl<F> Timeout<F> {
    /// Returns the future without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // The deadline is polled even if the future has used up the task's budget. Otherwise the future could go on forever.
        this.deadline.poll(cx).map(|()| Err(Elapsed(())))
    }
}

/// The error of a [`Timeout`]: the time was up before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up before the future was done")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

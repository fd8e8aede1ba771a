//! Running a future on a thread that has nothing else to do.
//!
//! Each blocking wait of this crate runs the corresponding future from here, so there is one protocol to check instead of two. The
//! executor's `block_on` runs its future from here as well, and decides only how its threads sleep.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::budget;
use crate::parker::Parker;

/// Runs `future` on the calling thread until it is ready, and returns its output. The thread sleeps while the future waits.
///
/// The future needs no executor, unless something that it waits for does. Each of its polls has a [`budget`], as in a task: the
/// thread runs nothing else, but the future may consist of several that take turns, such as one with a timeout. Inside of a task of
/// the executor, use the executor's `block_on` instead, which does not cost it a worker.
///
/// ```
/// assert_eq!(moirai_sync::block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let output = drive(pin!(future), |parker| {
        parker.park();
        true
    });
    output.unwrap_or_else(|| unreachable!("the wait above never gives up"))
}

/// Runs `future` until it is ready, for `limit` at most. Returns `None` if it is not ready by then.
///
/// The future is polled once more when the time is up, so that what has happened in time counts.
pub(crate) fn block_on_for<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let Some(deadline) = Instant::now().checked_add(limit) else {
        return Some(block_on(future)); // The clock cannot express the deadline, so there is no limit.
    };
    let mut is_last = false;
    drive(pin!(future), |parker| {
        let left = deadline.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            parker.park_timeout(left);
            return true;
        }
        // The time may have run out between the poll and the reading of the clock, so the future is polled once more.
        !std::mem::replace(&mut is_last, true)
    })
}

/// Polls `future` until it is ready, and returns its output. For executors that put threads to sleep in a way of their own.
///
/// While the future is pending, `park` is called to wait for the parker's token, which the future's waker leaves there. `park` may
/// return earlier: the future is then polled again. If `park` returns `false`, the wait is given up, and the result is `None`.
pub fn drive<F: Future>(
    mut future: Pin<&mut F>,
    mut park: impl FnMut(&Parker) -> bool,
) -> Option<F::Output> {
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = budget::grant(|| future.as_mut().poll(&mut context)) {
            return Some(output);
        }
        if !park(&parker) {
            return None;
        }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn a_future_that_is_ready_when_the_time_is_up_counts() {
        let mut polls = 0;
        let future = poll_fn(|_| {
            polls += 1;
            if polls > 1 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(block_on_for(future, Duration::from_millis(5)), Some(2));
    }

    #[test]
    fn a_wait_without_time_polls_and_gives_up() {
        assert_eq!(block_on_for(std::future::pending::<()>(), Duration::ZERO), None);
        assert_eq!(block_on_for(std::future::ready(1), Duration::ZERO), Some(1));
    }
}

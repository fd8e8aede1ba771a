//! Waiting for a future on a thread that has nothing else to do. Every blocking wait of this crate is the future of the
//! same name, driven from here: one protocol to check, not two.

use crate::budget;
use crate::parker::Parker;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Waits for `future` to finish.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match budget::unlimited(|| future.as_mut().poll(&mut context)) {
            Poll::Ready(output) => return output,
            Poll::Pending => parker.park(),
        }
    }
}

/// Waits for `future` to finish, at most for `limit`; `None` if that was not enough.
///
/// The future is polled once more when the time is up, so that what happened in time counts.
pub(crate) fn block_on_for<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let Some(deadline) = Instant::now().checked_add(limit) else {
        return Some(block_on(future)); // Beyond what the clock can say: no limit.
    };
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        // Read ahead of the poll: what is ready by the deadline is then never missed.
        let left = deadline.saturating_duration_since(Instant::now());
        if let Poll::Ready(output) = budget::unlimited(|| future.as_mut().poll(&mut context)) {
            return Some(output);
        }
        if left.is_zero() {
            return None;
        }
        parker.park_timeout(left);
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn what_is_ready_when_the_time_is_up_counts() {
        let mut polls = 0;
        let future = poll_fn(|_| {
            polls += 1;
            if polls > 1 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(block_on_for(future, Duration::from_millis(5)), Some(2));
    }
}

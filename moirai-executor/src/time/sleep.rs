//! Waiting for a moment in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use moirai_sync::budget;

use super::current::current;
use super::instant::Instant;
use crate::runtime::context::Context as ThreadContext;
use crate::timer::driver::{Driver, TimeSource};
use crate::timer::queue::TimerKey;

/// Waits for `duration`. A duration of zero has passed at the first poll, and `Duration::MAX` never passes.
///
/// ```
/// use moirai::prelude::*;
/// use moirai::time::sleep;
/// use std::time::Duration;
///
/// let executor = Moirai::new()?;
/// executor.block_on(sleep(Duration::from_millis(1)));
/// # Ok::<(), BuildError>(())
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(Deadline::after(current(), duration))
}

/// Waits until `deadline`; see [`sleep`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(Deadline { source: current(), deadline, unpolled: false, refused: false, key: None })
}

/// A future that resolves at its deadline. Returned by [`sleep`] and [`sleep_until`].
///
/// It is late by at most a quarter of a millisecond and the time that it takes to wake the task, and never early. Dropping it
/// removes its timer.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep(Deadline);

impl Sleep {
    /// Returns the moment at which this resolves.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Returns `true` if the deadline has passed.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.0.has_passed()
    }

    /// Sets another deadline. It takes effect at the next poll.
    pub fn reset(&mut self, deadline: Instant) {
        self.0.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_budgeted(cx)
    }
}

/// The core of a [`Sleep`].
#[derive(Debug)]
pub(crate) struct Deadline {
    source: TimeSource,
    deadline: Instant,
    /// Whether the deadline was at least [`FRESH`] in the future when the clock was read last, and has not been polled since.
    unpolled: bool,
    /// Whether the last budgeted poll found no step left.
    refused: bool,
    key: Option<TimerKey>,
}

/// A deadline so far in the future is assumed not to have passed at its first poll, without a look at the clock. If it has passed
/// after all, the timer thread wakes the task at once.
const FRESH: Duration = Duration::from_millis(1);

impl Deadline {
    /// Returns the deadline that is `duration` from now, by the clock of `source`.
    pub(crate) fn after(source: TimeSource, duration: Duration) -> Self {
        let deadline = Instant::from_std(source.now()) + duration;
        Self { source, deadline, unpolled: duration >= FRESH, refused: false, key: None }
    }

    fn driver(&self) -> &Driver {
        self.source.driver()
    }

    pub(super) fn moment(&self) -> Instant {
        self.deadline
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_std(self.source.now())
    }

    fn has_passed(&self) -> bool {
        self.lateness().is_some()
    }

    /// Returns how long ago the deadline has passed, if it has.
    fn lateness(&self) -> Option<Duration> {
        self.source.now().checked_duration_since(self.deadline.into_std())
    }

    pub(super) fn reset(&mut self, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
        self.unpolled = false;
    }

    /// Has the waker woken at the deadline, in place of one that was set before. Returns `false` if the deadline has passed.
    pub(crate) fn wake_at(&mut self, waker: &Waker) -> bool {
        let unpolled = std::mem::take(&mut self.unpolled);
        if !unpolled && let Some(late) = self.lateness() {
            if self.key.is_some() {
                ThreadContext::record_timer(late);
            }
            return false;
        }
        if let Some(key) = self.key
            && self.driver().update(key, waker)
        {
            return true;
        }
        self.key = self.driver().insert(self.deadline.into_std(), waker.clone()).ok();
        self.key.is_some()
    }

    /// Like [`poll`](Self::poll), as a step of the task's budget.
    ///
    /// A future that is polled before this one may use up the budget in every poll of the task. It can put this one off until the
    /// task's next poll, and not for ever.
    pub(super) fn poll_budgeted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.refused) {
            return self.poll(cx);
        }
        self.refused = !budget::has_remaining();
        budget::poll(cx, |cx| self.poll(cx))
    }

    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.wake_at(cx.waker()) {
            return Poll::Pending;
        }
        self.cancel();
        Poll::Ready(())
    }

    fn cancel(&mut self) {
        if let Some(key) = self.key.take() {
            self.driver().remove(key);
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.cancel();
    }
}

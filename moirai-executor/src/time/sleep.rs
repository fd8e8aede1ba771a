//! Waiting for a moment.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use moirai_sync::budget;

use super::current::current;
use super::instant::Instant;
use crate::timer::driver::{Driver, TimeSource};
use crate::timer::queue::TimerKey;

/// Waits for `duration`. One of zero has passed at the first poll; `Duration::MAX` never does.
///
/// ```
/// # use moirai_core::ExecutorControl;
/// # let executor = moirai_executor::HybridExecutor::builder().worker_threads(1).build()?;
/// # executor.block_on(async {
/// use std::time::Duration;
/// moirai_executor::time::sleep(Duration::from_millis(1)).await;
/// # });
/// # Ok::<(), moirai_core::BuildError>(())
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(Deadline::after(current(), duration))
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(Deadline { source: current(), deadline, unpolled: false, key: None })
}

/// Resolves at its deadline: at most a quarter of a millisecond late, plus what it takes to wake the task, and never early. Made by
/// [`sleep`] and [`sleep_until`]. Dropping it forgets the deadline.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep(Deadline);

impl Sleep {
    /// When it resolves.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.0.has_passed()
    }

    /// Sets another deadline; the next poll is the first for it.
    pub fn reset(&mut self, deadline: Instant) {
        self.0.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        budget::poll(cx, |cx| self.0.poll(cx))
    }
}

/// What a [`Sleep`] is made of, without a share in the task's budget.
#[derive(Debug)]
pub(crate) struct Deadline {
    source: TimeSource,
    deadline: Instant,
    /// Whether it was in the future, for long enough, when the clock was looked at last, and nobody has asked since.
    unpolled: bool,
    key: Option<TimerKey>,
}

/// A deadline so far off is taken for not yet passed at its first poll, without a look at the clock. If it has, after all, the
/// timer's thread says so at once.
const FRESH: Duration = Duration::from_millis(1);

impl Deadline {
    /// So far from now, on the clock of `source`.
    pub(crate) fn after(source: TimeSource, duration: Duration) -> Self {
        let deadline = Instant::from_std(source.now()) + duration;
        Self { source, deadline, unpolled: duration >= FRESH, key: None }
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
        self.source.now() >= self.deadline.into_std()
    }

    pub(super) fn reset(&mut self, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
        self.unpolled = false;
    }

    /// Has the waker woken at the deadline, whatever it was asked to do before; false if the deadline has passed.
    pub(crate) fn wake_at(&mut self, waker: &Waker) -> bool {
        let unpolled = std::mem::take(&mut self.unpolled);
        if !unpolled && self.has_passed() {
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

//! Ticks at regular intervals.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::current::current;
use super::instant::Instant;
use super::sleep::Deadline;

/// The longest time by which a tick may be late without counting as missed.
const TOLERANCE: Duration = Duration::from_millis(5);

/// Returns an interval that ticks every `period`, the first time at once. With a period of zero a tick is always due.
///
/// ```
/// use moirai::prelude::*;
/// use moirai::time::interval;
/// use std::time::Duration;
///
/// let executor = Moirai::new()?;
/// executor.block_on(async {
///     let mut every = interval(Duration::from_millis(2));
///     let first = every.tick().await;
///     assert_eq!(every.tick().await - first, Duration::from_millis(2));
/// });
/// # Ok::<(), BuildError>(())
/// ```
pub fn interval(period: Duration) -> Interval {
    Interval {
        deadline: Deadline::after(current(), Duration::ZERO),
        period,
        missed: MissedTickBehavior::default(),
    }
}

/// Returns an interval that ticks at `start`, and then every `period`; see [`interval`].
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.deadline.reset(start);
    interval
}

/// What happens after ticks were missed: when a tick is taken more than 5 ms late, and the following one is due already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// The missed ticks follow at once, until the interval has caught up with the time.
    #[default]
    Burst,
    /// The next tick is a full period after the late one.
    Delay,
    /// The missed ticks are skipped: the next one is at the next multiple of the period after the start.
    Skip,
}

impl MissedTickBehavior {
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let regular = due + period;
        if now <= due + TOLERANCE || now < regular {
            return regular;
        }
        match self {
            Self::Burst => regular,
            Self::Delay => now + period,
            Self::Skip => {
                let late = (now - due).as_nanos();
                let into = late.checked_rem(period.as_nanos()).unwrap_or(0);
                // `into` is less than the period or, for a period of zero, zero.
                let left = period.as_nanos() - into;
                now + Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
            }
        }
    }
}

/// Ticks at regular intervals. Returned by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    deadline: Deadline,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and returns the moment at which it was due.
    ///
    /// The future may be dropped at any time: no tick is lost by that.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick, and returns the moment at which it was due; see [`tick`](Self::tick).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.deadline.poll_budgeted(cx));
        let due = self.deadline.moment();
        let next = self.missed.next(due, self.deadline.now(), self.period);
        self.deadline.reset(next);
        Poll::Ready(due)
    }

    /// Returns what happens after ticks were missed.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets what happens after ticks were missed. The default is [`MissedTickBehavior::Burst`].
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// Returns the period.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Moves the next tick to a full period from now.
    pub fn reset(&mut self) {
        self.deadline.reset(self.deadline.now() + self.period);
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_late_tick_is_as_chosen() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let period = Duration::from_millis(50);
        let next = |behavior: MissedTickBehavior, now| behavior.next(start, at(now), period);
        for behavior in
            [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip]
        {
            assert_eq!(next(behavior, 0), at(50));
            assert_eq!(next(behavior, 5), at(50), "a little late is not missed");
            assert_eq!(next(behavior, 40), at(50), "no tick was missed");
            let zero = behavior.next(start, at(70), Duration::ZERO);
            assert!(zero <= at(70));
            let _ = behavior.next(start, start + Duration::MAX, Duration::MAX);
        }
        assert_eq!(next(MissedTickBehavior::Burst, 120), at(50));
        assert_eq!(next(MissedTickBehavior::Delay, 120), at(170));
        assert_eq!(next(MissedTickBehavior::Skip, 120), at(150));
        assert_eq!(next(MissedTickBehavior::Skip, 100), at(150));
    }
}

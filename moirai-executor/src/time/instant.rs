//! Moments in time.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::current::current;

/// A moment in time, by the clock of the executor that runs the caller, which may be a manual one, or by the system's clock outside
/// of executors.
///
/// The operators never panic. A duration of more than thirty years that is added counts as thirty years. A sum or difference that
/// the clock cannot express is the moment itself, and the time since a later moment is zero.
///
/// ```
/// use moirai::time::Instant;
/// use std::time::Duration;
///
/// let start = Instant::now();
/// let deadline = start + Duration::from_secs(1);
/// assert_eq!(deadline - start, Duration::from_secs(1));
/// assert_eq!(start - deadline, Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

/// The longest duration that is added to a moment. It stands for forever.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

impl Instant {
    /// Returns the present moment.
    #[must_use]
    pub fn now() -> Self {
        Self(current().now())
    }

    /// Returns the time that has passed since this moment; zero if it is in the future.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// Returns the time from `earlier` to this moment; zero if `earlier` is in fact later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Returns the time from `earlier` to this moment, like [`saturating_duration_since`](Self::saturating_duration_since).
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// Returns the moment that is later by `duration`; `None` if the clock cannot express it.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// Returns the moment that is earlier by `duration`; `None` if the clock cannot express it.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }

    /// Returns the moment as an instant of the standard library.
    #[must_use]
    pub const fn into_std(self) -> std::time::Instant {
        self.0
    }

    /// Makes a moment of an instant of the standard library.
    #[must_use]
    pub const fn from_std(instant: std::time::Instant) -> Self {
        Self(instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.checked_add(duration.min(FAR)).unwrap_or(self.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Returns the moment that is earlier by `duration`; this moment itself if the clock cannot express it.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.checked_sub(duration).unwrap_or(self.0))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Self {
        Self(instant)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> Self {
        instant.0
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_never_panic() {
        let now = Instant::now();
        assert!(now + Duration::MAX > now);
        assert_eq!(now + Duration::MAX + Duration::ZERO, now + Duration::MAX);
        let _ = (now + Duration::MAX) + Duration::MAX;
        assert!(now - Duration::MAX <= now);
        assert_eq!(now - (now + Duration::from_secs(1)), Duration::ZERO);
    }
}

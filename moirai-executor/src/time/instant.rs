//! Moments.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::current::current;

/// A moment on the clock of the executor that runs the caller, which may be a manual one; else on the system's.
///
/// Sums and differences never panic: they end at the clock's far end (some thirty years from now), and at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

/// What counts as for ever.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

impl Instant {
    /// The moment now.
    #[must_use]
    pub fn now() -> Self {
        Self(current().now())
    }

    /// How much time has passed since.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// The time from an earlier moment to this one; zero if that moment is later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// As [`saturating_duration_since`](Self::saturating_duration_since).
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// The moment later by `duration`; `None` beyond what the clock can express.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// The moment earlier by `duration`; `None` beyond what the clock can express.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }

    /// As the standard library's.
    #[must_use]
    pub const fn into_std(self) -> std::time::Instant {
        self.0
    }

    /// From the standard library's.
    #[must_use]
    pub const fn from_std(instant: std::time::Instant) -> Self {
        Self(instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let far = || self.0.checked_add(FAR).unwrap_or(self.0);
        Self(self.0.checked_add(duration.min(FAR)).unwrap_or_else(far))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// The earlier moment; this one if the clock cannot express it.
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

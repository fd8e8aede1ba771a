//! Moments in the life of an executor.
//!
//! A timestamp carries the wall-clock time of the executor's start, so it can be converted into a `SystemTime` after the executor is
//! gone, or elsewhere. Records hold ticks, and a timestamp is made only when a caller asks, so its size costs the registry nothing.
//! Wall-clock times in its place would jump when the clock is set, and their differences would be wrong.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A moment, in nanoseconds since the executor's start.
///
/// It carries the wall-clock time of that start, so that it can be converted into a [`SystemTime`]. Moments of two executors are
/// ordered by the wall-clock times of their starts first.
///
/// ```
/// use moirai_core::Clock;
/// let clock = Clock::system();
/// let a = clock.now();
/// let b = clock.now();
/// assert!(a <= b);
/// assert_eq!(a.saturating_since(b), std::time::Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timestamp {
    /// The wall-clock time of the executor's start, in nanoseconds since the Unix epoch.
    origin: u64,
    nanos: u64,
}

impl Timestamp {
    /// Creates the moment `nanos` nanoseconds after a start that was `origin` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn new(origin: u64, nanos: u64) -> Self {
        Self { origin, nanos }
    }

    /// Returns the nanoseconds since the executor's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// Returns the time from `earlier` to this moment, or zero if `earlier` is not earlier. Both must be moments of the same
    /// executor, which is not checked.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }

    /// Returns the moment that is `duration` later. The result saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { nanos: self.nanos.saturating_add(nanos), ..self }
    }

    /// Returns the moment that is `duration` earlier, or the executor's start if that is later.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { nanos: self.nanos.saturating_sub(nanos), ..self }
    }

    /// Returns the moment on the wall clock. Changes of the wall clock after the executor's start are not taken into account.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        // The sum is less than 1,170 years. Where `SystemTime` could not hold it, the result would be the start.
        let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(self.origin);
        start.checked_add(Duration::from_nanos(self.nanos)).unwrap_or(start)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({:?})", Duration::from_nanos(self.nanos))
    }
}

impl fmt::Display for Timestamp {
    /// Prints the seconds since the executor's start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:.6}s", Duration::from_nanos(self.nanos).as_secs_f64())
    }
}

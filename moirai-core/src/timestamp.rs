//! A moment in the life of an executor.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A moment: nanoseconds since the executor's start.
///
/// It also carries the wall-clock time of that start, so that it can be turned into a [`SystemTime`]. Moments of two
/// executors compare by the wall-clock time of their starts first.
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
    /// The executor's start, in nanoseconds since the Unix epoch.
    origin: u64,
    nanos: u64,
}

impl Timestamp {
    /// The moment `nanos` nanoseconds after a start that was `origin` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn new(origin: u64, nanos: u64) -> Self {
        Self { origin, nanos }
    }

    /// Nanoseconds since the executor's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// The time from `earlier` to here; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }

    /// The same moment on the wall clock, as it stood when the executor started.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        // A sum beyond what `SystemTime` can hold (584 years from now) stays at the start.
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
    /// Seconds since the executor's start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:.6}s", Duration::from_nanos(self.nanos).as_secs_f64())
    }
}

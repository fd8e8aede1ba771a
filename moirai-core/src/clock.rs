//! A clock that is cheap to read.
//!
//! The times of a task are read as *ticks*: where the processor's time-stamp counter is invariant, a raw reading of that counter
//! (10 ns, against 23 for `Instant::now`), and elsewhere a reading of the monotonic clock. Ticks are converted into a [`Timestamp`]
//! only when a caller asks for one.
//!
//! The conversion is anchored at two moments, the clock's start and *now*, each of which is read both from the counter and from the
//! monotonic clock. So there is no calibration to wait for, the error at both ends is that of one reading, and it shrinks, relative
//! to the span, the longer the clock runs. A rate that was measured once would drift away instead. A moment before the start is
//! converted to the start, and one after now to now (the counters of two processors differ by a little).

mod manual;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use manual::{ListenerKey, ManualClock};

use crate::Timestamp;

/// A clock that is cheap to read. Clones show the same time.
///
/// ```
/// use moirai_core::Clock;
///
/// let clock = Clock::system();
/// let start = clock.ticks();
/// let end = clock.ticks();
/// let converter = clock.converter();
/// assert!(converter.timestamp(start) <= converter.timestamp(end));
/// assert!(converter.timestamp(end) <= converter.now());
/// ```
#[derive(Clone)]
pub struct Clock {
    source: ClockSource,
    /// The wall-clock time of the start, in nanoseconds since the Unix epoch.
    origin: u64,
    /// About how long a tick is, in units of 2⁻³² nanoseconds.
    scale: u64,
}

#[derive(Clone)]
enum ClockSource {
    Counter { counter: quanta::Clock, start: Anchor },
    Manual(Arc<ManualClock>),
}

/// One moment, as two clocks show it.
#[derive(Clone, Copy)]
struct Anchor {
    ticks: u64,
    instant: Instant,
}

impl Anchor {
    /// Reads both clocks as close to each other as possible: the best of `tries` tries, because the thread may be interrupted
    /// between two readings.
    fn read(counter: &quanta::Clock, tries: u32) -> Self {
        let mut best = Self { ticks: counter.raw(), instant: Instant::now() };
        let mut best_gap = u64::MAX;
        for _ in 0..tries {
            let before = counter.raw();
            let instant = Instant::now();
            let gap = counter.raw().saturating_sub(before);
            if gap < best_gap {
                best_gap = gap;
                best = Self { ticks: before.saturating_add(gap / 2), instant };
            }
        }
        best
    }
}

impl Clock {
    /// Creates a clock that shows the system's time, and starts now.
    #[must_use]
    pub fn system() -> Self {
        let counter = quanta::Clock::new();
        let start = Anchor::read(&counter, 8);
        let origin = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, as_nanos);
        let scale = counter.delta_as_nanos(0, 1 << 32).max(1);
        Self { source: ClockSource::Counter { counter, start }, origin, scale }
    }

    /// Creates a clock that stands still until [`ManualClock::advance`] moves it, for tests and simulation. It starts at the Unix
    /// epoch, and one tick is one nanosecond.
    ///
    /// ```
    /// use moirai_core::Clock;
    /// use std::time::Duration;
    /// let (clock, manual) = Clock::manual();
    /// let before = clock.now();
    /// manual.advance(Duration::from_secs(3600));
    /// assert_eq!(clock.now().saturating_since(before), Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn manual() -> (Self, Arc<ManualClock>) {
        let manual = Arc::new(ManualClock::default());
        let source = ClockSource::Manual(Arc::clone(&manual));
        (Self { source, origin: 0, scale: 1 << 32 }, manual)
    }

    /// Returns the control of this clock if it is a manual one, and `None` if it shows the system's time.
    #[must_use]
    pub fn as_manual(&self) -> Option<&Arc<ManualClock>> {
        match &self.source {
            ClockSource::Manual(manual) => Some(manual),
            ClockSource::Counter { .. } => None,
        }
    }

    /// Returns the current time in ticks, which is cheap. A [`converter`](Self::converter) converts them.
    #[inline]
    #[must_use]
    pub fn ticks(&self) -> u64 {
        match &self.source {
            ClockSource::Counter { counter, .. } => counter.raw(),
            ClockSource::Manual(manual) => manual.nanos(),
        }
    }

    /// Returns about how long `ticks` ticks are, by a rate that was measured when the process first created a clock. It is for
    /// histograms, and other uses that need it to be cheap rather than exact.
    #[inline]
    #[must_use]
    pub fn rough_duration(&self, ticks: u64) -> Duration {
        Duration::from_nanos(self.rough_nanos(ticks))
    }

    /// Returns about how many nanoseconds that many ticks are, as [`rough_duration`](Self::rough_duration). The result saturates.
    #[must_use]
    #[inline]
    pub fn rough_nanos(&self, ticks: u64) -> u64 {
        let nanos = (u128::from(ticks) * u128::from(self.scale)) >> 32;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Returns about how many ticks `duration` is, by the same rate as [`rough_duration`](Self::rough_duration). The result
    /// saturates.
    #[must_use]
    pub fn rough_ticks(&self, duration: Duration) -> u64 {
        const SAMPLE: u64 = 1 << 30;
        let nanos = as_nanos(self.rough_duration(SAMPLE)).max(1);
        let ticks = u128::from(as_nanos(duration)) * u128::from(SAMPLE) / u128::from(nanos);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Returns a converter for ticks that were read up to now.
    #[must_use]
    pub fn converter(&self) -> Converter {
        match &self.source {
            ClockSource::Counter { counter, start } => {
                let now = Anchor::read(counter, 2);
                Converter {
                    origin: self.origin,
                    start: start.ticks,
                    // The converter may be created before the counter has moved at all.
                    ticks: now.ticks.saturating_sub(start.ticks).max(1),
                    nanos: as_nanos(now.instant.saturating_duration_since(start.instant)),
                }
            }
            ClockSource::Manual(manual) => {
                let nanos = manual.nanos();
                Converter { origin: self.origin, start: 0, ticks: nanos.max(1), nanos }
            }
        }
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.converter().now()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = if self.as_manual().is_some() { "manual" } else { "system" };
        f.debug_struct("Clock").field("source", &source).field("now", &self.now()).finish()
    }
}

fn as_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Converts ticks into timestamps, as of the moment at which it was created.
///
/// All conversions by one converter are consistent: they keep the order of the ticks, and none is later than [`now`](Self::now).
#[derive(Clone, Copy, Debug)]
pub struct Converter {
    origin: u64,
    start: u64,
    /// The ticks from the start to now; not zero.
    ticks: u64,
    /// The nanoseconds from the start to now.
    nanos: u64,
}

impl Converter {
    /// Returns the moment at which the converter was created.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::new(self.origin, self.nanos)
    }

    /// Returns the moment at which the clock showed `ticks`; the clock's start if that was before it, and [`now`](Self::now) if it
    /// is later than that.
    #[must_use]
    pub fn timestamp(&self, ticks: u64) -> Timestamp {
        Timestamp::new(self.origin, self.nanos_of(ticks.saturating_sub(self.start)))
    }

    /// Returns how long `ticks` ticks are, at most the time from the clock's start to [`now`](Self::now).
    #[must_use]
    pub fn duration(&self, ticks: u64) -> Duration {
        Duration::from_nanos(self.nanos_of(ticks))
    }

    /// Returns the ticks that the clock showed `duration` before [`now`](Self::now), or `None` if that was before its start.
    #[must_use]
    pub fn ticks_before_now(&self, duration: Duration) -> Option<u64> {
        let back = u64::try_from(duration.as_nanos()).ok()?;
        let nanos = self.nanos.checked_sub(back)?;
        if self.nanos == 0 {
            return Some(self.start);
        }
        let ticks = u128::from(nanos) * u128::from(self.ticks) / u128::from(self.nanos);
        // Not more than `self.ticks`, since `nanos` is not more than `self.nanos`.
        Some(self.start.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)))
    }

    fn nanos_of(&self, ticks: u64) -> u64 {
        let ticks = ticks.min(self.ticks);
        let nanos = u128::from(ticks) * u128::from(self.nanos) / u128::from(self.ticks);
        // Not more than `self.nanos`, since `ticks` is not more than `self.ticks`.
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;

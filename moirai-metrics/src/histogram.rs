//! Histograms that are being written.

use std::array;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::access::{Access, Exclusive, SharedAccess, Sum, read};
use crate::buckets::{self, BUCKETS};
use crate::distribution::HistogramSnapshot;

/// A histogram of durations from zero to 584 years, in buckets that are exact to within 6.25 %. It takes 4 KiB.
///
/// Several threads can write and read it at the same time. The executor's own histograms are of this type, and a program can use it
/// for latencies of its own.
///
/// ```
/// use moirai_metrics::Histogram;
/// use std::time::Duration;
///
/// let histogram = Histogram::new();
/// for micros in 1..=1000 {
///     histogram.record(Duration::from_micros(micros));
/// }
/// let times = histogram.snapshot();
/// assert_eq!(times.count(), 1000);
/// assert_eq!(times.max(), Some(Duration::from_millis(1)));
/// let p99 = times.p99().unwrap().as_secs_f64();
/// assert!((p99 / 990e-6 - 1.0).abs() <= 0.0625);
/// ```
pub struct Histogram {
    sum: Sum,
    least: AtomicU64,
    most: AtomicU64,
    counts: [AtomicU64; BUCKETS],
}

impl Histogram {
    /// Creates an empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sum: Sum::default(),
            least: AtomicU64::new(u64::MAX),
            most: AtomicU64::new(0),
            counts: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Counts a duration. One that is longer than 584 years (`u64::MAX` nanoseconds) is counted as if it were that long.
    #[inline]
    pub fn record(&self, duration: Duration) {
        self.count::<SharedAccess>(duration);
    }

    /// Counts a duration without any atomic read-modify-write. It is for a histogram that one thread at a time writes to.
    ///
    /// If several threads write at the same time, and one of them by this method, counts are lost; nothing worse happens.
    #[inline]
    pub fn record_exclusive(&self, duration: Duration) {
        self.count::<Exclusive>(duration);
    }

    #[inline]
    pub(crate) fn count<A: Access>(&self, duration: Duration) {
        let nanos = saturating_nanos(duration);
        A::add(&self.counts[buckets::index_of(nanos)], 1);
        self.sum.add::<A>(nanos);
        A::lower(&self.least, nanos);
        A::raise(&self.most, nanos);
    }

    /// Returns what has been counted so far. A duration that is being counted meanwhile may be included or not.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let counts = self.counts.iter().map(read).enumerate();
        HistogramSnapshot::new(counts, self.sum.read(), read(&self.least), read(&self.most))
    }
}

/// Returns the nanoseconds of a duration, at most `u64::MAX`. The arithmetic is of 64 bits alone, which is half the work.
#[inline]
fn saturating_nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({})", self.snapshot())
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn it_has_the_size_that_is_promised() {
        assert!(size_of::<Histogram>() <= 4096, "{}", size_of::<Histogram>());
    }

    #[test]
    fn several_writers_lose_no_count() {
        let histogram = Histogram::new();
        thread::scope(|scope| {
            for writer in 0..3 {
                let histogram = &histogram;
                scope.spawn(move || {
                    for nanos in 0..20_000 {
                        histogram.record(Duration::from_nanos(nanos * 3 + writer));
                    }
                });
            }
        });
        let times = histogram.snapshot();
        assert_eq!(times.count(), 60_000);
        assert_eq!(times.sum(), Duration::from_nanos(60_000 * 59_999 / 2));
        assert_eq!(times.min(), Some(Duration::ZERO));
        assert_eq!(times.max(), Some(Duration::from_nanos(59_999)));
    }

    #[test]
    fn one_writer_can_be_read_meanwhile() {
        const TIMES: u64 = 50_000;
        let histogram = Histogram::new();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for nanos in 1..=TIMES {
                    histogram.record_exclusive(Duration::from_nanos(nanos));
                }
            });
            let mut seen = 0;
            while !writer.is_finished() {
                let times = histogram.snapshot();
                assert!(times.count() >= seen, "a count went back");
                seen = times.count();
                if let (Some(min), Some(mean), Some(max)) = (times.min(), times.mean(), times.max())
                {
                    assert!(min <= mean && mean <= max, "{min:?} {mean:?} {max:?}");
                }
            }
        });
        let times = histogram.snapshot();
        assert_eq!(times.count(), TIMES);
        assert_eq!(times.sum(), Duration::from_nanos(TIMES * (TIMES + 1) / 2));
    }

    #[test]
    fn durations_that_no_bucket_holds_count_as_the_longest() {
        let histogram = Histogram::new();
        histogram.record(Duration::MAX);
        histogram.record_exclusive(Duration::MAX);
        let times = histogram.snapshot();
        assert_eq!(times.min(), Some(Duration::from_nanos(u64::MAX)));
        assert_eq!(times.sum(), Duration::from_nanos(u64::MAX) * 2);
        assert_eq!(times.mean(), Some(Duration::from_nanos(u64::MAX)));
    }
}

//! Snapshots of histograms.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::buckets;

/// What a [`Histogram`](crate::Histogram) had counted at one moment.
///
/// Quantiles are exact to within 6.25 %. Count, sum, mean, minimum and maximum are exact once no thread writes to the histogram any
/// more; until then they are consistent with each other, but may lack what was being counted.
///
/// ```
/// use moirai_metrics::Histogram;
/// use std::time::Duration;
///
/// let (one, other) = (Histogram::new(), Histogram::new());
/// one.record(Duration::from_millis(1));
/// other.record(Duration::from_millis(3));
/// let mut both = one.snapshot();
/// both.merge(&other.snapshot());
/// assert_eq!(both.mean(), Some(Duration::from_millis(2)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Fields")
)]
pub struct HistogramSnapshot {
    /// The counts that are not zero, by the index of the bucket.
    counts: BTreeMap<usize, u64>,
    sum: Duration,
    /// Zero if the histogram is empty, as is `max`.
    min: Duration,
    max: Duration,
}

impl HistogramSnapshot {
    /// Creates a snapshot from what was read while other threads may have been writing. The sum and the extremes may then be behind
    /// the counts or ahead of them, and the sum may lack a carry. So the extremes are clamped to what the counts allow, and the sum to
    /// what both allow.
    pub(crate) fn new(
        counts: impl Iterator<Item = (usize, u64)>,
        sum: u128,
        least: u64,
        most: u64,
    ) -> Self {
        let counts: BTreeMap<usize, u64> = counts.filter(|&(_, count)| count > 0).collect();
        let (Some((&first, _)), Some((&last, _))) =
            (counts.first_key_value(), counts.last_key_value())
        else {
            return Self::default();
        };
        let min = least.clamp(buckets::least(first), buckets::greatest(first));
        let max = most.clamp(buckets::least(last), buckets::greatest(last)).max(min);
        let total = |value: fn(usize) -> u64| -> u128 {
            let value = |bucket| u128::from(value(bucket).clamp(min, max));
            let products = counts.iter().map(|(&bucket, &count)| value(bucket) * u128::from(count));
            products.fold(0, u128::saturating_add)
        };
        let sum = sum.clamp(total(buckets::least), total(buckets::greatest));
        Self {
            counts,
            sum: from_nanos(sum),
            min: Duration::from_nanos(min),
            max: Duration::from_nanos(max),
        }
    }

    /// Returns the number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Returns the sum of all durations. It saturates at [`Duration::MAX`].
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns the shortest duration, or `None` if there is none.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(self.min)
    }

    /// Returns the longest duration, or `None` if there is none.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(self.max)
    }

    /// Returns the average of all durations, or `None` if there is none.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let count = u128::from(self.count());
        Some(from_nanos(self.sum.as_nanos().checked_div(count)?))
    }

    /// Returns the duration that a share `q` of all durations does not exceed, to within 6.25 %, or `None` if there is none.
    ///
    /// `quantile(0.5)` is the median. A share below 0, and NaN, counts as 0, which is the shortest duration; a share above 1 counts
    /// as 1, which is the longest.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        // NaN gives rank 1.
        let rank = (q.clamp(0.0, 1.0) * count as f64).ceil() as u64;
        let rank = rank.clamp(1, count.max(1));
        // The extremes are known exactly.
        if rank == count {
            return self.max();
        }
        if rank == 1 {
            return self.min();
        }
        let mut seen = 0u64;
        let (&index, _) = self.counts.iter().find(|&(_, &count)| {
            seen = seen.saturating_add(count);
            seen >= rank
        })?;
        Some(Duration::from_nanos(buckets::middle(index)).clamp(self.min, self.max))
    }

    /// Returns the median, to within 6.25 %, or `None` if there is none.
    #[must_use]
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// Returns the duration that 99 of 100 do not exceed, to within 6.25 %, or `None` if there is none.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }

    /// Returns `true` if nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds what another histogram has counted.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.min = if self.is_empty() { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        for (&index, &count) in &other.counts {
            let mine = self.counts.entry(index).or_default();
            *mine = mine.saturating_add(count);
        }
    }

    /// Returns what was counted after `earlier`, a snapshot of the same histogram. Its extremes are those of the buckets.
    #[cfg(feature = "page")]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().map(|(&index, &count)| {
            (index, count.saturating_sub(earlier.counts.get(&index).copied().unwrap_or(0)))
        });
        let sum = self.sum.saturating_sub(earlier.sum).as_nanos();
        Self::new(counts, sum, 0, u64::MAX)
    }

    /// Returns how many durations are at most `nanos` long: exactly if a bucket ends at `nanos`, otherwise too few.
    pub(crate) fn count_up_to(&self, nanos: u64) -> u64 {
        let within =
            self.counts.iter().take_while(|&(&index, _)| buckets::greatest(index) <= nanos);
        within.fold(0, |sum, (_, &count)| sum.saturating_add(count))
    }
}

fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    // A sum of `u64` counts of `u64` nanoseconds exceeds what a `Duration` holds only if nearly all counts are used up.
    u64::try_from(nanos / SECOND)
        .map_or(Duration::MAX, |secs| Duration::new(secs, (nanos % SECOND) as u32))
}

impl fmt::Display for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(mean), Some(p50), Some(p99)) = (self.mean(), self.p50(), self.p99()) else {
            return f.write_str("none");
        };
        write!(
            f,
            "{} times: min {:.1?}, mean {mean:.1?}, p50 {p50:.1?}, p99 {p99:.1?}, max {:.1?}",
            self.count(),
            self.min,
            self.max,
        )
    }
}

/// The fields of a serialized histogram.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Fields {
    counts: BTreeMap<usize, u64>,
    sum: Duration,
    min: Duration,
    max: Duration,
}

#[cfg(feature = "serde")]
impl TryFrom<Fields> for HistogramSnapshot {
    type Error = String;

    /// Refuses buckets that do not exist. What else is not consistent with the counts is clamped to what they allow.
    fn try_from(fields: Fields) -> Result<Self, String> {
        if let Some((index, _)) = fields.counts.range(buckets::BUCKETS..).next() {
            let last = buckets::BUCKETS - 1;
            return Err(format!("there is no bucket {index}: a histogram has buckets 0 to {last}"));
        }
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (sum, min, max) = (fields.sum.as_nanos(), nanos(fields.min), nanos(fields.max));
        Ok(Self::new(fields.counts.into_iter(), sum, min, max))
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests;

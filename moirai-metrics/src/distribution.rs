//! A histogram as it stood at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::buckets;

/// What a [`Histogram`](crate::Histogram) had counted at one moment.
///
/// Quantiles are within 6.25 % of the true ones; count, sum, mean, least and greatest are exact once nobody writes any
/// more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Fields")
)]
pub struct HistogramSnapshot {
    /// The counts that are not zero, by bucket.
    counts: BTreeMap<usize, u64>,
    sum: Duration,
    /// Of an empty histogram: zero, as is `max`.
    min: Duration,
    max: Duration,
}

impl HistogramSnapshot {
    /// Takes what was read while others wrote. The sum and the extremes may be behind the counts then, or ahead of them, and
    /// the sum may lack a carry: they are held to what the counts allow.
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
        let total = |value: fn(usize) -> u64| -> u128 {
            let products = counts.iter().map(|(&i, &n)| u128::from(value(i)) * u128::from(n));
            products.fold(0, u128::saturating_add)
        };
        let sum = sum.clamp(total(buckets::least), total(buckets::greatest));
        let min = least.clamp(buckets::least(first), buckets::greatest(first));
        let max = most.clamp(buckets::least(last), buckets::greatest(last)).max(min);
        Self {
            counts,
            sum: from_nanos(sum),
            min: Duration::from_nanos(min),
            max: Duration::from_nanos(max),
        }
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The shortest; `None` if there is none.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(self.min)
    }

    /// The longest; `None` if there is none.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(self.max)
    }

    /// The average; `None` if there is none.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let count = u128::from(self.count());
        Some(from_nanos(self.sum.as_nanos().checked_div(count)?))
    }

    /// The duration that the share `q` of all does not exceed, to within 6.25 %; `None` if there is none. `quantile(0.5)` is
    /// the median. Below 0 counts as 0, the shortest; above 1 as 1, the longest.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        // A share that is no number gives rank 1.
        let rank = (q.clamp(0.0, 1.0) * count as f64).ceil() as u64;
        let rank = rank.clamp(1, count.max(1));
        // These two are known exactly.
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

    /// The median, to within 6.25 %; `None` if there is none.
    #[must_use]
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// What 99 of 100 do not exceed, to within 6.25 %; `None` if there is none.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }

    /// Whether nothing was counted.
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

    /// How many are at most `nanos` long: exact where a bucket ends at `nanos`, too few elsewhere.
    pub(crate) fn count_up_to(&self, nanos: u64) -> u64 {
        let within =
            self.counts.iter().take_while(|&(&index, _)| buckets::greatest(index) <= nanos);
        within.fold(0, |sum, (_, &count)| sum.saturating_add(count))
    }
}

fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    // A sum of u64 counts of u64 nanoseconds is more than a `Duration` holds only if nearly all counts are used up.
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

/// What a serialized histogram consists of.
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

    /// Refuses buckets that do not exist; whatever else does not fit the counts is held to them.
    fn try_from(fields: Fields) -> Result<Self, String> {
        if let Some((index, _)) = fields.counts.range(buckets::BUCKETS..).next() {
            let buckets = buckets::BUCKETS;
            return Err(format!("there is no bucket {index}: a histogram has {buckets}"));
        }
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (sum, min, max) = (fields.sum.as_nanos(), nanos(fields.min), nanos(fields.max));
        Ok(Self::new(fields.counts.into_iter(), sum, min, max))
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests;

//! Families of numbers, in no format yet.

use std::fmt;

/// Numbers with one name, which differ in their labels.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Family {
    /// The name. That of a counter ends in `_total`.
    pub name: &'static str,
    /// What the numbers are, in one line.
    pub help: &'static str,
    /// What they do.
    pub kind: FamilyKind,
    /// The numbers.
    pub numbers: Vec<Number>,
}

/// What the numbers of a family do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FamilyKind {
    /// They only grow, until the executor ends.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are counts of times that only grow, too.
    Histogram,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Number {
    /// The names of the labels with their values, which may be any text.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: Value,
}

/// The value of a number.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number of something.
    Count(u64),
    /// An amount, in the unit that the name ends in.
    Amount(f64),
    /// A histogram.
    Histogram {
        /// Bounds, in seconds, with the number of times that do not exceed them. All others are counted by `count` alone.
        buckets: Vec<(f64, u64)>,
        /// The sum of all times, in seconds.
        sum: f64,
        /// The number of all times.
        count: u64,
    },
}

impl Family {
    pub(super) fn new(kind: FamilyKind, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind, numbers: Vec::new() }
    }

    /// Adds a number.
    pub(super) fn with(
        mut self,
        labels: &[(&'static str, &dyn fmt::Display)],
        value: impl Into<Value>,
    ) -> Self {
        let labels = labels.iter().map(|(name, value)| (*name, value.to_string())).collect();
        self.numbers.push(Number { labels, value: value.into() });
        self
    }

    /// Returns the unit that the name ends in: `seconds` or `bytes`.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name_without_suffix();
        ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit))
    }

    /// Returns the name without `_total`, as OpenMetrics names a family of counters.
    #[must_use]
    pub fn name_without_suffix(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f64> for Value {
    fn from(amount: f64) -> Self {
        Self::Amount(amount)
    }
}

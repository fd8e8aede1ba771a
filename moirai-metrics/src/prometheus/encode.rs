//! The whole page of one executor.

use std::fmt;

use moirai_core::RuntimeStats;

use super::family::Family;
use super::format::Format;
use super::{exposition, now, recorded};
use crate::snapshot::MetricsSnapshot;

/// Returns the page of one executor: what it has recorded, and what it is doing now. Serve it with the
/// [content type](Format::content_type) of the format.
#[must_use]
pub fn encode(format: Format, metrics: &MetricsSnapshot, stats: &RuntimeStats) -> String {
    encode_families(format, &families(metrics, stats))
}

/// Returns a page of these families: of those that [`families`] returns, for example, and of
/// [`queue_families`](super::queue_families). No two may have the same name.
#[must_use]
pub fn encode_families(format: Format, families: &[Family]) -> String {
    let mut page = String::new();
    // Writing to a `String` does not fail.
    let _ = exposition::write(&mut page, format, families);
    page
}

/// Returns what [`encode()`] writes, for code that exports it in another way.
///
/// ```
/// # use moirai_core::{Clock, RuntimeStats};
/// # use moirai_metrics::MetricsSnapshot;
/// # use moirai_metrics::prometheus::{self, FamilyKind, Value};
/// # let stats = RuntimeStats::new(Clock::system().now());
/// let families = prometheus::families(&MetricsSnapshot::default(), &stats);
/// let queued = families.iter().find(|family| family.name == "moirai_queued_tasks").unwrap();
/// assert_eq!(queued.kind, FamilyKind::Gauge);
/// assert_eq!(queued.numbers[0].value, Value::Count(0));
/// ```
#[must_use]
pub fn families(metrics: &MetricsSnapshot, stats: &RuntimeStats) -> Vec<Family> {
    let mut families = recorded::families(metrics);
    families.extend(now::families(stats));
    families
}

impl MetricsSnapshot {
    /// Writes all numbers in Prometheus' text format, version 0.0.4, to be served as `text/plain; version=0.0.4`. What the executor is
    /// doing now is not among them; [`prometheus::encode`](crate::prometheus::encode()) writes both.
    ///
    /// The counters have a label `worker`, whose value is the worker's index, or `none` for all other threads. The histograms have
    /// a label `kind`; their buckets reach from 1 µs to 69 s.
    ///
    /// ```
    /// # let metrics = moirai_metrics::MetricsSnapshot::default();
    /// let mut page = String::new();
    /// metrics.to_prometheus(&mut page)?;
    /// assert!(page.contains("# TYPE moirai_tasks_total counter"));
    /// # Ok::<(), std::fmt::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If writing to `out` fails, which writing to a `String` never does.
    pub fn to_prometheus(&self, out: &mut impl fmt::Write) -> fmt::Result {
        exposition::write(out, Format::Text, &recorded::families(self))
    }
}

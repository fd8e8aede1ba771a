//! The whole page of one executor.

use std::fmt;

use moirai_core::RuntimeStats;

use super::exposition::Exposition;
use super::format::Format;
use super::{now, recorded};
use crate::snapshot::MetricsSnapshot;

/// Returns the page of one executor: what it has recorded, and what it is doing now. Serve it with the
/// [content type](Format::content_type) of the format.
#[must_use]
pub fn encode(format: Format, metrics: &MetricsSnapshot, stats: &RuntimeStats) -> String {
    let mut page = String::new();
    // Writing to a `String` does not fail.
    let _ = write(&mut page, format, metrics, stats);
    page
}

fn write(
    out: &mut String,
    format: Format,
    metrics: &MetricsSnapshot,
    stats: &RuntimeStats,
) -> fmt::Result {
    let mut page = Exposition::new(out, format);
    recorded::write(&mut page, metrics)?;
    now::write(&mut page, stats)?;
    page.end()
}

impl MetricsSnapshot {
    /// Writes all numbers in Prometheus' text format, version 0.0.4, to be served as `text/plain; version=0.0.4`. What the executor is
    /// doing now is not among them; [`prometheus::encode`](crate::prometheus::encode) writes both.
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
        recorded::write(&mut Exposition::new(out, Format::Text), self)
    }
}

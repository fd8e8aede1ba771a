//! An executor in a registry of the crate `prometheus-client`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

use super::encode::families;
use super::family::{Family, FamilyKind, Value};
use super::queues::queue_families;
use crate::observable::{Observable, Observer};
use crate::queues::{ContainedSource, QueueSource};

/// Collects what an executor exports whenever its registry is encoded. It does not keep the executor running; once that is gone, it
/// collects nothing.
///
/// ```
/// # use moirai_metrics::Observable;
/// use moirai_metrics::prometheus::Collector;
/// use prometheus_client::registry::Registry;
///
/// # fn register(executor: &impl Observable) {
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(Collector::new(executor)));
/// # }
/// ```
///
/// A registry takes several of them, for several executors, under different prefixes or labels.
pub struct Collector {
    observer: Arc<dyn Observer>,
    queues: Option<ContainedSource>,
}

impl Collector {
    /// Creates a collector of what this executor exports.
    #[must_use]
    pub fn new(executor: &impl Observable) -> Self {
        Self { observer: executor.observer(), queues: None }
    }

    /// Collects the gauges of these queues of durable jobs, too. If their source panics, the gauges are left out.
    #[must_use]
    pub fn queues(mut self, source: Arc<dyn QueueSource>) -> Self {
        self.queues = Some(ContainedSource::new(source));
        self
    }
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (Some(metrics), Some(stats)) = (self.observer.metrics(), self.observer.runtime_stats())
        else {
            return Ok(());
        };
        let queues = self.queues.as_ref().and_then(ContainedSource::stats).unwrap_or_default();
        let mut families = families(&metrics, &stats);
        families.extend(queue_families(&queues));
        families.iter().try_for_each(|family| encode(&mut encoder, family))
    }
}

fn encode(encoder: &mut DescriptorEncoder<'_>, family: &Family) -> fmt::Result {
    let kind = match family.kind {
        FamilyKind::Counter => MetricType::Counter,
        FamilyKind::Gauge => MetricType::Gauge,
        FamilyKind::Histogram => MetricType::Histogram,
    };
    let unit = family.unit().map(|unit| if unit == "bytes" { Unit::Bytes } else { Unit::Seconds });
    // The encoder appends the unit and the suffix.
    let name = family.name_without_suffix();
    let name = match &unit {
        Some(unit) => name.trim_end_matches(unit.as_str()).trim_end_matches('_'),
        None => name,
    };
    let mut encoder = encoder.encode_descriptor(name, family.help, unit.as_ref(), kind)?;
    for number in &family.numbers {
        if number.labels.is_empty() {
            value(&mut encoder, family.kind, &number.value)?;
        } else {
            value(&mut encoder.encode_family(&number.labels)?, family.kind, &number.value)?;
        }
    }
    Ok(())
}

fn value(encoder: &mut MetricEncoder<'_>, kind: FamilyKind, value: &Value) -> fmt::Result {
    const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;
    match (kind, value) {
        (FamilyKind::Counter, Value::Count(count)) => encoder.encode_counter(count, NO_EXEMPLAR),
        (FamilyKind::Counter, Value::Amount(amount)) => encoder.encode_counter(amount, NO_EXEMPLAR),
        (_, Value::Count(count)) => encoder.encode_gauge(count),
        (_, Value::Amount(amount)) => encoder.encode_gauge(amount),
        (_, Value::Histogram { buckets, sum, count }) => {
            // The encoder adds the buckets up.
            let mut before = 0;
            let mut alone: Vec<(f64, u64)> = Vec::with_capacity(buckets.len() + 1);
            for (bound, up_to) in buckets {
                alone.push((*bound, up_to.saturating_sub(before)));
                before = *up_to;
            }
            alone.push((f64::INFINITY, count.saturating_sub(before)));
            encoder.encode_histogram::<NoLabelSet>(*sum, *count, &alone, None)
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("running", &self.observer.is_running())
            .field("queues", &self.queues.is_some())
            .finish()
    }
}

//! The page that Prometheus scrapes, as its text format 0.0.4 or as OpenMetrics 1.0.
//!
//! [`encode()`] makes the whole page of one executor: the counters and histograms of its [`MetricsSnapshot`](crate::MetricsSnapshot),
//! and what it is doing now, its [`RuntimeStats`](moirai_core::RuntimeStats). [`Format::negotiate`] chooses the format by what a
//! client accepts. The feature `page` has a server that does all of it.
//!
//! ```
//! use moirai_core::{Clock, RuntimeStats};
//! use moirai_metrics::MetricsSnapshot;
//! use moirai_metrics::prometheus::{self, Format};
//!
//! let format = Format::negotiate(Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
//! let stats = RuntimeStats::new(Clock::system().now());
//! let page = prometheus::encode(format, &MetricsSnapshot::default(), &stats);
//! assert!(page.contains("# TYPE moirai_active_tasks gauge") && page.ends_with("# EOF\n"));
//! ```

#[cfg(feature = "prometheus-client")]
mod collector;
mod encode;
mod exposition;
mod family;
mod format;
mod now;
mod queues;
mod recorded;

#[cfg(feature = "prometheus-client")]
pub use collector::Collector;
pub use encode::{encode, encode_families, families};
pub use family::{Family, FamilyKind, Number, Value};
pub use format::Format;
pub use queues::queue_families;

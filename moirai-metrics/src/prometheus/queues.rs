//! Queues of durable jobs.

use super::family::{Family, FamilyKind};
use crate::queues::QueueStats;

/// Returns the gauges of queues of durable jobs, which the page's server adds to what [`families`](super::families) returns. There are
/// none if there are no queues.
///
/// The names of the queues become values of a label, so no two may be the same.
///
/// ```
/// use moirai_metrics::QueueStats;
/// use moirai_metrics::prometheus::{self, Format};
///
/// let mut mail = QueueStats::new("mail");
/// mail.waiting = 12;
/// let page = prometheus::encode_families(Format::Text, &prometheus::queue_families(&[mail]));
/// assert!(page.contains("moirai_queue_jobs{queue=\"mail\",state=\"waiting\"} 12\n"));
/// ```
#[must_use]
pub fn queue_families(queues: &[QueueStats]) -> Vec<Family> {
    if queues.is_empty() {
        return Vec::new();
    }
    let help = "Durable jobs that are stored, by queue and state.";
    let mut jobs = Family::new(FamilyKind::Gauge, "moirai_queue_jobs", help);
    let help = "How long the oldest job that is ready for its first attempt has waited, 0 if there is none.";
    let mut oldest = Family::new(FamilyKind::Gauge, "moirai_queue_oldest_waiting_seconds", help);
    for of in queues {
        let name = &of.name;
        for (state, number) in [
            ("waiting", of.waiting),
            ("scheduled", of.scheduled),
            ("running", of.running),
            ("retrying", of.retrying),
            ("done", of.done),
            ("dead", of.dead),
            ("cancelled", of.cancelled),
        ] {
            jobs = jobs.with(&[("queue", name), ("state", &state)], number);
        }
        let seconds = of.oldest_waiting.unwrap_or_default().as_secs_f64();
        oldest = oldest.with(&[("queue", name)], seconds);
    }
    vec![jobs, oldest]
}

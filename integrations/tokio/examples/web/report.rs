//! What is printed at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use moirai::prelude::*;

use crate::load::Latencies;

/// Prints how many requests there were in a second, and how long they took.
pub(crate) fn rates(latencies: &Latencies, time: Duration) {
    println!("{:18} {:>10} {:>10} {:>10}", "route", "requests/s", "p50", "p99");
    for (route, latencies) in latencies {
        let mut sorted = latencies.clone();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        let rate = sorted.len() as f64 / time.as_secs_f64();
        println!("{route:18} {rate:10.0} {:>10.1?} {:>10.1?}", at(50), at(99));
    }
}

/// Prints the records of the requests that are kept, by what the first part of their path is.
pub(crate) fn records(moirai: &Moirai) {
    /// What is printed of the requests of one kind.
    #[derive(Default)]
    struct Requests {
        records: usize,
        failed: usize,
        busy: Duration,
        error: Option<String>,
    }
    let mut kinds: BTreeMap<String, Requests> = BTreeMap::new();
    for task in moirai.tasks() {
        let Some(name) = task.name.as_deref().filter(|name| name.starts_with("GET /")) else {
            continue;
        };
        let end = name[5..].find('/').map_or(name.len(), |slash| 5 + slash);
        let kind = kinds.entry(name[..end].to_owned()).or_default();
        kind.records += 1;
        kind.failed += usize::from(task.status == TaskStatus::Failed);
        kind.busy += task.busy;
        if let Some(error) = &task.error {
            kind.error = Some(error.to_string());
        }
    }
    println!("\nThe newest tasks are on record; of the requests among them:");
    println!("{:18} {:>10} {:>10} {:>10}  error", "request", "records", "failed", "busy");
    for (name, Requests { records, failed, busy, error }) in kinds {
        let busy = busy / records.try_into().unwrap_or(u32::MAX);
        let error = error.unwrap_or_default();
        println!("{name:18} {records:>10} {failed:>10} {busy:>10.1?}  {error}");
    }
}

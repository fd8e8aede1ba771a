//! The registry's operations.
#![allow(
    unsafe_code,
    reason = "a record must not be used after its registry is gone; here each is finished at once"
)]

use std::hint::black_box;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::{CleanupConfig, Clock, Priority, TaskKind};
use moirai_executor::registry::{NewRecord, Registry, Writer};

use super::threads::{Load, Part, beside, on_threads, shared_out};

/// The limit on retained records that an executor has unless it is configured.
pub(super) const DEFAULT_LIMIT: usize = 10_000;
/// The records for each worker with which batches are as large as they can be.
pub(super) const ROOMY: usize = 512;

/// The least limit that is not exact, and what it is more for each worker: see `Registry::new`.
const LEAST_INEXACT: usize = 56;
const LEAST_INEXACT_FOR_EACH: usize = 24;

/// A registry at its limit, and the writers of each thread.
struct Registered {
    registry: Registry,
    writers: Vec<Part<Writer>>,
}

impl Registered {
    fn new(load: Load, limit: usize) -> Self {
        let config = CleanupConfig { max_retained_tasks: limit, ..CleanupConfig::default() };
        let registry = Registry::new(config, load.workers, Clock::system());
        let writers = (0..load.workers).map(|_| registry.writer()).collect();
        let mut writers: Vec<Part<Writer>> = shared_out(writers, load.threads);
        // Each writer has its share of the records that are retained.
        for number in 0..limit + limit / 4 {
            let of_thread = &mut writers[number % load.threads];
            let count = of_thread.len();
            task(&registry, &mut of_thread[number / load.threads % count], None);
        }
        Self { registry, writers }
    }
}

/// Records the life of a task, and reads the clock twice, as the executor does.
fn task(registry: &Registry, writer: &mut Writer, name: Option<Arc<str>>) {
    let new = NewRecord {
        kind: TaskKind::Async,
        priority: Priority::Normal,
        location: Location::caller(),
        hints: None,
        name,
        task: NonNull::<u64>::dangling().cast(),
    };
    let spawned = registry.now();
    // SAFETY: the record is finished below, with this registry, which the caller borrows. The pointer is aligned for a `u64`, and
    // `with_task`, which would use it, is not called.
    let record = unsafe { registry.register(writer, new, spawned) };
    record.start(Some(0), spawned);
    black_box(registry.complete(writer, record, registry.now(), 1));
}

fn with_limit(load: Load, limit: usize) -> f64 {
    let Registered { registry, writers } = Registered::new(load, limit);
    on_threads(writers, load.times, |writers, number| {
        let count = writers.len();
        task(&registry, &mut writers[number % count], None);
    })
}

pub(super) fn record(load: Load) -> f64 {
    with_limit(load, DEFAULT_LIMIT)
}

pub(super) fn record_roomy(load: Load) -> f64 {
    with_limit(load, (ROOMY * load.workers).max(DEFAULT_LIMIT))
}

pub(super) fn record_exact(load: Load) -> f64 {
    with_limit(load, LEAST_INEXACT + LEAST_INEXACT_FOR_EACH * load.workers - 1)
}

pub(super) fn record_outside(load: Load) -> f64 {
    let Registered { registry, .. } = Registered::new(load, DEFAULT_LIMIT);
    on_threads(vec![(); load.threads], load.times, |(), _| {
        registry.with_shared_writer(|writer| task(&registry, writer, None));
    })
}

pub(super) fn record_beside_names(load: Load) -> f64 {
    let Registered { registry, writers } = Registered::new(load, DEFAULT_LIMIT);
    let name: Arc<str> = "a name".into();
    let unnamed = |writers: &mut Part<Writer>, number: usize| {
        let count = writers.len();
        task(&registry, &mut writers[number % count], None);
    };
    beside(writers, load.times, unnamed, |writers| {
        for writer in writers {
            task(&registry, writer, Some(Arc::clone(&name)));
        }
    })
}

pub(super) fn sweep(load: Load) -> f64 {
    let Registered { registry, writers } = Registered::new(load, DEFAULT_LIMIT);
    // What is beyond the limit.
    registry.cleanup_now();
    on_threads(vec![writers], load.times, |_, _| {
        black_box(registry.cleanup_now());
    })
}

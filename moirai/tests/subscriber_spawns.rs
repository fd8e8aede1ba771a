//! A test of a `tracing` subscriber that spawns tasks: it is called under no lock.

mod common;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::watchdog;
use moirai::prelude::*;
use tracing::span;

/// Spawns a task with a hint at each event.
struct Spawns;

static EXECUTOR: OnceLock<Moirai> = OnceLock::new();
static EVENTS: AtomicUsize = AtomicUsize::new(0);

impl tracing::Subscriber for Spawns {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "moirai" && *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        EVENTS.fetch_add(1, SeqCst);
        if let Some(executor) = EXECUTOR.get() {
            executor.task().affinity(1).spawn_async(async {}).join().unwrap();
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_subscriber_may_spawn_what_it_is_told_of() {
    let _watchdog = watchdog();
    tracing::subscriber::set_global_default(Spawns).unwrap();
    let executor = EXECUTOR.get_or_init(|| common::workers(1));
    // The warning of a hint that has no effect.
    executor.task().affinity(1).spawn_async(async {}).join().unwrap();
    assert_eq!(EVENTS.load(SeqCst), 1);
}

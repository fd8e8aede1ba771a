//! Tests of a `tracing` subscriber that panics: nothing is lost by it.
//!
//! They hold a part of promise P2 (every task that is dropped has its end recorded) of `docs/src/guarantees.md`.

mod common;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{ON_PURPOSE, silence_expected_panics, watchdog};
use moirai::prelude::*;
use moirai::time::sleep;
use tracing::span;
use tracing_core::span::Current;

/// Panics at every event, when it is asked for the current span, at every second new span, and when a span gets a field or is
/// closed.
struct Panics;

impl tracing::Subscriber for Panics {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        static SPANS: AtomicU64 = AtomicU64::new(1);
        let number = SPANS.fetch_add(1, Ordering::Relaxed);
        assert!(number % 2 == 1, "{ON_PURPOSE}");
        span::Id::from_u64(number)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {
        panic!("{ON_PURPOSE}");
    }

    fn try_close(&self, _: span::Id) -> bool {
        panic!("{ON_PURPOSE}");
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("{ON_PURPOSE}");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}

    fn current_span(&self) -> Current {
        panic!("{ON_PURPOSE}");
    }
}

/// Sets the subscriber, for all tests of this process.
fn subscriber_panics() {
    silence_expected_panics();
    let _ = tracing::subscriber::set_global_default(Panics);
}

#[test]
fn an_executor_starts_and_stops() {
    let _watchdog = watchdog();
    subscriber_panics();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    assert_eq!(executor.block_on(executor.spawn_async(async { 1 })).unwrap(), 1);
    assert_eq!(executor.shutdown().still_active, 0);
}

#[test]
fn tasks_and_fork_join_work_run_although_their_span_cannot_be_found_out() {
    let _watchdog = watchdog();
    subscriber_panics();
    let executor = Moirai::builder().worker_threads(1).inherit_spans(true).build().unwrap();
    assert_eq!(executor.spawn_async(async { 1 }).join().unwrap(), 1);
    assert_eq!(executor.join(|| 1, || 2), (1, 2));
    let mut ran = false;
    executor.scope(|s| s.spawn(|_| ran = true));
    assert!(ran);
    assert_eq!(executor.shutdown().completed, 1);
}

#[test]
fn tasks_run_although_their_spans_cannot_be_made_or_closed() {
    let _watchdog = watchdog();
    subscriber_panics();
    for inherits in [false, true] {
        let builder = Moirai::builder().worker_threads(1).task_spans(true);
        let executor = builder.inherit_spans(inherits).build().unwrap();
        for number in 0..10 {
            let task = executor.spawn_async(async move {
                yield_now().await;
                number
            });
            assert_eq!(task.join().unwrap(), number);
            assert_eq!(executor.spawn_parallel(move || number).join().unwrap(), number);
            assert_eq!(executor.spawn_blocking(move || number).join().unwrap(), number);
        }
        let report = executor.shutdown();
        assert_eq!((report.completed, report.still_active), (30, 0));
        assert!(executor.spawn_async(async {}).join().is_err(), "it is refused");
    }
}

#[test]
fn a_detached_task_that_panics_has_its_end_recorded() {
    let _watchdog = watchdog();
    subscriber_panics();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let go = common::Gate::new();
    let waits = go.clone();
    let handle = executor.spawn_async(async move {
        waits.passed().await;
        panic!("{ON_PURPOSE}");
    });
    let id = handle.id();
    drop::<TaskHandle<()>>(handle);
    go.open();
    let told = executor.block_on(executor.wait_for_task(id, None));
    assert_eq!(told, Some(TaskStatus::Failed));
    assert_eq!(executor.shutdown().failed, 1);
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("{ON_PURPOSE}");
    }
}

#[test]
fn the_timer_thread_survives_a_waker_that_panics() {
    let _watchdog = watchdog();
    subscriber_panics();
    // No executor: its busy workers would fire timers too.
    let mut first = Box::pin(sleep(Duration::from_millis(5)));
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    // The later of the two deadlines comes after the panic.
    moirai::sync::block_on(sleep(Duration::from_millis(40)));
    moirai::sync::block_on(sleep(Duration::from_millis(5)));
}

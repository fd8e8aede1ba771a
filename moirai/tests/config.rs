//! Tests of the configuration: a bad one is refused with an error that names the field, the value and a remedy, and leaves nothing
//! half-started.
//!
//! They hold a part of promise P10 (no configuration panics or wraps around) of `docs/src/guarantees.md`.

mod common;

use std::error::Error;
use std::time::Duration;

use common::{Counter, named, threads, wait_until, watchdog};
use moirai::prelude::*;
use moirai::{HybridExecutor, MoiraiBuilder};

/// Asserts that `build` refuses the configuration, and that its error names the field and the value.
#[track_caller]
fn assert_refused(builder: MoiraiBuilder, field: &str, value: &str) -> BuildError {
    let error = builder.build().expect_err("the configuration should be refused");
    let text = error.to_string();
    assert!(error.field().is_some_and(|named| named.ends_with(field)), "{error:?}");
    assert!(text.contains(field) && text.contains(value), "{field}, {value}: {text}");
    assert!(
        text.len() > field.len() + value.len() + 15,
        "the error says what to do instead: {text}"
    );
    error
}

#[test]
fn values_without_a_meaning_are_refused_with_field_value_and_remedy() {
    let _watchdog = watchdog();
    let builder = Moirai::builder;
    for workers in [0, 4_097, usize::MAX] {
        let value = workers.to_string();
        assert_refused(builder().worker_threads(workers), "worker_threads", &value);
    }
    assert_refused(builder().thread_name_prefix(""), "thread_name_prefix", "\"\"");
    assert_refused(builder().thread_name_prefix("a\0b"), "thread_name_prefix", "a\\0b");
    assert_refused(builder().max_blocking_threads(0), "max_blocking_threads", "0");
    assert_refused(builder().blocking_queue_limit(0), "blocking_queue_limit", "0");
    assert_refused(builder().thread_stack_size(0), "thread_stack_size", "0");
    let cleanup = CleanupConfig { cleanup_interval: Duration::ZERO, ..CleanupConfig::default() };
    assert_refused(builder().cleanup_config(cleanup.clone()), "cleanup_interval", "0ns");
    // The same through the `ExecutorConfig`, and for the executor beneath the facade.
    let config = ExecutorConfig { worker_threads: 0, ..ExecutorConfig::default() };
    assert_refused(builder().config(config.clone()), "worker_threads", "0");
    assert_eq!(HybridExecutor::new(config).unwrap_err().field(), Some("worker_threads"));
    // The error stays readable however long the value is.
    let long = "\0".repeat(1 << 20);
    let error = assert_refused(builder().thread_name_prefix(long), "thread_name_prefix", "\\0");
    assert!(error.to_string().len() < 1_000);
    // Without automatic cleanup the interval has no meaning, so any value is accepted.
    let cleanup = CleanupConfig { enable_automatic_cleanup: false, ..cleanup };
    common::assert_runs(&builder().worker_threads(1).cleanup_config(cleanup).build().unwrap());
}

#[test]
fn extreme_values_with_a_meaning_are_accepted() {
    let _watchdog = watchdog();
    let largest = ExecutorConfig {
        worker_threads: 1,
        thread_name_prefix: "ü".repeat(100),
        thread_stack_size: Some(1 << 20),
        cleanup: CleanupConfig {
            task_retention_duration: Duration::MAX,
            cleanup_interval: Duration::MAX,
            enable_automatic_cleanup: true,
            max_retained_tasks: usize::MAX,
        },
        max_blocking_threads: usize::MAX,
        blocking_keep_alive: Duration::MAX,
        blocking_queue_limit: usize::MAX,
        spare_threads: usize::MAX,
        compensation_threads: Some(usize::MAX),
        inherit_spans: true,
        record_metrics: false,
        ..ExecutorConfig::default()
    };
    let smallest = ExecutorConfig {
        worker_threads: 1,
        thread_name_prefix: " ".to_owned(),
        cleanup: CleanupConfig {
            task_retention_duration: Duration::ZERO,
            cleanup_interval: Duration::from_nanos(1),
            enable_automatic_cleanup: true,
            max_retained_tasks: 0,
        },
        max_blocking_threads: 1,
        blocking_keep_alive: Duration::ZERO,
        blocking_queue_limit: 1,
        spare_threads: 0,
        compensation_threads: Some(0),
        ..ExecutorConfig::default()
    };
    for config in [largest, smallest] {
        let executor = Moirai::builder().config(config).build().unwrap();
        for _ in 0..20 {
            common::assert_runs(&executor);
        }
        assert!(executor.shutdown_timeout(Duration::MAX).is_clean());
    }
    let many = Moirai::builder().worker_threads(64).build().unwrap();
    assert_eq!(many.worker_count(), 64);
    common::assert_runs(&many);
}

/// Counts the workers that start, and those that stop.
#[derive(Clone, Default)]
struct Workers {
    started: Counter,
    stopped: Counter,
}

impl ExecutorPlugin for Workers {
    fn on_worker_start(&self, _: usize) {
        self.started.add();
    }
    fn on_worker_stop(&self, _: usize) {
        self.stopped.add();
    }
}

#[test]
fn a_build_that_cannot_start_all_its_threads_leaves_none_behind() {
    let _watchdog = watchdog();
    let prefix = "cfg-stack";
    // No address space has room for a stack of the first size. With the second, the first few threads may start.
    for stack in [usize::MAX / 4, (1 << 47) / 3] {
        let plugin = Workers::default();
        let builder = named(prefix, 8).plugin(plugin.clone()).thread_stack_size(stack);
        let error = assert_refused(builder, "thread_stack_size", &stack.to_string());
        assert!(error.source().is_some(), "the system's reason is kept");
        wait_until("no thread is left", || threads::count(prefix) == 0);
        assert_eq!(plugin.started.get(), plugin.stopped.get());
    }
    // The next executor is not affected.
    common::assert_runs(&named(prefix, 2).build().unwrap());
}

#[test]
fn a_refused_configuration_starts_no_thread() {
    let _watchdog = watchdog();
    let prefix = "cfg-none";
    for _ in 0..20 {
        assert!(named(prefix, 2).max_blocking_threads(0).build().is_err());
        assert_eq!(threads::count(prefix), 0);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_names_of_all_threads_begin_with_the_prefix() {
    let _watchdog = watchdog();
    let executor = named("cfg-name", 2).build().unwrap();
    let name = || threads::own_name();
    let names = [
        executor.spawn_async(async move { name() }).join().unwrap(),
        executor.spawn_parallel(name).join().unwrap(),
        executor.spawn_blocking(name).join().unwrap(),
    ];
    assert!(names.iter().all(|name| name.starts_with("cfg-name")), "{names:?}");
    wait_until("the workers and the cleanup worker have their names", || {
        threads::count("cfg-name") >= 3
    });
}

#[test]
#[cfg(target_os = "linux")]
fn building_and_dropping_executors_leaks_no_thread() {
    let _watchdog = watchdog();
    let prefix = "cfg-leak";
    for i in 0..100 {
        let executor = named(prefix, 1 + i % 3).build().unwrap();
        if i % 2 == 0 {
            executor.spawn_parallel(|| ()).join().unwrap();
        }
        if i % 5 == 0 {
            executor.spawn_blocking(|| ()).join().unwrap();
        }
    }
    wait_until("no thread is left", || threads::count(prefix) == 0);
}

#[test]
#[allow(deprecated)]
fn the_deprecated_name_of_two_settings_sets_both() {
    let _watchdog = watchdog();
    let builder = named("two", 1).stall_budget(None);
    let executor = builder.reserve_workers(0).build().unwrap();
    // There are no compensation threads, so a watchdog thread would have nothing to do. The cleanup thread is started after it.
    wait_until("the threads have their names", || threads::count("two-cleanup") == 1);
    assert_eq!(threads::count("two-watchdog"), 0);
    // There are no spare threads: the only worker keeps its core while it waits, so the task that it waits for does not run.
    let outer = executor.spawn_parallel({
        let executor = executor.clone();
        move || {
            let mut inner = executor.spawn_parallel(|| ());
            inner.join_timeout(Duration::from_millis(50)).is_none()
        }
    });
    assert!(outer.join().unwrap());
}

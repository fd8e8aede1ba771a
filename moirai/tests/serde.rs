//! Tests of serialisation, with the feature `serde`.
#![cfg(feature = "serde")]

mod common;

use std::time::Duration;

use common::watchdog;
use moirai::prelude::*;
use moirai::{ExecutorConfig, MetricsSnapshot, RetentionClass};
use serde_json::{Value, from_str, from_value, json, to_string, to_value};

#[test]
fn configurations_are_the_same_after_a_round_trip() {
    let limits = Retention { max_records: 5, max_age: Duration::MAX };
    let config = ExecutorConfig {
        worker_threads: 3,
        thread_name_prefix: "served".to_owned(),
        thread_stack_size: Some(1 << 20),
        cleanup: CleanupConfig {
            task_retention_duration: Duration::from_millis(1_500),
            max_retained_tasks: 17,
            ..CleanupConfig::default()
        },
        retention: vec![RetentionClass::new("jobs", limits)],
        retain_failures: Some(limits),
        ..ExecutorConfig::default()
    };
    let text = to_string(&config).unwrap();
    assert_eq!(from_str::<ExecutorConfig>(&text).unwrap(), config);
    let text = to_string(&config.cleanup).unwrap();
    assert_eq!(from_str::<CleanupConfig>(&text).unwrap(), config.cleanup);
}

#[test]
fn fields_that_are_left_out_have_their_defaults() {
    assert_eq!(from_str::<ExecutorConfig>("{}").unwrap(), ExecutorConfig::default());
    assert_eq!(from_str::<CleanupConfig>("{}").unwrap(), CleanupConfig::default());
    let config: ExecutorConfig =
        from_value(json!({ "worker_threads": 2, "cleanup": { "max_retained_tasks": 5 } })).unwrap();
    let expected = ExecutorConfig {
        worker_threads: 2,
        cleanup: CleanupConfig { max_retained_tasks: 5, ..CleanupConfig::default() },
        ..ExecutorConfig::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn a_configuration_without_a_meaning_is_refused_by_build() {
    let config: ExecutorConfig = from_value(json!({ "worker_threads": 0 })).unwrap();
    let error = Moirai::builder().config(config).build().unwrap_err();
    assert_eq!(error.field(), Some("worker_threads"));
}

#[test]
fn ids_statuses_records_and_reports_can_be_serialised() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    let handle = executor.task().name("written").spawn_parallel(|| ());
    let id = handle.id();
    handle.join().unwrap();
    assert_eq!(to_value(id).unwrap(), json!(id.get()));
    assert_eq!(from_value::<TaskId>(json!(id.get())).unwrap(), id);
    assert!(from_value::<TaskId>(json!(0)).is_err());
    for status in [
        TaskStatus::Queued,
        TaskStatus::Running,
        TaskStatus::Completed,
        TaskStatus::Cancelled,
        TaskStatus::Failed,
    ] {
        assert_eq!(from_value::<TaskStatus>(to_value(status).unwrap()).unwrap(), status);
    }
    for priority in Priority::ALL {
        assert_eq!(from_value::<Priority>(to_value(priority).unwrap()).unwrap(), priority);
    }
    let record = to_value(executor.task_stats(id).unwrap()).unwrap();
    assert_eq!(record["id"], json!(id.get()));
    assert_eq!(record["name"], json!("written"));
    assert_eq!(record["status"], to_value(TaskStatus::Completed).unwrap());
    assert!(record["location"].as_str().unwrap().starts_with(file!()));
    assert_eq!(record["error"], Value::Null);
    let stats = executor.cleanup_stats();
    let written = to_value(&stats).unwrap();
    assert_eq!(written["completed_tasks"], json!(1));
    assert_eq!(from_value::<CleanupStats>(written).unwrap(), stats);
    let metrics = executor.metrics();
    let written = to_string(&metrics).unwrap();
    assert_eq!(from_str::<MetricsSnapshot>(&written).unwrap(), metrics);
    let report = to_value(executor.shutdown()).unwrap();
    assert_eq!((&report["spawned"], &report["completed"]), (&json!(1), &json!(1)));
}

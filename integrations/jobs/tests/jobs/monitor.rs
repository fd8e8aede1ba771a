//! What the live page gets.

use std::time::{Duration, Instant};

use moirai::metrics::QueueSource;
use moirai::prelude::*;
use moirai_jobs::{Job, JobState, Permanent};

use crate::harness::{LONG, Storage, until_state};

async fn a_monitor_shows_queues_and_retries_dead_jobs(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("shown");
    let ids = queue.push_all(&[1, 2]).await.unwrap();
    let consumer = queue
        .clone()
        .run(&moirai, async |job: Job<u32>| match job.payload {
            1 => Ok(()),
            _ => Err(Permanent::new("<script>")),
        })
        .unwrap();
    until_state(&jobs, ids[0], JobState::Done).await;
    until_state(&jobs, ids[1], JobState::Dead).await;
    consumer.drain().await;
    let monitor = jobs.monitor(&moirai);
    let started = Instant::now();
    let until = async |holds: fn(&moirai::metrics::QueueStats) -> bool| {
        while !monitor.queues().first().is_some_and(holds) {
            assert!(started.elapsed() < LONG, "gave up waiting: {:?}", monitor.queues());
            moirai::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(|queue| (queue.done, queue.dead) == (1, 1)).await;
    assert_eq!(&*monitor.queues()[0].name, "shown");
    let dead = monitor.dead_jobs("shown", 10);
    assert_eq!((&*dead[0].id, &*dead[0].error), (&*ids[1].to_string(), "<script>"));
    assert!(dead[0].attempts == 1 && dead[0].died_at.is_some());
    assert!(monitor.dead_jobs("shown", 0).is_empty() && monitor.dead_jobs("none", 9).is_empty());
    let id = ids[1].to_string();
    assert!(!monitor.retry("none", &id) && !monitor.retry("shown", "7"));
    assert!(!monitor.retry("shown", &ids[0].to_string()), "it is done");
    assert!(monitor.retry("shown", &id));
    assert!(!monitor.retry("shown", &id), "it was asked for already");
    until(|queue| (queue.waiting, queue.dead) == (1, 0)).await;
    assert!(monitor.queues()[0].oldest_waiting.is_some());
    // Its task ends with it.
    drop(monitor);
    let is_active = |task: &TaskStats| {
        task.name.as_deref() == Some("monitor of jobs") && task.status.is_active()
    };
    while moirai.tasks().iter().any(is_active) {
        assert!(started.elapsed() < LONG, "the task does not end");
        moirai::time::sleep(Duration::from_millis(5)).await;
    }
}

cases! { a_monitor_shows_queues_and_retries_dead_jobs }

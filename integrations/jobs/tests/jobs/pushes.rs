//! Keys, times, priorities.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moirai::prelude::*;
use moirai_jobs::{Job, JobState};
use parking_lot::Mutex;

use crate::harness::{Storage, until_state};

async fn a_key_is_pushed_once(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("keyed");
    let first = queue.job(&1).key("order 7").push().await.unwrap();
    assert_eq!(queue.job(&2).key("order 7").push().await.unwrap(), first);
    let other = jobs.queue::<u32>("other").job(&3).key("order 7").push().await.unwrap();
    assert_ne!(other, first);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ran);
    let consumer = queue
        .clone()
        .run(&moirai, move |job: Job<u32>| {
            seen.lock().push((job.payload, job.idempotency_key().to_owned()));
            async { Ok::<_, std::io::Error>(()) }
        })
        .unwrap();
    until_state(&jobs, first, JobState::Done).await;
    // Also when it has ended.
    assert_eq!(queue.job(&4).key("order 7").push().await.unwrap(), first);
    let plain = queue.push(&5).await.unwrap();
    until_state(&jobs, plain, JobState::Done).await;
    assert_eq!(*ran.lock(), [(1, "order 7".to_owned()), (5, plain.to_string())]);
    consumer.drain().await;
    // A purge frees it. What has ended in this very second is not older than it.
    let mut deleted = 0;
    while deleted < 2 {
        moirai::time::sleep(Duration::from_millis(20)).await;
        deleted += jobs.purge(Some("keyed"), JobState::Done, Duration::ZERO).await.unwrap();
    }
    assert_ne!(queue.job(&6).key("order 7").push().await.unwrap(), first);
}

async fn a_job_waits_for_its_time(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("later");
    let at = SystemTime::now() + Duration::from_millis(1_500);
    let id = queue.push_at(&1, at).await.unwrap();
    assert_eq!(jobs.status(id).await.unwrap().unwrap().record.state, JobState::Scheduled);
    let ran_at = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&ran_at);
    let consumer = queue
        .run(&moirai, move |_: Job<u32>| {
            *seen.lock() = Some(SystemTime::now());
            async { Ok::<_, std::io::Error>(()) }
        })
        .unwrap();
    until_state(&jobs, id, JobState::Done).await;
    assert!(ran_at.lock().unwrap() >= at);
    consumer.drain().await;
}

async fn higher_priorities_come_first(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("ranked").concurrency(1);
    let mut last = None;
    for priority in [1, 3, 0, 2] {
        let id = queue.job(&priority).priority(priority).push().await.unwrap();
        if priority == 0 {
            last = Some(id);
        }
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let consumer = queue
        .run(&moirai, move |job: Job<u32>| {
            seen.lock().push(job.payload);
            async { Ok::<_, std::io::Error>(()) }
        })
        .unwrap();
    until_state(&jobs, last.unwrap(), JobState::Done).await;
    assert_eq!(*order.lock(), [3, 2, 1, 0]);
    consumer.drain().await;
}

cases! { a_key_is_pushed_once, a_job_waits_for_its_time, higher_priorities_come_first }

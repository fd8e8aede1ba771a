//! Drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai_jobs::{Job, JobState};

use crate::harness::{LONG, Storage, executor, until, until_state};

async fn a_drain_waits_for_short_jobs_and_gives_back_long_ones(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("drained").concurrency(2).grace(Duration::from_millis(500));
    let short = queue.push(&100).await.unwrap();
    let long = queue.push(&3_600_000).await.unwrap();
    let waiting = queue.push(&0).await.unwrap();
    let consumer = queue
        .run(&moirai, async |job: Job<u64>| {
            moirai::time::sleep(Duration::from_millis(job.payload)).await;
            Ok::<_, std::io::Error>(())
        })
        .unwrap();
    for id in [short, long] {
        until(&jobs, id, |status| status.running().is_some()).await;
    }
    let started = Instant::now();
    let drained = consumer.drain().await;
    assert_eq!((drained.ended, drained.given_back), (1, vec![long]));
    assert!(started.elapsed() < Duration::from_secs(30));
    let state = async |id| {
        let record = jobs.status(id).await.unwrap().unwrap().record;
        (record.state, record.attempts, record.consumer)
    };
    assert_eq!(state(short).await, (JobState::Done, 1, None));
    assert_eq!(state(long).await, (JobState::Waiting, 0, None));
    assert_eq!(state(waiting).await, (JobState::Waiting, 0, None));
}

async fn a_job_that_cannot_be_cancelled_is_given_back_all_the_same(
    moirai: Moirai,
    storage: Storage,
) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("stubborn").grace(Duration::from_millis(1));
    let id = queue.push(&0).await.unwrap();
    let goes_on = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&goes_on);
    let consumer = queue
        .run(&moirai, move |_: Job<u64>| {
            let flag = Arc::clone(&flag);
            async move {
                while flag.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok::<_, std::io::Error>(())
            }
        })
        .unwrap();
    until_state(&jobs, id, JobState::Running).await;
    until(&jobs, id, |status| status.running().is_some_and(|task| task.started_at.is_some())).await;
    let drained = consumer.drain().await;
    assert_eq!(drained.given_back, [id]);
    let record = jobs.status(id).await.unwrap().unwrap().record;
    assert_eq!((record.state, record.attempts), (JobState::Waiting, 0));
    goes_on.store(false, Ordering::Relaxed);
    // Its end changes nothing any more.
    until(&jobs, id, |status| status.running().is_none()).await;
    assert_eq!(jobs.status(id).await.unwrap().unwrap().record.state, JobState::Waiting);
}

async fn the_drain_of_an_executor_gives_back_its_jobs(_: Moirai, storage: Storage) {
    let other = executor();
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("leaving").grace(Duration::from_millis(10));
    let id = queue.push(&0).await.unwrap();
    let consumer = queue
        .run(&other, async |_: Job<u64>| -> Result<(), std::io::Error> {
            std::future::pending().await
        })
        .unwrap();
    until(&jobs, id, |status| status.running().is_some()).await;
    consumer.detach();
    let report = moirai::spawn_blocking(move || other.drain(LONG)).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    let record = jobs.status(id).await.unwrap().unwrap().record;
    assert_eq!((record.state, record.attempts), (JobState::Waiting, 0));
}

async fn who_cancels_a_consumer_cancels_what_it_runs(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("orphaned");
    let id = queue.push(&0).await.unwrap();
    let consumer = queue
        .run(&moirai, async |_: Job<u64>| -> Result<(), std::io::Error> {
            std::future::pending().await
        })
        .unwrap();
    until(&jobs, id, |status| status.running().is_some()).await;
    let is_consumer = |task: &&TaskStats| task.name.as_deref() == Some("consumer of orphaned");
    let task = moirai.tasks().iter().find(is_consumer).unwrap().id;
    assert!(moirai.cancel_task(task));
    until(&jobs, id, |status| status.running().is_none()).await;
    // Nobody could say so to the storage.
    assert_eq!(jobs.status(id).await.unwrap().unwrap().record.state, JobState::Running);
    assert_eq!(consumer.drain().await, Default::default());
}

cases! {
who_cancels_a_consumer_cancels_what_it_runs, a_drain_waits_for_short_jobs_and_gives_back_long_ones, a_job_that_cannot_be_cancelled_is_given_back_all_the_same, the_drain_of_an_executor_gives_back_its_jobs }

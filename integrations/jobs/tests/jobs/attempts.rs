//! How attempts end, and what the storage and the records of tasks say of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moirai::prelude::*;
use moirai::retry::ConstantBuilder;
use moirai_jobs::{Job, JobState, Permanent};

use crate::harness::{Storage, until, until_state};

fn at_once(again: usize) -> ConstantBuilder {
    ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(again)
}

async fn each_job_runs_once_and_computes_on_the_workers(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("sum").concurrency(8);
    let ids = queue.push_all(&(0..300).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(ids.len(), 300);
    assert!(ids.is_sorted());
    let sum = Arc::new(AtomicU32::new(0));
    let total = Arc::clone(&sum);
    let consumer = queue
        .run(&moirai, move |job: Job<u64>| {
            let total = Arc::clone(&total);
            async move {
                let (a, b) = moirai::join(|| job.payload, || 1);
                total.fetch_add(u32::try_from(a + b).unwrap(), Ordering::Relaxed);
                Ok::<_, std::io::Error>(())
            }
        })
        .unwrap();
    for id in ids {
        let done = until_state(&jobs, id, JobState::Done).await;
        assert_eq!((done.record.attempts, done.record.error), (1, None));
    }
    assert_eq!(sum.load(Ordering::Relaxed), 300 * 299 / 2 + 300);
    let drained = consumer.drain().await;
    assert_eq!(drained.given_back, []);
}

async fn an_error_is_tried_again_and_then_the_job_is_dead(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("fail").retry(at_once(2));
    // The first number of attempts fail.
    let ids = queue.push_all(&[0, 1, 2, 3]).await.unwrap();
    let consumer = queue
        .run(&moirai, async |job: Job<u32>| {
            assert_eq!((job.max_attempts(), job.is_last_attempt()), (3, job.attempt() == 3));
            if job.attempt() <= job.payload {
                return Err(format!("attempt {} is no good", job.attempt()));
            }
            Ok(())
        })
        .unwrap();
    for (failures, id) in (0..3).zip(&ids) {
        let done = until_state(&jobs, *id, JobState::Done).await;
        assert_eq!(done.record.attempts, failures + 1);
        let statuses: Vec<_> = done.attempts.iter().map(|task| task.status).collect();
        let failed = usize::try_from(failures).unwrap();
        assert_eq!(statuses[..failed], vec![TaskStatus::Failed; failed]);
        assert_eq!(statuses[failed..], [TaskStatus::Completed]);
    }
    let dead = until_state(&jobs, ids[3], JobState::Dead).await;
    assert_eq!(dead.record.attempts, 3);
    assert_eq!(dead.record.error.as_deref(), Some("attempt 3 is no good"));
    let errors: Vec<_> = dead.attempts.iter().map(|task| task.error.as_deref()).collect();
    let expected = [1, 2, 3].map(|n| format!("attempt {n} is no good"));
    assert_eq!(errors, expected.each_ref().map(|text| Some(&**text)));
    consumer.drain().await;
}

async fn panics_timeouts_and_cancels_are_failures_with_a_message(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs
        .queue::<String>("bad")
        .retry(at_once(0))
        .timeout(Duration::from_millis(200))
        .concurrency(8);
    let ids = queue
        .push_all(&["panic", "hang", "cancel", "permanent", "cause"].map(String::from))
        .await
        .unwrap();
    let consumer = queue
        .run(
            &moirai,
            async |job: Job<String>| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                match &*job.payload {
                    "panic" => panic!("on purpose"),
                    "hang" => std::future::pending().await,
                    "cancel" => {
                        moirai::Moirai::current().unwrap().cancel_task(moirai::task::id().unwrap());
                        std::future::pending().await
                    }
                    "permanent" => Err(Permanent::new("never").into()),
                    _ => Err(std::io::Error::other("the disk is on fire").into()),
                }
            },
        )
        .unwrap();
    let expected = [
        "it has panicked: on purpose",
        "it has taken longer than 200ms",
        "its task was cancelled",
        "never",
        "the disk is on fire",
    ];
    for (id, expected) in ids.iter().zip(expected) {
        let dead = until_state(&jobs, *id, JobState::Dead).await;
        assert_eq!(dead.record.error.as_deref(), Some(expected));
    }
    consumer.drain().await;
}

async fn a_permanent_error_ends_a_job_that_has_attempts_left(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("permanent").retry(at_once(9));
    let id = queue.push(&1).await.unwrap();
    let consumer = queue.run(&moirai, async |_: Job<u32>| Err(Permanent::new("no"))).unwrap();
    let dead = until_state(&jobs, id, JobState::Dead).await;
    assert_eq!((dead.record.attempts, dead.record.max_attempts), (1, 10));
    consumer.drain().await;
}

async fn a_payload_that_no_longer_parses_is_kept_with_a_clear_error(
    moirai: Moirai,
    storage: Storage,
) {
    let jobs = storage.open().await;
    let id = jobs.queue::<String>("changed").push(&"seven".into()).await.unwrap();
    let consumer = jobs
        .queue::<u32>("changed")
        .run(&moirai, async |_: Job<u32>| -> Result<(), std::io::Error> { unreachable!() })
        .unwrap();
    let dead = until_state(&jobs, id, JobState::Dead).await;
    let error = dead.record.error.unwrap();
    assert!(error.starts_with("the payload is no u32: invalid type: string"), "{error}");
    assert_eq!(dead.record.payload, b"\"seven\"");
    consumer.drain().await;
}

async fn an_attempt_is_a_task_with_name_tags_and_progress(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("watched");
    let id = queue.push(&7).await.unwrap();
    let consumer = queue
        .run(&moirai, async |_: Job<u32>| -> Result<(), std::io::Error> {
            moirai::task::set_progress(3, 10);
            std::future::pending().await
        })
        .unwrap();
    let status =
        until(&jobs, id, |status| status.running().is_some_and(|task| task.progress.is_some()))
            .await;
    assert_eq!(status.record.state, JobState::Running);
    assert!(status.record.consumer.is_some_and(|name| name.starts_with("watched ")));
    let task = status.attempts.last().unwrap();
    assert_eq!(task.name.as_deref(), Some(&*format!("watched {id}")));
    assert_eq!(task.progress.unwrap().to_string(), "3/10");
    assert_eq!(moirai.tasks_tagged("job", id).len(), 1);
    assert_eq!(moirai.tasks_tagged("queue", "watched").len(), 2);
    // A cancel of the job cancels the task.
    assert!(jobs.cancel(id).await.unwrap());
    let cancelled = until(&jobs, id, |status| status.running().is_none()).await;
    assert_eq!(cancelled.record.state, JobState::Cancelled);
    assert_eq!(cancelled.record.error.as_deref(), Some("cancelled"));
    assert!(!jobs.cancel(id).await.unwrap());
    consumer.drain().await;
    // The end of the attempt has changed nothing.
    assert_eq!(jobs.status(id).await.unwrap().unwrap().record.state, JobState::Cancelled);
}

async fn a_long_computation_keeps_its_lease(_: Moirai, storage: Storage) {
    const LEASE: Duration = Duration::from_secs(3);
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("long").lease(LEASE);
    let id = queue.push(&1).await.unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    // Each with one worker, which the computation has for itself.
    let executors = [(); 2].map(|()| {
        let driver = moirai_tokio::driver().unwrap();
        Moirai::builder().worker_threads(1).plugin(driver).build().unwrap()
    });
    let mut consumers = Vec::new();
    for executor in &executors {
        let runs = Arc::clone(&runs);
        let consumer = queue.clone().run(executor, move |_: Job<u32>| {
            runs.fetch_add(1, Ordering::Relaxed);
            async {
                let started = std::time::Instant::now();
                while started.elapsed() < LEASE * 2 {
                    std::hint::spin_loop();
                }
                Ok::<_, std::io::Error>(())
            }
        });
        consumers.push(consumer.unwrap());
    }
    let done = until_state(&jobs, id, JobState::Done).await;
    assert_eq!((done.record.attempts, runs.load(Ordering::Relaxed)), (1, 1));
    for consumer in consumers {
        consumer.drain().await;
    }
}

async fn a_cancel_by_another_process_reaches_the_task(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    // Knows of this one's tasks as little as another process does.
    let elsewhere = storage.open().await;
    let queue = jobs.queue::<u32>("far").lease(Duration::from_secs(3));
    let id = queue.push(&1).await.unwrap();
    let consumer = queue
        .run(&moirai, async |_: Job<u32>| -> Result<(), std::io::Error> {
            std::future::pending().await
        })
        .unwrap();
    until(&jobs, id, |status| status.running().is_some()).await;
    assert!(elsewhere.status(id).await.unwrap().unwrap().attempts.is_empty());
    assert!(elsewhere.cancel(id).await.unwrap());
    let status = until(&jobs, id, |status| status.running().is_none()).await;
    assert_eq!(status.attempts[0].status, TaskStatus::Cancelled);
    consumer.drain().await;
    assert_eq!(jobs.status(id).await.unwrap().unwrap().record.state, JobState::Cancelled);
}

cases! {
    a_cancel_by_another_process_reaches_the_task,
a_long_computation_keeps_its_lease, each_job_runs_once_and_computes_on_the_workers, an_error_is_tried_again_and_then_the_job_is_dead, panics_timeouts_and_cancels_are_failures_with_a_message, a_permanent_error_ends_a_job_that_has_attempts_left, a_payload_that_no_longer_parses_is_kept_with_a_clear_error, an_attempt_is_a_task_with_name_tags_and_progress }

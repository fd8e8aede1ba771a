//! Looking, retrying, moving, purging.

use std::time::Duration;

use moirai::prelude::*;
use moirai_jobs::{Job, JobState, ListJobs, Permanent};

use crate::harness::{Storage, until_state};

async fn dead_jobs_are_listed_retried_and_moved(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("work");
    let ids = queue.push_all(&[1, 2, 3]).await.unwrap();
    let consumer = queue
        .clone()
        .run(&moirai, async |job: Job<u32>| match job.payload {
            2 => Ok(()),
            _ => Err(Permanent::new("broken")),
        })
        .unwrap();
    until_state(&jobs, ids[0], JobState::Dead).await;
    until_state(&jobs, ids[1], JobState::Done).await;
    until_state(&jobs, ids[2], JobState::Dead).await;
    consumer.drain().await;

    let dead = ListJobs::new().queue("work").state(JobState::Dead);
    let listed: Vec<_> = jobs.list(dead.clone()).await.unwrap().iter().map(|job| job.id).collect();
    assert_eq!(listed, [ids[2], ids[0]]);
    let page: Vec<_> =
        jobs.list(dead.clone().before(ids[2])).await.unwrap().iter().map(|job| job.id).collect();
    assert_eq!(page, [ids[0]]);
    assert_eq!(jobs.list(ListJobs::new().limit(2)).await.unwrap().len(), 2);
    let stats = jobs.queues().await.unwrap();
    assert_eq!(stats.len(), 1);
    assert_eq!((stats[0].name.as_str(), stats[0].dead, stats[0].done), ("work", 2, 1));

    // One is tried again, and ends well; the other is moved.
    assert!(jobs.retry(ids[0]).await.unwrap());
    assert!(!jobs.retry(ids[1]).await.unwrap(), "it is done");
    let waiting = jobs.status(ids[0]).await.unwrap().unwrap().record;
    assert_eq!((waiting.state, waiting.attempts), (JobState::Waiting, 0));
    assert!(jobs.move_dead("work", "").await.is_err());
    assert!(jobs.move_dead("work", "work").await.is_err());
    assert_eq!(jobs.move_dead("work", "morgue").await.unwrap(), 1);
    let moved = jobs.status(ids[2]).await.unwrap().unwrap().record;
    assert_eq!((moved.queue.as_str(), moved.state), ("morgue", JobState::Waiting));
    let consumer = queue.run(&moirai, async |_: Job<u32>| Ok::<_, std::io::Error>(())).unwrap();
    until_state(&jobs, ids[0], JobState::Done).await;
    consumer.drain().await;
    let stats = jobs.queues().await.unwrap();
    let names: Vec<_> = stats.iter().map(|queue| (queue.name.as_str(), queue.waiting)).collect();
    assert_eq!(names, [("morgue", 1), ("work", 0)]);
    assert!(stats[0].oldest_waiting.is_some() && stats[1].oldest_waiting.is_none());
    // Jobs that have not ended are never purged.
    let left = async || -> Vec<_> {
        jobs.list(ListJobs::new()).await.unwrap().iter().map(|job| job.id).collect()
    };
    while left().await.len() > 1 {
        for state in [JobState::Done, JobState::Dead, JobState::Cancelled] {
            jobs.purge(None, state, Duration::ZERO).await.unwrap();
        }
        moirai::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(left().await, [ids[2]]);
}

async fn a_waiting_job_is_cancelled_and_a_cancelled_one_can_be_retried(
    moirai: Moirai,
    storage: Storage,
) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u32>("calm");
    let id = queue.push(&1).await.unwrap();
    assert!(jobs.cancel(id).await.unwrap());
    let other = queue.push(&2).await.unwrap();
    let consumer = queue.run(&moirai, async |_: Job<u32>| Ok::<_, std::io::Error>(())).unwrap();
    until_state(&jobs, other, JobState::Done).await;
    let record = jobs.status(id).await.unwrap().unwrap().record;
    assert_eq!((record.state, record.attempts), (JobState::Cancelled, 0));
    // All states are counted.
    let later = std::time::SystemTime::now() + Duration::from_secs(3_600);
    jobs.queue::<u32>("calm").push_at(&3, later).await.unwrap();
    let stats = jobs.queues().await.unwrap().remove(0);
    assert_eq!((stats.waiting, stats.scheduled, stats.running, stats.retrying), (0, 1, 0, 0));
    assert_eq!((stats.done, stats.dead, stats.cancelled, stats.oldest_waiting), (1, 0, 1, None));
    assert!(jobs.retry(id).await.unwrap());
    until_state(&jobs, id, JobState::Done).await;
    consumer.drain().await;
}

cases! { dead_jobs_are_listed_retried_and_moved, a_waiting_job_is_cancelled_and_a_cancelled_one_can_be_retried }

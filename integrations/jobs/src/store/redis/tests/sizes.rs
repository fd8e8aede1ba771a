//! Thousands of jobs in one request.

use std::time::{Duration, SystemTime};

use super::harness::{LONG, consumer, ended, impatient, job, jobs, retry, with_server};
use crate::record::JobState;
use crate::store::contract::{Filter, NewJob, Outcome, Store};

/// More than a function of Lua can have arguments.
const MANY: usize = 8_200;

#[test]
fn thousands_of_jobs_go_in_one_request() {
    with_server(|mut server| async move {
        let (first, second) = (consumer("first"), impatient("second"));
        server.store.heartbeat(&first, &[]).await.unwrap();
        let ids = server.push("q", &jobs(MANY)).await;
        let want = u32::try_from(MANY).unwrap();
        let taken = server.take(&first, want).await;
        assert_eq!(taken.len(), MANY);
        let again: Vec<_> = taken.iter().map(|taken| ended(taken, retry(Duration::ZERO))).collect();
        server.end(&first, &again).await;
        assert_eq!(server.take(&first, want).await.len(), MANY);
        assert_eq!(server.store.heartbeat(&first, &ids).await.unwrap(), []);
        assert_eq!(server.take(&first, want).await.len(), MANY);
        server.until_taken_over(&second, ids[MANY - 1]).await.unwrap();
        let stats = server.store.queues().await.unwrap();
        assert_eq!((stats[0].waiting, stats[0].running), (MANY as u64, 0));
        let taken = server.take(&second, want).await;
        assert!(taken.iter().all(|taken| taken.attempts == 2));
        let dead: Vec<_> = taken
            .iter()
            .map(|taken| ended(taken, Outcome::Exhausted { error: "no".into() }))
            .collect();
        server.end(&second, &dead).await;
        let all = Filter { limit: want, ..Filter::default() };
        assert!(server.listed(&all).await.iter().eq(ids.iter().rev()));
        server.check_keys();
        assert_eq!(server.store.move_dead("q", "r").await.unwrap(), MANY as u64);
        let stats = server.store.queues().await.unwrap();
        assert_eq!((&*stats[0].name, stats[0].waiting), ("r", MANY as u64));
        server.check_keys();
    });
}

#[test]
fn the_due_are_listed_as_waiting_and_all_are_taken_in_time() {
    with_server(|mut server| async move {
        let soon = super::harness::now() + 2;
        let later = |at| NewJob { run_at: Some(at), ..job(1) };
        let jobs: Vec<_> = (0..2_500).map(|_| later(soon)).collect();
        server.push("q", &jobs).await;
        let last = server.push("q", &[later(soon + 3_600)]).await;
        let listed = async |state| {
            let filter = Filter { state: Some(state), limit: 9_999, ..Filter::default() };
            server.listed(&filter).await
        };
        let started = SystemTime::now();
        // The numbers are exact, and so is what is found, although nobody has taken any job meanwhile.
        let stats = loop {
            let stats = server.store.queues().await.unwrap().remove(0);
            assert_eq!(stats.waiting + stats.scheduled, 2_501);
            if stats.waiting > 0 {
                break stats;
            }
            assert!(started.elapsed().unwrap() < LONG, "they do not come due");
            moirai::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!((stats.waiting, stats.scheduled), (2_500, 1));
        assert_eq!(server.state(jobs[0].id).await, (JobState::Waiting, 0));
        assert_eq!(listed(JobState::Waiting).await.len(), 2_500);
        assert_eq!(listed(JobState::Scheduled).await, last);
        let oldest = SystemTime::UNIX_EPOCH + Duration::from_secs(soon);
        assert_eq!(stats.oldest_waiting, Some(oldest));
        server.check_keys();
        assert_eq!(server.take(&consumer("first"), 9_999).await.len(), 2_500);
    });
}

#[test]
fn a_purge_deletes_a_thousand_at_a_time_and_leaves_no_key() {
    with_server(|mut server| async move {
        let first = consumer("first");
        let jobs: Vec<_> =
            (0..1_500).map(|n| NewJob { key: Some(format!("key {n}")), ..job(1) }).collect();
        let ids = server.push("q", &jobs).await;
        assert_eq!(server.push("q", &jobs).await, ids);
        let taken = server.take(&first, 9_999).await;
        let done: Vec<_> = taken.iter().map(|taken| ended(taken, Outcome::Done)).collect();
        server.end(&first, &done).await;
        server.store.leave(&first).await.unwrap();
        let past = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(server.store.purge(None, JobState::Done, past).await.unwrap(), 0);
        let future = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(server.store.purge(Some("r"), JobState::Done, future).await.unwrap(), 0);
        assert_eq!(server.store.purge(None, JobState::Done, future).await.unwrap(), 1_000);
        server.check_keys();
        assert_eq!(server.store.purge(Some("q"), JobState::Done, future).await.unwrap(), 500);
        assert_eq!(server.ask::<Vec<String>>(&["KEYS", "*"]), [""; 0]);
    });
}

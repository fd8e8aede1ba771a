//! Whose a job is, and what becomes of it when that one is gone.

use std::time::{Duration, SystemTime};

use super::harness::{LONG, consumer, ended, impatient, job, jobs, retry, with_server};
use crate::record::JobState;
use crate::store::contract::{Filter, Outcome, SILENT, Store};

#[test]
fn a_takeover_counts_an_attempt_and_kills_a_job_that_has_no_further_one() {
    with_server(|mut server| async move {
        let ids = server.push("q", &[job(2), job(1)]).await;
        let (first, second) = (consumer("first"), impatient("second"));
        server.store.heartbeat(&first, &[]).await.unwrap();
        assert_eq!(server.take(&first, 10).await.len(), 2);
        // As long as the lease is not over, nothing is taken over.
        assert_eq!(server.store.heartbeat(&consumer("patient"), &[]).await.unwrap(), []);
        assert_eq!(server.state(ids[0]).await, (JobState::Running, 0));
        server.until_taken_over(&second, ids[0]).await.unwrap();
        assert_eq!(server.state(ids[0]).await, (JobState::Waiting, 1));
        let dead = server.store.find(ids[1]).await.unwrap().unwrap();
        assert_eq!((dead.state, dead.attempts), (JobState::Dead, 1));
        assert_eq!(dead.error.as_deref(), Some(SILENT));
        assert!(dead.ended_at.is_some() && dead.consumer.is_none());
        server.check_keys();
        let known: Vec<String> = server.ask(&["ZRANGE", "q:workers", "0", "-1"]);
        assert!(known.iter().any(|name| name == "q 1 second"));
        assert!(known.iter().all(|name| name != "q 1 first"), "who is silent is forgotten");
        // The first one learns of its loss, and what it takes from now on is its own.
        assert_eq!(server.store.heartbeat(&first, &[]).await.unwrap(), []);
        let again = server.take(&first, 10).await;
        assert_eq!((again[0].id, again[0].attempts, again.len()), (ids[0], 1, 1));
        assert_eq!(server.store.heartbeat(&first, &[]).await.unwrap(), [ids[0]]);
        server.check_keys();
    });
}

#[test]
fn a_silent_consumer_that_takes_before_it_beats_is_known_all_the_same() {
    with_server(|server| async move {
        let (first, second) = (consumer("first"), impatient("second"));
        // As after its silence, when it was forgotten.
        let ids = server.push("q", &[job(2)]).await;
        assert_eq!(server.take(&first, 1).await.len(), 1);
        server.until_taken_over(&second, ids[0]).await.unwrap();
        assert_eq!(server.state(ids[0]).await, (JobState::Waiting, 1));
    });
}

#[test]
fn what_is_no_longer_a_consumers_is_not_its_to_end_and_does_not_hinder_the_rest() {
    with_server(|mut server| async move {
        let (first, second) = (consumer("first"), consumer("second"));
        let ids = server.push("q", &jobs(4)).await;
        let taken = server.take(&first, 4).await;
        // One is cancelled, and one is given back and taken by another one.
        assert!(server.store.cancel(ids[0]).await.unwrap());
        let mut held = server.store.heartbeat(&first, &[ids[1]]).await.unwrap();
        held.sort();
        assert_eq!(held, [ids[2], ids[3]]);
        assert_eq!(server.take(&second, 1).await[0].id, ids[1]);
        let done: Vec<_> = taken.iter().map(|taken| ended(taken, Outcome::Done)).collect();
        server.end(&first, &done).await;
        assert_eq!(server.state(ids[0]).await, (JobState::Cancelled, 0));
        assert_eq!(server.state(ids[1]).await, (JobState::Running, 0));
        assert_eq!(server.state(ids[2]).await, (JobState::Done, 1));
        assert_eq!(server.state(ids[3]).await, (JobState::Done, 1));
        // To say it twice, or to release what is not one's own, changes nothing.
        server.end(&first, &[ended(&taken[2], retry(Duration::ZERO))]).await;
        server.store.heartbeat(&first, &[ids[1]]).await.unwrap();
        server.store.leave(&first).await.unwrap();
        assert_eq!(server.state(ids[1]).await, (JobState::Running, 0));
        assert_eq!(server.state(ids[2]).await, (JobState::Done, 1));
        server.check_keys();
        server.store.leave(&second).await.unwrap();
        assert_eq!(server.state(ids[1]).await, (JobState::Waiting, 0));
        server.check_keys();
    });
}

#[test]
fn each_outcome_has_its_state() {
    with_server(|mut server| async move {
        let first = consumer("first");
        let before = SystemTime::now();
        let ids = server.push("q", &jobs(6)).await;
        let taken = server.take(&first, 6).await;
        let error = || "no".to_owned();
        let outcomes = [
            (Outcome::Done, JobState::Done, 1),
            (retry(Duration::from_secs(60)), JobState::Retrying, 1),
            (retry(Duration::ZERO), JobState::Retrying, 1),
            (Outcome::Exhausted { error: error() }, JobState::Dead, 1),
            (Outcome::Permanent { error: error() }, JobState::Dead, 1),
            (Outcome::GivenBack, JobState::Waiting, 0),
        ];
        let all: Vec<_> = taken.iter().zip(&outcomes).map(|(t, o)| ended(t, o.0.clone())).collect();
        server.end(&first, &all).await;
        for (id, (outcome, state, attempts)) in ids.iter().zip(&outcomes) {
            assert_eq!(server.state(*id).await, (*state, *attempts), "{outcome:?}");
        }
        let later = server.store.find(ids[1]).await.unwrap().unwrap();
        assert!(later.run_at >= before + Duration::from_secs(60), "{later:?}");
        server.check_keys();
        // What was given back comes first, and then what is tried again at once.
        let again = server.take(&first, 9).await;
        assert_eq!(again.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[5], ids[2]]);
        assert_eq!(again[1].attempts, 1);
        // What waits for its next attempt can be cancelled, and started anew.
        assert!(server.store.cancel(ids[1]).await.unwrap());
        assert!(server.store.retry(ids[1]).await.unwrap());
        assert!(server.store.retry(ids[4]).await.unwrap());
        assert!(!server.store.retry(ids[0]).await.unwrap());
        assert_eq!(server.state(ids[1]).await, (JobState::Waiting, 0));
        assert_eq!(server.state(ids[4]).await, (JobState::Waiting, 0));
        let dead = Filter { state: Some(JobState::Dead), limit: 9, ..Filter::default() };
        assert_eq!(server.listed(&dead).await, [ids[3]]);
        server.check_keys();
    });
}

#[test]
fn a_job_is_tried_again_when_its_time_has_come() {
    with_server(|mut server| async move {
        let first = consumer("first");
        let ids = server.push("q", &[job(2)]).await;
        let taken = server.take(&first, 1).await;
        let before = SystemTime::now();
        server.end(&first, &[ended(&taken[0], retry(Duration::from_secs(1)))]).await;
        let again = loop {
            let again = server.take(&first, 1).await;
            if !again.is_empty() {
                break again;
            }
            assert_eq!(server.state(ids[0]).await, (JobState::Retrying, 1));
            assert!(before.elapsed().unwrap() < LONG, "its time does not come");
            moirai::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(before.elapsed().unwrap() >= Duration::from_secs(1));
        assert_eq!((again[0].id, again[0].attempts), (ids[0], 1));
        server.check_keys();
    });
}

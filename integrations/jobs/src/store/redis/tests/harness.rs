//! What the tests share.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use moirai::Moirai;

use super::super::RedisStore;
use crate::record::JobState;
use crate::store::contract::{Consumer, Ended, Filter, NewJob, Outcome, Store, Taken};
use crate::store::tests;
use crate::{Error, JobId};

pub(super) const LONG: Duration = Duration::from_secs(60);

/// A store, and a connection that sees the keys.
pub(super) struct Server {
    pub(super) store: RedisStore,
    pub(super) connection: redis::Connection,
    pub(super) url: String,
}

/// Runs a test with a server of its own.
pub(super) fn with_server<F: Future<Output = ()>>(test: impl FnOnce(Server) -> F) {
    let Some(server) = tests::server::Server::redis() else { return };
    let url = format!("redis://127.0.0.1:{}/", server.port());
    let driver = moirai_tokio::driver().unwrap();
    let tokio = driver.handle();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
    let started = Instant::now();
    let opening = async {
        // It accepts connections before it serves them.
        loop {
            match RedisStore::open(&url).await {
                Ok((store, _)) => break store,
                Err(error) => assert!(started.elapsed() < LONG, "{error}"),
            }
        }
    };
    let store = moirai_tokio::block_on(&moirai, tokio.clone(), opening);
    let connection = redis::Client::open(&*url).unwrap().get_connection().unwrap();
    moirai_tokio::block_on(&moirai, tokio, test(Server { store, connection, url }));
    moirai.shutdown_timeout(LONG);
}

impl Server {
    pub(super) fn ask<T: redis::FromRedisValue>(&mut self, command: &[&str]) -> T {
        let mut request = redis::cmd(command[0]);
        request.arg(&command[1..]).query(&mut self.connection).unwrap()
    }

    pub(super) async fn push(&self, queue: &str, jobs: &[NewJob]) -> Vec<JobId> {
        self.store.push(queue, jobs).await.unwrap()
    }

    /// Takes jobs, and ends none.
    pub(super) async fn take(&self, consumer: &Consumer, want: u32) -> Vec<Taken> {
        self.store.exchange(consumer, &[], want).await.unwrap()
    }

    pub(super) async fn end(&self, consumer: &Consumer, ended: &[Ended]) {
        assert!(self.store.exchange(consumer, ended, 0).await.unwrap().is_empty());
    }

    pub(super) async fn state(&self, id: JobId) -> (JobState, u32) {
        let record = self.store.find(id).await.unwrap().expect("it was not purged");
        (record.state, record.attempts)
    }

    pub(super) async fn listed(&self, filter: &Filter) -> Vec<JobId> {
        self.store.list(filter).await.unwrap().iter().map(|record| record.id).collect()
    }

    /// Has a consumer beat until that finds what others have lost.
    pub(super) async fn until_taken_over(
        &self,
        consumer: &Consumer,
        id: JobId,
    ) -> Result<(), Error> {
        let started = Instant::now();
        while self.state(id).await.0 == JobState::Running {
            assert!(started.elapsed() < LONG, "nobody takes over");
            self.store.heartbeat(consumer, &[]).await?;
            moirai::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Checks that each job is where its state says, and nowhere else.
    pub(super) fn check_keys(&mut self) {
        let owners: BTreeMap<String, String> = self.ask(&["HGETALL", "moirai:jobs:queues"]);
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut metas = redis::pipe();
        for (id, queue) in &owners {
            metas.hgetall(format!("{queue}:meta:{id}"));
        }
        let metas: Vec<BTreeMap<String, String>> = match owners.len() {
            0 => Vec::new(),
            _ => metas.query(&mut self.connection).unwrap(),
        };
        for ((id, queue), meta) in owners.iter().zip(metas) {
            let mut is_in = |key: String| expected.entry(key).or_default().push(id.clone());
            let (state, is_ranked) = (&*meta["state"], meta["priority"] != "0");
            is_in(format!("{queue}:ids-{state}"));
            is_in(format!("{queue}:data"));
            if !meta["idempotency_key"].is_empty() {
                is_in(format!("{queue}:idempotency"));
            }
            let is_due = meta["run_at"].parse::<u64>().unwrap() <= now();
            let queued = if is_ranked { "ranked" } else { "active" };
            match state {
                "waiting" => is_in(format!("{queue}:{queued}")),
                "scheduled" => is_in(format!("{queue}:scheduled")),
                "running" => is_in(format!("{queue}:inflight:{}", meta["locked_by"])),
                // Whether it has been promoted already is told by the sets alone.
                "retrying" if is_due => is_in("due".to_owned()),
                "retrying" => is_in(format!("{queue}:scheduled")),
                ended => is_in(format!("{queue}:{ended}")),
            }
            if matches!(state, "waiting" | "scheduled") {
                is_in(format!("{queue}:pending"));
            }
            let status = match state {
                "waiting" | "scheduled" => "Pending",
                "running" => "Running",
                "retrying" => "Failed",
                "done" => "Done",
                "cancelled" => "Killed",
                _ => &*meta["status"],
            };
            assert_eq!(meta["status"], status, "{id} is {state}");
            assert_eq!(meta.contains_key("locked_by"), state == "running", "{id} is {state}");
        }
        let due = expected.remove("due").unwrap_or_default();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let keys: Vec<String> = self.ask(&["KEYS", "*"]);
        let (metas, keys): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| key.contains(":meta:0"));
        assert_eq!(metas.len(), owners.len());
        for key in keys {
            let kind: String = self.ask(&["TYPE", &key]);
            let mut ids: Vec<String> = match &*kind {
                "hash" if key.ends_with(":idempotency") => self.ask(&["HVALS", &key]),
                "hash" if key.ends_with(":data") => self.ask(&["HKEYS", &key]),
                "list" => self.ask(&["LRANGE", &key, "0", "-1"]),
                "set" => self.ask(&["SMEMBERS", &key]),
                "zset" if !key.ends_with(":workers") && key != "core:apalis:queues:list" => {
                    self.ask(&["ZRANGE", &key, "0", "-1"])
                }
                _ => continue,
            };
            // A retry that is due is in one of two.
            let one_of_two = |key: &str| {
                [":active", ":ranked", ":scheduled"].iter().any(|end| key.ends_with(end))
            };
            if one_of_two(&key) {
                ids.retain(|id| !due.contains(id));
            }
            ids.sort();
            if !ids.is_empty() {
                found.insert(key, ids);
            }
        }
        assert_eq!(found, expected);
    }
}

pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_secs()
}

pub(super) fn job(max_attempts: u32) -> NewJob {
    NewJob {
        id: JobId::generate(),
        payload: b"7".to_vec(),
        run_at: None,
        max_attempts,
        priority: 0,
        key: None,
    }
}

pub(super) fn jobs(count: usize) -> Vec<NewJob> {
    (0..count).map(|_| job(3)).collect()
}

/// A consumer of the queue `q`, who takes nobody for silent.
pub(super) fn consumer(name: &str) -> Consumer {
    Consumer { queue: "q".into(), name: format!("q 1 {name}"), lease: Duration::from_secs(600) }
}

/// A consumer of the queue `q`, who takes for silent whoever was not seen for a second.
pub(super) fn impatient(name: &str) -> Consumer {
    Consumer { lease: Duration::from_secs(1), ..consumer(name) }
}

pub(super) fn ended(taken: &Taken, outcome: Outcome) -> Ended {
    Ended { id: taken.id, attempt: taken.attempts + 1, outcome }
}

pub(super) fn retry(after: Duration) -> Outcome {
    Outcome::Retry { error: "again".into(), after }
}

//! What the tools of `apalis` see, and what it pushes.

use apalis_core::backend::{FetchById, Filter, ListAllTasks, ListWorkers, WaitForCompletion};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage, queries};

use super::harness::{Server, consumer, ended, job, jobs, with_server};
use crate::record::JobState;
use crate::store::contract::{NewJob, Outcome, Store};

async fn apalis(server: &Server) -> RedisStorage<u32> {
    let connection = apalis_redis::connect(&*server.url).await.unwrap();
    RedisStorage::new(connection).with_config(Config::default().queue("q"))
}

#[test]
fn the_tools_of_apalis_see_the_jobs() {
    with_server(|mut server| async move {
        let mut apalis = apalis(&server).await;
        let first = consumer("first");
        let keyed = NewJob { key: Some("order 7".into()), ..job(4) };
        let ids = server.push("q", &[keyed]).await;
        let rest = server.push("q", &jobs(4)).await;
        let taken = server.take(&first, 3).await;
        let failed = Outcome::Permanent { error: "no".into() };
        server.end(&first, &[ended(&taken[0], Outcome::Done), ended(&taken[1], failed)]).await;

        let done = apalis.fetch_by_id(&TaskId::from_ulid(ids[0].ulid())).await.unwrap().unwrap();
        assert_eq!(
            (done.status(), done.attempt(), done.max_attempts()),
            (Status::Done, 1, Some(4))
        );
        assert_eq!(done.idempotency_key(), Some("order 7"));
        assert_eq!(done.args, b"7");
        let running =
            apalis.fetch_by_id(&TaskId::from_ulid(rest[1].ulid())).await.unwrap().unwrap();
        assert_eq!((running.status(), running.lock_by()), (Status::Running, Some("q 1 first")));

        let filter = Filter { status: None, page: 1, page_size: None };
        let listed = apalis.list_all_tasks(&filter).await.unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|task| (task.task_id().unwrap().to_string(), task.status()))
            .collect();
        let status = [
            (ids[0], Status::Done),
            (rest[0], Status::Killed),
            (rest[1], Status::Running),
            (rest[2], Status::Pending),
            (rest[3], Status::Pending),
        ];
        assert_eq!(listed, status.map(|(id, status)| (id.to_string(), status)));

        let all = [ids[0], rest[0]].map(|id| TaskId::from_ulid(id.ulid()));
        let results = WaitForCompletion::<()>::check_status(&mut apalis, all).await.unwrap();
        assert_eq!(results[0].result, Ok(()));
        assert_eq!(
            (results[1].result.clone(), results[1].status.clone()),
            (Err("no".into()), Status::Killed)
        );

        // Its scripts for the numbers of jobs cannot be run, as of 1.0; these are the keys that they count.
        let counts = [("LLEN", "q:active"), ("ZCARD", "q:done"), ("ZCARD", "q:dead")];
        let counts = counts.map(|(command, key)| server.ask::<u64>(&[command, key]));
        assert_eq!(counts, [2, 1, 1]);
        let queues: Vec<String> = server.ask(&["ZRANGE", "core:apalis:queues:list", "0", "-1"]);
        assert_eq!(queues, ["q:workers"]);
        let workers = apalis.list_all_workers().await.unwrap();
        assert_eq!((&*workers[0].queue, &*workers[0].id), ("q:workers", "q 1 first"));
        assert!(workers[0].last_heartbeat.abs_diff(super::harness::now()) < 60);
    });
}

#[test]
fn what_apalis_pushes_is_taken_as_ours() {
    with_server(|mut server| async move {
        let mut apalis = apalis(&server).await;
        let config = Config::default().queue("q");
        let id = crate::JobId::generate();
        let task = TaskBuilder::new(b"8".to_vec())
            .task_id(TaskId::from_ulid(id.ulid()))
            .idempotency_key("order 8")
            .max_attempts(2)
            .build();
        queries::push_tasks(apalis.get_connection(), &config, &[task]).await.unwrap();
        // An id that no job of ours can have.
        let key = "q:meta:01JD8Q8Z3T5V9K2M4N6P8R0S1-";
        let _: u32 = server.ask(&["HSET", "q:data", &key[7..], "9"]);
        let _: u32 = server.ask(&["HSET", key, "status", "Pending"]);
        let _: u32 = server.ask(&["ZADD", "q:scheduled", "1", &key[7..]]);

        let first = consumer("first");
        let taken = server.take(&first, 9).await;
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].id, &*taken[0].payload), (id, &b"8"[..]));
        assert_eq!((taken[0].attempts, taken[0].max_attempts), (0, 2));
        assert_eq!(taken[0].key.as_deref(), Some("order 8"));
        assert_eq!(server.ask::<String>(&["HGET", key, "status"]), "Killed");
        let same = NewJob { key: Some("order 8".into()), ..job(1) };
        assert_eq!(server.push("q", &[same]).await, [id]);
        server.end(&first, &[ended(&taken[0], Outcome::Done)]).await;
        assert_eq!(server.state(id).await, (JobState::Done, 1));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        assert_eq!(server.store.purge(None, JobState::Dead, later).await.unwrap(), 1);
        assert_eq!(server.store.purge(None, JobState::Done, later).await.unwrap(), 1);
        server.check_keys();
    });
}

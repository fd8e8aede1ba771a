//! What the contract promises, held by each storage.

use std::time::{Duration, SystemTime};

use super::contract::{Consumer, Ended, NewJob, Outcome, SILENT, Store, Taken};
use crate::JobId;
use crate::record::{JobRecord, JobState};

const SECOND: Duration = Duration::from_secs(1);

/// Shorter than a user may have it.
fn consumer(name: &str) -> Consumer {
    Consumer { queue: "contract".into(), name: name.into(), lease: SECOND }
}

fn job(max_attempts: u32) -> NewJob {
    NewJob {
        id: JobId::generate(),
        payload: b"7".to_vec(),
        run_at: None,
        max_attempts,
        priority: 0,
        key: None,
    }
}

fn ended(id: JobId, attempt: u32, outcome: Outcome) -> Vec<Ended> {
    vec![Ended { id, attempt, outcome }]
}

/// Has the consumer take one job, which must be this one.
async fn take(store: &dyn Store, consumer: &Consumer, id: JobId) -> Taken {
    store.heartbeat(consumer, &[]).await.unwrap();
    let mut taken = store.exchange(consumer, &[], 1).await.unwrap();
    assert_eq!(taken.iter().map(|taken| taken.id).collect::<Vec<_>>(), [id]);
    taken.remove(0)
}

async fn record(store: &dyn Store, id: JobId) -> JobRecord {
    store.find(id).await.unwrap().expect("it was not purged")
}

/// Waits until the second one has taken over what the first one has.
async fn take_over(store: &dyn Store, second: &Consumer, id: JobId) {
    let before = record(store, id).await.attempts;
    while record(store, id).await.attempts == before {
        store.heartbeat(second, &[]).await.unwrap();
        moirai::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All promises, one after the other.
pub(super) async fn check(store: &dyn Store) {
    who_has_lost_a_job_cannot_end_it(store).await;
    a_takeover_counts_and_the_last_one_kills(store).await;
    what_was_taken_unheard_is_held_and_can_be_released(store).await;
    an_end_is_told_twice_and_counts_once(store).await;
    who_leaves_gives_back(store).await;
    a_cancelled_job_cannot_be_ended(store).await;
    a_retry_waits_for_its_delay(store).await;
    thousands_fit_into_one_request(store).await;
}

async fn who_has_lost_a_job_cannot_end_it(store: &dyn Store) {
    let (first, second) = (consumer("first"), consumer("second"));
    let new = job(5);
    let id = store.push("contract", &[new]).await.unwrap()[0];
    assert_eq!(take(store, &first, id).await.attempts, 0);
    take_over(store, &second, id).await;
    assert_eq!(record(store, id).await.error.as_deref(), Some(SILENT));
    assert_eq!(take(store, &second, id).await.attempts, 1);
    // The first one goes on.
    assert_eq!(store.heartbeat(&first, &[]).await.unwrap(), []);
    for outcome in [Outcome::Done, Outcome::GivenBack, Outcome::Permanent { error: "no".into() }] {
        store.exchange(&first, &ended(id, 1, outcome), 0).await.unwrap();
        let record = record(store, id).await;
        assert_eq!((record.state, record.attempts), (JobState::Running, 1));
        assert_eq!(record.consumer.as_deref(), Some("second"));
    }
    store.heartbeat(&first, &[id]).await.unwrap();
    store.leave(&first).await.unwrap();
    assert_eq!(store.heartbeat(&second, &[]).await.unwrap(), [id]);
    store.exchange(&second, &ended(id, 2, Outcome::Done), 0).await.unwrap();
    let record = record(store, id).await;
    assert_eq!((record.state, record.attempts), (JobState::Done, 2));
    store.leave(&second).await.unwrap();
}

async fn a_takeover_counts_and_the_last_one_kills(store: &dyn Store) {
    let id = store.push("contract", &[job(2)]).await.unwrap()[0];
    for (attempts, name) in ["one", "two"].into_iter().enumerate() {
        assert_eq!(take(store, &consumer(name), id).await.attempts as usize, attempts);
        take_over(store, &consumer("heir"), id).await;
    }
    let record = record(store, id).await;
    assert_eq!((record.state, record.attempts), (JobState::Dead, 2));
    assert_eq!(record.error.as_deref(), Some(SILENT));
    assert!(record.ended_at.is_some());
    let heir = consumer("heir");
    assert!(store.exchange(&heir, &[], 1).await.unwrap().is_empty());
    store.leave(&heir).await.unwrap();
}

async fn what_was_taken_unheard_is_held_and_can_be_released(store: &dyn Store) {
    let consumer = consumer("deaf");
    let id = store.push("contract", &[job(5)]).await.unwrap()[0];
    take(store, &consumer, id).await;
    assert_eq!(store.heartbeat(&consumer, &[]).await.unwrap(), [id]);
    assert_eq!(store.heartbeat(&consumer, &[id]).await.unwrap(), []);
    let free = record(store, id).await;
    assert_eq!((free.state, free.attempts, free.consumer), (JobState::Waiting, 0, None));
    take(store, &consumer, id).await;
    store.exchange(&consumer, &ended(id, 1, Outcome::Done), 0).await.unwrap();
    store.leave(&consumer).await.unwrap();
}

async fn an_end_is_told_twice_and_counts_once(store: &dyn Store) {
    let consumer = consumer("stutter");
    let id = store.push("contract", &[job(5)]).await.unwrap()[0];
    take(store, &consumer, id).await;
    let failed = Outcome::Retry { error: "first".into(), after: Duration::ZERO };
    let failed = ended(id, 1, failed);
    store.exchange(&consumer, &failed, 0).await.unwrap();
    store.exchange(&consumer, &failed, 0).await.unwrap();
    assert_eq!(record(store, id).await.attempts, 1);
    let again = loop {
        let taken = store.exchange(&consumer, &[], 1).await.unwrap();
        if let Some(taken) = taken.into_iter().next() {
            break taken;
        }
        moirai::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((again.id, again.attempts), (id, 1));
    let done = ended(id, 2, Outcome::Done);
    for _ in 0..2 {
        store.exchange(&consumer, &done, 0).await.unwrap();
        let record = record(store, id).await;
        assert_eq!((record.state, record.attempts), (JobState::Done, 2));
    }
    store.leave(&consumer).await.unwrap();
}

async fn who_leaves_gives_back(store: &dyn Store) {
    let leaving = consumer("leaving");
    let id = store.push("contract", &[job(5)]).await.unwrap()[0];
    take(store, &leaving, id).await;
    store.leave(&leaving).await.unwrap();
    let heir = consumer("next");
    assert_eq!(take(store, &heir, id).await.attempts, 0);
    let error = "for good".to_owned();
    store.exchange(&heir, &ended(id, 1, Outcome::Permanent { error }), 0).await.unwrap();
    let record = record(store, id).await;
    assert_eq!((record.state, record.attempts), (JobState::Dead, 1));
    assert_eq!(record.error.as_deref(), Some("for good"));
    store.leave(&heir).await.unwrap();
}

async fn a_cancelled_job_cannot_be_ended(store: &dyn Store) {
    let consumer = consumer("late");
    let id = store.push("contract", &[job(5)]).await.unwrap()[0];
    take(store, &consumer, id).await;
    assert!(store.cancel(id).await.unwrap());
    assert_eq!(store.heartbeat(&consumer, &[]).await.unwrap(), []);
    store.exchange(&consumer, &ended(id, 1, Outcome::Done), 0).await.unwrap();
    assert_eq!(record(store, id).await.state, JobState::Cancelled);
    store.leave(&consumer).await.unwrap();
}

async fn a_retry_waits_for_its_delay(store: &dyn Store) {
    let consumer = consumer("patient");
    let id = store.push("contract", &[job(5)]).await.unwrap()[0];
    take(store, &consumer, id).await;
    let after = 3600 * SECOND;
    let retry = Outcome::Retry { error: "later".into(), after };
    let told = SystemTime::now();
    store.exchange(&consumer, &ended(id, 1, retry), 1).await.unwrap();
    let record = record(store, id).await;
    assert_eq!((record.state, record.attempts), (JobState::Retrying, 1));
    let delay = record.run_at.duration_since(told).unwrap();
    assert!(delay > after - 2 * SECOND && delay < after + 60 * SECOND, "{delay:?}");
    assert!(store.exchange(&consumer, &[], 1).await.unwrap().is_empty());
    assert!(store.cancel(id).await.unwrap());
    store.leave(&consumer).await.unwrap();
}

async fn thousands_fit_into_one_request(store: &dyn Store) {
    const JOBS: u32 = 4_000;
    let consumer = consumer("mighty");
    let jobs: Vec<_> = (0..JOBS).map(|_| job(5)).collect();
    let mut ids = store.push("contract", &jobs).await.unwrap();
    store.heartbeat(&consumer, &[]).await.unwrap();
    let taken = store.exchange(&consumer, &[], JOBS).await.unwrap();
    let mut taken: Vec<_> = taken.into_iter().map(|taken| taken.id).collect();
    taken.sort_unstable();
    ids.sort_unstable();
    assert_eq!(taken, ids);
    let mut held = store.heartbeat(&consumer, &[]).await.unwrap();
    held.sort_unstable();
    assert_eq!(held, ids);
    let done = |id: &JobId| Ended { id: *id, attempt: 1, outcome: Outcome::Done };
    store.exchange(&consumer, &ids.iter().map(done).collect::<Vec<_>>(), 0).await.unwrap();
    assert_eq!(store.heartbeat(&consumer, &[]).await.unwrap(), []);
    let far = SystemTime::now() + 3600 * SECOND;
    let mut purged = 0;
    loop {
        let batch = store.purge(Some("contract"), JobState::Done, far).await.unwrap();
        purged += batch;
        assert!(batch <= 1_000);
        if batch == 0 {
            break;
        }
    }
    assert!(purged >= u64::from(JOBS));
    store.leave(&consumer).await.unwrap();
}

/// By its own call.
#[cfg(feature = "sqlite")]
async fn apalis_reads_our_jobs(store: &dyn Store, file: &std::path::Path) {
    use apalis_core::backend::{FetchById, Filter, ListTasks};
    use apalis_core::task::status::Status;

    let id = store.push("apalis", &[job(5)]).await.unwrap()[0];
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let config = apalis_sqlite::Config::default().queue("apalis");
    let mut theirs = apalis_sqlite::SqliteStorage::<u32>::new(&pool).with_config(config);
    let task = theirs.fetch_by_id(&apalis_core::task::task_id::TaskId::from_ulid(id.ulid())).await;
    assert_eq!(task.unwrap().unwrap().status(), Status::Pending);
    let consumer = Consumer { queue: "apalis".into(), ..consumer("ours") };
    store.heartbeat(&consumer, &[]).await.unwrap();
    store.exchange(&consumer, &[], 1).await.unwrap();
    let error = "no".to_owned();
    store.exchange(&consumer, &ended(id, 1, Outcome::Permanent { error }), 0).await.unwrap();
    let filter = Filter { status: Some(Status::Killed), page: 1, page_size: None };
    let listed = theirs.list_tasks(&filter).await.unwrap();
    let task = listed.first().expect("it is listed");
    assert_eq!((task.task_id().unwrap().to_string(), task.attempt()), (id.to_string(), 1));
    pool.close().await;
}

fn run(test: impl Future<Output = ()> + Send + 'static) {
    let driver = moirai_tokio::driver().unwrap();
    let moirai = moirai::Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
    if let Err(error) = moirai.spawn_async(test).join() {
        panic!("{error}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite() {
    let name = format!("moirai-jobs-contract-{}.db", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = path.clone();
    run(async move {
        let store = super::sqlite::SqliteStore::open(&file).await.unwrap();
        check(&store).await;
        apalis_reads_our_jobs(&store, &file).await;
    });
    for end in ["", "-wal", "-shm"] {
        let mut path = path.clone().into_os_string();
        path.push(end);
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn postgres() {
    let Some(server) = server::Server::postgres() else { return };
    let url = format!("postgres://moirai@127.0.0.1:{}/postgres", server.port());
    run(async move {
        // The server accepts connections before it serves them.
        let store = loop {
            match super::postgres::PostgresStore::open(&url).await {
                Ok((store, _)) => break store,
                Err(_) => moirai::time::sleep(Duration::from_millis(20)).await,
            }
        };
        check(&store).await;
    });
}

#[cfg(feature = "redis")]
#[test]
fn redis() {
    let Some(server) = server::Server::redis() else { return };
    let url = format!("redis://127.0.0.1:{}/", server.port());
    run(async move { check(&super::redis::RedisStore::open(&url).await.unwrap().0).await });
}

#[cfg(any(feature = "postgres", feature = "redis"))]
#[path = "../../../tokio/tests/servers/server.rs"]
pub(super) mod server;

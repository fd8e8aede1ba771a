//! What the tests share.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai_jobs::{JobId, JobState, JobStatus, Jobs};

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A test of a storage.
pub(crate) type Case = fn(Moirai, Storage) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes tests with SQLite of async functions, and a list of them for storages that need a server.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        #[cfg(any(feature = "postgres", feature = "redis"))]
        pub(crate) const CASES: &[(&str, crate::harness::Case)] =
            &[$((stringify!($name), |moirai, storage| Box::pin($name(moirai, storage)))),*];

        mod sqlite {
            $(
                #[test]
                fn $name() {
                    crate::harness::run(crate::harness::Storage::file(), |moirai, storage| {
                        Box::pin(super::$name(moirai, storage))
                    });
                }
            )*
        }
    };
}

/// A storage without jobs.
#[derive(Clone)]
pub(crate) enum Storage {
    File(std::sync::Arc<File>),
    #[cfg(any(feature = "postgres", feature = "redis"))]
    Url(String),
}

impl Storage {
    pub(crate) fn file() -> Self {
        Self::File(std::sync::Arc::new(File::new()))
    }

    pub(crate) async fn open(&self) -> Jobs {
        match self {
            Self::File(file) => Jobs::sqlite(file.path()).await.unwrap(),
            #[cfg(any(feature = "postgres", feature = "redis"))]
            Self::Url(url) => Jobs::open(url).await.unwrap(),
        }
    }
}

/// A file that is deleted with this.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("moirai-jobs-{}-{number}.db", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(end);
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Runs a test in a task of an executor with two workers and a reactor.
pub(crate) fn run(storage: Storage, case: Case) {
    let moirai = executor();
    let here = moirai.without_owner();
    let result = moirai.spawn_async(async move { case(here, storage).await }).join();
    moirai.shutdown_timeout(LONG);
    if let Err(error) = result {
        panic!("{error}");
    }
}

pub(crate) fn executor() -> Moirai {
    let retention = Retention { max_records: 1_000, max_age: LONG };
    Moirai::builder()
        .worker_threads(2)
        .retention("jobs", retention)
        .plugin(moirai_tokio::driver().unwrap())
        .build()
        .unwrap()
}

/// Waits until something holds of the job.
pub(crate) async fn until(jobs: &Jobs, id: JobId, holds: impl Fn(&JobStatus) -> bool) -> JobStatus {
    let started = Instant::now();
    loop {
        let status = jobs.status(id).await.unwrap().expect("it was not purged");
        if holds(&status) {
            return status;
        }
        assert!(started.elapsed() < LONG, "gave up waiting: {status:?}");
        moirai::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn until_state(jobs: &Jobs, id: JobId, state: JobState) -> JobStatus {
    until(jobs, id, |status| status.record.state == state).await
}

//! Wrong arguments, and storages that cannot be opened.

use std::time::Duration;

use moirai::prelude::*;
use moirai_jobs::{Error, Job, JobState, Jobs};

use crate::harness::{File, Storage, run};

async fn wrong_settings_are_errors_that_name_them(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = || jobs.queue::<u32>("q");
    let wrong = [
        (jobs.queue::<u32>(""), "the name of a queue has 1 to 200 bytes, and not 0"),
        (queue().concurrency(0), "queue q: the concurrency is 1 to 10,000 jobs, and not 0"),
        (
            queue().lease(Duration::from_secs(1)),
            "queue q: the lease is three seconds to thirty days, and not 1s",
        ),
        (
            queue().poll_interval(Duration::ZERO),
            "queue q: the poll interval is one millisecond at least, and not 0ns",
        ),
    ];
    for (queue, text) in wrong {
        let error = queue.push(&1).await.unwrap_err();
        assert!(matches!(error, Error::Setting(_)));
        assert_eq!(error.to_string(), text);
        let error =
            queue.run(&moirai, async |_: Job<u32>| Ok::<_, std::io::Error>(())).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let huge = "x".repeat(16 << 20);
    let error = jobs.queue::<String>("q").push(&huge).await.unwrap_err();
    assert_eq!(error.to_string(), "a payload has at most 16 MiB as JSON, and not 16777218 bytes");
    let error = queue().job(&1).key("").push().await.unwrap_err();
    assert_eq!(error.to_string(), "an idempotency key has 1 to 200 bytes, and not 0");
    let error = jobs.purge(None, JobState::Running, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("jobs that are running have not ended"), "{error}");
    assert!(jobs.queues().await.unwrap().is_empty());
}

#[test]
fn what_is_no_file_with_jobs_is_not_opened() {
    run(Storage::file(), |_, _| {
        Box::pin(async {
            let file = File::new();
            let missing = file.path().join("missing").join("jobs.db");
            let error = Jobs::sqlite(&missing).await.unwrap_err();
            assert!(error.to_string().starts_with("cannot open the jobs in "), "{error}");
            assert!(error.to_string().contains("missing"), "{error}");
            std::fs::write(file.path(), "this is a letter, and no database at all".repeat(100))
                .unwrap();
            let error = Jobs::sqlite(file.path()).await.unwrap_err();
            assert!(error.to_string().contains("not a database"), "{error}");
            assert!(matches!(error, Error::Open { .. }));
        })
    });
}

#[test]
fn an_address_is_taken_for_what_it_begins_with() {
    run(Storage::file(), |_, _| {
        Box::pin(async {
            let error = Jobs::open("ftp://host/jobs").await.unwrap_err();
            assert!(error.to_string().contains("the scheme ftp"), "{error}");
            #[cfg(feature = "postgres")]
            for wrong in ["postgresql://[", "postgres://me:secret@[/"] {
                let error = Jobs::open(wrong).await.unwrap_err().to_string();
                assert!(error.contains("postgres://user:password@host:5432/database"), "{error}");
                assert!(!error.contains("secret"), "{error}");
            }
            #[cfg(feature = "redis")]
            assert!(Jobs::open("redis:nonsense").await.is_err());
            assert!(!std::path::Path::new("redis:nonsense").exists());
        })
    });
}

#[test]
fn many_open_a_file_for_the_first_time_at_once() {
    run(Storage::file(), |moirai, storage| {
        Box::pin(async move {
            let open = |_| {
                let storage = storage.clone();
                moirai.spawn_async(async move {
                    let jobs = storage.open().await;
                    jobs.queue::<u32>("first").push(&1).await.unwrap();
                })
            };
            let opening: Vec<_> = (0..8).map(open).collect();
            for opened in opening {
                opened.await.unwrap();
            }
            assert_eq!(storage.open().await.queues().await.unwrap()[0].waiting, 8);
        })
    });
}

#[test]
fn without_a_reactor_the_error_says_what_to_do() {
    let moirai = Moirai::builder().worker_threads(1).build().unwrap();
    let error = moirai.block_on(Jobs::sqlite("never.db")).unwrap_err();
    assert!(matches!(error, Error::NoReactor));
    assert!(error.to_string().contains(".plugin(moirai_tokio::driver()?)"), "{error}");
    assert!(!std::path::Path::new("never.db").exists());
}

cases! { wrong_settings_are_errors_that_name_them }

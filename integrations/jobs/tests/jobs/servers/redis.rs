//! redis-server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moirai_jobs::{Error, Job, JobState, Jobs};

use super::cases;
use super::server::Server;
use crate::harness::{LONG, Storage, executor, run, until_state};

fn address(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/", server.port())
}

/// Empties the server, once it serves.
fn empty(server: &Server) {
    let client = ::redis::Client::open(address(server)).unwrap();
    let started = Instant::now();
    loop {
        let flushed = client
            .get_connection()
            .and_then(|mut connection| ::redis::cmd("FLUSHALL").exec(&mut connection));
        match flushed {
            Ok(()) => return,
            Err(error) => assert!(started.elapsed() < LONG, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn redis() {
    let Some(server) = Server::redis() else { return };
    for (name, case) in cases() {
        println!("{name}");
        empty(&server);
        run(Storage::Url(address(&server)), *case);
    }
}

/// Without it, the job would wait for an hour.
#[test]
fn a_push_of_another_process_starts_a_job_at_once() {
    let Some(server) = Server::redis() else { return };
    empty(&server);
    run(Storage::Url(address(&server)), |moirai, storage| {
        Box::pin(async move {
            let (here, there) = (storage.open().await, storage.open().await);
            let queue = here.queue::<u32>("told").poll_interval(Duration::from_secs(3600));
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            let consumer = queue
                .run(&moirai, move |job: Job<u32>| {
                    let sent = sender.send(job.payload);
                    async move { sent }
                })
                .unwrap();
            // The consumer has looked for jobs when it told how this one ended, and does not look again by itself.
            let first = here.queue::<u32>("told").push(&0).await.unwrap();
            until_state(&here, first, JobState::Done).await;
            assert_eq!(receiver.recv().await, Some(0));
            // It listens soon, but nobody says when: what was pushed before that waits for the next message.
            let started = Instant::now();
            let mut pushed = 0;
            while receiver.try_recv().is_err() {
                assert!(started.elapsed() < LONG, "nobody has told the consumer");
                pushed += 1;
                there.queue::<u32>("told").push(&pushed).await.unwrap();
                moirai::time::sleep(Duration::from_millis(20)).await;
            }
            consumer.drain().await;
        })
    });
}

#[test]
fn a_server_that_crashes_keeps_the_jobs_and_the_consumer_goes_on() {
    let Some(mut server) = Server::durable_redis() else { return };
    empty(&server);
    let moirai = executor();
    let address = address(&server);
    let jobs = moirai.spawn_async(async move { Jobs::open(&address).await.unwrap() });
    let jobs = jobs.join().unwrap();
    let queue = jobs.queue::<u32>("crash").concurrency(4);
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let consumer = queue
        .clone()
        .run(&moirai, move |_: Job<u32>| {
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::Relaxed);
                moirai::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, std::io::Error>(())
            }
        })
        .unwrap();
    let pushing = queue.clone();
    let ids = moirai
        .spawn_async(async move { pushing.push_all(&(0..200).collect::<Vec<_>>()).await.unwrap() });
    let ids = ids.join().unwrap();
    let started = Instant::now();
    while ran.load(Ordering::Relaxed) < 20 {
        assert!(started.elapsed() < LONG, "no job runs");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.crash_and_restart();
    let checking = jobs.clone();
    let checked = moirai.spawn_async(async move {
        for id in ids {
            // While the server starts, nobody can be asked.
            let started = Instant::now();
            while let Err(error) = checking.status(id).await {
                assert!(started.elapsed() < LONG, "{error}");
                moirai::time::sleep(Duration::from_millis(20)).await;
            }
            let done = until_state(&checking, id, JobState::Done).await.record;
            assert_eq!((done.attempts, done.error), (1, None));
        }
        consumer.drain().await
    });
    assert_eq!(checked.join().unwrap().left, []);
    moirai.shutdown_timeout(LONG);
}

#[test]
fn a_server_that_cannot_be_used_is_an_error_that_says_so() {
    let Some(server) = Server::redis() else { return };
    empty(&server);
    // Something that accepts connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let (silent_port, free_port) = (port(&silent), port(&nobody));
    drop(nobody);
    let urls = [
        (format!("redis://:secret@127.0.0.1:{free_port}/3"), "Connection refused"),
        (format!("redis://:secret@127.0.0.1:{silent_port}/3"), "has not answered within 10s"),
        (format!("redis://:secret@127.0.0.1:{}/3", server.port()), "AuthenticationFailed"),
        ("redis://user:secret@127.0.0.1:port/3".to_owned(), "the URL is none such as redis://"),
        ("redis://127.0.0.1:1/secret".to_owned(), "the URL is none such as redis://"),
        (format!("redis://127.0.0.1:{}/99999", server.port()), "DB index is out of range"),
    ];
    let moirai = executor();
    for (url, expected) in urls {
        let started = Instant::now();
        let opening = url.clone();
        let opened = moirai.spawn_async(async move { Jobs::open(&opening).await.map(|_| ()) });
        let error = opened.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Open { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "{url}: {:?}", started.elapsed());
    }
    drop(silent);
    moirai.shutdown_timeout(LONG);
}

//! Moirai.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai_jobs::{Job, Jobs};
use tokio::sync::Notify;

use crate::{Load, Turn, compute, cpu};

fn executor(threads: usize) -> (Moirai, tokio::runtime::Handle) {
    let driver = moirai_tokio::driver().unwrap();
    let tokio = driver.handle();
    let records = Retention { max_records: 10_000, max_age: Duration::from_secs(60) };
    let builder = Moirai::builder().worker_threads(threads).retention("jobs", records);
    (builder.plugin(driver).build().unwrap(), tokio)
}

pub(crate) fn run(address: &str, load: Load) -> Turn {
    let (moirai, tokio) = executor(load.threads);
    let here = moirai.without_owner();
    let address = address.to_owned();
    let run = async move {
        let jobs = Jobs::open(&address).await.unwrap();
        let queue = jobs.queue::<u32>("bench").concurrency(load.concurrency);
        queue.push_all(&(0..load.jobs).collect::<Vec<_>>()).await.unwrap();
        let (left, done) = (Arc::new(AtomicU32::new(load.jobs)), Arc::new(Notify::new()));
        let last = Arc::clone(&done);
        let (started, cpu_before) = (Instant::now(), cpu());
        let consumer = queue
            .run(&here, move |_: Job<u32>| {
                let (left, last) = (Arc::clone(&left), Arc::clone(&last));
                async move {
                    compute(load.work);
                    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        last.notify_one();
                    }
                    Ok::<_, std::io::Error>(())
                }
            })
            .unwrap();
        done.notified().await;
        let turn = Turn { wall: started.elapsed(), cpu: cpu() - cpu_before };
        consumer.drain().await;
        turn
    };
    let turn = moirai.spawn_async(moirai_tokio::in_tokio(tokio, run)).join().unwrap();
    moirai.shutdown();
    turn
}

pub(crate) fn latencies(address: &str, pushes: u32) -> Vec<Duration> {
    let (moirai, tokio) = executor(2);
    let here = moirai.without_owner();
    let address = address.to_owned();
    let run = async move {
        let jobs = Jobs::open(&address).await.unwrap();
        let queue = jobs.queue::<u32>("bench").concurrency(16);
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let consumer = queue
            .clone()
            .run(&here, move |_: Job<u32>| {
                let _ = started.send(Instant::now());
                async { Ok::<_, std::io::Error>(()) }
            })
            .unwrap();
        let mut latencies = Vec::new();
        for number in 0..=pushes {
            let pushed = Instant::now();
            queue.push(&number).await.unwrap();
            let latency = starts.recv().await.unwrap() - pushed;
            // The first one finds a consumer that is just starting.
            if number > 0 {
                latencies.push(latency);
            }
            moirai::time::sleep(Duration::from_millis(7)).await;
        }
        consumer.drain().await;
        latencies
    };
    let latencies = moirai.spawn_async(moirai_tokio::in_tokio(tokio, run)).join().unwrap();
    moirai.shutdown();
    latencies
}

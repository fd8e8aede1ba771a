//! The process that runs jobs.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use moirai::prelude::*;
use moirai::retry::ConstantBuilder;
use moirai_jobs::{Job, Jobs, Queue};

use crate::effects::Effects;

/// How long a process may be silent.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// How long a job takes, in milliseconds.
pub(crate) fn queue(jobs: &Jobs) -> Queue<u64> {
    let at_once = ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(49);
    jobs.queue("crash").lease(LEASE).concurrency(8).retry(at_once).grace(Duration::from_secs(2))
}

/// Runs jobs until the input ends: `work ADDRESS LOG`.
pub(crate) fn work(arguments: &[String]) {
    let [address, log] = arguments else { panic!("work ADDRESS LOG") };
    let driver = moirai_tokio::driver().unwrap();
    let tokio = driver.handle();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
    let log: Arc<str> = (&**log).into();
    moirai_tokio::block_on(&moirai.clone(), tokio, async {
        // The server may be down at the moment.
        let jobs = loop {
            match Jobs::open(address).await {
                Ok(jobs) => break jobs,
                Err(_) => moirai::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let effects = loop {
            match Effects::open(address).await {
                Ok(effects) => break effects,
                Err(_) => moirai::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let consumer = queue(&jobs).run(&moirai, move |job: Job<u64>| {
            let (effects, log) = (effects.clone(), Arc::clone(&log));
            async move {
                // One write of one line, which no other process can break into.
                let line = format!("{} {} {}\n", job.id(), job.attempt(), std::process::id());
                OpenOptions::new().append(true).open(&*log)?.write_all(line.as_bytes())?;
                moirai::join(|| job.payload, || 1);
                moirai::time::sleep(Duration::from_millis(job.payload)).await;
                effects.add(job.idempotency_key()).await
            }
        });
        consumer.unwrap().detach();
    });
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let report = moirai.drain(Duration::from_secs(10));
    std::process::exit(i32::from(!report.is_clean()));
}

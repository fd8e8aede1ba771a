//! Jobs that are pushed by the clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moirai::prelude::*;
use moirai_jobs::{Job, ListJobs};
use parking_lot::Mutex;

use crate::harness::{LONG, Storage};

async fn a_time_has_one_job_however_many_have_the_schedule(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("ticks");
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let schedules = [(); 3].map(|()| queue.schedule(&moirai, "* * * * * *", seconds).unwrap());
    let ran = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ran);
    let consumer = queue
        .run(&moirai, move |job: Job<u64>| {
            seen.lock().push(job.payload);
            async { Ok::<_, std::io::Error>(()) }
        })
        .unwrap();
    let started = Instant::now();
    while ran.lock().len() < 3 {
        assert!(started.elapsed() < LONG);
        moirai::time::sleep(Duration::from_millis(10)).await;
    }
    for schedule in &schedules {
        schedule.cancel();
    }
    consumer.drain().await;
    let mut times = ran.lock().clone();
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "each time once: {times:?}");
    // They have ended: nothing is pushed at the next time.
    let is_active = |task: &TaskStats| {
        task.name.as_deref() == Some("schedule of ticks") && task.status.is_active()
    };
    while moirai.tasks().iter().any(is_active) {
        assert!(started.elapsed() < LONG);
        moirai::time::sleep(Duration::from_millis(10)).await;
    }
    let number = jobs.list(ListJobs::new()).await.unwrap().len();
    moirai::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(jobs.list(ListJobs::new()).await.unwrap().len(), number);
}

async fn wrong_expressions_are_named(moirai: Moirai, storage: Storage) {
    let jobs = storage.open().await;
    let queue = jobs.queue::<u64>("ticks");
    for wrong in ["", "every day", "0 0 25 * * *", "0 0 0 1 1 * 1999"] {
        let error = queue.schedule(&moirai, wrong, |_| 1).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the schedule {wrong:?} cannot be followed: ")),
            "{error}"
        );
    }
}

cases! { a_time_has_one_job_however_many_have_the_schedule, wrong_expressions_are_named }

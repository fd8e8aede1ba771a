//! Prints how long jobs wait on average in the order in which they came, and with the shortest job first.
//!
//! `cargo run --release -p shortest-job-first`

use std::sync::mpsc;
use std::time::{Duration, Instant};

use moirai::Moirai;
use moirai::scheduler::GlobalFifo;
use shortest_job_first::ShortestJobFirst;

/// Returns the duration of a job. One job in ten is long.
fn length(number: u32) -> Duration {
    if number.is_multiple_of(10) { Duration::from_millis(20) } else { Duration::from_micros(200) }
}

/// Runs 100 jobs on an executor with one worker, and returns how long they waited for their start on average.
fn mean_wait(executor: &Moirai) -> Duration {
    // The first task keeps the worker busy until all jobs are queued.
    let ((open, opened), (begun, begins)) = (mpsc::channel(), mpsc::channel());
    let gate = executor.spawn_parallel(move || {
        begun.send(()).expect("the caller waits for it");
        let () = opened.recv().expect("the caller opens the gate");
    });
    begins.recv().expect("the gate is run");
    let start = Instant::now();
    let jobs: Vec<_> = (0..100)
        .map(|number| {
            let length = length(number);
            executor.task().expected_duration(length).spawn_parallel(move || {
                let waited = start.elapsed();
                while start.elapsed() < waited + length {
                    std::hint::spin_loop();
                }
                waited
            })
        })
        .collect();
    open.send(()).expect("the gate waits");
    let waits: Vec<_> =
        jobs.into_iter().map(|job| job.join().expect("a job does not panic")).collect();
    gate.join().expect("the gate does not panic");
    waits.iter().sum::<Duration>() / 100
}

fn main() -> Result<(), moirai::BuildError> {
    if std::env::args().len() > 1 {
        println!(
            "usage: shortest-job-first   (it takes no arguments, and runs for about a second)"
        );
        return Ok(());
    }
    let builder = || Moirai::builder().worker_threads(1);
    let fifo = mean_wait(&builder().scheduler(GlobalFifo::new()).build()?);
    let shortest = mean_wait(&builder().scheduler(ShortestJobFirst::new()).build()?);
    println!("100 jobs on one worker, 10 of them of 20 ms, the others of 0.2 ms");
    println!("first come, first served: a job waits {fifo:.1?} on average");
    println!("shortest job first:       a job waits {shortest:.1?} on average");
    Ok(())
}

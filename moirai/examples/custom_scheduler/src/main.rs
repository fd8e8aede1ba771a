//! How long jobs wait with and without it: `cargo run --release -p shortest-job-first`.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use moirai::Moirai;
use moirai::scheduler::GlobalFifo;
use shortest_job_first::ShortestJobFirst;

/// One job in ten is long.
fn length(number: u32) -> Duration {
    if number.is_multiple_of(10) { Duration::from_millis(20) } else { Duration::from_micros(200) }
}

fn mean_wait(executor: &Moirai) -> Duration {
    // All are there before the first begins.
    let ((open, opened), (begun, begins)) = (mpsc::channel(), mpsc::channel());
    let gate = executor.spawn_parallel(move || {
        begun.send(()).expect("it is waited for");
        let () = opened.recv().expect("it is opened");
    });
    begins.recv().expect("the gate begins");
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
    let waits: Vec<_> = jobs.into_iter().map(|job| job.join().expect("it only computes")).collect();
    gate.join().expect("it only waits");
    waits.iter().sum::<Duration>() / 100
}

fn main() -> Result<(), moirai::BuildError> {
    let builder = || Moirai::builder().worker_threads(1);
    let fifo = mean_wait(&builder().scheduler(GlobalFifo::new()).build()?);
    let shortest = mean_wait(&builder().scheduler(ShortestJobFirst::new()).build()?);
    println!("100 jobs on one worker, 10 of them of 20 ms, the others of 0.2 ms");
    println!("first come, first served: a job waits {fifo:.1?} on average");
    println!("shortest job first:       a job waits {shortest:.1?} on average");
    Ok(())
}

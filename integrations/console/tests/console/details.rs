//! The histograms of a single task.

use std::io::Cursor;
use std::thread;
use std::time::Duration;

use console_api::tasks::task_details::PollTimesHistogram;
use console_api::tasks::{DurationHistogram, TaskDetails};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use moirai::prelude::*;
use moirai::{FlightRecorderConfig, MoiraiBuilder, sync::Semaphore};
use moirai_console::{Console, ConsoleServer};

use crate::client::Client;

const ROUNDS: u64 = 10;

fn builder() -> MoiraiBuilder {
    // One thread polls, so that a wake is always one of a task that waits.
    Moirai::builder().worker_threads(1).compensation_threads(0)
}

fn serve(moirai: &Moirai) -> ConsoleServer {
    let console = Console::new(moirai).address(([127, 0, 0, 1], 0));
    console.interval(Duration::from_millis(10)).serve().unwrap()
}

/// Runs a task that another one wakes ten times, and that takes 5 ms for the last poll.
fn run(moirai: &Moirai) -> TaskId {
    let turns = [(); 2].map(|()| std::sync::Arc::new(Semaphore::new(0)));
    let [wake, answer] = turns.clone();
    let woken = moirai.spawn_async(async move {
        for _ in 0..ROUNDS {
            wake.acquire().await.unwrap().forget();
            answer.release();
        }
        thread::sleep(Duration::from_millis(5));
    });
    let [wake, answer] = turns;
    let waker = moirai.spawn_async(async move {
        for _ in 0..ROUNDS {
            wake.release();
            answer.acquire().await.unwrap().forget();
        }
    });
    let id = woken.id();
    waker.join().unwrap();
    woken.join().unwrap();
    id
}

fn decode(histogram: &DurationHistogram) -> Histogram<u64> {
    Deserializer::new().deserialize(&mut Cursor::new(&histogram.raw_histogram)).unwrap()
}

fn told(moirai: &Moirai, id: TaskId) -> TaskDetails {
    let console = serve(moirai);
    let client = Client::new(&console);
    let mut details = client.details(id.get()).unwrap();
    client.next(&mut details).unwrap().unwrap()
}

#[test]
fn the_polls_of_a_task_and_its_waits_for_them_are_told_as_histograms() {
    let moirai = builder().build().unwrap();
    let id = run(&moirai);
    let record = moirai.task_stats(id).unwrap();
    let told = told(&moirai, id);
    let Some(PollTimesHistogram::Histogram(polls)) = &told.poll_times_histogram else {
        panic!("no histogram of polls: {told:#?}");
    };
    assert_eq!(polls.high_outliers, 0);
    let polls = decode(polls);
    assert_eq!(polls.len(), u64::from(record.polls));
    // One in a hundred is how exact it is.
    let busy = record.busy.as_nanos() as f64;
    assert!(polls.max() >= 5_000_000 && polls.mean() * polls.len() as f64 > 0.98 * busy);
    assert!(polls.max() as f64 <= 1.02 * busy, "{} of {:?}", polls.max(), record.busy);
    let queued = decode(told.scheduled_times_histogram.as_ref().unwrap());
    assert_eq!(queued.len(), u64::from(record.polls), "once before each poll");
    assert!(queued.max() as f64 >= 0.98 * record.queue_time().unwrap().as_nanos() as f64);
}

#[test]
fn without_a_flight_recorder_no_histograms_of_polls_are_told() {
    let moirai = builder().flight_recorder(FlightRecorderConfig::off()).build().unwrap();
    let id = run(&moirai);
    let told = told(&moirai, id);
    assert_eq!(told.task_id.unwrap().id, id.get());
    assert!(told.poll_times_histogram.is_none() && told.scheduled_times_histogram.is_none());
}

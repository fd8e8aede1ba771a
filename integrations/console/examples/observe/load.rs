//! The tasks of the service: most of them behave.

use std::future::pending;
use std::panic;
use std::thread;
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai::time::sleep;

/// The message of a panic that is part of the plan.
const PLANNED: &str = "this order is not liked";

/// Starts all of them.
pub(crate) fn start(executor: &Moirai) {
    executor.task().name("accept").spawn_async(accept());
    executor.task().name("waits for ever").spawn_async(pending::<()>());
    executor.task().name("nightly backup").spawn_async(backup());
}

/// Spawns a request every few milliseconds, until the executor is shut down.
async fn accept() {
    for number in 0_u64.. {
        sleep(Duration::from_millis(4)).await;
        let Some(executor) = Moirai::current().filter(|executor| !executor.is_shutting_down())
        else {
            return;
        };
        executor.task().name("order").tag("number", number).spawn_async(order(number));
        match number % 500 {
            150 => {
                let slow = executor.task().name("too slow").timeout(Duration::from_millis(50));
                slow.spawn_async(pending::<()>());
            }
            // This is what a task must not do: it should be a blocking one.
            300 => {
                let blocks = async { thread::sleep(Duration::from_millis(400)) };
                executor.task().name("blocks its worker").spawn_async(blocks);
            }
            // Nor this: it should be a closure.
            450 => {
                let computes = async { spin(Duration::from_millis(200)) };
                executor.task().name("computes for long").spawn_async(computes);
            }
            _ => {}
        }
    }
}

/// A request: it waits for something, computes a little, and fails now and then.
async fn order(number: u64) {
    sleep(Duration::from_millis(5 + number * 7 % 60)).await;
    let price = moirai::spawn_parallel(move || {
        let half = || spin(Duration::from_micros(100 + number * 13 % 400));
        moirai::join(half, half)
    });
    let _ = price.await;
    assert!(!number.is_multiple_of(197), "{PLANNED}");
}

/// Reads files, one after the other, with pauses.
async fn backup() {
    loop {
        let copy = moirai::spawn_blocking(|| thread::sleep(Duration::from_millis(120)));
        if copy.await.is_err() {
            // The executor shuts down.
            return;
        }
        sleep(Duration::from_millis(300)).await;
    }
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Keeps the planned panics from being printed.
pub(crate) fn silence_planned_panics() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(PLANNED) {
            hook(info);
        }
    }));
}

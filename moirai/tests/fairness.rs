//! Tests of fairness: no task keeps a worker for itself, and tasks wait for a bounded number of others.
//!
//! They hold promise P13 (scheduling is fair) of `docs/src/guarantees.md`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{wait_until, watchdog, workers};
use moirai::prelude::*;
use moirai::sync::{Event, Semaphore};

/// An executor that has these workers, and starts no other thread for those that are stuck.
fn no_other_threads_than(workers: usize) -> Moirai {
    let builder = Moirai::builder().worker_threads(workers);
    builder.spare_threads(0).compensation_threads(0).build().unwrap()
}

/// Asserts that an endless task on the only worker lets another task run.
#[track_caller]
fn assert_gives_way<F: Future<Output = ()> + Send + 'static>(
    endless: impl FnOnce(Arc<AtomicBool>) -> F,
) {
    // There are no compensation threads, so the task itself has to give way.
    let executor = no_other_threads_than(1);
    let stop = Arc::new(AtomicBool::new(false));
    let task = executor.spawn_async(endless(Arc::clone(&stop)));
    wait_until("it runs", || executor.task_status(task.id()) == Some(TaskStatus::Running));
    executor.spawn_async(async {}).join().unwrap();
    stop.store(true, SeqCst);
    task.join().unwrap();
}

#[test]
fn a_task_whose_futures_are_always_ready_gives_way() {
    let _watchdog = watchdog();
    assert_gives_way(|stop| async move {
        let event = Event::new();
        event.set();
        while !stop.load(SeqCst) {
            event.wait().await;
        }
    });
    assert_gives_way(|stop| async move {
        let semaphore = Semaphore::new(1);
        while !stop.load(SeqCst) {
            drop(semaphore.acquire().await.unwrap());
        }
    });
    assert_gives_way(|stop| async move {
        let mut every = moirai::time::interval(Duration::ZERO);
        while !stop.load(SeqCst) {
            every.tick().await;
        }
    });
    assert_gives_way(|stop| async move {
        while !stop.load(SeqCst) {
            moirai::time::sleep(Duration::ZERO).await;
        }
    });
}

#[test]
fn a_task_on_a_channel_of_another_crate_gives_way_when_it_consumes_its_budget() {
    let _watchdog = watchdog();
    let (sender, receiver) = async_channel::bounded(1);
    assert_gives_way(|stop| async move {
        while !stop.load(SeqCst) {
            sender.send(()).await.unwrap();
            moirai::budgeted(receiver.recv()).await.unwrap();
        }
    });
    assert_gives_way(|stop| async move {
        while !stop.load(SeqCst) {
            moirai::consume_budget().await;
        }
    });
}

#[test]
fn block_on_inside_a_poll_and_unconstrained_futures_are_not_stopped_by_the_budget() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let task = executor.spawn_async(async {
        let event = Event::new();
        event.set();
        for _ in 0..10_000 {
            futures_lite::future::block_on(event.wait());
            event.wait_blocking();
        }
    });
    task.join().unwrap();
    let unconstrained = executor.spawn_async(moirai::unconstrained(async {
        for _ in 0..10_000 {
            moirai::consume_budget().await;
        }
    }));
    let id = unconstrained.id();
    unconstrained.join().unwrap();
    assert_eq!(executor.task_stats(id).unwrap().polls, 1);
}

/// Floods the executor with tasks of `priority` whose polls take about `length` each, until `stop` is set. Returns the number of
/// polls so far, once each of the tasks has run.
fn flood(
    executor: &Moirai,
    priority: Priority,
    length: Duration,
    stop: &Arc<AtomicBool>,
) -> Arc<AtomicU64> {
    let ran = Arc::new(AtomicU64::new(0));
    for _ in 0..200 {
        let (stop, ran) = (Arc::clone(stop), Arc::clone(&ran));
        executor.task().priority(priority).spawn_async(async move {
            while !stop.load(SeqCst) {
                let start = Instant::now();
                while start.elapsed() < length {
                    std::hint::spin_loop();
                }
                ran.fetch_add(1, SeqCst);
                moirai::yield_now().await;
            }
        });
    }
    // Those that have not run yet wait where tasks from outside wait, and are before any later one.
    wait_until("all of the flood has run", || {
        executor.tasks().iter().all(|task| task.started_at.is_some())
    });
    ran
}

/// Spawns a task, and returns the number of polls of the flood between its spawn and its own poll. They are counted from when the
/// spawn has returned, because before that this thread may have waited for a processor.
fn passed_over_by(executor: &Moirai, priority: Priority, ran: &Arc<AtomicU64>) -> u64 {
    let counted = Arc::clone(ran);
    let task = executor.task().priority(priority).spawn_async(async move { counted.load(SeqCst) });
    let spawned = ran.load(SeqCst);
    task.join().unwrap().saturating_sub(spawned)
}

#[test]
fn a_critical_task_waits_for_at_most_two_polls_of_a_flood_of_low_ones() {
    let watchdog = watchdog();
    for n in [1, 2] {
        let executor = no_other_threads_than(n);
        let stop = Arc::new(AtomicBool::new(false));
        let ran = flood(&executor, Priority::Low, Duration::from_micros(200), &stop);
        wait_until("the flood runs", || ran.load(SeqCst) > 500);
        let mut passed_over: Vec<_> = (0..400)
            .map(|i| {
                watchdog.feed(format!("critical task {i} on {n} workers"));
                passed_over_by(&executor, Priority::Critical, &ran)
            })
            .collect();
        passed_over.sort_unstable();
        let p99 = passed_over[passed_over.len() * 99 / 100];
        stop.store(true, SeqCst);
        // Polls that began before the spawn count, too: one on each worker.
        assert!(p99 <= 2 * n as u64, "{p99} polls of the flood went first: {passed_over:?}");
    }
}

#[test]
fn low_tasks_go_on_under_a_flood_of_critical_ones() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let stop = Arc::new(AtomicBool::new(false));
    let ran = flood(&executor, Priority::Critical, Duration::from_micros(20), &stop);
    wait_until("the flood runs", || ran.load(SeqCst) > 500);
    for _ in 0..20 {
        let passed_over = passed_over_by(&executor, Priority::Low, &ran);
        // Every 64th time that a worker looks for a task, it begins with the low ones.
        assert!(passed_over <= 64 * 3, "{passed_over}");
    }
    stop.store(true, SeqCst);
}

#[test]
fn a_task_from_outside_gets_its_turn_among_long_polls() {
    let _watchdog = watchdog();
    let executor = no_other_threads_than(1);
    let stop = Arc::new(AtomicBool::new(false));
    let ran = flood(&executor, Priority::Normal, Duration::from_millis(1), &stop);
    wait_until("the flood runs", || ran.load(SeqCst) > 300);
    // If the worker itself waits for a processor, the watchdog moves the flood to where tasks from outside wait. So not every attempt
    // counts.
    let mut passed_over = Vec::new();
    while passed_over.last().is_none_or(|&last| last > 8) && passed_over.len() < 30 {
        passed_over.push(passed_over_by(&executor, Priority::Normal, &ran));
    }
    stop.store(true, SeqCst);
    let last = *passed_over.last().unwrap();
    assert!(last <= 8, "polls of a millisecond each that went first: {passed_over:?}");
}

#[test]
fn a_job_of_a_scope_that_blocks_gets_its_turn_among_tasks() {
    let _watchdog = watchdog();
    for n in [1, 2] {
        let executor = no_other_threads_than(n);
        let stop = Arc::new(AtomicBool::new(false));
        let polled = flood(&executor, Priority::Normal, Duration::from_micros(20), &stop);
        wait_until("the flood runs", || polled.load(SeqCst) > 500);
        // This thread waits for the job, and does not run it itself.
        executor.scope(|s| {
            let ran = Arc::new(AtomicBool::new(false));
            let runs = Arc::clone(&ran);
            s.spawn(move |_| runs.store(true, SeqCst));
            wait_until("the job has run", || ran.load(SeqCst));
        });
        stop.store(true, SeqCst);
    }
}

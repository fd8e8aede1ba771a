//! Tests that no call starts unrelated work on the caller's stack.
//!
//! They hold promise P14 of `docs/src/guarantees.md`. Among them are the deadlocks of rayon's issues 592 and 1205: a lock is held
//! across a parallel call, and while the thread waits it takes up other work that needs the same lock.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use common::{Gate, wait_until, watchdog, workers};
use moirai::prelude::*;
use moirai::{join, scope};

/// Keeps the processor busy.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Calls `f` for each number of the range, in parallel.
fn for_each(range: std::ops::Range<u32>, f: &(dyn Fn(u32) + Sync)) {
    match range.len() {
        0 => {}
        1 => f(range.start),
        length => {
            let middle = range.start + length as u32 / 2;
            join(|| for_each(range.start..middle, f), || for_each(middle..range.end, f));
        }
    }
}

/// Calls `f` `total` times on two workers and again on four: every other fifty times in a task, and otherwise outside of one.
fn rounds(total: usize, f: impl Fn() + Send + Sync + 'static) {
    let watchdog = watchdog();
    let f = Arc::new(f);
    for n in [2, 4] {
        let executor = workers(n);
        for round in 0..total / 100 {
            watchdog.feed(format!("{n} workers, round {round} of {}", total / 100));
            let again = Arc::clone(&f);
            executor.spawn_parallel(move || (0..50).for_each(|_| again())).join().unwrap();
            executor.scope(|_| (0..50).for_each(|_| f()));
        }
    }
}

#[test]
fn a_mutex_can_be_held_across_an_inner_parallel_loop() {
    rounds(10_000, || {
        let sum = Mutex::new(0);
        for_each(0..6, &|_| {
            let mut sum = sum.lock().unwrap();
            let inner = AtomicUsize::new(0);
            for_each(0..6, &|n| {
                spin(Duration::from_micros(2));
                inner.fetch_add(n as usize, SeqCst);
            });
            *sum += inner.into_inner();
        });
        assert_eq!(sum.into_inner().unwrap(), 6 * 15);
    });
}

#[test]
fn a_reader_writer_lock_can_be_held_across_an_inner_parallel_loop() {
    rounds(10_000, || {
        let sum = RwLock::new(0);
        for_each(0..6, &|n| {
            if n % 3 == 0 {
                let mut sum = sum.write().unwrap();
                for_each(0..4, &|_| spin(Duration::from_micros(2)));
                *sum += 1;
            } else {
                let sum = sum.read().unwrap();
                for_each(0..4, &|_| assert!(*sum <= 2));
            }
        });
        assert_eq!(sum.into_inner().unwrap(), 2);
    });
}

#[test]
fn a_mutex_can_be_held_across_a_scope_in_jobs_that_lock_it_one_by_one() {
    rounds(4_000, || {
        let sum = Mutex::new(0);
        scope(|s| {
            for _ in 0..6 {
                s.spawn(|_| {
                    let mut sum = sum.lock().unwrap();
                    scope(|s| (0..4).for_each(|_| s.spawn(|_| spin(Duration::from_micros(2)))));
                    *sum += 1;
                });
            }
        });
        assert_eq!(sum.into_inner().unwrap(), 6);
    });
}

#[test]
fn two_executors_can_call_into_each_other() {
    fn down(depth: u32, here: &Moirai, there: &Moirai) -> u32 {
        if depth == 0 {
            return 1;
        }
        let (a, b) = there.join(|| down(depth - 1, there, here), || down(depth - 1, there, here));
        a + b
    }
    let watchdog = watchdog();
    let (first, second) = (workers(2), workers(2));
    for round in 0..300 {
        watchdog.feed(format!("round {round}"));
        let task = first.spawn_parallel({
            let (first, second) = (first.clone(), second.clone());
            move || down(6, &first, &second)
        });
        let other = second.spawn_parallel({
            let (first, second) = (first.clone(), second.clone());
            move || down(6, &second, &first)
        });
        assert_eq!(down(6, &first, &second), 64);
        assert_eq!((task.join().unwrap(), other.join().unwrap()), (64, 64));
    }
}

#[test]
fn a_waiting_thread_runs_no_other_task_and_no_closure_of_another_join() {
    thread_local! {
        static WAITING: Cell<bool> = const { Cell::new(false) };
    }
    let watchdog = watchdog();
    let executor = workers(2);
    let stop = Gate::new();
    // Tasks and closures of `join` that check whether they run on the stack of a thread that waits.
    let other_tasks: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            executor.spawn_async(async move {
                while !stop.is_open() {
                    assert!(!WAITING.get(), "a task runs on the stack of a join");
                    moirai::yield_now().await;
                }
            })
        })
        .collect();
    let offered = Arc::new(AtomicUsize::new(0));
    let other_joins = std::thread::spawn({
        let (executor, stop, offered) = (executor.clone(), stop.clone(), Arc::clone(&offered));
        move || {
            while !stop.is_open() {
                offered.fetch_add(1, SeqCst);
                executor.join(
                    || spin(Duration::from_micros(20)),
                    || {
                        assert!(
                            !WAITING.get(),
                            "a closure of one join runs on the stack of another"
                        )
                    },
                );
            }
        }
    });
    // Meanwhile a thread that waits has time to take up what it must not.
    let until_more_was_offered = {
        let offered = Arc::clone(&offered);
        move || {
            let before = offered.load(SeqCst);
            wait_until("more jobs of other joins were offered", || {
                offered.load(SeqCst) > before + 20
            });
        }
    };
    let wait = || {
        let stolen = Gate::new();
        WAITING.set(true);
        join(
            || stolen.wait(),
            || {
                stolen.open();
                until_more_was_offered();
            },
        );
        let task = executor.spawn_parallel(until_more_was_offered.clone());
        task.join().unwrap();
        WAITING.set(false);
    };
    for round in 0..40 {
        watchdog.feed(format!("round {round}"));
        executor.scope(|_| wait());
    }
    // The same on a worker.
    for round in 0..40 {
        watchdog.feed(format!("round {round} on a worker"));
        let stolen = Gate::new();
        let until_more_was_offered = until_more_was_offered.clone();
        let task = executor.spawn_parallel(move || {
            WAITING.set(true);
            join(
                || stolen.wait(),
                || {
                    stolen.open();
                    until_more_was_offered();
                },
            );
            WAITING.set(false);
        });
        executor.block_on(task).unwrap();
    }
    stop.open();
    other_joins.join().unwrap();
    other_tasks.into_iter().for_each(|task| task.join().unwrap());
}

#[test]
fn a_worker_that_waits_for_a_stolen_job_hands_off_its_core() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for _ in 0..20 {
        let (stolen, finish) = (Gate::new(), Gate::new());
        let waits = executor.spawn_parallel({
            let (stolen, finish) = (stolen.clone(), finish.clone());
            move || {
                join(
                    || stolen.wait(),
                    || {
                        stolen.open();
                        finish.wait();
                    },
                );
            }
        });
        stolen.wait();
        // One worker is blocked in the stolen job, and the other waits for it: a third thread has to run these tasks.
        let answers = (0..10).map(|n| executor.spawn_async(async move { n }));
        assert_eq!(answers.map(|answer| executor.block_on(answer).unwrap()).sum::<i32>(), 45);
        finish.open();
        waits.join().unwrap();
    }
}

#[test]
fn an_idle_executor_sleeps_after_fork_join_work() {
    let _watchdog = watchdog();
    let executor = common::named("fj-idle", 2).build().unwrap();
    executor.scope(|s| (0..1_000).for_each(|_| s.spawn(|_| ())));
    executor.spawn_parallel(|| for_each(0..1_000, &|_| ())).join().unwrap();
    let sleeps = || common::threads::sleeps("fj-idle");
    wait_until("no thread wakes any more", || {
        let before = sleeps();
        std::thread::sleep(Duration::from_millis(100));
        sleeps() == before
    });
}

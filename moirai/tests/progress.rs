//! Tests that async tasks go on while every worker is in something else.
//!
//! They hold promise P15 (nothing stalls) of `docs/src/guarantees.md`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{Gate, threads, wait_until, watchdog, workers};
use moirai::join;
use moirai::prelude::*;

/// The workers that have computed, as bits, and whether they are to stop.
#[derive(Default)]
struct Work {
    stop: AtomicBool,
    workers: AtomicUsize,
}

/// Calls `join` again and again until `stop` is set, and does not return to the worker's loop meanwhile.
fn recurse(depth: u32, work: &Work) -> u64 {
    if work.stop.load(SeqCst) {
        return 0;
    }
    if depth == 0 {
        if let Some(worker) = Moirai::worker_index() {
            work.workers.fetch_or(1 << worker, SeqCst);
        }
        return (0..200).map(std::hint::black_box).sum();
    }
    let (a, b) = join(|| recurse(depth - 1, work), || recurse(depth - 1, work));
    a.wrapping_add(b)
}

/// Keeps all workers in one recursive join while `f` runs.
fn while_all_workers_compute<R>(executor: &Moirai, f: impl FnOnce() -> R) -> R {
    let work = Arc::new(Work::default());
    let task = executor.spawn_parallel({
        let work = Arc::clone(&work);
        move || recurse(60, &work)
    });
    let all = (1 << executor.worker_count()) - 1;
    wait_until("all workers compute", || work.workers.load(SeqCst) == all);
    let result = f();
    work.stop.store(true, SeqCst);
    task.join().unwrap();
    result
}

/// Spawns async tasks that block their threads, outside of `block_in_place`, until the gate is open.
fn block_in_tasks(executor: &Moirai, tasks: usize, gate: &Gate) -> Vec<TaskHandle<()>> {
    (0..tasks)
        .map(|_| {
            let gate = gate.clone();
            executor.spawn_async(async move { gate.wait() })
        })
        .collect()
}

#[test]
fn pings_are_answered_while_all_workers_are_in_recursive_joins() {
    let watchdog = watchdog();
    for n in [1, 2, 4] {
        let executor = workers(n);
        let mut delays = while_all_workers_compute(&executor, || {
            let (sender, receiver) = async_channel::unbounded::<Instant>();
            let echo = executor.spawn_async(async move {
                let mut delays = Vec::new();
                while let Ok(sent) = receiver.recv().await {
                    delays.push(sent.elapsed());
                }
                delays
            });
            for ping in 0..150 {
                watchdog.feed(format!("ping {ping} of {n} workers"));
                sender.send_blocking(Instant::now()).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
            drop(sender);
            echo.join().unwrap()
        });
        delays.sort_unstable();
        println!("{n} workers: median {:?}, worst {:?}", delays[delays.len() / 2], delays.last());
        // The machine may be loaded. The benches measure how long it takes on one that is not.
        assert!(delays[delays.len() / 2] < Duration::from_millis(50), "{delays:?}");
        assert_eq!(delays.len(), 150);
    }
}

#[test]
fn tasks_that_wake_each_other_go_on_while_all_workers_are_stuck() {
    let _watchdog = watchdog();
    let executor = workers(2);
    while_all_workers_compute(&executor, || {
        let (there, here) = (async_channel::bounded(1), async_channel::bounded(1));
        let echo = executor.spawn_async(async move {
            while let Ok(n) = there.1.recv().await {
                here.0.send(n).await.unwrap();
            }
        });
        let asks = executor.spawn_async(async move {
            for n in 0..1_000 {
                there.0.send(n).await.unwrap();
                assert_eq!(here.1.recv().await, Ok(n));
            }
        });
        asks.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn a_task_in_the_slot_of_a_stuck_worker_is_run_by_one_that_slept() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let ran = Arc::new(AtomicBool::new(false));
    let blocks = executor.spawn_parallel({
        let ran = Arc::clone(&ran);
        move || {
            // The task that a worker spawns last is in its slot. Then the worker blocks, outside of `block_in_place`.
            drop(moirai::spawn_async({
                let ran = Arc::clone(&ran);
                async move { ran.store(true, SeqCst) }
            }));
            wait_until("the task has run elsewhere", || ran.load(SeqCst));
        }
    });
    blocks.join().unwrap();
}

#[test]
fn workers_that_block_outside_of_block_in_place_do_not_stop_the_async_tasks() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let stop = Gate::new();
    let blocked = block_in_tasks(&executor, 2, &stop);
    for n in 0..20 {
        assert_eq!(executor.block_on(executor.spawn_async(async move { n })).unwrap(), n);
    }
    stop.open();
    blocked.into_iter().for_each(|task| task.join().unwrap());
}

#[test]
fn a_compensation_thread_that_gets_stuck_is_joined_by_another_up_to_the_limit() {
    let _watchdog = watchdog();
    let executor =
        common::named("rsc", 1).spare_threads(2).compensation_threads(2).build().unwrap();
    let stop = Gate::new();
    let stuck = block_in_tasks(&executor, 3, &stop);
    wait_until("the worker and both compensation threads are stuck", || {
        stuck.iter().all(|task| executor.task_status(task.id()) == Some(TaskStatus::Running))
    });
    let waits = executor.spawn_async(async {});
    // The task must still be queued after some more ticks of the watchdog thread.
    let looks = threads::sleeps("rsc-watchdog");
    wait_until("the watchdog thread has looked", || {
        !cfg!(target_os = "linux") || threads::sleeps("rsc-watchdog") > looks + 5
    });
    assert_eq!(executor.task_status(waits.id()), Some(TaskStatus::Queued));
    stop.open();
    waits.join().unwrap();
    stuck.into_iter().for_each(|task| task.join().unwrap());
    if cfg!(target_os = "linux") {
        wait_until("compensation threads end when they are not needed", || {
            threads::count("rsc-comp") == 0
        });
    }
}

/// Sends `pings` pings, one every few milliseconds, to an async task. Returns the longest time that one took to reach it.
fn worst_echo(executor: &Moirai, pings: usize) -> Duration {
    let (sender, receiver) = async_channel::unbounded::<Instant>();
    let echo = executor.spawn_async(async move {
        let mut worst = Duration::ZERO;
        while let Ok(sent) = receiver.recv().await {
            worst = worst.max(sent.elapsed());
        }
        worst
    });
    for _ in 0..pings {
        sender.send_blocking(Instant::now()).unwrap();
        std::thread::sleep(Duration::from_millis(3));
    }
    drop(sender);
    echo.join().unwrap()
}

// P15 promises 50 ms. What is asserted leaves room for a loaded machine; without compensation threads it would be seconds.
#[test]
fn an_echo_answers_while_every_worker_blocks_or_spins() {
    let watchdog = watchdog();
    for spin in [false, true] {
        for n in [1, 2, 4] {
            watchdog.feed(format!("spin: {spin}, {n} workers"));
            let executor = workers(n);
            let gate = Gate::new();
            let stuck: Vec<_> = (0..n)
                .map(|_| {
                    let gate = gate.clone();
                    executor.spawn_async(async move {
                        if spin {
                            while !gate.is_open() {
                                std::hint::spin_loop();
                            }
                        } else {
                            gate.wait();
                        }
                    })
                })
                .collect();
            wait_until("all workers are stuck", || {
                stuck
                    .iter()
                    .all(|task| executor.task_status(task.id()) == Some(TaskStatus::Running))
            });
            let worst = worst_echo(&executor, 100);
            gate.open();
            stuck.into_iter().for_each(|task| task.join().unwrap());
            assert!(worst < Duration::from_millis(250), "{worst:?} with {n} workers, spin: {spin}");
        }
    }
}

#[test]
fn parallel_closures_go_on_while_the_workers_are_blocked() {
    let _watchdog = watchdog();
    if !cfg!(target_os = "linux") {
        return;
    }
    for n in [1, 2] {
        let executor = workers(n);
        let gate = Gate::new();
        let stuck = block_in_tasks(&executor, n, &gate);
        let closures: Vec<_> = (0..100).map(|i| executor.spawn_parallel(move || i)).collect();
        for (i, closure) in closures.into_iter().enumerate() {
            assert_eq!(closure.join().unwrap(), i);
        }
        let (a, b) = executor.join(|| 1, || 2);
        assert_eq!((a, b), (1, 2));
        gate.open();
        stuck.into_iter().for_each(|task| task.join().unwrap());
    }
}

#[test]
fn tasks_queued_by_a_stuck_worker_are_run_by_one_that_is_never_idle() {
    let _watchdog = watchdog();
    // There are no compensation threads, which would take tasks from any queue.
    let executor = Moirai::builder()
        .worker_threads(2)
        .spare_threads(0)
        .compensation_threads(0)
        .build()
        .unwrap();
    let gate = Gate::new();
    // A task that is always ready, so that its worker is never idle and does not look for work elsewhere.
    let busy = executor.spawn_async({
        let gate = gate.clone();
        async move {
            while !gate.is_open() {
                moirai::yield_now().await;
            }
        }
    });
    wait_until("it runs", || executor.task_status(busy.id()) == Some(TaskStatus::Running));
    // A task that queues others on its own worker, and then blocks.
    let (send, receive) = std::sync::mpsc::channel();
    let stuck = executor.spawn_async({
        let gate = gate.clone();
        async move {
            for _ in 0..10 {
                let send = send.clone();
                moirai::spawn_async(async move { send.send(()).unwrap() });
            }
            gate.wait();
        }
    });
    for _ in 0..10 {
        receive.recv().unwrap();
    }
    gate.open();
    busy.join().unwrap();
    stuck.join().unwrap();
}

#[test]
fn stalls_among_many_short_blocks_leave_no_thread_behind() {
    let watchdog = watchdog();
    if !cfg!(target_os = "linux") {
        return;
    }
    let executor = common::named("row", 2).build().unwrap();
    for round in 0..1_000 {
        let gate = Gate::new();
        let stuck = block_in_tasks(&executor, 2, &gate);
        if round % 100 == 0 {
            watchdog.feed(format!("round {round}"));
            // The workers stay blocked until this task has run, which takes a compensation thread.
            executor.spawn_async(async {}).join().unwrap();
        }
        gate.open();
        stuck.into_iter().for_each(|task| task.join().unwrap());
        assert!(threads::count("row-comp") <= 4);
    }
    wait_until("the compensation threads have ended", || threads::count("row-comp") == 0);
    assert!(executor.stalled().is_empty());
    drop(executor);
    wait_until("all threads have ended", || threads::count("row-") == 0);
}

#[test]
fn compensation_threads_run_no_parallel_closures_while_the_workers_compute() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let closure = while_all_workers_compute(&executor, || {
        let closure = executor.spawn_parallel(|| 7);
        executor.spawn_async(async {}).join().unwrap();
        assert_eq!(executor.task_status(closure.id()), Some(TaskStatus::Queued));
        closure
    });
    assert_eq!(closure.join().unwrap(), 7);
}

#[test]
fn without_compensation_threads_and_a_stall_budget_there_is_no_watchdog_thread() {
    let _watchdog = watchdog();
    if !cfg!(target_os = "linux") {
        return;
    }
    let without =
        common::named("wd-off", 1).compensation_threads(0).stall_budget(None).build().unwrap();
    let with = common::named("wd-on", 1).build().unwrap();
    // A thread has its name only once it runs. The cleanup thread is the last that an executor starts.
    wait_until("the threads have their names", || {
        ["wd-off-cleanup", "wd-on-watchdog"].iter().all(|name| threads::count(name) == 1)
    });
    assert_eq!(threads::count("wd-off-watchdog"), 0);
    drop((with, without));
    wait_until("all threads have ended", || threads::count("wd-o") == 0);
}

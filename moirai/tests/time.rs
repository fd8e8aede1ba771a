//! Tests of sleeps, timeouts, intervals and deadlines, most of them on a manual clock.
//!
//! They hold promise P18 (time is never early) of `docs/src/guarantees.md`.

mod common;

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Context;
use std::time::Duration;

use common::{
    Counter, CountingWaker, Gate, HOUR, block_only_worker, wait_until, watchdog, workers,
};
use futures_lite::future;
use moirai::prelude::*;
use moirai::time::{self, Instant, MissedTickBehavior};
use moirai::{Clock, ManualClock};

const SECOND: Duration = Duration::from_secs(1);

/// Returns an executor whose time is paused, and what moves it.
fn paused(n: usize) -> (Moirai, Arc<ManualClock>) {
    let executor = workers(n);
    let controller = executor.pause_time();
    (executor, controller)
}

/// Waits until the task has been polled.
fn wait_until_it_waits<T>(executor: &Moirai, task: &TaskHandle<T>) {
    wait_until("the task waits", || executor.task_stats(task.id()).is_some_and(|s| s.polls > 0));
}

#[test]
fn a_sleep_of_an_hour_ends_with_the_advance_that_completes_it_and_not_before() {
    let _watchdog = watchdog();
    let (executor, controller) = paused(2);
    let task = executor.spawn_async(async {
        let start = Instant::now();
        time::sleep(HOUR).await;
        start.elapsed()
    });
    wait_until_it_waits(&executor, &task);
    controller.advance(HOUR - Duration::from_nanos(1));
    executor.block_on(async {
        for _ in 0..100 {
            moirai::yield_now().await;
        }
    });
    assert!(!task.is_finished());
    controller.advance(Duration::from_nanos(1));
    assert_eq!(task.join().unwrap(), HOUR);
}

#[test]
fn a_day_of_a_service_passes_in_an_instant() {
    let _watchdog = watchdog();
    let (executor, controller) = paused(2);
    let ticks = Counter::default();
    let service = executor.spawn_async({
        let ticks = ticks.clone();
        async move {
            let mut every = time::interval(Duration::from_secs(60));
            loop {
                every.tick().await;
                ticks.add();
            }
        }
    });
    wait_until("the first tick", || ticks.get() == 1);
    for minute in 1..=24 * 60 {
        controller.advance(Duration::from_secs(60));
        wait_until("the next tick", || ticks.get() == minute + 1);
    }
    service.cancel();
}

#[test]
fn time_is_paused_from_inside_an_executor_and_for_this_executor_only() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let other = workers(1);
    executor.block_on(async {
        assert!(time::advance(SECOND).await.unwrap_err().is_not_paused());
        time::pause().unwrap();
        let before = Instant::now();
        let mut sleep = time::sleep(HOUR);
        assert!(!sleep.is_elapsed());
        time::advance(HOUR).await.unwrap();
        assert!(sleep.is_elapsed());
        (&mut sleep).await;
        assert_eq!(Instant::now() - before, HOUR);
        sleep.reset(Instant::now() + SECOND);
        assert!(!sleep.is_elapsed());
    });
    // On another executor time goes on.
    other.block_on(time::sleep(Duration::from_millis(1)));
    assert!(futures_lite::future::block_on(time::advance(SECOND)).unwrap_err().is_no_executor());
    assert!(time::pause().unwrap_err().is_no_executor());
}

#[test]
fn a_sleep_by_the_system_clock_works_on_any_thread_and_is_never_early() {
    let _watchdog = watchdog();
    let wait = Duration::from_millis(3);
    let start = std::time::Instant::now();
    futures_lite::future::block_on(time::sleep(wait));
    assert!(start.elapsed() >= wait);
    let executor = workers(2);
    let sleeps: Vec<_> = (0..200_u32)
        .map(|i| {
            executor.spawn_async(async move {
                let wait = Duration::from_micros(u64::from(i % 20) * 250);
                let start = Instant::now();
                time::sleep(wait).await;
                (start.elapsed(), wait)
            })
        })
        .collect();
    for sleep in sleeps {
        let (took, wait) = sleep.join().unwrap();
        assert!(took >= wait, "{took:?} for {wait:?}");
    }
}

#[test]
fn a_task_that_is_cancelled_in_a_sleep_is_dropped_before_the_sleep_ends() {
    let _watchdog = watchdog();
    let (executor, controller) = paused(1);
    let dropped = Counter::default();
    let guard = dropped.on_drop();
    let task = executor.spawn_async(async move {
        let _guard = guard;
        time::sleep(HOUR).await;
    });
    wait_until_it_waits(&executor, &task);
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
    wait_until("the future is dropped", || dropped.get() == 1);
    controller.advance(HOUR);
    let report = executor.shutdown();
    assert_eq!((report.cancelled, report.still_active), (1, 0));
}

#[test]
fn a_timeout_drops_a_future_that_takes_too_long_and_returns_the_output_of_one_in_time() {
    let _watchdog = watchdog();
    let (executor, _controller) = paused(1);
    let dropped = Counter::default();
    executor.block_on(async {
        assert_eq!(time::timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        assert_eq!(time::timeout(Duration::MAX, async { 7 }).await, Ok(7));
        let guard = dropped.on_drop();
        let late = time::timeout(SECOND, async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let (late, ()) = futures_lite::future::zip(late, async {
            time::advance(SECOND).await.unwrap();
        })
        .await;
        assert!(late.is_err());
        assert_eq!(dropped.get(), 1);
        let at = time::timeout_at(Instant::now(), pending::<()>()).await;
        assert!(at.is_err());
    });
}

#[test]
fn a_timeout_ends_a_future_whose_parts_are_always_ready() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let endless = executor.spawn_async(async {
        let event = moirai::sync::Event::new();
        event.set();
        time::timeout(Duration::from_millis(5), async {
            loop {
                event.wait().await;
            }
        })
        .await
    });
    let _: time::Elapsed = endless.join().unwrap().unwrap_err();
}

#[test]
fn missed_ticks_are_handled_as_the_chosen_behavior_says() {
    let _watchdog = watchdog();
    for (behavior, expected) in [
        (MissedTickBehavior::Burst, [0, 10, 20, 30]),
        (MissedTickBehavior::Delay, [0, 10, 35, 45]),
        (MissedTickBehavior::Skip, [0, 10, 30, 40]),
    ] {
        let (executor, _controller) = paused(1);
        let ticks = executor.block_on(async move {
            let start = Instant::now();
            let mut every = time::interval(10 * SECOND);
            every.set_missed_tick_behavior(behavior);
            let mut ticks = vec![every.tick().await];
            time::advance(25 * SECOND).await.unwrap();
            ticks.push(every.tick().await);
            for _ in 0..2 {
                let (tick, ()) = futures_lite::future::zip(every.tick(), async {
                    for _ in 0..25 {
                        time::advance(SECOND).await.unwrap();
                    }
                })
                .await;
                ticks.push(tick);
            }
            ticks.into_iter().map(|tick| (tick - start).as_secs()).collect::<Vec<_>>()
        });
        assert_eq!(ticks, expected, "{behavior:?}");
    }
}

#[test]
fn a_manual_clock_moves_records_and_timers_together() {
    let _watchdog = watchdog();
    let (clock, controller) = Clock::manual();
    let executor = Moirai::builder().worker_threads(1).clock(clock).build().unwrap();
    let task = executor.spawn_async(async { time::sleep(HOUR).await });
    wait_until_it_waits(&executor, &task);
    controller.advance(HOUR);
    let id = task.id();
    task.join().unwrap();
    let stats = executor.task_stats(id).unwrap();
    assert_eq!(stats.execution_time(), Some(HOUR));
}

#[test]
fn a_task_past_its_deadline_is_timed_out_and_its_record_says_cancelled() {
    let _watchdog = watchdog();
    let (executor, controller) = paused(1);
    let dropped = Counter::default();
    let guard = dropped.on_drop();
    let task = executor.task().name("late").timeout(SECOND).spawn_async(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    let id = task.id();
    wait_until_it_waits(&executor, &task);
    assert_eq!(executor.task_status(id), Some(TaskStatus::Running));
    controller.advance(SECOND);
    assert!(task.join().unwrap_err().is_timed_out());
    assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_deadline_counts_from_the_spawn_and_a_queued_task_never_runs() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder().worker_threads(1));
    let controller = blocked.executor.pause_time();
    let ran = Counter::default();
    let counted = ran.clone();
    let queued = blocked.executor.task().timeout(SECOND).spawn_parallel(move || counted.add());
    let counted = ran.clone();
    let at_once =
        blocked.executor.task().timeout(Duration::ZERO).spawn_parallel(move || counted.add());
    let counted = ran.clone();
    let never =
        blocked.executor.task().timeout(Duration::MAX).spawn_parallel(move || counted.add());
    controller.advance(SECOND);
    blocked.gate.open();
    assert!(queued.join().unwrap_err().is_timed_out());
    assert!(at_once.join().unwrap_err().is_timed_out());
    never.join().unwrap();
    assert_eq!(ran.get(), 1);
}

#[test]
fn a_running_closure_past_its_deadline_sees_is_cancelled_and_still_completes() {
    let _watchdog = watchdog();
    let (executor, controller) = paused(2);
    let started = Arc::new(AtomicBool::new(false));
    let computing = executor.task().timeout(SECOND).spawn_parallel({
        let started = Arc::clone(&started);
        move || {
            started.store(true, SeqCst);
            while !moirai::is_cancelled() {
                std::thread::yield_now();
            }
            7
        }
    });
    wait_until("it runs", || started.load(SeqCst));
    controller.advance(SECOND);
    assert_eq!(computing.join().unwrap(), 7);
    assert!(!moirai::is_cancelled(), "the test does not run in a task");
}

#[test]
fn a_task_that_ends_in_time_leaves_no_deadline_behind() {
    struct NoHooks(#[expect(dead_code, reason = "only to be dropped")] Box<dyn Send + Sync>);
    impl ExecutorPlugin for NoHooks {}

    let _watchdog = watchdog();
    let ends = Counter::default();
    let plugin = NoHooks(Box::new(ends.on_drop()));
    let executor = Moirai::builder().worker_threads(1).plugin(plugin).build().unwrap();
    let controller = executor.pause_time();
    let task = executor.task().timeout(SECOND).spawn_async(async { 7 });
    assert_eq!(task.join().unwrap(), 7);
    drop(executor);
    // A deadline that is left in the timer would keep the task's cell, and so the executor with its plugins.
    wait_until("the executor is dropped", || ends.get() == 1);
    controller.advance(HOUR);
}

#[test]
fn a_sleep_that_is_dropped_drops_its_waker() {
    let (executor, controller) = paused(1);
    let (counting, waker) = CountingWaker::new();
    executor.block_on(async {
        let mut sleep = Box::pin(time::sleep(HOUR));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(Arc::strong_count(&counting) > 2, "the timer has the waker");
        drop(sleep);
    });
    assert_eq!(Arc::strong_count(&counting), 2, "the test's own references");
    controller.advance(HOUR);
    assert_eq!(counting.count(), 0);
}

#[test]
fn a_token_cancels_its_tasks_of_every_kind() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder().worker_threads(1).max_blocking_threads(1));
    let token = moirai::sync::CancellationToken::new();
    let gate = Gate::new();
    let blocker = blocked.executor.spawn_blocking({
        let gate = gate.clone();
        move || gate.wait()
    });
    let task = || blocked.executor.task().cancel_token(token.child_token());
    let tasks = [
        task().spawn_async(pending::<()>()),
        task().spawn_parallel(|| ()),
        task().spawn_blocking(|| ()),
    ];
    let alone = blocked.executor.spawn_parallel(|| 7);
    token.cancel();
    let after = task().spawn_parallel(|| ());
    blocked.gate.open();
    gate.open();
    blocker.join().unwrap();
    for task in tasks.into_iter().chain([after]) {
        let id = task.id();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(blocked.executor.task_stats(id).unwrap().started_at, None);
    }
    assert_eq!(alone.join().unwrap(), 7);
}

#[test]
fn the_first_cancellation_decides_the_error_and_the_task_ends_once() {
    let _watchdog = watchdog();
    let (executor, controller) = paused(1);
    let token = moirai::sync::CancellationToken::new();
    let task =
        executor.task().timeout(SECOND).cancel_token(token.clone()).spawn_async(pending::<()>());
    let id = task.id();
    token.cancel();
    controller.advance(SECOND);
    executor.cancel_task(id);
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
    assert_eq!(executor.shutdown().cancelled, 1);
}

/// A future that is ready each time it is polled, as long as the budget lasts, and never ends.
async fn endless() {
    loop {
        moirai::consume_budget().await;
    }
}

#[test]
fn a_timeout_in_block_on_ends_a_future_that_is_always_ready() {
    let watchdog = watchdog();
    let executor = workers(1);
    let brief = Duration::from_millis(5);
    watchdog.feed("block_on of the executor");
    assert!(executor.block_on(time::timeout(brief, endless())).is_err());
    watchdog.feed("block_on of moirai::sync");
    assert!(moirai::sync::block_on(time::timeout(brief, endless())).is_err());
    watchdog.feed("block_on in tasks");
    let inside = move || moirai::block_on(time::timeout(brief, endless())).is_err();
    assert!(executor.spawn_parallel(inside).join().unwrap());
    assert!(executor.spawn_blocking(inside).join().unwrap());
    assert!(executor.spawn_async(async move { inside() }).join().unwrap());
}

#[test]
fn a_sleep_ends_beside_a_future_that_uses_up_the_budget_in_every_poll() {
    let watchdog = watchdog();
    let executor = workers(1);
    let both = || future::or(endless(), time::sleep(Duration::from_millis(5)));
    watchdog.feed("a sleep in a task");
    executor.spawn_async(both()).join().unwrap();
    watchdog.feed("a sleep in block_on");
    executor.block_on(both());
    watchdog.feed("an interval");
    executor.block_on(async {
        let mut interval = time::interval(Duration::from_millis(2));
        for _ in 0..3 {
            future::or(endless(), async { _ = interval.tick().await }).await;
        }
    });
}

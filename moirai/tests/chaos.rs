//! A test of random mixes of everything: the counts must add up to the last task, and nothing may be left behind.
//!
//! It holds promise P16 (shutdown is on time, and its numbers add up) of `docs/src/guarantees.md`.
//!
//! The seed is printed. `MOIRAI_CHAOS_SEED=n` runs the mix of seed `n` again, and `MOIRAI_CHAOS_SECONDS=n` runs mixes for `n`
//! seconds.

mod common;

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{
    ON_PURPOSE, named, retain_at_most, silence_expected_panics, threads, wait_until, watchdog,
};
use moirai::prelude::*;
use moirai::sync::CancellationToken;
use moirai::{TaskGroup, time};

/// Marsaglia's xorshift64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn micros(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound))
    }
}

/// Counts the guards that tasks own and that are not dropped yet. In the end there must be none.
#[derive(Clone, Default)]
struct Live(Arc<AtomicU64>);

struct LiveGuard(Live);

impl Live {
    fn guard(&self) -> LiveGuard {
        self.0.fetch_add(1, Relaxed);
        LiveGuard(self.clone())
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// Records every outcome that the executor reports.
#[derive(Default)]
struct Outcomes {
    by_task: Mutex<HashMap<TaskId, TaskStatus>>,
    twice: AtomicU64,
}

impl ExecutorPlugin for Outcomes {
    fn after_complete(&self, id: TaskId, outcome: TaskStatus) {
        if self.by_task.lock().unwrap().insert(id, outcome).is_some() {
            self.twice.fetch_add(1, Relaxed);
        }
    }
}

/// Returns the closure of a task. The seed decides what it does.
fn closure(random: &mut Random, guard: LiveGuard) -> impl FnOnce() -> u64 + Send + 'static {
    let (kind, busy) = (random.below(20), random.micros(300));
    move || {
        let _guard = guard;
        match kind {
            0 => panic!("{ON_PURPOSE}"),
            1 => std::thread::sleep(busy * 10),
            2 => _ = moirai::join(|| std::thread::sleep(busy), || std::hint::black_box(1)),
            3 => {
                let mut numbers = [0; 64];
                moirai::scope(|s| {
                    for number in &mut numbers {
                        s.spawn(move |_| *number += 1);
                    }
                });
                return numbers.iter().sum();
            }
            4 => return moirai::spawn_parallel(|| 1).join().unwrap_or(0),
            _ => {
                let start = Instant::now();
                while start.elapsed() < busy && !moirai::is_cancelled() {
                    std::hint::spin_loop();
                }
            }
        }
        1
    }
}

/// The future of a task. The seed decides what it does.
async fn future(mut random: Random, guard: LiveGuard) -> u64 {
    let _guard = guard;
    for _ in 0..random.below(4) {
        match random.below(12) {
            0 => panic!("{ON_PURPOSE}"),
            1 => time::sleep(random.micros(2_000)).await,
            2 => _ = time::timeout(random.micros(500), pending::<()>()).await,
            3 => std::thread::sleep(random.micros(3_000)),
            4 => _ = moirai::spawn_async(async { moirai::yield_now().await }).await,
            5 => moirai::block_in_place(|| std::thread::sleep(random.micros(500))),
            6 => _ = moirai::spawn_blocking(|| ()).await,
            7 if random.one_in(3) => pending().await,
            8 => return moirai::join(|| 1, || 2).0,
            9 => moirai::consume_budget().await,
            _ => moirai::yield_now().await,
        }
    }
    random.below(100)
}

/// Builds an executor, runs a mix of tasks on it and shuts it down. Returns the number of tasks.
fn run_one_executor(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let (live, outcomes) = (Live::default(), Arc::new(Outcomes::default()));
    // The name of the program's main thread, which begins with `chaos`, must not begin like this.
    let prefix = "chs";
    let mut builder = named(prefix, 1 + random.below(4) as usize)
        .plugin(Arc::clone(&outcomes))
        .max_blocking_threads(1 + random.below(8) as usize)
        .blocking_queue_limit(1 + random.below(64) as usize)
        .blocking_keep_alive(Duration::from_millis(5))
        .stall_budget(Duration::from_millis(1 + random.below(20)))
        .cleanup_config(retain_at_most(
            random.below(500) as usize,
            Duration::from_millis(random.below(50)),
        ));
    if random.one_in(2) {
        builder = builder.max_active_tasks(1 + random.below(400) as usize);
    }
    let executor = builder.build().unwrap();
    let token = CancellationToken::new();
    let mut handles = Vec::new();
    let group: TaskGroup<u64> = executor.group().keep_results().max_tasks(64);
    let mut spawned = 0_u64;
    let mut refused = 0_u64;
    for _ in 0..500 + random.below(2_000) {
        let priority = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        let mut task = executor.task().priority(priority[random.below(4) as usize]);
        if random.one_in(6) {
            task = task.timeout(random.micros(3_000));
        }
        if random.one_in(6) {
            task = task.cancel_token(token.child_token());
        }
        if random.one_in(10) {
            task = task.name("chaos");
        }
        let guard = live.guard();
        let inner = Random::new(random.0);
        spawned += 1;
        match random.below(16) {
            0 => match task.try_spawn_blocking(closure(&mut random, guard)) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    assert!(error.is_at_capacity());
                    refused += 1;
                }
            },
            1 => handles.push(task.spawn_blocking(closure(&mut random, guard))),
            2 => _ = group.spawn_async(future(inner, guard)),
            3 => _ = group.spawn_parallel(closure(&mut random, guard)),
            4..=8 => handles.push(task.spawn_parallel(closure(&mut random, guard))),
            _ => handles.push(task.spawn_async(future(inner, guard))),
        }
        if random.one_in(4) && !handles.is_empty() {
            let index = random.below(handles.len() as u64) as usize;
            let mut handle = handles.swap_remove(index);
            match random.below(5) {
                0 => handle.cancel(),
                1 => _ = executor.cancel_task(handle.id()),
                2 => _ = handle.join_timeout(random.micros(300)),
                3 => {
                    _ = executor
                        .block_on(executor.wait_for_task(handle.id(), Some(random.micros(300))))
                }
                _ => {}
            }
        }
        if random.one_in(200) {
            token.cancel();
        }
        if random.one_in(50) {
            let stats = executor.cleanup_stats();
            let sum = stats.active_tasks
                + stats.completed_tasks
                + stats.cancelled_tasks
                + stats.failed_tasks;
            assert_eq!(stats.total_tasks, sum);
        }
        if random.one_in(300) {
            executor.cleanup_completed_tasks();
        }
        if random.one_in(3_000) {
            break;
        }
    }
    if random.one_in(2) {
        handles.drain(..handles.len() / 2);
    }
    let deadline = random.micros(20_000);
    let report = executor.shutdown_timeout(deadline);
    let ended = report.completed + report.failed + report.cancelled;
    assert_eq!(report.spawned, ended + report.still_active, "{report}");
    assert!(report.refused >= refused);
    assert!(report.elapsed < deadline + Duration::from_secs(10), "{report}");
    // A poll in progress ends by itself.
    wait_until("all tasks have ended", || {
        let report = executor.shutdown_timeout(Duration::ZERO);
        report.still_active == 0
    });
    let report = executor.shutdown_timeout(Duration::ZERO);
    for mut handle in handles {
        assert!(handle.try_join().is_some(), "a handle has no result after the shutdown");
    }
    drop(group);
    wait_until("everything that tasks own is dropped", || live.0.load(Relaxed) == 0);
    wait_until("every outcome is reported", || {
        outcomes.by_task.lock().unwrap().len() as u64 == report.spawned
    });
    assert_eq!(outcomes.twice.load(Relaxed), 0, "two outcomes were reported of a task");
    let mut counts = [0; 3];
    for status in outcomes.by_task.lock().unwrap().values() {
        match status {
            TaskStatus::Completed => counts[0] += 1,
            TaskStatus::Failed => counts[1] += 1,
            TaskStatus::Cancelled => counts[2] += 1,
            other => panic!("{other} is no outcome"),
        }
    }
    assert_eq!(counts, [report.completed, report.failed, report.cancelled]);
    drop(executor);
    if cfg!(target_os = "linux") {
        wait_until("no thread is left", || threads::count("chs-") == 0);
    }
    spawned
}

#[test]
fn the_counts_add_up_whatever_happens() {
    let watchdog = watchdog();
    silence_expected_panics();
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("MOIRAI_CHAOS_SEED") {
        run_one_executor(seed);
        return;
    }
    let seconds = number("MOIRAI_CHAOS_SECONDS").unwrap_or(5);
    let first = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |now| now.as_secs() << 20);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = 0;
    for seed in first.. {
        watchdog.feed(format!("MOIRAI_CHAOS_SEED={seed}"));
        // The test harness captures the output, and shows it if the test fails.
        println!("MOIRAI_CHAOS_SEED={seed}");
        tasks += run_one_executor(seed);
        if Instant::now() >= end {
            println!("{} executors, {tasks} tasks", seed - first + 1);
            break;
        }
    }
}

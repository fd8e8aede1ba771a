//! Stress tests of everything at once from several threads, with seeds that are printed. They run under the sanitizers, too.
//!
//! They hold a part of the promises P1 (a task ends once), P2 (every task that is dropped has its end recorded), P3 (a caller that
//! learns of the end finds it in the record) and P16 (the numbers of a shutdown add up) of `docs/src/guarantees.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moirai::prelude::*;

/// The number of tasks that each thread spawns.
const SPAWNS: u64 = if cfg!(debug_assertions) { 4_000 } else { 40_000 };

/// xorshift64*: small, and good enough to mix things.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

/// The threads' own counts, to be compared with those of the executor.
#[derive(Default)]
struct Seen {
    spawned: AtomicU64,
    panicked: AtomicU64,
}

/// Panics without a message on the terminal.
fn quiet_panic() {
    std::panic::resume_unwind(Box::new("on purpose"));
}

fn spawn_one(executor: &Moirai, random: &mut Random, seen: &Arc<Seen>) -> TaskHandle<u64> {
    seen.spawned.fetch_add(1, Ordering::Relaxed);
    match random.below(8) {
        0 => executor.spawn_async(async { 0 }),
        1 => executor.spawn_async(async {
            for _ in 0..3 {
                yield_now().await;
            }
            1
        }),
        2 => executor.spawn_async(async {
            std::future::pending::<()>().await;
            2
        }),
        3 => executor.spawn_parallel(|| (0..100).sum()),
        4 => executor.spawn_blocking(|| 4),
        5 => {
            let seen = Arc::clone(seen);
            executor.task().name("panics").spawn_parallel(move || {
                seen.panicked.fetch_add(1, Ordering::Relaxed);
                quiet_panic();
                5
            })
        }
        6 => {
            // A task that spawns another task and waits for it.
            let seen = Arc::clone(seen);
            executor.spawn_async(async move {
                let executor = Moirai::current().expect("inside a task");
                seen.spawned.fetch_add(1, Ordering::Relaxed);
                // The spawn is refused when the executor is shutting down.
                executor.spawn_async(async { 6 }).await.unwrap_or(0)
            })
        }
        _ => executor.spawn_with_priority(|| 7, Priority::ALL[random.below(4) as usize]),
    }
}

fn hammer(executor: &Moirai, seed: u64, seen: &Arc<Seen>) {
    let mut random = Random(seed);
    let mut handles = Vec::new();
    let mut old = Vec::new();
    for _ in 0..SPAWNS {
        let handle = spawn_one(executor, &mut random, seen);
        old.push(handle.id());
        match random.below(6) {
            0 => handle.cancel(),
            1 => {
                executor.cancel_task(handle.id());
            }
            2 => drop(executor.wait_for_task(handle.id(), Some(Duration::ZERO))),
            3 => drop(executor.task_stats(handle.id())),
            _ => {}
        }
        if random.below(2) == 0 {
            handles.push(handle);
        }
        if handles.len() > 64 {
            for handle in handles.drain(..) {
                // Some of the tasks wait forever, so all are cancelled. The others may have ended already.
                handle.cancel();
                let id = handle.id();
                let _ = handle.join();
                let status = executor.task_status(id);
                assert!(status.is_none_or(TaskStatus::is_terminal), "{status:?} after join");
            }
        }
        if random.below(256) == 0 {
            executor.cleanup_completed_tasks();
            for id in old.drain(..) {
                let stats = executor.task_stats(id);
                assert!(stats.is_none_or(|stats| stats.id == id), "the record of another task");
            }
        }
    }
}

#[test]
fn the_counts_add_up_whatever_happens_at_once() {
    for seed in 1..=3_u64 {
        println!("seed {seed}");
        let executor = Moirai::builder()
            .worker_threads(4)
            .cleanup_config(CleanupConfig {
                max_retained_tasks: 500,
                cleanup_interval: Duration::from_millis(5),
                task_retention_duration: Duration::from_millis(50),
                ..CleanupConfig::default()
            })
            .build()
            .unwrap();
        let seen = Arc::new(Seen::default());
        std::thread::scope(|scope| {
            for thread in 1..=3 {
                let (executor, seen) = (&executor, &seen);
                scope.spawn(move || hammer(executor, seed * 1_000 + thread, seen));
            }
            let executor = &executor;
            scope.spawn(move || {
                for _ in 0..200 {
                    for task in executor.tasks() {
                        assert!(task.started_at.is_none_or(|started| started >= task.spawned_at));
                        assert_eq!(task.finished_at.is_some(), task.status.is_terminal());
                    }
                    let _ = executor.cleanup_stats();
                    std::thread::yield_now();
                }
            });
        });
        // The tasks that wait forever are cancelled here.
        let report = executor.shutdown_timeout(Duration::from_millis(200));
        let again = executor.shutdown_timeout(Duration::from_secs(20));
        assert_eq!(again.still_active, 0, "{report}\n{again}");
        assert_eq!(again.spawned, again.completed + again.failed + again.cancelled);
        assert_eq!(again.failed, seen.panicked.load(Ordering::Relaxed));
        assert!(again.spawned <= seen.spawned.load(Ordering::Relaxed));
        let stats = executor.cleanup_stats();
        assert_eq!(stats.active_tasks, 0);
    }
}

#[test]
fn shutting_down_in_the_middle_loses_no_task() {
    for seed in 1..=20_u64 {
        println!("seed {seed}");
        let executor = Moirai::builder().worker_threads(2).build().unwrap();
        let seen = Arc::new(Seen::default());
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (executor, seen) = (&executor, &seen);
                scope.spawn(move || {
                    let mut random = Random(seed * 100 + thread + 1);
                    let mut refused = 0;
                    while refused < 50 {
                        let mut handle = spawn_one(executor, &mut random, seen);
                        if let Some(Err(error)) = handle.try_join()
                            && error.is_shut_down()
                        {
                            refused += 1;
                        }
                    }
                });
            }
            for _ in 0..seed * 50 {
                std::thread::yield_now();
            }
            executor.shutdown_timeout(Duration::from_millis(1));
        });
        let report = executor.shutdown_timeout(Duration::from_secs(20));
        assert_eq!(report.still_active, 0, "{report}");
        assert_eq!(report.spawned, report.completed + report.failed + report.cancelled);
        assert_eq!(executor.cleanup_stats().active_tasks, 0);
    }
}

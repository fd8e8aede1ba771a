//! Stress tests for lost wake-ups: waves of tasks from outside, each of which has to run to its last task without another spawn to
//! help it along. Every wave is under a watchdog.
//!
//! They hold a part of promise P11 (no wake-up is lost) of `docs/src/guarantees.md`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Watchdog, watchdog};
use moirai::prelude::*;

/// The tasks of a wave.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Closures,
    Async,
    /// Async tasks that wait, and that another thread wakes.
    Woken,
}

/// The sizes of the waves, and the number of waves of each size for each pair of kind and number of threads: in release 20,040 in
/// all.
const WAVES: [(usize, usize); 4] = if cfg!(debug_assertions) {
    [(1, 300), (2, 300), (100, 60), (10_000, 2)]
} else {
    [(1, 1_550), (2, 1_550), (100, 220), (10_000, 20)]
};

/// Counts the tasks of a wave down, and wakes the thread that waits for its end.
struct Wave {
    left: AtomicUsize,
    waiter: std::thread::Thread,
}

impl Wave {
    fn one_done(&self) {
        // Ordering: AcqRel, so that the last task has seen the work of all others; pairs with the Acquire in `wait`.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiter.unpark();
        }
    }

    /// Sleeps until the wave is over. Meanwhile this thread does nothing that could help the executor.
    fn wait(&self) {
        // Ordering: Acquire pairs with the AcqRel in `one_done`.
        while self.left.load(Ordering::Acquire) > 0 {
            std::thread::park();
        }
    }
}

/// Spawns one thread's part of a wave, which is `size` tasks.
fn spawn(executor: &Moirai, kind: Kind, size: usize, wave: &Arc<Wave>) {
    let mut wakers = Vec::new();
    for _ in 0..size {
        let wave = Arc::clone(wave);
        match kind {
            Kind::Closures => drop(executor.spawn_parallel(move || wave.one_done())),
            Kind::Async => drop(executor.spawn_async(async move {
                yield_now().await;
                wave.one_done();
            })),
            Kind::Woken => {
                let (sender, receiver) = async_channel::bounded::<()>(1);
                wakers.push(sender);
                drop(executor.spawn_async(async move {
                    let _ = receiver.recv().await;
                    wave.one_done();
                }));
            }
        }
    }
    // By now some of them wait, and some have not started.
    for sender in wakers {
        sender.close();
    }
}

/// Runs waves of one size. Each of `threads` threads spawns its share of a wave.
fn run(
    executor: &Moirai,
    kind: Kind,
    threads: usize,
    size: usize,
    waves: usize,
    watchdog: &Watchdog,
) {
    for number in 0..waves {
        watchdog.feed(format!("wave {number} of {size} {kind:?} from {threads} threads"));
        let wave = Arc::new(Wave { left: AtomicUsize::new(size), waiter: std::thread::current() });
        if threads == 1 {
            spawn(executor, kind, size, &wave);
        } else {
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let wave = &wave;
                    let share = size / threads + usize::from(thread < size % threads);
                    scope.spawn(move || spawn(executor, kind, share, wave));
                }
            });
        }
        wave.wait();
    }
}

fn run_all_waves(kind: Kind, threads: usize) {
    let watchdog = watchdog();
    let executor = common::workers(2);
    let mut total = 0;
    for (size, waves) in WAVES {
        run(&executor, kind, threads, size, waves, &watchdog);
        total += size * waves;
    }
    let report = executor.shutdown();
    assert_eq!((report.spawned, report.completed), (total as u64, total as u64), "{report}");
}

#[test]
fn no_wake_up_is_lost_with_closures_from_one_thread() {
    run_all_waves(Kind::Closures, 1);
}

#[test]
fn no_wake_up_is_lost_with_closures_from_three_threads() {
    run_all_waves(Kind::Closures, 3);
}

#[test]
fn no_wake_up_is_lost_with_async_tasks_from_one_thread() {
    run_all_waves(Kind::Async, 1);
}

#[test]
fn no_wake_up_is_lost_with_async_tasks_from_three_threads() {
    run_all_waves(Kind::Async, 3);
}

#[test]
fn no_wake_up_is_lost_with_woken_tasks_from_one_thread() {
    run_all_waves(Kind::Woken, 1);
}

#[test]
fn no_wake_up_is_lost_with_woken_tasks_from_three_threads() {
    run_all_waves(Kind::Woken, 3);
}

#[test]
fn no_wake_up_is_lost_with_one_worker_and_with_many() {
    let watchdog = watchdog();
    for workers in [1, 8] {
        let executor = common::workers(workers);
        for kind in [Kind::Closures, Kind::Async, Kind::Woken] {
            for size in [1, 3, 50] {
                run(&executor, kind, 1, size, WAVES[2].1, &watchdog);
            }
        }
    }
}

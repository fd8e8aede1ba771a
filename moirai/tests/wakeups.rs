//! No wake-up is lost: waves of tasks from outside, each of which has to be run to its last task without another spawn to
//! help it along. Every wave is under a watchdog.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Watchdog, watchdog};
use moirai::prelude::*;

/// What the waves are made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Closures,
    Async,
    /// Async tasks that another thread wakes again.
    Woken,
}

/// Sizes of waves, and how many of each are run by each pair of kind and number of threads: together 20,000 in release.
const WAVES: [(usize, usize); 4] = if cfg!(debug_assertions) {
    [(1, 300), (2, 300), (100, 60), (10_000, 2)]
} else {
    [(1, 1_550), (2, 1_550), (100, 220), (10_000, 20)]
};

/// Counts a wave down, and wakes the thread that waits for its end.
struct Wave {
    left: AtomicUsize,
    waiter: std::thread::Thread,
}

impl Wave {
    fn one_done(&self) {
        // Ordering: AcqRel, so that the last one has seen all others' work; pairs with the Acquire of `wait`.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiter.unpark();
        }
    }

    /// Sleeps until the wave is over: nothing that this thread does helps the executor meanwhile.
    fn wait(&self) {
        // Ordering: Acquire pairs with the AcqRel of `one_done`.
        while self.left.load(Ordering::Acquire) > 0 {
            std::thread::park();
        }
    }
}

/// One thread's part of a wave: `size` tasks.
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
    // Some wait by now, some have not started.
    for sender in wakers {
        sender.close();
    }
}

/// Runs waves of one size; each of `threads` threads spawns its share.
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

fn gate(kind: Kind, threads: usize) {
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
fn closures_from_one_thread() {
    gate(Kind::Closures, 1);
}

#[test]
fn closures_from_three_threads() {
    gate(Kind::Closures, 3);
}

#[test]
fn async_tasks_from_one_thread() {
    gate(Kind::Async, 1);
}

#[test]
fn async_tasks_from_three_threads() {
    gate(Kind::Async, 3);
}

#[test]
fn woken_tasks_from_one_thread() {
    gate(Kind::Woken, 1);
}

#[test]
fn woken_tasks_from_three_threads() {
    gate(Kind::Woken, 3);
}

#[test]
fn one_worker_and_many() {
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

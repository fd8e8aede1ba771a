//! The operations of the workers that sleep.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moirai::scheduler::Sleepers;

use super::threads::{Load, on_threads};

/// Workers that sleep until there is a task, and sleep again.
struct Asleep {
    sleepers: Sleepers,
    tasks: AtomicUsize,
    stop: AtomicBool,
}

impl Asleep {
    /// Calls `f` while the workers from `first` on sleep.
    fn with<R>(workers: usize, first: usize, f: impl FnOnce(&Self) -> R) -> R {
        let asleep = Self {
            sleepers: Sleepers::new(workers),
            tasks: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            for worker in first..workers {
                let asleep = &asleep;
                scope.spawn(move || while asleep.next(worker).is_some() {});
            }
            asleep.wait_until_asleep(workers - first);
            let result = f(&asleep);
            asleep.stop.store(true, Ordering::Relaxed);
            asleep.sleepers.wake_all();
            result
        })
    }

    fn next(&self, worker: usize) -> Option<()> {
        let take = || {
            // Ordering: Relaxed, both: the fences of the sleep protocol order them, and a task is nothing but its number.
            let less = |tasks: usize| tasks.checked_sub(1);
            self.tasks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok().map(drop)
        };
        // Ordering: Relaxed: the lock in `wake_all` orders it.
        let stop = || self.stop.load(Ordering::Relaxed);
        self.sleepers.next(worker, |_| take(), || false, stop, || ())
    }

    fn wait_until_asleep(&self, workers: usize) {
        while self.sleepers.sleeping() < workers {
            thread::yield_now();
        }
    }
}

pub(super) fn announce(load: Load) -> f64 {
    Asleep::with(load.workers, load.threads, |asleep| {
        on_threads((0..load.threads).collect(), load.times, |worker, _| {
            // It announces the worker, is told that there is work, and withdraws.
            assert!(!asleep.sleepers.rest(*worker, || false, || true));
        })
    })
}

pub(super) fn wake(load: Load) -> f64 {
    Asleep::with(load.workers, 0, |asleep| {
        let mut total = Duration::ZERO;
        for _ in 0..load.times {
            asleep.tasks.fetch_add(1, Ordering::Relaxed);
            let start = Instant::now();
            asleep.sleepers.notify();
            total += start.elapsed();
            while asleep.tasks.load(Ordering::Relaxed) > 0 {
                thread::yield_now();
            }
            asleep.wait_until_asleep(load.workers);
        }
        total.as_nanos() as f64 / load.times as f64
    })
}

//! The pools that fork-join work runs in, and how it is timed.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use moirai::Moirai;

use crate::peer::{Ours, WORKERS};
use crate::workload::group::Figure;

/// A ratio to the median of another, with either allocator.
pub(super) const fn at_most(baseline: &'static str, ratio: f64) -> Figure {
    Figure::median(baseline, ratio, ratio)
}

/// Makes the compiler believe that a result is used.
pub(super) fn keep<T>(result: T) {
    std::hint::black_box(result);
}

pub(super) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Times `work` in a task.
pub(super) fn inside(work: impl FnOnce() + Send + 'static) -> Duration {
    Ours::executor().spawn_parallel(move || time(work)).join().expect("it does not panic")
}

/// Times `work` on this thread, with the executor at hand.
pub(super) fn outside(work: impl FnOnce()) -> Duration {
    Ours::executor().scope(|_| time(work))
}

/// An executor of one worker, which sleeps while the caller does the work.
pub(super) fn single() -> &'static Moirai {
    static EXECUTOR: OnceLock<Moirai> = OnceLock::new();
    EXECUTOR
        .get_or_init(|| Moirai::builder().worker_threads(1).build().expect("the executor starts"))
}

pub(super) fn rayon(threads: usize) -> &'static rayon::ThreadPool {
    static POOLS: [OnceLock<rayon::ThreadPool>; 2] = [const { OnceLock::new() }; 2];
    POOLS[threads - 1].get_or_init(|| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the pool starts")
    })
}

/// Times `work` in rayon's pool.
pub(super) fn in_rayon(work: impl FnOnce() + Send) -> Duration {
    rayon(WORKERS).install(|| time(work))
}

pub(super) fn chili(threads: usize) -> &'static chili::ThreadPool {
    static POOLS: [OnceLock<chili::ThreadPool>; 2] = [const { OnceLock::new() }; 2];
    POOLS[threads - 1].get_or_init(|| {
        chili::ThreadPool::with_config(chili::Config {
            thread_count: NonZeroUsize::new(threads),
            ..chili::Config::default()
        })
    })
}

/// Keeps the processor busy.
pub(super) fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

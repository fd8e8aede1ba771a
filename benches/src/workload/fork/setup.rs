//! The pools that fork-join work runs in, and how it is timed.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use moirai::Moirai;

use crate::peer::{MOST_WORKERS, Ours, workers};
use crate::workload::group::Figure;

/// Returns a figure with the same target for both allocators: the median of Moirai divided by that of another peer.
pub(super) const fn at_most(baseline: &'static str, ratio: f64) -> Figure {
    Figure::median(baseline, ratio, ratio)
}

/// Keeps the compiler from optimizing a result away.
pub(super) fn keep<T>(result: T) {
    std::hint::black_box(result);
}

pub(super) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Returns the time of `work` in a parallel task. The spawn of the task and the wait for it are not part of the time.
pub(super) fn inside(work: impl FnOnce() + Send + 'static) -> Duration {
    Ours::executor().spawn_parallel(move || time(work)).join().expect("it does not panic")
}

/// Returns the time of `work` on this thread, inside of a scope. To enter the scope is not part of the time.
pub(super) fn outside(work: impl FnOnce()) -> Duration {
    Ours::executor().scope(|_| time(work))
}

/// Returns an executor with one worker, which sleeps while the caller does the work.
pub(super) fn single() -> &'static Moirai {
    static EXECUTOR: OnceLock<Moirai> = OnceLock::new();
    EXECUTOR
        .get_or_init(|| Moirai::builder().worker_threads(1).build().expect("the executor starts"))
}

pub(super) fn rayon(threads: usize) -> &'static rayon::ThreadPool {
    static POOLS: [OnceLock<rayon::ThreadPool>; MOST_WORKERS] =
        [const { OnceLock::new() }; MOST_WORKERS];
    POOLS[threads - 1].get_or_init(|| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the pool starts")
    })
}

/// Returns the time of `work` in rayon's pool.
pub(super) fn in_rayon(work: impl FnOnce() + Send) -> Duration {
    rayon(workers()).install(|| time(work))
}

/// Returns a pool of `threads` threads, of which the caller is one.
pub(super) fn chili(threads: usize) -> &'static chili::ThreadPool {
    static POOLS: [OnceLock<chili::ThreadPool>; MOST_WORKERS] =
        [const { OnceLock::new() }; MOST_WORKERS];
    POOLS[threads - 1].get_or_init(|| {
        chili::ThreadPool::with_config(chili::Config {
            thread_count: NonZeroUsize::new(threads),
            ..chili::Config::default()
        })
    })
}

/// Keeps the processor busy for a time.
pub(super) fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Does work of about two nanoseconds that cannot be vectorized.
pub(super) fn heavy(n: u64) -> u64 {
    std::hint::black_box(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ n
}

//! Fork-join work: Moirai beside chili, rayon and what one thread does alone.
//!
//! *Inside* is in a parallel task whose spawner waits for it with `join`, and in rayon's `install`; *outside* is on a thread that is no
//! worker. chili knows no difference.

mod coarse;
mod data;
mod fine;
mod mixed;
mod sorts;

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use moirai::Moirai;

use super::{Case, Figure, Group};
use crate::peer::{Ours, WORKERS};

pub(super) fn groups() -> Vec<Group> {
    [fine::groups(), coarse::groups(), data::groups(), sorts::groups(), mixed::groups()]
        .into_iter()
        .flatten()
        .collect()
}

/// A ratio to the median of another, with either allocator.
const fn at_most(baseline: &'static str, ratio: f64) -> Figure {
    Figure::median(baseline, ratio, ratio)
}

/// Makes the compiler believe that a result is used.
fn keep<T>(result: T) {
    std::hint::black_box(result);
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Times `work` in a task.
fn inside(work: impl FnOnce() + Send + 'static) -> Duration {
    Ours::executor().spawn_parallel(move || time(work)).join().expect("it does not panic")
}

/// Times `work` on this thread, with the executor at hand.
fn outside(work: impl FnOnce()) -> Duration {
    Ours::executor().scope(|_| time(work))
}

/// An executor of one worker, which sleeps while the caller does the work.
fn single() -> &'static Moirai {
    static EXECUTOR: OnceLock<Moirai> = OnceLock::new();
    EXECUTOR
        .get_or_init(|| Moirai::builder().worker_threads(1).build().expect("the executor starts"))
}

fn rayon(threads: usize) -> &'static rayon::ThreadPool {
    static POOLS: [OnceLock<rayon::ThreadPool>; 2] = [const { OnceLock::new() }; 2];
    POOLS[threads - 1].get_or_init(|| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the pool starts")
    })
}

/// Times `work` in rayon's pool.
fn in_rayon(work: impl FnOnce() + Send) -> Duration {
    rayon(WORKERS).install(|| time(work))
}

fn chili(threads: usize) -> &'static chili::ThreadPool {
    static POOLS: [OnceLock<chili::ThreadPool>; 2] = [const { OnceLock::new() }; 2];
    POOLS[threads - 1].get_or_init(|| {
        chili::ThreadPool::with_config(chili::Config {
            thread_count: NonZeroUsize::new(threads),
            ..chili::Config::default()
        })
    })
}

/// Keeps the processor busy.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

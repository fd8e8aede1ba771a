//! Threads that do operations at the same time, and the simplest operation of all.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_utils::CachePadded;

/// How much is driven.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The number of workers whose state there is.
    pub workers: usize,
    /// The number of threads that drive it, no more than there are workers.
    pub threads: usize,
    /// The number of operations of each thread.
    pub times: usize,
}

/// Calls `step` `times` times in each of `parts`, on a thread for each, which all start together. Returns the mean of the times of
/// a call, in nanoseconds.
pub(super) fn on_threads<T: Send>(
    parts: Vec<T>,
    times: usize,
    step: impl Fn(&mut T, usize) + Sync,
) -> f64 {
    let threads = parts.len();
    let ready = AtomicUsize::new(0);
    let run = |mut part: T| {
        // Spinning, because a thread that sleeps here is woken on any processor, and may get one of its own only when the others
        // are done. Ordering: Relaxed: only a count.
        ready.fetch_add(1, Ordering::Relaxed);
        while ready.load(Ordering::Relaxed) < threads {
            spin_loop();
        }
        let begin = Instant::now();
        (0..times).for_each(|number| step(&mut part, number));
        begin.elapsed().as_nanos() as f64 / times as f64
    };
    let total: f64 = thread::scope(|scope| {
        let run = &run;
        let mut parts = parts.into_iter();
        let own = parts.next();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        let own: f64 = own.map(run).into_iter().sum();
        own + others.into_iter().map(|thread| thread.join().expect("it ends")).sum::<f64>()
    });
    total / threads as f64
}

/// As [`on_threads`], but the last of `parts`, if there are several, does `disturb` instead until all others are done, and does not
/// count.
pub(super) fn beside<T: Send>(
    mut parts: Vec<T>,
    times: usize,
    step: impl Fn(&mut T, usize) + Sync,
    disturb: impl Fn(&mut T) + Sync,
) -> f64 {
    let disturbing = if parts.len() > 1 { parts.pop() } else { None };
    // Ordering: Relaxed, all: only that they become true.
    let (running, done) = (AtomicBool::new(disturbing.is_none()), AtomicBool::new(false));
    thread::scope(|scope| {
        let (running, done, disturb) = (&running, &done, &disturb);
        if let Some(mut part) = disturbing {
            scope.spawn(move || {
                running.store(true, Ordering::Relaxed);
                while !done.load(Ordering::Relaxed) {
                    disturb(&mut part);
                }
            });
        }
        while !running.load(Ordering::Relaxed) {
            spin_loop();
        }
        let nanos = on_threads(parts, times, step);
        done.store(true, Ordering::Relaxed);
        nanos
    })
}

/// What belongs to one thread. Each item is on cache lines of its own, as in the core of a worker.
pub(super) type Part<T> = Vec<CachePadded<T>>;

/// Divides `all` among `threads` threads.
pub(super) fn shared_out<T>(all: Vec<T>, threads: usize) -> Vec<Part<T>> {
    let mut parts: Vec<Part<T>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, item) in all.into_iter().enumerate() {
        parts[number % threads].push(CachePadded::new(item));
    }
    parts
}

/// Adds to one line after the other: with one line and two threads, this is what a transfer between their cores takes.
pub(super) fn add_to_lines(load: Load) -> f64 {
    let lines: Vec<_> = (0..load.workers).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
    on_threads((0..load.threads).collect(), load.times, |thread, number| {
        // Ordering: Relaxed: only a count.
        lines[(*thread + number) % lines.len()].fetch_add(1, Ordering::Relaxed);
    })
}

//! What a request computes.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::stats::median;

/// The number of parts into which the work of a request is divided.
pub const PARTS: usize = 64;

/// How much CPU time the work of a request takes, about, while all workers compute.
pub const CPU_TIME: Duration = Duration::from_millis(1);

/// The work of a request: a fixed number of iterations for each part.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    iterations: u32,
}

impl Work {
    /// Chooses the number of iterations such that a request takes [`CPU_TIME`] while `workers` threads compute.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started.
    #[must_use]
    pub fn calibrated(workers: usize) -> Self {
        const TRIAL: u32 = 4_000_000;
        let start = Barrier::new(workers);
        let times: Vec<f64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..workers)
                .map(|_| {
                    scope.spawn(|| {
                        (0..9)
                            .map(|_| {
                                start.wait();
                                let begun = Instant::now();
                                iterate(TRIAL);
                                begun.elapsed().as_secs_f64()
                            })
                            .collect::<Vec<f64>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("it computes")).collect()
        });
        let each = CPU_TIME.as_secs_f64() / PARTS as f64;
        let iterations = f64::from(TRIAL) * each / median(&times);
        Self { iterations: iterations.max(1.0) as u32 }
    }

    /// Computes one part.
    pub fn part(self) {
        iterate(self.iterations);
    }

    /// Computes all parts, one after the other.
    pub fn in_sequence(self) {
        (0..PARTS).for_each(|_| self.part());
    }

    /// Computes all parts by halves: `join` computes both of two halves.
    pub fn by_halves(self, join: fn(Self, usize)) {
        join(self, PARTS);
    }
}

/// Computes something that takes a time in proportion to `iterations`. It is never inlined, so that the same code is timed and run.
#[inline(never)]
fn iterate(iterations: u32) {
    let mut state = black_box(1_u64);
    for _ in 0..iterations {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state);
}

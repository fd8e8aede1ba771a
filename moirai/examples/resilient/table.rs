//! The table that the program prints.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moirai::Stall;
use moirai::prelude::*;

/// The times of echoes: a histogram with eight steps to each power of two of microseconds, so its size is fixed.
#[derive(Debug)]
pub(crate) struct Echoes {
    counts: [AtomicU64; STEPS],
    /// The counts when the last line was printed.
    shown: Mutex<[u64; STEPS]>,
}

const STEPS: usize = 256;

impl Default for Echoes {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; STEPS], shown: Mutex::new([0; STEPS]) }
    }
}

/// The number of echoes in some period, and how long they took.
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) most: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50, p99, most } = self;
        write!(f, "{count} echoes: p50 {p50:.1?}, p99 {p99:.1?}, longest {most:.1?}")
    }
}

/// Returns the step that a time belongs to.
fn step(micros: u64) -> usize {
    if micros < 8 {
        return micros as usize;
    }
    let power = micros.ilog2();
    let eighth = (micros >> (power - 3)) & 7;
    (((power - 2) * 8) as usize + eighth as usize).min(STEPS - 1)
}

/// Returns the longest time of a step.
fn upper_end(step: usize) -> Duration {
    if step < 8 {
        return Duration::from_micros(step as u64 + 1);
    }
    let (power, eighth) = (step as u32 / 8 + 2, step as u64 % 8);
    Duration::from_micros((8 + eighth + 1) << (power - 3))
}

fn summary(counts: &[u64; STEPS]) -> Summary {
    let count = counts.iter().sum();
    let at = |part: f64| {
        let mut left = (count as f64 * part).ceil() as u64;
        let step = counts.iter().position(|&count| {
            left = left.saturating_sub(count);
            left == 0
        });
        step.filter(|_| count > 0).map_or(Duration::ZERO, upper_end)
    };
    Summary { count, p50: at(0.50), p99: at(0.99), most: at(1.0) }
}

impl Echoes {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[step(micros)].fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> [u64; STEPS] {
        std::array::from_fn(|step| self.counts[step].load(Ordering::Relaxed))
    }

    /// Returns the summary of all echoes.
    pub(crate) fn overall(&self) -> Summary {
        summary(&self.counts())
    }

    /// Returns the summary of the echoes since the last call.
    fn since(&self) -> Summary {
        let counts = self.counts();
        let mut shown = self.shown.lock().expect("no thread panics while it holds the lock");
        let new = std::array::from_fn(|step| counts[step] - shown[step]);
        *shown = counts;
        summary(&new)
    }
}

/// The stalls that the watchdog has reported.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    count: AtomicU64,
    last: Mutex<Option<Stall>>,
}

impl Stalls {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl ExecutorPlugin for Stalls {
    fn on_stall(&self, stall: &Stall) {
        self.count.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().expect("no thread panics while it holds the lock") = Some(stall.clone());
    }
}

/// Prints a line every second until the executor shuts down.
pub(crate) fn show(executor: &Moirai, echoes: &Echoes, stalls: &Stalls) {
    println!(
        "{:>7} {:>9} {:>9} {:>9} | {:>7} {:>7} {:>9} | {:>7} {:>6}  last stall",
        "echoes", "p50", "p99", "longest", "active", "failed", "cancelled", "stalled", "stalls"
    );
    while !executor.is_shutting_down() {
        let second = Instant::now();
        while second.elapsed() < Duration::from_secs(1) && !executor.is_shutting_down() {
            thread::sleep(Duration::from_millis(20));
        }
        let Summary { count, p50, p99, most } = echoes.since();
        let stats = executor.cleanup_stats();
        let last = stalls.last.lock().expect("no thread panics while it holds the lock").take();
        println!(
            "{count:>7} {:>9} {:>9} {:>9} | {:>7} {:>7} {:>9} | {:>7} {:>6}  {}",
            format!("{p50:.1?}"),
            format!("{p99:.1?}"),
            format!("{most:.1?}"),
            stats.active_tasks,
            stats.failed_tasks,
            stats.cancelled_tasks,
            executor.stalled().len(),
            stalls.count(),
            last.map_or_else(String::new, |stall| stall.to_string()),
        );
    }
}

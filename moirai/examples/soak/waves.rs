//! The tasks, and a count of how they end that does not rely on the executor's records.

use std::fmt;
use std::future;
use std::ops::Add;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use moirai::prelude::*;

/// How many tasks are spawned before all of them are waited for.
pub(crate) const WAVE: usize = 10_000;

/// How many tasks have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
}

impl Counts {
    pub(crate) fn sum(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { completed, failed, cancelled } = self;
        write!(
            f,
            "{} = {completed} completed + {failed} failed + {cancelled} cancelled",
            self.sum()
        )
    }
}

/// What the handles have returned so far. It is written at the end of each wave.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl Tally {
    pub(crate) fn counts(&self) -> Counts {
        // Ordering: Relaxed: while they grow, each count is read by itself. The final values are read after the driver was joined,
        // which orders them.
        Counts {
            completed: self.completed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn ended(&self) -> u64 {
        self.counts().sum()
    }

    fn add(&self, wave: Counts) {
        // Ordering: Relaxed, as in `counts`.
        self.completed.fetch_add(wave.completed, Ordering::Relaxed);
        self.failed.fetch_add(wave.failed, Ordering::Relaxed);
        self.cancelled.fetch_add(wave.cancelled, Ordering::Relaxed);
    }
}

/// The payload of the panics that are part of the plan.
struct Planned;

/// Keeps the panic hook from reporting planned panics.
pub(crate) fn silence_planned_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Planned>() {
            report(info);
        }
    }));
}

/// Runs one wave after the other.
pub(crate) async fn drive(tally: Arc<Tally>, tasks: u64, end: Option<Instant>) {
    let Some(executor) = Moirai::current() else {
        return;
    };
    let mut handles = Vec::with_capacity(WAVE);
    while tally.ended() < tasks && end.is_none_or(|end| Instant::now() < end) {
        let left = tasks - tally.ended();
        let wave = left.min(WAVE as u64);
        for number in 0..wave {
            handles.push(spawn(&executor, number));
        }
        let mut counts = Counts::default();
        for (number, handle) in handles.drain(..).enumerate() {
            count(&mut counts, number as u64, handle.await);
        }
        tally.add(counts);
    }
}

/// Spawns task number `number` of a wave. Of a thousand tasks one blocks, one panics, and one is cancelled while it would wait
/// forever. About half of the others are async and half are closures, and some of the async ones yield a few times.
fn spawn(executor: &Moirai, number: u64) -> TaskHandle<u64> {
    match number % 1000 {
        1 => executor.spawn_blocking(move || number),
        2 => executor.spawn_parallel(|| panic::panic_any(Planned)),
        3 => {
            let handle = executor.spawn_async(future::pending());
            handle.cancel();
            handle
        }
        4..100 => executor.spawn_async(async move {
            for _ in 0..number % 3 {
                yield_now().await;
            }
            number
        }),
        even if even % 2 == 0 => executor.spawn_async(async move { number }),
        _ => executor.spawn_parallel(move || number),
    }
}

/// Counts how a task has ended. An error that is neither a panic nor a cancellation panics here, in the driver, which is then
/// reported as a fault.
fn count(counts: &mut Counts, number: u64, result: Result<u64, TaskError>) {
    match result {
        Ok(value) => {
            assert_eq!(value, number, "a handle gave another task's result");
            counts.completed += 1;
        }
        Err(TaskError::Panicked(_)) => counts.failed += 1,
        Err(TaskError::Cancelled) => counts.cancelled += 1,
        Err(error) => panic!("task {number} of a wave came to {error}"),
    }
}

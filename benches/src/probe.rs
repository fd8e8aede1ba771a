//! Probes: single figures of Moirai, and of some peers, for memory, sweeps, lookups and idling. Each is taken in a process of its
//! own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use moirai::{CleanupConfig, Moirai};

use crate::bounds;
use crate::memory::{cpu_nanos, resident};
use crate::peer::scheduled::{Alone, Scheduled};
use crate::peer::{Peer, Smol, StaticSmol, Tokio, workers};
use crate::results::ProbeResult;
use crate::stats::percentile;

/// A figure, how it is taken, and its target.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The name, which is also used on the command line.
    pub name: &'static str,
    /// What the figure is, in a phrase.
    pub about: &'static str,
    /// The unit of the figure.
    pub unit: &'static str,
    /// The target: the greatest value that is wanted, if there is a target.
    pub reach: Option<f64>,
    /// Takes the figure. `live_bytes` returns how many bytes are allocated now, by a counting allocator.
    pub take: fn(live_bytes: &dyn Fn() -> usize) -> f64,
}

impl Probe {
    /// Whether the figure is one of the executor that is built in with the feature `origin` only.
    #[must_use]
    pub fn needs_origin(&self) -> bool {
        self.name.ends_with("_origin")
    }

    /// Takes the figure, and returns it with what describes it.
    #[must_use]
    pub fn result(&self, allocator: &str, live_bytes: &dyn Fn() -> usize) -> ProbeResult {
        let value = (self.take)(live_bytes);
        let about = format!("{} ({allocator})", self.about);
        let (name, unit) = (self.name.to_owned(), self.unit.to_owned());
        ProbeResult { name, about, value, unit, reach: self.reach }
    }
}

/// All probes.
pub const PROBES: [Probe; 20] = [
    Probe {
        name: "queued_moirai",
        about: "resident bytes per queued task, its record included",
        unit: "B",
        reach: Some(200.0),
        take: |_| queued::<WorkersOnly>(),
    },
    Probe {
        name: "queued_tokio",
        about: "the same for tokio, which keeps no records",
        unit: "B",
        reach: None,
        take: |_| queued::<Tokio>(),
    },
    Probe {
        name: "queued_async_executor",
        about: "the same for async-executor, which keeps no records",
        unit: "B",
        reach: None,
        take: |_| queued::<Smol>(),
    },
    Probe {
        name: "queued_async_executor_static",
        about: "the same for async-executor's StaticExecutor, which keeps no records",
        unit: "B",
        reach: None,
        take: |_| queued::<StaticSmol>(),
    },
    Probe {
        name: "record_1m",
        about: "resident bytes per retained record, with 1,000,000 of them",
        unit: "B",
        reach: Some(80.0),
        take: |_| record(1_000_000),
    },
    Probe {
        name: "record_1_1m",
        about: "resident bytes per retained record, with 1,100,000 of them",
        unit: "B",
        reach: Some(80.0),
        take: |_| record(1_100_000),
    },
    Probe {
        name: "sweep_nothing_10m",
        about: "a sweep of 10,000,000 records of which none has expired, as a whole",
        unit: "µs",
        reach: Some(10.0),
        take: |_| sweep_nothing(),
    },
    Probe {
        name: "sweep_10m",
        about: "a sweep of 10,000,000 records down to 10,000, per record dropped",
        unit: "ns",
        reach: Some(30.0),
        take: |_| sweep().0,
    },
    Probe {
        name: "spawn_during_sweep",
        about: "a spawn during that sweep, 99.9th percentile",
        unit: "µs",
        reach: Some(50.0),
        take: |_| sweep().1,
    },
    Probe {
        name: "lookup_2_readers",
        about: "a lookup by id while a second thread looks up the same id",
        unit: "ns",
        reach: Some(20.0),
        take: |_| lookup(2),
    },
    Probe {
        name: "waves_100m",
        about: "growth of resident memory between the 1,000,000th and the 100,000,000th task, in waves of 10,000",
        unit: "MiB",
        reach: Some(2.0),
        take: |_| waves(),
    },
    Probe {
        name: "burst_5m",
        about: "memory still allocated after a burst of 5,000,000 queued tasks and a sweep, counted by the allocator",
        unit: "MiB",
        reach: Some(10.0),
        take: burst,
    },
    Probe {
        name: "burst_5m_peak",
        about: "memory that this burst takes while it is queued",
        unit: "MiB",
        reach: None,
        take: burst_peak,
    },
    Probe {
        name: "idle_10s",
        about: "CPU time of an idle executor, of all its threads, per second",
        unit: "ms",
        reach: Some(1.0),
        take: |_| idle(),
    },
    Probe {
        name: "kept_by_count_moirai",
        about: "records of eight tasks, of which three are to be kept",
        unit: "records",
        reach: Some(3.0),
        take: |_| bounds::kept_by_count_moirai(),
    },
    Probe {
        name: "kept_by_count_origin",
        about: "the same in moirai-executor 0.11.3",
        unit: "records",
        reach: None,
        take: |_| bounds::kept_by_count_origin(),
    },
    Probe {
        name: "kept_by_age_moirai",
        about: "records of ten tasks 600 ms after their end, which are to be kept for 100 ms",
        unit: "records",
        reach: Some(0.0),
        take: |_| bounds::kept_by_age_moirai(),
    },
    Probe {
        name: "kept_by_age_origin",
        about: "the same in moirai-executor 0.11.3",
        unit: "records",
        reach: None,
        take: |_| bounds::kept_by_age_origin(),
    },
    Probe {
        name: "refused_moirai",
        about: "tasks refused of 10,000 that are spawned while all workers are busy, with the defaults",
        unit: "tasks",
        reach: Some(0.0),
        take: |_| bounds::refused_moirai(),
    },
    Probe {
        name: "refused_origin",
        about: "the same in moirai-executor 0.11.3",
        unit: "tasks",
        reach: None,
        take: |_| bounds::refused_origin(),
    },
];

/// Moirai without threads that would run queued tasks while the workers are kept inside of others.
type WorkersOnly = Scheduled<Alone>;

const MIB: f64 = 1024.0 * 1024.0;

fn bytes() -> f64 {
    resident().expect("resident memory is known on Linux only") as f64
}

fn executor(cleanup: CleanupConfig) -> Moirai {
    Moirai::builder()
        .worker_threads(workers())
        .cleanup_config(cleanup)
        .build()
        .expect("the executor starts")
}

/// Keeps every worker of a peer inside of a task, until one more thread waits at the returned barrier.
fn occupy<P: Peer>() -> Arc<Barrier> {
    P::start();
    let gate = Arc::new(Barrier::new(workers() + 1));
    let inside = Arc::new(Barrier::new(workers() + 1));
    for _ in 0..workers() {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        P::detach(P::spawn(async move {
            inside.wait();
            gate.wait();
        }));
    }
    inside.wait();
    gate
}

/// Returns the resident bytes per task while a million tasks are queued. Each task carries a number, as a small future does.
fn queued<P: Peer>() -> f64 {
    const TASKS: u64 = 1_000_000;
    let gate = occupy::<P>();
    static RUN: AtomicU64 = AtomicU64::new(0);
    let before = bytes();
    for number in 0..TASKS {
        P::detach(P::spawn(async move {
            std::hint::black_box(number);
            RUN.fetch_add(1, Ordering::Relaxed);
        }));
    }
    let after = bytes();
    gate.wait();
    while RUN.load(Ordering::Relaxed) < TASKS {
        thread::sleep(Duration::from_millis(1));
    }
    (after - before) / TASKS as f64
}

/// Runs `tasks` tasks that do nothing, in waves, and joins them all.
fn run(executor: &Moirai, tasks: usize) {
    const WAVE: usize = 10_000;
    let mut left = tasks;
    while left > 0 {
        let wave = left.min(WAVE);
        let handles: Vec<_> = (0..wave).map(|_| executor.spawn_async(async {})).collect();
        for handle in handles {
            handle.join().expect("a task of a probe ends");
        }
        left -= wave;
    }
}

fn keep_all() -> CleanupConfig {
    CleanupConfig { max_retained_tasks: usize::MAX, ..CleanupConfig::default() }
}

fn record(records: usize) -> f64 {
    let executor = executor(keep_all());
    // The memory that the waves themselves need is in use before the first measurement.
    run(&executor, 50_000);
    let before = bytes();
    run(&executor, records);
    (bytes() - before) / records as f64
}

fn sweep_nothing() -> f64 {
    let executor = executor(keep_all());
    run(&executor, 10_000_000);
    let times: Vec<f64> = (0..101)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(executor.cleanup_completed_tasks(), 0);
            start.elapsed().as_nanos() as f64 / 1e3
        })
        .collect();
    percentile(&times, 0.5)
}

/// Returns the time of a sweep in nanoseconds per record that it drops, and the 99.9th percentile of the times of spawns during the
/// sweep, in microseconds.
fn sweep() -> (f64, f64) {
    let cleanup = CleanupConfig { enable_automatic_cleanup: false, ..CleanupConfig::default() };
    let executor = &executor(cleanup);
    run(executor, 10_000_000);
    let swept = &AtomicBool::new(false);
    thread::scope(|scope| {
        let spawner = scope.spawn(move || {
            let mut times = Vec::new();
            while !swept.load(Ordering::Relaxed) {
                let start = Instant::now();
                let handle = executor.spawn_async(async {});
                times.push(start.elapsed().as_nanos() as f64 / 1e3);
                handle.join().expect("a task of a probe ends");
            }
            percentile(&times, 0.999)
        });
        let start = Instant::now();
        let records = executor.cleanup_completed_tasks();
        let took = start.elapsed();
        swept.store(true, Ordering::Relaxed);
        (took.as_nanos() as f64 / records as f64, spawner.join().expect("it ends"))
    })
}

fn lookup(readers: usize) -> f64 {
    const LOOKUPS: u32 = 5_000_000;
    let executor = &executor(CleanupConfig::default());
    let handle = executor.spawn_async(async {});
    let id = handle.id();
    handle.join().expect("a task of a probe ends");
    let reader = || {
        let start = Instant::now();
        for _ in 0..LOOKUPS {
            assert!(std::hint::black_box(executor.task_status(id)).is_some());
        }
        start.elapsed().as_nanos() as f64 / f64::from(LOOKUPS)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..readers).map(|_| scope.spawn(reader)).collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("it ends"));
        times.fold(0.0, f64::max)
    })
}

fn waves() -> f64 {
    let executor = executor(CleanupConfig::default());
    run(&executor, 1_000_000);
    let before = bytes();
    run(&executor, 99_000_000);
    (bytes() - before) / MIB
}

/// Returns the MiB that are allocated before a burst of tasks, while all of its tasks are queued, and after they have run and their
/// records were swept.
fn burst_bytes(live_bytes: &dyn Fn() -> usize) -> [f64; 3] {
    let executor = WorkersOnly::executor();
    run(executor, 100_000);
    executor.cleanup_completed_tasks();
    let before = live_bytes();
    let gate = occupy::<WorkersOnly>();
    for _ in 0..5_000_000 {
        drop(executor.spawn_async(async {}));
    }
    let peak = live_bytes();
    gate.wait();
    while executor.cleanup_stats().active_tasks > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    executor.cleanup_completed_tasks();
    [before, peak, live_bytes()].map(|bytes| bytes as f64 / MIB)
}

fn burst(live_bytes: &dyn Fn() -> usize) -> f64 {
    let [before, _, after] = burst_bytes(live_bytes);
    after - before
}

fn burst_peak(live_bytes: &dyn Fn() -> usize) -> f64 {
    let [before, peak, _] = burst_bytes(live_bytes);
    peak - before
}

fn idle() -> f64 {
    const SECONDS: u64 = 10;
    let executor = executor(CleanupConfig::default());
    run(&executor, 100_000);
    // Threads that the last tasks have woken go back to sleep.
    thread::sleep(Duration::from_millis(200));
    let cpu = || cpu_nanos() as f64 / 1e6;
    let before = cpu();
    thread::sleep(Duration::from_secs(SECONDS));
    (cpu() - before) / SECONDS as f64
}

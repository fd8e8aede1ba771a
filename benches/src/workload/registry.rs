//! The registry alone, without an executor: what it costs to record a task and to look one up, beside a `HashMap` behind an
//! `RwLock`.
#![allow(
    unsafe_code,
    reason = "a record must not be used after its registry is gone; here registries are statics"
)]

use std::hint::black_box;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use moirai_core::{CleanupConfig, Clock, Priority, TaskId, TaskKind, TaskStatus};
use moirai_executor::registry::{ActiveRecord, NewRecord, RecordEnd, Registry, Writer};

use super::group::{Case, Figure, Group};
use crate::old_registry::{self, OldRegistry};

/// The limit on retained records, and so the number of tasks after which a slot is used again.
const WINDOW: usize = 10_000;
/// The number of tasks of one thread in one run.
const TASKS: usize = 200_000;
/// The same for the old registry, which takes longer.
const OLD_TASKS: usize = 20_000;
/// The number of lookups in one run.
const LOOKUPS: usize = 1_000_000;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "registry_1_thread",
            about: "record a task that is spawned, started and finished, and evict an old record, with 10,000 retained ones; two reads of the clock included",
            unit: "task",
            units: TASKS as u64,
            rounds: 15,
            reach: Some(35.0),
            figures: vec![Figure::median("RwLock<HashMap>", 0.20, 0.20)],
            cases: vec![
                Case { peer: "moirai", run: ours::<1> },
                Case { peer: "RwLock<HashMap>", run: old::<1> },
            ],
        },
        Group {
            name: "registry_2_threads",
            about: "the same on two threads at once: the time of one thread for one task of its own",
            unit: "task",
            units: TASKS as u64,
            rounds: 15,
            reach: Some(50.0),
            figures: vec![Figure::median("RwLock<HashMap>", 0.066, 0.066)],
            cases: vec![
                Case { peer: "moirai", run: ours::<2> },
                Case { peer: "RwLock<HashMap>", run: old::<2> },
            ],
        },
        Group {
            name: "lookup",
            about: "look up the status of a task by its id",
            unit: "lookup",
            units: LOOKUPS as u64,
            rounds: 15,
            reach: Some(20.0),
            figures: vec![],
            cases: vec![
                Case { peer: "moirai", run: our_lookup },
                Case { peer: "RwLock<HashMap>", run: old_lookup },
            ],
        },
    ]
}

/// A registry that retains `WINDOW` records, with a writer for each worker.
struct Ours {
    registry: Registry,
    clock: Clock,
    writer: Mutex<Vec<Writer>>,
}

impl Ours {
    fn new(workers: usize) -> Self {
        let config = CleanupConfig { max_retained_tasks: WINDOW, ..CleanupConfig::default() };
        let clock = Clock::system();
        let registry = Registry::new(config, workers, clock.clone());
        let writer = Mutex::new((0..workers).map(|_| registry.writer()).collect());
        Self { registry, clock, writer }
    }

    fn of<const WORKERS: usize>() -> &'static Self {
        static ONE: OnceLock<Ours> = OnceLock::new();
        static TWO: OnceLock<Ours> = OnceLock::new();
        let place = if WORKERS == 1 { &ONE } else { &TWO };
        place.get_or_init(|| Self::new(WORKERS))
    }

    fn register(&'static self, writer: &mut Writer) -> ActiveRecord {
        let new = NewRecord {
            kind: TaskKind::Async,
            priority: Priority::Normal,
            location: Location::caller(),
            hints: None,
            name: None,
            task: NonNull::<u64>::dangling().cast(),
        };
        // SAFETY: the record is finished with this registry, if at all. The registry is in a static, so it is not dropped. The
        // pointer is aligned for a `u64`, and `with_task`, which would use it, is not called.
        unsafe { self.registry.register(writer, new, self.clock.ticks()) }
    }

    /// Records the life of a task, and reads the clock twice, as the executor does.
    fn task(&'static self, writer: &mut Writer, worker: usize) {
        let record = self.register(writer);
        record.start(Some(worker), 0);
        let ticks = self.clock.ticks();
        record.polled(1);
        let end = RecordEnd::new(TaskStatus::Completed, ticks);
        black_box(self.registry.finish(writer, record, end));
    }
}

/// Returns the time that one of `WORKERS` threads takes for its tasks.
fn ours<const WORKERS: usize>() -> Duration {
    let ours = Ours::of::<WORKERS>();
    let mut all = ours.writer.lock().unwrap_or_else(PoisonError::into_inner);
    let run = |(worker, writer): (usize, &mut Writer)| {
        let start = Instant::now();
        for _ in 0..TASKS {
            ours.task(writer, worker);
        }
        start.elapsed()
    };
    on_threads(all.iter_mut().enumerate(), run)
}

/// Calls `run` with each of `parts` on a thread of its own, and returns the mean of the times.
fn on_threads<T: Send>(
    parts: impl ExactSizeIterator<Item = T>,
    run: impl Fn(T) -> Duration + Sync,
) -> Duration {
    let threads = parts.len() as u32;
    let run = &run;
    let total: Duration = thread::scope(|scope| {
        let running: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        running.into_iter().map(|thread| thread.join().expect("a run ends")).sum()
    });
    total / threads
}

fn our_lookup() -> Duration {
    static ID: OnceLock<TaskId> = OnceLock::new();
    let ours = Ours::of::<1>();
    let id = *ID.get_or_init(|| {
        let mut writer = ours.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // The task does not end, so its record stays.
        ours.register(&mut writer[0]).id()
    });
    let start = Instant::now();
    for _ in 0..LOOKUPS {
        black_box(ours.registry.status(black_box(id)));
    }
    start.elapsed()
}

/// Returns the old registry for this number of threads, which has `WINDOW` ended tasks at the start.
fn old_registry<const WORKERS: usize>() -> &'static OldRegistry {
    static ONE: OnceLock<OldRegistry> = OnceLock::new();
    static TWO: OnceLock<OldRegistry> = OnceLock::new();
    let place = if WORKERS == 1 { &ONE } else { &TWO };
    place.get_or_init(|| {
        let registry = OldRegistry::default();
        (0..WINDOW).for_each(|_| {
            old_task(&registry);
        });
        registry
    })
}

fn old_task(registry: &OldRegistry) -> old_registry::TaskId {
    let id = registry.register(None);
    registry.start(id);
    registry.finish(id, None);
    id
}

/// As `ours`. Each thread calls a cleanup after every `WINDOW / WORKERS` of its tasks, which drops all but the `WINDOW` newest of
/// the ended ones.
fn old<const WORKERS: usize>() -> Duration {
    let registry = old_registry::<WORKERS>();
    let run = |()| {
        let start = Instant::now();
        for number in 1..=OLD_TASKS {
            black_box(old_task(registry));
            if number % (WINDOW / WORKERS) == 0 {
                registry.cleanup_completed(Duration::from_secs(300), WINDOW);
            }
        }
        start.elapsed()
    };
    let took = on_threads([(); WORKERS].into_iter(), run);
    // It runs fewer tasks, because it takes longer. The time is scaled to the same number.
    took * (TASKS / OLD_TASKS) as u32
}

fn old_lookup() -> Duration {
    let registry = old_registry::<1>();
    let id = registry.register(None);
    let start = Instant::now();
    for _ in 0..LOOKUPS {
        black_box(registry.status(black_box(id)));
    }
    start.elapsed()
}

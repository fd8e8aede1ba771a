//! Moirai's schedulers beside each other, and the speed of the simulation.

use std::hint::black_box;
use std::sync::{Mutex, Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use moirai::scheduler::{GlobalFifo, LocalQueue, QueueReason, Scheduler, Sleepers, WorkStealing};
use moirai::sim::Simulation;
use moirai::{Moirai, Priority};

use super::closures::{Closure, channel_pool_wave, wave};
use super::countdown::{Ticket, countdown};
use super::group::{Case, Figure, Group, Workload, case};
use super::poll::{PingPong, YieldMany};
use super::spawn::{Inside, Outside};
use crate::peer::scheduled::{Bands, Boxed, Deadline, Fifo, Kind, PerCore, Scheduled, Short};
use crate::peer::{Ours, workers};

/// Returns a case for the default scheduler, called directly, and one for each of the others.
fn every_scheduler<W: Workload>() -> Vec<Case> {
    vec![
        case::<W, Ours>(),
        case::<W, Scheduled<Boxed>>(),
        case::<W, Scheduled<Fifo>>(),
        case::<W, Scheduled<Bands>>(),
        case::<W, Scheduled<Deadline>>(),
        case::<W, Scheduled<Short>>(),
        case::<W, Scheduled<PerCore>>(),
    ]
}

fn figures() -> Vec<Figure> {
    vec![
        Figure::median("moirai", 1.05, 1.05).of("WorkStealing, chosen"),
        Figure::median("moirai", 1.3, 1.3).of("PriorityBands"),
    ]
}

pub(super) fn groups() -> Vec<Group> {
    let group = |name, about, unit, units, rounds, figures, cases| Group {
        name,
        about,
        unit,
        units,
        rounds,
        reach: None,
        figures,
        cases,
    };
    vec![
        group(
            "scheduler_outside_10k",
            "spawn 10,000 tasks from a thread that is not a worker, until the last has run, with each scheduler",
            "task",
            10_000,
            40,
            figures(),
            every_scheduler::<Outside<10_000>>(),
        ),
        group(
            "scheduler_inside_10k",
            "spawn 10,000 tasks from a task, until the last has run, with each scheduler",
            "task",
            10_000,
            40,
            figures(),
            every_scheduler::<Inside<10_000>>(),
        ),
        group(
            "scheduler_yield",
            "200 tasks that yield 1,000 times each, with each scheduler",
            "yield",
            200_000,
            20,
            figures(),
            every_scheduler::<YieldMany>(),
        ),
        group(
            "scheduler_pairs",
            "1,000 tasks that each spawn a partner, send it a message and await its answer, with each scheduler",
            "pair",
            1_000,
            60,
            figures(),
            every_scheduler::<PingPong>(),
        ),
        group(
            "scheduler_partitioned",
            "requests to two shards of 512 KiB, each of which reads and writes 4,096 places, with each scheduler",
            "request",
            REQUESTS as u64,
            20,
            vec![Figure::median("moirai", 1.0, 1.0).of("ThreadPerCore")],
            vec![
                Case { peer: "moirai", run: || partitioned(Ours::executor()) },
                partitioned_case::<Boxed>(),
                partitioned_case::<Fifo>(),
                partitioned_case::<Bands>(),
                partitioned_case::<Deadline>(),
                partitioned_case::<Short>(),
                partitioned_case::<PerCore>(),
            ],
        ),
        group(
            "scheduler_fifo_closures",
            "spawn 10,000 closures from a thread that is not a worker, to run in strict order, until the last has run",
            "closure",
            10_000,
            40,
            vec![
                Figure::median("crossbeam-channel pool", 1.0, 1.0).of("GlobalFifo"),
                Figure::median("crossbeam-channel pool", 1.0, 1.0).of("GlobalFifo, no books"),
            ],
            vec![
                Case { peer: "moirai", run: || closures(Ours::executor()) },
                Case { peer: "GlobalFifo", run: || closures(Scheduled::<Fifo>::executor()) },
                Case { peer: "GlobalFifo, no books", run: || wave(|it| fifo_pool().run(it)) },
                Case { peer: "crossbeam-channel pool", run: channel_pool_wave },
            ],
        ),
        group(
            "scheduler_dispatch",
            "a push and a pop of the default scheduler's local queue alone, called directly and through a vtable",
            "push and pop",
            PAIRS as u64,
            40,
            Vec::new(),
            vec![
                Case { peer: "moirai", run: || push_and_pop(&mut only_local()) },
                Case {
                    peer: "through a vtable",
                    run: || {
                        let mut local: Box<dyn LocalQueue<usize>> =
                            black_box(Box::new(only_local()));
                        push_and_pop(&mut *local)
                    },
                },
            ],
        ),
        Group {
            name: "simulated_poll",
            about: "a simulation of 100 tasks that yield 1,000 times each",
            unit: "poll",
            units: SIMULATED as u64,
            rounds: 20,
            reach: Some(1_000.0),
            figures: Vec::new(),
            cases: vec![Case { peer: "moirai", run: simulated }],
        },
    ]
}

const PAIRS: usize = 200_000;

/// Returns the local queue of a scheduler with one worker.
fn only_local() -> impl LocalQueue<usize> {
    WorkStealing::new().start(1).remove(0)
}

fn push_and_pop(local: &mut (impl LocalQueue<usize> + ?Sized)) -> Duration {
    let start = Instant::now();
    for number in 0..PAIRS {
        let _ = black_box(local.push(number, Priority::Normal, QueueReason::Yielded));
        black_box(local.pop());
    }
    start.elapsed()
}

fn closures(executor: &'static Moirai) -> Duration {
    wave(|ticket| drop(executor.spawn_parallel(move || ticket.count())))
}

/// A thread pool that consists of a scheduler and of the protocol by which workers sleep and wake, and keeps no records.
struct FifoPool {
    scheduler: GlobalFifo<Closure>,
    sleepers: Sleepers,
}

impl FifoPool {
    fn run(&self, ticket: Ticket) {
        let _ = self.scheduler.push(Box::new(move || ticket.count()), Priority::Normal);
        self.sleepers.notify();
    }
}

fn fifo_pool() -> &'static FifoPool {
    static POOL: OnceLock<FifoPool> = OnceLock::new();
    static STARTED: Once = Once::new();
    let pool = POOL.get_or_init(|| FifoPool {
        scheduler: GlobalFifo::new(),
        sleepers: Sleepers::new(workers()),
    });
    STARTED.call_once(|| {
        for (index, mut local) in pool.scheduler.start(workers()).into_iter().enumerate() {
            thread::spawn(move || {
                while let Some(closure) = local.pop().or_else(|| {
                    pool.sleepers.next(index, |_| local.pop(), || false, || false, || ())
                }) {
                    closure();
                }
            });
        }
    });
    pool
}

const SIMULATED: usize = 100_000;

fn simulated() -> Duration {
    let start = Instant::now();
    let run = Simulation::new(1).run(|executor| async move {
        let task = |_| {
            executor.spawn_async(async {
                for _ in 0..SIMULATED / 100 {
                    moirai::yield_now().await;
                }
            })
        };
        for task in (0..100).map(task).collect::<Vec<_>>() {
            task.await.expect("it only yields");
        }
    });
    assert!(run.expect("it ends").steps as usize >= SIMULATED);
    start.elapsed()
}

/// The number of shards.
const SHARDS: usize = 2;
/// The number of `u64` in a shard, which take 512 KiB.
const SHARD: usize = 1 << 16;
const REQUESTS: usize = 1_000;
const TOUCHES: usize = 4_096;

/// The shards, each behind a lock, for which no task has to wait if all requests of a shard are served by one worker.
static DATA: OnceLock<Vec<Mutex<Box<[u64]>>>> = OnceLock::new();

/// Reads and writes places all over a shard.
fn serve(shard: &mut [u64], request: usize) {
    let mut place = request.wrapping_mul(0x9E37_79B9);
    for _ in 0..TOUCHES {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let value = &mut shard[(place >> 33) % SHARD];
        *value = value.wrapping_add(place as u64);
    }
}

fn partitioned_case<K: Kind>() -> Case {
    Case { peer: K::NAME, run: || partitioned(Scheduled::<K>::executor()) }
}

/// Sends requests from outside, each for one of the shards, and returns the time until the last has been served.
fn partitioned(executor: &'static Moirai) -> Duration {
    let shards = DATA.get_or_init(|| {
        (0..SHARDS).map(|_| Mutex::new(vec![0; SHARD].into_boxed_slice())).collect()
    });
    let (tickets, done) = countdown(REQUESTS);
    let start = Instant::now();
    for (request, ticket) in tickets.enumerate() {
        let number = request % SHARDS;
        let task = async move {
            serve(&mut shards[number].lock().expect("serving does not panic"), request);
            ticket.count();
        };
        drop(executor.task().affinity(number as u64).spawn_async(task));
    }
    done.wait();
    start.elapsed()
}

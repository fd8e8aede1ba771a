//! Tests of the schedulers of `moirai-scheduler` in the executor.
//!
//! They hold a part of promise P20 (a scheduler keeps its contract and its guarantees) of `docs/src/guarantees.md`.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use common::{Gate, watchdog};
use moirai::scheduler::{
    Deterministic, EarliestDeadline, GlobalFifo, Hints, LocalQueue, PriorityBands, QueueReason,
    Runnable, Schedulable, Scheduler, ShortFirst, ThreadPerCore, Visibility, WorkStealing,
};
use moirai::{Moirai, MoiraiBuilder, Priority, time, yield_now};

type Choose = fn(MoiraiBuilder) -> MoiraiBuilder;

/// Calls `f` with an executor of each kind, for each number of workers.
fn with_each(f: impl Fn(&str, Moirai)) {
    for workers in [1, 2, 4] {
        let each: [(&str, Choose); 9] = [
            ("WorkStealing", |builder| builder.scheduler(WorkStealing::new())),
            ("GlobalFifo", |builder| builder.scheduler(GlobalFifo::new())),
            ("strict", |builder| builder.scheduler(PriorityBands::strict())),
            ("weighted", |builder| builder.scheduler(PriorityBands::weighted([1, 2, 4, 8]))),
            ("EarliestDeadline", |builder| builder.scheduler(EarliestDeadline::new())),
            ("ShortFirst", |builder| builder.scheduler(ShortFirst::new())),
            ("hashed", |builder| builder.scheduler(ThreadPerCore::hashed())),
            ("sticky", |builder| builder.scheduler(ThreadPerCore::sticky())),
            ("Deterministic", |builder| builder.scheduler(Deterministic::new(7))),
        ];
        for (name, choose) in each {
            f(name, choose(Moirai::builder().worker_threads(workers)).build().unwrap());
        }
    }
}

#[test]
fn work_of_every_kind_is_done() {
    with_each(|name, executor| {
        common::assert_runs(&executor);
        let inner = executor.clone();
        let sum = executor.spawn_async(async move {
            let mut sum = 0;
            for number in 0..50_u64 {
                sum += inner.spawn_async(async move { number }).await.unwrap();
                yield_now().await;
            }
            let (sender, receiver) = async_channel::bounded(1);
            let sending = inner.spawn_async(async move {
                for number in 0..50_u64 {
                    sender.send(number).await.unwrap();
                }
            });
            while let Ok(number) = receiver.recv().await {
                sum += number;
            }
            sending.await.unwrap();
            time::sleep(Duration::from_millis(1)).await;
            let blocking = inner.spawn_blocking(|| 1_u64);
            // A wait in the middle of a poll.
            sum += blocking.join().unwrap();
            let (one, two) = inner.join(|| 1_u64, || 2_u64);
            sum + one + two
        });
        assert_eq!(sum.join().unwrap(), 2 * 1_225 + 4, "{name}");
        assert!(executor.shutdown().is_clean(), "{name}");
    });
}

#[test]
fn no_wake_up_is_lost() {
    with_each(|name, executor| {
        for wave in 0..300 {
            let tasks: Vec<_> = (0..1 + wave % 3)
                .map(|number| executor.task().affinity(number).spawn_async(async move { number }))
                .collect();
            for mut task in tasks {
                let result = task.join_timeout(Duration::from_secs(20));
                assert!(result.is_some_and(|result| result.is_ok()), "{name}, wave {wave}");
            }
        }
    });
}

#[test]
fn the_counts_add_up_after_a_shutdown_in_the_middle() {
    with_each(|name, executor| {
        let priorities = Priority::ALL.into_iter().cycle();
        for priority in priorities.take(500) {
            drop(executor.task().priority(priority).spawn_async(async {
                yield_now().await;
                std::future::pending::<()>().await;
            }));
        }
        // The first call cancels the tasks, and may return before the last one has ended.
        drop(executor.shutdown_timeout(Duration::ZERO));
        let report = executor.shutdown();
        let ended = report.completed + report.failed + report.cancelled + report.still_active;
        assert_eq!((report.spawned, report.still_active), (ended, 0), "{name}: {report}");
        assert_eq!(executor.load(), 0, "{name}");
    });
}

/// Blocks one worker until something is sent through the returned channel.
fn block_worker(executor: &Moirai) -> mpsc::Sender<()> {
    let (open, opened) = mpsc::channel();
    let (begun, begins) = mpsc::channel();
    drop(executor.task().priority(Priority::Critical).deadline(Duration::ZERO).spawn_parallel(
        move || {
            begun.send(()).unwrap();
            opened.recv().unwrap();
        },
    ));
    begins.recv().unwrap();
    open
}

#[test]
fn tasks_whose_polls_were_long_go_after_others_once_that_is_known() {
    let scheduler = ShortFirst::new().threshold(Duration::from_micros(500));
    let executor = Moirai::builder().worker_threads(1).scheduler(scheduler).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let long = || {
        let order = Arc::clone(&order);
        executor.spawn_async(async move {
            // The first poll is short, and the second one is long.
            yield_now().await;
            order.lock().unwrap().push("long");
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            yield_now().await;
            order.lock().unwrap().push("short again");
        })
    };
    let short = || {
        let order = Arc::clone(&order);
        executor.spawn_async(async move {
            yield_now().await;
            order.lock().unwrap().push("short");
        })
    };
    for _ in 0..12 {
        long().join().unwrap();
        short().join().unwrap();
    }
    order.lock().unwrap().clear();

    let open = block_worker(&executor);
    let tasks = [long(), short(), long(), short()];
    open.send(()).unwrap();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let expected = ["short", "short", "long", "short again", "long", "short again"];
    assert_eq!(*order.lock().unwrap(), expected);
}

#[test]
fn tasks_run_in_the_order_of_their_deadlines_and_a_timeout_is_a_deadline() {
    let scheduler = EarliestDeadline::new();
    let misses = scheduler.misses();
    let executor = Moirai::builder().worker_threads(1).scheduler(scheduler).build().unwrap();
    let before = misses.get();
    let open = block_worker(&executor);
    let order = Arc::new(Mutex::new(Vec::new()));
    let task = |name: &'static str| {
        let order = Arc::clone(&order);
        async move { order.lock().unwrap().push(name) }
    };
    let hours = |hours: u64| Duration::from_secs(3600 * hours);
    let tasks = [
        executor.spawn_async(task("none")),
        executor.task().deadline(hours(3)).spawn_async(task("three hours")),
        executor.task().timeout(hours(2)).spawn_async(task("a timeout of two")),
        executor
            .task()
            .deadline(hours(1))
            .timeout(hours(9))
            .spawn_async(task("one, and a timeout")),
        executor.task().deadline(Duration::ZERO).spawn_async(task("missed")),
    ];
    open.send(()).unwrap();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let order = order.lock().unwrap();
    let expected = ["missed", "one, and a timeout", "a timeout of two", "three hours", "none"];
    assert_eq!(*order, expected);
    // The task that blocked the worker missed its deadline as well.
    assert_eq!(misses.get() - before, 2);
}

#[test]
fn a_weighted_worker_gives_each_band_its_share() {
    let scheduler = PriorityBands::weighted([1, 2, 4, 8]);
    let executor = Moirai::builder().worker_threads(1).scheduler(scheduler).build().unwrap();
    let open = block_worker(&executor);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for _ in 0..45 {
        for priority in Priority::ALL {
            let order = Arc::clone(&order);
            let task = async move { order.lock().unwrap().push(priority) };
            tasks.push(executor.task().priority(priority).spawn_async(task));
        }
    }
    open.send(()).unwrap();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let order = order.lock().unwrap();
    let counts = |round: &[Priority]| {
        Priority::ALL.map(|priority| round.iter().filter(|it| **it == priority).count())
    };
    assert_eq!(counts(&order[..30]), [2, 4, 8, 16]);
}

/// Returns an executor of four workers without a watchdog. On a machine with few processors the watchdog takes a worker that waits
/// for a processor for stuck, and moves its tasks.
fn placed(scheduler: ThreadPerCore<Runnable>) -> Moirai {
    let builder = Moirai::builder()
        .worker_threads(4)
        .spare_threads(0)
        .compensation_threads(0)
        .stall_budget(None);
    builder.scheduler(scheduler).build().unwrap()
}

#[test]
fn tasks_of_one_affinity_run_on_one_worker_whatever_wakes_them() {
    let executor = placed(ThreadPerCore::hashed());
    let workers_of = |affinity| {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let seen = Arc::clone(&seen);
                executor.task().affinity(affinity).spawn_async(async move {
                    for round in 0..20 {
                        seen.lock().unwrap().insert(Moirai::worker_index());
                        match round % 3 {
                            0 => yield_now().await,
                            1 => time::sleep(Duration::from_micros(300)).await,
                            _ => moirai::spawn_async(async {}).await.unwrap(),
                        }
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        seen.lock().unwrap().clone()
    };
    let all: BTreeSet<_> = (0..16)
        .flat_map(|affinity| {
            let workers = workers_of(affinity);
            assert_eq!(workers.len(), 1, "{workers:?}");
            workers
        })
        .collect();
    assert!(all.len() > 1 && !all.contains(&None), "{all:?}");
}

#[test]
fn a_sticky_task_stays_on_the_worker_that_ran_it_first() {
    let executor = placed(ThreadPerCore::sticky());
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            executor.spawn_async(async {
                let first = Moirai::worker_index();
                for _ in 0..10 {
                    time::sleep(Duration::from_micros(300)).await;
                    assert_eq!(Moirai::worker_index(), first);
                }
                first
            })
        })
        .collect();
    let workers: BTreeSet<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    assert_eq!(workers.len(), 4, "tasks from outside are given to each worker in turn");
}

#[test]
fn tasks_that_wait_for_a_stuck_worker_are_run_by_another_thread() {
    let executor =
        Moirai::builder().worker_threads(2).scheduler(ThreadPerCore::hashed()).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let stuck = executor.task().affinity(1).spawn_async(async move {
        begun.send(()).unwrap();
        let _ = released.recv();
    });
    begins.recv().unwrap();
    let start = Instant::now();
    let behind: Vec<_> = (0..100)
        .map(|number| executor.task().affinity(1).spawn_async(async move { number }))
        .collect();
    for mut task in behind {
        let left = Duration::from_secs(20).saturating_sub(start.elapsed());
        assert!(
            task.join_timeout(left).is_some_and(|result| result.is_ok()),
            "the task still waits for the stuck worker"
        );
    }
    assert!(!stuck.is_finished());
    release.send(()).unwrap();
    stuck.join().unwrap();
}

/// The affinity of a task, its expected duration, whether it has a deadline, and its home.
type Options = (u64, Option<Duration>, bool, Option<usize>);

/// A scheduler that reads these hints, and records the options of each task that it is given.
#[derive(Clone)]
struct RecordingScheduler(Arc<Recorded>, Hints);

#[derive(Default)]
struct Recorded {
    queue: Mutex<Vec<Runnable>>,
    options: Mutex<Vec<Options>>,
    dropped: AtomicUsize,
}

impl Scheduler<Runnable> for RecordingScheduler {
    type Local = Self;

    fn start(&self, workers: usize) -> Vec<Self> {
        vec![self.clone(); workers]
    }

    fn push(&self, task: Runnable, _: Priority) -> Visibility {
        let options =
            (task.affinity(), task.expected_duration(), task.deadline().is_some(), task.home());
        self.0.options.lock().unwrap().push(options);
        self.0.queue.lock().unwrap().push(task);
        Visibility::Shared
    }

    fn take(&self) -> Option<Runnable> {
        self.0.queue.lock().unwrap().pop()
    }

    fn len(&self) -> usize {
        self.0.queue.lock().unwrap().len()
    }

    fn hints(&self) -> Hints {
        self.1
    }
}

impl LocalQueue<Runnable> for RecordingScheduler {
    fn push(&mut self, task: Runnable, priority: Priority, _: QueueReason) -> Visibility {
        Scheduler::push(self, task, priority)
    }

    fn pop(&mut self) -> Option<Runnable> {
        self.take()
    }
}

impl Drop for RecordingScheduler {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_scheduler_sees_the_options_with_which_a_task_was_spawned() {
    let recorded = Arc::new(Recorded::default());
    let scheduler = RecordingScheduler(Arc::clone(&recorded), Hints::all());
    let executor = Moirai::builder().worker_threads(1).scheduler(scheduler).build().unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    executor
        .task()
        .name("named as well")
        .affinity(42)
        .expected_duration(Duration::from_millis(3))
        .deadline(Duration::from_secs(1))
        .spawn_async(async move {
            yield_now().await;
            flag.store(true, Ordering::Relaxed);
        })
        .join()
        .unwrap();
    let plain = executor.spawn_async(async {});
    let id = plain.id().get();
    plain.join().unwrap();
    let ms = Some(Duration::from_millis(3));
    let expected = [(42, ms, true, None), (42, ms, true, Some(0)), (id, None, false, None)];
    assert_eq!(*recorded.options.lock().unwrap(), expected);
    assert!(ran.load(Ordering::Relaxed));
    drop(executor.shutdown());
    drop(executor);
    let start = Instant::now();
    while recorded.dropped.load(Ordering::Relaxed) < 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "the scheduler outlives its executor");
        std::thread::yield_now();
    }
}

#[test]
fn a_scheduler_sees_no_hints_but_those_that_it_reads() {
    let recorded = Arc::new(Recorded::default());
    let scheduler = RecordingScheduler(Arc::clone(&recorded), Hints::none().affinities());
    let executor = Moirai::builder().worker_threads(1).scheduler(scheduler).build().unwrap();
    let task = executor.task().affinity(42).expected_duration(Duration::from_millis(3));
    task.deadline(Duration::from_secs(1)).spawn_async(async {}).join().unwrap();
    assert_eq!(*recorded.options.lock().unwrap(), [(42, None, false, None)]);
}

#[test]
fn a_wait_for_fork_join_work_does_not_change_the_order_of_queued_tasks() {
    let _watchdog = watchdog();
    // Without compensation threads, because two threads that run tasks would note them in any order.
    let builder = Moirai::builder().worker_threads(2).compensation_threads(0);
    let executor = builder.scheduler(GlobalFifo::new()).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let (inside, orders) = (executor.clone(), Arc::clone(&order));
    let (stolen, done) = (Gate::new(), Gate::new());
    let waits = executor.spawn_parallel(move || {
        let spawns = || {
            stolen.wait();
            let task = |number| {
                let (orders, done) = (Arc::clone(&orders), done.clone());
                inside.spawn_parallel(move || {
                    orders.lock().unwrap().push(number);
                    if number == 3 {
                        done.open();
                    }
                })
            };
            (0..4).map(task).for_each(drop);
            // Next this worker waits, and looks whether there is work for another thread.
        };
        let keeps_the_other_worker = || {
            stolen.open();
            done.wait();
        };
        inside.join(spawns, keeps_the_other_worker);
    });
    waits.join().unwrap();
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
}

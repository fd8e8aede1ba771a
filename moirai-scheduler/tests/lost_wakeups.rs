//! Stress tests for lost wake-ups: waves of work for workers that are about to sleep, each under a watchdog.
//!
//! Where a wake-up is lost, a wave hangs until some other push happens to wake a worker.
#![cfg(not(moirai_loom))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};
use moirai_scheduler::{Sleepers, WorkStealing};

/// The time that a wave may take.
const WATCHDOG: Duration = Duration::from_secs(20);

/// A task: the number of further tasks that it pushes from the worker that runs it.
type Token = usize;

struct Pool {
    scheduler: WorkStealing<Token>,
    sleepers: Sleepers,
    stop: AtomicBool,
    left: AtomicUsize,
}

struct Running {
    pool: Arc<Pool>,
    done: Receiver<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(workers: usize) -> Self {
        let pool = Arc::new(Pool {
            scheduler: WorkStealing::new(),
            sleepers: Sleepers::new(workers),
            stop: AtomicBool::new(false),
            left: AtomicUsize::new(0),
        });
        let (sender, done) = channel();
        let locals = pool.scheduler.start(workers).into_iter().enumerate();
        let workers = locals
            .map(|(index, local)| {
                let (pool, sender) = (Arc::clone(&pool), sender.clone());
                thread::spawn(move || work(&pool, index, local, &sender))
            })
            .collect();
        Self { pool, done, workers }
    }

    fn wait(&self, wave: usize) {
        if self.done.recv_timeout(WATCHDOG).is_err() {
            panic!(
                "wave {wave} hangs with {} tasks to go; {:?}, {} queued",
                self.pool.left.load(Ordering::Relaxed),
                self.pool.sleepers,
                self.pool.scheduler.len()
            );
        }
    }

    fn stop(self) {
        self.pool.stop.store(true, Ordering::Relaxed);
        self.pool.sleepers.wake_all();
        for worker in self.workers {
            worker.join().unwrap();
        }
    }
}

fn work(pool: &Pool, index: usize, mut local: impl LocalQueue<Token>, done: &Sender<()>) {
    let stop = || pool.stop.load(Ordering::Relaxed);
    while let Some(children) =
        local.pop().or_else(|| pool.sleepers.next(index, |_| local.pop(), || false, stop, || ()))
    {
        for child in 0..children {
            let reason =
                [QueueReason::Spawned, QueueReason::Woken, QueueReason::Yielded][child % 3];
            if local.push(0, Priority::Normal, reason) == Visibility::Shared {
                pool.sleepers.notify();
            }
        }
        if pool.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            done.send(()).unwrap();
        }
    }
}

/// Runs `waves` waves of `tasks` tasks, pushed by each of `producers` threads that are not workers.
fn from_outside(workers: usize, producers: usize, waves: usize, tasks: usize) {
    let running = Running::start(workers);
    let start = Arc::new(Barrier::new(producers + 1));
    let threads: Vec<_> = (0..producers)
        .map(|_| {
            let (pool, start) = (Arc::clone(&running.pool), Arc::clone(&start));
            thread::spawn(move || {
                for wave in 0..waves {
                    start.wait();
                    for task in 0..tasks {
                        // Mostly normal tasks; the bands take their turns.
                        let priority = Priority::ALL[if task % 7 == 0 { wave % 4 } else { 1 }];
                        let _ = pool.scheduler.push(0, priority);
                        pool.sleepers.notify();
                    }
                }
            })
        })
        .collect();
    for wave in 0..waves {
        running.pool.left.store(producers * tasks, Ordering::Relaxed);
        start.wait();
        running.wait(wave);
    }
    for thread in threads {
        thread.join().unwrap();
    }
    running.stop();
}

/// Runs `waves` waves of one task that pushes `tasks` more, from its worker.
fn from_inside(workers: usize, waves: usize, tasks: usize) {
    let running = Running::start(workers);
    for wave in 0..waves {
        running.pool.left.store(tasks + 1, Ordering::Relaxed);
        let _ = running.pool.scheduler.push(tasks, Priority::Normal);
        running.pool.sleepers.notify();
        running.wait(wave);
    }
    running.stop();
}

#[test]
fn waves_of_one_task() {
    from_outside(2, 1, 10_000, 1);
    from_outside(2, 3, 5_000, 1);
}

#[test]
fn waves_of_two_tasks() {
    from_outside(2, 1, 10_000, 2);
    from_outside(2, 3, 5_000, 2);
}

#[test]
fn waves_of_a_hundred_tasks() {
    from_outside(2, 1, 2_000, 100);
    from_outside(4, 3, 1_000, 100);
}

#[test]
fn waves_of_ten_thousand_tasks() {
    from_outside(2, 1, 60, 10_000);
    from_outside(4, 3, 20, 10_000);
}

#[test]
fn waves_that_workers_push() {
    from_inside(2, 5_000, 1);
    from_inside(2, 1_000, 10);
    from_inside(4, 300, 200);
}

//! The sleep protocol. A wake-up that is lost leaves a worker parked, which loom reports as a deadlock.

use crate::{Sleepers, WorkStealing};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::{self, JoinHandle};
use moirai_core::{LocalQueue, Priority, Scheduler};

use crate::tests::bag::Bag;
use crate::tests::models::{explore, explore_later};

/// What the threads of a model share.
struct World {
    bag: Bag,
    sleepers: Sleepers,
    stop: AtomicBool,
}

impl World {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            bag: Bag::new(),
            sleepers: Sleepers::new(workers),
            stop: AtomicBool::new(false),
        })
    }

    fn produce(&self, token: usize) {
        let _ = self.bag.push(token, Priority::Normal);
        self.sleepers.notify();
    }

    fn next(&self, worker: usize) -> Option<usize> {
        let stop = || self.stop.load(Ordering::Relaxed);
        self.sleepers.next(worker, || self.bag.take(), || false, stop, || ())
    }
}

/// A worker that takes `tasks` tasks, and after that is busy for ever.
fn worker(world: &Arc<World>, index: usize, tasks: usize) -> JoinHandle<usize> {
    let world = world.clone();
    thread::spawn(move || (0..tasks).map(|_| world.next(index).expect("nobody stops it")).sum())
}

fn producer(world: &Arc<World>, token: usize) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || world.produce(token))
}

/// Waits for all threads. What the workers took has to be `sum`, and nobody may be counted as what it is not.
fn finish(world: &World, workers: Vec<JoinHandle<usize>>, sum: usize) {
    let taken: usize = workers.into_iter().map(|it| it.join().unwrap()).sum();
    assert_eq!(taken, sum);
    assert_eq!(world.sleepers.sleeping(), 0);
    assert_eq!(world.sleepers.searching(), 0);
}

#[test]
fn one_worker_sleeps_while_two_producers_push() {
    explore(3, || {
        let world = World::new(1);
        let other = producer(&world, 2);
        let workers = vec![worker(&world, 0, 2)];
        world.produce(1);
        other.join().unwrap();
        finish(&world, workers, 3);
    });
}

#[test]
fn two_sleepers_get_two_tasks_of_one_producer() {
    // Each worker is busy for ever with its first task: if the second is not woken, nobody runs the other.
    explore(2, || {
        let world = World::new(2);
        let workers = (0..2).map(|index| worker(&world, index, 1)).collect();
        world.produce(1);
        world.produce(2);
        finish(&world, workers, 3);
    });
}

#[test]
fn two_sleepers_get_two_tasks_of_two_producers() {
    explore(2, || {
        let world = World::new(2);
        let other = producer(&world, 2);
        let workers = (0..2).map(|index| worker(&world, index, 1)).collect();
        world.produce(1);
        other.join().unwrap();
        finish(&world, workers, 3);
    });
}

#[test]
fn a_burst_wakes_one_after_the_other() {
    // All sleep before the first push. The second push and the third share the bit, so it takes a chain to wake the
    // third worker.
    explore_later(2, || {
        let world = World::new(3);
        let workers = (0..3).map(|index| worker(&world, index, 1)).collect();
        while world.sleepers.sleeping() < 3 {
            thread::yield_now();
        }
        loom::explore();
        for token in 1..=3 {
            world.produce(token);
        }
        finish(&world, workers, 6);
    });
}

#[test]
fn the_last_searcher_hands_on() {
    // Both sleep before the first push; the second push leaves the call to the first worker.
    explore_later(3, || {
        let world = World::new(2);
        let workers = (0..2).map(|index| worker(&world, index, 1)).collect();
        while world.sleepers.sleeping() < 2 {
            thread::yield_now();
        }
        loom::explore();
        world.produce(1);
        world.produce(2);
        finish(&world, workers, 3);
    });
}

#[test]
fn a_busy_worker_takes_what_a_sleeper_was_called_for() {
    // The main thread is a worker whose own pop competes with the one that it woke, and who sleeps in the end.
    explore(2, || {
        let world = World::new(2);
        let other = worker(&world, 1, 1);
        world.produce(1);
        let mut mine = 0;
        if let Some(token) = world.bag.take() {
            mine += token;
            world.produce(2);
        } else {
            world.produce(2);
            mine += world.bag.take().unwrap_or(0);
        }
        let theirs = other.join().unwrap();
        mine += world.bag.take().unwrap_or(0);
        assert_eq!(mine + theirs, 3);
        assert_eq!(world.sleepers.sleeping() + world.sleepers.searching(), 0);
    });
}

#[test]
fn a_stop_reaches_workers_that_announce_themselves() {
    explore(2, || {
        let world = World::new(2);
        let workers: Vec<_> = (0..2)
            .map(|index| {
                let world = world.clone();
                thread::spawn(move || assert_eq!(world.next(index), None))
            })
            .collect();
        world.stop.store(true, Ordering::Relaxed);
        world.sleepers.wake_all();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(world.sleepers.sleeping() + world.sleepers.searching(), 0);
    });
}

#[test]
fn a_worker_that_stops_passes_on_the_call_that_it_got() {
    // One worker alone is told to stop. If the push wakes that one, it has to wake the other in its slot.
    explore(2, || {
        let world = World::new(2);
        let stopping = {
            let world = world.clone();
            thread::spawn(move || {
                if world.next(0).is_some() {
                    // It had not seen the stop yet. The other needs a task, too.
                    world.produce(2);
                }
            })
        };
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let pop = || world.bag.take();
                world.sleepers.next(1, pop, || false, || false, || ())
            })
        };
        world.stop.store(true, Ordering::Relaxed);
        world.produce(1);
        assert!(other.join().unwrap().is_some());
        world.sleepers.wake_all();
        stopping.join().unwrap();
        assert_eq!(world.sleepers.sleeping() + world.sleepers.searching(), 0);
    });
}

/// A worker that waits for something in its seat. If it is told of a task, it takes it, and is busy for ever, as the thread would
/// be that gets its seat.
fn resting(world: &Arc<World>, event: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (world, event) = (world.clone(), event.clone());
    thread::spawn(move || {
        loop {
            let mut found = None;
            let has_work = || {
                found = world.bag.take();
                found.is_some()
            };
            if world.sleepers.rest(0, || event.load(Ordering::Acquire), has_work) {
                return 0;
            }
            if let Some(token) = found.or_else(|| world.bag.take()) {
                return token;
            }
        }
    })
}

fn happen(world: &World, event: &AtomicBool) {
    event.store(true, Ordering::Release);
    world.sleepers.unparker(0).unpark();
}

#[test]
fn a_worker_that_rests_wakes_when_it_happens() {
    explore(3, || {
        let (world, event) = (World::new(1), Arc::new(AtomicBool::new(false)));
        let worker = resting(&world, &event);
        happen(&world, &event);
        finish(&world, vec![worker], 0);
    });
}

#[test]
fn a_worker_that_rests_is_called_for_work() {
    // What it waits for does not happen.
    explore(3, || {
        let (world, event) = (World::new(1), Arc::new(AtomicBool::new(false)));
        let worker = resting(&world, &event);
        world.produce(1);
        finish(&world, vec![worker], 1);
    });
}

#[test]
fn a_call_for_a_worker_that_rests_goes_on_to_one_that_sleeps() {
    explore(2, || {
        let (world, event) = (World::new(2), Arc::new(AtomicBool::new(false)));
        let workers = vec![resting(&world, &event), worker(&world, 1, 1)];
        world.produce(1);
        world.produce(2);
        finish(&world, workers, 3);
    });
}

#[test]
fn an_invitation_reaches_the_only_worker() {
    explore(3, || {
        let world = World::new(1);
        let worker = worker(&world, 0, 1);
        let _ = world.bag.push(1, Priority::Normal);
        world.sleepers.invite();
        finish(&world, vec![worker], 1);
    });
}

#[test]
fn a_wake_for_nothing_does_no_harm() {
    explore(2, || {
        let world = World::new(2);
        let workers = (0..2).map(|index| worker(&world, index, 1)).collect();
        world.sleepers.wake_all();
        world.produce(1);
        world.produce(2);
        finish(&world, workers, 3);
    });
}

#[test]
fn work_stealing_workers_sleep_and_wake() {
    // The two halves together: the second task may be in the first worker's hands, in a batch, when the second worker
    // looks for the last time; and the first worker is busy for ever.
    explore(2, || {
        let scheduler = WorkStealing::new();
        let sleepers = Arc::new(Sleepers::new(2));
        let workers: Vec<_> = scheduler
            .start(2)
            .into_iter()
            .enumerate()
            .map(|(index, mut local)| {
                let sleepers = sleepers.clone();
                thread::spawn(move || {
                    let first = local.pop();
                    first
                        .or_else(|| sleepers.next(index, || local.pop(), || false, || false, || ()))
                })
            })
            .collect();
        for token in 1..=2 {
            let _ = scheduler.push(token, Priority::Normal);
            sleepers.notify();
        }
        let taken: usize = workers.into_iter().map(|it| it.join().unwrap().unwrap()).sum();
        assert_eq!(taken, 3);
    });
}

/// A worker whose work only it can find, and that is busy for ever with the first of it.
fn placed(world: &Arc<World>, own: &Bag, index: usize) -> JoinHandle<usize> {
    let (world, own) = (world.clone(), own.clone());
    thread::spawn(move || {
        let stop = || world.stop.load(Ordering::Relaxed);
        world.sleepers.next(index, || own.take(), || false, stop, || ()).expect("nobody stops it")
    })
}

fn slot(world: &World, own: &Bag, index: usize, token: usize) {
    let _ = own.push(token, Priority::Normal);
    world.sleepers.notify_worker(index);
}

#[test]
fn the_one_worker_that_finds_it_is_woken() {
    explore(3, || {
        let (world, own) = (World::new(1), Bag::new());
        let worker = placed(&world, &own, 0);
        slot(&world, &own, 0, 1);
        finish(&world, vec![worker], 1);
    });
}

#[test]
fn each_of_two_workers_is_woken_for_its_own() {
    explore(2, || {
        let (world, own) = (World::new(2), [Bag::new(), Bag::new()]);
        let workers = (0..2).map(|index| placed(&world, &own[index], index)).collect();
        slot(&world, &own[1], 1, 2);
        slot(&world, &own[0], 0, 1);
        finish(&world, workers, 3);
    });
}

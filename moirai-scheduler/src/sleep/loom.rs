//! Models of the sleep protocol. A wake-up that is lost leaves a worker parked, which loom reports as a deadlock.

use crate::sleep::HookedSleep;
use crate::{Sleepers, WorkStealing};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::{self, JoinHandle};
use moirai_core::{LocalQueue, Priority, Scheduler};
use moirai_sync::Parker;

use crate::tests::bag::Bag;
use crate::tests::models::{explore, explore_later};

/// What the threads of a model share.
struct Model {
    bag: Bag,
    sleepers: Sleepers,
    stop: AtomicBool,
}

impl Model {
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
        self.sleepers.next(worker, |_| self.bag.take(), || false, stop, || ())
    }
}

/// A worker that takes `tasks` tasks, and is busy forever after that.
fn worker(model: &Arc<Model>, index: usize, tasks: usize) -> JoinHandle<usize> {
    let model = model.clone();
    thread::spawn(move || (0..tasks).map(|_| model.next(index).expect("it is not stopped")).sum())
}

fn producer(model: &Arc<Model>, token: usize) -> JoinHandle<()> {
    let model = model.clone();
    thread::spawn(move || model.produce(token))
}

/// Waits for all workers. What they took must add up to `sum`, and no worker may still be counted as sleeping or searching.
fn finish(model: &Model, workers: Vec<JoinHandle<usize>>, sum: usize) {
    let taken: usize = workers.into_iter().map(|it| it.join().unwrap()).sum();
    assert_eq!(taken, sum);
    assert_eq!(model.sleepers.sleeping(), 0);
    assert_eq!(model.sleepers.searching(), 0);
}

#[test]
fn one_worker_sleeps_while_two_producers_push() {
    explore(3, || {
        let model = Model::new(1);
        let other = producer(&model, 2);
        let workers = vec![worker(&model, 0, 2)];
        model.produce(1);
        other.join().unwrap();
        finish(&model, workers, 3);
    });
}

#[test]
fn two_sleepers_get_two_tasks_of_one_producer() {
    // Each worker is busy forever with its first task: if the second worker is not woken, no thread runs the other task.
    explore(2, || {
        let model = Model::new(2);
        let workers = (0..2).map(|index| worker(&model, index, 1)).collect();
        model.produce(1);
        model.produce(2);
        finish(&model, workers, 3);
    });
}

#[test]
fn two_sleepers_get_two_tasks_of_two_producers() {
    explore(2, || {
        let model = Model::new(2);
        let other = producer(&model, 2);
        let workers = (0..2).map(|index| worker(&model, index, 1)).collect();
        model.produce(1);
        other.join().unwrap();
        finish(&model, workers, 3);
    });
}

#[test]
fn a_burst_wakes_one_after_the_other() {
    // All sleep before the first push. The second and the third push share the pending wake-up, so it takes a chain to wake the
    // third worker.
    explore_later(2, || {
        let model = Model::new(3);
        let workers = (0..3).map(|index| worker(&model, index, 1)).collect();
        while model.sleepers.sleeping() < 3 {
            thread::yield_now();
        }
        loom::explore();
        for token in 1..=3 {
            model.produce(token);
        }
        finish(&model, workers, 6);
    });
}

#[test]
fn the_last_searcher_wakes_the_next_worker() {
    // Both sleep before the first push; the second push leaves its wake-up to the first worker.
    explore_later(3, || {
        let model = Model::new(2);
        let workers = (0..2).map(|index| worker(&model, index, 1)).collect();
        while model.sleepers.sleeping() < 2 {
            thread::yield_now();
        }
        loom::explore();
        model.produce(1);
        model.produce(2);
        finish(&model, workers, 3);
    });
}

#[test]
fn a_busy_worker_takes_what_a_sleeper_was_notified_of() {
    // The main thread is a worker that never sleeps, and whose own looks compete with those of the worker that it wakes.
    explore(2, || {
        let model = Model::new(2);
        let other = worker(&model, 1, 1);
        model.produce(1);
        let mut mine = 0;
        if let Some(token) = model.bag.take() {
            mine += token;
            model.produce(2);
        } else {
            model.produce(2);
            mine += model.bag.take().unwrap_or(0);
        }
        let theirs = other.join().unwrap();
        mine += model.bag.take().unwrap_or(0);
        assert_eq!(mine + theirs, 3);
        assert_eq!(model.sleepers.sleeping() + model.sleepers.searching(), 0);
    });
}

/// A worker that sleeps in a hook, whose token is that of a parker.
struct Hooked {
    model: Model,
    parker: loom::sync::Mutex<Parker>,
    /// A place in which only the worker looks.
    own: Bag,
}

impl Hooked {
    fn new(workers: usize) -> Arc<Self> {
        let parker = Parker::new();
        let unparker = parker.unparker();
        let sleepers = Sleepers::new(workers).with_unpark(move |worker| {
            if worker == 0 {
                unparker.unpark();
            }
        });
        let model = Model { bag: Bag::new(), sleepers, stop: AtomicBool::new(false) };
        Arc::new(Self { model, parker: loom::sync::Mutex::new(parker), own: Bag::new() })
    }

    fn pop(&self) -> Option<usize> {
        self.own.take().or_else(|| self.model.bag.take())
    }

    /// Returns the next task. `in_sleep` is called before the worker blocks, and returns whether it may.
    fn next(&self, mut in_sleep: impl FnMut(&HookedSleep<'_>) -> bool) -> usize {
        let park = |sleep: &HookedSleep<'_>| {
            if in_sleep(sleep) {
                self.parker.lock().unwrap().park();
            }
        };
        self.model.sleepers.next_in_hook(0, |_| self.pop(), || false, park).expect("no stop")
    }

    fn resume(&self, sleep: &HookedSleep<'_>) -> bool {
        sleep.resume(|| !self.own.is_empty() || !self.model.bag.is_empty())
    }
}

#[test]
fn a_worker_finds_what_it_pushes_in_its_own_sleep() {
    explore(3, || {
        let hooked = Hooked::new(1);
        let mut slept = false;
        let taken = hooked.next(|sleep| {
            let _ = hooked.own.push(1, Priority::Normal);
            let _ = sleep.notify_own();
            slept = true;
            true
        });
        assert_eq!((taken, slept), (1, true));
        assert_eq!(hooked.model.sleepers.sleeping() + hooked.model.sleepers.searching(), 0);
    });
}

#[test]
fn a_worker_that_pushes_in_its_sleep_may_be_notified_by_others() {
    explore(3, || {
        let hooked = Hooked::new(1);
        let producer = thread::spawn({
            let hooked = hooked.clone();
            move || hooked.model.produce(2)
        });
        let mut taken = 0;
        let mut pushed = false;
        while taken < 3 {
            taken += hooked.next(|sleep| {
                if !std::mem::replace(&mut pushed, true) {
                    let _ = hooked.own.push(1, Priority::Normal);
                    let _ = sleep.notify_own();
                }
                true
            });
            // Without a sleep it has not pushed.
            if !std::mem::replace(&mut pushed, true) {
                taken += 1;
            }
        }
        producer.join().unwrap();
        assert_eq!(taken, 3);
        assert_eq!(hooked.model.sleepers.sleeping() + hooked.model.sleepers.searching(), 0);
    });
}

#[test]
fn a_worker_sees_after_its_sleep_was_suspended_what_was_pushed_meanwhile() {
    explore(3, || {
        let hooked = Hooked::new(1);
        let producer = thread::spawn({
            let hooked = hooked.clone();
            move || hooked.model.produce(2)
        });
        let taken = hooked.next(|sleep| {
            let _ = sleep.suspend();
            hooked.resume(sleep)
        });
        producer.join().unwrap();
        assert_eq!(taken, 2);
        assert_eq!(hooked.model.sleepers.sleeping() + hooked.model.sleepers.searching(), 0);
    });
}

#[test]
fn what_a_worker_leaves_when_its_sleep_is_suspended_is_done_by_another() {
    // The first worker is busy for ever in its hook. What was pushed before or after that must wake the other, which sleeps.
    explore_later(2, || {
        let hooked = Hooked::new(2);
        let other = thread::spawn({
            let hooked = hooked.clone();
            move || hooked.model.next(1).expect("it is not stopped")
        });
        while hooked.model.sleepers.sleeping() < 1 {
            thread::yield_now();
        }
        loom::explore();
        let producer = thread::spawn({
            let hooked = hooked.clone();
            move || hooked.model.produce(2)
        });
        let mut mine = 0;
        let mut other = Some(other);
        let taken = hooked.next(|sleep| {
            if sleep.suspend() {
                // It goes on only when the other has done the task.
                mine = other.take().map_or(0, |other| other.join().unwrap());
                let _ = hooked.own.push(1, Priority::Normal);
            }
            hooked.resume(sleep)
        });
        producer.join().unwrap();
        match other {
            // The task was found before the sleep, so the other still sleeps.
            Some(other) => {
                assert_eq!(taken, 2);
                hooked.model.produce(3);
                assert_eq!(other.join().unwrap(), 3);
            }
            None => assert_eq!((taken, mine), (1, 2)),
        }
        assert_eq!(hooked.model.sleepers.sleeping() + hooked.model.sleepers.searching(), 0);
    });
}

#[test]
fn a_stop_reaches_a_worker_whose_sleep_is_suspended() {
    explore(3, || {
        let hooked = Hooked::new(1);
        let stopping = thread::spawn({
            let hooked = hooked.clone();
            move || {
                hooked.model.stop.store(true, Ordering::Relaxed);
                hooked.model.sleepers.wake_all();
            }
        });
        let stop = || hooked.model.stop.load(Ordering::Relaxed);
        // It never resumes its sleep by itself, as if there was always something to run in the hook.
        let park = |sleep: &HookedSleep<'_>| {
            if sleep.suspend() {
                hooked.parker.lock().unwrap().park();
            }
        };
        assert_eq!(hooked.model.sleepers.next_in_hook(0, |_| None::<usize>, stop, park), None);
        stopping.join().unwrap();
        assert_eq!(hooked.model.sleepers.sleeping() + hooked.model.sleepers.searching(), 0);
    });
}

#[test]
fn a_sleep_that_is_resumed_in_its_own_last_look_is_announced_once() {
    explore(1, || {
        let hooked = Hooked::new(1);
        let sleepers = &hooked.model.sleepers;
        let mut looked = false;
        let taken = hooked.next(|sleep| {
            assert!(sleep.suspend());
            let goes_on = sleep.resume(|| {
                looked = true;
                // A destructor or a scheduler that is called in the look may call this again, and again.
                for _ in 0..2 {
                    let _ = sleep.resume(|| false);
                    assert_eq!(sleepers.sleeping(), 1);
                }
                false
            });
            let _ = hooked.own.push(1, Priority::Normal);
            assert!(sleep.notify_own());
            goes_on
        });
        assert_eq!((taken, looked), (1, true));
        assert_eq!(sleepers.sleeping() + sleepers.searching(), 0);
    });
}

#[test]
fn a_stop_reaches_workers_that_announce_themselves() {
    explore(2, || {
        let model = Model::new(2);
        let workers: Vec<_> = (0..2)
            .map(|index| {
                let model = model.clone();
                thread::spawn(move || assert_eq!(model.next(index), None))
            })
            .collect();
        model.stop.store(true, Ordering::Relaxed);
        model.sleepers.wake_all();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(model.sleepers.sleeping() + model.sleepers.searching(), 0);
    });
}

#[test]
fn a_worker_that_stops_passes_on_its_wake_up() {
    // Only one of the workers is told to stop. If the push wakes that one, it has to wake the other in its place.
    explore(2, || {
        let model = Model::new(2);
        let stopping = {
            let model = model.clone();
            thread::spawn(move || {
                if model.next(0).is_some() {
                    // It has not seen the stop yet. The other worker needs a task, too.
                    model.produce(2);
                }
            })
        };
        let other = {
            let model = model.clone();
            thread::spawn(move || {
                let pop = |_| model.bag.take();
                model.sleepers.next(1, pop, || false, || false, || ())
            })
        };
        model.stop.store(true, Ordering::Relaxed);
        model.produce(1);
        assert!(other.join().unwrap().is_some());
        model.sleepers.wake_all();
        stopping.join().unwrap();
        assert_eq!(model.sleepers.sleeping() + model.sleepers.searching(), 0);
    });
}

/// A worker that waits for an event while it keeps its core. If there is a task for it, it takes the task and is busy forever, as
/// the thread that gets its core would be.
fn resting(model: &Arc<Model>, event: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (model, event) = (model.clone(), event.clone());
    thread::spawn(move || {
        loop {
            let mut found = None;
            let has_work = || {
                found = model.bag.take();
                found.is_some()
            };
            if model.sleepers.rest(0, || event.load(Ordering::Acquire), has_work) {
                return 0;
            }
            if let Some(token) = found.or_else(|| model.bag.take()) {
                return token;
            }
        }
    })
}

fn happen(model: &Model, event: &AtomicBool) {
    event.store(true, Ordering::Release);
    model.sleepers.unparker(0).unpark();
}

#[test]
fn a_worker_that_rests_wakes_when_it_happens() {
    explore(3, || {
        let (model, event) = (Model::new(1), Arc::new(AtomicBool::new(false)));
        let worker = resting(&model, &event);
        happen(&model, &event);
        finish(&model, vec![worker], 0);
    });
}

#[test]
fn a_worker_that_rests_is_notified_of_work() {
    // The event does not happen.
    explore(3, || {
        let (model, event) = (Model::new(1), Arc::new(AtomicBool::new(false)));
        let worker = resting(&model, &event);
        model.produce(1);
        finish(&model, vec![worker], 1);
    });
}

#[test]
fn a_worker_that_rests_passes_its_wake_up_on_to_one_that_sleeps() {
    explore(2, || {
        let (model, event) = (Model::new(2), Arc::new(AtomicBool::new(false)));
        let workers = vec![resting(&model, &event), worker(&model, 1, 1)];
        model.produce(1);
        model.produce(2);
        finish(&model, workers, 3);
    });
}

#[test]
fn an_invitation_reaches_the_only_worker() {
    explore(3, || {
        let model = Model::new(1);
        let worker = worker(&model, 0, 1);
        let _ = model.bag.push(1, Priority::Normal);
        model.sleepers.invite();
        finish(&model, vec![worker], 1);
    });
}

#[test]
fn a_wake_for_nothing_does_no_harm() {
    explore(2, || {
        let model = Model::new(2);
        let workers = (0..2).map(|index| worker(&model, index, 1)).collect();
        model.sleepers.wake_all();
        model.produce(1);
        model.produce(2);
        finish(&model, workers, 3);
    });
}

#[test]
fn work_stealing_workers_sleep_and_wake() {
    // The scheduler and the protocol together: the second task may be in a batch that the first worker is moving when the second
    // worker looks for the last time; and the first worker is busy forever.
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
                    first.or_else(|| {
                        sleepers.next(index, |_| local.pop(), || false, || false, || ())
                    })
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

/// A worker whose work only it can find, and that is busy forever with the first task of it.
fn placed(model: &Arc<Model>, own: &Bag, index: usize) -> JoinHandle<usize> {
    let (model, own) = (model.clone(), own.clone());
    thread::spawn(move || {
        let stop = || model.stop.load(Ordering::Relaxed);
        model
            .sleepers
            .next(index, |_| own.take(), || false, stop, || ())
            .expect("it is not stopped")
    })
}

fn push_for(model: &Model, own: &Bag, index: usize, token: usize) {
    let _ = own.push(token, Priority::Normal);
    model.sleepers.notify_worker(index);
}

#[test]
fn the_one_worker_that_finds_it_is_woken() {
    explore(3, || {
        let (model, own) = (Model::new(1), Bag::new());
        let worker = placed(&model, &own, 0);
        push_for(&model, &own, 0, 1);
        finish(&model, vec![worker], 1);
    });
}

#[test]
fn each_of_two_workers_is_woken_for_its_own() {
    explore(2, || {
        let (model, own) = (Model::new(2), [Bag::new(), Bag::new()]);
        let workers = (0..2).map(|index| placed(&model, &own[index], index)).collect();
        push_for(&model, &own[1], 1, 2);
        push_for(&model, &own[0], 0, 1);
        finish(&model, workers, 3);
    });
}

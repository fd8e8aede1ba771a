//! Tests of a park hook: idle workers sleep in a driver that runs jobs, as that of an I/O library runs wakers and tasks.

mod common;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::{Counter, Gate, named, threads, wait_until, watchdog};
use moirai::prelude::*;
use moirai::{ParkHook, idle};

type Job = Box<dyn FnOnce() + Send>;

/// Jobs, and workers that sleep until there is one.
#[derive(Clone, Default)]
struct Driver(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    parks: Counter,
    panics: AtomicBool,
}

#[derive(Default)]
struct State {
    tokens: Vec<bool>,
    jobs: VecDeque<Job>,
    /// The thread that drives, if there is one, is inside; others only wait for their tokens.
    inside: usize,
}

impl Driver {
    /// Has a job run by whoever drives.
    fn post(&self, job: impl FnOnce() + Send + 'static) {
        self.0.state.lock().unwrap().jobs.push_back(Box::new(job));
        self.0.changed.notify_all();
    }

    /// Like [`post`](Self::post), with a job that may take long.
    fn post_long(&self, job: impl FnOnce() + Send + 'static) {
        self.post(move || {
            let _ = idle::suspend();
            job();
        });
    }
}

impl ParkHook for Inner {
    fn start(&self, workers: usize) {
        self.state.lock().unwrap().tokens.resize(workers, false);
    }

    fn park(&self, worker: usize) {
        self.parks.add();
        assert!(!self.panics.load(Ordering::Relaxed), "{}", common::ON_PURPOSE);
        let mut state = self.state.lock().unwrap();
        state.inside += 1;
        loop {
            if std::mem::take(&mut state.tokens[worker]) {
                break;
            }
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                let goes_on = idle::resume();
                state = self.state.lock().unwrap();
                if !goes_on {
                    break;
                }
                continue;
            }
            state = self.changed.wait(state).unwrap();
        }
        state.inside -= 1;
    }

    fn unpark(&self, worker: usize) {
        self.state.lock().unwrap().tokens[worker] = true;
        self.changed.notify_all();
    }

    fn poll(&self) {
        self.state.lock().unwrap().inside += 1;
        loop {
            let job = self.state.lock().unwrap().jobs.pop_front();
            let Some(job) = job else { break };
            job();
        }
        self.state.lock().unwrap().inside -= 1;
    }

    fn is_driven(&self) -> bool {
        self.state.lock().unwrap().inside > 0
    }
}

impl ExecutorPlugin for Driver {
    fn park_hook(&self) -> Option<Arc<dyn ParkHook>> {
        Some(Arc::clone(&self.0) as Arc<dyn ParkHook>)
    }
}

#[test]
fn work_of_every_kind_is_done() {
    let _watchdog = watchdog();
    let driver = Driver::default();
    let executor = named("ph-all", 2).plugin(driver.clone()).build().unwrap();
    for round in 0..300_u64 {
        let (first, second) = (executor.clone(), executor.clone());
        let tree = executor.spawn_async(async move {
            let inner = first.spawn_async(async move {
                yield_now().await;
                round
            });
            inner.await.unwrap() + 1
        });
        let forked = executor.spawn_parallel(move || second.join(|| round, || round));
        let blocking = executor.spawn_blocking(move || round);
        assert_eq!(tree.join().unwrap(), round + 1);
        assert_eq!(forked.join().unwrap(), (round, round));
        assert_eq!(blocking.join().unwrap(), round);
    }
    assert!(driver.0.parks.get() > 0);
    executor.shutdown();
    assert_eq!(driver.0.state.lock().unwrap().inside, 0, "all workers have left the hook");
}

#[test]
fn a_task_that_is_woken_in_a_workers_sleep_is_run() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let driver = Driver::default();
        let executor = named("ph-wake", workers).plugin(driver.clone()).build().unwrap();
        for round in 0..500_usize {
            let gates: Vec<_> = (0..3).map(|_| Gate::new()).collect();
            let tasks: Vec<_> = gates
                .iter()
                .map(|gate| {
                    let gate = gate.clone();
                    executor.spawn_async(async move { gate.passed().await })
                })
                .collect();
            if round % 2 == 0 {
                let ids: Vec<_> = tasks.iter().map(|task| task.id()).collect();
                wait_until("all wait", || {
                    ids.iter().all(|&id| executor.task_stats(id).unwrap().polls > 0)
                });
            }
            driver.post(move || gates.iter().for_each(Gate::open));
            tasks.into_iter().for_each(|task| task.join().unwrap());
        }
    }
}

#[test]
fn code_in_a_workers_sleep_may_spawn_and_wait() {
    let _watchdog = watchdog();
    for workers in [1, 2] {
        let driver = Driver::default();
        let executor = named("ph-wait", workers).plugin(driver.clone()).build().unwrap();
        for _ in 0..20 {
            let (done, result) = std::sync::mpsc::channel();
            driver.post_long(move || {
                let here = Moirai::current().expect("the hook runs on a thread of the executor");
                let sum = here.spawn_async(async { 1 }).join().unwrap();
                let (a, b) = here.join(|| 2, || 3);
                done.send(sum + a + b).unwrap();
            });
            assert_eq!(result.recv().unwrap(), 6);
        }
        // What was spawned meanwhile is run although nobody is awake.
        executor.spawn_async(async {}).join().unwrap();
    }
}

#[test]
fn work_does_not_wait_for_code_in_a_workers_sleep() {
    let _watchdog = watchdog();
    let driver = Driver::default();
    let executor = named("ph-long", 2).plugin(driver.clone()).build().unwrap();
    let (inside, gate) = (Gate::new(), Gate::new());
    driver.post_long({
        let (inside, gate) = (inside.clone(), gate.clone());
        move || {
            inside.open();
            gate.wait();
        }
    });
    inside.wait();
    wait_until("it is known", || executor.runtime_stats().workers_in("park_hook") == 1);
    for _ in 0..100 {
        executor.spawn_async(yield_now()).join().unwrap();
    }
    gate.open();
    wait_until("both sleep again", || executor.runtime_stats().workers_in("parked") == 2);
}

#[test]
fn busy_workers_and_stuck_ones_do_not_keep_the_driver_waiting() {
    let _watchdog = watchdog();
    let driver = Driver::default();
    let executor = named("ph-busy", 1).plugin(driver.clone()).build().unwrap();
    let stop = Gate::new();
    let busy = executor.spawn_async({
        let stop = stop.clone();
        async move {
            while !stop.is_open() {
                yield_now().await;
            }
        }
    });
    let posted = |driver: &Driver| {
        let (done, result) = std::sync::mpsc::channel();
        driver.post(move || done.send(threads::own_name()).unwrap());
        result.recv().unwrap()
    };
    wait_until("the worker is busy", || executor.task_stats(busy.id()).unwrap().polls > 10);
    assert_eq!(posted(&driver), "ph-busy-worker-0");
    stop.open();
    busy.join().unwrap();
    // The only worker is stuck.
    let (inside, gate) = (Gate::new(), Gate::new());
    let stuck = executor.spawn_parallel({
        let (inside, gate) = (inside.clone(), gate.clone());
        move || {
            inside.open();
            gate.wait();
        }
    });
    inside.wait();
    assert_eq!(posted(&driver), "ph-busy-comp-1");
    assert_eq!(posted(&driver), "ph-busy-comp-1");
    gate.open();
    stuck.join().unwrap();
}

#[test]
fn a_hook_that_panics_is_not_used_any_more() {
    let _watchdog = watchdog();
    let driver = Driver::default();
    driver.0.panics.store(true, Ordering::Relaxed);
    let executor = named("ph-panic", 2).plugin(driver.clone()).build().unwrap();
    for _ in 0..100 {
        executor.spawn_async(yield_now()).join().unwrap();
    }
    wait_until("a worker has slept", || driver.0.parks.get() > 0);
    assert!(driver.0.parks.get() <= 2, "once for each worker");
    executor.shutdown();
}

#[test]
fn a_second_park_hook_is_refused() {
    let _watchdog = watchdog();
    let builder = named("ph-two", 1).plugin(Driver::default()).plugin(Driver::default());
    let error = builder.build().unwrap_err();
    assert_eq!(error.field(), Some("plugin"));
    assert!(error.to_string().contains("at most one"), "{error}");
}

#[test]
fn at_rest_no_thread_wakes() {
    let _watchdog = watchdog();
    let executor = named("ph-rest", 2).plugin(Driver::default()).build().unwrap();
    executor.spawn_async(async {}).join().unwrap();
    // It is promised that from some moment on no thread wakes, but not how soon that is.
    wait_until("no thread has woken for a while", || {
        let before = threads::sleeps("ph-rest");
        std::thread::sleep(Duration::from_millis(200));
        before == threads::sleeps("ph-rest")
    });
    executor.spawn_async(async {}).join().unwrap();
}

#[test]
fn a_drain_admits_what_the_hook_spawns_on_a_thread_that_has_lost_its_core() {
    let _watchdog = watchdog();
    let driver = Driver::default();
    let builder = named("ph-drain", 1).compensation_threads(0).plugin(driver.clone());
    let executor = builder.build().unwrap();
    // The drain goes on as long as this is active.
    let stays = Gate::new();
    let active = executor.spawn_blocking({
        let stays = stays.clone();
        move || stays.wait()
    });
    let (lost, has_lost) = channel();
    let (tell, told) = channel();
    let here = executor.without_owner();
    // While the worker is busy, nobody drives. It does when it is about to be idle.
    let busy = executor.spawn_parallel({
        let driver = driver.clone();
        move || {
            driver.post(move || {
                // Only a spare thread can run this, which has taken the core over.
                here.spawn_async(async {}).join().unwrap();
                lost.send(Moirai::worker_index()).unwrap();
                wait_until("the drain begins", || here.is_shutting_down());
                tell.send(here.spawn_async(async { 7 }).join()).unwrap();
            });
        }
    });
    busy.join().unwrap();
    assert_eq!(has_lost.recv().unwrap(), None, "the thread is no worker any more");
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| executor.drain(Duration::from_secs(60)));
        let joined = told.recv();
        stays.open();
        assert_eq!(joined.unwrap().unwrap(), 7);
        assert!(draining.join().unwrap().is_clean());
    });
    active.join().unwrap();
}

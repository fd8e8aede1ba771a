//! Tests of schedulers that misbehave, in safe code: they panic, drop tasks, and share a queue with another executor.
//!
//! They hold a part of promise P20 (a scheduler keeps its contract and its guarantees) of `docs/src/guarantees.md`: what happens if
//! it does not.

mod common;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{
    Blocked, Gate, ON_PURPOSE, block_only_worker, silence_expected_panics, wait_until, watchdog,
};
use moirai::CancelCause;
use moirai::prelude::*;
use moirai::scheduler::{LocalQueue, QueueReason, Runnable, Scheduler, Visibility};

/// One queue for all workers, which calls hooks of the test.
#[derive(Clone)]
struct Hooked {
    queue: Arc<Mutex<VecDeque<Runnable>>>,
    hooks: Hooks,
}

/// What a test does in the calls of its scheduler.
#[derive(Clone, Copy)]
struct Hooks {
    /// Called with each task that a worker pushes; one that it does not return is dropped or kept by it.
    push: fn(Runnable, QueueReason) -> Option<Runnable>,
    /// Called after a task was pushed.
    pushed: fn(),
    /// Called before each pop.
    pop: fn(),
}

const NO_HOOKS: Hooks = Hooks { push: |task, _| Some(task), pushed: || (), pop: || () };

impl Hooked {
    fn new(hooks: Hooks) -> Self {
        Self { queue: Arc::default(), hooks }
    }
}

impl Scheduler<Runnable> for Hooked {
    type Local = Self;

    fn start(&self, workers: usize) -> Vec<Self> {
        vec![self.clone(); workers]
    }

    fn push(&self, task: Runnable, _: Priority) -> Visibility {
        self.queue.lock().unwrap().push_back(task);
        (self.hooks.pushed)();
        Visibility::Shared
    }

    fn take(&self) -> Option<Runnable> {
        self.queue.lock().unwrap().pop_front()
    }

    fn len(&self) -> usize {
        self.queue.lock().unwrap().len()
    }
}

impl LocalQueue<Runnable> for Hooked {
    fn push(&mut self, task: Runnable, _: Priority, reason: QueueReason) -> Visibility {
        let task = (self.hooks.push)(task, reason);
        self.queue.lock().unwrap().extend(task);
        (self.hooks.pushed)();
        Visibility::Shared
    }

    fn pop(&mut self) -> Option<Runnable> {
        (self.hooks.pop)();
        self.queue.lock().unwrap().pop_front()
    }
}

fn executor(workers: usize, scheduler: Hooked) -> Moirai {
    Moirai::builder().worker_threads(workers).scheduler(scheduler).build().unwrap()
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn a_queue_that_panics_while_a_join_waits_does_not_unwind_the_join() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let hooks = Hooks { pop: || assert!(!ARMED.replace(false), "{}", ON_PURPOSE), ..NO_HOOKS };
    let executor = executor(2, Hooked::new(hooks));
    let stolen = Gate::new();
    let (seen, waits) = (stolen.clone(), stolen);
    let joined = executor.clone().spawn_parallel(move || {
        let numbers: Vec<u64> = (0..1_000).collect();
        let ((), sum) = executor.join(
            || {
                seen.wait();
                // The next pop on this thread is that of the wait for the stolen half.
                ARMED.set(true);
            },
            || {
                waits.open();
                // Long enough that the owner goes to sleep.
                std::thread::sleep(std::time::Duration::from_millis(50));
                numbers.iter().sum::<u64>()
            },
        );
        sum
    });
    assert_eq!(joined.join().unwrap(), 499_500);
}

#[test]
fn a_queue_that_panics_again_and_again_leaves_its_workers_running() {
    static PANICS: AtomicBool = AtomicBool::new(false);
    let _watchdog = watchdog();
    silence_expected_panics();
    let pop = || assert!(!PANICS.load(Ordering::SeqCst), "{}", ON_PURPOSE);
    let executor = executor(1, Hooked::new(Hooks { pop, ..NO_HOOKS }));
    executor
        .block_on(executor.spawn_async(async { PANICS.store(true, Ordering::SeqCst) }))
        .unwrap();
    let task = executor.spawn_async(async { 1 });
    PANICS.store(false, Ordering::SeqCst);
    // Another push tells the worker to look again.
    executor.block_on(executor.spawn_async(async {})).unwrap();
    assert_eq!(executor.block_on(task).unwrap(), 1);
}

#[test]
fn a_push_that_panics_cancels_the_task_and_no_other() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let push = |task, reason| {
        assert!(reason != QueueReason::Yielded, "{}", ON_PURPOSE);
        Some(task)
    };
    let executor = executor(1, Hooked::new(Hooks { push, ..NO_HOOKS }));
    let task = executor.spawn_async(async { moirai::yield_now().await });
    let id = task.id();
    assert!(matches!(executor.block_on(task), Err(TaskError::Cancelled)));
    assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
    assert_eq!(executor.task_stats(id).unwrap().cancelled_by, Some(CancelCause::Scheduler));
    let stats = executor.runtime_stats();
    assert_eq!(stats.cancelled_by(CancelCause::Scheduler), 1);
    assert_eq!(stats.cancelled.iter().map(|cancelled| cancelled.tasks).sum::<u64>(), 1);
    assert_eq!(executor.block_on(executor.spawn_async(async { 1 })).unwrap(), 1);
}

#[test]
fn a_task_that_was_given_to_the_scheduler_is_no_longer_the_current_one() {
    static ASKED: Mutex<Option<bool>> = Mutex::new(None);
    let _watchdog = watchdog();
    let push = |task, reason| {
        if reason != QueueReason::Yielded {
            return Some(task);
        }
        // The task is cancelled by this, and its cell may be freed.
        drop(task);
        *ASKED.lock().unwrap() = Some(moirai::is_cancelled());
        None
    };
    let executor = executor(1, Hooked::new(Hooks { push, ..NO_HOOKS }));
    // The handle keeps the cell alive, so that a wrong look at it finds the request to stop.
    let task = executor.spawn_async(async { moirai::yield_now().await });
    assert!(matches!(executor.block_on(task), Err(TaskError::Cancelled)));
    // The task has ended in the middle of the push.
    wait_until("the push has ended", || ASKED.lock().unwrap().is_some());
    assert_eq!(*ASKED.lock().unwrap(), Some(false), "the thread runs no task");
}

struct NotesDrop(Gate);

impl ExecutorPlugin for NotesDrop {}

impl Drop for NotesDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[test]
fn workers_of_two_executors_that_share_a_queue_run_the_tasks_of_both() {
    static RELEASED: AtomicBool = AtomicBool::new(false);
    static IN_PUSH: AtomicBool = AtomicBool::new(false);
    let _watchdog = watchdog();
    let pushed = || {
        if ARMED.replace(false) {
            IN_PUSH.store(true, Ordering::SeqCst);
            wait_until("the first executor is released", || RELEASED.load(Ordering::SeqCst));
        }
    };
    let scheduler = Hooked::new(Hooks { pushed, ..NO_HOOKS });
    let gone = Gate::new();
    // The first executor's own worker is blocked before there is another one, so a worker of the second one takes the next task.
    let builder = Moirai::builder().plugin(NotesDrop(gone.clone())).scheduler(scheduler.clone());
    let Blocked { executor: first, gate: free, blocker } = block_only_worker(builder);
    drop(blocker);
    let second = executor(2, scheduler);
    // Such a worker finds the queue if a task of its own executor is pushed.
    let poke = || drop(second.spawn_async(async {}));
    first.spawn_async(async {
        loop {
            ARMED.set(true);
            moirai::yield_now().await;
        }
    });
    wait_until("a worker pushes the task of the first executor", || {
        poke();
        IN_PUSH.load(Ordering::SeqCst)
    });
    free.open();
    drop(first);
    // A worker is inside of a push to the queue of the first executor, so that must not be gone yet.
    assert!(!gone.is_open(), "an executor is gone while a thread is inside of it");
    RELEASED.store(true, Ordering::SeqCst);
    wait_until("the first executor is gone", || {
        poke();
        gone.is_open()
    });
}

//! What happens when the last handle goes, wherever that is, and what may outlive the executor. And the global executor.

mod common;

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::{Counter, Gate, OnDrop, PURPOSE, named, threads, wait_until, watchdog, workers};
use moirai::prelude::*;

/// What the executor under test had to do when its last handle went.
struct Left {
    prefix: &'static str,
    waiting: TaskHandle<()>,
    drops: Counter,
    dropped_on: mpsc::Receiver<String>,
}

impl Left {
    /// An executor with a task that waits for ever.
    fn new(prefix: &'static str) -> (Moirai, Self) {
        let executor = named(prefix, 1).build().unwrap();
        let drops = Counter::default();
        let (sender, dropped_on) = mpsc::channel();
        let owned = (
            drops.on_drop(),
            OnDrop::new(move || {
                sender.send(threads::own_name()).unwrap();
            }),
        );
        let waiting = executor.spawn_async(async move {
            let _owned = owned;
            pending::<()>().await;
        });
        (executor, Self { prefix, waiting, drops, dropped_on })
    }

    /// Asserts that everything has ended as it should.
    fn assert_ended(self) {
        assert!(self.waiting.join().unwrap_err().is_shut_down());
        assert_eq!(self.drops.get(), 1);
        let thread = self.dropped_on.try_recv().unwrap();
        assert!(thread.starts_with(self.prefix), "dropped on {thread:?}");
        wait_until("no thread is left", || threads::count(self.prefix) == 0);
    }
}

#[test]
fn outside_it_waits_for_the_end() {
    let _watchdog = watchdog();
    let (executor, left) = Left::new("lst-out");
    let clone = executor.clone();
    drop(executor);
    common::assert_runs(&clone);
    drop(clone);
    assert!(left.waiting.is_finished(), "the drop has waited for it");
    left.assert_ended();
}

#[test]
fn inside_a_task_it_does_not_wait_for_itself() {
    let _watchdog = watchdog();
    let (gate, done) = (Gate::new(), Counter::default());
    for (kind, prefix) in ["lst-asy", "lst-par", "lst-blo"].into_iter().enumerate() {
        let (executor, left) = Left::new(prefix);
        let (last, passed, count) = (executor.clone(), gate.clone(), done.clone());
        // The handle of the test is gone before the task lets go of its own.
        let body = move || {
            passed.wait();
            drop(last);
            count.add();
        };
        let handle = match kind {
            0 => executor.spawn_async(async move { body() }),
            1 => executor.spawn_parallel(body),
            _ => executor.spawn_blocking(body),
        };
        drop(executor);
        gate.open();
        // A poll in progress ends as it ends.
        handle.join().unwrap();
        left.assert_ended();
    }
    assert_eq!(done.get(), 3);
}

#[test]
fn with_a_task_that_is_dropped_it_goes_too() {
    let _watchdog = watchdog();
    let (executor, left) = Left::new("lst-own");
    let last = executor.clone();
    let owner = executor.spawn_async(async move {
        let _last = last;
        pending::<()>().await;
    });
    drop(executor);
    // The executor keeps itself alive, until somebody cancels the task.
    owner.cancel();
    assert!(owner.join().is_err());
    left.assert_ended();
}

#[test]
fn during_a_panic_it_does_not_hang() {
    let _watchdog = watchdog();
    let (executor, left) = Left::new("lst-pano");
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _last = executor;
        resume_unwind(Box::new(PURPOSE));
    }));
    assert!(caught.is_err());
    left.assert_ended();

    let (executor, left) = Left::new("lst-pani");
    let (last, gate) = (executor.clone(), Gate::new());
    let passed = gate.clone();
    let handle: TaskHandle<()> = executor.spawn_parallel(move || {
        let _last = last;
        passed.wait();
        resume_unwind(Box::new(PURPOSE));
    });
    drop(executor);
    gate.open();
    assert!(handle.join().unwrap_err().is_panicked());
    left.assert_ended();
}

#[test]
fn within_block_on_it_does_not_hang() {
    let _watchdog = watchdog();
    let (executor, left) = Left::new("lst-blk");
    let borrowed = executor.block_on(async { Moirai::current().unwrap() });
    borrowed.block_on(async move {
        yield_now().await;
        drop(executor);
        yield_now().await;
    });
    left.assert_ended();
    // The same inside a task of another executor.
    let (executor, left) = Left::new("lst-oth");
    let other = workers(1);
    other
        .spawn_async(async move {
            yield_now().await;
            drop(executor);
        })
        .join()
        .unwrap();
    left.assert_ended();
    common::assert_runs(&other);
}

#[test]
fn in_the_destructor_of_a_thread_local_it_does_not_hang() {
    thread_local! {
        static LAST: RefCell<Option<Moirai>> = const { RefCell::new(None) };
    }
    let _watchdog = watchdog();
    for (first, prefix) in [(false, "lst-tls"), (true, "lst-tlf")] {
        let (executor, left) = Left::new(prefix);
        let thread = std::thread::spawn(move || {
            if first {
                // So that the executor's own thread-locals are older, or younger.
                executor.block_on(executor.spawn_async(yield_now())).unwrap();
            }
            LAST.with_borrow_mut(|last| *last = Some(executor));
            LAST.with_borrow(|last| {
                let executor = last.as_ref().unwrap();
                executor.block_on(executor.spawn_async(yield_now())).unwrap();
            });
        });
        thread.join().unwrap();
        left.assert_ended();
    }
}

#[test]
fn a_poll_in_progress_is_not_waited_for_much_longer_than_a_second() {
    let _watchdog = watchdog();
    let (gate, begun) = (Gate::new(), Gate::new());
    let (passed, start) = (gate.clone(), begun.clone());
    let executor = named("lst-poll", 1).build().unwrap();
    let handle = executor.spawn_parallel(move || {
        start.open();
        passed.wait();
        3
    });
    begun.wait();
    let start = Instant::now();
    drop(executor);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(!handle.is_finished());
    gate.open();
    assert_eq!(handle.join().unwrap(), 3);
    wait_until("no thread is left", || threads::count("lst-poll") == 0);
}

#[test]
fn the_current_handle_keeps_nothing_alive() {
    let _watchdog = watchdog();
    let (executor, left) = Left::new("lst-cur");
    let handle = executor.spawn_parallel(|| Moirai::current().unwrap().clone());
    let borrowed = handle.join().unwrap();
    common::assert_runs(&borrowed);
    let id = left.waiting.id();
    drop(executor);
    left.assert_ended();
    assert!(borrowed.is_shutting_down());
    assert_eq!(borrowed.task_status(id), Some(TaskStatus::Cancelled));
    assert!(borrowed.spawn_parallel(|| ()).join().unwrap_err().is_shut_down());
    let report = borrowed.shutdown();
    assert_eq!((report.cancelled, report.still_active), (1, 0));
}

#[test]
fn what_is_queued_is_dropped_unrun() {
    const TASKS: usize = 5_000;
    let _watchdog = watchdog();
    let held = common::hold(named("lst-que", 1));
    let (ran, drops) = (Counter::default(), Counter::default());
    let handles: Vec<_> = (0..TASKS)
        .map(|i| {
            let (ran, owned) = (ran.clone(), drops.on_drop());
            let body = move || {
                let _owned = owned;
                ran.add();
            };
            match i % 3 {
                0 => held.executor.spawn_parallel(body),
                1 => held.executor.spawn_with_priority(body, Priority::Low),
                _ => held.executor.spawn_async(async move { body() }),
            }
        })
        .collect();
    drop(held.executor);
    held.gate.open();
    held.holder.join().unwrap();
    for handle in handles {
        assert!(handle.join().unwrap_err().is_shut_down());
    }
    wait_until("all are dropped", || drops.get() == TASKS);
    assert_eq!(ran.get(), 0);
    wait_until("no thread is left", || threads::count("lst-que") == 0);
}

#[test]
fn wakers_may_outlive_the_executor() {
    let _watchdog = watchdog();
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let executor = workers(2);
    let drops = Counter::default();
    for _ in 0..100 {
        let (wakers, owned) = (Arc::clone(&wakers), drops.on_drop());
        executor.spawn_async(poll_fn(move |context| {
            let _ = &owned;
            wakers.lock().unwrap().push(context.waker().clone());
            Poll::<()>::Pending
        }));
    }
    wait_until("all wait", || wakers.lock().unwrap().len() == 100);
    // Woken while the executor ends, and after it is gone.
    let racing = wakers.lock().unwrap().clone();
    let thread = std::thread::spawn(move || {
        for waker in racing.iter().cycle().take(5_000) {
            waker.wake_by_ref();
        }
    });
    drop(executor);
    thread.join().unwrap();
    let wakers = std::mem::take(&mut *wakers.lock().unwrap());
    wait_until("all are dropped", || drops.get() == 100);
    for waker in &wakers {
        waker.wake_by_ref();
        assert!(waker.will_wake(&waker.clone()));
    }
    wakers.into_iter().for_each(Waker::wake);
}

#[test]
fn a_long_chain_of_drops_does_not_overflow_the_stack() {
    const TASKS: usize = 20_000;
    let _watchdog = watchdog();
    for queued in [false, true] {
        let executor = workers(1);
        let drops = Counter::default();
        // Each task owns what wakes the next, and the handle of the one before.
        let (mut sender, mut receiver) = async_channel::bounded::<()>(1);
        let mut before: Option<TaskHandle<()>> = None;
        let first = sender.clone();
        for _ in 0..TASKS {
            let (next_sender, next_receiver) = async_channel::bounded::<()>(1);
            let owned =
                (std::mem::replace(&mut sender, next_sender), before.take(), drops.on_drop());
            let waits = std::mem::replace(&mut receiver, next_receiver);
            before = Some(executor.spawn_async(async move {
                let _owned = owned;
                let _ = waits.recv().await;
                pending::<()>().await;
            }));
        }
        if !queued {
            wait_until("all wait", || executor.load() == 0);
        }
        drop((before, receiver));
        drop(executor);
        wait_until("all are dropped", || drops.get() == TASKS);
        drop((first, sender));
    }
}

#[test]
fn the_global_executor_serves_whoever_is_in_none() {
    let _watchdog = watchdog();
    let has = |executor: &Moirai, id: TaskId, kind: TaskKind| {
        // Ids are unique within one executor only: the place tells them apart.
        executor.task_stats(id).is_some_and(|stats| {
            stats.kind == kind && stats.location.file() == file!() && stats.status.is_terminal()
        })
    };
    let global = moirai::global();
    assert!(std::ptr::eq(global, moirai::global()));
    let (a, b, c) = (
        moirai::spawn_async(async { 1 }),
        moirai::spawn_parallel(|| 2),
        moirai::spawn_blocking(|| 3),
    );
    let ids = [a.id(), b.id(), c.id()];
    assert_eq!(
        moirai::block_on(async { a.await.unwrap() + b.await.unwrap() + c.await.unwrap() }),
        6
    );
    for (id, kind) in ids.into_iter().zip([TaskKind::Async, TaskKind::Parallel, TaskKind::Blocking])
    {
        assert!(has(global, id, kind));
    }
    // Inside another, that one serves.
    let own = workers(1);
    let id = own.spawn_parallel(|| moirai::spawn_parallel(|| ()).id()).join().unwrap();
    wait_until("it has ended there", || has(&own, id, TaskKind::Parallel));
    let id = own.block_on(async { moirai::spawn_blocking(|| ()).id() });
    wait_until("it has ended there", || has(&own, id, TaskKind::Blocking));
    let inside = moirai::block_on(async { Moirai::current().is_some() });
    assert!(inside && Moirai::current().is_none());
    // A clone that goes ends nothing.
    drop(global.clone());
    assert!(!global.is_shutting_down());
    common::assert_runs(global);
}

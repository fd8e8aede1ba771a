//! Tests of waits on a worker, which hand off its core: an executor of one worker makes progress whatever its tasks wait for. And
//! of the blocking pool, which keeps its limits.
//!
//! They hold a part of promise P14 (nothing unrelated runs on your stack) of `docs/src/guarantees.md`.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use common::{Counter, Gate, assert_runs, named, threads, wait_until, watchdog, workers};
use moirai::EvenAFuture;
use moirai::prelude::*;

#[test]
fn a_task_can_join_another_on_the_only_worker() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let inner = executor.clone();
    let sum = executor.spawn_parallel(move || {
        let a = inner.spawn_parallel(|| 1).join().unwrap();
        let b = inner.spawn_async(async { 2 }).join().unwrap();
        let c = inner.spawn_blocking(|| 3).join().unwrap();
        let d = inner.spawn_async(async { 4 }).join_timeout(common::STEP_TIMEOUT).unwrap().unwrap();
        a + b + c + d
    });
    assert_eq!(sum.join().unwrap(), 10);
    // The same inside an async task, where the wait takes place in the middle of a poll.
    let inner = executor.clone();
    let sum = executor.spawn_async(async move { inner.spawn_async(async { 5 }).join().unwrap() });
    assert_eq!(sum.join().unwrap(), 5);
    assert_runs(&executor);
}

#[test]
fn joins_can_be_nested_fifty_deep() {
    fn depth(executor: &Moirai, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = executor.clone();
        let below = if left.is_multiple_of(2) {
            executor.spawn_parallel(move || depth(&inner, left - 1))
        } else {
            executor.spawn_async(async move { depth(&inner, left - 1) })
        };
        below.join().unwrap() + 1
    }
    let _watchdog = watchdog();
    let executor = workers(1);
    let inner = executor.clone();
    assert_eq!(executor.spawn_parallel(move || depth(&inner, 50)).join().unwrap(), 50);
    assert_runs(&executor);
}

#[test]
fn block_on_makes_progress_on_the_only_worker() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let inner = executor.clone();
    let handle = executor.spawn_parallel(move || {
        inner.block_on(async {
            let handle = moirai::spawn_async(async {
                yield_now().await;
                6
            });
            yield_now().await;
            // One call of `block_on` within another.
            let seven = moirai::block_on(async { moirai::spawn_parallel(|| 7).await.unwrap() });
            handle.await.unwrap() * seven
        })
    });
    assert_eq!(handle.join().unwrap(), 42);
    assert_runs(&executor);
}

#[test]
fn block_in_place_hands_off_the_core() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let inner = executor.clone();
    let handle = executor.spawn_async(async move {
        let (sender, receiver) = mpsc::channel();
        inner.spawn_async(async move { sender.send(8).unwrap() });
        let borrowed = &receiver;
        let first = block_in_place(|| borrowed.recv().unwrap());
        // The task goes on on the same worker.
        yield_now().await;
        (first, Moirai::current().is_some(), Moirai::worker_index())
    });
    assert_eq!(handle.join().unwrap(), (8, true, Some(0)));
    // On threads that are not workers it just calls the closure.
    assert_eq!(block_in_place(|| 9), 9);
    assert_eq!(executor.spawn_blocking(|| block_in_place(|| 10)).join().unwrap(), 10);
}

#[test]
fn other_tasks_run_on_the_only_worker_while_a_task_waits() {
    let _watchdog = watchdog();
    let executor = workers(1);
    type Wait = fn(&Moirai, TaskHandle<()>);
    let waits: [Wait; 4] = [
        |_, handle| handle.join().unwrap(),
        |_, mut handle| handle.join_timeout(common::STEP_TIMEOUT).unwrap().unwrap(),
        |executor, handle| executor.block_on(handle).unwrap(),
        |_, handle| block_in_place(|| futures_lite::future::block_on(handle)).unwrap(),
    ];
    for wait in waits {
        let (gate, begun) = (Gate::new(), Gate::new());
        let (passed, start, inner) = (gate.clone(), begun.clone(), executor.clone());
        let waiting = executor.spawn_parallel(move || {
            let below = inner.spawn_async(async move { passed.passed().await });
            start.open();
            wait(&inner, below);
        });
        begun.wait();
        for i in 0..50 {
            let task = executor.spawn_async(async move {
                yield_now().await;
                i
            });
            assert_eq!(task.join().unwrap(), i);
            assert_eq!(executor.spawn_parallel(move || i).join().unwrap(), i);
        }
        assert!(!waiting.is_finished());
        gate.open();
        waiting.join().unwrap();
    }
}

#[test]
fn a_task_that_waits_for_itself_gets_an_error() {
    let _watchdog = watchdog();
    let executor = workers(1);
    // It waits by `join`, in an async task and in closures.
    let (sender, receiver) = async_channel::bounded::<TaskHandle<bool>>(1);
    let own = receiver.clone();
    let handle = executor.spawn_async(async move {
        own.recv().await.unwrap().join().is_err_and(|error| error.is_would_deadlock())
    });
    let id = handle.id();
    sender.send_blocking(handle).unwrap();
    assert_completes(&executor, id);
    for blocking in [false, true] {
        let own = receiver.clone();
        let wait = move || {
            let mut handle = own.recv_blocking().unwrap();
            let timed = handle.join_timeout(Duration::MAX).unwrap();
            assert!(timed.unwrap_err().is_would_deadlock());
            assert!(handle.try_join().is_none(), "a look is not a wait");
            let result = handle.join();
            assert!(result.unwrap_err().is_would_deadlock());
            true
        };
        let handle =
            if blocking { executor.spawn_blocking(wait) } else { executor.spawn_parallel(wait) };
        let id = handle.id();
        sender.send_blocking(handle).unwrap();
        assert_completes(&executor, id);
    }
    // It waits by `.await`, and by `block_on`.
    let own = receiver.clone();
    let handle = executor.spawn_async(async move {
        let mut handle = own.recv().await.unwrap();
        assert!((&mut handle).await.unwrap_err().is_would_deadlock());
        let blocked = moirai::block_on(&mut handle);
        assert!(blocked.unwrap_err().is_would_deadlock());
        true
    });
    let id = handle.id();
    sender.send_blocking(handle).unwrap();
    assert_completes(&executor, id);
    assert_runs(&executor);
}

/// Waits for the task to end, and asserts that it did not panic.
fn assert_completes(executor: &Moirai, id: TaskId) {
    let status = executor.block_on(executor.wait_for_task(id, None));
    assert_eq!(status, Some(TaskStatus::Completed), "{:?}", executor.task_stats(id));
}

#[test]
fn a_lock_held_across_a_wait_is_not_taken_again_on_the_same_stack() {
    let _watchdog = watchdog();
    for threads in 1..=2 {
        let executor = workers(threads);
        let lock = Arc::new(Mutex::new(0));
        let (inner, own) = (executor.clone(), Arc::clone(&lock));
        let handle = executor.spawn_parallel::<_, _, EvenAFuture>(move || {
            let mut held = own.lock().unwrap();
            // Both are queued behind this task. The second one needs the lock that this task holds.
            let below = inner.spawn_parallel(|| 1);
            let unrelated = {
                let own = Arc::clone(&own);
                inner.spawn_parallel(move || *own.lock().unwrap() += 10)
            };
            *held += below.join().unwrap();
            drop(held);
            unrelated
        });
        handle.join().unwrap().join().unwrap();
        assert_eq!(*lock.lock().unwrap(), 11);
        assert_runs(&executor);
    }
}

#[test]
fn a_wait_starts_no_other_task_on_its_stack() {
    let _watchdog = watchdog();
    std::thread_local! {
        static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    /// Calls the closure, and returns the number of such calls that were on this stack already, and the closure's result.
    fn nested<R>(f: impl FnOnce() -> R) -> (u32, R) {
        let depth = DEPTH.replace(DEPTH.get() + 1);
        let result = f();
        DEPTH.set(depth);
        (depth, result)
    }
    let executor = workers(2);
    let handles: Vec<_> = (0..60)
        .map(|i| {
            let inner = executor.clone();
            executor.spawn_parallel(move || {
                nested(|| {
                    let below = inner.spawn_parallel(move || nested(|| i).0);
                    if i % 2 == 0 { below.join() } else { inner.block_on(below) }.unwrap()
                })
            })
        })
        .collect();
    for handle in handles {
        assert_eq!(handle.join().unwrap(), (0, 0));
    }
    // A thread that is not a worker does not run other tasks either.
    let (depth, inner) = nested(|| executor.spawn_parallel(|| nested(|| ()).0).join().unwrap());
    assert_eq!((depth, inner), (0, 0));
}

#[test]
fn the_blocking_pool_uses_as_many_threads_as_its_limit_and_no_more() {
    const LIMIT: usize = 3;
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).max_blocking_threads(LIMIT).build().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // No task passes it unless three run at once.
    let barrier = Arc::new(Barrier::new(LIMIT));
    let handles: Vec<_> = (0..20 * LIMIT)
        .map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            let barrier = Arc::clone(&barrier);
            executor.spawn_blocking(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                barrier.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), LIMIT);
}

/// Returns an executor of one worker and one blocking thread. The blocking thread waits at the returned gate, and the queue behind
/// it is full. The counter counts the queued tasks that have run.
fn full_queue() -> (Moirai, Gate, Counter) {
    let executor = Moirai::builder()
        .worker_threads(1)
        .max_blocking_threads(1)
        .blocking_queue_limit(2)
        .build()
        .unwrap();
    let (gate, begun, started) = (Gate::new(), Gate::new(), Counter::default());
    let (waiting, start) = (gate.clone(), begun.clone());
    executor.spawn_blocking(move || {
        start.open();
        waiting.wait();
    });
    begun.wait();
    for _ in 0..2 {
        let count = started.clone();
        executor.spawn_blocking(move || {
            count.add();
        });
    }
    (executor, gate, started)
}

#[test]
fn a_spawn_on_a_full_queue_waits_for_room() {
    let _watchdog = watchdog();
    let (executor, gate, started) = full_queue();
    let (inner, opened) = (executor.clone(), gate.clone());
    let spawner = std::thread::spawn(move || {
        let handle = inner.spawn_blocking(|| 4);
        (opened.is_open(), handle)
    });
    // Meanwhile the blocking thread runs nothing, and the worker runs everything.
    for _ in 0..20 {
        executor.spawn_async(yield_now()).join().unwrap();
    }
    assert!(!spawner.is_finished());
    gate.open();
    let (had_room, handle) = spawner.join().unwrap();
    assert!(had_room, "the spawn returned while the queue was full");
    assert_eq!(handle.join().unwrap(), 4);
    wait_until("all have run", || started.get() == 2);
}

#[test]
fn a_worker_that_waits_for_room_hands_off_its_core() {
    let _watchdog = watchdog();
    let (executor, gate, started) = full_queue();
    let (begun, inner, opened) = (Gate::new(), executor.clone(), gate.clone());
    let start = begun.clone();
    let spawner = executor.spawn_parallel(move || {
        start.open();
        let handle = inner.spawn_blocking(|| 5);
        (opened.is_open(), handle)
    });
    begun.wait();
    // This task runs on the only worker, whose thread waits in the spawner; and it lets the spawner go on.
    executor.spawn_async(async move { gate.open() }).join().unwrap();
    let (had_room, handle) = spawner.join().unwrap();
    assert!(had_room);
    assert_eq!(handle.join().unwrap(), 5);
    wait_until("all have run", || started.get() == 2);
}

#[test]
#[cfg(target_os = "linux")]
fn idle_blocking_threads_and_spare_threads_end() {
    let _watchdog = watchdog();
    let prefix = "hnd-keep";
    let executor = named(prefix, 1).blocking_keep_alive(Duration::from_millis(10)).build().unwrap();
    // The worker, the cleanup worker, and the watchdog thread.
    wait_until("the permanent threads run", || threads::count(prefix) == 3);
    let barrier = Arc::new(Barrier::new(8));
    let handles: Vec<_> = (0..8)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            executor.spawn_blocking(move || {
                barrier.wait();
                let count = threads::count(prefix);
                // No thread ends before all have counted.
                barrier.wait();
                count
            })
        })
        .collect();
    for handle in handles {
        assert!(handle.join().unwrap() >= 3 + 8);
    }
    let inner = executor.clone();
    executor.spawn_parallel(move || inner.spawn_parallel(|| ()).join().unwrap()).join().unwrap();
    wait_until("the others have ended", || threads::count(prefix) == 3);
    assert_runs(&executor);
}

#[test]
#[cfg(target_os = "linux")]
fn blocking_threads_are_reused() {
    let _watchdog = watchdog();
    let prefix = "hnd-again";
    let executor = named(prefix, 1).blocking_keep_alive(common::HOUR).build().unwrap();
    for _ in 0..200 {
        executor.spawn_blocking(|| ()).join().unwrap();
    }
    // A thread is not idle yet when the result of its task is there, so there may be some threads, but not one for each task.
    assert!(threads::count(prefix) < 30, "{}", threads::count(prefix));
}

//! Tests of `join` in tasks that are cancelled: where their fork-join work stops, and what may go on. They hold promise P27 of
//! `docs/src/guarantees.md`, with those of `cancel_elsewhere`.

mod common;

use std::mem::ManuallyDrop;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Gate, OnDrop, fibonacci, watchdog, workers};
use moirai::prelude::*;

#[test]
fn a_cancelled_task_stops_at_its_next_join() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for stolen in [false, true] {
        let (started, joins) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let task = executor.spawn_parallel({
            let (started, joins) = (started.clone(), Arc::clone(&joins));
            move || {
                let endless = || {
                    loop {
                        moirai::join(|| joins.fetch_add(1, SeqCst), || ());
                        started.open();
                    }
                };
                if stolen {
                    // The second closure is stolen, because the first one waits for it.
                    moirai::join(|| started.wait(), endless);
                } else {
                    endless();
                }
            }
        });
        let id = task.id();
        started.wait();
        task.cancel();
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
        assert_eq!(executor.task_status(id), Some(TaskStatus::Cancelled));
        let before = joins.load(SeqCst);
        fibonacci(10);
        assert_eq!(joins.load(SeqCst), before);
    }
}

#[test]
fn a_join_after_the_cancellation_was_caught_unwinds_again() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let (ready, cancelled) = (Gate::new(), Gate::new());
    let again = Arc::new(AtomicUsize::new(0));
    let task = executor.spawn_parallel({
        let (ready, cancelled, again) = (ready.clone(), cancelled.clone(), Arc::clone(&again));
        move || {
            ready.open();
            cancelled.wait();
            for _ in 0..3 {
                let caught = catch_unwind(|| moirai::join(|| (), || ()));
                again.fetch_add(usize::from(caught.is_err()), SeqCst);
            }
            let _ = catch_unwind(|| moirai::scope(|_| ())).is_err_and(|_| {
                again.fetch_add(1, SeqCst);
                true
            });
            7
        }
    });
    ready.wait();
    task.cancel();
    cancelled.open();
    // A closure that returns has completed.
    assert_eq!(task.join().unwrap(), 7);
    assert_eq!(again.load(SeqCst), 4);
}

#[test]
fn destructors_of_a_cancelled_task_can_fork_and_join() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for _ in 0..50 {
        let (ready, dropped) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let task = executor.spawn_parallel({
            let (ready, dropped) = (ready.clone(), Arc::clone(&dropped));
            move || {
                let _parallel = OnDrop::new(|| {
                    let (sum, ()) = moirai::join(
                        || fibonacci(12),
                        || {
                            moirai::scope(|s| {
                                s.spawn(|_| {
                                    dropped.fetch_add(1, SeqCst);
                                });
                            });
                        },
                    );
                    dropped.fetch_add(usize::try_from(sum).unwrap(), SeqCst);
                });
                loop {
                    moirai::join(|| ready.open(), || ());
                }
            }
        });
        ready.wait();
        task.cancel();
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
        assert_eq!(dropped.load(SeqCst), 145);
    }
}

/// Cancels a task while a destructor of it, which a panic runs, waits for what `fork` has given to the other worker. `fork` is called
/// with a closure to run at once, and with one that the other worker is to take.
fn cancel_below_a_destructor(fork: fn(&(dyn Fn() + Sync), &(dyn Fn() + Sync))) {
    let executor = workers(2);
    for _ in 0..50 {
        let (elsewhere, cancelled) = (Gate::new(), Gate::new());
        let done = Arc::new(AtomicUsize::new(0));
        let task = executor.spawn_parallel({
            let (elsewhere, cancelled) = (elsewhere.clone(), cancelled.clone());
            let done = Arc::clone(&done);
            move || {
                let here = || {
                    while !elsewhere.is_open() {
                        moirai::join(|| (), || ());
                    }
                };
                let there = || {
                    elsewhere.open();
                    cancelled.wait();
                    moirai::join(|| (), || ());
                    moirai::scope(|s| s.spawn(|_| ()));
                    done.fetch_add(1, SeqCst);
                };
                moirai::join(
                    || {
                        let _forks = OnDrop::new(|| fork(&here, &there));
                        panic!("the text of a test");
                    },
                    || (),
                );
            }
        });
        elsewhere.wait();
        task.cancel();
        cancelled.open();
        assert!(matches!(task.join(), Err(TaskError::Panicked(_))));
        assert_eq!(done.load(SeqCst), 1);
    }
}

#[test]
fn a_destructor_joins_to_its_end_if_its_task_is_cancelled_while_it_unwinds() {
    let _watchdog = watchdog();
    cancel_below_a_destructor(|here, there| {
        moirai::join(here, there);
    });
}

#[test]
fn the_scope_of_a_destructor_ends_well_if_its_task_is_cancelled_while_it_unwinds() {
    let _watchdog = watchdog();
    cancel_below_a_destructor(|here, there| {
        moirai::scope(|s| {
            s.spawn(|_| there());
            here();
        });
    });
}

#[test]
fn what_a_panicking_thread_leaves_to_others_is_cancelled_with_its_task() {
    /// Joins, and in its first closure joins again, and so on. The innermost one panics, and a destructor blocks.
    fn nest(depth: u32, others: &(impl Fn(u32) + Sync), blocks: &(dyn Fn() + Sync)) {
        let deeper = || match depth {
            0 => {
                let _blocks = OnDrop::new(blocks);
                panic!("the text of a test");
            }
            _ => nest(depth - 1, others, blocks),
        };
        moirai::join(deeper, || others(depth));
    }
    const DEPTH: u32 = 10;
    let _watchdog = watchdog();
    let executor = workers(2);
    let [held, blocked, running, over] = std::array::from_fn(|_| Gate::new());
    let task = executor.spawn_parallel({
        let (held, blocked) = (held.clone(), blocked.clone());
        let (running, over) = (running.clone(), over.clone());
        move || {
            let others = |depth| match depth {
                // The other worker takes this one first, and has time for the next ones only when the destructor blocks.
                DEPTH => held.wait(),
                // It is private until then, because enough others are public.
                0 => loop {
                    moirai::join(|| running.open(), || ());
                },
                _ => {}
            };
            let blocks = || {
                moirai::block_in_place(|| {
                    blocked.open();
                    over.wait();
                });
            };
            nest(DEPTH, &others, &blocks);
        }
    });
    blocked.wait();
    held.open();
    running.wait();
    task.cancel();
    over.open();
    assert!(task.join().is_err());
}

/// Runs work in a task that is cancelled before it goes on, and which leaves a value behind whose destructor joins. `work` is called with
/// that value and with what waits for the cancellation.
fn cancel_before_a_value_is_left(work: fn(OnDrop<Joins>, &(dyn Fn() + Sync))) {
    let executor = workers(2);
    let (ready, cancelled) = (Gate::new(), Gate::new());
    let done = Arc::new(AtomicUsize::new(0));
    let task = executor.spawn_parallel({
        let (ready, cancelled) = (ready.clone(), cancelled.clone());
        let done = Arc::clone(&done);
        move || {
            let joins: Joins = Box::new(move || {
                moirai::join(|| fibonacci(5), || moirai::scope(|s| s.spawn(|_| ())));
                done.fetch_add(1, SeqCst);
            });
            let wait = || {
                ready.open();
                cancelled.wait();
            };
            work(OnDrop::new(joins), &wait);
        }
    });
    ready.wait();
    task.cancel();
    cancelled.open();
    assert!(task.join().is_err());
    assert_eq!(done.load(SeqCst), 1);
}

type Joins = Box<dyn FnOnce() + Send>;

/// Stops in a task that was cancelled.
fn stop<R>() -> R {
    moirai::join(|| (), || ());
    unreachable!("the task was cancelled");
}

#[test]
fn what_one_closure_of_a_join_returns_is_dropped_to_the_end_if_the_other_stops() {
    let _watchdog = watchdog();
    cancel_before_a_value_is_left(|value, wait| {
        moirai::join(
            || value,
            || {
                wait();
                stop::<()>()
            },
        );
    });
    cancel_before_a_value_is_left(|value, wait| {
        moirai::join(
            || {
                wait();
                stop::<()>()
            },
            || value,
        );
    });
}

#[test]
fn a_job_of_a_stopped_scope_is_dropped_to_the_end() {
    let _watchdog = watchdog();
    // One that is spawned before the scope stops, and one after.
    cancel_before_a_value_is_left(|value, wait| {
        moirai::scope(|s| {
            // The other worker takes the first job.
            s.spawn(|_| wait());
            s.spawn(|_| drop(value));
            wait();
            stop::<()>()
        });
    });
    cancel_before_a_value_is_left(|value, wait| {
        moirai::scope(|s| {
            wait();
            s.spawn(|_| drop(value));
        });
    });
    // Its destructor spawns in the same scope.
    cancel_before_a_value_is_left(|value, wait| {
        moirai::scope(|s| {
            wait();
            let spawns = OnDrop::new(move || {
                let value = ManuallyDrop::new(value);
                s.spawn(|_| ());
                drop(ManuallyDrop::into_inner(value));
            });
            s.spawn(|_| drop(spawns));
        });
    });
}

#[test]
fn what_a_stopped_scope_returns_is_dropped_to_the_end() {
    let _watchdog = watchdog();
    cancel_before_a_value_is_left(|value, wait| {
        moirai::scope(|_| {
            wait();
            value
        });
    });
    cancel_before_a_value_is_left(|value, wait| {
        moirai::scope(|s| {
            s.spawn(|_| {
                wait();
                stop()
            });
            value
        });
    });
}

#[test]
fn what_the_other_shares_of_a_stopped_broadcast_return_is_dropped_to_the_end() {
    let _watchdog = watchdog();
    cancel_before_a_value_is_left(|value, wait| {
        let value = Mutex::new(Some(value));
        Moirai::current().unwrap().broadcast(|worker| {
            wait();
            if worker == 0 { value.lock().unwrap().take() } else { stop() }
        });
    });
}

#[test]
fn a_shutdown_stops_the_fork_join_work_of_the_tasks_that_it_cancels() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let started = Gate::new();
    let task = executor.spawn_parallel({
        let started = started.clone();
        move || {
            loop {
                moirai::join(|| started.open(), || ());
            }
        }
    });
    started.wait();
    let report = executor.shutdown_timeout(Duration::from_millis(1));
    assert_eq!((report.cancelled, report.still_active), (1, 0));
    assert!(matches!(task.join(), Err(TaskError::ShutDown)));
    // A thread that runs no task of the executor can still call `join`, and runs both closures itself.
    assert_eq!(executor.join(|| 1, || 2), (1, 2));
}

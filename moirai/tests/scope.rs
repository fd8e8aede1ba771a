//! Tests of `scope`: its jobs may borrow, and what happens when they panic or their task is cancelled.
//!
//! With the tests of `join` they hold the part of promise P14 of `docs/src/guarantees.md` that concerns fork-join: every job runs
//! once, and panics are passed on.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use common::{Counter, Gate, OnDrop, watchdog, workers};
use moirai::prelude::*;
use moirai::{Scope, join, scope};

/// Calls `f` on a plain thread and in a task, with executors of one, two and four workers.
fn everywhere(f: impl Fn(&Moirai) + Clone + Send + 'static) {
    for n in [1, 2, 4] {
        let executor = workers(n);
        f(&executor);
        let f = f.clone();
        let inside = move || f(&Moirai::current().expect("a task has its executor"));
        executor.spawn_parallel(inside).join().unwrap();
    }
}

#[test]
fn all_jobs_have_run_when_the_scope_ends() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for jobs in [0, 1, 2, 63, 1_000] {
            let mut cells = vec![0; jobs];
            let returned = executor.scope(|s| {
                for (i, cell) in cells.iter_mut().enumerate() {
                    s.spawn(move |_| *cell = i + 1);
                }
                "returned"
            });
            assert_eq!(returned, "returned");
            assert!(cells.iter().copied().eq(1..=jobs));
        }
    });
}

#[test]
fn jobs_can_spawn_jobs_wherever_they_run() {
    fn tree<'scope>(s: &Scope<'scope, '_>, depth: u32, count: &'scope AtomicUsize) {
        count.fetch_add(1, SeqCst);
        if depth > 0 {
            for _ in 0..2 {
                s.spawn(move |s| tree(s, depth - 1, count));
            }
        }
    }
    let _watchdog = watchdog();
    everywhere(|executor| {
        let count = AtomicUsize::new(0);
        executor.scope(|s| tree(s, 10, &count));
        assert_eq!(count.load(SeqCst), 2_047);
    });
}

#[test]
fn scopes_nest_and_call_each_other() {
    fn even(n: u32, count: &AtomicUsize) {
        count.fetch_add(1, SeqCst);
        if n > 0 {
            scope(|s| {
                s.spawn(|_| odd(n - 1, count));
                odd(n - 1, count);
            });
        }
    }
    fn odd(n: u32, count: &AtomicUsize) {
        count.fetch_add(1, SeqCst);
        if n > 0 {
            scope(|s| {
                s.spawn(|s| {
                    s.join(|| even(n - 1, count), || ());
                });
                s.spawn(|_| even(n - 1, count));
            });
        }
    }
    let _watchdog = watchdog();
    everywhere(|_| {
        let count = AtomicUsize::new(0);
        even(8, &count);
        assert_eq!(count.load(SeqCst), 511);
    });
}

#[test]
fn an_outer_scope_takes_jobs_from_inner_scopes_and_from_closures_of_a_join() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for _ in 0..100 {
            let count = AtomicUsize::new(0);
            executor.scope(|outer| {
                executor.scope(|inner| {
                    inner.spawn(|_| outer_job(outer, &count));
                    outer_job(outer, &count);
                });
                executor.join(|| outer_job(outer, &count), || outer_job(outer, &count));
            });
            assert_eq!(count.load(SeqCst), 4);
        }
    });
    fn outer_job<'scope>(s: &Scope<'scope, '_>, count: &'scope AtomicUsize) {
        s.spawn(|_| {
            count.fetch_add(1, SeqCst);
        });
    }
}

#[test]
fn a_scope_outlives_the_job_that_spawns_into_it() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for _ in 0..200 {
        let order = Counter::default();
        let last = AtomicUsize::new(0);
        executor.scope(|s| {
            s.spawn(|s| {
                let _end = order.on_drop();
                s.spawn(|_| last.store(order.add(), SeqCst));
            });
        });
        assert_eq!(order.get(), 2);
        assert_ne!(last.load(SeqCst), 0);
    }
}

#[test]
fn many_threads_can_run_thousands_of_tiny_scopes_at_once() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let count = AtomicUsize::new(0);
    thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..2_000 {
                    executor.scope(|s| {
                        for _ in 0..3 {
                            s.spawn(|_| {
                                count.fetch_add(1, SeqCst);
                            });
                        }
                    });
                }
            });
        }
    });
    assert_eq!(count.load(SeqCst), 48_000);
}

#[test]
fn a_panic_is_passed_on_when_all_jobs_have_ended() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for panicking in [0, 7, 19] {
            let ended = Counter::default();
            let kept = Arc::new(());
            let caught = catch_unwind(AssertUnwindSafe(|| {
                executor.scope(|s| {
                    for i in 0..20 {
                        let (end, kept) = (ended.on_drop(), Arc::clone(&kept));
                        s.spawn(move |_| {
                            let _end = end;
                            if i == panicking {
                                resume_unwind(Box::new(i));
                            }
                            drop(kept);
                        });
                    }
                });
            }));
            assert_eq!(caught.unwrap_err().downcast_ref(), Some(&panicking));
            assert_eq!((ended.get(), Arc::strong_count(&kept)), (20, 1));
        }
    });
}

#[test]
fn of_several_panics_that_of_the_scope_itself_is_passed_on_or_else_that_of_a_job() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for own in [true, false] {
            let caught = catch_unwind(|| {
                executor.scope(|s| {
                    for i in 0..10 {
                        s.spawn(move |_| {
                            // A payload that is not passed on is dropped, and may have a destructor.
                            let _ = i;
                            resume_unwind(Box::new(OnDrop::new(|| ())));
                        });
                    }
                    if own {
                        resume_unwind(Box::new("own"));
                    }
                });
            });
            assert_eq!(caught.unwrap_err().is::<&str>(), own);
        }
    });
}

#[test]
fn a_cancelled_task_drops_the_jobs_that_have_not_begun() {
    let _watchdog = watchdog();
    // Without compensation threads, which would begin further jobs while the workers wait in theirs.
    let builder = Moirai::builder().worker_threads(2).compensation_threads(0);
    let executor = builder.build().unwrap();
    let (queued, go) = (Gate::new(), Gate::new());
    let (ran, dropped) = (Counter::default(), Counter::default());
    let task = executor.spawn_parallel({
        let (queued, go, ran, dropped) = (queued.clone(), go.clone(), ran.clone(), dropped.clone());
        move || {
            scope(|s| {
                for _ in 0..100 {
                    let (go, ran, dropped) = (go.clone(), ran.clone(), dropped.on_drop());
                    s.spawn(move |_| {
                        go.wait();
                        ran.add();
                        drop(dropped);
                    });
                }
                queued.open();
            });
        }
    });
    queued.wait();
    task.cancel();
    go.open();
    assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    assert_eq!(dropped.get(), 100);
    assert!(ran.get() <= 2, "{} jobs ran", ran.get());
}

#[test]
fn the_scopes_own_closure_need_not_be_send() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let mut total = std::rc::Rc::new(0);
    let borrowed = &mut total;
    executor.scope(|s| {
        s.spawn(|_| ());
        *std::rc::Rc::make_mut(borrowed) += 1;
    });
    assert_eq!(*total, 1);
    // A closure of a `join` may spawn into the scope, and borrow what outlives the scope.
    let count = AtomicUsize::new(0);
    executor.scope(|s| {
        join(
            || {
                s.spawn(|_| {
                    count.fetch_add(1, SeqCst);
                });
            },
            || count.fetch_add(1, SeqCst),
        );
    });
    assert_eq!(count.load(SeqCst), 2);
}

#[test]
fn a_scope_whose_closure_waits_for_its_jobs_ends() {
    let watchdog = watchdog();
    for (workers, jobs) in [(1, 2), (2, 100), (4, 100)] {
        watchdog.feed(format!("{workers} workers and {jobs} jobs"));
        let executor = common::workers(workers);
        executor.scope(|s| {
            let ran = Counter::default();
            for _ in 0..jobs {
                let ran = ran.clone();
                s.spawn(move |_| _ = ran.add());
            }
            common::wait_until("all jobs have run", || ran.get() == jobs);
        });
    }
}

#[test]
fn a_job_spawned_while_an_external_thread_holds_the_only_processor_is_run() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let (runs, external, published) = (Gate::new(), Gate::new(), Gate::new());
    thread::scope(|threads| {
        threads.spawn(|| {
            runs.wait();
            executor.join(
                || {
                    external.open();
                    published.wait();
                },
                || (),
            );
        });
        executor.scope(|s| {
            s.spawn(|s| {
                runs.open();
                // The worker that runs this hands its core off, and is a thread without a core from here on.
                moirai::block_in_place(|| external.wait());
                s.spawn(|_| ());
                published.open();
            });
            runs.wait();
        });
    });
}

#[test]
fn a_job_that_was_public_before_its_thread_blocks_is_run_while_an_external_thread_computes() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let (inside, ran) = (Gate::new(), Gate::new());
    thread::scope(|threads| {
        // It counts as one that uses the only processor.
        threads.spawn(|| {
            executor.join(
                || {
                    inside.open();
                    ran.wait();
                },
                || (),
            )
        });
        inside.wait();
        let parked = || executor.runtime_stats().workers[0].state == moirai::WorkerState::Parked;
        executor.join(
            || {
                common::wait_until("the worker sleeps, although there is a job", parked);
                moirai::block_in_place(|| ran.wait());
            },
            || ran.open(),
        );
    });
}

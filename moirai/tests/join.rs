//! Tests of `join`: what its closures may do, and what happens when they panic or their task is cancelled.
//!
//! With the tests of `scope` they hold the part of promise P14 of `docs/src/guarantees.md` that concerns fork-join: both closures
//! run once, panics are passed on, and a thread that waits runs nothing unrelated.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread::ThreadId;
use std::time::Duration;

use common::{Gate, OnDrop, fibonacci, wait_until, watchdog, workers};
use moirai::prelude::*;

/// Calls `f` in each place from which fork-join work can be called.
fn everywhere(f: impl Fn(&Moirai) + Clone + Send + 'static) {
    for n in [1, 2, 4] {
        let executor = workers(n);
        f(&executor);
        let inside = |f: Box<dyn FnOnce(&Moirai) + Send>| {
            move || f(&Moirai::current().expect("a task has its executor"))
        };
        executor.spawn_parallel(inside(Box::new(f.clone()))).join().unwrap();
        executor.spawn_blocking(inside(Box::new(f.clone()))).join().unwrap();
        let in_poll = inside(Box::new(f.clone()));
        executor.block_on(executor.spawn_async(async move { in_poll() })).unwrap();
        let in_block_on = inside(Box::new(f.clone()));
        executor.block_on(async move { in_block_on() });
    }
}

#[test]
fn both_results_come_back_wherever_join_is_called() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        assert_eq!(executor.join(|| 1, || "two"), (1, "two"));
        assert_eq!(executor.join(|| fibonacci(15), || fibonacci(16)), (610, 987));
    });
}

#[test]
fn without_an_executor_the_global_one_is_used() {
    let _watchdog = watchdog();
    assert_eq!(fibonacci(18), 2584);
}

#[test]
fn closures_borrow_from_the_caller_and_divide_a_slice() {
    fn sort(executor: &Moirai, numbers: &mut [u32]) {
        if numbers.len() < 2 {
            return;
        }
        let last = numbers.len() - 1;
        let pivot = numbers[last];
        let mut smaller = 0;
        for i in 0..last {
            if numbers[i] < pivot {
                numbers.swap(i, smaller);
                smaller += 1;
            }
        }
        numbers.swap(smaller, last);
        let (left, right) = numbers.split_at_mut(smaller);
        executor.join(|| sort(executor, left), || sort(executor, &mut right[1..]));
    }
    let _watchdog = watchdog();
    everywhere(|executor| {
        let mut numbers: Vec<u32> = (0..5_000).map(|n| n * 7_919 % 5_003).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sort(executor, &mut numbers);
        assert_eq!(numbers, sorted);
    });
}

#[test]
fn the_closures_run_at_the_same_time() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for _ in 0..200 {
        let both = Barrier::new(2);
        executor.join(|| both.wait(), || both.wait());
        let both = Arc::new(Barrier::new(2));
        executor
            .spawn_parallel(move || {
                moirai::join(|| both.wait(), || both.wait());
            })
            .join()
            .unwrap();
    }
}

#[test]
fn five_levels_of_coarse_leaves_keep_every_worker_busy() {
    fn leaves(level: u32, leaf: &(dyn Fn() + Sync)) {
        if level == 0 {
            leaf();
        } else {
            moirai::join(|| leaves(level - 1, leaf), || leaves(level - 1, leaf));
        }
    }
    const WORKERS: usize = 4;
    let _watchdog = watchdog();
    let executor = workers(WORKERS);
    let mut seen = Vec::new();
    // Other processes may keep a worker from running for a while.
    for _ in 0..50 {
        let ran: Arc<[AtomicUsize; WORKERS]> = Arc::default();
        let counts = Arc::clone(&ran);
        let task = executor.spawn_parallel(move || {
            leaves(5, &|| {
                // A leaf that sleeps takes its time on a machine of two cores, too.
                std::thread::sleep(Duration::from_micros(200));
                if let Some(worker) = Moirai::worker_index() {
                    counts[worker].fetch_add(1, SeqCst);
                }
            });
        });
        // A `join` would run some of the leaves itself.
        wait_until("the task has ended", || task.is_finished());
        let ran: Vec<usize> = ran.iter().map(|ran| ran.load(SeqCst)).collect();
        if ran.iter().sum::<usize>() == 32 && ran.iter().all(|&ran| ran >= 5) {
            return;
        }
        seen.push(ran);
    }
    panic!("the number of the 32 leaves that each worker ran: {seen:?}");
}

/// The halves in the middle meet, so they must run at the same time, and the outer halves do not keep the other worker busy for long.
#[test]
fn nested_joins_run_in_parallel_although_the_outer_halves_are_short() {
    fn nest(executor: &Moirai, levels: u32) {
        if levels == 0 {
            let meet = Barrier::new(2);
            executor.join(|| meet.wait(), || meet.wait());
        } else {
            executor.join(|| nest(executor, levels - 1), || ());
        }
    }
    let _watchdog = watchdog();
    for levels in 1..=3 {
        nest(&workers(2), levels);
        let executor = workers(2);
        let inside = executor.clone();
        executor.spawn_parallel(move || nest(&inside, levels)).join().unwrap();
    }
}

#[test]
fn the_other_closure_still_runs_once_when_one_panics() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for round in 0..20 {
            let runs = AtomicUsize::new(0);
            let caught = catch_unwind(AssertUnwindSafe(|| {
                executor.join(|| resume_unwind(Box::new(round)), || runs.fetch_add(1, SeqCst))
            }));
            let payload = caught.map(|((), _)| ()).unwrap_err();
            assert_eq!((payload.downcast_ref(), runs.load(SeqCst)), (Some(&round), 1));

            let caught = catch_unwind(AssertUnwindSafe(|| {
                executor.join(|| runs.fetch_add(1, SeqCst), || resume_unwind(Box::new(round)))
            }));
            let payload = caught.map(|(_, ())| ()).unwrap_err();
            assert_eq!((payload.downcast_ref(), runs.load(SeqCst)), (Some(&round), 2));
        }
    });
}

#[test]
fn when_both_panic_the_payload_of_the_first_closure_is_passed_on() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for _ in 0..20 {
            let caught = catch_unwind(|| {
                executor
                    .join(|| resume_unwind(Box::new("first")), || resume_unwind(Box::new("second")))
            });
            let payload = caught.map(|((), ())| ()).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"first"));
        }
    });
}

#[test]
fn a_panic_leaks_nothing_and_is_passed_on_after_both_have_ended() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for first_panics in [true, false] {
            let kept = Arc::new(());
            let ended = AtomicUsize::new(0);
            let part = |panics: bool| {
                let kept = Arc::clone(&kept);
                let ended = &ended;
                move || {
                    let _end = OnDrop::new(|| {
                        ended.fetch_add(1, SeqCst);
                    });
                    if panics {
                        resume_unwind(Box::new(Arc::clone(&kept)));
                    }
                    kept
                }
            };
            let caught = catch_unwind(AssertUnwindSafe(|| {
                executor.join(part(first_panics), part(!first_panics))
            }));
            assert_eq!(ended.load(SeqCst), 2);
            drop(caught.unwrap_err());
            assert_eq!(Arc::strong_count(&kept), 1);
        }
    });
}

#[test]
fn a_payload_that_is_not_passed_on_may_panic_when_it_is_dropped() {
    let _watchdog = watchdog();
    everywhere(|executor| {
        for _ in 0..20 {
            let panics_on_drop = OnDrop::new(|| resume_unwind(Box::new("in the destructor")));
            let caught = catch_unwind(|| {
                executor.join(
                    || resume_unwind(Box::new("first")),
                    || resume_unwind(Box::new(panics_on_drop)),
                )
            });
            assert_eq!(caught.map(|((), ())| ()).unwrap_err().downcast_ref(), Some(&"first"));
        }
    });
}

#[test]
fn a_hundred_thousand_waits_in_a_row_do_not_grow_the_stack() {
    let _watchdog = watchdog();
    let executor = workers(2);
    // The stack is too small for them if they were nested.
    let caller = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
        for round in 0..100_000 {
            let (a, b) = executor.join(|| round, || round + 1);
            assert_eq!(a + 1, b);
        }
    });
    caller.unwrap().join().unwrap();
}

#[test]
fn recursion_two_thousand_levels_deep_takes_a_few_kib_a_level() {
    fn left(n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let (below, here) = moirai::join(|| left(n - 1), || 1);
        below + here
    }
    fn right(n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let (here, below) = moirai::join(|| 1, || right(n - 1));
        here + below
    }
    let _watchdog = watchdog();
    for n in [1, 2, 4] {
        // Enough also without optimization and with a sanitizer.
        let builder = Moirai::builder().worker_threads(n).thread_stack_size(16 << 20);
        let executor = builder.build().unwrap();
        for recursion in [left, right] {
            let task = executor.spawn_parallel(move || recursion(2_000));
            // With `join` this thread would run a part of it, on a stack of another size.
            let sum = executor.block_on(task).unwrap();
            assert_eq!(sum, 2_000);
        }
    }
}

#[test]
fn a_worker_keeps_its_thread_and_its_index_inside_a_join() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for _ in 0..1_000 {
        executor
            .spawn_parallel(|| {
                let thread: ThreadId = std::thread::current().id();
                let before = Moirai::worker_index();
                let (inside, _) = moirai::join(
                    || (std::thread::current().id(), Moirai::worker_index()),
                    || fibonacci(6),
                );
                assert_eq!(inside, (thread, before));
                assert!(Moirai::current().is_some());
            })
            .join()
            .unwrap();
    }
}

#[test]
fn a_task_that_waits_for_itself_in_a_closure_of_a_join_gets_an_error() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let (sender, receiver) = std::sync::mpsc::channel::<TaskHandle<bool>>();
    let task = executor.spawn_parallel(move || {
        let own = receiver.recv().unwrap();
        let both = Barrier::new(2);
        let (_, got_error) = moirai::join(
            || both.wait(),
            || {
                both.wait();
                matches!(own.join(), Err(TaskError::WouldDeadlock))
            },
        );
        got_error
    });
    let id = task.id();
    sender.send(task).unwrap();
    wait_until("the task has ended", || {
        executor.task_status(id).is_some_and(TaskStatus::is_terminal)
    });
    assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
}

#[test]
fn a_thread_that_waits_for_a_task_runs_nothing_but_its_fork_join_work() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let me = std::thread::current().id();
    for _ in 0..500 {
        // This thread must run neither the task nor its fork-join work.
        let other = executor.spawn_parallel(move || {
            let elsewhere = || assert_ne!(std::thread::current().id(), me);
            moirai::join(elsewhere, elsewhere);
            elsewhere();
        });
        let task = executor.spawn_parallel(move || {
            let here = || std::thread::sleep(Duration::from_micros(20));
            moirai::join(here, here);
            Moirai::worker_index()
        });
        assert_eq!(task.join().unwrap(), Some(0));
        executor.block_on(other).unwrap();
    }
}

#[test]
fn workers_that_have_tasks_enough_run_an_outermost_half_that_is_waited_for() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let stop = Gate::new();
    let busy: Vec<_> = (0..8)
        .map(|_| {
            let stop = stop.clone();
            executor.spawn_async(async move {
                while !stop.is_open() {
                    moirai::yield_now().await;
                }
            })
        })
        .collect();
    // The second closure is not in the list of public jobs, which a busy worker looks at after each task.
    let forks = executor.spawn_parallel(|| {
        for _ in 0..20 {
            let ran = Gate::new();
            moirai::join(|| ran.wait(), || ran.open());
        }
    });
    forks.join().unwrap();
    stop.open();
    for task in busy {
        task.join().unwrap();
    }
}

#[test]
fn a_worker_whose_slot_is_taken_by_a_blocked_thread_forks_and_joins_all_the_same() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let [inside, queued, done] = [Gate::new(), Gate::new(), Gate::new()];
    let blocked = executor.spawn_parallel({
        let [inside, queued, done] = [&inside, &queued, &done].map(Gate::clone);
        move || {
            let (first, second) = moirai::join(
                || {
                    // The second closure is in the slot now, and stays there while the thread that gets the core has tasks.
                    inside.open();
                    queued.wait();
                    moirai::block_in_place(|| done.wait());
                    fibonacci(15)
                },
                || fibonacci(16),
            );
            // The thread may have no core now, and its slot is still its own.
            first + second + fibonacci(17)
        }
    });
    inside.wait();
    let forks: Vec<_> = (0..100).map(|_| executor.spawn_parallel(|| fibonacci(12))).collect();
    queued.open();
    for task in forks {
        assert_eq!(task.join().unwrap(), 144);
    }
    done.open();
    assert_eq!(blocked.join().unwrap(), 610 + 987 + 1597);
    assert_eq!(executor.spawn_parallel(|| fibonacci(18)).join().unwrap(), 2584);
}

#[test]
fn halves_that_are_waited_for_in_an_announced_block_are_run() {
    let watchdog = watchdog();
    let executor = workers(2);
    // The inner join's other half is private at first, because the outer one's is public and no more are wanted.
    let waits = |block: &(dyn Fn(&Gate) + Sync)| {
        let gates = [Gate::new(), Gate::new()];
        executor.join(
            || executor.join(|| gates.iter().for_each(block), || gates[0].open()),
            || gates[1].open(),
        );
    };
    watchdog.feed("block_in_place");
    waits(&|gate| moirai::block_in_place(|| gate.wait()));
    watchdog.feed("block_on");
    waits(&|gate| moirai::block_on(gate.passed()));
    watchdog.feed("block_in_place in a task");
    let inside = executor.clone();
    executor
        .spawn_parallel(move || {
            let gates = [Gate::new(), Gate::new(), Gate::new()];
            let block = || gates.iter().for_each(|gate| moirai::block_in_place(|| gate.wait()));
            inside.join(
                || inside.join(|| inside.join(block, || gates[0].open()), || gates[1].open()),
                || gates[2].open(),
            );
        })
        .join()
        .unwrap();
}

//! Tests of the cancellation of tasks that wait for work of theirs in another executor.
//!
//! They hold promise P27 (cancelled work stops at its next `join`) of `docs/src/guarantees.md`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::{Gate, OnDrop, wait_until, watchdog, workers};
use moirai::prelude::*;

/// Work of another executor, which a task calls for and waits for.
type CallFor = fn(&Moirai, &(dyn Fn() + Sync));

const WAYS: [(&str, CallFor); 5] = [
    ("install", |there, work| there.install(work)),
    ("install below a join", |there, work| {
        moirai::join(|| (), || there.install(work));
    }),
    ("broadcast", |there, work| drop(there.broadcast(|_| work()))),
    ("join", |there, work| {
        there.join(|| (), work);
    }),
    ("scope", |there, work| there.scope(|s| s.spawn(|_| work()))),
];

/// Joins without an end, of which the first opens the gate.
fn endless_joins(started: &Gate) {
    loop {
        moirai::join(|| started.open(), || ());
    }
}

/// What a task does.
type Work = Box<dyn FnOnce() + Send>;

/// Ways to spawn a task that does it.
const KINDS: [fn(&Moirai, Work) -> TaskHandle<()>; 3] = [
    |executor, work| executor.spawn_parallel(work),
    |executor, work| executor.spawn_async(async move { work() }),
    |executor, work| executor.spawn_blocking(work),
];

#[test]
fn work_in_another_executor_stops_with_the_task_that_waits_for_it() {
    let _watchdog = watchdog();
    let (here, there) = (workers(2), workers(2));
    for (way, call_for) in WAYS {
        for (kind, spawn) in KINDS.into_iter().enumerate() {
            let started = Gate::new();
            let (opened, there) = (started.clone(), there.clone());
            let work = move || call_for(&there, &|| endless_joins(&opened));
            let task = spawn(&here, Box::new(work));
            started.wait();
            task.cancel();
            let error = task.join().unwrap_err();
            assert!(error.is_cancelled(), "{way}, kind {kind}: {error}");
        }
    }
    assert!(there.shutdown().is_clean());
}

#[test]
fn work_two_executors_away_stops_with_the_task_and_with_the_one_between() {
    let _watchdog = watchdog();
    let executor = || workers(1);
    let (here, between, there) = (executor(), executor(), executor());
    let spawn = |started: &Gate| {
        let (started, between, there) = (started.clone(), between.clone(), there.clone());
        here.spawn_parallel(move || {
            between.install(|| there.install(|| endless_joins(&started)));
        })
    };
    let started = Gate::new();
    let task = spawn(&started);
    started.wait();
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());

    let started = Gate::new();
    let task = spawn(&started);
    started.wait();
    let tasks = between.tasks().into_iter();
    let installed: Vec<_> = tasks.filter(|it| it.status.is_active()).map(|it| it.id).collect();
    assert_eq!(installed.len(), 1);
    assert!(between.cancel_task(installed[0]));
    // Not this task was cancelled, but what it has waited for has unwound.
    assert!(task.join().is_err());
}

#[test]
fn what_is_spawned_in_another_executor_is_a_task_of_its_own() {
    let _watchdog = watchdog();
    let (here, there) = (workers(1), workers(1));
    let (ready, cancelled) = (Gate::new(), Gate::new());
    let spawned = Arc::new(std::sync::Mutex::new(None));
    let task = here.spawn_parallel({
        let (ready, cancelled, spawned) = (ready.clone(), cancelled.clone(), Arc::clone(&spawned));
        move || {
            there.install(|| {
                let go = cancelled.clone();
                let own = there.spawn_parallel(move || {
                    go.wait();
                    moirai::join(|| 1, || 2)
                });
                *spawned.lock().unwrap() = Some(own);
            });
            ready.open();
            cancelled.wait();
            there.install(|| moirai::join(|| (), || ()));
        }
    });
    ready.wait();
    task.cancel();
    cancelled.open();
    assert!(task.join().unwrap_err().is_cancelled());
    let spawned = spawned.lock().unwrap().take().unwrap();
    assert_eq!(spawned.join().unwrap(), (1, 2));
}

#[test]
fn what_a_cancelled_future_holds_can_use_another_executor_when_it_is_dropped() {
    let _watchdog = watchdog();
    let (here, there) = (workers(1), workers(2));
    let done = Arc::new(AtomicUsize::new(0));
    for polled in [false, true] {
        let (there, counted, own) = (there.clone(), Arc::clone(&done), here.clone());
        let uses = OnDrop::new(move || {
            let work = || {
                moirai::join(|| counted.fetch_add(1, SeqCst), || ());
            };
            for (_, call_for) in WAYS {
                call_for(&there, &work);
            }
            // The same in the task's own executor, and inside of a `block_on` of another.
            call_for_join(&own, &work);
            there.block_on(async { call_for_join(&own, &work) });
        });
        let gate = Gate::new();
        let opened = gate.clone();
        let blocked = here.spawn_parallel(move || opened.wait());
        let task = here.spawn_async(async move {
            let _uses = uses;
            std::future::pending::<()>().await;
        });
        if polled {
            gate.open();
            wait_until("it waits", || here.task_stats(task.id()).is_some_and(|it| it.polls > 0));
        }
        task.cancel();
        gate.open();
        assert!(task.join().unwrap_err().is_cancelled());
        blocked.join().unwrap();
        assert_eq!(done.swap(0, SeqCst), WAYS.len() + 1 + 2, "polled: {polled}");
    }
}

fn call_for_join(executor: &Moirai, work: &(dyn Fn() + Sync)) {
    executor.join(|| (), work);
}

#[test]
fn destructors_of_a_cancelled_task_can_use_another_executor() {
    let _watchdog = watchdog();
    let (here, there) = (workers(2), workers(2));
    let between = workers(1);
    let done = Arc::new(AtomicUsize::new(0));
    for (kind, spawn) in KINDS.into_iter().enumerate() {
        for below_a_join in [false, true] {
            let started = Gate::new();
            let (opened, there, counted) = (started.clone(), there.clone(), Arc::clone(&done));
            let between = between.clone();
            let use_it = move || {
                for (_, call_for) in WAYS {
                    let work = || {
                        moirai::join(|| counted.fetch_add(1, SeqCst), || ());
                    };
                    call_for(&there, &work);
                    // Where the innermost executor is not that of the task.
                    between.block_on(async { call_for(&there, &work) });
                }
            };
            let work = move || {
                let _uses = OnDrop::new(use_it);
                endless_joins(&opened);
            };
            let task = if below_a_join {
                spawn(&here, Box::new(|| ((), ()) = moirai::join(work, || ())))
            } else {
                spawn(&here, Box::new(work))
            };
            started.wait();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
            // A broadcast calls on both workers.
            let expected = 2 * (WAYS.len() + 1);
            assert_eq!(done.swap(0, SeqCst), expected, "kind {kind}, below a join: {below_a_join}");
        }
    }
}

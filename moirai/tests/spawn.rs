//! Tests of spawning: tasks of every kind, the order in which they run, and their records.
//!
//! They hold a part of the promises P3 (a caller that learns of the end finds it in the record) and P13 (scheduling is fair) of
//! `docs/src/guarantees.md`.

mod common;

use std::sync::{Arc, Mutex};

use common::{Counter, Gate, block_only_worker, named, threads, wait_until, watchdog, workers};
use moirai::prelude::*;

#[test]
fn every_way_to_spawn_runs_the_task_and_records_its_kind() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let check = |handle: TaskHandle<i32>, expected: i32, kind: TaskKind, priority: Priority| {
        let id = handle.id();
        assert_eq!(handle.join().unwrap(), expected);
        let stats = executor.task_stats(id).unwrap();
        assert_eq!((stats.id, stats.kind, stats.priority), (id, kind, priority));
        assert_eq!(stats.status, TaskStatus::Completed);
        assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
        assert_eq!((stats.name, stats.error), (None, None));
        assert_eq!(stats.polls, 1);
        let (started, finished) = (stats.started_at.unwrap(), stats.finished_at.unwrap());
        assert!(stats.spawned_at <= started && started <= finished);
        assert_eq!(stats.worker.is_some(), kind != TaskKind::Blocking);
        assert!(stats.worker.is_none_or(|worker| worker < executor.worker_count()));
    };
    use {Priority::Normal, TaskKind::*};
    check(executor.spawn(|| 1), 1, Parallel, Normal);
    check(executor.spawn_async(async { 2 }), 2, Async, Normal);
    check(executor.spawn_parallel(|| 3), 3, Parallel, Normal);
    check(executor.spawn_blocking(|| 4), 4, Blocking, Normal);
    for priority in Priority::ALL {
        check(executor.spawn_with_priority(|| 5, priority), 5, Parallel, priority);
        check(executor.task().priority(priority).spawn_async(async { 6 }), 6, Async, priority);
        check(executor.task().priority(priority).spawn_parallel(|| 7), 7, Parallel, priority);
        check(executor.task().priority(priority).spawn_blocking(|| 8), 8, Blocking, priority);
    }
}

#[test]
fn a_task_of_a_user_defined_type_can_be_spawned() {
    struct Sum(Vec<u64>);
    impl Task for Sum {
        type Output = u64;
        fn run(self) -> u64 {
            self.0.iter().sum()
        }
    }
    let _watchdog = watchdog();
    let executor = workers(1);
    assert_eq!(executor.spawn(Sum(vec![1, 2, 3])).join().unwrap(), 6);
    assert_eq!(executor.spawn_with_priority(Sum(vec![4]), Priority::Low).join().unwrap(), 4);
}

#[test]
fn the_times_of_a_task_add_up() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let handle = executor.spawn_async(async {
        for _ in 0..9 {
            yield_now().await;
        }
    });
    let id = handle.id();
    handle.join().unwrap();
    let stats = executor.task_stats(id).unwrap();
    assert_eq!(stats.polls, 10);
    let whole = stats.finished_at.unwrap().saturating_since(stats.spawned_at);
    assert_eq!(stats.queue_time().unwrap() + stats.execution_time().unwrap(), whole);
    assert!(stats.busy <= whole, "{:?} of {whole:?}", stats.busy);
    let later = executor.task_stats(id).unwrap();
    assert!(later.age() >= stats.age());
    assert!(stats.age().is_some());
}

#[test]
fn the_record_of_a_task_has_the_line_of_its_spawn() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let check = |line: u32, id: TaskId| {
        wait_until("it has ended", || {
            executor.task_status(id).is_some_and(TaskStatus::is_terminal)
        });
        let location = executor.task_stats(id).unwrap().location;
        assert_eq!((location.file(), location.line()), (file!(), line));
    };
    let low = Priority::Low;
    let (line, handle) = (line!(), executor.spawn(|| ()));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.spawn_async(async {}));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.spawn_parallel(|| ()));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.spawn_blocking(|| ()));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.spawn_with_priority(|| (), low));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.task().spawn_async(async {}));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.task().spawn_parallel(|| ()));
    check(line, handle.id());
    let (line, handle) = (line!(), executor.task().spawn_blocking(|| ()));
    check(line, handle.id());
    // With the free functions, inside a task of this executor.
    let ids = executor.spawn_async(async {
        let (first, a) = (line!(), moirai::spawn_async(async {}));
        let (second, b) = (line!(), moirai::spawn_parallel(|| ()));
        let (third, c) = (line!(), moirai::spawn_blocking(|| ()));
        [(first, a.id()), (second, b.id()), (third, c.id())]
    });
    for (line, id) in ids.join().unwrap() {
        check(line, id);
    }
    // Through the traits, as generic code spawns.
    fn generic<E: moirai::Executor>(executor: &E) -> [u32; 3] {
        let first = (line!(), executor.spawn(|| ())).0;
        let second = (line!(), executor.spawn_async(async {})).0;
        let third = (line!(), executor.spawn_with_priority(|| (), Priority::High)).0;
        [first, second, third]
    }
    let lines = generic(executor.executor());
    for line in lines {
        wait_until("the task has a record", || {
            executor
                .tasks()
                .iter()
                .any(|task| (task.location.file(), task.location.line()) == (file!(), line))
        });
    }
}

#[test]
fn names_are_recorded_and_cut_at_a_character_boundary() {
    let _watchdog = watchdog();
    let executor = workers(1);
    let name_of = |handle: TaskHandle<()>| {
        let id = handle.id();
        handle.join().unwrap();
        executor.task_stats(id).unwrap().name
    };
    assert_eq!(
        name_of(executor.task().name("static").spawn_parallel(|| ())).as_deref(),
        Some("static")
    );
    let owned = format!("owned {}", 7);
    assert_eq!(
        name_of(executor.task().name(owned).spawn_async(async {})).as_deref(),
        Some("owned 7")
    );
    let exact = "x".repeat(256);
    let kept = name_of(executor.task().name(exact.clone()).spawn_blocking(|| ()));
    assert_eq!(kept.as_deref(), Some(&*exact));
    // One byte, and then two for each character, so that the limit of 256 bytes falls into the middle of a character.
    let long = format!("a{}", "é".repeat(100_000));
    let kept = name_of(executor.task().name(long.clone()).spawn_async(async {})).unwrap();
    assert_eq!(kept.len(), 255);
    assert!(long.starts_with(&*kept));
    // The name can be read while the task is active, too.
    let gate = Gate::new();
    let waiting = gate.clone();
    let handle = executor.task().name("waiting").spawn_async(async move { waiting.passed().await });
    assert_eq!(executor.task_stats(handle.id()).unwrap().name.as_deref(), Some("waiting"));
    gate.open();
    handle.join().unwrap();
}

#[test]
fn when_a_handle_returns_the_record_shows_the_end() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for i in 0..2_000 {
        let handle = if i % 2 == 0 {
            executor.spawn_async(async {})
        } else {
            executor.spawn_parallel(|| ())
        };
        let id = handle.id();
        if i % 3 == 0 {
            handle.join().unwrap();
        } else {
            executor.block_on(handle).unwrap();
        }
        assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
    }
}

#[test]
fn load_counts_the_tasks_that_are_ready_to_run_on_workers() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder());
    assert_eq!(blocked.executor.load(), 0, "a task that runs is not counted");
    let queued: Vec<_> = (0..5).map(|_| blocked.executor.spawn_parallel(|| ())).collect();
    let urgent = blocked.executor.spawn_with_priority(|| (), Priority::Critical);
    assert_eq!(blocked.executor.load(), 6);
    let gate = Gate::new();
    let waiting = gate.clone();
    let blocking = blocked.executor.spawn_blocking(move || waiting.wait());
    assert_eq!(blocked.executor.load(), 6, "the blocking queue is not counted");
    for handle in &queued {
        assert_eq!(blocked.executor.task_status(handle.id()), Some(TaskStatus::Queued));
    }
    blocked.gate.open();
    for handle in queued {
        handle.join().unwrap();
    }
    urgent.join().unwrap();
    assert_eq!(blocked.executor.load(), 0);
    gate.open();
    blocking.join().unwrap();
}

#[test]
fn try_run_runs_one_queued_task_on_the_calling_thread() {
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder());
    assert!(!blocked.executor.try_run(), "nothing is queued");
    let handles: Vec<_> =
        (0..3).map(|_| blocked.executor.spawn_parallel(|| std::thread::current().id())).collect();
    let here = blocked.executor.spawn_async(async {
        (std::thread::current().id(), Moirai::worker_index(), Moirai::current().is_some())
    });
    for left in (0..4).rev() {
        assert!(blocked.executor.try_run());
        assert_eq!(blocked.executor.load(), left);
    }
    assert!(!blocked.executor.try_run());
    for handle in handles {
        let id = handle.id();
        assert_eq!(handle.join().unwrap(), std::thread::current().id());
        assert_eq!(blocked.executor.task_stats(id).unwrap().worker, None);
    }
    let id = here.id();
    assert_eq!(here.join().unwrap(), (std::thread::current().id(), None, true));
    assert_eq!(blocked.executor.task_stats(id).unwrap().worker, None);
    assert!(Moirai::current().is_none());
    blocked.gate.open();
}

#[test]
fn a_task_sees_the_index_of_the_worker_that_runs_it() {
    let _watchdog = watchdog();
    let executor = named("spn-who", 3).build().unwrap();
    assert_eq!(executor.worker_count(), 3);
    assert_eq!(Moirai::worker_index(), None);
    for _ in 0..20 {
        let handle = executor.spawn_async(async { (Moirai::worker_index(), threads::own_name()) });
        let id = handle.id();
        let (index, thread) = handle.join().unwrap();
        assert!(thread.starts_with("spn-who"), "{thread}");
        assert!(index.is_some_and(|index| index < 3));
        assert_eq!(executor.task_stats(id).unwrap().worker, index);
    }
    let (index, thread) =
        executor.spawn_blocking(|| (Moirai::worker_index(), threads::own_name())).join().unwrap();
    assert_eq!(index, None);
    assert!(thread.starts_with("spn-who"), "{thread}");
}

#[test]
fn current_is_the_executor_that_runs_the_caller() {
    let _watchdog = watchdog();
    assert!(Moirai::current().is_none());
    let (outer, inner) = (workers(1), workers(1));
    /// Spawns a task with this name on the current executor.
    fn spawn_named(name: &'static str) {
        Moirai::current().expect("inside a task").task().name(name).spawn_parallel(|| ());
    }
    let has = |executor: &Moirai, name: &str| {
        executor.tasks().iter().any(|task| task.name.as_deref() == Some(name))
    };
    outer.spawn_async(async { spawn_named("async") }).join().unwrap();
    outer.spawn_parallel(|| spawn_named("parallel")).join().unwrap();
    outer.spawn_blocking(|| spawn_named("blocking")).join().unwrap();
    outer.block_on(async { spawn_named("block_on") });
    for name in ["async", "parallel", "blocking", "block_on"] {
        assert!(has(&outer, name), "{name}");
    }
    let nested = inner.clone();
    outer
        .spawn_parallel(move || {
            nested.block_on(async { spawn_named("nested") });
            spawn_named("after");
        })
        .join()
        .unwrap();
    assert!(has(&inner, "nested") && !has(&outer, "nested"));
    assert!(has(&outer, "after") && !has(&inner, "after"));
    assert!(Moirai::current().is_none());
}

/// Spawns a hundred tasks of each priority, the least urgent first. Each task adds its priority to `order` when it runs.
fn spawn_of_each_priority(
    executor: &Moirai,
    order: &Arc<Mutex<Vec<Priority>>>,
) -> Vec<TaskHandle<()>> {
    Priority::ALL
        .iter()
        .flat_map(|priority| std::iter::repeat_n(*priority, 100))
        .map(|priority| {
            let order = Arc::clone(order);
            executor.spawn_with_priority(move || order.lock().unwrap().push(priority), priority)
        })
        .collect()
}

#[test]
fn urgent_tasks_go_first() {
    let _watchdog = watchdog();
    for inside in [false, true] {
        let blocked = block_only_worker(Moirai::builder());
        let order = Arc::default();
        // They are spawned from outside, or from a task on the only worker.
        let handles = if inside {
            let (inner, order) = (blocked.executor.clone(), Arc::clone(&order));
            let spawner = blocked.executor.spawn(move || spawn_of_each_priority(&inner, &order));
            blocked.gate.open();
            spawner.join().unwrap()
        } else {
            let handles = spawn_of_each_priority(&blocked.executor, &order);
            blocked.gate.open();
            handles
        };
        for handle in handles {
            handle.join().unwrap();
        }
        let order = order.lock().unwrap();
        let mean_place = |priority: Priority| {
            let places = order.iter().enumerate().filter(|(_, other)| **other == priority);
            places.map(|(place, _)| place).sum::<usize>() / 100
        };
        let means: Vec<_> = Priority::ALL.iter().map(|priority| mean_place(*priority)).collect();
        assert!(means.is_sorted_by(|less_urgent, urgent| urgent + 20 < *less_urgent), "{means:?}");
        assert_eq!(order[0], Priority::Critical);
    }
}

#[test]
fn tasks_that_are_not_urgent_run_while_urgent_ones_keep_coming() {
    let _watchdog = watchdog();
    /// Each urgent task spawns the next one, until the less urgent task has run.
    fn flood(less_urgent: Arc<Counter>, urgent: Counter) {
        urgent.add();
        if less_urgent.get() == 0 {
            moirai::Moirai::current()
                .expect("inside a task")
                .spawn_with_priority(move || flood(less_urgent, urgent), Priority::Critical);
        }
    }
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let blocked = block_only_worker(Moirai::builder());
        let (ran, urgent) = (Arc::new(Counter::default()), Counter::default());
        for _ in 0..2 {
            let (ran, urgent) = (Arc::clone(&ran), urgent.clone());
            blocked.executor.spawn_with_priority(move || flood(ran, urgent), Priority::Critical);
        }
        let (mark, before) = (Arc::clone(&ran), urgent.clone());
        let less_urgent = blocked.executor.spawn_with_priority(
            move || {
                mark.add();
                before.get()
            },
            priority,
        );
        blocked.gate.open();
        let passed_over = less_urgent.join().unwrap();
        assert!(passed_over <= 64, "{priority} was passed over by {passed_over}");
    }
}

#[test]
fn try_run_inside_of_tasks_that_do_the_same_nests_so_deep_and_no_deeper() {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    static DEEPEST: AtomicUsize = AtomicUsize::new(0);
    let _watchdog = watchdog();
    let blocked = block_only_worker(Moirai::builder());
    let nests = |executor: Moirai| {
        move || {
            DEPTH.set(DEPTH.get() + 1);
            DEEPEST.fetch_max(DEPTH.get(), Ordering::Relaxed);
            executor.try_run();
            DEPTH.set(DEPTH.get() - 1);
        }
    };
    let tasks: Vec<_> = (0..100)
        .map(|_| blocked.executor.spawn_parallel(nests(blocked.executor.clone())))
        .collect();
    while blocked.executor.try_run() {}
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(DEEPEST.load(Ordering::Relaxed), 32);
    blocked.gate.open();
}

//! Tests of what a thread knows of the task that it runs, and of task-local values in tasks.

use std::sync::{Arc, Barrier, Mutex};

use moirai::prelude::*;
use moirai::{sim, task, task_local};

fn executor() -> Moirai {
    Moirai::builder().worker_threads(2).build().unwrap()
}

#[test]
fn each_kind_of_task_knows_its_id_and_name() {
    let executor = executor();
    let polls = executor.task().name("polls").spawn_async(async {
        let first = (task::id(), task::name());
        yield_now().await;
        assert_eq!((task::id(), task::name()), first);
        first
    });
    let id = polls.id();
    assert_eq!(polls.join().unwrap(), (Some(id), Some("polls".into())));
    let closure = executor.spawn_parallel(|| (task::id(), task::name()));
    let id = closure.id();
    assert_eq!(closure.join().unwrap(), (Some(id), None));
    let blocks = executor.task().name("blocks").spawn_blocking(|| (task::id(), task::name()));
    let id = blocks.id();
    assert_eq!(blocks.join().unwrap(), (Some(id), Some("blocks".into())));
}

#[test]
fn the_record_of_the_running_task_says_that_it_runs() {
    let executor = executor();
    let task = executor.task().priority(Priority::High).spawn_async(async { task::current() });
    let id = task.id();
    let stats = task.join().unwrap().unwrap();
    assert_eq!((stats.id, stats.status, stats.kind), (id, TaskStatus::Running, TaskKind::Async));
    assert_eq!(stats.priority, Priority::High);
}

#[test]
fn outside_of_tasks_there_is_none() {
    let executor = executor();
    let all = || (task::id(), task::name(), task::current().is_some());
    assert_eq!(all(), (None, None, false));
    assert_eq!(executor.block_on(async { all() }), (None, None, false));
    let (a, b) = executor.join(task::id, task::id);
    assert_eq!((a, b), (None, None), "the caller is no task, on whatever thread these run");
}

#[test]
fn closures_of_a_scope_belong_to_the_task_that_called_on_other_threads_too() {
    let executor = executor();
    let both = Arc::new(Barrier::new(2));
    let task = executor.task().name("forks").spawn_parallel(move || {
        let found = Mutex::new(Vec::new());
        moirai::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|_| {
                    // Two threads are in here.
                    both.wait();
                    let thread = std::thread::current().id();
                    found.lock().unwrap().push((thread, task::id(), task::name()));
                });
            }
        });
        found.into_inner().unwrap()
    });
    let id = task.id();
    let found = task.join().unwrap();
    let [(one, ..), (other, ..)] = &found[..] else { panic!("{found:?}") };
    assert_ne!(one, other);
    for (_, own, name) in &found {
        assert_eq!((*own, name.as_deref()), (Some(id), Some("forks")));
    }
}

#[test]
fn a_task_that_is_run_inside_of_another_is_the_innermost() {
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let inner = executor.clone();
    let outer = executor.spawn_parallel(move || {
        let own = task::id();
        let other = inner.spawn_parallel(task::id);
        assert!(inner.try_run());
        let expected = other.id();
        assert_eq!(other.join().unwrap(), Some(expected));
        assert_eq!(task::id(), own);
        own
    });
    let id = outer.id();
    assert_eq!(outer.join().unwrap(), Some(id));
}

#[test]
fn a_call_into_another_executor_is_still_a_part_of_the_task() {
    let (executor, other) = (executor(), executor());
    let task = executor.task().name("outer").spawn_async(async move {
        let inside = other.block_on(async { (task::id(), task::name()) });
        let (joined, _) = other.join(task::id, || ());
        let own = other.spawn_async(async { task::id() });
        let expected = own.id();
        assert_eq!(
            other.block_on(own).unwrap(),
            Some(expected),
            "a task of its own has its own id"
        );
        (inside, joined)
    });
    let id = task.id();
    let ((inside, name), joined) = task.join().unwrap();
    assert_eq!((inside, name.as_deref()), (Some(id), Some("outer")));
    assert_eq!(joined, Some(id));
}

#[test]
fn the_destructor_of_a_future_is_a_part_of_its_task() {
    struct Notes(Arc<Mutex<Option<TaskId>>>);
    impl Drop for Notes {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = task::id();
        }
    }
    let executor = executor();
    let found = Arc::new(Mutex::new(None));
    let notes = Notes(Arc::clone(&found));
    let task = executor.spawn_async(async move {
        let _notes = notes;
        std::future::pending::<()>().await;
    });
    let id = task.id();
    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
    assert_eq!(*found.lock().unwrap(), Some(id));
}

#[test]
fn simulated_tasks_know_themselves() {
    let (id, own) = sim::run(7, |executor| async move {
        let task = executor.spawn_async(async { task::id() });
        (task.id(), task.await.unwrap())
    });
    assert_eq!(own, Some(id));
}

task_local! {
    static REQUEST: u64;
}

#[test]
fn each_task_finds_its_own_value_on_whatever_worker_it_is_polled() {
    let executor = executor();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            executor.spawn_async(REQUEST.scope(number, async move {
                for _ in 0..20 {
                    assert_eq!(REQUEST.get(), number);
                    yield_now().await;
                }
                let inherited = moirai::spawn_async(async { REQUEST.try_with(|_| ()).is_ok() });
                inherited.await.unwrap()
            }))
        })
        .collect();
    for task in tasks {
        assert!(!task.join().unwrap(), "a task that it spawns does not inherit the value");
    }
    let after = executor.spawn_parallel(|| REQUEST.try_with(|_| ()).is_ok());
    assert!(!after.join().unwrap());
}

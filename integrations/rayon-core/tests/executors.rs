//! Rayon on an executor that runs other work, too.

mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;

use common::watchdog;
use moirai::Moirai;
use moirai::TaskStatus;
use rayon::prelude::*;

fn executor(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).thread_name_prefix("own").build().unwrap()
}

fn thread_names() -> Vec<String> {
    let name = |_| std::thread::current().name().unwrap_or_default().to_owned();
    (0..10_000).into_par_iter().map(name).collect()
}

#[test]
fn a_task_computes_on_the_workers_of_its_executor() {
    let _watchdog = watchdog();
    let executor = executor(3);
    let closure = executor.spawn_parallel(|| (rayon::current_num_threads(), thread_names()));
    let future = executor.spawn_async(async { (rayon::current_num_threads(), thread_names()) });
    let blocking = executor.spawn_blocking(|| (rayon::current_num_threads(), thread_names()));
    let outside = executor.block_on(async { (rayon::current_num_threads(), thread_names()) });
    for (threads, names) in
        [closure.join().unwrap(), future.join().unwrap(), blocking.join().unwrap(), outside]
    {
        assert_eq!(threads, 3);
        // A spare thread takes the place of a worker that waits.
        let is_worker =
            |name: &String| name.starts_with("own-worker") || name.starts_with("own-spare");
        assert!(names.iter().all(is_worker), "{names:?}");
    }
}

#[test]
fn what_is_spawned_is_on_record_and_so_is_why_it_failed() {
    let _watchdog = watchdog();
    let executor = executor(2);
    let (send, receive) = channel();
    executor
        .spawn_parallel(move || {
            rayon::spawn(move || send.send(rayon::current_thread_index()).unwrap());
            rayon::spawn(|| std::panic::resume_unwind(Box::new("on record")));
        })
        .join()
        .unwrap();
    assert!(receive.recv().unwrap().is_some());
    let failed = loop {
        let tasks = executor.tasks();
        if let Some(failed) = tasks.into_iter().find(|task| task.status == TaskStatus::Failed) {
            break failed;
        }
        std::thread::yield_now();
    };
    assert_eq!(failed.error.as_deref(), Some("on record"));
    assert!(failed.location.file().ends_with("executors.rs"), "{}", failed.location);
}

#[test]
fn async_tasks_go_on_while_rayon_computes() {
    let _watchdog = watchdog();
    let executor = executor(1);
    let (send, receive) = channel();
    let computing = executor.spawn_parallel(move || {
        // It ends only when an async task has run beside it.
        let seen = (0..2).into_par_iter().map(|_| ()).count();
        receive.recv().unwrap();
        seen
    });
    executor.spawn_async(async move { send.send(()) }).join().unwrap().unwrap();
    assert_eq!(computing.join().unwrap(), 2);
}

#[test]
fn an_executor_that_has_shut_down_says_so() {
    let _watchdog = watchdog();
    let executor = executor(1);
    executor.shutdown();
    let panic = executor
        .block_on(async { std::panic::catch_unwind(|| rayon::join(|| 1, || 2)).unwrap_err() });
    assert!(panic.downcast_ref::<&str>().unwrap().contains("has shut down"));
}

#[test]
fn a_task_that_is_cancelled_ends_its_computation() {
    let _watchdog = watchdog();
    let executor = executor(2);
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap());
    for in_a_pool in [false, true] {
        let (send, receive) = channel();
        let pool = Arc::clone(&pool);
        let task = executor.spawn_parallel(move || {
            let compute = || {
                send.send(()).unwrap();
                loop {
                    (0..100).into_par_iter().for_each(|_| std::hint::spin_loop());
                }
            };
            if in_a_pool { pool.install(compute) } else { compute() }
        });
        receive.recv().unwrap();
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
    }
}

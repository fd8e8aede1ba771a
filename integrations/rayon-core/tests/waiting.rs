//! What threads do while they wait, which worker they are, and how pools end.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use common::watchdog;
use rayon::prelude::*;

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// rayon's issue 969: a parallel iterator whose items spawn jobs does not wait for those jobs.
#[test]
fn a_parallel_iterator_does_not_run_what_its_items_spawn() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let (release, ran) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    pool.install(|| {
        (0..8).into_par_iter().for_each(|n| {
            let (release, ran) = (Arc::clone(&release), Arc::clone(&ran));
            if n == 0 {
                // If the iterator ran this while it waits, it would wait for itself.
                rayon::spawn(move || {
                    while !release.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    ran.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        release.store(true, Ordering::SeqCst);
    });
    drop(pool);
    while ran.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
}

#[test]
fn no_two_threads_are_the_same_worker_however_they_wait() {
    fn divide(depth: usize, inside: &[AtomicBool], other: &rayon::ThreadPool) {
        let index = rayon::current_thread_index().expect("it runs on a worker");
        assert!(!inside[index].swap(true, Ordering::SeqCst), "two threads are worker {index}");
        assert!(inside[index].swap(false, Ordering::SeqCst));
        if depth == 0 {
            assert_eq!(other.install(|| other.current_num_threads()), 1);
        } else {
            rayon::join(|| divide(depth - 1, inside, other), || divide(depth - 1, inside, other));
        }
        assert_eq!(rayon::current_thread_index(), Some(index), "after it has waited");
        assert!(!inside[index].swap(true, Ordering::SeqCst), "two threads are worker {index}");
        assert!(inside[index].swap(false, Ordering::SeqCst));
    }
    let _watchdog = watchdog();
    let (pool, other) = (pool(3), pool(1));
    let inside = [const { AtomicBool::new(false) }; 3];
    for _ in 0..50 {
        pool.install(|| divide(6, &inside, &other));
    }
}

#[test]
fn pools_of_one_thread_install_into_each_other() {
    let _watchdog = watchdog();
    let pools = [pool(1), pool(1), pool(1)];
    fn nest(pools: &[rayon::ThreadPool], depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        assert_eq!(rayon::current_num_threads(), 1);
        1 + pools[depth % pools.len()].install(|| nest(pools, depth - 1))
    }
    assert_eq!(pools[0].install(|| nest(&pools, 60)), 60);
}

#[test]
fn a_scope_of_a_pool_whose_only_thread_waits_for_its_creator_goes_on() {
    let _watchdog = watchdog();
    let (first, second) = (pool(1), pool(1));
    let sum = AtomicUsize::new(0);
    for _ in 0..100 {
        first.install(|| {
            second.install(|| {
                first.in_place_scope(|scope| {
                    for _ in 0..5 {
                        scope
                            .spawn(|scope| scope.spawn(|_| _ = sum.fetch_add(1, Ordering::SeqCst)));
                    }
                });
            });
        });
    }
    assert_eq!(sum.into_inner(), 500);
}

#[test]
fn a_broadcast_inside_of_a_stolen_job_reaches_the_thread_that_waits_for_the_job() {
    let _watchdog = watchdog();
    let pool = pool(2);
    for _ in 0..200 {
        pool.install(|| {
            let both = Barrier::new(2);
            let (_, indices) = rayon::join(
                || both.wait(),
                || {
                    both.wait();
                    rayon::broadcast(|context| context.index())
                },
            );
            assert_eq!(indices, [0, 1]);
        });
    }
}

#[test]
fn a_pool_that_is_dropped_runs_what_was_spawned_and_what_that_spawns() {
    let _watchdog = watchdog();
    let (send, receive) = channel();
    let pool = pool(2);
    for _ in 0..100 {
        let send = send.clone();
        pool.spawn(move || rayon::spawn(move || rayon::spawn_fifo(move || send.send(()).unwrap())));
    }
    drop((pool, send));
    assert_eq!(receive.iter().count(), 100);
}

#[test]
fn a_panic_of_an_installed_job_comes_to_the_caller_and_one_of_a_spawned_job_to_the_handler() {
    let _watchdog = watchdog();
    let (send, receive) = channel();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .panic_handler(move |payload| send.send(*payload.downcast::<&str>().unwrap()).unwrap())
        .build()
        .unwrap();
    let panics = std::panic::catch_unwind(|| {
        pool.install(|| std::panic::resume_unwind(Box::new("installed")))
    });
    assert_eq!(*panics.unwrap_err().downcast::<&str>().unwrap(), "installed");
    pool.spawn(|| std::panic::resume_unwind(Box::new("spawned")));
    assert_eq!(receive.recv(), Ok("spawned"));
}

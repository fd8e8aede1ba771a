//! Single workers: indices that last, closures for one worker, threads of the caller's own making, names, extensions, and executors
//! that are let go.

mod common;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::watchdog;
use moirai::prelude::*;
use moirai::scheduler::WorkStealing;
use moirai::{HybridExecutor, ThreadKind, WorkerThread};

/// Marks the caller's worker as used by the caller alone, for as long as this lives.
struct Alone<'a>(&'a AtomicBool);

impl<'a> Alone<'a> {
    fn with(workers: &'a [AtomicBool], index: usize) -> Self {
        let worker = &workers[index];
        assert!(!worker.swap(true, Ordering::SeqCst), "two threads are worker {index}");
        Self(worker)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Workers that keep their indices, and no threads besides that take over from workers which get no processor for a while.
fn pool(workers: usize) -> Moirai {
    let builder = Moirai::builder().worker_threads(workers).stable_worker_index(true);
    builder.compensation_threads(0).build().unwrap()
}

#[test]
fn a_thread_goes_on_as_the_worker_that_it_was() {
    let _watchdog = watchdog();
    let executor = pool(2);
    let workers = Arc::new([const { AtomicBool::new(false) }; 2]);
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let workers = Arc::clone(&workers);
            executor.spawn_parallel(move || {
                let index = Moirai::worker_index().expect("a closure runs on a worker");
                for _ in 0..3 {
                    drop(Alone::with(&*workers, index));
                    block_in_place(|| (0..20).for_each(|_| thread::yield_now()));
                    assert_eq!(Moirai::worker_index(), Some(index), "after it has blocked");
                    let _alone = Alone::with(&*workers, index);
                }
                let executor = Moirai::current().expect("it runs on an executor");
                executor.spawn_parallel(|| ()).join().unwrap();
                assert_eq!(Moirai::worker_index(), Some(index), "after it has waited");
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert!(executor.shutdown().is_clean());
}

#[test]
fn an_index_lasts_once_it_was_asked_for() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let (blocked, release) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    let back = Arc::new(AtomicBool::new(false));
    let task = executor.spawn_parallel({
        let (blocked, release) = (Arc::clone(&blocked), Arc::clone(&release));
        let back = Arc::clone(&back);
        move || {
            let index = HybridExecutor::lasting_worker_index();
            block_in_place(|| {
                blocked.wait();
                while !release.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                back.store(true, Ordering::SeqCst);
            });
            (index, Moirai::worker_index())
        }
    });
    blocked.wait();
    // Another thread is the only worker now, and stays it until the first thread has begun to come back.
    let other = executor.spawn_parallel(move || {
        release.store(true, Ordering::SeqCst);
        while !back.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        (0..1_000).for_each(|_| thread::yield_now());
    });
    assert_eq!(task.join().unwrap(), (Some(0), Some(0)));
    other.join().unwrap();
}

#[test]
fn an_executor_that_stops_keeps_the_core_for_its_thread() {
    let _watchdog = watchdog();
    let executor = pool(1);
    let (blocked, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (send, receive) = mpsc::channel();
    executor.spawn_parallel({
        let (blocked, release) = (Arc::clone(&blocked), Arc::clone(&release));
        move || {
            block_in_place(|| {
                blocked.wait();
                release.wait();
            });
            send.send(Moirai::worker_index()).unwrap();
        }
    });
    blocked.wait();
    assert!(!executor.shutdown_timeout(Duration::ZERO).is_clean());
    release.wait();
    assert_eq!(receive.recv(), Ok(Some(0)));
    assert!(executor.shutdown().is_clean());
}

#[test]
fn a_closure_for_a_worker_runs_on_it_while_all_are_busy_and_while_all_sleep() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(2).build().unwrap();
    let busy = Arc::new(AtomicBool::new(true));
    for round in 0..50 {
        let tasks: Vec<_> = (0..round)
            .map(|_| {
                let busy = Arc::clone(&busy);
                executor.spawn_async(async move {
                    while busy.load(Ordering::Relaxed) {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for worker in 0..2 {
            let task = executor.spawn_on_worker(worker, Moirai::worker_index).unwrap();
            let id = task.id();
            assert_eq!(task.join().unwrap(), Some(worker));
            assert_eq!(executor.task_stats(id).unwrap().worker, Some(worker));
        }
        busy.store(false, Ordering::Relaxed);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        busy.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_closure_for_a_worker_runs_while_that_worker_waits_in_a_join() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(2).build().unwrap();
    for _ in 0..100 {
        let inside = executor.without_owner();
        let task = executor.spawn_parallel(move || {
            let here = Moirai::worker_index().unwrap();
            let stolen = Barrier::new(2);
            let ((), there) = inside.join(
                || {
                    stolen.wait();
                },
                || {
                    stolen.wait();
                    // The thread that waits for this is worker `here`, and must let another thread be that.
                    inside.spawn_on_worker(here, Moirai::worker_index).unwrap().join().unwrap()
                },
            );
            (here, there)
        });
        let (here, there) = task.join().unwrap();
        assert_eq!(there, Some(here));
    }
}

#[test]
fn there_is_no_worker_beyond_the_last() {
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    assert!(executor.spawn_on_worker(1, || ()).is_none());
    assert!(executor.shutdown().is_clean());
    let refused = executor.spawn_on_worker(0, || ()).unwrap();
    assert!(refused.join().unwrap_err().is_shut_down());
}

#[test]
fn closures_for_a_worker_that_has_stopped_are_cancelled() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let (began, begun) = mpsc::channel();
    let release = Arc::new(AtomicBool::new(false));
    let busy = executor.spawn_parallel({
        let release = Arc::clone(&release);
        move || {
            began.send(()).unwrap();
            while !release.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    });
    begun.recv().unwrap();
    let posted = executor.spawn_on_worker(0, || ()).unwrap();
    assert_eq!(executor.load(), 1);
    executor.shutdown_timeout(Duration::ZERO);
    release.store(true, Ordering::SeqCst);
    assert!(posted.join().is_err());
    busy.join().unwrap();
}

#[test]
fn an_executor_that_is_let_go_runs_the_children_of_its_tasks_and_stops() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(2).build().unwrap();
    let watched = executor.executor().downgrade();
    let (send, receive) = mpsc::channel();
    fn grow(depth: usize, send: mpsc::Sender<usize>) {
        send.send(depth).unwrap();
        if depth < 20 {
            let executor = Moirai::current().expect("it runs on an executor");
            drop(executor.spawn_parallel(move || grow(depth + 1, send)));
        }
    }
    let release = Arc::new(Barrier::new(2));
    executor.spawn_parallel({
        let release = Arc::clone(&release);
        move || {
            release.wait();
            grow(0, send);
        }
    });
    let other = executor.without_owner();
    executor.drain_in_background();
    assert!(other.spawn_parallel(|| ()).join().unwrap_err().is_shut_down(), "others may not spawn");
    drop(other);
    release.wait();
    assert_eq!(receive.iter().count(), 21);
    while watched.is_alive() {
        thread::yield_now();
    }
}

#[test]
fn an_executor_without_tasks_that_is_let_go_stops() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let watched = executor.executor().downgrade();
    executor.drain_in_background();
    while watched.is_alive() {
        thread::yield_now();
    }
}

#[test]
fn threads_are_named_by_the_users_function_unless_it_panics() {
    let _watchdog = watchdog();
    let name = |kind, number| match kind {
        ThreadKind::Worker => format!("w\0{number}"),
        _ => panic!("no name"),
    };
    let executor = Moirai::builder().worker_threads(2).thread_names(name).build().unwrap();
    let own_name = || thread::current().name().map(str::to_owned);
    for worker in 0..2 {
        let name = executor.spawn_on_worker(worker, own_name).unwrap().join().unwrap();
        assert_eq!(name, Some(format!("w{worker}")));
    }
    let blocking = executor.spawn_blocking(own_name).join().unwrap();
    assert_eq!(blocking.as_deref(), Some("moirai-blocking-1"));
}

#[test]
fn an_extension_is_found_by_its_type_and_dropped_with_the_executor() {
    let _watchdog = watchdog();
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("it is contained");
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let executor = Moirai::builder()
        .worker_threads(1)
        .extension(1_u8)
        .extension(2_u8)
        .extension(Counted(Arc::clone(&dropped)))
        .build()
        .unwrap();
    assert_eq!(executor.extension::<u8>(), Some(&2));
    assert_eq!(executor.extension::<u16>(), None);
    drop(executor);
    while dropped.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
}

#[test]
fn workers_run_on_threads_that_borrow() {
    let _watchdog = watchdog();
    let ran = AtomicUsize::new(0);
    thread::scope(|threads| {
        let builder = Moirai::builder().worker_threads(3).spare_threads(0);
        let executor = builder
            .build_with(|worker| {
                let ran = &ran;
                threads.spawn(move || {
                    worker.run();
                    ran.fetch_add(1, Ordering::SeqCst);
                });
                Ok(())
            })
            .unwrap();
        let sum = executor.join(|| 1, || 2);
        assert_eq!(sum, (1, 2));
        drop(executor);
    });
    assert_eq!(ran.into_inner(), 3);
}

#[test]
fn workers_that_cannot_be_started_are_an_error_and_leave_nothing() {
    let _watchdog = watchdog();
    let threads = Mutex::new(Vec::new());
    let error = Moirai::builder()
        .worker_threads(3)
        .build_with(|worker: WorkerThread| {
            if worker.index() == 2 {
                return Err(io::Error::other("no third thread"));
            }
            threads.lock().unwrap().push(thread::spawn(|| worker.run()));
            Ok(())
        })
        .unwrap_err();
    assert!(
        error.to_string().contains("no third thread")
            || format!("{error:?}").contains("no third thread")
    );
    threads.into_inner().unwrap().into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_worker_that_is_dropped_stops_the_executor() {
    let _watchdog = watchdog();
    let mut kept = None;
    let executor = Moirai::builder()
        .worker_threads(2)
        .build_with(|worker| {
            match worker.index() {
                0 => kept = Some(worker),
                _ => worker.spawn()?,
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(executor.spawn_parallel(|| 1).join().unwrap(), 1);
    drop(kept);
    assert!(executor.spawn_parallel(|| 1).join().is_err());
    assert!(executor.shutdown().is_clean());
}

#[test]
fn the_newest_closure_runs_first_if_the_scheduler_says_so() {
    let _watchdog = watchdog();
    let scheduler = WorkStealing::newest_first();
    let executor = Moirai::builder().worker_threads(1).scheduler(scheduler).build().unwrap();
    let (send, receive) = mpsc::channel();
    let inside = executor.without_owner();
    executor
        .spawn_parallel(move || {
            for number in 0..10 {
                let send = send.clone();
                drop(inside.spawn_parallel(move || send.send(number)));
            }
        })
        .join()
        .unwrap();
    assert_eq!(receive.iter().collect::<Vec<_>>(), (0..10).rev().collect::<Vec<_>>());
}

#[test]
fn a_panic_of_what_starts_the_workers_leaves_nothing() {
    let _watchdog = watchdog();
    let dropped = Arc::new(());
    let built = std::panic::catch_unwind(|| {
        let builder = Moirai::builder().worker_threads(4).extension(Arc::clone(&dropped));
        builder.build_with(|worker| {
            assert!(worker.index() < 2, "no third worker");
            worker.spawn()
        })
    });
    assert!(built.is_err());
    while Arc::strong_count(&dropped) > 1 {
        thread::yield_now();
    }
}

#[test]
fn a_broadcast_reaches_every_worker_from_everywhere() {
    let _watchdog = watchdog();
    for stable in [false, true] {
        let builder = Moirai::builder().worker_threads(3).stable_worker_index(stable);
        let executor = builder.build().unwrap();
        let indices = |worker| (worker, Moirai::worker_index());
        let all: Vec<_> = (0..3).map(|worker| (worker, Some(worker))).collect();
        assert_eq!(executor.broadcast(indices), all, "from outside");
        let inside = executor.without_owner();
        for _ in 0..100 {
            // All at once, each of which needs all workers, and from inside of fork-join work and of shares.
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let inside = inside.clone();
                    executor.spawn_parallel(move || {
                        let (left, right) = inside.join(
                            || inside.broadcast(indices),
                            || inside.broadcast(|_| inside.join(|| 1, || 2)),
                        );
                        (left, right.len())
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.join().unwrap(), (all.clone(), 3));
            }
        }
        let panic = std::panic::catch_unwind(|| {
            executor.broadcast(|worker| {
                if worker == 1 {
                    std::panic::resume_unwind(Box::new(worker))
                }
            })
        });
        assert_eq!(*panic.unwrap_err().downcast::<usize>().unwrap(), 1);
    }
}

#[test]
fn a_thread_that_waits_in_a_join_runs_its_share_of_a_broadcast_and_nothing_else() {
    let _watchdog = watchdog();
    let executor = pool(2);
    let inside = executor.without_owner();
    for _ in 0..50 {
        let inside = inside.clone();
        let task = executor.spawn_parallel(move || {
            let lock = Mutex::new(());
            let held = lock.lock().unwrap();
            let both = Barrier::new(2);
            let unrelated = inside.spawn_on_worker(Moirai::worker_index().unwrap(), || ()).unwrap();
            let id = unrelated.id();
            let (_, shares) = inside.join(
                || both.wait(),
                || {
                    both.wait();
                    inside.broadcast(|_| thread::current().id())
                },
            );
            drop(held);
            assert!(shares.contains(&thread::current().id()), "it has run its own share");
            assert_eq!(inside.task_status(id), Some(TaskStatus::Queued), "and nothing else");
            id
        });
        let id = task.join().unwrap();
        assert_eq!(
            executor.block_on(executor.wait_for_task(id, None)),
            Some(TaskStatus::Completed)
        );
    }
}

#[test]
fn an_executor_that_is_let_go_stops_although_it_has_other_owners() {
    let _watchdog = watchdog();
    let executor = Moirai::builder().worker_threads(1).build().unwrap();
    let other = executor.clone();
    executor.drain_in_background();
    assert!(other.spawn_parallel(|| ()).join().unwrap_err().is_shut_down());
    let watched = other.executor().downgrade();
    drop(other);
    while watched.is_alive() {
        thread::yield_now();
    }
}

#[test]
fn what_is_left_of_a_wait_is_not_run_in_the_next_one() {
    let _watchdog = watchdog();
    let (here, there) = (pool(1), pool(1));
    let ran = Arc::new(AtomicUsize::new(0));
    let (inside, ran_in_wait) = (here.without_owner(), Arc::clone(&ran));
    let seen = here.install(move || {
        let left = || {
            // Belongs to the wait of the only worker here, which may be over before it is run.
            let ran = Arc::clone(&ran_in_wait);
            inside.executor().spawn_for_waiting(move || _ = ran.fetch_add(1, Ordering::SeqCst));
        };
        // Waits one after the other have the same address. In the second, nothing of the first is run: it would be unrelated.
        let mut before_and_after = Vec::new();
        for round in 0..2 {
            let before = ran_in_wait.load(Ordering::SeqCst);
            there.install(|| {
                if round == 0 {
                    left()
                }
            });
            before_and_after.push((before, ran_in_wait.load(Ordering::SeqCst)));
        }
        before_and_after
    });
    assert_eq!(seen[1].0, seen[1].1, "the second wait has run what the first has left");
    while ran.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
}

//! What [`Sleepers`] promises beyond the models: who is woken, and what bad input gets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moirai_core::{LocalQueue, Priority, Scheduler};

use crate::{Sleepers, WorkStealing};

/// Waits for a condition that other threads bring about.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long: {what}");
        thread::yield_now();
    }
}

/// Workers that count what they take and how often they park.
struct Crew {
    scheduler: WorkStealing<usize>,
    sleepers: Sleepers,
    stop: AtomicBool,
    taken: AtomicUsize,
    parks: AtomicUsize,
}

/// Runs `test` beside `workers` workers, and stops them.
fn with_crew(workers: usize, test: impl FnOnce(&Crew)) {
    let crew = Arc::new(Crew {
        scheduler: WorkStealing::new(),
        sleepers: Sleepers::new(workers),
        stop: AtomicBool::new(false),
        taken: AtomicUsize::new(0),
        parks: AtomicUsize::new(0),
    });
    let locals = crew.scheduler.start(workers).into_iter().enumerate();
    let threads: Vec<_> = locals
        .map(|(index, mut local)| {
            let crew = Arc::clone(&crew);
            thread::spawn(move || {
                let stop = || crew.stop.load(Ordering::Relaxed);
                let parked = || {
                    crew.parks.fetch_add(1, Ordering::Relaxed);
                };
                while local
                    .pop()
                    .or_else(|| crew.sleepers.next(index, || local.pop(), || false, stop, parked))
                    .is_some()
                {
                    crew.taken.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    test(&crew);
    crew.stop.store(true, Ordering::Relaxed);
    crew.sleepers.wake_all();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((crew.sleepers.sleeping(), crew.sleepers.searching()), (0, 0));
}

#[test]
fn one_push_wakes_one_worker_and_no_push_wakes_none() {
    const WAVES: usize = 2_000;
    with_crew(4, |crew| {
        let parks = || crew.parks.load(Ordering::Relaxed);
        wait_until("all asleep", || parks() == 4);
        assert_eq!(crew.sleepers.sleeping(), 4);
        for wave in 1..=WAVES {
            let _ = crew.scheduler.push(wave, Priority::Normal);
            crew.sleepers.notify();
            wait_until("one worker did it and sleeps again", || {
                crew.taken.load(Ordering::Relaxed) == wave && parks() >= 4 + wave
            });
            // Each worker that is woken parks once more.
            assert_eq!(parks(), 4 + wave);
            assert_eq!(crew.sleepers.sleeping(), 4);
        }
    });
}

#[test]
fn notifying_without_work_puts_everyone_back_to_sleep() {
    with_crew(2, |crew| {
        for _ in 0..1_000 {
            crew.sleepers.notify();
            crew.sleepers.wake_all();
        }
        wait_until("all asleep", || crew.sleepers.sleeping() == 2);
        let _ = crew.scheduler.push(1, Priority::Normal);
        crew.sleepers.notify();
        wait_until("taken", || crew.taken.load(Ordering::Relaxed) == 1);
    });
}

#[test]
fn a_stop_comes_before_work() {
    let sleepers = Sleepers::new(1);
    assert_eq!(sleepers.next(0, || Some(1), || false, || true, || ()), None);
    assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
}

#[test]
fn work_found_at_the_last_look_is_taken() {
    let sleepers = Sleepers::new(1);
    let mut looks = 0;
    let found = sleepers.next(
        0,
        || {
            looks += 1;
            (looks == 2).then_some("late")
        },
        || false,
        || false,
        || panic!("it has work"),
    );
    assert_eq!(found, Some("late"));
    assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
}

#[test]
fn at_most_half_of_the_workers_search() {
    for (workers, limit) in [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)] {
        let sleepers = Sleepers::new(workers);
        // Each look starts another worker's search inside of it.
        fn look(sleepers: &Sleepers, worker: usize, workers: usize) -> usize {
            let mut most = sleepers.searching();
            if worker < workers {
                sleepers.next(
                    worker,
                    || {
                        most = most.max(look(sleepers, worker + 1, workers));
                        Some(())
                    },
                    || false,
                    || false,
                    || (),
                );
            }
            most
        }
        assert_eq!(look(&sleepers, 0, workers), limit);
        assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
    }
}

#[test]
fn a_panic_in_a_closure_leaves_the_counts_in_order() {
    let sleepers = Sleepers::new(2);
    let outcomes = [
        catch_unwind(AssertUnwindSafe(|| {
            sleepers.next(0, || -> Option<()> { panic!("pop") }, || false, || false, || ())
        })),
        catch_unwind(AssertUnwindSafe(|| {
            sleepers.next(0, || None::<()>, || false, || false, || panic!("parked"))
        })),
        catch_unwind(AssertUnwindSafe(|| {
            sleepers.next(0, || None::<()>, || false, || panic!("stop"), || ())
        })),
    ];
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
    assert_eq!(sleepers.next(0, || Some(1), || false, || false, || ()), Some(1));
}

#[test]
#[should_panic(expected = "from 1 to")]
fn no_workers_are_refused() {
    let _ = Sleepers::new(0);
}

#[test]
#[should_panic(expected = "from 1 to")]
fn too_many_workers_are_refused() {
    let _ = Sleepers::new(Sleepers::MAX_WORKERS + 1);
}

#[test]
#[should_panic(expected = "there is no worker 2")]
fn a_worker_that_does_not_exist_is_refused() {
    let _ = Sleepers::new(2).next(2, || Some(1), || false, || false, || ());
}

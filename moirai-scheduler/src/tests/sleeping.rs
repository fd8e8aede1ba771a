//! Tests of what [`Sleepers`] promises beyond the models: which worker is woken, and what happens with bad input.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moirai_core::{LocalQueue, Priority, Scheduler};

use crate::{Look, Sleepers, WorkStealing};

/// Waits for a condition that other threads bring about, for ten seconds at most.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long: {what}");
        thread::yield_now();
    }
}

/// Workers that count the tasks that they take, and how often they park.
struct Fixture {
    scheduler: WorkStealing<usize>,
    sleepers: Sleepers,
    stop: AtomicBool,
    taken: AtomicUsize,
    parks: AtomicUsize,
}

/// Runs `test` while `workers` workers run, and then stops them.
fn with_workers(workers: usize, test: impl FnOnce(&Fixture)) {
    let fixture = Arc::new(Fixture {
        scheduler: WorkStealing::new(),
        sleepers: Sleepers::new(workers),
        stop: AtomicBool::new(false),
        taken: AtomicUsize::new(0),
        parks: AtomicUsize::new(0),
    });
    let locals = fixture.scheduler.start(workers).into_iter().enumerate();
    let threads: Vec<_> = locals
        .map(|(index, mut local)| {
            let fixture = Arc::clone(&fixture);
            thread::spawn(move || {
                let stop = || fixture.stop.load(Ordering::Relaxed);
                let parked = || {
                    fixture.parks.fetch_add(1, Ordering::Relaxed);
                };
                while local
                    .pop()
                    .or_else(|| {
                        fixture.sleepers.next(index, |_| local.pop(), || false, stop, parked)
                    })
                    .is_some()
                {
                    fixture.taken.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    test(&fixture);
    fixture.stop.store(true, Ordering::Relaxed);
    fixture.sleepers.wake_all();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((fixture.sleepers.sleeping(), fixture.sleepers.searching()), (0, 0));
}

#[test]
fn one_push_wakes_one_worker_and_no_push_wakes_none() {
    const WAVES: usize = 2_000;
    with_workers(4, |fixture| {
        let parks = || fixture.parks.load(Ordering::Relaxed);
        wait_until("all asleep", || parks() == 4);
        assert_eq!(fixture.sleepers.sleeping(), 4);
        for wave in 1..=WAVES {
            let _ = fixture.scheduler.push(wave, Priority::Normal);
            fixture.sleepers.notify();
            wait_until("one worker did it and sleeps again", || {
                fixture.taken.load(Ordering::Relaxed) == wave && parks() >= 4 + wave
            });
            // Each worker that is woken parks once more.
            assert_eq!(parks(), 4 + wave);
            assert_eq!(fixture.sleepers.sleeping(), 4);
        }
    });
}

#[test]
fn notifying_without_work_puts_everyone_back_to_sleep() {
    with_workers(2, |fixture| {
        for _ in 0..1_000 {
            fixture.sleepers.notify();
            fixture.sleepers.wake_all();
        }
        wait_until("all asleep", || fixture.sleepers.sleeping() == 2);
        let _ = fixture.scheduler.push(1, Priority::Normal);
        fixture.sleepers.notify();
        wait_until("taken", || fixture.taken.load(Ordering::Relaxed) == 1);
    });
}

#[test]
fn a_stop_comes_before_work() {
    let sleepers = Sleepers::new(1);
    assert_eq!(sleepers.next(0, |_| Some(1), || false, || true, || ()), None);
    assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
}

#[test]
fn work_found_at_the_last_look_is_taken() {
    let sleepers = Sleepers::new(1);
    let mut looks = Vec::new();
    let found = sleepers.next(
        0,
        |look| {
            looks.push(look);
            (looks.len() == 2).then_some("late")
        },
        || false,
        || false,
        || panic!("it has work"),
    );
    assert_eq!(found, Some("late"));
    assert_eq!(looks, [Look::Partial, Look::Full]);
    assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
}

#[test]
fn at_most_half_of_the_workers_search() {
    for (workers, limit) in [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)] {
        let sleepers = Sleepers::new(workers);
        // Each look starts the search of another worker inside it.
        fn look(sleepers: &Sleepers, worker: usize, workers: usize) -> usize {
            let mut most = sleepers.searching();
            if worker < workers {
                sleepers.next(
                    worker,
                    |_| {
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
            sleepers.next(0, |_| -> Option<()> { panic!("pop") }, || false, || false, || ())
        })),
        catch_unwind(AssertUnwindSafe(|| {
            sleepers.next(0, |_| None::<()>, || false, || false, || panic!("parked"))
        })),
        catch_unwind(AssertUnwindSafe(|| {
            sleepers.next(0, |_| None::<()>, || false, || panic!("stop"), || ())
        })),
    ];
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!((sleepers.sleeping(), sleepers.searching()), (0, 0));
    assert_eq!(sleepers.next(0, |_| Some(1), || false, || false, || ()), Some(1));
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
    let _ = Sleepers::new(2).next(2, |_| Some(1), || false, || false, || ());
}

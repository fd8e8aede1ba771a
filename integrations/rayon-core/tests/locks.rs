//! Locks that are held while rayon computes. With the original the first of these programs deadlocks, and the others are in its list of
//! issues for the same reason.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, RwLock};

use common::watchdog;
use rayon::prelude::*;

const ROUNDS: u64 = 10_000;

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// rayon's issue 592: each item of a parallel iterator takes a lock, and computes in parallel while it holds it.
#[test]
fn a_mutex_is_held_across_a_parallel_iterator_inside_of_another() {
    let _watchdog = watchdog();
    let numbers = Mutex::new((0..64_u64).collect::<Vec<_>>());
    let sum = AtomicU64::new(0);
    pool(4).install(|| {
        for _ in 0..ROUNDS {
            (0..8).into_par_iter().for_each(|_| {
                let numbers = numbers.lock().unwrap();
                sum.fetch_add(numbers.par_iter().sum::<u64>(), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(sum.into_inner(), ROUNDS * 8 * (63 * 64 / 2));
}

/// rayon's issue 1205: readers and a writer of one lock, and a reader computes in parallel while it holds it.
#[test]
fn a_read_lock_is_held_across_a_parallel_iterator_while_a_writer_waits() {
    let _watchdog = watchdog();
    let numbers = RwLock::new((0..64_u64).collect::<Vec<_>>());
    let sum = AtomicU64::new(0);
    let pool = pool(4);
    pool.install(|| {
        for _ in 0..ROUNDS {
            rayon::scope(|scope| {
                scope.spawn(|_| numbers.write().unwrap()[0] += 1);
                for _ in 0..3 {
                    scope.spawn(|_| {
                        let numbers = numbers.read().unwrap();
                        sum.fetch_add(numbers[1..].par_iter().sum::<u64>(), Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), ROUNDS * 3 * (63 * 64 / 2));
    assert_eq!(numbers.into_inner().unwrap()[0], ROUNDS);
}

/// rayon's issue 1251: items initialize a value once, in parallel.
#[test]
fn a_value_is_initialized_in_parallel_by_items_of_a_parallel_iterator() {
    let _watchdog = watchdog();
    pool(4).install(|| {
        for round in 0..ROUNDS {
            let once = OnceLock::new();
            let lazy = LazyLock::new(|| (0..64_u64).into_par_iter().map(|n| n + round).max());
            (0..8_u64).into_par_iter().for_each(|_| {
                let sum: &u64 = once.get_or_init(|| (0..64_u64).into_par_iter().sum());
                assert_eq!((*sum, *lazy), (63 * 64 / 2, Some(63 + round)));
            });
        }
    });
}

use super::*;
use crate::tests::{Counter, LONG, in_time, panicking, poll};
use futures_lite::future::block_on;
use std::thread;
use std::time::Instant;

#[test]
fn an_empty_group_is_waited_for_at_once() {
    in_time(|| {
        let group = WaitGroup::default();
        group.wait_blocking();
        block_on(group.wait());
        assert!(group.wait_timeout(Duration::ZERO));
        drop(group.add());
        group.wait_blocking();
    });
}

#[test]
fn it_waits_for_all_members_and_their_clones() {
    let group = WaitGroup::new();
    let (counter, waker) = Counter::waker();
    let first = group.add();
    let second = first.clone();
    let third = group.add();
    assert_eq!(group.members(), 3);
    let mut wait = group.wait();
    for guard in [first, third, second] {
        assert!(poll(&mut wait, &waker).is_pending());
        assert_eq!(counter.count(), 0);
        drop(guard);
    }
    assert_eq!(group.members(), 0);
    assert_eq!(counter.count(), 1);
    assert!(poll(&mut wait, &waker).is_ready());
}

#[test]
fn a_wait_ends_when_the_group_was_empty_also_if_it_is_used_again() {
    let group = WaitGroup::new();
    let (counter, waker) = Counter::waker();
    let (mut early, mut late) = (group.wait(), group.wait());
    let guard = group.add();
    assert!(poll(&mut early, &waker).is_pending());
    drop(guard);
    let again = group.add();
    assert!(poll(&mut late, &waker).is_pending());
    assert!(poll(&mut early, &waker).is_ready());
    drop(early); // Leaves the late one where it is.
    assert_eq!(counter.count(), 1);
    drop(again);
    assert_eq!(counter.count(), 2);
    assert!(poll(&mut late, &waker).is_ready());
}

#[test]
fn a_limit_is_kept() {
    let group = WaitGroup::new();
    let guard = group.add();
    let start = Instant::now();
    assert!(!group.wait_timeout(Duration::ZERO));
    assert!(!group.wait_timeout(Duration::from_millis(20)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(group.inner.waiters.lock().len(), 0);
    thread::scope(|scope| {
        let waiters = &group.inner.waiters;
        scope.spawn(move || {
            while waiters.lock().len() < 2 {
                thread::yield_now();
            }
            drop(guard);
        });
        scope.spawn(|| assert!(group.wait_timeout(LONG)));
        assert!(group.wait_timeout(Duration::MAX));
    });
}

#[test]
fn a_member_that_panics_is_done() {
    in_time(|| {
        let group = WaitGroup::new();
        let guard = group.add();
        let thread = thread::spawn(move || {
            let _guard = guard;
            panic!("expected by the test");
        });
        group.wait_blocking();
        assert!(thread.join().is_err());
    });
}

#[test]
fn a_waker_that_panics_reaches_neither_the_member_nor_the_others() {
    let group = WaitGroup::new();
    let guard = group.add();
    let (counter, waker) = Counter::waker();
    let (mut one, mut other) = (group.wait(), group.wait());
    assert!(poll(&mut one, &panicking()).is_pending());
    assert!(poll(&mut other, &waker).is_pending());
    drop(guard);
    assert_eq!(counter.count(), 1);
    assert!(poll(&mut one, &waker).is_ready());
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let group = WaitGroup::new();
    let _guard = group.add();
    let (counter, waker) = Counter::waker();
    for _ in 0..1_000 {
        assert!(poll(&mut group.wait(), &waker).is_pending());
    }
    assert_eq!(group.inner.waiters.lock().len(), 0);
    assert_eq!(Arc::strong_count(&counter), 2);
}

#[test]
fn members_on_many_threads_are_all_waited_for() {
    in_time(|| {
        let group = WaitGroup::new();
        for _ in 0..500 {
            let done = Arc::new(AtomicUsize::new(0));
            let first = group.add();
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (guard, done) = (first.clone(), Arc::clone(&done));
                    thread::spawn(move || {
                        let nested = guard.clone();
                        drop(guard);
                        done.fetch_add(1, Ordering::Relaxed);
                        drop(nested);
                    })
                })
                .collect();
            drop(first);
            group.wait_blocking();
            assert_eq!(done.load(Ordering::Relaxed), 3);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}

use crate::block_on::block_on;
use crate::semaphore::Semaphore;
use crate::tests::{Work, explore, poll};
use loom::thread;
use moirai_core::shim::sync::Arc;
use std::task::Poll;

#[test]
fn two_waiters_for_one_permit_both_get_it_and_see_what_came_before() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let work = Work::new();
        let held = semaphore.acquire_blocking().unwrap();
        let others = [(); 2].map(|()| {
            let (semaphore, work) = (Arc::clone(&semaphore), work.clone());
            thread::spawn(move || {
                let _permit = semaphore.acquire_blocking().unwrap();
                assert!(work.is_done());
            })
        });
        work.done();
        drop(held);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_permit_given_to_a_waiter_that_gives_up_is_not_lost() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire_blocking().unwrap();
        let gives_up = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || {
                let mut acquire = semaphore.acquire();
                if let Poll::Ready(permit) = poll(&mut acquire) {
                    drop(permit);
                }
            }
        });
        let waits = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || drop(semaphore.acquire_blocking().unwrap())
        });
        drop(held);
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn closing_leaves_no_waiter_behind() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waits = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_blocking().map(|permit| permit.forget()).is_ok()
        });
        let releases = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.release()
        });
        semaphore.close();
        releases.join().unwrap();
        let served = waits.join().unwrap();
        assert_eq!(semaphore.available(), usize::from(!served));
    });
}

#[test]
fn a_waiter_for_two_gets_both_and_sees_what_came_before() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let work = [Work::new(), Work::new()];
        let held = semaphore.acquire_blocking().unwrap();
        let other = thread::spawn({
            let (semaphore, work) = (Arc::clone(&semaphore), work.clone());
            move || {
                // It is held by this thread for a moment, so that some of the permits are free when the waiter comes.
                let also_held = semaphore.acquire_blocking().unwrap();
                work[1].done();
                drop(also_held);
            }
        });
        let waits = thread::spawn({
            let (semaphore, work) = (Arc::clone(&semaphore), work.clone());
            move || {
                let both = block_on(semaphore.acquire_many(2)).unwrap();
                let seen = work.each_ref().map(Work::is_done);
                drop(both);
                seen
            }
        });
        work[0].done();
        drop(held);
        other.join().unwrap();
        let [first, _] = waits.join().unwrap();
        assert!(first, "the first permit is not free before its holder gives it back");
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn what_two_holders_did_is_visible_to_a_waiter_for_both() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let work = [Work::new(), Work::new()];
        let releases = work.clone().map(|work| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || {
                work.done();
                semaphore.release();
            })
        });
        block_on(semaphore.acquire_many(2)).unwrap().forget();
        assert!(work.iter().all(Work::is_done));
        releases.into_iter().for_each(|release| release.join().unwrap());
        assert_eq!(semaphore.available(), 0);
    });
}

#[test]
fn what_a_waiter_for_two_has_been_given_is_not_lost_when_it_gives_up() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire_blocking().unwrap();
        let gives_up = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || {
                let mut acquire = semaphore.acquire_many(2);
                if let Poll::Ready(permit) = poll(&mut acquire) {
                    drop(permit);
                }
            }
        });
        let waits = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || drop(semaphore.acquire_blocking().unwrap())
        });
        drop(held);
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn closing_frees_what_a_waiter_for_two_has_been_given() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let waits = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || block_on(semaphore.acquire_many(2)).map(|permit| permit.forget()).is_ok()
        });
        let releases = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.release()
        });
        semaphore.close();
        releases.join().unwrap();
        let served = waits.join().unwrap();
        assert_eq!(semaphore.available(), if served { 0 } else { 2 });
    });
}

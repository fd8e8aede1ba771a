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

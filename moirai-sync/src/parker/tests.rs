use super::*;
use crate::tests::{LONG, in_time};
use std::sync::atomic::AtomicUsize;
use std::thread;

#[test]
fn a_token_left_before_parking_is_taken_at_once() {
    in_time(|| {
        let parker = Parker::new();
        parker.unparker().unpark();
        parker.park();
        parker.unparker().unpark();
        assert!(parker.park_timeout(LONG));
    });
}

#[test]
fn there_is_room_for_one_token() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    unparker.unpark();
    unparker.clone().unpark();
    assert!(parker.park_timeout(Duration::ZERO));
    assert!(!parker.park_timeout(Duration::ZERO));
}

#[test]
fn a_timeout_is_kept_and_leaves_the_parker_as_it_was() {
    let parker = Parker::new();
    for limit in [Duration::ZERO, Duration::from_millis(20)] {
        let start = Instant::now();
        assert!(!parker.park_timeout(limit));
        assert!(start.elapsed() >= limit);
        assert_eq!(parker.inner.state.load(Ordering::SeqCst), EMPTY);
    }
    parker.unparker().unpark();
    assert!(parker.park_timeout(Duration::ZERO));
}

#[test]
fn no_limit_panics() {
    in_time(|| {
        for limit in
            [Duration::MAX, Duration::from_secs(u64::MAX / 4), Duration::from_secs(1 << 40)]
        {
            let parker = Parker::new();
            let unparker = parker.unparker();
            let asleep = Arc::clone(&parker.inner);
            let waking = thread::spawn(move || {
                while asleep.state.load(Ordering::SeqCst) != PARKED {
                    thread::yield_now();
                }
                unparker.unpark();
            });
            assert!(parker.park_timeout(limit));
            waking.join().unwrap();
        }
    });
}

#[test]
fn a_notification_without_a_token_does_not_end_a_park() {
    in_time(|| {
        let parker = Parker::new();
        let inner = Arc::clone(&parker.inner);
        let waking = thread::spawn(move || {
            while inner.state.load(Ordering::SeqCst) != PARKED {
                thread::yield_now();
            }
            // The same as a spurious wake-up.
            for _ in 0..100 {
                drop(inner.lock.lock());
                inner.wake.notify_all();
                assert_eq!(inner.state.load(Ordering::SeqCst), PARKED);
            }
            inner.unpark();
        });
        parker.park();
        waking.join().unwrap();
    });
}

#[test]
fn an_unparker_is_a_waker_without_an_allocation() {
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    assert_eq!(waker.data(), Arc::as_ptr(&parker.inner).cast());
    waker.wake_by_ref();
    assert!(parker.park_timeout(Duration::ZERO));
    waker.wake();
    assert!(parker.park_timeout(Duration::ZERO));
    assert_eq!(Arc::strong_count(&parker.inner), 1);
}

#[test]
fn no_wake_up_is_lost_between_threads() {
    const ROUNDS: usize = 20_000;
    in_time(|| {
        let (here, there) = (Parker::new(), Parker::new());
        let (to_here, to_there) = (here.unparker(), there.unparker());
        let turn = Arc::new(AtomicUsize::new(0));
        let other = thread::spawn({
            let turn = Arc::clone(&turn);
            move || {
                for i in 0..ROUNDS {
                    while turn.load(Ordering::Relaxed) != 2 * i + 1 {
                        there.park();
                    }
                    turn.store(2 * i + 2, Ordering::Relaxed);
                    to_here.unpark();
                }
            }
        });
        for i in 0..ROUNDS {
            turn.store(2 * i + 1, Ordering::Relaxed);
            to_there.unpark();
            while turn.load(Ordering::Relaxed) != 2 * i + 2 {
                here.park();
            }
        }
        other.join().unwrap();
    });
}

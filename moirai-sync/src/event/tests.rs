use super::*;
use crate::tests::{Counter, LONG, calling, in_time, panicking, poll};
use futures_lite::future::block_on;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

#[test]
fn once_set_it_stays_set() {
    in_time(|| {
        let event = Event::default();
        assert!(!event.is_set());
        for _ in 0..2 {
            event.set();
            assert!(event.is_set());
            block_on(event.wait());
            event.wait_blocking();
            assert!(event.wait_timeout(Duration::ZERO));
        }
    });
}

#[test]
fn all_waiters_are_woken_once() {
    let event = Event::new();
    let mut waits: Vec<_> = (0..10).map(|_| (event.wait(), Counter::waker())).collect();
    for (wait, (_, waker)) in &mut waits {
        assert!(poll(wait, waker).is_pending());
    }
    event.set();
    event.set();
    for (wait, (counter, waker)) in &mut waits {
        assert_eq!(counter.count(), 1);
        assert!(poll(wait, waker).is_ready());
        assert!(poll(wait, waker).is_ready());
    }
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let event = Event::new();
    let (counter, waker) = Counter::waker();
    for _ in 0..1_000 {
        assert!(poll(&mut event.wait(), &waker).is_pending());
        assert_eq!(event.waiting(), 0);
    }
    assert_eq!(Arc::strong_count(&counter), 2);
    event.set();
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_wait_with_a_limit_returns_whether_the_event_was_set() {
    let event = Event::new();
    let start = Instant::now();
    assert!(!event.wait_timeout(Duration::ZERO));
    assert!(!event.wait_timeout(Duration::from_millis(20)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(event.waiting(), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while event.waiting() < 2 {
                thread::yield_now();
            }
            event.set();
        });
        scope.spawn(|| assert!(event.wait_timeout(LONG)));
        assert!(event.wait_timeout(Duration::MAX));
    });
}

#[test]
fn a_waker_may_use_the_event_that_wakes_it() {
    in_time(|| {
        let event = Arc::new(Event::new());
        let seen = Arc::new(AtomicUsize::new(0));
        let waker = calling(
            {
                let (event, seen) = (Arc::downgrade(&event), Arc::clone(&seen));
                move || {
                    let event = event.upgrade().unwrap();
                    event.set();
                    event.wait_blocking();
                    seen.fetch_add(event.waiting() + 1, Ordering::SeqCst);
                }
            },
            || {},
        );
        let mut waits = [event.wait(), event.wait(), event.wait()];
        let (counter, counting) = Counter::waker();
        assert!(poll(&mut waits[0], &panicking()).is_pending());
        assert!(poll(&mut waits[1], &waker).is_pending());
        assert!(poll(&mut waits[2], &counting).is_pending());
        event.set();
        assert_eq!(seen.load(Ordering::SeqCst), 1);
        assert_eq!(counter.count(), 1);
        assert!(poll(&mut waits[0], &waker).is_ready());
    });
}

#[test]
fn no_waiter_misses_the_event() {
    const ROUNDS: usize = 1_000;
    in_time(|| {
        let events: Arc<Vec<Event>> = Arc::new((0..ROUNDS).map(|_| Event::new()).collect());
        let start = Arc::new(Barrier::new(3));
        let threads: Vec<_> = (0..3)
            .map(|role| {
                let (events, start) = (Arc::clone(&events), Arc::clone(&start));
                thread::spawn(move || {
                    for event in events.iter() {
                        start.wait();
                        match role {
                            0 => event.set(),
                            1 => event.wait_blocking(),
                            _ => block_on(event.wait()),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

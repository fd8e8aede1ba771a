use crate::event::Event;
use crate::tests::{Work, explore, poll};
use loom::thread;
use moirai_core::shim::sync::Arc;

#[test]
fn waiters_are_woken_and_see_what_came_before() {
    explore(|| {
        let (event, work) = (Arc::new(Event::new()), Work::new());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (event, work) = (Arc::clone(&event), work.clone());
                thread::spawn(move || {
                    event.wait_blocking();
                    assert!(work.is_done());
                })
            })
            .collect();
        work.done();
        event.set();
        for thread in waiting {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_check_without_a_lock_sees_what_came_before() {
    explore(|| {
        let (event, work) = (Arc::new(Event::new()), Work::new());
        // The setter is the first thread, so that loom runs it first. It loads the flag before it stores it, and loom remembers
        // only the last access to an atomic: it would never move the store ahead of a load by the other thread that came first.
        let setting = thread::spawn({
            let (event, work) = (Arc::clone(&event), work.clone());
            move || {
                work.done();
                event.set();
            }
        });
        let looking = thread::spawn(move || {
            if event.is_set() {
                assert!(work.is_done());
            }
        });
        setting.join().unwrap();
        looking.join().unwrap();
    });
}

#[test]
fn two_setters_wake_one_waiter() {
    explore(|| {
        let event = Arc::new(Event::new());
        let setting: Vec<_> = (0..2)
            .map(|_| {
                let event = Arc::clone(&event);
                thread::spawn(move || {
                    event.set();
                    assert!(event.is_set());
                })
            })
            .collect();
        event.wait_blocking();
        for thread in setting {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_wait_that_is_dropped_removes_no_other_waiter() {
    explore(|| {
        let event = Arc::new(Event::new());
        let setting = thread::spawn({
            let event = Arc::clone(&event);
            move || event.set()
        });
        let leaving = thread::spawn({
            let event = Arc::clone(&event);
            move || {
                let _ = poll(&mut event.wait());
            }
        });
        event.wait_blocking();
        setting.join().unwrap();
        leaving.join().unwrap();
    });
}

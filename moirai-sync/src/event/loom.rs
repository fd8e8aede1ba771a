use crate::event::Event;
use crate::tests::{Work, explore, poll};
use loom::thread;
use moirai_core::shim::sync::Arc;

#[test]
fn who_waits_is_woken_and_sees_what_came_before() {
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
fn who_looks_without_a_lock_sees_what_came_before() {
    explore(|| {
        let (event, work) = (Arc::new(Event::new()), Work::new());
        // The setter is first, so that loom runs it first. It looks at the flag before it sets it, and loom remembers but
        // the last access to an atomic: it would never move the setting ahead of a look that came first.
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
fn two_setters_and_one_who_waits() {
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
fn a_wait_that_is_dropped_takes_nobody_elses_place() {
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

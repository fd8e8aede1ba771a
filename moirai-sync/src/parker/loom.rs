use crate::parker::Parker;
use crate::tests::{Work, explore};
use loom::thread;

#[test]
fn two_producers_wake_a_parker_and_it_sees_what_both_did() {
    explore(|| {
        let parker = Parker::new();
        let work = [Work::new(), Work::new()];
        let producers = work.clone().map(|work| {
            let unparker = parker.unparker();
            thread::spawn(move || {
                work.done();
                unparker.unpark();
            })
        });
        while !work.iter().all(Work::is_done) {
            parker.park();
        }
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn two_tokens_of_one_producer_end_two_parks_or_one() {
    explore(|| {
        let parker = Parker::new();
        let work = [Work::new(), Work::new()];
        let producer = thread::spawn({
            let (work, unparker) = (work.clone(), parker.unparker());
            move || {
                for work in work {
                    work.done();
                    unparker.unpark();
                }
            }
        });
        parker.park();
        assert!(work[0].is_done());
        while !work[1].is_done() {
            parker.park();
        }
        producer.join().unwrap();
    });
}

#[test]
fn a_token_taken_without_sleeping_shows_what_was_done() {
    explore(|| {
        let parker = Parker::new();
        let work = Work::new();
        let producer = thread::spawn({
            let (work, unparker) = (work.clone(), parker.unparker());
            move || {
                work.done();
                unparker.unpark();
            }
        });
        if parker.park_timeout(std::time::Duration::ZERO) {
            assert!(work.is_done());
        } else {
            parker.park();
        }
        assert!(work.is_done());
        producer.join().unwrap();
    });
}

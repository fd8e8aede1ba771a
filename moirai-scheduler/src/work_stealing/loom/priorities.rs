//! Models of rule 2 of the contract for every place to which a task can be pushed: if a producer does not see the flag of a worker
//! that then looks for work, it has pushed early enough for the task to be found.

use crate::WorkStealing;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering, fence};
use loom::thread;
use moirai_core::{LocalQueue, Priority, Scheduler};

use crate::tests::models::explore;

fn a_push_is_found_or_the_flag_is_seen(priority: Priority) {
    explore(3, move || {
        let scheduler = Arc::new(WorkStealing::new());
        let flag = Arc::new(AtomicBool::new(false));
        let mut local = scheduler.start(1).remove(0);
        let pushing = {
            let (scheduler, flag) = (scheduler.clone(), flag.clone());
            thread::spawn(move || {
                let _ = scheduler.push(1, priority);
                fence(Ordering::SeqCst);
                flag.load(Ordering::Relaxed)
            })
        };
        flag.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let found = local.pop().is_some();
        assert!(pushing.join().unwrap() || found);
        assert_eq!(usize::from(found) + scheduler.len(), 1);
        assert_eq!(local.pop().is_none(), found);
    });
}

#[test]
fn a_critical_push_is_found_or_the_flag_is_seen() {
    a_push_is_found_or_the_flag_is_seen(Priority::Critical);
}

#[test]
fn a_high_push_is_found_or_the_flag_is_seen() {
    a_push_is_found_or_the_flag_is_seen(Priority::High);
}

#[test]
fn a_normal_push_is_found_or_the_flag_is_seen() {
    a_push_is_found_or_the_flag_is_seen(Priority::Normal);
}

#[test]
fn a_low_push_is_found_or_the_flag_is_seen() {
    a_push_is_found_or_the_flag_is_seen(Priority::Low);
}

#[test]
fn the_count_of_elevated_tasks_is_never_too_low() {
    explore(3, || {
        let scheduler = Arc::new(WorkStealing::new());
        let pushing = {
            let scheduler = scheduler.clone();
            thread::spawn(move || scheduler.push(1, Priority::High))
        };
        let taking = {
            let scheduler = scheduler.clone();
            thread::spawn(move || scheduler.take())
        };
        let _ = scheduler.push(2, Priority::Critical);
        // This thread has pushed one, so it is there, or the other thread has it.
        let mine = scheduler.take();
        let _ = pushing.join().unwrap();
        let theirs = taking.join().unwrap();
        assert!(mine.is_some() || theirs == Some(2));
        let mut all: Vec<_> =
            [mine, theirs, scheduler.take(), scheduler.take()].into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        // A count that went below zero would have wrapped, and this would see it.
        assert!(!scheduler.has_elevated());
    });
}

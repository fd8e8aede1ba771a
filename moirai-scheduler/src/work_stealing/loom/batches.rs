//! Models of rule 4 of the contract while a thief moves a batch: no thread mistakes that moment for emptiness.

use crate::WorkStealing;
use loom::sync::Arc;
use loom::thread;
use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler};

use crate::tests::models::explore;

#[test]
fn a_worker_finds_what_another_moves_from_the_injector() {
    explore(3, || {
        let scheduler = WorkStealing::new();
        let mut locals = scheduler.start(2);
        let _ = scheduler.push(1, Priority::Normal);
        let _ = scheduler.push(2, Priority::Normal);
        let (mut second, mut first) = (locals.pop().unwrap(), locals.pop().unwrap());
        let other = thread::spawn(move || first.pop().unwrap());
        let mine = second.pop().unwrap();
        assert_eq!(mine + other.join().unwrap(), 3);
    });
}

#[test]
fn a_thread_that_is_no_worker_finds_what_a_worker_moves() {
    explore(3, || {
        let scheduler = Arc::new(WorkStealing::new());
        let mut local = scheduler.start(1).remove(0);
        let _ = scheduler.push(1, Priority::Normal);
        let _ = scheduler.push(2, Priority::Normal);
        let working = thread::spawn(move || local.pop().unwrap());
        let mine = scheduler.take().unwrap();
        assert_eq!(mine + working.join().unwrap(), 3);
    });
}

#[test]
fn three_workers_share_what_one_of_them_had() {
    explore(2, || {
        let scheduler = WorkStealing::new();
        let mut locals = scheduler.start(3);
        let mut owner = locals.remove(0);
        for token in [1, 2, 4] {
            let _ = owner.push(token, Priority::Normal, QueueReason::Offered);
        }
        let others: Vec<_> = locals
            .into_iter()
            .map(|mut local| thread::spawn(move || local.pop().unwrap()))
            .collect();
        let mut sum = owner.pop().unwrap();
        for other in others {
            sum += other.join().unwrap();
        }
        assert_eq!(sum, 7);
    });
}

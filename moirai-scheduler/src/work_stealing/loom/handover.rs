//! A model of reclaiming: the queue of a stuck worker is moved to where all workers look, while the worker comes back.

use crate::WorkStealing;
use loom::thread;
use moirai_core::shim::sync::Arc;
use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler};

use crate::tests::models::explore;

#[test]
fn a_stuck_workers_tasks_are_run_once_when_it_returns_meanwhile() {
    explore(2, || {
        let scheduler = Arc::new(WorkStealing::new());
        let mut locals = scheduler.start(1);
        let mut local = locals.pop().unwrap();
        let _ = local.push(Box::new(1), Priority::Normal, QueueReason::Woken);
        let _ = local.push(Box::new(2), Priority::Normal, QueueReason::Offered);
        let watching = thread::spawn({
            let scheduler = Arc::clone(&scheduler);
            move || {
                let mut moved = 0;
                while let Some(task) = scheduler.reclaim(0) {
                    let _ = scheduler.push(task, Priority::Normal);
                    moved += 1;
                }
                moved
            }
        });
        // The worker comes back, and runs what it finds.
        let mut found: Vec<_> = std::iter::from_fn(|| local.pop()).collect();
        assert!(watching.join().unwrap() <= 2);
        // Now that nothing moves any more, what was moved elsewhere is found there.
        found.extend(std::iter::from_fn(|| local.pop()));
        found.extend(std::iter::from_fn(|| scheduler.take()));
        found.sort_unstable();
        assert_eq!(found, [Box::new(1), Box::new(2)]);
    });
}

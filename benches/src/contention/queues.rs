//! The operations of the default scheduler's queues.

use std::hint::black_box;

use moirai::scheduler::{LocalQueue, QueueReason, Scheduler, WorkStealing, WorkStealingLocal};
use moirai_core::Priority;

use super::threads::{Load, Part, beside, on_threads, shared_out};

/// What is scheduled has the size of a task's pointer.
type Local = WorkStealingLocal<usize>;

/// Returns the queues of each thread.
fn queues(load: Load) -> (WorkStealing<usize>, Vec<Part<Local>>) {
    let scheduler = WorkStealing::new();
    let queues = scheduler.start(load.workers);
    (scheduler, shared_out(queues, load.threads))
}

fn push_and_pop(queues: &mut Part<Local>, number: usize) {
    let count = queues.len();
    let queue = &mut queues[number % count];
    let _ = queue.push(number, Priority::Normal, QueueReason::Offered);
    black_box(queue.pop());
}

pub(super) fn push_pop(load: Load) -> f64 {
    let (_scheduler, queues) = queues(load);
    on_threads(queues, load.times, push_and_pop)
}

pub(super) fn look(load: Load) -> f64 {
    let (_scheduler, queues) = queues(load);
    on_threads(queues, load.times, |queues, number| {
        let queue = number % queues.len();
        assert_eq!(queues[queue].pop(), None);
    })
}

pub(super) fn steal(load: Load) -> f64 {
    let (_scheduler, queues) = queues(load);
    on_threads(queues, load.times, |queues, number| {
        let last = queues.len() - 1;
        let _ = queues[last].push(number, Priority::Normal, QueueReason::Offered);
        assert_eq!(queues[0].pop(), Some(number));
    })
}

pub(super) fn push_pop_watched(load: Load) -> f64 {
    let (_scheduler, queues) = queues(load);
    beside(queues, load.times, push_and_pop, |queues| {
        black_box(queues[0].pop());
    })
}

pub(super) fn outside(load: Load) -> f64 {
    let (scheduler, queues) = queues(load);
    on_threads(queues, load.times, |queues, number| {
        let _ = scheduler.push(number, Priority::Normal);
        let queue = number % queues.len();
        black_box(queues[queue].pop());
    })
}

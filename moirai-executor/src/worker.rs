//! What the executor's threads do.

use std::sync::Arc;

use crate::any_scheduler::Runnable;
use crate::context::Context;
use crate::door::Phase;
use crate::seat::Seat;
use crate::shared::Shared;

/// The body of a worker's or reserve's thread: sits in its first seat, and then in whichever is handed on.
pub(crate) fn run(shared: Arc<Shared>, first: Option<Box<Seat>>) {
    let context = Context::new(shared);
    context.enter(|| {
        let shared = context.shared();
        let mut next = first.or_else(|| shared.seats.next());
        while let Some(seat) = next {
            work(&context, seat);
            next = shared.seats.next();
        }
    });
}

/// Runs tasks in a seat until it is handed on or closed.
fn work(context: &Context, mut seat: Box<Seat>) {
    let shared = context.shared();
    let index = seat.index;
    let opened = std::mem::replace(&mut seat.opened, true);
    context.sit(seat);
    if !opened {
        shared.plugins.call("on_worker_start", |plugin| plugin.on_worker_start(index));
    }
    context.ticks.set(shared.clock.ticks());
    loop {
        // A seat that was handed on during the last task is another thread's now.
        let Some(popped) = context.with_seat(|seat| seat.queue.pop()) else {
            return;
        };
        let task = popped.or_else(|| {
            let task = shared.sleepers.next(
                index,
                || context.with_seat(|seat| seat.queue.pop()).flatten(),
                || shared.door.phase() == Phase::Stopped,
                || {
                    if let Some(recorder) = &shared.recorder {
                        recorder.worker_parked(index);
                    }
                },
            );
            context.ticks.set(shared.clock.ticks());
            task
        });
        match task {
            Some(task) => run_task(context, task),
            None => break,
        }
    }
    if let Some(seat) = context.stand_up() {
        shared.plugins.call("on_worker_stop", |plugin| plugin.on_worker_stop(index));
        shared.seat_closed(seat);
    }
}

/// Runs one task on the calling thread.
fn run_task(context: &Context, task: Runnable) {
    let task = task.into_raw();
    let outer = context.set_task(Some(task.as_ptr()));
    task.run(context);
    context.set_task(outer);
}

/// The body of a blocking thread.
pub(crate) fn run_blocking(shared: Arc<Shared>) {
    let context = Context::new(shared);
    context.enter(|| {
        let shared = context.shared();
        while let Some(task) = shared.blocking.next() {
            context.ticks.set(shared.clock.ticks());
            run_task(&context, task);
        }
    });
}

/// Runs one queued task on the calling thread, whatever thread that is, and says whether there was one.
pub(crate) fn try_run(shared: &Arc<Shared>) -> bool {
    let popped = Context::with_seat_of(shared, |seat| seat.queue.pop());
    let Some(task) = popped.unwrap_or_else(|| shared.scheduler.take()) else {
        return false;
    };
    Context::with(|context| match context {
        Some(context) if Arc::ptr_eq(context.shared(), shared) => {
            context.ticks.set(shared.clock.ticks());
            run_task(context, task);
        }
        _ => {
            let context = Context::new(Arc::clone(shared));
            context.enter(|| run_task(&context, task));
        }
    });
    true
}

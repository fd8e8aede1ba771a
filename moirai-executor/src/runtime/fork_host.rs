//! What the executor does for fork-join, and fork-join for it.

use moirai_core::{LocalQueue, Ready, Visibility};

use crate::fork_join::host::Crew;
use crate::fork_join::latch::{Event, park_for};
use crate::fork_join::shared_jobs::Board;
use crate::runtime::context::Context;
use crate::runtime::enter::on_any_hand;
use crate::runtime::handoff::blocking;
use crate::runtime::lifecycle::Phase;
use crate::runtime::shared::Shared;
use crate::task::TaskPtr;

impl Crew for Shared {
    #[inline]
    fn board(&self) -> &Board {
        &self.board
    }

    fn idle(&self) -> usize {
        self.mode.idle(&self.sleepers)
    }

    fn invite(&self) {
        self.sleepers.invite();
    }

    fn draw(&self, bound: usize) -> Option<usize> {
        self.mode.draw(bound)
    }

    fn rest(&self, event: &impl Event) -> bool {
        let Some(worker) = Context::with_seat_of(self, |seat| seat.index) else {
            return false;
        };
        event.arm(self.sleepers.unparker(worker));
        let happened =
            self.sleepers.rest(worker, || event.has_happened(), || has_work_for_seat(self));
        event.disarm();
        // It counted as idle.
        self.progress.busy();
        happened
    }

    fn sleep(&self, event: &impl Event) {
        blocking(|| park_for(event));
    }
}

/// Runs a piece of a task's fork-join work, if there is one, on a thread that waits for the task.
pub(crate) fn help(shared: &Shared, task: TaskPtr) -> bool {
    let Some(piece) = shared.board.take_of(task, shared.idle()) else {
        return false;
    };
    on_any_hand(shared, |hand| hand.run(piece, shared));
    true
}

/// Whether there is something for the caller's seat to do, by whoever sits in it.
fn has_work_for_seat(shared: &Shared) -> bool {
    let has_task = Context::with_seat_of(shared, |seat| {
        let task = seat.queue.pop()?;
        // It goes back for the thread that sits down.
        let priority = task.priority();
        Some((seat.queue.push(task, priority, Ready::Yielded), seat.index))
    });
    if let Some(Some((Visibility::Worker(elsewhere), here))) = has_task
        && elsewhere != here
    {
        shared.sleepers.notify_worker(elsewhere);
    }
    matches!(has_task, Some(Some(_)))
        || shared.board.has_pieces()
        || shared.door.phase() == Phase::Stopped
}

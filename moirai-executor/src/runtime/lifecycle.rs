//! Whether tasks are admitted, and whether any worker is left to run them.
//!
//! Both questions involve a race, are asked on every spawn and every wake, and are answered without a lock where speed matters:
//!
//! 1. **Is the lifecycle closed?** A thread that is not a worker asks while it holds the lock of a shared writer of the registry,
//!    and begins its task's record under the same lock. Closing advances the phase, *then* takes and releases the lock of every
//!    shared writer, *then* reads the registry. So the record of a task whose spawner found the lifecycle open has begun by then,
//!    and a thread that takes the lock later finds the lifecycle closed. A worker asks without a lock. If it asks too early, its
//!    task goes into its own queue, which it empties before its core closes. During a drain, tasks that are spawned inside of the
//!    executor are admitted. The drain closes the lifecycle when it has seen no active task, and only then is what it sees final.
//! 2. **Is any worker left?** When the last core has closed, the thread that closed it calls [`Lifecycle::last_core_closed`]: it
//!    sets a flag, and after a SeqCst fence takes everything that is queued. A thread that makes a task ready pushes it, and after
//!    a SeqCst fence reads the flag. One of the two fences comes first: either the taker finds the task, or the pusher finds the
//!    flag and takes the task itself. So no task is left behind. The flag also releases the phase: a thread that finds the flag finds
//!    the phase in which tasks that are taken from a queue are ended. A thread that found an older phase would run the task, which
//!    could then wait for ever.

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

#[cfg(all(test, moirai_loom))]
mod loom;

/// The phase of an executor's life. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Tasks are admitted.
    Open,
    /// Tasks are admitted if a thread spawns them that runs a task of the executor, or is one of its workers.
    Draining,
    /// No new tasks are admitted; active ones go on.
    Closed,
    /// A queued task is cancelled instead of being run.
    Cancelling,
    /// A worker that finds nothing to do closes its core.
    Stopped,
}

/// The lifecycle of an executor; see the [module](self).
#[derive(Debug)]
pub(crate) struct Lifecycle {
    phase: AtomicU8,
    gone: AtomicBool,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self { phase: AtomicU8::new(Phase::Open as u8), gone: AtomicBool::new(false) }
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        // Ordering: Acquire pairs with the Release of `advance_from`: what was done before the phase was reached is visible.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Draining,
            2 => Phase::Closed,
            3 => Phase::Cancelling,
            _ => Phase::Stopped,
        }
    }

    /// Returns whether new tasks are refused, whoever spawns them. Exact only under the lock of a shared writer (rule 1).
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `advance_from`, as in `phase`.
        self.phase.load(Ordering::Acquire) >= Phase::Closed as u8
    }

    /// Returns whether a shutdown has begun.
    #[inline]
    pub(crate) fn is_shutting_down(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `advance_from`, as in `phase`.
        self.phase.load(Ordering::Acquire) != Phase::Open as u8
    }

    /// Advances the phase, and returns whether this call was the one that did.
    pub(crate) fn advance(&self, to: Phase) -> bool {
        self.advance_from(to) < to as u8
    }

    /// Advances the phase, and returns whether this call was the one that began the shutdown.
    pub(crate) fn begin_shutdown(&self, to: Phase) -> bool {
        self.advance_from(to) == Phase::Open as u8
    }

    fn advance_from(&self, to: Phase) -> u8 {
        // Ordering: Release pairs with the Acquire of `phase`; Acquire pairs with the Release of an earlier call.
        self.phase.fetch_max(to as u8, Ordering::AcqRel)
    }

    /// Calls `end_queued`, which takes everything that is queued, if no worker is left. For a caller that has queued a task where any
    /// worker finds it.
    ///
    /// The caller has executed a SeqCst fence after queueing it: the one that the sleep protocol needs anyway.
    #[inline]
    pub(crate) fn queued_behind_a_fence(&self, end_queued: impl FnOnce()) {
        // Ordering: Relaxed: the load comes after the caller's fence (rule 2).
        if self.gone.load(Ordering::Relaxed) {
            // Ordering: Acquire pairs with the Release of `last_core_closed`: the caller finds the phase that the closing thread had
            // found. It is a second load so that a caller that does not find the flag pays nothing for it.
            let _ = self.gone.load(Ordering::Acquire);
            end_queued();
        }
    }

    /// Notes that the last core has closed, and calls `end_queued`, which takes everything that is queued.
    pub(crate) fn last_core_closed(&self, end_queued: impl FnOnce()) {
        // Ordering: Release pairs with the Acquire of `queued_behind_a_fence`. The store comes before the fence, which pairs with the
        // fence of a thread that queues a task (rule 2).
        self.gone.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        end_queued();
    }
}

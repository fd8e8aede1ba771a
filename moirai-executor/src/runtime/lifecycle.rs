//! Whether tasks are let in, and whether anybody is left to run them.
//!
//! Two questions with a race each, asked on every spawn and every wake, and answered without a lock where it counts:
//!
//! 1. **Is the lifecycle shut?** A thread that is no worker asks under a guest lock of the registry, and enters its task in the writer
//!    under the same lock. Who shuts the lifecycle moves the phase on, *then* takes and releases every guest lock, *then* reads the
//!    writer. So a task whose spawner found the lifecycle open is in the writer by then, and whoever takes a lock after that finds
//!    the lifecycle shut. A worker asks without a lock; if it asks too early its task goes into its own queue, which it empties
//!    before its core closes.
//! 2. **Is anybody left?** When the last core has closed, that thread calls [`Lifecycle::last_core_closed`]: it sets a flag, and
//!    behind a SeqCst fence takes everything that is queued. Whoever makes a task ready pushes it, and behind a SeqCst fence
//!    reads the flag. Of the two fences one is first: either the taker finds the task, or the pusher finds the flag and takes
//!    it himself. Nothing stays behind.

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

#[cfg(all(test, moirai_loom))]
mod loom;

/// How far a shutdown has come. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Tasks are let in.
    Open,
    /// No new tasks; those that are active go on.
    Draining,
    /// A task that is taken up is cancelled instead of run.
    Cancelling,
    /// A worker that finds nothing to do closes its core.
    Stopped,
}

/// See the [module](self).
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
        // Ordering: Acquire pairs with the Release of `advance`.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Draining,
            2 => Phase::Cancelling,
            _ => Phase::Stopped,
        }
    }

    /// Whether new tasks are refused. Exact only under a guest lock; see rule 1.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.phase() != Phase::Open
    }

    /// Moves on, and says whether this was the call that did.
    pub(crate) fn advance(&self, to: Phase) -> bool {
        // Ordering: Release pairs with the Acquire of `phase`.
        self.phase.fetch_max(to as u8, Ordering::AcqRel) < to as u8
    }

    /// A task was queued where any worker finds it. If none is left, `drain` takes everything that is queued.
    ///
    /// The caller has executed a SeqCst fence after queuing it: the one that the sleep protocol needs anyway.
    #[inline]
    pub(crate) fn queued_behind_a_fence(&self, drain: impl FnOnce()) {
        // Ordering: Relaxed, behind the caller's fence; rule 2.
        if self.gone.load(Ordering::Relaxed) {
            drain();
        }
    }

    /// The last core has closed. `drain` takes everything that is queued.
    pub(crate) fn last_core_closed(&self, drain: impl FnOnce()) {
        // Ordering: Relaxed, before the fence; rule 2.
        self.gone.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        drain();
    }
}
